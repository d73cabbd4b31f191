"""theory/binary_modes.md: bases that decouple F2, blow-up times against integration, survival, dominant modes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import elliprf

from jaxembed import integrate
from jaxembed.models import TwoPosition
from jaxembed.statistics import position_signatures
from jaxembed.tasks import BinaryTable
from jaxembed.theory import binary_modes, common_basis, two_position
from jaxembed.theory._carlson import elliptic_rf

TAYLOR = TwoPosition().taylor
OPERATIONS = {
    "modular_addition": (7, binary_modes.fourier),
    "xor": (8, binary_modes.hadamard),
}


@pytest.fixture(scope="module", params=OPERATIONS)
def case(request):
    """Signatures, bases and a state of an operation whose basis is known."""
    size, bases = OPERATIONS[request.param]
    sig = position_signatures(BinaryTable(size, request.param).dataset())
    state = TwoPosition(5, init_scale=0.5).init(jax.random.key(1), size, 2)
    return sig, bases(size), state


def one(u, v, w):
    """The same mode in every neuron."""
    return {name: jnp.full((2, 6), value, complex) for name, value in zip(binary_modes.TABLES, (u, v, w), strict=True)}


def end(modes, system, time, weight_decay=0.0):
    """The modes after `time`, integrated in real and imaginary parts, which the solver wants."""

    def split(tree):
        return {"real": jax.tree.map(jnp.real, tree), "imag": jax.tree.map(jnp.imag, tree)}

    def joined(parts):
        return jax.tree.map(jax.lax.complex, parts["real"], parts["imag"])

    def field(t, parts, system):
        return split(binary_modes.field(weight_decay)(t, joined(parts), system))

    line = integrate(field, split(modes), jnp.array([0.0, time]), system, rtol=1e-10, atol=1e-11)
    return joined(jax.tree.map(lambda leaf: leaf[-1], line.ys))


def draw(seed, count=6):
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(rng.normal(size=(2, count)) + 1j * rng.normal(size=(2, count)), complex)
        for name in binary_modes.TABLES
    }


def test_known_bases_leave_nothing_and_couple_all_modes_but_the_constant(case, tolerance):
    sig, bases, _ = case
    system = binary_modes.mode_system(sig, bases, TAYLOR)
    assert float(system.residual) < 100 * tolerance
    expected = np.full(sig.vocab, TAYLOR[1] * sig.vocab**-1.5)
    expected[0] = 0
    np.testing.assert_allclose(system.coupling, expected, atol=10 * tolerance)


def test_modes_and_tables_are_one_state(case, error, tolerance):
    _, bases, state = case
    assert error(binary_modes.from_modes(binary_modes.to_modes(state, bases), bases), state) < 10 * tolerance


@pytest.mark.parametrize("taylor", [TAYLOR, (0.5, -0.8, 0.0)])
def test_decoupled_field_is_the_second_order_field(case, error, tolerance, taylor):
    sig, bases, state = case
    system = binary_modes.mode_system(sig, bases, taylor)
    modes = binary_modes.to_modes(state, system.bases)
    velocity = binary_modes.from_modes(binary_modes.field(0.3)(0.0, modes, system), system.bases)
    assert error(velocity, two_position.field(taylor, 2, 0.3)(0.0, state, sig)) < 30 * tolerance


@pytest.mark.slow
@pytest.mark.float64_only("bases are found to rounding")
def test_a_basis_found_from_data_decouples_as_the_known_one(case):
    sig, bases, _ = case
    found, known = (binary_modes.mode_system(sig, b, TAYLOR) for b in (common_basis.common_basis(sig), bases))
    assert float(found.residual) < 1e-6
    np.testing.assert_allclose(jnp.sort(found.coupling), jnp.sort(known.coupling), atol=1e-9)


def test_a_wrong_basis_does_not_decouple(case):
    """Control: a random orthonormal basis leaves nearly all of the joint signatures off its diagonal."""
    sig, _, _ = case
    basis = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(sig.vocab, sig.vocab)))[0], dtype=float)
    assert float(binary_modes.mode_system(sig, binary_modes.Bases(basis, basis, basis), TAYLOR).residual) > 0.8


def test_a_rotated_label_phase_is_undone(tolerance):
    """Couplings come out real and positive whatever the phases of the bases."""
    sig, bases = position_signatures(BinaryTable(5).dataset()), binary_modes.fourier(5)
    turned = bases._replace(label=bases.label * jnp.asarray(np.exp(1j * np.arange(5)), bases.label.dtype)[None, :])
    straight, system = (binary_modes.mode_system(sig, b, TAYLOR) for b in (bases, turned))
    np.testing.assert_allclose(system.coupling, straight.coupling, atol=10 * tolerance)
    np.testing.assert_allclose(system.bases.label[:, 1:], bases.label[:, 1:], atol=100 * tolerance)


def test_carlson_against_scipy(tolerance):
    rng = np.random.default_rng(3)
    x = rng.random(20) + 0j
    x[:3] = 0
    y = rng.random(20) + 1j * rng.normal(size=20)
    arguments = [jnp.asarray(a, complex) for a in (x, y, y.conj())]
    np.testing.assert_allclose(elliptic_rf(*arguments), elliprf(x, y, y.conj()), rtol=10 * tolerance)


def test_equal_aligned_modes_blow_up_at_one_over_their_size(tolerance):
    """u = v = w = x: x' = x^2."""
    assert abs(float(binary_modes.blow_up(one(0.25, 0.25, 0.25))[0, 0]) - 4) < 100 * tolerance


def test_time_scales_as_one_over_the_size(tolerance):
    modes = draw(0)
    small = jax.tree.map(lambda leaf: leaf * 1e-6, modes)
    np.testing.assert_allclose(
        binary_modes.blow_up(small) * 1e-6, binary_modes.blow_up(modes), rtol=1e-6 if tolerance < 1e-9 else 1e-2
    )


@pytest.mark.float64_only("quadrature to 1e-8")
@pytest.mark.parametrize("seed", range(3))
def test_blow_up_against_quadrature(seed):
    """s* as the integral over rho of 1 / (2 sqrt(G)), down to the turning point and back where it falls first."""
    modes = draw(seed)
    found = np.asarray(binary_modes.blow_up(modes))
    u, v, w = (np.asarray(modes[name]) for name in binary_modes.TABLES)
    for index in np.ndindex(found.shape):
        squares = [abs(x[index]) ** 2 for x in (u, v, w)]
        drive = w[index] * np.conj(u[index] * v[index])
        cubic = np.poly(-np.array(squares)) - np.array([0, 0, 0, drive.imag**2])
        turning = max(root.real for root in np.roots(cubic) if abs(root.imag) < 1e-9)

        def upward(low, turning=turning, cubic=cubic):  # rho = turning + z^2 takes the root at the turning point out
            quotient = np.polydiv(cubic, [1, -turning])[0]
            return quad(lambda z: 1 / np.sqrt(np.polyval(quotient, turning + z * z)), low, np.inf, epsabs=1e-11)[0]

        expected = upward(np.sqrt(-turning))
        if drive.real < 0:
            expected = 2 * upward(0.0) - expected
        assert abs(found[index] - expected) < 1e-7 * expected


@pytest.mark.slow
@pytest.mark.float64_only("integration to 1e-8")
def test_integration_reaches_infinity_when_predicted(weight_decay=0.05):
    """Next to a blow-up every square grows like 1 / (C (t* - t))^2, so C |w| (t* - t) -> 1."""
    modes = jax.tree.map(lambda leaf: leaf[:, :3], draw(4))
    coupling = jnp.array([0.7, 1.3])
    system = binary_modes.ModeSystem(binary_modes.hadamard(2), coupling, jnp.zeros(()))
    times = binary_modes.blow_up_time(binary_modes.blow_up(modes), coupling, weight_decay)
    first = float(jnp.min(times))
    row, column = np.argwhere(np.asarray(times) == first)[0]
    last = end(modes, system, first * (1 - 1e-4), weight_decay)
    for name in binary_modes.TABLES:
        size = float(jnp.abs(last[name][row, column]))
        assert abs(size * float(coupling[row]) * first * 1e-4 - 1) < 2e-3, name
    assert float(binary_modes.phase_error(last)[row, column]) < 1e-4


def test_each_mode_conserves_its_imbalances_and_the_drive(tolerance):
    """Rates of change of |u|^2 - |v|^2, |u|^2 - |w|^2 and Im w conj(u v) without decay."""
    modes = draw(5)
    rates = binary_modes.field()(
        0.0, modes, binary_modes.ModeSystem(binary_modes.hadamard(2), jnp.ones(2), jnp.zeros(()))
    )
    (u, v, w), (du, dv, dw) = ([np.asarray(m[name]) for name in binary_modes.TABLES] for m in (modes, rates))
    gain = np.real(np.conj(u) * du)
    np.testing.assert_allclose(gain, np.real(np.conj(v) * dv), atol=100 * tolerance)
    np.testing.assert_allclose(gain, np.real(np.conj(w) * dw), atol=100 * tolerance)
    drive = dw * np.conj(u * v) + w * np.conj(du * v + u * dv)
    assert np.max(np.abs(drive.imag)) < 100 * tolerance * np.max(drive.real) and np.min(drive.real) > 0


def test_decay_only_delays_until_it_wins(tolerance):
    s_star, coupling = jnp.asarray([[2.0, 30.0]], float), jnp.asarray([0.5], float)
    np.testing.assert_allclose(binary_modes.blow_up_time(s_star, coupling), [[4.0, 60.0]], rtol=tolerance)
    lost = binary_modes.blow_up_time(s_star, coupling, 0.02)  # C / lambda = 25 lies between the two
    np.testing.assert_allclose(lost[0, 0], -np.log(1 - 0.02 * 4) / 0.02, rtol=10 * tolerance)
    assert np.isinf(lost[0, 1])
    nearly = binary_modes.blow_up_time(s_star, coupling, 1e-6)
    np.testing.assert_allclose(nearly, [[4.0, 60.0]], rtol=1e-3 if tolerance > 1e-9 else 1e-4)


def test_modes_at_rest_never_blow_up():
    assert np.isinf(binary_modes.blow_up(one(0, 0, 1.0))[0, 0]) and np.isinf(binary_modes.blow_up(one(0, 0, 0))[0, 0])
    times = binary_modes.blow_up_time(jnp.ones((1, 1)), jnp.zeros(1))
    assert np.isinf(times[0, 0])


def test_dominant_mode_is_the_first_to_blow_up_and_never_the_constant(case):
    sig, bases, state = case
    system = binary_modes.mode_system(sig, bases, TAYLOR)
    modes = binary_modes.to_modes(state, system.bases)
    mode, time = binary_modes.dominant(modes, system)
    times = np.asarray(binary_modes.blow_up_time(binary_modes.blow_up(modes), system.coupling))
    assert np.all(np.asarray(mode) > 0)
    np.testing.assert_allclose(times[np.asarray(mode), np.arange(5)], times.min(axis=0), rtol=2e-3)
    np.testing.assert_allclose(time, times.min(axis=0))


def test_phase_error_is_the_angle_between_product_and_label():
    assert abs(float(binary_modes.phase_error(one(1j, 1.0, -1j))[0, 0]) - np.pi) < 1e-6
    assert float(binary_modes.phase_error(one(1j, 1j, -1.0))[0, 0]) < 1e-6


def test_hadamard_needs_a_power_of_two():
    with pytest.raises(ValueError, match="vocab: the Walsh-Hadamard basis needs a power of two, got 6"):
        binary_modes.hadamard(6)
