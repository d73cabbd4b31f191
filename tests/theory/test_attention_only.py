"""Closed forms of the attention-only transformer against autodiff of the model itself, which the theory cannot see."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.jet import jet

import jaxembed as je
from jaxembed.theory import attention_only as theory

VOCAB, LENGTH, EXAMPLES, LAYERS = 7, 5, 12, 2
MODEL = je.models.AttentionOnly(layers=LAYERS)
SERIES = pytest.mark.float64_only("exact identities between high derivatives of small numbers")


@pytest.fixture(scope="module")
def data():
    sequences = np.random.default_rng(0).integers(VOCAB, size=(EXAMPLES, LENGTH + 1))
    zero = MODEL.init(jax.random.key(0), VOCAB, LENGTH)
    return je.sequence_loss(MODEL, sequences, VOCAB), zero, je.statistics.sequence_signatures(sequences, VOCAB)


def relative(found, expected):
    return {k: float(jnp.linalg.norm(found[k] - expected[k]) / jnp.linalg.norm(expected[k])) for k in expected}


def descend(loss, state, eta, steps):
    for _ in range(steps):
        state = jax.tree.map(lambda p, g: p - eta * g, state, jax.grad(loss)(state))
    return state


@SERIES
@pytest.mark.slow
def test_derivatives_of_the_exact_flow_at_zero_are_the_closed_form(data):
    loss, zero, sig = data

    def rate(state):
        return jax.tree.map(jnp.negative, jax.grad(loss)(state))

    def next_derivative(derivative):
        return lambda state: jax.jvp(derivative, (state,), (rate(state),))[1]

    derivatives = [rate]
    for _ in range(3):
        derivatives.append(next_derivative(derivatives[-1]))
    first, second, third, fourth = jax.jit(lambda state: [d(state) for d in derivatives])(zero)
    towards = theory.leading(sig, LAYERS)
    expected = {"output": first, "value": second, "attention": fourth, "position": fourth}
    for name, factor in {"output": 1, "value": 1, "attention": 3, "position": 3}.items():
        np.testing.assert_allclose(
            expected[name][name], factor * towards[name], atol=1e-12 * float(jnp.abs(towards[name]).max())
        )
    earlier = [first["value"], *(x[name] for x in (first, second, third) for name in ("attention", "position"))]
    assert max(float(jnp.abs(x).max()) for x in earlier) < 1e-16


@SERIES
@pytest.mark.slow
@pytest.mark.parametrize(("steps", "count"), [(3, 2), (5, 35)])
def test_steps_of_gradient_descent_have_whole_number_factors(data, steps, count):
    """The Taylor coefficients of the s-th iterate in the learning rate, by Taylor mode through all steps."""
    loss, zero, sig = data
    order = [jnp.ones(()), jnp.zeros(()), jnp.zeros(()), jnp.zeros(())]
    _, terms = jax.jit(lambda: jet(lambda eta: descend(loss, zero, eta, steps), (jnp.zeros(()),), (order,)))()
    towards, factor = theory.leading(sig, LAYERS), theory.coefficients(steps)
    assert factor.attention == count
    powers = {"output": (1, factor.output), "value": (2, factor.value)}
    powers |= dict.fromkeys(("attention", "position"), (4, factor.attention))
    for name, (power, times) in powers.items():
        found = terms[name][power - 1] / math.factorial(power)
        scale = float(jnp.abs(towards[name]).max())
        np.testing.assert_allclose(found / times, towards[name], atol=1e-11 * scale)


def test_coefficients_count_paths():
    assert [theory.coefficients(s).attention for s in (0, 1, 2, 3, 5, 10, 100)] == [0, 0, 0, 2, 35, 870, 12087075]
    assert [theory.coefficients(s).value for s in (3, 10, 100)] == [3, 45, 4950]
    a = b = c = 0
    for steps in range(30):  # the discrete form of da/dt = 1, db/dt = a, dc/dt = a b
        assert theory.coefficients(steps) == (a, b, c)
        a, b, c = a + 1, b + a, c + a * b


def test_steps_tend_to_the_flow(data):
    _, zero, sig = data
    limit = theory.closed_form(1.5, zero, sig)
    errors = [relative(theory.after_steps(s, 1.5 / s, zero, sig), limit) for s in (1000, 2000)]
    assert errors[0]["output"] < 1e-6
    for name in ("attention", "value", "position"):
        assert errors[0][name] < 1e-2
        np.testing.assert_allclose(errors[0][name] / errors[1][name], 2, atol=0.1)


def test_the_closed_form_solves_the_field(data, tolerance):
    """d/dt of (A10) is (A9) along it; with zero at t = 0 it is the solution."""
    _, zero, sig = data
    assert all(float(jnp.abs(leaf).max()) == 0 for leaf in theory.closed_form(0.0, zero, sig).values())
    for t in (0.5, 2.0):
        state, rate = jax.jvp(
            lambda t: theory.closed_form(t, zero, sig), (jnp.asarray(t, float),), (jnp.ones((), float),)
        )
        found = theory.field(t, state, sig)
        for name, expected in rate.items():
            np.testing.assert_allclose(found[name], expected, atol=10 * tolerance * float(jnp.abs(expected).max()))


@SERIES
@pytest.mark.slow
def test_the_error_grows_with_the_powers_of_the_theorem(data):
    """|matrix - leading term| ~ t^2, t^3, t^5, t^5, against the exact flow."""
    loss, zero, sig = data
    ts = jnp.asarray([0.0, 0.02, 0.04])
    flow = je.integrate(je.gradient_flow(loss), zero, ts, solver="dopri8", rtol=1e-12, atol=1e-20)
    expected = jax.vmap(theory.closed_form, (0, None, None))(ts, zero, sig)
    for name, power in {"output": 2, "value": 3, "attention": 5, "position": 5}.items():
        error = [float(jnp.linalg.norm(flow.ys[name][i] - expected[name][i])) for i in (1, 2)]
        np.testing.assert_allclose(np.log2(error[1] / error[0]), power, atol=0.1)


@SERIES
@pytest.mark.slow
def test_other_data_predicts_another_start(data):
    loss, zero, sig = data
    other = np.random.default_rng(1).permuted(np.asarray(loss.sequences), axis=1)
    found = descend(loss, zero, 0.002, 10)
    right = relative(theory.after_steps(10, 0.002, zero, sig), found)
    wrong = relative(theory.after_steps(10, 0.002, zero, je.statistics.sequence_signatures(other, VOCAB)), found)
    assert max(right.values()) < 5e-3 and min(wrong.values()) > 0.3


@SERIES
@pytest.mark.slow
def test_a_tiny_gaussian_start_soon_forgets_itself(data):
    loss, zero, sig = data
    start = je.models.AttentionOnly(LAYERS, init_scale=1e-16).init(jax.random.key(1), VOCAB, LENGTH)
    found = je.integrate(je.gradient_flow(loss), start, jnp.asarray([0.0, 0.1]), rtol=1e-10, atol=1e-20)
    reduced = je.integrate(theory.field, start, found.ts, sig, rtol=1e-10, atol=1e-20)
    for trajectory in (found, reduced):
        end = jax.tree.map(lambda x: x[-1], trajectory.ys)
        assert max(relative(theory.closed_form(0.1, zero, sig), end).values()) < 2e-2


@SERIES
@pytest.mark.parametrize(("layers", "length"), [(1, 4), pytest.param(2, 64, marks=pytest.mark.slow)])
def test_the_proven_bounds_hold_inside_their_window(layers, length):
    """Necessary, not sufficient: at these sizes the bounds are larger than the terms they bound."""
    vocab, steps = 500, 4
    model, sequences = (
        je.models.AttentionOnly(layers),
        np.random.default_rng(0).integers(vocab // 10, size=(2, length + 1)),
    )
    zero, loss = model.init(jax.random.key(0), vocab, length), je.sequence_loss(model, sequences, vocab)
    eta = theory.error_bounds(0.0, layers, length, vocab).window / steps * 0.99
    found = jax.jit(lambda loss, zero: descend(loss, zero, eta, steps))(loss, zero)
    expected = theory.after_steps(steps, eta, zero, je.statistics.sequence_signatures(sequences, vocab))
    bounds = theory.error_bounds(eta * steps, layers, length, vocab)
    assert bounds.proven and not theory.error_bounds(2 * eta * steps, layers, length, vocab).proven
    assert not theory.error_bounds(eta * steps, layers, length, 499).proven
    gap = jax.tree.map(lambda a, b: a - b, found, expected)
    assert 0 < float(jnp.linalg.norm(gap["output"])) <= bounds.output
    for layer in range(layers):
        assert 0 < float(jnp.linalg.norm(gap["value"][layer])) <= bounds.value
        for name in ("attention", "position"):
            assert 0 < float(jnp.linalg.norm(gap[name][layer])) <= bounds.attention


def test_bad_input_is_one_clear_line(data):
    _, zero, sig = data
    with pytest.raises(ValueError, match="steps: must be 0 or more, got -1"):
        theory.coefficients(-1)
    with pytest.raises(ValueError, match="need t >= 0 and sizes from 1"):
        theory.error_bounds(0.1, 0, 5, 5)
    with pytest.raises(ValueError, match="state: needs exactly"):
        theory.closed_form(1.0, {"output": zero["output"]}, sig)


def test_many_steps_of_a_rate_that_is_an_array(data):
    _, zero, sig = data
    grown = theory.after_steps(3200, jnp.asarray(0.005, float), zero, sig)
    assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(grown))
