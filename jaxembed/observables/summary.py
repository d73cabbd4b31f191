"""One number from several seeds: mean, spread, and an interval that says what varied."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, ArrayLike, Float
from scipy.special import stdtrit

from ..text import number, span

Range = tuple[float, float]
"""The least and the largest value that a quantity can take."""


@partial(register_dataclass, data_fields=["mean", "sd", "low", "high"], meta_fields=["count", "varied", "level"])
@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (n - 1) and Student-t interval of `count` values.

    Attributes:
        mean: their mean, NaN where one of them is undefined.
        sd: their standard deviation, NaN for a single value.
        low: lower end of the interval of the mean.
        high: upper end.
        count: how many values.
        varied: what differed between them.
        level: confidence level of the interval.
    """

    mean: Float[Array, "..."]
    sd: Float[Array, "..."]
    low: Float[Array, "..."]
    high: Float[Array, "..."]
    count: int
    varied: str
    level: float

    def __str__(self) -> str:
        if np.ndim(self.mean) > 0:
            return f"Summary of {self.count} {self.varied}, shape {np.shape(self.mean)}"
        seeds, ends = f"{self.count} {self.varied}", span(self.low, self.high)
        if ends:
            return f"{number(self.mean)} {ends} ({100 * self.level:g} % interval over {seeds})"
        return f"{number(self.mean)}{'' if np.isnan(self.mean) else ', interval undefined'} ({seeds})"


def summary(
    values: Float[Array | np.ndarray, "seed ..."],
    varied: str = "init seeds",
    level: float = 0.95,
    within: Range | None = None,
) -> Summary:
    """Summarise values over their leading axis.

    Equation: mean -+ t_{n-1}((1 + level) / 2) sd / sqrt(n), Student's interval; with a range, that of `ends_within`.

    Args:
        values: one value, or array of values, per seed.
        varied: what differs between them ("init seeds", "data order", "corpus resamples"), in the plural.
        level: confidence level, between 0 and 1.
        within: what values the quantity can take: (0, 1) for a share, (-1, 1) for a correlation, (0, inf) for a
            distance. The interval then stays in it.

    Raises:
        ValueError: where there are no values, or `level` is out of range.

    >>> print(summary(jnp.array([0.9, 1.0, 1.1])))
    1 [0.752, 1.25] (95 % interval over 3 init seeds)
    >>> print(summary(jnp.array([0.9, 0.95, 1.0]), within=(0, 1)))
    0.95 [0.582, 0.996] (95 % interval over 3 init seeds)
    """
    values = jnp.asarray(values)
    if values.ndim == 0 or values.shape[0] == 0:
        raise ValueError("values: need at least one value along the leading axis")
    if not 0 < level < 1:
        raise ValueError(f"level: need a confidence level between 0 and 1, got {level}")
    count = values.shape[0]
    mean = jnp.mean(values, axis=0)
    if count == 1:
        undefined = jnp.full_like(mean, jnp.nan)
        return Summary(mean, undefined, undefined, undefined, count, varied, level)
    sd = jnp.sqrt(jnp.sum((values - mean[None]) ** 2, axis=0) / (count - 1))
    half = float(stdtrit(count - 1, (1 + level) / 2)) / count**0.5 * sd
    low, high = ends_within(mean, half, within)
    return Summary(mean, sd, low, high, count, varied, level)


def ends_within(
    value: Float[ArrayLike, "..."], half: Float[ArrayLike, "..."], within: Range | None
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Ends of an interval that do not leave the range of a quantity.

    Equation: g^-1(g(value) -+ g'(value) half), with g(x) = log((x - low) / (high - x)) for a range with two ends, which
    for a correlation is Fisher's transformation, log(x - low) for one without an upper end and -log(high - x) for one
    without a lower. A value at an end of the range has the plain interval, cut there.

    Args:
        value: the estimate.
        half: half the width of its plain interval, a quantile times its standard error.
        within: least and largest value; an infinite one, or None, is no bound.

    >>> [round(float(end), 3) for end in ends_within(0.9, 0.2, (-1, 1))]  # tanh(artanh(0.9) -+ 0.2 / (1 - 0.81))
    [0.397, 0.987]

    Source: agresti2013categorical, fisher1921probable.
    """
    value, half = jnp.asarray(value), jnp.asarray(half)
    low, high = within or (-np.inf, np.inf)
    if np.isinf(low) and np.isinf(high):
        return value - half, value + half
    inside = (low < value) & (value < high)
    below, above = (jnp.where(inside, part, 1) for part in (value - low, high - value))
    slope = 1 / jnp.minimum(below, above) if np.isinf(low) or np.isinf(high) else 1 / below + 1 / above
    ends = []
    for step in (-half * slope, half * slope):
        if np.isinf(high):
            end = low + below * jnp.exp(step)
        elif np.isinf(low):
            end = high - above * jnp.exp(-step)
        else:
            end = low + (high - low) * jax.nn.sigmoid(jnp.log(below / above) + step)
        ends.append(end)
    plain = jnp.clip(value - half, low, high), jnp.clip(value + half, low, high)
    return jnp.where(inside, ends[0], plain[0]), jnp.where(inside, ends[1], plain[1])
