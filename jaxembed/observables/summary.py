"""One number from several seeds: mean, spread, and an interval that says what varied."""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float
from scipy.special import stdtrit

from ..text import number, span


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


def summary(values: Float[Array | np.ndarray, "seed ..."], varied: str = "init seeds", level: float = 0.95) -> Summary:
    """Summarise values over their leading axis.

    Equation: mean -+ t_{n-1}((1 + level) / 2) sd / sqrt(n), Student's interval.

    Args:
        values: one value, or array of values, per seed.
        varied: what differs between them ("init seeds", "data order", "corpus resamples"), in the plural.
        level: confidence level, between 0 and 1.

    Raises:
        ValueError: where there are no values, or `level` is out of range.

    >>> print(summary(jnp.array([0.9, 1.0, 1.1])))
    1 [0.752, 1.25] (95 % interval over 3 init seeds)
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
    return Summary(mean, sd, mean - half, mean + half, count, varied, level)
