"""Entropy, divergence, rank and surprisal against slow float64 references, whole and in blocks."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr
from scipy.stats import rankdata

from jaxembed.observables import divergence, entropy, rank, read_out, surprisal
from jaxembed.observables.next_token import HELD, rows_within

ROWS, WIDTH, VOCAB = 13, 4, 29


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(0)
    states, final = 2 * rng.normal(size=(2, ROWS, WIDTH))
    return states, final, rng.normal(size=(VOCAB, WIDTH)), rng.integers(0, VOCAB, ROWS)


def test_the_four_numbers_are_those_of_scipy(tables, tolerance):
    states, final, head, targets = tables
    found = read_out(*map(jnp.asarray, (states, head, targets, final)))
    log_p, log_q = log_softmax(final @ head.T, axis=1), log_softmax(states @ head.T, axis=1)
    slow = {
        "entropy": -np.sum(np.exp(log_q) * log_q, axis=1),
        "divergence": rel_entr(np.exp(log_p), np.exp(log_q)).sum(axis=1),
        "rank": rankdata(-log_q, axis=1)[np.arange(ROWS), targets],
        "surprisal": -log_q[np.arange(ROWS), targets],
    }
    for name, expected in slow.items():
        np.testing.assert_allclose(getattr(found, name), expected, rtol=20 * tolerance, err_msg=name)


def test_blocks_change_nothing(tables):
    states, final, head, targets = map(jnp.asarray, tables)
    budget = 3 * HELD * states.dtype.itemsize * VOCAB  # three rows: the last block is not full
    assert rows_within(budget, VOCAB, states.dtype.itemsize) == 3
    whole, cut = (read_out(states, head, targets, final, budget=size) for size in (2**27, budget))
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(cut), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_block_holds_no_more_than_its_budget():
    rows, vocab, budget = 4096, 512, 2**19
    shapes = [jnp.zeros((rows, 2)), jnp.zeros((vocab, 2)), jnp.zeros(rows, int), jnp.zeros((rows, 2))]
    held = jax.jit(partial(read_out, budget=budget)).lower(*shapes).compile().memory_analysis()
    assert held is not None
    table = rows * vocab * shapes[0].dtype.itemsize
    assert held.temp_size_in_bytes <= budget + 32 * rows * 8 < table


def test_limits(tolerance):
    uniform, sure = jnp.zeros(7), jnp.where(jnp.arange(7) == 2, 0.0, -jnp.inf)
    assert float(entropy(uniform)) == pytest.approx(np.log(7)) and float(entropy(sure)) == 0.0
    assert float(divergence(sure, uniform)) == pytest.approx(np.log(7))
    assert float(divergence(uniform, sure)) == np.inf and float(divergence(sure, sure)) == 0.0
    assert float(rank(uniform, jnp.array(3))) == 4.0  # the mean of 1 .. 7
    assert float(surprisal(sure, jnp.array(2))) == 0.0
    shifted = jnp.linspace(0.0, 3.0, 7)
    assert float(divergence(shifted, shifted + 50)) <= 100 * tolerance
    assert float(entropy(shifted)) == pytest.approx(float(entropy(jax.nn.log_softmax(shifted))), rel=10 * tolerance)


def test_undefined_logits_give_undefined_numbers():
    states, head = jnp.eye(3), jnp.eye(3).at[1, 0].set(jnp.nan)
    targets = jnp.array([0, 1, 2])
    found = read_out(states, head, targets)
    for name in ("entropy", "divergence", "rank", "surprisal"):
        assert np.isnan(getattr(found, name)).all(), name  # 0 x NaN: the head's fault is in every row
    logits = jnp.array([[0.0, jnp.nan, 1.0], [0.0, -jnp.inf, 1.0]])
    for numbers in (entropy(logits), divergence(logits, logits), rank(logits, jnp.array([0, 0]))):
        assert np.isnan(numbers).tolist() == [True, False]
    assert np.isnan(divergence(jnp.zeros(3), logits[0])) and np.isnan(divergence(logits[0], jnp.zeros(3)))


def test_far_logits_stay_finite():
    logits = jnp.array([0.0, -2000.0, 1500.0])
    assert float(entropy(logits)) == 0.0 and float(surprisal(logits, jnp.array(1))) == 3500.0
    assert float(divergence(logits, jnp.zeros(3))) == pytest.approx(np.log(3), rel=1e-6)


def test_a_fixed_distribution_is_a_head_of_one_column(tables, tolerance):
    _, final, head, targets = map(jnp.asarray, tables)
    fixed = jax.nn.log_softmax(jnp.arange(VOCAB, dtype=float) / 7)
    found = read_out(jnp.ones((ROWS, 1)), fixed[:, None], targets, final, head)
    own = entropy(final @ head.T)
    cross = -jax.nn.softmax(final @ head.T) @ fixed
    np.testing.assert_allclose(found.divergence, cross - own, rtol=100 * tolerance)
    np.testing.assert_allclose(found.surprisal, -fixed[targets], rtol=20 * tolerance)
