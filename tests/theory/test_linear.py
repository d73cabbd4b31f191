"""theory/linear.md: rungs 0 and 1, the closed form, and what they need of the data."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxembed import count, integrate, signatures
from jaxembed.base import checked_dataset
from jaxembed.theory import linear

float64_only = pytest.mark.skipif(not jax.config.jax_enable_x64, reason="needs float64 resolution")


def scaled(state, factor):
    return jax.tree.map(lambda leaf: leaf * factor, state)


@functools.cache
def solution(rung):
    """Compiled once per rung: `solution(rung)(state, ts, sig)`, the states at `ts`."""

    @jax.jit
    def solve(state, ts, sig):
        def vector_field(t, y, args):
            return rung(t, y, sig)

        return integrate(vector_field, state, ts, solver=diffrax.Dopri8(), rtol=1e-12, atol=1e-18).ys

    return solve


@pytest.fixture(scope="module")
def plateau(data, sig, state, exact_flow, error):
    """`plateau(init_scale, share, rung, sig)`: error of a rung at `share` of t1, against the exact flow."""
    flow = exact_flow(data, lambda h: h)
    exact = solution(lambda t, y, sig: flow(y))

    def error_at(init_scale, share, rung, rung_sig):
        start = scaled(state, init_scale)
        ts = jnp.asarray([0.0, share * float(linear.plateau_time(sig, init_scale))])
        return error(last(solution(rung)(start, ts, rung_sig)), last(exact(start, ts, sig)))

    return error_at


def last(ys):
    return jax.tree.map(lambda leaf: leaf[-1], ys)


def test_terms_are_taylor_coefficients_of_the_exact_flow(data, sig, state, exact_flow, degree, error, tolerance):
    flow = exact_flow(data, lambda h: h)
    assert error(linear.rung0(0.0, state, sig), degree(flow, state, 1)) < tolerance
    assert error(linear.third_order(state, sig), degree(flow, state, 3)) < tolerance
    expected = linear.add(degree(flow, state, 1), degree(flow, state, 3))
    assert error(linear.rung1(0.0, state, sig), expected) < tolerance


def test_even_degrees_vanish_and_the_fifth_does_not(data, state, exact_flow, degree):
    flow = exact_flow(data, lambda h: h)
    size = [max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(degree(flow, state, k))) for k in range(6)]
    floor = 1e-12 if jax.config.jax_enable_x64 else 1e-4
    assert max(size[0], size[2], size[4]) < floor
    assert min(size[1], size[3], size[5]) > 1e-2


def test_drive_is_the_rate_weighted_centred_label_signature(sig, tolerance):
    expected = np.asarray(sig.token)[:, None] * (np.asarray(sig.label) - 1 / 7)
    np.testing.assert_allclose(np.asarray(linear.drive(sig)), expected, rtol=0, atol=tolerance)


def test_modes_rebuild_the_drive(sig, tolerance):
    embed, rate, unembed = linear.modes(sig)
    np.testing.assert_allclose(embed @ jnp.diag(rate) @ unembed.T, linear.drive(sig), rtol=0, atol=tolerance)
    assert np.all(np.diff(rate) <= 0)
    # Centring removes the constant direction of the labels: one rate is zero.
    assert float(rate[-1]) < tolerance * float(rate[0])


@float64_only
def test_closed_form_is_the_ode(sig, state, error):
    start = scaled(state, 1e-3)
    ts = jnp.linspace(0.0, linear.plateau_time(sig, 1e-3), 5)
    closed = jax.vmap(linear.closed_form, (0, None, None))(ts, start, sig)
    assert error(closed, solution(linear.rung0)(start, ts, sig)) < 1e-8
    assert error(jax.tree.map(lambda leaf: leaf[0], closed), start) < 1e-12


def test_closed_form_is_the_matrix_exponential(sig, state, error, tolerance):
    drive, time = np.asarray(linear.drive(sig), np.float64), 5.0
    block = np.block([[np.zeros((7, 7)), drive], [drive.T, np.zeros((7, 7))]])
    stacked = scipy.linalg.expm(block * time) @ np.concatenate([state["embed"], state["unembed"]])
    expected = {"embed": jnp.asarray(stacked[:7], dtype=float), "unembed": jnp.asarray(stacked[7:], dtype=float)}
    assert error(linear.closed_form(time, state, sig), expected) < 10 * tolerance


def test_closed_form_resolves_a_decaying_mode(sig, tolerance):
    embed, rate, unembed = linear.modes(sig)
    start = {"embed": embed[:, :1], "unembed": -unembed[:, :1]}
    time = 10.0 / rate[0]
    decayed = linear.closed_form(time, start, sig)["embed"]
    # e^-10 is smaller than the rounding of cosh(10): the naive formula loses these digits.
    np.testing.assert_allclose(decayed, np.exp(-10.0) * start["embed"], rtol=0, atol=2e6 * np.exp(-10.0) * tolerance)


@float64_only
@pytest.mark.parametrize(("rung", "power"), [(linear.rung0, 1), (linear.rung1, 2)])
def test_error_falls_with_the_init_scale_as_the_note_says(plateau, sig, rung, power):
    errors = [plateau(init_scale, 0.5, rung, sig) for init_scale in (1e-3, 1e-4)]
    assert errors[-1] < 10 * 1e-4**power
    assert abs(np.log10(errors[0] / errors[1]) - power) < 0.1


@float64_only
def test_explains_the_flow_and_shuffled_targets_do_not(plateau, sig, shuffled_sig):
    rung0, rung1 = (plateau(1e-4, 0.9, rung, sig) for rung in (linear.rung0, linear.rung1))
    control = plateau(1e-4, 0.9, linear.rung1, shuffled_sig)
    assert rung1 < 0.3 * rung0
    assert rung1 < 0.1 * control
    assert control > 0.5


def test_velocity_with_shuffled_targets_differs_by_order_one(sig, shuffled_sig, state, error):
    assert error(linear.rung0(0.0, state, shuffled_sig), linear.rung0(0.0, state, sig)) > 0.3


def test_context_matters_to_rung_1_only(data, state, error):
    """Same label signatures, other context signatures: rung 0 cannot tell, rung 1 can."""
    one, other = (checked_dataset(tokens, [4, 5, 4, 5], None, 7) for tokens in PAIRED_CONTEXTS)
    a, b = signatures(count(one)), signatures(count(other))
    np.testing.assert_array_equal(a.m1, b.m1)
    assert error(linear.rung0(0.0, state, a), linear.rung0(0.0, state, b)) == 0
    assert error(linear.rung1(0.0, state, a), linear.rung1(0.0, state, b)) > 0.1


PAIRED_CONTEXTS = (
    [[0, 1], [0, 1], [2, 3], [2, 3]],
    [[0, 3], [0, 3], [2, 1], [2, 1]],
)


def test_width_sees_no_direction(sig, state, error, tolerance):
    turn = jnp.asarray(scipy.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0], dtype=float)
    turned = jax.tree.map(lambda leaf: leaf @ turn, state)
    for rung in (linear.rung0, linear.rung1):
        expected = jax.tree.map(lambda leaf: leaf @ turn, rung(0.0, state, sig))
        assert error(rung(0.0, turned, sig), expected) < tolerance
    expected = jax.tree.map(lambda leaf: leaf @ turn, linear.closed_form(2.0, state, sig))
    assert error(linear.closed_form(2.0, turned, sig), expected) < 10 * tolerance


def test_relabelling_tokens_permutes(data, sig, state, error, tolerance):
    new = np.random.default_rng(4).permutation(data.vocab)
    old = np.argsort(new)
    renamed = signatures(count(checked_dataset(new[data.tokens], new[data.targets], data.weights, data.vocab)))
    moved = jax.tree.map(lambda leaf: leaf[old], state)
    expected = jax.tree.map(lambda leaf: leaf[old], linear.rung1(0.0, state, sig))
    assert error(linear.rung1(0.0, moved, renamed), expected) < tolerance
    assert error(linear.rung1(0.0, state, renamed), expected) > 0.1


@pytest.mark.parametrize("rung", [linear.rung0, linear.rung1])
def test_imbalance_is_conserved(sig, state, tolerance, rung):
    def imbalance(state):
        return state["embed"].T @ state["embed"] - state["unembed"].T @ state["unembed"]

    def total(state):
        return state["embed"].T @ state["embed"] + state["unembed"].T @ state["unembed"]

    velocity = rung(0.0, state, sig)
    drift = jax.jvp(imbalance, (state,), (velocity,))[1]
    growth = jax.jvp(total, (state,), (velocity,))[1]
    assert float(jnp.max(jnp.abs(drift))) < tolerance * float(jnp.max(jnp.abs(growth)))


def test_jit_and_vmap_lanes_agree(sig, state, error, tolerance):
    plain = linear.field(0.0, state, sig)
    assert error(jax.jit(linear.field)(0.0, state, sig), plain) < tolerance
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), state)
    lanes = jax.vmap(linear.field, (None, 0, None))(0.0, pair, sig)
    assert error(jax.tree.map(lambda leaf: leaf[0], lanes), plain) < tolerance


def test_plateau_time_is_logarithmic_in_the_init_scale(sig, tolerance):
    rate = np.linalg.svd(np.asarray(linear.drive(sig)), compute_uv=False)[0]
    for init_scale in (1e-2, 1e-6):
        expected = np.log(1 / init_scale) / rate
        assert abs(float(linear.plateau_time(sig, init_scale)) / expected - 1) < tolerance


@pytest.mark.parametrize("init_scale", [0.0, 1.0, -1e-3])
def test_no_plateau_without_a_small_start(sig, init_scale):
    with pytest.raises(ValueError, match="init_scale"):
        linear.plateau_time(sig, init_scale)


def test_missing_moments_and_foreign_states_are_refused(data, state):
    first_only = signatures(count(data, order=1))
    linear.rung0(0.0, state, first_only)
    with pytest.raises(ValueError, match="order=2"):
        linear.rung1(0.0, state, first_only)
    with pytest.raises(ValueError, match="hidden"):
        linear.rung0(0.0, {**state, "hidden": jnp.eye(4)}, first_only)
