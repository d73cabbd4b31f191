import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.observables import centred, cosine, pair_cosines
from jaxembed.observables.cosine import token_pairs


def slow_cosine(rows):
    rows = np.asarray(rows, np.float64)
    out = np.zeros((len(rows), len(rows)))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            out[i, j] = sum(x * y for x, y in zip(a, b, strict=True)) / np.sqrt(sum(a * a) * sum(b * b))
    return out


@pytest.fixture
def rows():
    return jnp.asarray(np.random.default_rng(0).normal(size=(7, 5)))


def test_cosine_equals_a_slow_loop(rows, tolerance):
    np.testing.assert_allclose(cosine(rows), slow_cosine(rows), atol=tolerance)


@pytest.mark.parametrize("tokens", [0, 1, 2, 3, 7, 50])
def test_token_pairs_are_the_strict_upper_triangle_row_by_row(tokens):
    got, expected = token_pairs(tokens), np.triu_indices(tokens, 1)
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1], expected[1])


def test_pair_cosines_are_the_strict_upper_triangle(rows, tolerance):
    np.testing.assert_allclose(pair_cosines(rows), slow_cosine(rows)[np.triu_indices(7, 1)], atol=tolerance)


def test_plain_jit_and_vmap_agree(rows, tolerance):
    both = jnp.stack([rows, rows[::-1]])
    np.testing.assert_allclose(jax.jit(pair_cosines)(rows), pair_cosines(rows), rtol=tolerance)
    np.testing.assert_allclose(jax.vmap(pair_cosines)(both)[1], pair_cosines(both[1]), rtol=tolerance)


def test_a_zero_row_has_no_direction_and_leaves_the_others_alone(rows, tolerance):
    holed = cosine(rows.at[2].set(0))
    assert np.isnan(holed[2]).all() and np.isnan(holed[:, 2]).all()
    keep = np.array([0, 1, 3, 4, 5, 6])
    np.testing.assert_allclose(np.asarray(holed)[np.ix_(keep, keep)], slow_cosine(rows[keep]), atol=tolerance)


def test_rotation_and_row_scale_leave_cosines_but_a_shear_does_not(rows, tolerance):
    rotation = jnp.asarray(np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0])
    np.testing.assert_allclose(cosine(rows @ rotation), cosine(rows), atol=10 * tolerance)
    np.testing.assert_allclose(cosine(rows * jnp.arange(1.0, 8.0)[:, None]), cosine(rows), atol=10 * tolerance)
    assert np.abs(cosine(rows * jnp.arange(1.0, 6.0)[None, :]) - cosine(rows)).max() > 0.1


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_neither_underflows_nor_overflows(rows, scale, tolerance):
    np.testing.assert_allclose(cosine(rows * scale), cosine(rows), atol=10 * tolerance)


def test_centring_turns_rounding_into_exact_zeros():
    uniform = jnp.full((3, 10), 0.1).at[1].multiply(1 + jnp.finfo(jnp.zeros(0).dtype).eps)
    np.testing.assert_array_equal(centred(uniform, 0.1), 0)
    assert np.isnan(cosine(centred(uniform, 0.1))).all()


def test_centring_keeps_real_differences(rows):
    baseline = jnp.linspace(-1, 1, 5)
    np.testing.assert_array_equal(centred(rows, baseline), np.asarray(rows) - np.asarray(baseline))


def test_centring_refuses_a_baseline_that_does_not_fit(rows):
    with pytest.raises(ValueError, match="baseline: need a number or one per column"):
        centred(rows, jnp.zeros(7))
