"""Levels from a random start: scores on made models whose structure is known, and the study at size tiny."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxembed.corpus import Document, encode
from jaxembed.corpus.pseudowords import pseudoword_sentences
from jaxembed.corpus.tokenizers import WordTokenizer
from jaxembed.observables.arrival import Arrival
from jaxembed.studies import Run
from jaxembed.studies.language import blank_slate_texts
from jaxembed.studies.language.blank_slate import (
    SETTINGS,
    STUDY,
    BlankSlate,
    meaning_later,
    mode_evidence,
    timed,
)
from jaxembed.studies.language.blank_slate_flow import BigramSetting, FlowRun, ModeTimes, bigram_run
from jaxembed.studies.language.blank_slate_levels import (
    LEVELS,
    Level,
    Yardsticks,
    bigram_score,
    mean_prediction,
    sense_margin,
    unigram_score,
    word_scores,
)
from jaxembed.studies.language.blank_slate_texts import made_senses, made_similarity, plurals, yardsticks_of
from jaxembed.studies.language.blank_slate_vectors import VectorSetting
from jaxembed.studies.language.decoders import BUILT_IN, Decoders
from jaxembed.train import single_precision
from jaxembed.words.vectors import WordVectors

FLOAT32_LEG = "the study refuses float32"
MODEL, TINY = BUILT_IN.model, SETTINGS["tiny"].measured


def topic_text(documents=60, words=40, seed=0):
    """Documents about fruit or about stones: words of one topic stand together; articles precede nouns."""
    rng = np.random.default_rng(seed)
    topics = (("apple", "apples", "plum", "plums", "juice"), ("stone", "stones", "brick", "bricks", "walls"))
    texts = []
    for _ in range(documents):
        nouns = rng.choice(topics[rng.integers(2)], size=words // 2)
        articles = rng.choice(["the", "a"], p=[0.8, 0.2], size=words // 2)
        texts.append(" ".join(f"{article} {noun}" for article, noun in zip(articles, nouns, strict=True)))
    return texts


@pytest.fixture(scope="module")
def shared():
    """Untrained "decoders" on made text: what needs no training can be looked at."""
    texts = topic_text()
    known = sorted({word for text in texts for word in text.split()})
    tokenizer = WordTokenizer(known)
    corpus = encode([Document(text, "") for text in texts], tokenizer)
    train, held = corpus.split(300)
    start = single_precision(MODEL.init(jax.random.key(0), tokenizer.vocab, 16))
    setting = replace(BUILT_IN, training=replace(BUILT_IN.training, steps=2, warmup=0, save_steps=(0, 2)))
    return Decoders(setting, tokenizer, train, held, (lambda step: start,))


def test_unigram_and_bigram_scores_are_those_of_the_formula():
    unigrams = np.array([0.5, 0.25, 0.25])
    assert unigram_score(unigrams, unigrams) == 0
    assert abs(unigram_score(np.full(3, 1 / 3), unigrams) + np.log(3) - 1.5 * np.log(2)) < 1e-12
    joint = np.array([[0.4, 0.1, 0.0], [0.1, 0.15, 0.25]])
    same = np.log(np.tile(unigrams, (2, 1)))
    assert bigram_score(same, joint, unigrams) == 0
    own = joint / joint.sum(axis=1, keepdims=True)
    best = bigram_score(np.log(np.maximum(own, 1e-9)), joint, unigrams)
    assert best > 0 > bigram_score(np.log(np.full((2, 3), 1 / 3)), joint, unigrams)
    assert best > bigram_score(np.log(0.5 * own + 0.5 / 3), joint, unigrams)


def test_yardsticks_made_from_a_text(shared):
    found = yardsticks_of(shared, replace(TINY, contexts=5))
    assert found.missing == {} and len(found.senses) == 1 and found.passages.shape[1] == 32
    assert abs(found.next_joint.sum() - 1) < 1e-12
    assert found.questions is not None and len(found.questions) == 4 * 3  # apple, plum, stone, brick


def test_made_similarity_knows_the_topics(shared):
    words = tuple(shared.tokenizer.token(id) for id in range(2, shared.tokenizer.vocab))
    found = made_similarity(shared.train, words, 40)
    score = dict(zip(found.pairs, found.scores, strict=True))
    of = lambda a, b: score[a, b] if (a, b) in score else score[b, a]  # noqa: E731
    assert of("apple", "juice") > of("apple", "bricks") and of("stone", "brick") > of("stone", "plum")


def test_pseudowords_are_spelt_as_one_word(shared):
    task = made_senses(shared.train, shared.tokenizer, TINY)
    assert task is not None and len(task.names) == 2
    marked = task.tokens.ids[np.arange(len(task.tokens)), task.tokens.at]
    assert len(np.unique(marked)) == 1
    assert not np.any(task.tokens.ids == shared.tokenizer.id(task.names[1]))


def test_vectors_of_known_structure_are_scored(shared):
    """Word vectors that are topic and number: all three levels of words are there; shuffled words have none."""
    found = yardsticks_of(shared, TINY)
    kinds = {
        "apple": (1, 0),
        "plum": (1.1, 0.1),
        "juice": (1, 0.1),
        "stone": (-1, 0),
        "brick": (-1.1, 0.1),
        "walls": (-1, 0.1),
    }
    rows = np.array([[*kinds.get(word, kinds.get(word.rstrip("s"), (0, 0))), float(word.endswith("s"))]
                     for word in found.words], np.float32) + np.float32(0.01)  # fmt: skip
    scores = word_scores(WordVectors(found.words, rows), found, resamples=100)
    assert scores["similarity"]["score"] > 0.5 > 0.3 > abs(scores["similarity"]["null"])
    assert scores["offsets"]["score"] > 0.8 and set(scores) == {"similarity", "offsets", "analogies"}
    dealt = rows[np.random.default_rng(0).permutation(len(rows))]
    assert word_scores(WordVectors(found.words, dealt), found)["offsets"]["score"] < 0.6


def test_plurals_need_two_pairs():
    assert plurals(("cat", "cats", "dog")) is None
    found = plurals(("cat", "cats", "dog", "dogs"))
    assert found is not None and found.sections["gram-plural"][0] == ("cat", "cats", "dog", "dogs")


def test_shares_run_from_null_to_end_and_never_is_undefined():
    ts, scores = np.array([0.0, 1.0, 10.0]), np.array([[-1.0, 0.0, 1.0], [0.0, 0.01, 0.02]])
    level = Level("bigram", ts, scores, np.zeros(2), np.full(2, 0.05))
    np.testing.assert_allclose(level.shares[0], [-1, 0, 1])
    assert np.isnan(level.shares[1]).all() and str(level.arrival) == "not arrived in 1 of 2 seeds"


def test_sense_margin_is_half_the_interval_of_the_gain(shared):
    task = made_senses(shared.train, shared.tokenizer, TINY)
    assert task is not None
    count = len(task.test)
    none, all_right = {"hits": [np.zeros(count)]}, {"hits": [np.ones(count)]}
    assert sense_margin(all_right, none, (task,)) == 0
    mixed = {"hits": [np.arange(count) % 2]}
    assert 0.02 < sense_margin(mixed, none, (task,), 200) < 0.4


def test_a_level_without_data_is_not_measured():
    tokenizer = WordTokenizer(["the", "a"])
    bare = encode([Document(text, "") for text in topic_text(4)], tokenizer)
    assert made_senses(bare, tokenizer, TINY) is None
    words = Yardsticks(
        ("the", "a"), np.ones(4) / 4, np.arange(2, dtype=np.int32), np.ones((2, 4)) / 8, np.zeros((1, 4), np.int32)
    )
    assert word_scores(WordVectors(("the", "a"), np.eye(2, dtype=np.float32)), words) == {}


def test_yardsticks_are_known_by_what_they_ask(shared):
    found = yardsticks_of(shared, TINY)
    assert found.hash == yardsticks_of(shared, TINY).hash
    other = [replace(found, passages=found.passages[:-1]), replace(found, senses=()), replace(found, questions=None)]
    assert len({each.hash for each in (found, *other)}) == 4


def test_every_passage_weighs_alike():
    params = single_precision(MODEL.init(jax.random.key(0), 9, 4))
    passages = np.random.default_rng(0).integers(9, size=(5, 4)).astype(np.int32)
    whole = mean_prediction(MODEL, params, passages)
    for batch in (2, 8):
        np.testing.assert_allclose(mean_prediction(MODEL, params, passages, batch), whole, rtol=1e-5)
    np.testing.assert_allclose(whole.sum(), 1, rtol=1e-5)


def flat_level(name, arrives):
    """Two seeds that arrive at these times, or never."""
    scores = np.array([[0.0, float(at is not None and at <= 1), float(at is not None)] for at in arrives])
    return Level(name, np.array([0.0, 1.0, 10.0]), scores, np.zeros(2), np.zeros(2))


@pytest.mark.parametrize(
    ("bigram", "meaning", "passed"),
    [([1, 1], [9, 9], True), ([1, 1], [9, None], False), ([1, None], [9, 9], False), ([9, 9], [1, 9], False)],
)
def test_meaning_has_to_arrive_to_come_after_bigrams(bigram, meaning, passed):
    levels = {name: flat_level(name, at) for name, at in (("bigram", bigram), ("similarity", meaning))}
    result = BlankSlate(SETTINGS["quick"], levels, {}, (), np.zeros((1, 1, 1)), ())
    assert meaning_later(result).holds() == passed


@pytest.mark.parametrize(("arrive", "passed"), [(3, True), (2, False)])
def test_modes_are_judged_where_most_of_them_arrive(arrive, passed):
    times = [Arrival(np.array([at, at]), np.zeros(2, bool)) for at in (1.0, 2.0, 3.0, 4.0)]
    never = Arrival(np.array([np.nan, 1.0]), np.zeros(2, bool))
    modes = ModeTimes(tuple("abcd"), tuple(times), (*times[:arrive], *[never] * (4 - arrive)), np.ones(4))
    rows = mode_evidence(FlowRun("word vectors", modes, {}, {}, {}))
    assert all(row.bound.holds(row.values) for row in rows) == passed  # one number of all seeds and modes each


def test_test_sentences_are_of_other_documents(shared, monkeypatch):
    asked = []

    def seen(texts, *arguments, **rest):
        asked.append(tuple(texts))
        return pseudoword_sentences(texts, *arguments, **rest)

    monkeypatch.setattr(blank_slate_texts, "pseudoword_sentences", seen)
    made_senses(shared.train, shared.tokenizer, TINY)
    assert len(asked) == 2 and len(asked[0]) + len(asked[1]) == len(shared.train)


@pytest.mark.slow
@pytest.mark.float64_only(FLOAT32_LEG)
def test_bigram_modes_arrive_as_predicted_and_shuffled_text_has_none(shared):
    setting = BigramSetting(12, 4, 1e-3, 1.0, 600, 2, 30, 1)
    found = bigram_run(shared.train, shared.tokenizer.token, setting, Run(2))
    # Only the first mode: those after it mix on a text this small, which (O12) warns of.
    assert abs(found.modes.ratios()[0] - 1) < 0.3
    assert found.levels["bigram"].scores[:, -1].min() > 0.1
    assert found.control["bigram"].scores[:, -1].max() < 0.3 * found.levels["bigram"].scores[:, -1].min()


@pytest.mark.slow
@pytest.mark.float64_only(FLOAT32_LEG)
def test_the_whole_study_and_its_kept_scores(shared, tmp_path):
    setting = replace(
        SETTINGS["tiny"],
        bigram=BigramSetting(12, 4, 1e-3, 1.0, 300, 2, 10, 1),
        vectors=VectorSetting(12, 4, 1e-3, 2, saves=6, controls=1),
    )
    first = timed(setting, shared, Run(1, tmp_path))
    assert isinstance(first, BlankSlate) and set(first.levels) <= set(LEVELS)
    assert first.never and "senses" in first.never  # nothing was trained: both saves are the start
    assert STUDY.tables(first) and STUDY.evidence(first)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = timed(setting, shared, Run(1, tmp_path))
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for name, level in first.levels.items():
        np.testing.assert_array_equal(level.scores, again.levels[name].scores)
