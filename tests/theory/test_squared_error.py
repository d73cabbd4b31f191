"""theory/squared_error.md: the parts of the risk by enumeration, and what a squared-error predictor may forget."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.processes import GaussianGamma
from jaxembed.theory import predictive_sufficiency
from jaxembed.theory import squared_error as theory

PRIOR = {"strength": 1.0, "shape": 5.0, "rate": 1.0}


@pytest.fixture(scope="module")
def grid():
    """Items -1, 0, 1 of an unknown mean and spread: P(three items, the next one)."""
    values = np.array([-1.0, 0.0, 1.0])
    hypotheses = np.array([np.exp(-((values - mu) ** 2) / (2 * sd**2)) for mu in (-0.5, 0.5) for sd in (0.4, 1.5)])
    hypotheses /= hypotheses.sum(axis=1, keepdims=True)
    pasts = np.array(list(product(range(3), repeat=3)))
    of_past = np.prod(hypotheses[:, pasts], axis=2)
    return np.einsum("hp,hx->px", of_past, hypotheses) / len(hypotheses), values[:, None]


def ids(rows):
    return np.unique(np.asarray(rows).round(12), axis=0, return_inverse=True)[1].ravel()


def test_squared_error_is_floor_gap_and_head(grid, tolerance):
    joint, values = grid
    groups = np.arange(len(joint)) % 4
    predicted = np.array([[0.3], [-0.1], [0.0], [0.2]])
    parts = theory.risk(joint, values, groups, predicted)
    error = (values[None, :, 0] - predicted[groups]) ** 2
    np.testing.assert_allclose(sum(parts), np.sum(joint * error), rtol=10 * tolerance)
    assert min(parts) > 1e-4


def test_the_mean_is_enough_for_squared_error_and_not_for_log_loss(grid, tolerance):
    joint, values = grid
    mean = (joint @ values) / joint.sum(axis=1, keepdims=True)
    groups = ids(mean)
    exact = np.array([mean[groups == k][0] for k in range(groups.max() + 1)])
    best = theory.risk(joint, values, groups, exact)
    assert abs(best.gap) < tolerance and abs(best.head) < tolerance
    assert predictive_sufficiency.gap(joint, groups) > 1e-4  # pasts of one mean and two spreads


@pytest.mark.float64_only("a Monte Carlo test of the same draws")
def test_gaussian_gamma_risks_against_draws():
    process, many, length = GaussianGamma(1.0, *PRIOR.values()), 10_000, 6
    items = process.sample(jax.random.key(0), {}, many, length).items
    exact = process.exact({}, items, ["predictive_mean", "statistics"])
    n = jnp.arange(1.0, length)
    floor, excess = (
        function(n, **PRIOR) for function in (theory.gaussian_gamma_floor, theory.gaussian_gamma_sample_mean_excess)
    )
    error = (items[:, 1:] - exact["predictive_mean"][:, :-1])[..., 0] ** 2
    lost = (exact["statistics"][:, :-1, :1] - exact["predictive_mean"][:, :-1])[..., 0] ** 2
    for samples, expected in ((error, floor), (lost, excess)):
        np.testing.assert_array_less(jnp.abs(samples.mean(axis=0) - expected), 5 * samples.std(axis=0) / many**0.5)


def test_the_published_floors():
    n = jnp.arange(1.0, 500.0)
    np.testing.assert_allclose(theory.gaussian_gamma_floor(n, **PRIOR).mean(), 0.2529, atol=5e-5)
    shifted = theory.gaussian_gamma_floor(n, **{**PRIOR, "shape": 2.0})
    np.testing.assert_allclose(shifted.mean(), 1.0116, atol=5e-5)


def test_the_excess_bounds_what_the_output_says_of_the_mean(tolerance):
    """A noisy copy of the mean: equality where the noise is independent of it, and the bound where it is not."""
    mean = np.random.default_rng(0).normal(size=1000)
    for output in (mean + 0.3, 0.8 * mean, mean + 0.5 * np.sign(mean)):
        excess, variance = np.mean((mean - output) ** 2), np.var(mean)
        affine = np.corrcoef(mean, output)[0, 1] ** 2
        bound = float(theory.forced_r2(jnp.asarray(excess, float), jnp.asarray(variance, float)))
        np.testing.assert_allclose(1 - excess / variance, bound, rtol=10 * tolerance)
        assert affine >= bound - 10 * tolerance
    assert np.isnan(theory.forced_r2(jnp.asarray(0.1), jnp.asarray(0.0)))


def test_rectangles_ask_for_the_centre_alone(tolerance):
    """Points uniform in an unknown interval: the best guess of the next is the posterior mean of the centre."""
    ends = np.array([(a, b) for a in range(5) for b in range(a + 1, 6)], float)
    points = np.array([1.3, 2.2])
    inside = np.all((ends[:, :1] <= points) & (points <= ends[:, 1:]), axis=1)
    posterior = inside / (ends[:, 1] - ends[:, 0]) ** 2
    posterior /= posterior.sum()
    cells = np.arange(5)
    covered = (ends[:, :1] <= cells) & (cells < ends[:, 1:])
    density = posterior @ (covered / covered.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(density @ (cells + 0.5), posterior @ ends.mean(axis=1), rtol=10 * tolerance)
    # densities on a grid are constant on its cells, so they are at most as many numbers as cells
    assert len(ends) == 15 and not predictive_sufficiency.tells_apart(covered / covered.sum(axis=1, keepdims=True))


def test_an_infinite_risk_is_refused():
    with pytest.raises(ValueError, match=r"E\[1 / tau\] diverges for shape 1 <= 1"):
        theory.gaussian_gamma_floor(jnp.ones(1), 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="joint: probabilities must sum to one"):
        theory.risk(np.ones((2, 2)), np.ones((2, 1)), np.array([0, 0]), np.zeros((1, 1)))
    with pytest.raises(ValueError, match=r"groups: need an id 0, 1, .. for each of 2 pasts"):
        theory.risk(np.full((2, 2), 0.25), np.ones((2, 1)), np.array([0, -1]), np.zeros((1, 1)))
    with pytest.raises(ValueError, match=r"predicted: need a row for each id 0 .. 1 of groups, got 1"):
        theory.risk(np.full((2, 2), 0.25), np.ones((2, 1)), np.array([0, 1]), np.zeros((1, 1)))
