"""Sums over all pairs of cosines by products of rows: sum_ij a_ij b_ij = ||A^T B||^2 with unit rows A and B."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ._unit_rows import Index, Unit, WrittenUnit, chunks

PRECISE = 1e-3
"""Least share of the squares that must be left when mean and diagonal are taken off, for twelve digits to remain."""


@dataclass(frozen=True)
class Similarity:
    """The cosines of one side less one level: x_ij = cos_ij - c, for all tokens i and j.

    With the mean unit row u, c = |u|^2, d_i = unit row - u and o_i = u . d_i: x_ij = d_i . d_j + o_i + o_j, in which
    nothing large cancels, and every x_ii is 1 - c.

    Attributes:
        unit: the rows.
        mean: u.
        offsets: o_i, so that the sum of x_ij over j is n o_i.
        level: c.
    """

    unit: Unit
    mean: Float[np.ndarray, " width"]
    offsets: Float[np.ndarray, " token"]
    level: float

    @property
    def pairs_mean(self) -> float:
        """Mean of the cosines over pairs i != j."""
        return self.level - (1 - self.level) / (len(self.unit) - 1)

    def features(self, index: Index, columns: slice) -> Float[np.ndarray, "token width"]:
        return self.unit.written(index, columns) - self.mean[columns][None, :]

    def project(
        self, index: Index, weights: Float[np.ndarray, "token dimension"]
    ) -> Float[np.ndarray, "width dimension"]:
        """The sum over some tokens of (d_i, o_i, 1) times weights."""
        total = weights.sum(axis=0)
        centred = self.unit.project(index, weights) - np.outer(self.mean, total)
        return np.concatenate([centred, self.offsets[index][None, :] @ weights, total[None, :]])


def similarity(unit: Unit) -> Similarity:
    """The mean row and what it takes from every cosine."""
    tokens = len(unit)
    ones = np.full((tokens, 1), 1 / tokens)
    mean = np.sum([unit.project(part, ones[part]) for part in chunks(tokens)], axis=0)[:, 0]
    level = float(mean @ mean)
    return Similarity(unit, mean, unit.times(mean[:, None])[:, 0] - level, level)


def held(side: Similarity, budget: int) -> Similarity:
    """The same with its unit rows written out, where they are dense and fit: for many products."""
    if side.unit.sparse or 8 * len(side.unit) * side.unit.columns > budget:
        return side
    return replace(side, unit=WrittenUnit(side.unit.written(slice(None)), np.ones(len(side.unit))))


def pair_product(
    a: Similarity, b: Similarity, *, shuffle: Int[np.ndarray, " token"] | None = None, budget: int
) -> float:
    """The sum over i != j of x_ij y_ij less that of their means; `shuffle` relabels the tokens of `a`.

    With F = (d, o, 1), x = F C F^T where C exchanges o and 1, and the sum is that of (C K C) * K for K = F_b^T F_a.
    """
    if a.unit.sparse and not b.unit.sparse:
        a, b, shuffle = b, a, None if shuffle is None else np.argsort(shuffle)
    tokens = len(a.unit)
    order = np.arange(tokens) if shuffle is None else shuffle
    width = max(int(budget / 4 / 8 / (b.unit.columns + 2)), 1)
    total = 0.0
    for columns in chunks(a.unit.columns, width):
        K = _projected(b, order, lambda index, columns=columns: a.features(index, columns))
        total += float(np.sum(_exchanged(K) * K))
    ends = _projected(b, order, lambda index: np.stack([a.offsets[index], np.ones(len(index))], axis=1))
    total += 2 * float(_exchanged(ends)[:, 0] @ ends[:, 1])
    diagonal = (1 - a.level) * (1 - b.level)
    return total - tokens * diagonal - tokens * diagonal / (tokens - 1)


def spread(side: Similarity, *, budget: int) -> float:
    """Sum over i != j of squared deviations of the cosines from their mean; NaN where rounding would show."""
    products, tokens = pair_product(side, side, budget=budget), len(side.unit)
    whole = products + (1 - side.level) ** 2 * tokens * (1 + 1 / (tokens - 1))
    return products if products > PRECISE * whole else float("nan")


def _projected(
    b: Similarity, order: Int[np.ndarray, " token"], weights: Callable[[Int[np.ndarray, " token"]], Any]
) -> Float[np.ndarray, "width dimension"]:
    first, *others = chunks(len(order))
    total = b.project(first, weights(order[first]))
    for part in others:
        total += b.project(part, weights(order[part]))
    return total


def _exchanged(K: Float[np.ndarray, "width dimension"]) -> Float[np.ndarray, "width dimension"]:
    return np.concatenate([K[:-2], K[-1:], K[-2:-1]])
