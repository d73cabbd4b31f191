"""theory/deep_linear.md: modes at any depth, random starts, what is conserved, and the spectrum of a tree."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxembed import integrate
from jaxembed.models import SquaredLoss
from jaxembed.tasks import Tree
from jaxembed.theory import deep_linear
from jaxembed.theory.deep_linear import Correlations

float64_only = pytest.mark.float64_only("needs float64 resolution")
STRENGTHS = np.array([3.0, 2.0, 1.0, 0.5])
STARTS = 1e-3 * np.array([1.0, 2.0, 0.5, 3.0])
TARGETS, TOKENS = 7, 5


def orthonormal(rows, columns, seed=0):
    return np.linalg.qr(np.random.default_rng([seed, rows, columns]).normal(size=(rows, columns)))[0]


OUTPUT, INPUT = orthonormal(TARGETS, 4), orthonormal(TOKENS, 4, 1)


def data(variance=1.0):
    return Correlations(jnp.asarray(OUTPUT * STRENGTHS @ INPUT.T, float), jnp.asarray(variance * np.eye(TOKENS), float))


def aligned(layers, width=6):
    turns = [INPUT, *(orthonormal(width, 4, seed) for seed in range(2, layers + 1)), OUTPUT]
    return {f"w{i + 1}": jnp.asarray(turns[i + 1] * STARTS ** (1 / layers) @ turns[i].T, float) for i in range(layers)}


def drawn(width, scale, layers=2, seed=0):
    sizes, rng = [TOKENS, *[width] * (layers - 1), TARGETS], np.random.default_rng(seed)
    shapes = list(itertools.pairwise(sizes))
    return {f"w{i + 1}": jnp.asarray(scale * rng.normal(size=(b, a)), float) for i, (a, b) in enumerate(shapes)}


@jax.jit
def exact(state, ts, sig):
    return integrate(deep_linear.field, state, ts, sig, rtol=1e-11, atol=1e-15).ys


def in_modes(ys):
    return np.einsum("ik,tij,jl->tkl", OUTPUT, jax.vmap(deep_linear.product)(ys), INPUT)


def relative(found, expected):
    return float(jnp.linalg.norm(found - expected) / jnp.linalg.norm(expected))


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_the_field_is_the_gradient_flow_of_the_squared_error(layers, tolerance):
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.normal(size=(20, n)), float) for n in (TOKENS, TARGETS))
    sig, state = Correlations(y.T @ x / 20, x.T @ x / 20), drawn(4, 0.5, layers)
    expected = jax.grad(SquaredLoss(x, y))(state)
    for name, rate in deep_linear.field(0.0, state, sig).items():
        np.testing.assert_allclose(rate, -expected[name], rtol=0, atol=10 * tolerance)


@float64_only
@pytest.mark.parametrize(("layers", "variance"), [(2, 1.0), pytest.param(3, 1.0, marks=pytest.mark.slow), (5, 0.2)])
def test_modes_of_an_aligned_start_against_the_matrix_flow(layers, variance):
    end = 1.2 * deep_linear.half_time(3e-3, 0.5, layers, variance)
    ts = jnp.linspace(0.0, end, 12)
    found = in_modes(exact(aligned(layers), ts, data(variance)))
    start, s = jnp.asarray(STARTS)[None, :], jnp.asarray(STRENGTHS)[None, :]
    expected = deep_linear.strength(ts[:, None], start, s, layers, variance)
    assert np.abs(np.diagonal(found, axis1=1, axis2=2) - expected).max() < 1e-8
    assert np.abs(found * (1 - np.eye(4))[None]).max() < 1e-11
    assert expected[-1, 0] > 0.99 * 3.0 / variance  # the comparison covers the whole rise
    other = deep_linear.strength(ts[:, None], start, s, 3 if layers == 2 else 2, variance)
    assert np.abs(np.diagonal(found, axis1=1, axis2=2) - other).max() > 0.1


@float64_only
def test_golden_numbers():
    """Two layers, s = 3, u0 = 1e-3."""
    assert abs(float(deep_linear.strength(1.0, 1e-3, 3.0)) - 0.3557124789) < 1e-10
    assert abs(float(deep_linear.strength(1.5, 1e-3, 3.0)) - 2.1896116028) < 1e-10
    assert abs(float(deep_linear.half_time(1e-3, 3.0)) - 1.3343390298) < 1e-10


@float64_only
@pytest.mark.slow
def test_strength_solves_the_mode_equation_and_reach_time_inverts_it():
    depths, ts = (1, 2, 3, 4, 8), jnp.linspace(0.0, 1.3, 7)
    ends = {n: deep_linear.reach_time(1e-3, 3.8, 1.7, n, 0.4) for n in depths}

    def rate(t, u, args):  # every depth on its own clock
        return {n: ends[n] * deep_linear.mode_rate(u[n], 1.7, n, 0.4) for n in depths}

    ys = integrate(rate, {n: jnp.full(1, 1e-3) for n in depths}, ts, rtol=1e-11, atol=1e-16).ys
    for n in depths:
        found = deep_linear.strength(ends[n] * ts, 1e-3, 1.7, n, 0.4)
        np.testing.assert_allclose(found, ys[n][:, 0], rtol=1e-8)
        np.testing.assert_allclose(deep_linear.reach_time(1e-3, found[1:5], 1.7, n, 0.4), ends[n] * ts[1:5], rtol=1e-8)


@float64_only
def test_four_layers_have_the_elementary_form():
    def f(u, s):
        return 2 * s**-1.5 * np.arctanh(np.sqrt(u / s)) - 2 / (s * np.sqrt(u))

    assert abs(float(deep_linear.reach_time(1e-3, 1.5, 3.0, 4)) - (f(1.5, 3.0) - f(1e-3, 3.0)) / 4) < 1e-10


@float64_only
def test_many_layers_approach_the_limit_as_one_over_their_number():
    limit = deep_linear.deep_limit_time(0.1, 1.5, 3.0)
    errors = [abs(float(n * deep_linear.reach_time(0.1, 1.5, 3.0, n) / limit) - 1) for n in (200, 400)]
    assert errors[1] < 0.01
    assert abs(np.log2(errors[0] / errors[1]) - 1) < 0.1


def test_ten_to_ninety_percent(tolerance):
    rise = deep_linear.reach_time(0.3, 2.7, 3.0)
    assert abs(float(rise) / (np.log(81) / 6) - 1) < 10 * tolerance
    assert abs(float(deep_linear.reach_time(0.3, 2.7, 3.0, 1)) / np.log(9) - 1) < 10 * tolerance


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_imbalance_is_conserved(layers, tolerance):
    state = drawn(4, 0.5, layers)
    velocity = deep_linear.field(0.0, state, data(0.3))
    drift = jax.jvp(deep_linear.imbalance, (state,), (velocity,))[1]
    growth = max(float(jnp.abs(rate).max()) for rate in velocity.values())
    assert len(drift) == layers - 1
    assert max(float(jnp.abs(part).max()) for part in drift) < 10 * tolerance * growth


@float64_only
def test_a_mode_of_unbalanced_layers_conserves_the_difference_of_squares():
    """One unit everywhere: du/dt = sqrt(c^2 + 4 u^2) (s - u) with c = b^2 - a^2."""
    state, sig = {"w1": jnp.array([[0.3]]), "w2": jnp.array([[0.1]])}, Correlations(jnp.eye(1) * 2.0, jnp.eye(1))
    velocity = deep_linear.field(0.0, state, sig)
    u, rate = jax.jvp(deep_linear.product, (state,), (velocity,))
    c = 0.3**2 - 0.1**2
    np.testing.assert_allclose(rate, np.sqrt(c**2 + 4 * u**2) * (2.0 - u), rtol=1e-12)
    assert abs(float(rate[0, 0]) / float(deep_linear.mode_rate(u[0, 0], 2.0)) - 1) > 0.5  # balance matters


@float64_only
@pytest.mark.slow
@pytest.mark.parametrize("width", [pytest.param(6, marks=pytest.mark.slow), 3])
def test_a_random_start_in_closed_form_is_wrong_by_the_order_of_its_scale(width):
    sig, errors = data(0.3), []
    for scale in (1e-2, 1e-4):
        state = drawn(width, scale)
        ts = jnp.linspace(0.0, 1.5 * deep_linear.half_time(scale**2, 0.5, 2, 0.3), 12)
        closed = jax.vmap(deep_linear.closed_form, (0, None, None))(ts, state, sig)
        pairs = [jax.vmap(deep_linear.product)(ys) for ys in (exact(state, ts, sig), closed)]
        errors.append(max(relative(b, a) for a, b in zip(*pairs, strict=True)))
        np.testing.assert_allclose(closed["w1"][0], state["w1"], rtol=0, atol=1e-14)
    assert errors[1] < 2e-4
    assert abs(np.log10(errors[0] / errors[1]) / 2 - 1) < 0.2


@float64_only
def test_the_closed_form_of_an_aligned_start_is_its_sigmoids():
    state, sig, time = aligned(2), data(0.3), 2.0
    found = in_modes(jax.tree.map(lambda w: w[None], deep_linear.closed_form(time, state, sig)))[0]
    expected = deep_linear.strength(time, jnp.asarray(STARTS), jnp.asarray(STRENGTHS), 2, 0.3)
    np.testing.assert_allclose(found, np.diag(expected), rtol=0, atol=1e-12)


@float64_only
def test_the_closed_form_begins_as_the_exponential_of_the_drive():
    state, time = drawn(6, 1e-6), 1.0
    sig = data()
    block = np.block([[np.zeros((5, 5)), sig.yx.T], [sig.yx, np.zeros((7, 7))]])
    stacked = scipy.linalg.expm(time * block) @ np.concatenate([state["w1"].T, state["w2"]])
    found = deep_linear.closed_form(time, state, sig)
    np.testing.assert_allclose(found["w1"].T, stacked[:5], rtol=0, atol=1e-15)
    np.testing.assert_allclose(found["w2"], stacked[5:], rtol=0, atol=1e-15)


@float64_only
def test_sigmoids_of_a_random_start_begin_at_the_qr_diagonal():
    sig, state = data(), drawn(6, 1e-5)
    ts = jnp.linspace(0.0, 1.5 * deep_linear.half_time(1e-10, 0.5), 12)
    found = np.diagonal(in_modes(exact(state, ts, sig)), axis1=1, axis2=2)
    s, starts = jnp.asarray(STRENGTHS)[None, :], deep_linear.mode_starts(state, sig)[None, :4]
    naive = jnp.linalg.svd(deep_linear.product(state), compute_uv=False)[None, :4]
    errors = [
        float(jnp.sqrt(jnp.mean((deep_linear.strength(ts[:, None], u, s) - found) ** 2))) for u in (starts, naive)
    ]
    assert errors[0] < 1e-3
    assert errors[1] > 50 * errors[0]


@float64_only
def test_tree_spectrum_is_that_of_the_covariance():
    values, counts = deep_linear.tree_spectrum((2, 2, 2), 0.1)
    np.testing.assert_allclose(values, [3.5078, 1.4106, 0.8208, 0.36], atol=5e-5)
    assert counts.tolist() == [1, 1, 2, 4]
    for branching, flip in (((2, 2, 2), 0.1), ((3, 2), 0.25), ((2, 4, 3), 0.02)):
        values, counts = deep_linear.tree_spectrum(branching, flip)
        explicit = np.linalg.eigvalsh(Tree(branching, flip).covariance())[::-1]
        np.testing.assert_allclose(np.repeat(values, counts), explicit, rtol=0, atol=1e-12)
        assert np.all(np.diff(values) < 0)


def test_wrong_states_and_depths_are_refused():
    with pytest.raises(ValueError, match="needs the layers w1"):
        deep_linear.product({"embed": jnp.eye(2)})
    with pytest.raises(ValueError, match="two layers"):
        deep_linear.closed_form(1.0, drawn(4, 1.0, 3), data())
    with pytest.raises(ValueError, match="layers: "):
        deep_linear.strength(1.0, 1e-3, 3.0, 0)
