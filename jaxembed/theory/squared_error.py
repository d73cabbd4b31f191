"""What training by squared error forces an embedding to keep: the mean of what follows (theory/squared_error.md)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from .predictive_sufficiency import checked


class SquaredErrorRisk(NamedTuple):
    """What the expected squared error consists of, in squared units of the items, summed over dimensions.

    Attributes:
        floor: variance of what follows given the whole past.
        gap: what the statistic lost of the mean.
        head: what the head loses on top, reading the statistic.
    """

    floor: float
    gap: float
    head: float


def risk(
    joint: Float[Array | np.ndarray, "sequence token"],
    values: Float[Array | np.ndarray, "token dimension"],
    groups: Int[Array | np.ndarray, " sequence"],
    predicted: Float[Array | np.ndarray, "state dimension"],
) -> SquaredErrorRisk:
    """The parts of the expected squared error of a head that reads a statistic of the past.

    Equation: (Q2) in theory/squared_error.md: E|x - g(s)|^2 = E Var(x | c) + E|m(c) - m(s)|^2 + E|m(s) - g(s)|^2.
    Assumes: finitely many pasts c and items, written out; finite variance.
    Valid while: always; exact.
    Clock: none.

    Args:
        joint: P(past, next item); sums to one.
        values: the item behind each column.
        groups: the statistic's value on each past, an id 0, 1, ..
        predicted: g, the head's output for each value of the statistic.

    Raises:
        ValueError: where `joint` is no distribution, or a past has no id or no output of the head.

    >>> import numpy as np
    >>> coin = np.full((2, 2), 0.25)
    >>> risk(coin, np.array([[-1.0], [1.0]]), np.array([0, 0]), np.array([[0.5]]))
    SquaredErrorRisk(floor=1.0, gap=0.0, head=0.25)
    """
    (table, ids), x = checked(joint, groups), np.asarray(values, float)
    if ids.max() >= len(predicted):
        raise ValueError(f"predicted: need a row for each id 0 .. {ids.max()} of groups, got {len(predicted)}")
    past, sums = table.sum(axis=1), table @ x
    state, state_sums = np.zeros(len(predicted)), np.zeros((len(predicted), x.shape[1]))
    np.add.at(state, ids, past)
    np.add.at(state_sums, ids, sums)
    mean, state_mean = _ratio(sums, past), _ratio(state_sums, state)
    floor = np.sum(table.sum(axis=0) @ x**2) - np.sum(past @ mean**2)
    lost = np.sum(past @ (mean - state_mean[ids]) ** 2)
    head = np.sum(state @ (state_mean - np.asarray(predicted, float)) ** 2)
    return SquaredErrorRisk(float(floor), float(lost), float(head))


def forced_r2(excess: Float[ArrayLike, ""], mean_variance: Float[ArrayLike, ""]) -> Float[Array, ""]:
    """The R2 with which a network's own output gives the mean of the next item; an affine probe has at least that.

    Equation: (Q3) in theory/squared_error.md: R2 = 1 - excess / Var E[x_{n+1} | x_{0..n}].
    Assumes: squared error; `excess` is the risk above the floor at the same position.
    Valid while: always; NaN where the mean does not vary.
    Clock: none; holds at any time of training.

    >>> import jax.numpy as jnp
    >>> forced_r2(jnp.array(0.5), jnp.array(2.0)).tolist()
    0.75
    """
    variance = jnp.asarray(mean_variance)
    return jnp.where(variance > 0, 1 - excess / jnp.where(variance > 0, variance, 1), jnp.nan)


def gaussian_gamma_floor(n: Float[Array, "..."], strength: float, shape: float, rate: float) -> Float[Array, "..."]:
    """Least squared error of predicting a Gaussian item after n items, mean and precision unknown.

    Equation: (Q4) in theory/squared_error.md: E[1 / tau] (1 + 1 / (strength + n)), E[1 / tau] = rate / (shape - 1).
    Assumes: the Normal-Gamma prior that the items come from.
    Valid while: shape > 1, else the risk is infinite.
    Clock: none.

    Raises:
        ValueError: where E[1 / tau] diverges.

    >>> round(float(gaussian_gamma_floor(jnp.arange(1.0, 500.0), 1.0, 5.0, 1.0).mean()), 4)
    0.2529
    """
    _need_finite(shape)
    return rate / (shape - 1) * (1 + 1 / (strength + n))


def gaussian_gamma_sample_mean_excess(
    n: Float[Array, "..."], strength: float, shape: float, rate: float
) -> Float[Array, "..."]:
    """What predicting by the sample mean costs above the posterior mean: why the count n belongs to the statistic.

    Equation: (Q5) in theory/squared_error.md: E[1 / tau] strength / (n (strength + n)).
    Assumes: as `gaussian_gamma_floor`.
    Valid while: shape > 1 and n >= 1.
    Clock: none.
    """
    _need_finite(shape)
    return rate / (shape - 1) * strength / (n * (strength + n))


def _need_finite(shape: float) -> None:
    if shape <= 1:
        raise ValueError(f"shape: E[1 / tau] diverges for shape {shape:g} <= 1, so squared error has infinite risk")


def _ratio(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Means; 0 where nothing happens, which weighs nothing."""
    return np.divide(sums, weight[:, None], out=np.zeros_like(sums), where=weight[:, None] > 0)
