"""States of whole documents, probes, references and the regression against slow routes; the study at size tiny."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("tokenizers")

from jaxembed.analysis.topics.perplexity import perplexity_link
from jaxembed.analysis.topics.probes import (
    METRICS,
    bag_of_tokens,
    predict_by_last_token,
    score_majority,
    split_documents,
)
from jaxembed.analysis.topics.result import BAG, NULLS, TopicScores, topics_of_model
from jaxembed.analysis.topics.scores import EMBEDDINGS, READ
from jaxembed.analysis.topics.states import places, read_states
from jaxembed.analysis.topics.task import TopicSizes
from jaxembed.analysis.topics.texts import DocumentSet, draw_texts, select_documents
from jaxembed.corpus import Document, byte_bpe
from jaxembed.models import gpt2, qwen2
from jaxembed.studies.language.natural_topics import SETTINGS, STUDY, NaturalTopics

VOCAB = 30
CHECKED = {"topics-weak-nulls", *(f"topics-newsgroups-{what}" for what in ("last", "untrained-best", "embeddings",
                                                                          "bag", "perplexity"))}  # fmt: skip
LENGTHS = (66, 5)


def part(lengths=LENGTHS, seed=0):
    rng = np.random.default_rng(seed)
    ids = tuple(rng.integers(1, VOCAB, n).astype(np.int32) for n in lengths)
    return DocumentSet(tuple(Document(f"{k}", f"made:{k}", None) for k in range(len(ids))), ids)


@partial(jax.jit, static_argnames="model")
def read_alone(params, tokens, *, model):
    """States and log-probabilities of one document that nothing is added to."""
    return model.states(params, tokens)[:, 0], jax.nn.log_softmax(model.apply_batch(params, tokens)[0])


@pytest.mark.parametrize(("start", "lengths"), [(0, LENGTHS), (None, LENGTHS[1:])])
def test_states_and_losses_against_one_document_at_a_time(start, lengths):
    model = gpt2(width=8, layers=1, heads=2, max_positions=70)  # fewer than documents are padded to
    documents, first = part(lengths), int(start is not None)
    with jax.enable_x64(False):
        params = model.init(jax.random.key(0), VOCAB, 70)
    found = read_states(model, params, documents, start, 4, budget=2000)  # a batch each
    nats = []
    for k, ids in enumerate(documents.ids):
        whole = np.concatenate([[start], ids]) if first else ids
        tokens = jnp.asarray(whole[None], jnp.int32)
        states, logs = (np.asarray(part) for part in read_alone(params, tokens, model=model))
        losses = np.concatenate([[np.nan], -logs[np.arange(len(whole) - 1), whole[1:]]])[first:]
        inside = states[:, first:]
        expected = np.stack([inside[:, 0], inside[:, -1], inside.mean(axis=1)], axis=1)
        np.testing.assert_allclose(found.pooled[:, :, k], expected, rtol=1e-4, atol=1e-5)
        at = places(np.array([len(ids)]), 4)[0]
        np.testing.assert_allclose(found.along[:, k], inside[-1, at - 1], rtol=1e-4, atol=1e-5)
        means = [losses[a:b].mean() if b > a else np.nan for a, b in pairwise(at)]
        np.testing.assert_allclose(found.losses[:, k], [*means, np.nan], rtol=1e-4)
        nats.append(losses[~np.isnan(losses)])
    assert found.loss == pytest.approx(np.concatenate(nats).mean(), rel=1e-5)


def test_documents_beyond_the_table_of_positions_are_refused():
    with pytest.raises(ValueError, match="length: documents of 67 tokens with their start, but the model has 64"):
        read_states(gpt2(width=8, layers=1, heads=2, max_positions=64), {}, part(), 0, 2)


def test_only_whole_documents_are_taken():
    texts = draw_texts(30)
    tokenizer = byte_bpe((one.text for one in texts.train), 300)
    ids = tokenizer.encode([one.text for one in texts.train])
    lengths = [len(one) for one in ids]
    middle = int(np.median(lengths))
    found = select_documents(texts.train, ids, 1, middle)
    assert len(found) == sum(n <= middle for n in lengths) and found.lengths.max() <= middle
    assert len(select_documents(texts.train, ids, 1, middle, 7)) == 7
    with pytest.raises(ValueError, match="none of 30 documents has 1 to 2 tokens"):
        select_documents(texts.train, ids, 1, 2)


def test_references_against_loops():
    rng = np.random.default_rng(0)
    targets, tokens = rng.dirichlet(np.ones(3), 60), rng.integers(0, 4, 60)
    split = split_documents(60, 1)
    assert sorted([*split.fit, *split.validation]) == list(range(60)) and len(split.validation) == 9
    found = predict_by_last_token(tokens, np.array([0, 3, 4]), targets, split, 5)
    mean = targets[split.fit].mean(axis=0)
    np.testing.assert_allclose(found[2], mean)  # a token that no training document ends in
    own = targets[split.fit][tokens[split.fit] == 0]
    shares = [(own.sum(axis=0) + w * mean) / (len(own) + w) for w in (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 1000.0)]
    assert any(np.allclose(found[0], share) for share in shares)
    scored = dict(zip(METRICS, score_majority(targets, targets), strict=True))
    assert scored["accuracy"] == pytest.approx(np.bincount(targets.argmax(1)).max() / 60)
    assert scored["L2"] == pytest.approx(targets.var(axis=0).sum())


def test_a_bag_keeps_counts_and_loses_order():
    rng = np.random.default_rng(0)
    documents = [rng.integers(0, 6, 20) for _ in range(40)]
    train, test = bag_of_tokens(documents, [rng.permutation(ids) for ids in documents], 6)
    np.testing.assert_allclose(train, test, atol=1e-5)
    logs = np.log1p([np.bincount(ids, minlength=6) for ids in documents])
    gaps = [np.linalg.norm(rows[:, None] - rows[None, :], axis=2) for rows in (train, logs)]
    np.testing.assert_allclose(*gaps, atol=1e-4)


def planted(effect, documents=300, shares=6, seed=0):
    """Losses with a document effect that goes with the accuracy, a slope along the document, and a planted effect."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(size=documents)
    right = rng.normal(size=(shares, documents)) + ease[None, :] > 0
    place = np.linspace(0, 1, shares - 1)[:, None]
    losses = 5 - 2 * ease[None, :] - place + effect * right[:-1] + 0.1 * rng.normal(size=(shares - 1, documents))
    return np.concatenate([losses, np.full((1, documents), np.nan)]), right


def test_the_regression_against_least_squares_with_a_column_for_every_document():
    losses, right = planted(-0.3, documents=40)
    losses[1, :5] = np.nan
    found = perplexity_link(losses, right, resamples=50)
    rows = [(n, d) for n in range(5) for d in range(40) if not np.isnan(losses[n, d])]
    design = np.array([[right[n, d], n / 4, *(np.arange(40) == d)] for n, d in rows], float)
    expected = np.linalg.lstsq(design, np.array([losses[n, d] for n, d in rows]), rcond=None)[0][0]
    assert found.coefficient == pytest.approx(expected, abs=1e-10)
    steps = np.array([[right[n, d], *(np.arange(1, 5) == n), *(np.arange(40) == d)] for n, d in rows], float)
    expected = np.linalg.lstsq(steps, np.array([losses[n, d] for n, d in rows]), rcond=None)[0][0]
    assert found.flexible[0] == pytest.approx(expected, abs=1e-10)
    assert found.rows == len(rows) and found.documents == 40


@pytest.mark.parametrize("effect", [-0.3, 0.0])
def test_a_planted_effect_is_found_though_easy_documents_have_both(effect):
    found = perplexity_link(*planted(effect), resamples=300)
    assert found.low < effect < found.high and found.high - found.low < 0.1
    assert found.null[1] < 0 < found.null[2] and found.between < -0.5
    losses, right = planted(effect)
    with pytest.raises(ValueError, match="at least 2 places"):
        perplexity_link(losses[-2:], right[-2:])
    assert np.isnan(perplexity_link(losses, np.ones_like(right), resamples=5).coefficient)


def test_a_network_below_the_bag_of_tokens_falls_short(tends):
    """The bag counts among the nulls: the share is negative, and so are the checks against it and the embeddings."""
    accuracies = {"last": 0.2, "average": 0.3, EMBEDDINGS: 0.31}
    trained = {f"20 {name}": np.full((2, 3, 4), accuracies.get(name, 0.1)) for name in (*READ, "shuffled targets")}
    untrained = {f"20 {name}": np.full((2, 3, 4), 0.15) for name in READ}
    layers = {"layers average": np.zeros((2, 5, 3))}
    references = {f"20 {name}": np.full((3, 4), 0.4 if name == BAG else 0.1) for name in NULLS}
    links = tuple(perplexity_link(*planted(-0.3, seed=seed), resamples=20) for seed in range(2))
    scores = TopicScores("", TopicSizes(), (1, 1), trained | layers, untrained | layers, references, links, ())
    result = NaturalTopics(SETTINGS["quick"], scores)
    np.testing.assert_allclose(scores.closed(20), (0.3 - 0.4) / 0.6)
    missed = [row.id for row in STUDY.evidence(result) if not tends(row) and row.id in CHECKED]
    assert missed == ["topics-newsgroups-embeddings", "topics-newsgroups-bag"]
    bound = {row.id: row.bound for row in STUDY.evidence(result)}["topics-newsgroups"]
    assert bound.source == BAG and bound.least == pytest.approx(0.4)


def test_without_data_the_study_says_what_it_needs(monkeypatch):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA: not set; name the folder that holds newsgroups20"):
        SETTINGS["quick"].texts()


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    from jaxembed.models.hugging_face import write_model

    model = qwen2(width=8, layers=1, heads=2, kv_heads=2, mlp_width=16)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), 300, 8))
    write_model(tmp_path, model, jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes))
    texts = draw_texts(30)
    with pytest.raises(ValueError, match=r"holds no tokenizer\.json to read text with"):
        topics_of_model(tmp_path, texts, SETTINGS["tiny"].sizes)
    byte_bpe((one.text for one in texts.train), 310).save(tmp_path / "tokenizer.json")
    with pytest.raises(ValueError, match="310 tokens and the model 300 rows"):
        topics_of_model(tmp_path, texts, SETTINGS["tiny"].sizes)


@pytest.mark.slow
def test_the_study_at_size_tiny(tmp_path, tends):
    result = STUDY.result("tiny", seeds=1, keep=tmp_path)
    held = {row.id for row in STUDY.evidence(result) if tends(row)}
    assert held >= {"topics-weak-nulls", "topics-made-up-last"}
    scores, size = result.scores, result.setting.sizes.topics[0]
    # Two fits of made-up documents agree on most, and shuffled targets teach nothing.
    assert scores.accuracy(size, "another LDA fit").min() > 0.8 > 0.5 > scores.accuracy(size, "shuffled targets").max()
    assert scores.references["prefix"][-1] == 1 and np.all(np.diff(scores.references["prefix"]) > 0)
    assert scores.trained["loss"][0] < scores.untrained["loss"][0] - 2
    again = STUDY.result("tiny", seeds=1, keep=tmp_path)
    assert STUDY.tables(again) == STUDY.tables(result)
