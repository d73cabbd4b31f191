"""The first time of a level, on curves where it is known, in numpy and in JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.observables import crossing

TIMES = np.array([0.0, 1.0, 3.0, 4.0])


def test_straight_between_saves_upward_and_downward():
    curve = np.array([0.0, 1.0, 3.0, 4.0])
    assert crossing(TIMES, curve, 2.5) == 2.5
    assert crossing(TIMES, -curve, -2.5, rising=False) == 2.5


def test_the_first_of_several_and_one_that_touches_the_level():
    assert crossing(TIMES, np.array([0.0, 1.0, 0.0, 1.0]), 0.5) == 0.5
    assert crossing(TIMES, np.array([0.0, 1.0, 0.0, 0.0]), 1.0) == 1.0


def test_at_once_never_and_after_what_is_undefined():
    assert crossing(TIMES, np.array([2.0, 0.0, 0.0, 3.0]), 1.0) == 0.0
    assert np.isnan(crossing(TIMES, np.array([0.0, 0.1, 0.2, 0.3]), 1.0))
    assert crossing(TIMES, np.array([-np.inf, np.nan, 2.0, 3.0]), 1.0) == 3.0
    assert np.isnan(crossing(TIMES, np.full(4, np.nan), 1.0))


@pytest.mark.parametrize("rising", [True, False])
def test_many_curves_are_each_one_alone_and_jax_gives_the_same(rising):
    curves = np.cumsum(np.random.default_rng(0).normal(size=(5, 6, 40)), axis=2)
    levels, ts = curves.mean(axis=2), np.sqrt(np.arange(40.0))
    found = np.asarray(crossing(ts, curves, levels, rising=rising))
    alone = [
        [crossing(ts, *pair, rising=rising) for pair in zip(*rows, strict=True)]
        for rows in zip(curves, levels, strict=True)
    ]
    np.testing.assert_array_equal(found, alone)
    jitted = jax.jit(crossing, static_argnames="rising")
    got = jitted(jnp.asarray(ts), jnp.asarray(curves), jnp.asarray(levels), rising=rising)
    np.testing.assert_allclose(got, found, rtol=1e-5 if got.dtype == jnp.float32 else 1e-12)


def test_one_level_for_all_and_steps_as_whole_numbers():
    found = crossing(np.array([0, 10]), np.array([[0, 4], [2, 0]]), 1)
    np.testing.assert_array_equal(found, [2.5, 0.0])
    jitted = jax.vmap(lambda x: crossing(jnp.array([0.0, 10.0]), x, 1.0))(jnp.array([[0.0, 4.0], [2.0, 0.0]]))
    np.testing.assert_array_equal(jitted, found)
