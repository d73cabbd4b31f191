"""A number over seeds beside the same number of its control."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ..base import silent as silent
from ..observables import summary
from ..train import single_precision as single_precision

UNDEFINED = "undefined"


@dataclass(frozen=True)
class Measured:
    """Values over seeds, and those of the control with the same seeds; undefined values are NaN.

    Attributes:
        values: `[seed]`.
        null: `[seed]`, the control's.

    >>> print(Measured(np.array([0.9, 1.0]), np.array([0.1, -0.1])))
    0.95 ± 0.07 (null 0.00 ± 0.14)
    >>> print(Measured(np.array([np.nan, 1.0]), np.array([0.1, -0.1])))
    undefined
    """

    values: Float[np.ndarray, " seed"]
    null: Float[np.ndarray, " seed"]

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Standard deviation over seeds; NaN for one seed."""
        return _sd(self.values)

    @property
    def null_mean(self) -> float:
        return float(np.mean(self.null))

    @property
    def null_sd(self) -> float:
        return _sd(self.null)

    def range(self) -> str:
        """Smallest to largest value, for p-values."""
        if np.isnan(self.values).any():
            return UNDEFINED
        low, high = f"{self.values.min():.2g}", f"{self.values.max():.2g}"
        return low if low == high else f"{low}..{high}"

    def __str__(self) -> str:
        if np.isnan(self.mean):
            return UNDEFINED
        return f"{spread(self.mean, self.sd)} (null {spread(self.null_mean, self.null_sd)})"


def spread(mean: float, sd: float) -> str:
    """ "mean ± sd", saying where one of them is undefined."""
    if np.isnan(mean):
        return UNDEFINED
    return f"{mean + 0:.2f} ± {UNDEFINED if np.isnan(sd) else f'{sd:.2f}'}"


def mean_and_interval(values: Float[np.ndarray, " seed"], digits: int = 2) -> str:
    """ "mean [low, high]" with the 95 % interval over seeds; one seed has none.

    >>> print(mean_and_interval(np.array([1.0, 1.2])), mean_and_interval(np.array([1.0])))
    1.10 [-0.17, 2.37] 1.00
    """
    if not np.isfinite(values).all():
        return UNDEFINED
    found = summary(values)
    interval = "" if len(values) == 1 else f" [{float(found.low):.{digits}f}, {float(found.high):.{digits}f}]"
    return f"{float(found.mean):.{digits}f}{interval}"


def _sd(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
