"""theory/horizon.md: the corrected theory, the horizon it predicts, and the clock of the window."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.base import Trajectory
from jaxembed.compare import compare
from jaxembed.flow import integrate
from jaxembed.theory import feedforward, horizon, linear

CUBIC = (lambda t, x, sig=None: x), (lambda t, x, sig=None: -(x**3))
TIMES = np.linspace(0.0, 8.0, 401)
STARTS = (1e-1, 1e-2, 1e-3)


@cache
def scalar_pair(start):
    return _integrated(jnp.asarray(start))


@jax.jit
def _integrated(start):
    return integrate(horizon.field(*CUBIC), horizon.start(start), TIMES)


def scalar_observed(start):
    """x' = x - x^3 in closed form against x' = x."""
    growth = np.exp(TIMES)
    exact = start * growth / np.sqrt(1 + start**2 * (growth**2 - 1))
    ts = jnp.asarray(TIMES)
    return float(compare(Trajectory(ts, jnp.asarray(exact)), Trajectory(ts, jnp.asarray(start * growth))).horizon)


@pytest.mark.float64_only("compares two integrations at 1e-6")
def test_correction_in_closed_form():
    """(H5): for x' = x - x^3 the correction is -x0^3 (e^{3t} - e^t) / 2."""
    start, pair = STARTS[1], scalar_pair(STARTS[1])
    growth = np.exp(np.asarray(pair.ts))
    expected = -(start**3) * (growth**3 - growth) / 2
    found = np.asarray(pair.ys["corrected"] - pair.ys["theory"])
    assert np.max(np.abs(found - expected)[1:] / np.abs(expected)[1:]) < 1e-4


@pytest.mark.float64_only("small initial scales")
def test_predicted_horizon_of_a_scalar():
    """Within 0.15 e-folds of the observed one; and, (H8), a fixed time before the plateau ends."""
    predicted = [float(compare(*horizon.split(scalar_pair(start))).horizon) for start in STARTS]
    observed = [scalar_observed(start) for start in STARTS]
    assert np.max(np.abs(np.subtract(predicted, observed))) < 0.15
    gaps = np.log(1 / np.array(STARTS)) - predicted
    assert np.ptp(gaps[1:]) < 0.02 and gaps.min() > 0.5


def test_control_a_wrong_next_term_predicts_another_horizon():
    wrong = horizon.field(CUBIC[0], lambda t, x, sig: -100 * x**3)
    pair = integrate(wrong, horizon.start(jnp.asarray(1e-2)), TIMES)
    predicted = float(compare(*horizon.split(pair)).horizon)
    assert scalar_observed(1e-2) - predicted > 1.5  # ln(10) e-folds early


def exact_loss(data):
    def loss(state):
        logits = jnp.sum(state["embed"][data.tokens], axis=1) @ state["unembed"].T
        own = jnp.take_along_axis(logits, data.targets[:, None], axis=1)[:, 0]
        weights = jnp.asarray(data.weights, dtype=float)
        return jnp.sum(weights * (jax.nn.logsumexp(logits, axis=1) - own))

    return loss


def test_of_loss_is_the_hand_derived_pair(data, sig, state, error, tolerance):
    """Any loss and the derived terms give one field: rung 0 with F3 of the linear model."""
    base, moved = jax.tree.map(jnp.zeros_like, state), jax.tree.map(lambda leaf: 0.9 * leaf, state)
    hand = horizon.field(linear.rung0, lambda t, state, sig: linear.third_order(state, sig))
    written = horizon.of_loss(exact_loss(data), base, 1, 3)
    both = {"theory": state, "corrected": moved}
    expected, found = hand(0.0, both, sig), jax.jit(written)(0.0, both)
    for part in both:
        assert error(found[part], expected[part]) < 10 * tolerance


def test_corrected_theory_is_the_next_order_at_the_start(sig, state, error, tolerance):
    taylor = (0.7, -1.3, 2.1)
    pair = horizon.field(feedforward.field(taylor, 1), lambda t, state, sig: feedforward.second(state, sig, taylor))
    velocity = pair(0.0, horizon.start(state), sig)
    assert error(velocity["corrected"], feedforward.field(taylor, 2)(0.0, state, sig)) < tolerance
    assert error(velocity["theory"], feedforward.field(taylor, 1)(0.0, state, sig)) < tolerance


def test_degrees_of_the_linear_model(data, state):
    base = jax.tree.map(jnp.zeros_like, state)
    sizes = jax.jit(lambda state: horizon.sizes(exact_loss(data), base, state, 5))(state)
    assert horizon.degrees(sizes) == (1, 3, 5)


def test_a_blow_up_ends_the_theory():
    """x' = x^2 reaches infinity at 1 / x0; the horizon lies before, and is a number."""
    blowing = horizon.field(lambda t, x, sig: x**2, lambda t, x, sig: 0.0 * x)
    pair = integrate(blowing, horizon.start(jnp.asarray(1.0)), np.linspace(0.0, 2.0, 41), max_steps=2000)
    assert float(pair.info["nonfinite_time"]) < 1.06
    assert 0.9 < float(compare(*horizon.split(pair)).horizon) < 1.06


def test_growth_reaches_a_blow_up_in_finite_path():
    """x' = x^2 from 1: size e^s at time 1 - e^-s, though infinite at time 1."""
    leading = horizon.growth(lambda t, x, sig: x**2, jnp.zeros(()))
    path = np.linspace(0.0, 5.0, 6)
    grown = integrate(leading, {"state": jnp.ones(()), "time": jnp.zeros(())}, path, atol=1e-9)
    assert np.allclose(grown.ys["state"], np.exp(path), rtol=1e-4)
    assert np.allclose(grown.ys["time"], 1 - np.exp(-path), rtol=1e-4)


def test_jit_and_vmap_lanes_agree(sig, state, error, tolerance):
    field = horizon.field(linear.rung0, lambda t, state, sig: linear.third_order(state, sig))
    plain = field(0.0, horizon.start(state), sig)
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), horizon.start(state))
    lanes = jax.jit(jax.vmap(field, (None, 0, None)))(0.0, pair, sig)
    for part in plain:
        assert error(jax.tree.map(lambda leaf: leaf[0], lanes[part]), plain[part]) < tolerance


def test_bad_requests_are_refused(data, state):
    with pytest.raises(ValueError, match="beyond"):
        horizon.of_loss(exact_loss(data), state, 3, 3)
    with pytest.raises(ValueError, match="sizes"):
        horizon.degrees(np.zeros(4))


def test_sizes_that_are_not_finite_are_not_called_small():
    with pytest.raises(ValueError, match="must be finite"):
        horizon.degrees(np.array([0.0, np.nan]))
