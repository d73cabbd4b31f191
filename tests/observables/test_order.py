import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxembed import observables

order, order_along = jax.jit(observables.order), jax.jit(observables.order_along)  # compiled once a shape


def slow_order(rows):
    rows = np.asarray(rows, np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(len(rows)) for j in range(i + 1, len(rows))]
    return stats.spearmanr([unit[i] @ unit[j] for i, j in pairs], [-(j - i) for i, j in pairs]).statistic


def arc(tokens, step=0.1):
    angle = step * jnp.arange(float(tokens))
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)


@pytest.mark.parametrize("tokens", [3, 10, 41])
def test_order_equals_scipy(tokens, tolerance):
    rng = np.random.default_rng(tokens)
    noisy = arc(tokens) + jnp.asarray(0.1 * rng.normal(size=(tokens, 2)))
    for rows in (jnp.asarray(rng.normal(size=(tokens, 6))), noisy):
        np.testing.assert_allclose(order(rows), slow_order(rows), atol=max(tolerance, 1e-12))


def test_equal_cosines_tie_although_they_round_differently(tolerance):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(40, 40)))[0]
    group = np.arange(16) // 4
    rows = rotation[group] * rng.uniform(0.5, 2, size=(16, 1))
    first, second = np.triu_indices(16, 1)
    expected = stats.spearmanr(group[first] == group[second], first - second).statistic
    np.testing.assert_allclose(order(jnp.asarray(rows)), expected, atol=tolerance)
    assert abs(slow_order(rows) - expected) > 1e-3  # what rounding does to ranks without ties


def test_an_arc_is_ordered_and_a_circle_is_not():
    assert order(arc(12)) == pytest.approx(1.0, abs=1e-3)
    assert order(arc(12, step=2 * np.pi / 12 + 0.01)) < 0.7  # all the way round, the far end is near again


def test_relabelling_destroys_order():
    relabel = np.random.default_rng(0).permutation(12)
    assert abs(order(arc(12)[relabel])) < 0.3


def test_collinear_rows_have_no_order():
    rng = np.random.default_rng(0)
    rows = jnp.asarray(rng.uniform(0.5, 2, size=(10, 1)) * rng.normal(size=(1, 64)))
    assert np.isnan(order(rows))
    assert np.isnan(order(arc(2))) and np.isnan(order(arc(5).at[2].set(0)))


def test_rotation_of_the_width_leaves_order(tolerance):
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(10, 5)))
    rotation = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0])
    np.testing.assert_allclose(order(rows @ rotation), order(rows), atol=tolerance)


def test_plain_jit_and_vmap_agree(tolerance):
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(3, 10, 5)))
    np.testing.assert_allclose(order(rows[0]), observables.order(rows[0]), atol=tolerance)
    np.testing.assert_allclose(jax.vmap(order)(rows), [order(r) for r in rows], atol=tolerance)


def test_order_along_ignores_the_sign_and_equals_scipy(tolerance):
    scores = jnp.asarray(np.random.default_rng(0).normal(size=20)) - 0.2 * jnp.arange(20.0)
    expected = abs(stats.spearmanr(np.asarray(scores), np.arange(20)).statistic)
    np.testing.assert_allclose(order_along(scores), expected, atol=tolerance)
    np.testing.assert_allclose(order_along(-scores), expected, atol=tolerance)
    assert np.isnan(order_along(jnp.ones(5)))
