import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import subspace_angles

from jaxembed.observables import mode_overlaps, norms, row_norms, singular_values, subspace_overlap
from jaxembed.observables.spectra import _modes


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def test_norms_equal_numpy_and_keep_the_tree(tolerance):
    state = {"embed": normal(0, 4, 3), "deep": {"bias": normal(1, 5), "head": normal(2, 2, 3, 4)}}
    got = norms(state)
    assert jax.tree.structure(got) == jax.tree.structure(state)
    for norm, leaf in zip(jax.tree.leaves(got), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(norm, np.sqrt((np.asarray(leaf) ** 2).sum()), rtol=tolerance)


def test_row_norms_equal_numpy_at_every_scale(tolerance):
    rows = normal(0, 6, 4).at[2].set(0)
    for scale in (1e-30, 1.0, 1e30):
        expected = np.linalg.norm(np.asarray(rows), axis=1)
        np.testing.assert_allclose(np.asarray(row_norms(scale * rows)) / scale, expected, rtol=tolerance)


def test_singular_values_are_roots_of_gram_eigenvalues(tolerance):
    x = normal(0, 6, 4)
    gram = np.linalg.eigvalsh(np.asarray(x, np.float64).T @ np.asarray(x, np.float64))
    np.testing.assert_allclose(singular_values(x) ** 2, gram[::-1], rtol=100 * tolerance)


def test_mode_overlaps_equal_eigenvectors_of_the_grams(tolerance):
    x, reference = normal(0, 6, 4), normal(1, 6, 9)
    grams = [np.asarray(m, np.float64) @ np.asarray(m, np.float64).T for m in (reference, x)]
    p, u = (np.linalg.eigh(gram)[1][:, ::-1][:, :3] for gram in grams)
    np.testing.assert_allclose(mode_overlaps(x, reference, 3), np.abs(p.T @ u), atol=1000 * tolerance)


def test_modes_built_in_are_found(tolerance):
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0]
    reference = jnp.asarray(basis[:, :4] * np.array([4.0, 3.0, 2.0, 1.0]))
    grown = jnp.asarray((basis[:, [1, 0, 2]] * np.array([9.0, 5.0, 1.0])) @ np.linalg.qr(basis[:3, :3])[0])
    np.testing.assert_allclose(mode_overlaps(grown, reference, 3), np.eye(3)[[1, 0, 2]], atol=100 * tolerance)
    np.testing.assert_allclose(subspace_overlap(grown, reference, 2), 1, atol=100 * tolerance)
    np.testing.assert_allclose(subspace_overlap(grown, reference, 1), 0, atol=100 * tolerance)


def test_subspace_overlap_is_the_mean_squared_cosine_of_principal_angles(tolerance):
    x, reference = normal(0, 10, 6), normal(1, 10, 7)
    p, u = (np.linalg.svd(np.asarray(m, np.float64))[0][:, :3] for m in (reference, x))
    expected = np.mean(np.cos(subspace_angles(p, u)) ** 2)
    np.testing.assert_allclose(subspace_overlap(x, reference, 3), expected, atol=1000 * tolerance)


def test_unrelated_subspaces_overlap_by_modes_over_tokens():
    overlaps = jax.vmap(lambda x, r: subspace_overlap(x, r, 3))(normal(0, 200, 12, 5), normal(1, 200, 12, 5))
    np.testing.assert_allclose(np.mean(overlaps), 3 / 12, atol=0.02)


def test_undetermined_modes_are_undefined_and_spans_are_kept(tolerance):
    repeated = jnp.diag(jnp.array([3.0, 2.0, 2.0, 0.0]))
    got = np.asarray(mode_overlaps(repeated, jnp.diag(jnp.array([8.0, 4.0, 2.0, 1.0])), 4))
    np.testing.assert_allclose(got[:, 0], [1, 0, 0, 0], atol=tolerance)
    assert np.isnan(got[:, 1:]).all()
    distinct = jnp.diag(jnp.array([8.0, 4.0, 2.0, 1.0]))
    assert np.isnan(subspace_overlap(repeated, distinct, 2)) and np.isnan(subspace_overlap(repeated, distinct, 4))
    np.testing.assert_allclose(subspace_overlap(repeated, distinct, 3), 1, atol=tolerance)
    assert np.isnan(subspace_overlap(jnp.zeros((4, 4)), distinct, 1))


def test_plain_jit_and_rotation_agree(tolerance):
    x, reference = normal(0, 6, 4), normal(1, 6, 9)
    rotation = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0])
    for function in (mode_overlaps, subspace_overlap):
        expected = function(x, reference, 3)
        jitted = jax.jit(function, static_argnums=2)(x, reference, 3)
        np.testing.assert_allclose(jitted, expected, atol=1000 * tolerance)
        np.testing.assert_allclose(function(x @ rotation, reference, 3), expected, atol=1000 * tolerance)


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="modes: need between 1 and 3"):
        mode_overlaps(normal(0, 6, 3), normal(1, 6, 9), 4)
    with pytest.raises(ValueError, match=r"reference: need one row per row of x \(6 tokens\), got 5"):
        _modes(normal(0, 6, 3), normal(1, 5, 9), 2)  # in public the shape checker of the tests speaks first
