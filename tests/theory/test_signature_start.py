"""theory/signature_start.md: modes of the pair counts as a start, and the controls of the same norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.statistics import count_neighbours
from jaxembed.theory import signature_start as theory
from jaxembed.theory.signature_start import Form, pair_modes, signature_start

VOCAB, WIDTH, UNSEEN = 14, 5, 13
KEY = jax.random.key(0)
FORMS = [Form(), Form(normaliser=0.0), Form(power=1.0), Form(whitening=0.5), Form(rows="equal")]


def markov(seed, tokens=6000):
    rng = np.random.default_rng(seed)
    chain = np.cumsum(rng.dirichlet(np.full(UNSEEN, 0.3), size=UNSEEN), axis=1)
    ids = [0]
    for draw in rng.random(tokens - 1):
        ids.append(min(int(np.searchsorted(chain[ids[-1]], draw)), UNSEEN - 1))
    return np.asarray(ids)


def counted(ids):
    return count_neighbours(np.asarray(ids), np.asarray([len(ids)]), VOCAB)


@pytest.fixture(scope="module")
def pairs():
    return counted(markov(0))


@pytest.fixture(scope="module")
def start(pairs):
    return signature_start(pairs, WIDTH, key=KEY)


def table(pairs, normaliser):
    """D_r^-a (P - r c^T) D_c^-a written out; rows and columns without a pair are zero."""
    joint = pairs.counts.toarray() / pairs.total
    first, second = joint.sum(axis=1), joint.sum(axis=0)
    rows, columns = (np.divide(1, rate**normaliser, where=rate > 0, out=np.zeros(VOCAB)) for rate in (first, second))
    return rows[:, None] * (joint - np.outer(first, second)) * columns[None, :]


@pytest.mark.parametrize("normaliser", [0.5, 0.0, 0.25])
def test_modes_are_the_singular_value_decomposition_of_the_table(pairs, normaliser):
    left, strength, right = np.linalg.svd(table(pairs, normaliser))
    modes = pair_modes(pairs, WIDTH, normaliser=normaliser)
    np.testing.assert_allclose(modes.strength, strength[:WIDTH], rtol=1e-10)
    expected = left[:, :WIDTH] * strength[:WIDTH] @ right[:WIDTH]
    np.testing.assert_allclose(modes.embed * modes.strength @ modes.unembed.T, expected, atol=1e-10)
    np.testing.assert_allclose(modes.embed.T @ modes.embed, np.eye(WIDTH), atol=1e-10)


def test_strengths_are_correlations(pairs):
    assert pair_modes(pairs, 3).strength.max() < 1
    halves = np.concatenate([np.tile([0, 1, 1, 0, 2, 2], 300), np.tile([3, 4, 4, 3, 5, 5], 300)])
    # Only one of 3,599 pairs leads from one half to the other.
    assert pair_modes(counted(halves), 1).strength[0] > 0.99
    independent = np.random.default_rng(1).integers(VOCAB, size=200_000)
    assert pair_modes(counted(independent), 1).strength[0] < 0.02


def test_the_same_counts_give_the_same_start(pairs):
    one, other = (signature_start(counted(markov(0)), WIDTH, key=KEY) for _ in range(2))
    known = signature_start(pairs, WIDTH, key=KEY, modes=pair_modes(pairs, WIDTH))
    for name, rows in one.items():
        np.testing.assert_array_equal(rows, other[name])
        np.testing.assert_array_equal(rows, known[name])


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("norm", [0.02, 0.3])
def test_norm_and_type_are_as_stated(pairs, form, norm):
    for rows in signature_start(pairs, WIDTH, key=KEY, norm=norm, form=form).values():
        assert rows.shape == (VOCAB, WIDTH) and rows.dtype == jnp.float32
        assert abs(np.linalg.norm(rows) / (norm * (VOCAB * WIDTH) ** 0.5) - 1) < 1e-5


def test_logits_of_the_start_are_the_table_of_pairs(pairs):
    modes = pair_modes(pairs, WIDTH)
    rebuilt = modes.embed * modes.strength @ modes.unembed.T
    rates = np.outer(pairs.firsts, pairs.seconds) ** 0.5
    best = np.divide(rebuilt, rates, where=rates > 0, out=np.zeros_like(rebuilt))
    seen = np.ix_(np.arange(UNSEEN), np.arange(UNSEEN))
    for form, expected in ((Form(), rebuilt), (Form(whitening=0.5), best)):
        start = signature_start(pairs, WIDTH, key=KEY, form=form)
        made = (np.asarray(start["embed"]) @ np.asarray(start["unembed"]).T)[seen]
        correlation = np.sum(made * expected[seen]) / np.linalg.norm(made) / np.linalg.norm(expected[seen])
        assert abs(correlation - 1) < 1e-5


def test_rows_of_equal_length(pairs):
    for rows in signature_start(pairs, WIDTH, key=KEY, form=Form(rows="equal")).values():
        lengths = np.linalg.norm(rows, axis=1)[:UNSEEN]
        np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)


def test_unseen_tokens_get_random_rows(pairs):
    one, other = (signature_start(pairs, WIDTH, key=jax.random.key(seed)) for seed in (0, 1))
    for name, rows in one.items():
        typical = np.sqrt(np.mean(np.asarray(rows)[:UNSEEN] ** 2))
        length = np.sqrt(np.mean(np.asarray(rows)[UNSEEN] ** 2))
        assert 0.1 * typical < length < 4 * typical
        assert not np.allclose(rows[UNSEEN], other[name][UNSEEN])
        difference = np.abs(np.asarray(rows - other[name]))
        assert difference[:UNSEEN].max() < 0.1 * difference[UNSEEN].max()  # what is left is the common scale


def test_permuted_rows_go_to_the_same_wrong_tokens_in_both_tables(start):
    moved = theory.permuted(start, jax.random.key(3))
    rows = np.asarray(start["embed"])
    order = [int(np.flatnonzero((rows == row[None, :]).all(axis=1))[0]) for row in np.asarray(moved["embed"])]
    assert sorted(order) == list(range(VOCAB)) and order != list(range(VOCAB))
    np.testing.assert_array_equal(moved["unembed"], start["unembed"][np.asarray(order)])


def test_rotation_keeps_every_singular_value_and_no_meaning(pairs):
    start = signature_start(pairs, WIDTH, key=KEY)
    turned = theory.rotated(start, jax.random.key(3))
    for name, rows in turned.items():
        values = [np.linalg.svd(np.asarray(x, np.float64), compute_uv=False) for x in (rows, start[name])]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-5)
    logits = [np.asarray(one["embed"] @ one["unembed"].T) for one in (start, turned)]
    assert abs(np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1]) < 0.5
    np.testing.assert_array_equal(turned["embed"], theory.rotated(start, jax.random.key(3))["embed"])


def test_a_rotation_has_no_preferred_direction():
    """Mean of the rotated table over keys is zero: QR without its signs would leave a bias."""
    start = {"embed": jnp.eye(6, 2), "unembed": jnp.eye(6, 2)}
    turned = np.stack([theory.rotated(start, jax.random.key(i))["embed"] for i in range(100)])
    assert np.abs(turned.mean(axis=0)).max() < 4 * turned.std() / 10


def test_a_standard_start_has_the_same_norm(start):
    for name, rows in theory.standard(start, KEY).items():
        assert abs(np.linalg.norm(rows) / np.linalg.norm(start[name]) - 1) < 1e-5
        assert np.linalg.norm(rows - start[name]) > np.linalg.norm(rows)


def test_scaled(start):
    for name, rows in theory.scaled(start, 0.5).items():
        np.testing.assert_allclose(rows, 0.5 * np.asarray(start[name]), rtol=1e-6)


def test_what_cannot_be_is_refused(pairs):
    with pytest.raises(ValueError, match="fewer"):
        pair_modes(pairs, VOCAB)
    with pytest.raises(ValueError, match="at least one pair"):
        signature_start(counted([1]), 2, key=KEY)
