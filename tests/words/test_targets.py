"""Targets beside their formulas, and their leading eigenvectors beside dense ones."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array

from jaxembed.base import checked_dataset
from jaxembed.statistics import count, signatures
from jaxembed.theory import word_pairs
from jaxembed.words import (
    Convention,
    Cooccurrence,
    SparsePlusConstant,
    cooccurrence,
    eigenpairs,
    factor_vectors,
    pmi,
    ppmi,
    quadratic_target,
)
from tests.words._small import table, text

HOLES = cooccurrence(text(40, (300, 200), seed=0), Convention(2))
SEEN = HOLES.matrix.toarray() > 0


def dense_ratio(pairs):
    joint = pairs.matrix.toarray() / pairs.matrix.sum()
    return joint / np.outer(joint.sum(axis=0), joint.sum(axis=1))


def test_the_targets_equal_their_formulas():
    assert 0 < SEEN.mean() < 1
    ratio = dense_ratio(HOLES)
    with np.errstate(divide="ignore"):
        logs = np.log(ratio)
    expected = {
        quadratic_target(HOLES): 2 * (ratio - 1) / (ratio + 1),
        quadratic_target(HOLES, negatives=5): 2 * np.tanh((logs - np.log(5)) / 2),
        pmi(HOLES, smoothing=0.01): np.log(ratio + 0.01),
        ppmi(HOLES): np.maximum(logs, 0),
        ppmi(HOLES, negatives=3): np.maximum(logs - np.log(3), 0),
    }
    for target, values in expected.items():
        assert np.allclose(target.dense(), values, atol=1e-10), target.name
        assert np.allclose(target.dense(), target.dense().T)
        x = np.random.default_rng(0).normal(size=(40, 2))
        assert np.allclose(target.matmul(x), values @ x) and np.allclose(target.matmul(x[:, 0]), values @ x[:, 0])
        assert np.allclose(target.top(9).dense(), values[:9, :9])


def test_pairs_that_never_meet_have_the_constant():
    assert np.all(quadratic_target(HOLES).dense()[~SEEN] == -2)
    assert np.all(pmi(HOLES, smoothing=1e-25).dense()[~SEEN] == np.log(1e-25))
    assert np.all(ppmi(HOLES).dense()[~SEEN] == 0)


def test_a_word_that_meets_nobody_divides_nothing():
    pairs = Cooccurrence(
        csr_array(np.array([[2.0, 0, 1], [0, 0, 0], [1, 0, 2]])), ("a", "b", "c"), np.ones(3), Convention()
    )
    found = quadratic_target(pairs).dense()
    assert np.isfinite(found).all() and np.all(found[1] == -2)


def test_theory_has_the_same_target():
    pairs = table(6, seed=1)
    first, second = np.indices((6, 6)).reshape(2, -1)
    data = checked_dataset(first[:, None], second, pairs.matrix.toarray().ravel(), 6)
    sig = signatures(count(data, order=1))
    assert np.allclose(quadratic_target(pairs, negatives=2).dense(), word_pairs.target(sig, 2.0), atol=1e-5)


def test_a_power_of_contexts_is_shared_by_both_sides():
    """With both marginals even, a power changes nothing; else it is the mean of PMI over the two roles of a pair."""
    even = Cooccurrence(csr_array(np.array([[1.0, 3.0], [3.0, 1.0]])), ("a", "b"), np.array([4.0, 4.0]), Convention())
    assert np.allclose(ppmi(even, context_power=0.75).dense(), ppmi(even).dense())
    joint = HOLES.matrix.toarray() / HOLES.matrix.sum()
    share = joint.sum(axis=0)
    context = share**0.75 / np.sum(share**0.75)
    with np.errstate(divide="ignore"):
        one_sided = np.log(joint / np.outer(share, context))
    assert np.allclose(ppmi(HOLES, context_power=0.75).dense(), np.maximum((one_sided + one_sided.T) / 2, 0))


@pytest.mark.parametrize("by", ["value", "magnitude"])
@pytest.mark.parametrize("method", ["lanczos", "randomised", "lobpcg"])
def test_eigenpairs_equal_dense_ones(method, by):
    target = quadratic_target(HOLES)
    if (method, by) == ("lobpcg", "magnitude"):
        with pytest.raises(ValueError, match="largest eigenvalues only"):
            eigenpairs(target, 4, method=method, by=by)
        return
    values, vectors = np.linalg.eigh(target.dense())
    order = np.argsort(-(values if by == "value" else np.abs(values)))[:4]
    found, strengths = eigenpairs(target, 4, method=method, by=by, workers=2, tolerance=1e-6)
    assert found.dtype == np.float32
    assert np.allclose(strengths, values[order], rtol=1e-3)
    assert np.allclose(np.abs(np.sum(found * vectors[:, order], axis=0)), 1, atol=1e-2)


@pytest.mark.parametrize(("vocab", "width"), [(9, 3), (10, 1), (12, 3), (15, 14), (29, 28), (47, 4), (48, 4), (90, 3)])
def test_the_randomised_method_is_right_for_every_size(vocab, width):
    dense = np.random.default_rng(vocab).normal(size=(vocab, vocab))
    target = SparsePlusConstant(csr_array(dense + dense.T), 0.3)
    values = np.linalg.eigvalsh(target.dense())
    for by, order in (("value", -values), ("magnitude", -np.abs(values))):
        vectors, found = eigenpairs(target, width, method="randomised", by=by, tolerance=1e-6)
        assert np.allclose(found, values[np.argsort(order)[:width]], rtol=1e-3)
        assert np.allclose(target.dense() @ vectors, vectors * found, atol=0.3)


def test_a_huge_constant_leaves_digits_to_the_others():
    target = pmi(HOLES, smoothing=1e-25)
    values = np.linalg.eigvalsh(target.dense())[::-1]
    assert np.allclose(eigenpairs(target, 3)[1], values[:3], rtol=1e-5)


def test_vectors_reproduce_the_positive_part():
    """At full width the products of the vectors are the target without its negative eigenvalues."""
    target = quadratic_target(HOLES)
    values, vectors = np.linalg.eigh(target.dense())
    positive = np.maximum(values, 0)
    made = factor_vectors(HOLES.words, vectors.astype(np.float32), values.astype(np.float32))
    assert made.width == np.sum(values > 0) < 40
    assert np.allclose(made.matrix @ made.matrix.T, (vectors * positive[None, :]) @ vectors.T, atol=1e-4)
    plain = factor_vectors(HOLES.words, vectors.astype(np.float32), np.abs(values).astype(np.float32), power=0)
    assert np.allclose(np.linalg.norm(plain.matrix, axis=0), 1, atol=1e-5)


def test_settings_without_a_meaning_are_refused():
    with pytest.raises(ValueError, match="smoothing: need more than 0"):
        pmi(HOLES, smoothing=0)
    with pytest.raises(ValueError, match="negatives: need more than 0"):
        ppmi(HOLES, negatives=0)
    with pytest.raises(ValueError, match=r"width: need 1..39"):
        eigenpairs(ppmi(HOLES), 40)
    with pytest.raises(ValueError, match="none is positive"):
        factor_vectors(("a", "b"), np.eye(2, dtype=np.float32), -np.ones(2, np.float32))
    empty = SparsePlusConstant(csr_array((3, 3)), 1.0)
    assert jnp.allclose(empty.matmul(np.ones(3)), 3.0)
