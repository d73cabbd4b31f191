"""The Kalman filter against conditioning the joint Gaussian of all states and items, and against dynamax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from jaxembed.processes import LinearGaussian, Process, linear_gaussian_world

PROCESSES = (
    LinearGaussian(states=3, dimension=2),
    LinearGaussian(states=2, dimension=3, radius=0.5, item_noise=0.3, start_mean=2.0, start_spread=0.7),
)
LENGTH = 5


def given(process, seed=0, sequences=3, length=LENGTH):
    """A world and items, by numpy: nothing to compile."""
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(process.states, process.states)))[0]
    readout = random.normal(size=(process.dimension, process.states))
    items = jnp.asarray(process.start_mean + 2 * random.normal(size=(sequences, length, process.dimension)), float)
    return linear_gaussian_world(process.radius * rotation, readout), items


def joint_gaussian(process, world, length):
    """Mean and covariance of (z_0, .., z_{T-1}, x_0, .., x_{T-1}), by writing all of them as a map of the noises."""
    dynamics, readout = np.asarray(world["dynamics"]), np.asarray(world["readout"])
    size, seen = process.states, process.dimension
    noises = np.zeros((length * size, length * size))
    for n in range(length):
        for before in range(n + 1):
            power = np.linalg.matrix_power(dynamics, n - before)
            scale = process.spread if before == 0 else process.state_noise
            noises[n * size : (n + 1) * size, before * size : (before + 1) * size] = scale * power
    view = np.kron(np.eye(length), readout)
    of_states = noises @ noises.T
    start = np.concatenate(
        [np.linalg.matrix_power(dynamics, n) @ np.full(size, process.start_mean) for n in range(length)]
    )
    of_items = view @ of_states @ view.T + process.item_noise**2 * np.eye(length * seen)
    covariance = np.block([[of_states, of_states @ view.T], [view @ of_states, of_items]])
    return np.concatenate([start, view @ start]), covariance


def conditioned(mean, covariance, wanted, known, values):
    gain = covariance[np.ix_(wanted, known)] @ np.linalg.inv(covariance[np.ix_(known, known)])
    rest = covariance[np.ix_(wanted, wanted)] - gain @ covariance[np.ix_(known, wanted)]
    return mean[wanted] + gain @ (values - mean[known]), rest


@pytest.mark.parametrize("process", PROCESSES)
def test_kalman_filter_agrees_with_conditioning_the_joint_gaussian(process, tolerance):
    world, items = given(process)
    found = {name: np.asarray(values) for name, values in process.exact(world, items).items()}
    expected_items = np.asarray(process.predictive_mean(world, items))
    spread, innovation = (np.asarray(part) for part in process.covariances(world, LENGTH))
    predictive = np.asarray(process.log_predictive(world, items))
    mean, covariance = joint_gaussian(process, world, LENGTH)
    size, seen, limit = process.states, process.dimension, max(1e-8, 100 * tolerance)
    offset = LENGTH * size
    for n in range(LENGTH - 1):
        known = np.arange(offset, offset + (n + 1) * seen)
        state, after = np.arange(n * size, (n + 1) * size), np.arange((n + 1) * size, (n + 2) * size)
        following = known[-1] + 1 + np.arange(seen)
        for i, seen_items in enumerate(np.asarray(items)):
            past = seen_items[: n + 1].ravel()
            now, of_now = conditioned(mean, covariance, state, known, past)
            coming, of_coming = conditioned(mean, covariance, following, known, past)
            np.testing.assert_allclose(found["state_mean"][i, n], now, atol=limit)
            np.testing.assert_allclose(spread[n], of_now, atol=limit)
            np.testing.assert_allclose(
                found["belief"][i, n], conditioned(mean, covariance, after, known, past)[0], atol=limit
            )
            np.testing.assert_allclose(expected_items[i, n], coming, atol=limit)
            np.testing.assert_allclose(innovation[n + 1], of_coming, atol=limit)
            density = multivariate_normal(coming, of_coming).logpdf(seen_items[n + 1])
            np.testing.assert_allclose(predictive[i, n], density, atol=limit)


def test_it_is_a_process_whose_targets_have_the_sizes_they_say():
    process = PROCESSES[0]
    world, items = given(process)
    assert isinstance(process, Process) and process.reads == "reals" and process.size == 2
    for name, target in process.targets.items():
        values = process.exact(world, items, [target.ceiling or name], positions=(0, 4))[target.ceiling or name]
        assert values.shape == (3, 2, target.size)


def test_a_drawn_world_is_a_rotation_that_shrinks(tolerance):
    world = LinearGaussian(radius=0.8).world(jax.random.key(0))
    assert world["readout"].shape == (2, 4)
    np.testing.assert_allclose(world["dynamics"] @ world["dynamics"].T, 0.64 * np.eye(4), atol=100 * tolerance)


def test_the_process_stays_in_its_spread_and_its_covariances_say_how_far_the_state_is():
    process = LinearGaussian()
    world, _ = given(process)
    draw = process.sample(jax.random.key(1), world, 4000, 12)
    states = np.asarray(draw.latents["state"])
    assert draw.items.shape == (4000, 12, 2) and states.shape == (4000, 12, 4)
    np.testing.assert_allclose(states.std(axis=0), process.spread, rtol=0.05)
    off = states - np.asarray(process.exact(world, draw.items, ["state_mean"])["state_mean"])
    spread, _ = process.covariances(world, 12)
    np.testing.assert_allclose(np.cov(off[:, -1].T), spread[-1], atol=0.15)
    own, shifted = process, process.shifted()
    ours, theirs = (kind.log_predictive(world, draw.items).mean() for kind in (own, shifted))
    assert float(ours) > float(theirs) and shifted.start_mean > 6 and shifted.state_noise == 2


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: LinearGaussian(radius=1.0), "radius: stable dynamics need"),
        (lambda: LinearGaussian(item_noise=0.0), "item_noise: the Gaussian prior is improper"),
        (lambda: LinearGaussian(start_spread=-1.0), "start_spread: the Gaussian prior is improper"),
        (lambda: LinearGaussian(start_mean=float("nan")), "start_mean: must be finite"),
        (lambda: LinearGaussian(dimension=0), "dimension: must be at least 1"),
        (lambda: linear_gaussian_world([[1.2]], [[1.0]]), "dynamics: stable ones need"),
        (lambda: linear_gaussian_world([[0.5, 0.1]], [[1.0]]), "dynamics: need a square matrix, got shape .1, 2."),
        (lambda: linear_gaussian_world([[float("nan")]], [[1.0]]), "dynamics: every entry must be finite"),
        (lambda: linear_gaussian_world([[0.5]], [[1.0, 1.0]]), "readout: need a matrix of 1 columns"),
        (lambda: linear_gaussian_world([[0.5]], [[float("inf")]]), "readout: every entry must be finite"),
        (lambda: PROCESSES[0].exact(*given(PROCESSES[0]), None, (-6,)), "positions: need -5 .. 4 .* got -6"),
        (lambda: PROCESSES[0].covariances(given(PROCESSES[1])[0], 3), "world: need 3 states"),
        (lambda: PROCESSES[0].exact(*mood()), "names: no exact quantity 'mood'"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)


def mood():
    return *given(PROCESSES[0]), ["mood"]


def test_kalman_filter_agrees_with_dynamax():
    kalman = pytest.importorskip("dynamax.linear_gaussian_ssm")
    process = LinearGaussian(states=3, dimension=2)
    world, items = given(process, sequences=1, length=30)
    size, seen = process.states, process.dimension
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        model = kalman.LinearGaussianSSM(size, seen)
        params, _ = model.initialize(
            jax.random.key(0),
            initial_mean=jnp.full(size, process.start_mean),
            initial_covariance=process.spread**2 * jnp.eye(size),
            dynamics_weights=world["dynamics"],
            dynamics_bias=jnp.zeros(size),
            dynamics_covariance=process.state_noise**2 * jnp.eye(size),
            emission_weights=world["readout"],
            emission_bias=jnp.zeros(seen),
            emission_covariance=process.item_noise**2 * jnp.eye(seen),
        )
        theirs = model.filter(params, items[0])
    ours = process.exact(world, items, ["state_mean"])["state_mean"][0]
    np.testing.assert_allclose(ours, theirs.filtered_means, atol=1e-8)
    np.testing.assert_allclose(process.covariances(world, 30)[0], theirs.filtered_covariances, atol=1e-8)
