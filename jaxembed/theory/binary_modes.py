"""Two-position model in a basis that diagonalises the joint signatures (theory/binary_modes.md).

F2 falls apart into one three-variable system for each mode and neuron, which blows up at a time known in closed form
from the initial weights; the mode that blows up first is the one the neuron will specialise in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Inexact, Int

from ..statistics import PositionSignatures
from ._carlson import elliptic_rf
from .linear import dot
from .two_position import State, Taylor, checked

TABLES = ("embed", "second", "unembed")

Modes = dict[str, Inexact[Array, "token width"]]
"""u = A^H U, v = B^H V, w = C^H W under the names of their tables: row r is mode r, a column is a neuron."""


class Bases(NamedTuple):
    """A unitary basis for each table; column r is mode r.

    A `CommonBasis` found from data goes through `mode_system`, whose `bases` are of this kind.

    Attributes:
        first: A `[token, token]`, over first tokens.
        second: B `[token, token]`, over second tokens.
        label: C `[token, token]`, over labels.
    """

    first: Inexact[Array, "token token"]
    second: Inexact[Array, "token token"]
    label: Inexact[Array, "token token"]


class ModeSystem(NamedTuple):
    """What the data says about F2 in given bases.

    Attributes:
        bases: the bases, the phases of C chosen such that every coupling is real and positive.
        coupling: C_r `[token]`, speed of every mode; 0 for a mode that F2 does not move.
        residual: share of the energy of J that these bases leave off the diagonal, 0 (they decouple F2) to 1.
    """

    bases: Bases
    coupling: Float[Array, " token"]
    residual: Float[Array, ""]


def fourier(vocab: int) -> Bases:
    """Unitary Fourier bases, which decouple addition modulo `vocab`."""
    angle = jnp.asarray(2 * np.pi / vocab * (np.outer(np.arange(vocab), np.arange(vocab)) % vocab), dtype=float)
    basis = jax.lax.complex(jnp.cos(angle), jnp.sin(angle)) * vocab**-0.5
    return Bases(basis, basis, basis)


def hadamard(vocab: int) -> Bases:
    """Walsh-Hadamard bases, which decouple bitwise XOR.

    Raises:
        ValueError: where `vocab` is no power of two.
    """
    if vocab < 1 or vocab & (vocab - 1):
        raise ValueError(f"vocab: the Walsh-Hadamard basis needs a power of two, got {vocab}")
    table = np.ones((1, 1))
    while len(table) < vocab:
        table = np.block([[table, table], [table, -table]])
    basis = jnp.asarray(table / np.sqrt(vocab), dtype=float)
    return Bases(basis, basis, basis)


def mode_system(sig: PositionSignatures, bases: Any, taylor: Taylor) -> ModeSystem:
    """Couplings of the modes of given bases, and how well these decouple F2.

    Equation: (O2) in theory/binary_modes.md: C_r = |c2 sum J conj(A_ar B_br) C_yr|; c2 v^(-3/2) for full modular
        addition and XOR.
    Assumes: unitary bases, `fourier`, `hadamard` or the `CommonBasis` found from the data.
    Valid while: always; a property of the data.
    Clock: couplings are rates per flow time and unit of parameter.
    """
    cells = sig.cells
    read = bases.first[cells.tokens[:, 0]] * bases.second[cells.tokens[:, 1]]
    label = (bases.label - jnp.mean(bases.label, axis=0, keepdims=True))[cells.targets]
    overlap = jnp.sum(jnp.conj(read) * label * cells.weights.astype(label.dtype)[:, None], axis=0)
    total = jnp.sum(cells.weights**2) - jnp.sum(sig.pair**2) / sig.vocab
    rest = jnp.maximum(1 - jnp.sum(jnp.abs(overlap) ** 2) / total, 0)
    driven = taylor[1] * overlap
    coupling = jnp.abs(driven)
    moving = coupling > 0
    turn = jnp.where(moving, jnp.conj(driven) / jnp.where(moving, coupling, 1).astype(driven.dtype), 1)
    aligned = Bases(bases.first, bases.second, bases.label * turn[None, :])
    return ModeSystem(aligned, coupling, rest)


def to_modes(state: State, bases: Bases) -> Modes:
    """u = A^H U, v = B^H V, w = C^H W."""
    return {
        name: dot(jnp.conj(basis).T, table.astype(basis.dtype))
        for name, basis, table in zip(TABLES, bases, checked(state), strict=True)
    }


def from_modes(modes: Modes, bases: Bases) -> State:
    """The real tables of modes."""
    return {name: jnp.real(dot(basis, modes[name])) for name, basis in zip(TABLES, bases, strict=True)}


def field(weight_decay: Float[ArrayLike, ""] | float = 0.0) -> Callable[..., Modes]:
    """F2 - lambda theta mode by mode: `field(weight_decay)(t, modes, system)`.

    Equation: (O3) in theory/binary_modes.md: u' = C w conj(v) - lambda u, v' = C w conj(u) - lambda v,
        w' = C u v - lambda w, for each mode and neuron.
    Assumes: as `two_position.field` of order 2, bases that decouple J, and uniform marginals (F1 = 0).
    Valid while: as `two_position.field` of order 2, until the first blow-up.
    Clock: flow time.

    Source: wang2026modular.
    """

    def decoupled(t: Float[ArrayLike, ""], modes: Modes, system: ModeSystem) -> Modes:
        u, v, w = modes["embed"], modes["second"], modes["unembed"]
        coupling = system.coupling[:, None].astype(u.dtype)
        decay = jnp.asarray(weight_decay, u.dtype)
        return {
            "embed": coupling * w * jnp.conj(v) - decay * u,
            "second": coupling * w * jnp.conj(u) - decay * v,
            "unembed": coupling * u * v - decay * w,
        }

    return decoupled


def blow_up(modes: Modes) -> Float[Array, "token width"]:
    """s*, the undamped blow-up time of every mode and neuron at coupling 1, in closed form.

    Equation: (O7) in theory/binary_modes.md: s* = R_F(-e1, -e2, -e3) where w conj(u v) starts with a positive real
        part, else 2 R_F(0, e1 - e2, e1 - e3) less that; e1 >= .. the roots of (|u|^2 + x)(|v|^2 + x)(|w|^2 + x) = L^2.
    Assumes: as `field` without decay.
    Valid while: it states the whole life of the truncated flow; infinite where two of u, v, w are 0.
    Clock: flow time times the coupling.

    Source: wang2026modular; the closed form of the blow-up is ours.
    """
    sizes = jnp.stack([jnp.abs(modes[name]) for name in TABLES])
    # In units of the largest amplitude no power under- or overflows.
    largest = jnp.max(sizes, axis=0)
    unit = jnp.where(largest > 0, largest, 1)
    u, v, w = (modes[name] / unit.astype(modes[name].dtype) for name in TABLES)
    p, q, m = (jnp.abs(mode) ** 2 for mode in (u, v, w))
    drive = w * jnp.conj(u * v)
    e1, e2, e3 = _roots(p + q + m, p * q + q * m + m * p, jnp.imag(drive) ** 2, (p, q, m))
    ahead = jnp.real(elliptic_rf(-e1, -e2, -e3))
    period = jnp.real(elliptic_rf(jnp.zeros_like(e1), e1 - e2, e1 - e3))
    time = jnp.where(jnp.real(drive) >= 0, ahead, 2 * period - ahead) / unit
    return jnp.where(jnp.sum(sizes > 0, axis=0) >= 2, time, jnp.inf)


def _roots(
    linear: Array, quadratic: Array, turning: Array, squares: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Roots of (p + x)(q + x)(m + x) = turning, the largest first, which is real; as complex numbers."""
    start = (jnp.zeros_like(linear), (linear, quadratic, turning, squares))
    largest = jax.lax.fori_loop(0, 60, _newton, start)[0]
    half = -(linear + largest) / 2
    product = quadratic + largest * (linear + largest)
    zero = jnp.zeros_like(half)
    spread = jnp.sqrt(jax.lax.complex(half**2 - product, zero))
    largest, half = jax.lax.complex(largest, zero), jax.lax.complex(half, zero)
    return largest, half + spread, half - spread


def _newton(_: Array, carry: tuple[Array, Any]) -> tuple[Array, Any]:
    """From 0 the steps fall monotonically to the largest root: there the cubic is convex and rises."""
    x, (linear, quadratic, turning, (p, q, m)) = carry
    value = (p + x) * (q + x) * (m + x) - turning
    slope = quadratic + x * (2 * linear + 3 * x)
    forward = (value > 0) & (slope > 0)
    return jnp.where(forward, x - value / jnp.where(slope > 0, slope, 1), x), carry[1]


def blow_up_time(
    s_star: Float[Array, "token width"],
    coupling: Float[Array, " token"],
    weight_decay: Float[ArrayLike, ""] | float = 0.0,
) -> Float[Array, "token width"]:
    """t*, when a mode reaches infinity under decay; infinite for one that decay wins over.

    Equation: (O9) in theory/binary_modes.md: t* = -ln(1 - lambda s* / C) / lambda, finite if and only if
        s* < C / lambda; s* / C without decay.
    Assumes: as `field`.
    Valid while: as `blow_up`.
    Clock: flow time.

    Source: wang2026modular.
    """
    moving = coupling > 0
    undamped = jnp.where(moving[:, None], s_star / jnp.where(moving, coupling, 1)[:, None], jnp.inf)
    decay = jnp.asarray(weight_decay, undamped.dtype)
    lost = decay * undamped
    survives = lost < 1
    damped = -jnp.log1p(-jnp.where(survives, lost, 0)) / jnp.where(decay > 0, decay, 1)
    return jnp.where(decay > 0, jnp.where(survives, damped, jnp.inf), undamped)


def dominant(modes: Modes, system: ModeSystem) -> tuple[Int[Array, " width"], Float[Array, " width"]]:
    """The mode in which each neuron blows up first, and its undamped time s* / C; by ties the first of equals.

    Equation: (O10) in theory/binary_modes.md: argmin over r of s*_r / C_r. Decay does not change it.
    Assumes: as `field`.
    Valid while: as `blow_up`.
    Clock: flow time without decay; a neuron survives decay lambda where this is below 1 / lambda.

    Source: wang2026modular.
    """
    times = blow_up_time(blow_up(modes), system.coupling)
    earliest = jnp.min(times, axis=0)
    # Modes r and -r of real tables are equal up to rounding: without the margin either could win.
    return jnp.argmax(times <= earliest[None, :] * (1 + 1e-3), axis=0), earliest


def phase_error(modes: Modes) -> Float[Array, "token width"]:
    """|arg u + arg v - arg w| of every mode and neuron, 0 to pi.

    Equation: (O5) in theory/binary_modes.md; it falls to 0 before a mode blows up.
    Assumes: phases as in `mode_system`.
    Valid while: u, v, w are not 0, where it is undefined but reported as 0.
    Clock: none.
    """
    return jnp.abs(jnp.angle(modes["embed"] * modes["second"] * jnp.conj(modes["unembed"])))
