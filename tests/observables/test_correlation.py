import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxembed import observables

pearson, spearman = jax.jit(observables.pearson), jax.jit(observables.spearman)  # compiled once a shape


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    a = rng.normal(size=200)
    return jnp.asarray(a), jnp.asarray(0.6 * a + rng.normal(size=200))


def test_pearson_equals_scipy(pair, tolerance):
    np.testing.assert_allclose(pearson(*pair), stats.pearsonr(*map(np.asarray, pair)).statistic, atol=tolerance)


def test_spearman_equals_scipy_without_and_with_ties(pair, tolerance):
    for digits in (8, 1, 0):
        a, b = (jnp.round(x, digits) for x in pair)
        np.testing.assert_allclose(spearman(a, b), stats.spearmanr(*map(np.asarray, (a, b))).statistic, atol=tolerance)


def test_spearman_takes_integers_and_ignores_monotone_maps(pair, tolerance):
    a, b = pair
    np.testing.assert_allclose(spearman(jnp.exp(a), b), spearman(a, b), atol=tolerance)
    np.testing.assert_allclose(spearman(jnp.argsort(jnp.argsort(a)), b), spearman(a, b), atol=tolerance)


def test_signed_zeros_tie():
    a = jnp.array([0.0, -0.0, 1.0])
    np.testing.assert_allclose(spearman(a, jnp.array([1.0, 2.0, 3.0])), np.sqrt(3) / 2, rtol=1e-6)


@pytest.mark.parametrize("correlation", [observables.pearson, observables.spearman])
def test_plain_jit_and_vmap_agree(correlation, pair, tolerance):
    both = jnp.stack([pair[0], pair[1] ** 2])
    np.testing.assert_allclose(jax.jit(correlation)(*pair), correlation(*pair), rtol=tolerance)
    np.testing.assert_allclose(
        jax.vmap(correlation, (0, None))(both, pair[1])[1], correlation(both[1], pair[1]), atol=tolerance
    )


@pytest.mark.parametrize("correlation", [pearson, spearman])
@pytest.mark.parametrize("bad", [jnp.full(200, 0.1), jnp.full(200, jnp.nan)])
def test_a_constant_or_undefined_side_is_undefined(correlation, bad, pair):
    assert np.isnan(correlation(bad, pair[0])) and np.isnan(correlation(pair[0], bad))


@pytest.mark.parametrize("correlation", [pearson, spearman])
def test_one_nan_or_too_few_values_are_undefined(correlation, pair):
    assert np.isnan(correlation(pair[0].at[3].set(jnp.nan), pair[1]))
    assert np.isnan(correlation(pair[0][:1], pair[1][:1]))
    assert np.isnan(correlation(pair[0][:0], pair[1][:0]))


def test_tiny_and_huge_numbers_keep_their_correlation(pair, tolerance):
    a, b = pair
    np.testing.assert_allclose(pearson(a * 1e-30, b * 1e30), pearson(a, b), atol=tolerance)


def test_floors_declare_a_side_constant(pair):
    a, b = pair
    spread = float(jnp.std(a))
    assert np.isfinite(pearson(a, b, (0.99 * spread, 0.0)))
    assert np.isnan(pearson(a, b, (1.01 * spread, 0.0)))
