"""Joint diagonalisation behind `common_basis`: three orthonormal bases that make a cube of numbers diagonal.

The cube T [a, b, y] is P(y | a, b) - 1/v without its averages over any one index. Spectral start, (B5) in
theory/common_basis.md, then alternating polar steps, (B6), which fill in the pairs that do not occur.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, PRNGKeyArray

from .linear import dot


class JointModes(NamedTuple):
    """Columns in the space orthogonal to the constant, their complex weights, and what they leave."""

    first: Complex[Array, "token mode"]
    second: Complex[Array, "token mode"]
    label: Complex[Array, "token mode"]
    weight: Complex[Array, " mode"]
    residual: Float[Array, ""]


class _Walk(NamedTuple):
    second: Array
    label: Array
    first: Array
    weight: Array
    cube: Array
    power: Array
    before: Array
    sweep: Array


@partial(jax.jit, static_argnames=("sweeps", "complete"))
def search(
    conditional: Float[Array, "token token token"],
    seen: Bool[Array, "token token"],
    key: PRNGKeyArray,
    sweeps: int,
    complete: bool,
) -> JointModes:
    """One start: random combinations, then polar steps until the diagonal gains no more energy.

    Args:
        conditional: P(y | a, b) - 1/v, zero where (a, b) does not occur.
        seen: which (a, b) occur.
        key: of the random combinations.
        sweeps: most polar steps.
        complete: whether all pairs occur; if not, the missing ones are filled from the modes after each sweep.
    """
    real = conditional.dtype
    tolerance = 1e-13 if real == np.float64 else 1e-7
    cube = centred(conditional)
    second, label = _start(cube, key)
    width = second.shape[1]
    zero = jnp.zeros((), real)
    walk = _Walk(second, label, second, jnp.ones(width, cube.dtype), cube, zero, zero - 1, jnp.zeros((), jnp.int32))

    def going(walk: _Walk) -> Array:
        return (walk.sweep < sweeps) & (jnp.abs(walk.power - walk.before) > tolerance * walk.power)

    def step(walk: _Walk) -> _Walk:
        first, second, label, weight = _polar_step(walk.cube, walk.second, walk.label)
        cube = walk.cube if complete else _filled(conditional, seen, first, second, label, weight)
        return _Walk(second, label, first, weight, cube, _power(weight), walk.power, walk.sweep + 1)

    walk = jax.lax.while_loop(going, step, walk)
    left = walk.cube - _diagonal(walk.first, walk.second, walk.label, walk.weight)
    share = _energy(_whole(left), seen) / _energy(_whole(walk.cube), seen)
    return JointModes(walk.first, walk.second, walk.label, walk.weight, share)


@jax.jit
def lifted(modes: JointModes) -> tuple[Array, Array, Array, Array]:
    """Bases over the symbols, the constant first, sorted by strength; phases such that strengths are not negative."""
    order = jnp.argsort(-jnp.abs(modes.weight))
    helmert = _helmert(modes.weight.dtype, len(modes.weight) + 1)
    constant = jnp.full((len(helmert), 1), len(helmert) ** -0.5, helmert.dtype)
    first, second = (_phased(dot(helmert, columns[:, order])) for columns in (modes.first, modes.second))
    first_phase, second_phase = (
        jnp.sum(dot(helmert, old[:, order]).conj() * new, axis=0)
        for old, new in ((modes.first, first), (modes.second, second))
    )
    strength = jnp.abs(modes.weight[order])
    # T = w A B conj(C) is the same cube for the new A, B and the real strength if C takes up all phases.
    turn = _phase(first_phase) * _phase(second_phase) * _phase(modes.weight[order]).conj()
    label = dot(helmert, modes.label[:, order]) * turn[None, :]
    whole = [jnp.concatenate([constant, columns], axis=1) for columns in (first, second, label)]
    return whole[0], whole[1], whole[2], jnp.concatenate([jnp.zeros(1, strength.dtype), strength])


@jax.jit
def commutator(conditional: Float[Array, "token token token"], key: PRNGKeyArray) -> Float[Array, ""]:
    """|N N' - N' N| over |N N'| + |N' N|, for products N of two random combinations of signatures; mean of 8 draws."""
    cube = centred(conditional)

    def one(key: PRNGKeyArray) -> Array:
        m = _combinations(cube, key, 4)
        one, other = dot(m[0], m[1].conj().T), dot(m[2], m[3].conj().T)
        left, right = dot(one, other), dot(other, one)
        return jnp.linalg.norm(left - right) / (jnp.linalg.norm(left) + jnp.linalg.norm(right))

    return jnp.mean(jax.lax.map(one, jax.random.split(key, 8)))


def centred(cube: Float[Array, "token token token"]) -> Complex[Array, "width width width"]:
    """The cube in an orthonormal basis of what is orthogonal to the constant, in all three indices."""
    helmert = _helmert(_complex(cube.dtype), len(cube))
    out = cube.astype(helmert.dtype)
    for _ in range(3):
        out = jnp.moveaxis(_fold(out, helmert), 2, 0)
    return out


def _start(cube: Array, key: PRNGKeyArray) -> tuple[Array, Array]:
    """Eigenvectors of zeta M M'^H + its conjugate transpose for random combinations of the family, and their images."""
    m, other, third = _combinations(cube, key, 3)
    product = dot(m, other.conj().T)
    turn = _phase(third[0, 0])  # a random phase keeps conjugates apart
    _, second = jnp.linalg.eigh(turn * product + (turn * product).conj().T)
    # Rows of B^H M are multiples of the rows of C^H.
    return second, _polar(dot(second.conj().T, m).conj().T)


def _combinations(cube: Array, key: PRNGKeyArray, number: int) -> Array:
    parts = jax.random.normal(key, (2, number, len(cube)), jnp.zeros((), cube.dtype).real.dtype)
    weights = jax.lax.complex(parts[0], parts[1])
    return dot(weights, cube.reshape(len(cube), -1)).reshape(number, *cube.shape[1:])


def _polar_step(cube: Array, second: Array, label: Array) -> tuple[Array, Array, Array, Array]:
    """Each basis in turn becomes the unitary one that gives the diagonal most, the two others held."""
    by_label = _fold(cube, label)
    first = _polar(jnp.einsum("abr,br->ar", by_label, second.conj()))
    by_first = _fold(jnp.moveaxis(cube, 0, 2), first.conj())  # [b, y, r]
    second = _turned(jnp.einsum("byr,yr->br", by_first, label), second)
    label, weight = _label_step(jnp.einsum("byr,br->yr", by_first, second.conj()), label)
    return first, second, label, weight


def _turned(target: Array, basis: Array) -> Array:
    return _polar(target * jnp.sum(basis.conj() * target, axis=0).conj()[None, :])


def _label_step(image: Array, label: Array) -> tuple[Array, Array]:
    """The image holds conj(C) times weights."""
    label = _turned(image.conj(), label)
    return label, jnp.sum(label * image, axis=0)


def _filled(conditional: Array, seen: Array, first: Array, second: Array, label: Array, weight: Array) -> Array:
    """The centred cube with the pairs that do not occur as the modes have them."""
    guess = _whole(_diagonal(first, second, label, weight)).real
    return centred(jnp.where(seen[:, :, None], conditional, guess))


def _diagonal(first: Array, second: Array, label: Array, weight: Array) -> Array:
    """sum_r w_r A_ar B_br conj(C_yr)."""
    pairs = (first * weight[None, :])[:, None, :] * second[None, :, :]
    return _fold(pairs, label.conj().T)


def _whole(cube: Array) -> Array:
    """Back from the space orthogonal to the constant to the symbols."""
    helmert = _helmert(cube.dtype, len(cube) + 1)
    for _ in range(3):
        cube = jnp.moveaxis(_fold(cube, helmert.T), 2, 0)
    return cube


def _fold(cube: Array, columns: Array) -> Array:
    """Contract the last index as one matrix product."""
    flat = dot(cube.reshape(-1, cube.shape[2]), columns)
    return flat.reshape(*cube.shape[:2], columns.shape[1])


def _polar(matrix: Array) -> Array:
    left, _, right = jnp.linalg.svd(matrix, full_matrices=False)
    return dot(left, right)


def _power(weight: Array) -> Array:
    return jnp.sum(jnp.abs(weight) ** 2)


def _energy(cube: Array, seen: Array) -> Array:
    return jnp.sum(jnp.where(seen[:, :, None], jnp.abs(cube) ** 2, 0))


def _phased(columns: Array) -> Array:
    """The first of the largest entries of each column made real and positive."""
    size = jnp.abs(columns)
    at = jnp.argmax(size >= 0.99 * jnp.max(size, axis=0, keepdims=True), axis=0)
    lead = columns[at, jnp.arange(columns.shape[1])]
    return columns * _phase(lead).conj()[None, :]


def _phase(number: Array) -> Array:
    return jnp.where(number == 0, 1, jax.lax.sign(number))


def _helmert(dtype: jnp.dtype, size: int) -> Array:
    """An orthonormal basis `[token, token - 1]` of what is orthogonal to the constant, written down."""
    k = np.arange(1, size)
    columns = np.where(np.arange(size)[:, None] < k[None, :], 1.0, 0.0)
    columns[k, k - 1] = -k
    return jnp.asarray(columns / np.sqrt(k * (k + 1))[None, :], dtype=dtype)


def _complex(dtype: jnp.dtype) -> jnp.dtype:
    return jnp.dtype(np.complex128 if dtype == np.float64 else np.complex64)
