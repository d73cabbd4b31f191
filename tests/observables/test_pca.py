import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import observables

pca = jax.jit(observables.pca, static_argnames="components")  # compiled once a shape
order_along = jax.jit(observables.order_along)


@pytest.fixture
def rows():
    return jnp.asarray(np.random.default_rng(0).normal(size=(9, 5)) * np.array([3.0, 2.0, 1.0, 0.5, 0.2]))


def test_scores_and_shares_equal_an_eigendecomposition_of_the_covariance(rows, tolerance):
    centred = np.asarray(rows, np.float64) - np.asarray(rows, np.float64).mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    scores, explained = pca(rows, 3)
    np.testing.assert_allclose(explained, (values / values.sum())[::-1][:3], rtol=100 * tolerance)
    np.testing.assert_allclose(np.abs(scores), np.abs(centred @ vectors[:, ::-1][:, :3]), atol=100 * tolerance)


def test_signs_follow_the_rule_and_survive_rotation_and_jit(rows, tolerance):
    scores, _ = pca(rows, 3)
    for k in range(3):
        column = np.asarray(scores)[:, k]
        assert column[np.argmax(np.abs(column) >= 0.3 * np.abs(column).max())] > 0
    rotation = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0])
    for other in (pca(rows @ rotation, 3), pca(-rows, 3), observables.pca(rows, 3)):
        np.testing.assert_allclose(other[0], scores, atol=1000 * tolerance)
    lanes, _ = jax.vmap(lambda r: pca(r, 3))(jnp.stack([rows[::-1], rows]))
    np.testing.assert_allclose(lanes[1], scores, atol=1000 * tolerance)


def test_a_line_has_one_component_and_an_order(tolerance):
    rows = jnp.arange(6.0)[:, None] * jnp.array([[3.0, 4.0, 0.0]]) + jnp.array([[1.0, 1.0, 7.0]])
    scores, explained = pca(rows)
    np.testing.assert_allclose(scores[:, 0], 5 * (2.5 - np.arange(6)), atol=100 * tolerance)
    np.testing.assert_array_equal(scores[:, 1], 0)
    np.testing.assert_allclose(explained, [1, 0], atol=tolerance)
    np.testing.assert_allclose(order_along(scores[:, 0]), 1, atol=tolerance)
    assert order_along(pca(rows[np.array([3, 0, 5, 1, 4, 2])])[0][:, 0]) < 0.5


def test_rows_that_do_not_differ_have_no_components():
    row = jnp.asarray(np.random.default_rng(0).normal(size=(1, 5)))
    scores, explained = pca(jnp.tile(row, (7, 1)) * (1 + 2 * float(jnp.finfo(row.dtype).eps)))
    assert np.isnan(scores).all() and np.isnan(explained).all()


@pytest.mark.parametrize("components", [0, 6])
def test_impossible_numbers_of_components_are_refused(rows, components):
    with pytest.raises(ValueError, match="components: need between 1 and 5"):
        pca(rows, components)
