"""The table of word models: its text, its paired scores, its order, and the tiny study."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from jaxembed.studies.words.text_vectors import MODELS, NULLS, TextVectors, VectorRecipe
from jaxembed.studies.words.word_models import ORDER, SETTINGS, STUDY, TextScores, WordModels, score_text
from jaxembed.studies.words.word_scores import ANALOGIES, Score, WordItems, measured, score, spearman_redrawn
from jaxembed.studies.words.word_texts import Domains, arrays_of, domains_of, pile_domains
from jaxembed.words import Questions, SimilarityPairs, WordVectors, score_analogies, score_similarity, word_text

RNG = np.random.default_rng(0)
WORDS = tuple(f"w{k}" for k in range(16))
VECTORS = WordVectors(WORDS, RNG.normal(size=(16, 3)).astype(np.float32))


def questions():
    """Two families of pairs, of which one holds a word without a vector."""
    families = {
        "one": [(f"w{k}", f"w{k + 1}") for k in range(0, 8, 2)],
        "two": [("w8", "w9"), ("w10", "w11"), ("w12", "x")],
    }
    return Questions("made up", {name: tuple((*p, *q) for p in f for q in f if p != q) for name, f in families.items()})


def similarity():
    pairs = (*((f"w{k}", f"w{k + 1}") for k in range(12)), ("w1", "unknown"))
    return SimilarityPairs("made up", pairs, np.random.default_rng(1).normal(size=13))


ITEMS = WordItems(questions(), {"made up": similarity()})


def test_scores_are_those_of_the_evaluation():
    found = measured(VECTORS, ITEMS)
    total, pairs = score_analogies(VECTORS, questions()).total, score_similarity(VECTORS, similarity())
    own, similar = score(ANALOGIES, [found]), score("made up", [found])
    assert own.mean == total.accuracy and own.interval == pytest.approx((total.low, total.high))
    assert found[f"{ANALOGIES} coverage"].tolist() == [14, 18] and found["made up coverage"].tolist() == [12, 13]
    assert similar.mean == pytest.approx(pairs.rho) and similar.interval[0] < pairs.rho < similar.interval[1]


def test_other_items_are_told_from_these():
    fewer = SimilarityPairs("made up", similarity().pairs[1:], similarity().scores[1:])
    digests = {WordItems(questions(), files).digest for files in ({}, {"made up": similarity()}, {"made up": fewer})}
    assert len(digests) == 3 and ITEMS.digest in digests


def test_redrawn_rank_correlations_against_a_loop():
    first, second = RNG.normal(size=(2, 9))
    drawn = np.random.default_rng(0).integers(9, size=(1000, 9))
    expected = [spearmanr(first[rows], second[rows])[0] for rows in drawn[:20]]
    assert spearman_redrawn(first, second)[:20] == pytest.approx(expected, abs=1e-6)


def test_vectors_of_another_text_or_recipe_have_other_files(tmp_path):
    texts = [word_text([line], min_count=1) for line in ("a b a b", "b a b a", "a b a b")]
    made = [TextVectors(text, VectorRecipe(width), tmp_path) for text, width in zip(texts, (2, 2, 3), strict=True)]
    assert len({vectors.digest for vectors in made}) == 3
    assert TextVectors(texts[0], VectorRecipe(2)).digest == made[0].digest


def won(share):
    """A training that wins a share of the questions however they are drawn."""
    return {ANALOGIES: np.full(1001, share)}


def test_equal_answers_differ_by_nothing_and_better_ones_are_decided():
    poor, rich, mixed = (score(ANALOGIES, each) for each in ([won(0)], [won(1)], [won(0), won(1)]))
    assert poor.mean == 0 and rich.interval == (1, 1) and mixed.mean == 0.5
    part = made_up(poor, **{"skip-gram": rich})
    assert part.standing(ANALOGIES, "skip-gram", "svd(M*)") == "as published"
    assert part.standing(ANALOGIES, "svd(M*)", "skip-gram") == "reversed"
    assert part.standing(ANALOGIES, "svd(M*)", "QWEM") == "open"
    assert [part.count(ANALOGIES, s) for s in ("as published", "reversed", "open")] == [4, 0, len(ORDER) - 4]
    part.scores[ANALOGIES, "skip-gram"] = mixed  # trainings disagree
    assert part.standing(ANALOGIES, "skip-gram", "svd(M*)") == "open"


def made_up(everywhere, **scores):
    found = {(ANALOGIES, model): scores.get(model, everywhere) for model in MODELS}
    return TextScores(10, 16, {ANALOGIES: (14, 18)}, found, {})


def test_the_evidence_follows_the_published_relations_on_the_pile(tends):
    wide = np.concatenate([[0.5], np.clip(np.linspace(-0.1, 1.1, 1000), 0, 1)])
    draws = (np.zeros(1001), wide, np.ones(1001))
    poor, middle, rich = (score(ANALOGIES, [{ANALOGIES: each} for _ in range(2)]) for each in draws)
    part = made_up(middle, **{"svd(M*)": rich, "QWEM": rich} | dict.fromkeys(NULLS, poor))
    rows = {row.id: row for row in STUDY.evidence(WordModels(SETTINGS["quick"], (part,)))}
    assert set(rows) == set(STUDY.ids)
    assert {name for name, row in rows.items() if tends(row)} == {
        "word-models-null", "word-models-quadratic", "word-models-ppmi", "word-models-pmi"
    }  # fmt: skip
    assert rows["word-models-trained"].mean == -0.5 and rows["word-models-smoothing"].mean == 0
    assert rows["word-models-decided"].mean == 0  # redraws of few questions decide nothing
    at_tiny = STUDY.evidence(WordModels(SETTINGS["tiny"], (part,)))
    assert [row.id for row in at_tiny] == ["word-models-null"]


def test_an_undefined_score_has_no_interval():
    constant = score("made up", [{"made up": np.full(1001, np.nan)}])
    assert np.isnan(constant.mean) and all(np.isnan(constant.interval))
    assert np.isnan(spearman_redrawn(np.ones(12), np.arange(12.0))).all()
    assert Score(np.zeros(1), np.array([0.5, np.nan])).interval == (0.5, 0.5)
    assert "seeds" in score_text("MEN", Score(np.array([0.1, 0.2]), np.array([0.1, 0.2])))


def test_nothing_covered_is_refused():
    with pytest.raises(ValueError, match="none of its 18 questions"):
        measured(WordVectors(("a", "b"), np.eye(2, dtype=np.float32)), ITEMS)


def test_a_cut_takes_the_same_share_of_every_domain():
    """The first domain is one long document, the second many short ones."""
    texts = ["a b " * 50, *["c d"] * 50]
    found = Domains(word_text(texts, min_count=1), np.array([0, *[1] * 50]))
    half = found.cut(100, min_count=1)
    named = dict(zip(half.words, half.counts.tolist(), strict=True))
    assert named == {"a": 25, "b": 25, "c": 25, "d": 25}
    assert half.ends[0] == 50 and half.facts["words_read"] == 100
    whole = found.cut(None, min_count=1)
    assert len(whole.ids) == 200
    with pytest.raises(ValueError, match=r"words: need 1..200"):
        found.cut(201)


def test_words_of_the_domains_go_through_arrays():
    found = Domains(word_text(["naïve b", "b c"], min_count=1), np.array([0, 1]))
    again = domains_of(arrays_of(found))
    assert again.text.words == found.text.words and np.array_equal(again.text.ids, found.text.ids)
    assert np.array_equal(again.text.ends, found.text.ends) and again.domain.tolist() == [0, 1]


def test_missing_data_is_one_line(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA: not set"):
        pile_domains()
    monkeypatch.setenv("JAXEMBED_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="JAXEMBED_DATA: there is no"):
        pile_domains()


@pytest.mark.slow
def test_the_tiny_study_resumes_to_the_same_table(tmp_path, monkeypatch, tends):
    first = STUDY.result("tiny", keep=tmp_path)
    scores, order, _ = STUDY.tables(first)
    assert all(tends(row) for row in STUDY.evidence(first))
    assert len(scores.rows) == 2 * (1 + len(MODELS))
    assert {row[5] for row in order.rows} <= {"as published", "reversed", "open", "apart", "equal within 2 points"}
    monkeypatch.setattr(TextVectors, "vectors", None)  # whatever is made again fails
    again = STUDY.result("tiny", keep=tmp_path)
    assert STUDY.tables(again)[0].rows == scores.rows
    for part, before in zip(again.texts, first.texts, strict=True):
        assert all(np.array_equal(part.scores[name].draws, before.scores[name].draws) for name in part.scores)
