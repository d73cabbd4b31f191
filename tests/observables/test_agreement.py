import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxembed import observables
from jaxembed.observables import centred
from jaxembed.observables.agreement import _same_tokens

# compiled once a shape; test_plain_jit_and_vmap_agree runs the plain ones
r_cos, mantel = jax.jit(observables.r_cos), jax.jit(observables.mantel, static_argnames="permutations")
relative_error, scale_free_error = jax.jit(observables.relative_error), jax.jit(observables.scale_free_error)


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def slow_r_cos(W, S):
    W, S = np.asarray(W, np.float64), np.asarray(S, np.float64)
    pairs = [(i, j) for i in range(len(W)) for j in range(i + 1, len(W))]
    sides = [[float(M[i] @ M[j]) / (np.linalg.norm(M[i]) * np.linalg.norm(M[j])) for i, j in pairs] for M in (W, S)]
    return stats.pearsonr(*sides).statistic


def related(seed, tokens=12):
    """Embeddings that are a random linear image of signatures, so their cosines agree but not exactly."""
    S = normal(seed, tokens, 4)
    return S @ normal(seed + 1, 4, 30), S


def test_r_cos_equals_a_slow_loop(tolerance):
    for W, S in ((normal(0, 9, 5), normal(1, 9, 14)), related(2)):
        np.testing.assert_allclose(r_cos(W, S), slow_r_cos(W, S), atol=10 * tolerance)


def test_plain_jit_and_vmap_agree(tolerance):
    W, S = normal(0, 3, 9, 5), normal(1, 9, 14)
    np.testing.assert_allclose(r_cos(W[0], S), observables.r_cos(W[0], S), atol=tolerance)
    key = jax.random.key(0)
    plain = observables.mantel(W[0], S, key=key, permutations=19)
    np.testing.assert_allclose(mantel(W[0], S, key=key, permutations=19), plain, atol=tolerance)
    for error in (observables.relative_error, observables.scale_free_error):
        np.testing.assert_allclose(jax.jit(error)(W[0], W[1]), error(W[0], W[1]), rtol=10 * tolerance)
    lanes = jax.vmap(r_cos, (0, None))(W, S)
    np.testing.assert_allclose(lanes, [r_cos(w, S) for w in W], atol=10 * tolerance)


def test_r_cos_sees_neither_rotation_row_scale_nor_common_relabelling(tolerance):
    W, S = related(3)
    rotation = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(30, 30)))[0])
    relabel = np.random.default_rng(2).permutation(12)
    for W2, S2 in ((W @ rotation, S), (W * jnp.arange(1.0, 13.0)[:, None], S), (W[relabel], S[relabel])):
        np.testing.assert_allclose(r_cos(W2, S2), r_cos(W, S), atol=100 * tolerance)
    assert abs(r_cos(W[relabel], S) - r_cos(W, S)) > 0.1  # one side relabelled is another question


def test_equal_signature_rows_are_undefined_even_up_to_rounding():
    row = np.random.default_rng(0).dirichlet(np.ones(160))
    eps = float(jnp.finfo(jnp.zeros(0).dtype).eps)
    noise = 1 + 8 * eps * np.random.default_rng(1).normal(size=(20, 160))
    assert np.isnan(r_cos(normal(0, 20, 8), jnp.asarray(row[None] * noise)))
    assert np.isnan(r_cos(jnp.asarray(row[None] * noise), normal(0, 20, 8)))
    assert np.isnan(r_cos(normal(0, 20, 8), centred(jnp.full((20, 160), 1 / 160), 1 / 160)))


def test_small_but_real_differences_are_defined():
    row = np.random.default_rng(0).dirichlet(np.ones(160))
    size = float(jnp.finfo(jnp.zeros(0).dtype).eps) ** 0.25
    signature = jnp.asarray(row[None] * (1 + size * np.random.default_rng(1).normal(size=(20, 160))))
    np.testing.assert_allclose(r_cos(signature, signature), 1, rtol=1e-5)


def test_too_few_tokens_or_a_zero_row_are_undefined():
    W = normal(0, 5, 3)
    assert np.isnan(r_cos(W[:2], W[:2])) and np.isnan(r_cos(W.at[1].set(0), W))
    assert np.isfinite(r_cos(W[:3], W[:3]))


def test_mantel_is_small_for_related_and_one_sided():
    W, S = related(0)
    assert r_cos(W, S) > 0.5
    assert mantel(W, S, key=jax.random.key(0), permutations=199) <= 0.02
    opposite = jnp.asarray(np.linalg.cholesky(1.2 * np.eye(12) - 0.1 * _unit(S) @ _unit(S).T))
    assert r_cos(opposite, S) < -0.9
    assert mantel(opposite, S, key=jax.random.key(0), permutations=199) >= 0.98


def _unit(S):
    S = np.asarray(S, np.float64)
    return S / np.linalg.norm(S, axis=1, keepdims=True)


def test_mantel_p_values_are_uniform_for_unrelated_matrices():
    keys = jax.random.split(jax.random.key(0), 300)
    test = jax.jit(jax.vmap(lambda W, S, key: mantel(W, S, key=key, permutations=99)))
    p = np.asarray(test(normal(0, 300, 10, 3), normal(1, 300, 10, 3), keys))
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert p.min() >= 0.01 and p.max() <= 1


def test_mantel_counts_what_a_slow_loop_counts(tolerance):
    W, S = normal(0, 6, 3), normal(1, 6, 4)
    key = jax.random.key(5)
    shuffles = [jax.random.permutation(k, 6) for k in jax.random.split(key, 60)]
    count = sum(slow_r_cos(W[s], S) >= slow_r_cos(W, S) - 1e-6 for s in shuffles)
    np.testing.assert_allclose(mantel(W, S, key=key, permutations=60), (1 + count) / 61, rtol=tolerance)


def test_a_permutation_that_changes_nothing_counts_as_equal():
    three = jnp.asarray(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
    p = mantel(three, three, key=jax.random.key(0), permutations=199)  # 1 of 6 relabellings, and its best one
    assert 0.1 < p < 0.25


def test_mantel_undefined_and_refusals():
    W = normal(0, 5, 3)
    assert np.isnan(mantel(W, jnp.ones((5, 2)), key=jax.random.key(0), permutations=9))
    with pytest.raises(ValueError, match="permutations: need at least 1, got 0"):
        mantel(W, W, key=jax.random.key(0), permutations=0)


def test_errors_by_hand(tolerance):
    a, b = normal(0, 4, 4), normal(1, 4, 4)
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_allclose(relative_error(a, b), np.linalg.norm(x - y) / np.linalg.norm(y), rtol=tolerance)
    scales = np.linspace(0, 3, 30001)
    best = min(np.linalg.norm(s * x - y) for s in scales) / np.linalg.norm(y)
    np.testing.assert_allclose(scale_free_error(a, b), best, rtol=1e-5)


def test_scale_is_seen_by_one_error_and_not_by_the_other(tolerance):
    a, b = normal(0, 4, 4) + 1, normal(1, 4, 4) + 1
    np.testing.assert_allclose(scale_free_error(1e-20 * a, b), scale_free_error(a, b), rtol=10 * tolerance)
    np.testing.assert_allclose(relative_error(3 * b, b), 2, rtol=tolerance)
    np.testing.assert_allclose(relative_error(1e-25 * a, 1e-25 * b), relative_error(a, b), rtol=10 * tolerance)
    np.testing.assert_allclose(scale_free_error(-b, b), 1, rtol=tolerance)  # a negative scale explains nothing


def test_errors_against_zero():
    zero, b = jnp.zeros((2, 2)), jnp.ones((2, 2))
    assert np.isnan(relative_error(b, zero)) and np.isnan(scale_free_error(b, zero))
    assert relative_error(zero, b) == 1 and scale_free_error(zero, b) == 1


def test_an_error_that_is_undefined_stays_so():
    assert np.isnan(relative_error(jnp.full((2, 2), jnp.nan), jnp.ones((2, 2))))
    assert np.isnan(scale_free_error(jnp.full((2, 2), jnp.nan), jnp.ones((2, 2))))


def test_unequal_numbers_of_tokens_are_refused():
    with pytest.raises(ValueError, match=r"S: need one row per row of W \(5 tokens\), got 4"):
        _same_tokens(normal(0, 5, 3), normal(1, 4, 3))  # in r_cos the shape checker of the tests speaks first
    with pytest.raises(ValueError, match="a, b: need the same shape"):
        relative_error(normal(0, 5, 3), normal(1, 3))
