"""Statistics of sequences against matrices written out sequence by sequence; what adds, adds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.statistics import sequence_signatures
from jaxembed.statistics import sequences as module

VOCAB, LENGTH, EXAMPLES = 5, 6, 9


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.integers(VOCAB - 1, size=(EXAMPLES, LENGTH + 1)), rng.random(EXAMPLES)


def slow(sequences, weights):
    """The definitions with T x V matrices; nothing shared with the counting code."""
    weights = weights / weights.sum()
    one_hot = np.eye(VOCAB)[sequences]
    uniform = np.tril(np.ones((LENGTH, LENGTH))) / np.arange(1, LENGTH + 1)[:, None]
    pieces = [(w, x[:-1], x[1:] - 1 / VOCAB) for w, x in zip(weights, one_hot, strict=True)]
    bigram = sum(w * x.T @ r for w, x, r in pieces) / LENGTH
    context = sum(w * r.T @ uniform @ x for w, x, r in pieces) / LENGTH
    gain = bigram.T @ bigram @ context
    attention, position = np.zeros((VOCAB, VOCAB)), np.zeros(LENGTH)
    for w, x, r in pieces:
        s = r @ gain @ x.T
        for t in range(LENGTH):
            for key in range(t + 1):
                q = (s[t, key] - s[t, : t + 1].mean()) / (t + 1)
                attention += w / LENGTH * q * np.outer(x[t], x[key])
                position[t - key] += w / LENGTH * q
    return {"bigram": bigram, "context": context, "attention": attention, "position": position}


def fields(sig):
    return {name: np.asarray(getattr(sig, name)) for name in ("bigram", "context", "attention", "position")}


def agree(found, expected, tolerance):
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=tolerance * np.abs(expected[name]).max())


@pytest.mark.parametrize("uneven", [False, True])
def test_they_equal_the_definitions_written_out(data, uneven, tolerance):
    sequences, weights = data
    weights = weights if uneven else np.ones(EXAMPLES)
    agree(fields(sequence_signatures(sequences, VOCAB, weights=weights)), slow(sequences, weights), 10 * tolerance)


def test_parts_give_the_same_as_one_piece(data, monkeypatch, tolerance):
    sequences, weights = data
    whole = fields(sequence_signatures(sequences, VOCAB, weights=weights))
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 2 * (LENGTH + 1) ** 2)
    agree(fields(sequence_signatures(sequences, VOCAB, weights=weights)), whole, tolerance)


def test_both_passes_add_over_data_given_the_first_of_all(data, tolerance):
    sequences, weights = data
    halves = [(sequences[:4], weights[:4]), (sequences[4:], weights[4:])]
    first, second = (module.count_pairs(s, VOCAB, weights=w) for s, w in halves)
    pairs = first + second
    assert abs(pairs.mass - weights.sum()) < 1e-12
    parts = [module.count_attention(s, pairs, weights=w) for s, w in halves]
    whole = fields(sequence_signatures(sequences, VOCAB, weights=weights))
    agree(fields(module.from_counts(pairs, parts[0] + parts[1])), whole, tolerance)
    # Counted with its own half's pairs, the second pass does not add: it is a product of statistics.
    own = [module.count_attention(s, own, weights=w) for (s, w), own in zip(halves, (first, second), strict=True)]
    wrong = fields(module.from_counts(pairs, own[0] + own[1]))["attention"]
    assert np.abs(wrong - whole["attention"]).max() > 0.1 * np.abs(whole["attention"]).max()


def test_the_sums_that_vanish(data):
    sig = sequence_signatures(data[0], VOCAB, weights=data[1])
    size = {name: np.abs(x).max() for name, x in fields(sig).items()}
    exact = 1e-12 if sig.bigram.dtype == np.float64 else 1e-5
    assert np.abs(sig.bigram.sum(axis=1)).max() < exact * size["bigram"] * VOCAB
    assert np.abs(sig.context.sum(axis=0)).max() < exact * size["context"] * VOCAB
    assert np.abs(sig.attention.sum(axis=1)).max() < exact * size["attention"] * VOCAB
    assert abs(float(sig.position.sum())) < exact * size["position"] * LENGTH


def test_products_and_the_tree(data, tolerance):
    sig = sequence_signatures(data[0], VOCAB)
    b, phi = np.asarray(sig.bigram), np.asarray(sig.context)
    np.testing.assert_allclose(sig.interchangeability, b.T @ b, atol=tolerance)
    np.testing.assert_allclose(sig.value, phi.T @ b.T, atol=tolerance)
    assert len(jax.tree.leaves(sig)) == 4
    stacked = jax.tree.map(lambda *x: jnp.stack(x), sig, sig)
    np.testing.assert_allclose(jax.vmap(lambda s: s.value)(stacked)[1], sig.value, atol=tolerance)


def test_relabelling_tokens_permutes(data, tolerance):
    order = np.random.default_rng(2).permutation(VOCAB)
    sig, moved = sequence_signatures(data[0], VOCAB), sequence_signatures(order[data[0]], VOCAB)
    for name in ("bigram", "context", "attention"):
        expected = np.asarray(getattr(sig, name))
        found = np.asarray(getattr(moved, name))[np.ix_(order, order)]
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())
    np.testing.assert_allclose(moved.position, sig.position, atol=tolerance * np.abs(sig.position).max())


BAD = [
    (lambda: sequence_signatures(np.zeros((2, 1), int), 3), "at least 2 positions"),
    (lambda: sequence_signatures(np.full((2, 3), 3), 3), "id 3 is outside"),
    (lambda: sequence_signatures(np.zeros((2, 3), int), 3, weights=np.zeros(2)), "weights: need one finite"),
    (lambda: module.count_pairs(np.zeros((2, 3), int), 3) + module.count_pairs(np.zeros((2, 4), int), 3), "share both"),
    (
        lambda: module.count_attention(np.zeros((2, 4), int), module.count_pairs(np.zeros((2, 3), int), 3)),
        "cut all to one length",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)
