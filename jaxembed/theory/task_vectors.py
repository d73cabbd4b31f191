"""Offsets of a family of word pairs: a common task vector amid noise, and its spectrum (theory/task_vectors.md).

N offsets of effective width d. `ratio` is N / d, `strength` the l of the page, eigenvalues are in units of the noise.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

Scalar = Float[ArrayLike, ""]
Number = Float[ArrayLike, "..."]


def strength(mean_square: Number, noise: Number, pairs: Number) -> Float[Array, "..."]:
    """How strong a task vector is: its squared length, times pairs, in units of the noise of an offset.

    Equation: (T3) in theory/task_vectors.md: l = N |mu|^2 / tr S.
    Assumes: offsets mu + noise, noise of covariance S and mean zero.
    Valid while: always; a definition.
    Clock: none.

    >>> print(float(strength(0.5, 2.0, 20.0)))
    5.0
    """
    return jnp.asarray(pairs) * jnp.asarray(mean_square) / jnp.asarray(noise)


def ratio(covariance: Float[Array | np.ndarray, "width target"], pairs: Scalar) -> Float[Array, ""]:
    """N / d with the effective width d of noise that is not the same in all directions.

    Equation: (T2) in theory/task_vectors.md: d = (tr S)^2 / tr S^2.
    Assumes: noise whose Gram matrix is that of d equal directions to second order.
    Valid while: no direction of S holds a large share of it; then single eigenvalues leave the bulk.
    Clock: none.
    """
    covariance = jnp.asarray(covariance)
    return jnp.asarray(pairs, covariance.dtype) * jnp.sum(covariance**2) / jnp.trace(covariance) ** 2


def bulk_edges(ratio: Scalar) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Between which eigenvalues the Gram matrix of noise lies.

    Equation: (T4) in theory/task_vectors.md: (1 -+ sqrt(N / d))^2.
    Assumes: independent noise of equal variance in d directions, N and d large.
    Valid while: fluctuations of the edge, of relative size N^(-2/3), are small.
    Clock: none.

    >>> print(*(round(float(edge), 4) for edge in bulk_edges(0.25)))
    0.25 2.25

    Source: marchenko1967distribution.
    """
    root = jnp.sqrt(jnp.asarray(ratio))
    return (1 - root) ** 2, (1 + root) ** 2


def bulk_density(at: Float[Array, " example"], ratio: Scalar) -> Float[Array, " example"]:
    """Density of the eigenvalues of the Gram matrix of noise, those that are not zero.

    Equation: (T4) in theory/task_vectors.md: sqrt((x_+ - x)(x - x_-)) / (2 pi g x), g = N / d, for g <= 1; for g > 1
        the zeros (a share 1 - 1/g) are left out and the rest has mass 1/g.
    Assumes: as `bulk_edges`.
    Valid while: as `bulk_edges`.
    Clock: none.

    Source: marchenko1967distribution.
    """
    low, high = bulk_edges(ratio)
    inside = jnp.maximum((high - at) * (at - low), 0)
    return jnp.sqrt(inside) / (2 * jnp.pi * jnp.asarray(ratio) * jnp.where(at > 0, at, jnp.inf))


def spike(strength: Number, ratio: Number) -> Float[Array, "..."]:
    """The largest eigenvalue of the Gram matrix.

    Equation: (T5) in theory/task_vectors.md: (1 + l)(1 + g / l) above l = sqrt(g), else the edge (1 + sqrt(g))^2.
    Assumes: as `bulk_edges`, with one task vector that lies among the columns as the noise does.
    Valid while: as `bulk_edges`; exact as N and d grow at a fixed ratio.
    Clock: none.

    >>> print(float(spike(2.0, 0.5)))
    3.75

    Source: benaych2012singular.
    """
    strength, ratio = jnp.asarray(strength), jnp.asarray(ratio)
    seen = strength > jnp.sqrt(ratio)
    safe = jnp.where(seen, strength, 1)
    return jnp.where(seen, (1 + safe) * (1 + ratio / safe), (1 + jnp.sqrt(ratio)) ** 2)


def mean_overlap(strength: Number, ratio: Number) -> Float[Array, "..."]:
    """|cosine| of the leading direction of the offsets with their mean.

    Equation: (T6) in theory/task_vectors.md: sqrt(1 - g / l^2) above l = sqrt(g), else 0.
    Assumes: as `spike`.
    Valid while: as `spike`.
    Clock: none.

    >>> print(round(float(mean_overlap(2.0, 0.76)), 3))
    0.9

    Source: jaxembed.
    """
    strength, ratio = jnp.asarray(strength), jnp.asarray(ratio)
    seen = strength > jnp.sqrt(ratio)
    return jnp.where(seen, jnp.sqrt(1 - jnp.where(seen, ratio, 0) / jnp.where(seen, strength, 1) ** 2), 0)


def snr(strength: Number, ratio: Number, pairs: Number, columns: Number) -> Float[Array, "..."]:
    """Signal-to-noise of a task vector: largest eigenvalue over the mean of those that are not zero.

    Equation: (T7) in theory/task_vectors.md: lam_1 min(N, p) / (N + l), lam_1 of (T5), p columns of the vectors.
    Assumes: as `spike`.
    Valid while: as `spike`; columns that are no combination of each other.
    Clock: none.

    Source: karkada2025closed.
    """
    strength, pairs = jnp.asarray(strength), jnp.asarray(pairs)
    return spike(strength, ratio) * jnp.minimum(pairs, jnp.asarray(columns)) / (pairs + strength)


def consistency(strength: Number, pairs: Number) -> Float[Array, "..."]:
    """Mean cosine between two offsets.

    Equation: (T8) in theory/task_vectors.md: l / (N + l).
    Assumes: as `spike`, and offsets that are about equally long (a large effective width).
    Valid while: the effective width is large.
    Clock: none.

    >>> print(round(float(consistency(5.0, 20.0)), 3))
    0.2

    Source: jaxembed.
    """
    return jnp.asarray(strength) / (jnp.asarray(pairs) + jnp.asarray(strength))


def shuffled_strength(strength: Number, likeness: Number) -> Float[Array, "..."]:
    """What is left of the strength when partners are shuffled: the mean offset stays, its noise grows.

    Equation: (T9) in theory/task_vectors.md: l (1 - rho), rho the correlation of w_a and w_b within pairs.
    Assumes: as `spike`; rho = 2 tr cov(a, b) / (tr cov(a) + tr cov(b)).
    Valid while: pairs are many enough that a shuffle leaves few in place.
    Clock: none.

    Source: jaxembed.
    """
    return jnp.asarray(strength) * (1 - jnp.asarray(likeness))
