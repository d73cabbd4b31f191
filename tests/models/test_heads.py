"""Heads: every likelihood integrates to one, agrees with scipy, and has the mean it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from jaxembed.models import Categorical, Gaussian, Head, Lomax, Mixture, SquaredError, StudentT
from jaxembed.models.heads import LOG_CEILING, LOG_FLOOR, _bounded

RAW = (0.3, -0.4, 0.7, 0.2, 0.9, -0.1)
DENSITIES = {
    "Gaussian": (Gaussian(), 2),
    "StudentT": (StudentT(), 3),
    "Mixture": (Mixture(2), 6),
    "Lomax": (Lomax(), 2),
}


def density(head, raw):
    log = jax.jit(lambda x: -head.loss(raw[None, :], x[None, None])[0])
    return lambda x: float(np.exp(log(jnp.asarray(x, float))))


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.float64_only("quadrature to 1e-6")
def test_a_likelihood_integrates_to_one_and_has_its_mean(name):
    head, count = DENSITIES[name]
    raw, low = jnp.asarray(RAW[:count], float), 0.0 if name == "Lomax" else -np.inf
    if name == "Lomax":
        raw = raw + 1.0  # a shape above one, for a mean that exists
    assert isinstance(head, Head) and head.outputs(1) == count
    one = density(head, raw)
    assert abs(quad(one, low, np.inf)[0] - 1) < 1e-6
    mean = quad(lambda x: x * one(x), low, np.inf, limit=200)[0]
    assert abs(mean - float(head.mean(raw[None, :], 1)[0, 0])) < 1e-4


def test_student_and_lomax_are_those_of_scipy(tolerance):
    x, raw = np.array([-3.0, 0.1, 8.0]), np.array([0.3, -0.4, 0.7])
    items, rows = jnp.asarray(x, float)[:, None], jnp.asarray(np.tile(raw, (3, 1)), float)

    @jax.jit
    def found(items, rows):
        lomax = Lomax().loss(rows[:, 1:], jnp.abs(items))
        return StudentT().loss(rows, items), lomax, jnp.exp(_bounded(rows[0]))

    student, lomax, (_, scale, excess) = (np.asarray(part, float) for part in found(items, rows))
    np.testing.assert_allclose(-student, stats.t.logpdf(x, 1 + excess, 0.3, scale), rtol=100 * tolerance)
    np.testing.assert_allclose(-lomax, stats.lomax.logpdf(np.abs(x), scale, scale=excess), rtol=100 * tolerance)


def test_dimensions_add_up_and_the_mixture_of_one_is_the_gaussian(tolerance):
    raw, x = jnp.asarray(RAW, float), jnp.asarray([0.5, -1.0, 2.0], float)

    @jax.jit
    def found(raw, x):
        parts = sum(Gaussian().loss(raw[i::3], x[i : i + 1]) for i in range(3))
        mixture = Mixture(1).loss(jnp.concatenate([jnp.zeros(1, raw.dtype), raw]), x)
        return Gaussian().loss(raw, x), parts, mixture, SquaredError().loss(raw[:3], x)

    gaussian, parts, mixture, square = (float(part) for part in found(raw, x))
    np.testing.assert_allclose([parts, mixture], gaussian, rtol=100 * tolerance)
    np.testing.assert_allclose(square, np.sum((np.asarray(raw[:3]) - np.asarray(x)) ** 2), rtol=100 * tolerance)
    assert SquaredError().outputs(3) == 3 and Mixture(4).outputs(3) == 28


def test_the_categorical_is_the_cross_entropy(tolerance):
    logits = jnp.asarray(RAW, float).reshape(2, 3)
    probabilities = np.asarray(Categorical().mean(logits, 3))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=10 * tolerance)
    loss = Categorical().loss(logits, jnp.array([2, 0]))
    np.testing.assert_allclose(loss, -np.log(probabilities[[0, 1], [2, 0]]), rtol=100 * tolerance)


def test_a_lomax_without_a_mean_says_infinity_and_extreme_outputs_stay_finite():
    assert Lomax().mean(jnp.array([-1.0, 0.0]), 1)[0] == np.inf
    low, high, zero = np.asarray(_bounded(jnp.asarray([-1e4, 1e4, 0.0], jnp.float32)))
    assert low >= LOG_FLOOR and high <= LOG_CEILING and abs(zero) < 1e-6
    for head, count in DENSITIES.values():
        raw, x = np.full(count, 1e4, np.float32), np.ones(1, np.float32)
        assert np.isfinite(jax.jit(jax.grad(head.loss))(raw, x)).all()


def test_a_mixture_needs_a_component():
    with pytest.raises(ValueError, match="components: a mixture needs at least 1"):
        Mixture(0)
