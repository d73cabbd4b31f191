"""R_cos at full vocabulary: the cosines of every pair, and never a table of token x token."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

from ...base import SparseRows
from ._identities import pair_product, similarity, spread
from ._scan import ScanPlan, scan
from ._unit_rows import Rows, Targets, Unit, resolution, unit_rows

AnyRows = Float[Array | np.ndarray, "..."] | SparseRows
BUDGET = 2**28
"""Bytes of working memory: 256 MiB."""


def blockwise_r_cos(W: Rows, S: Targets, *, budget: int = BUDGET) -> float:
    """`r_cos` at full vocabulary: the same number without the table of all pairs.

    Equation: R_cos(W, S) = Pearson correlation over pairs i < j of cos(W_i, W_j) and cos(S_i, S_j). With unit rows A
    and B, sum_ij a_ij b_ij = ||A^T B||^2: for dense rows products of width x width are enough. Where their rounding
    would show, or a side is sparse, the cosines are computed block by block. Sums are float64, about the means.

    Args:
        W: `[token, width]` or SparseRows: embeddings.
        S: `[token, target]` or SparseRows: signatures of the same tokens.
        budget: bytes of working memory, besides `W`, `S` and one copy of sparse rows.

    Returns:
        A number in [-1, 1]. NaN where `r_cos` is: a zero row, a row that is not finite, or cosines of one side that
        vary (standard deviation) by no more than their rounding.

    Raises:
        ValueError: where the numbers of tokens differ, or the budget is too small.

    >>> S = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> print(round(blockwise_r_cos(5 * S, S), 3), blockwise_r_cos(S, np.ones((3, 2))))
    1.0 nan

    Source: yao2025probability.
    """
    return pair_moments(W, S, budget=budget).r_cos


@dataclass(frozen=True)
class PairMoments:
    """Moments of both sides' cosines over all pairs i < j; NaN where rows have no direction.

    Attributes:
        means: of the cosines of `W` and of `S`.
        spreads: their standard deviations.
        r_cos: their correlation.
    """

    means: tuple[float, float]
    spreads: tuple[float, float]
    r_cos: float

    def expected(self, signature: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Cosine of embeddings on the straight line through all pairs, at a cosine of signatures."""
        slope = self.r_cos * self.spreads[0] / self.spreads[1]
        return self.means[0] + slope * (signature - self.means[1])


def pair_moments(W: Rows, S: Targets, *, budget: int = BUDGET) -> PairMoments:
    """Means, standard deviations and correlation of the cosines of both sides; arguments as of `blockwise_r_cos`.

    >>> S = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> print(round(pair_moments(S, S).means[0], 3))
    0.471
    """
    a, b = units_of_same_tokens(W, S)
    nothing = PairMoments((math.nan, math.nan), (math.nan, math.nan), math.nan)
    if len(a) < 3 or not (has_direction(a).all() and has_direction(b).all()):
        return nothing
    sides, pairs = (similarity(a), similarity(b)), len(a) * (len(a) - 1)
    means = sides[0].pairs_mean, sides[1].pairs_mean
    squares = [math.nan] if a.sparse or b.sparse else [spread(side, budget=budget) for side in sides]
    if math.isnan(sum(squares)):  # sparse, or too close to constant for products of whole sides
        sums = scan(a, b, ScanPlan(np.arange(len(a)), means, budget))
        about = 2 * deviations(sums.groups[0, 0], pairs / 2)
    else:
        about = np.array([*squares, pair_product(*sides, budget=budget)])
    xx, yy = np.sqrt(np.maximum(about[:2], 0) / pairs)
    return PairMoments(means, (float(xx), float(yy)), float(correlation(about, pairs, floors(a, b))))


def units_of_same_tokens(W: AnyRows, S: AnyRows) -> tuple[Unit, Unit]:
    """Both sides with their lengths.

    Raises:
        ValueError: where they have different numbers of tokens.
    """
    a, b = unit_rows(W), unit_rows(S)
    if len(a) != len(b):
        raise ValueError(f"S: need one row per row of W ({len(a)} tokens), got {len(b)}; select the same tokens")
    return a, b


def has_direction(unit: Unit) -> Bool[np.ndarray, " token"]:
    """Which rows are finite and not zero."""
    return np.isfinite(unit.norms) & (unit.norms > 0)


def floors(a: Unit, b: Unit) -> tuple[float, float]:
    """Standard deviations of cosines up to which a side counts as constant."""
    return resolution(a.dtype, a.columns), resolution(b.dtype, b.columns)


def deviations(sums: Float[np.ndarray, "..."], pairs: Any) -> Float[np.ndarray, "..."]:
    """Sums of x, y, x^2, y^2, xy (along the last axis) to those of the squares and the product about the means."""
    x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return np.stack([xx - x * x / pairs, yy - y * y / pairs, xy - x * y / pairs], axis=-1)


def correlation(about: Float[np.ndarray, "..."], pairs: Any, floors: tuple[float, float]) -> Float[np.ndarray, "..."]:
    """Pearson correlation from `deviations`; NaN where a side's standard deviation is no more than its floor."""
    xx, yy, xy = np.moveaxis(about, -1, 0)
    varies = (xx > pairs * floors[0] ** 2) & (yy > pairs * floors[1] ** 2)
    size = np.sqrt(np.where(varies, xx, 1)) * np.sqrt(np.where(varies, yy, 1))
    return np.where(varies, np.clip(xy / size, -1, 1), np.nan)
