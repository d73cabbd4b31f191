"""One pass over every pair of tokens, block by block: sums, histograms and nearest neighbours of two sides at once."""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ...machine import cores
from . import _block_kernels
from ._unit_rows import Unit

LARGEST_BLOCK, SMALLEST_BLOCK = 2048, 32
STRIPE = 512
"""Rows or columns of a block that one thread takes at a time."""
ALONE = 2**14
"""Pairs of a block up to which handing it to threads takes longer than the block."""
MIB = 2**20


@dataclass(frozen=True)
class ScanPlan:
    """What a pass collects, in which order of the tokens and in how much memory.

    Attributes:
        order: the tokens, in the order in which blocks take them.
        shifts: numbers near the mean cosine of each side, about which sums are taken.
        budget: bytes of working memory.
        groups: consecutive parts of `order` that are told apart.
        bins: of the histogram of the first side; 0 leaves it out.
        low: where the first bin starts.
        scale: bins per unit of cosine.
        top: neighbours kept per token and side; 0 keeps none.
        progress: called with the share of the pairs done.
    """

    order: Int[np.ndarray, " token"]
    shifts: tuple[float, float]
    budget: int
    groups: int = 1
    bins: int = 0
    low: float = -1.0
    scale: float = 1.0
    top: int = 0
    progress: Callable[[float], None] = lambda share: None


@dataclass(frozen=True)
class Scan:
    """What a pass found, tokens in the plan's order; sums are of x, y, x^2, y^2, xy, the cosines less their shifts.

    Attributes:
        tokens: `[token, 5]`, sums over all other tokens.
        groups: `[group, group, 5]`, sums over the pairs between two groups, the earlier one first.
        tables: `[group, group, bin, 3]`: pairs, sum of x, sum of y (cosines as they are).
        values: for each side `[token, top]`, the largest cosines, largest first.
        neighbours: for each side `[token, top]`, the places in the plan's order of the tokens that have them.
    """

    tokens: Float[np.ndarray, "token 5"]
    groups: Float[np.ndarray, "..."]
    tables: Float[np.ndarray, "..."]
    values: list[Float[np.ndarray, "token neighbour"]]
    neighbours: list[Int[np.ndarray, "token neighbour"]]


def scan(a: Unit, b: Unit, plan: ScanPlan) -> Scan:
    """Every pair i < j once.

    Raises:
        ValueError: where the budget is too small for the smallest block.
    """
    edges = _edges(len(plan.order), plan.groups, block_size(a, b, plan))
    collected, tokens = _empty(plan, (a, b)), len(plan.order)
    with ThreadPoolExecutor(cores()) as pool:
        for (i, first), (j, second), x, y in cosine_blocks((a, b), plan.order, edges):
            take = _Taking(plan, collected, x, y, i, j, (first, second))
            for tasks in (take.rows, take.columns):  # one after the other, so that no two threads share a token
                list((pool.map if x.size > ALONE else map)(tasks, range(cores())))
            if j.stop == tokens:
                plan.progress(1 - (1 - i.stop / tokens) ** 2)
    return collected


def cosine_blocks(
    sides: tuple[Unit, ...], order: Int[np.ndarray, " token"], edges: list[tuple[slice, int]]
) -> Iterator[tuple[Any, ...]]:
    """(rows, columns, block of every side) over the upper triangle of blocks; the next block overwrites the last."""
    size = max(part.stop - part.start for part, _ in edges)
    held = [np.empty(size * size, side.dtype) for side in sides]
    for place, (i, first) in enumerate(edges):
        lefts = [side.factors(order[i]) for side in sides]
        for j, second in edges[place:]:
            blocks = []
            for side, left, memory in zip(sides, lefts, held, strict=True):
                right = left if i == j else side.factors(order[j])
                shape = (i.stop - i.start, j.stop - j.start)
                block = np.matmul(left[0], right[1].T, out=memory[: shape[0] * shape[1]].reshape(shape))
                if left[2] is not None and right[2] is not None:
                    block += (left[2] @ right[2].T).toarray()
                blocks.append(block)
            yield (i, first), (j, second), *blocks


def block_size(a: Unit, b: Unit, plan: ScanPlan) -> int:
    """The largest block whose working memory fits the budget."""
    tables = plan.bins * 24 * (plan.groups**2 + cores())
    kept = len(plan.order) * (40 + 2 * 16 * plan.top)
    size = LARGEST_BLOCK
    while size > SMALLEST_BLOCK and tables + kept + _block_bytes(a, b, size) > plan.budget:
        size = size * 3 // 4
    need = tables + kept + _block_bytes(a, b, size)
    if need > plan.budget:
        raise ValueError(f"budget: need at least {need / MIB:.0f} MiB for {len(plan.order)} tokens, got {plan.budget}")
    return size


def _block_bytes(a: Unit, b: Unit, size: int) -> int:
    """Blocks of both sides, the rows they come from with one temporary, and a sparse product with its dense sum."""
    rows = sum(4 * size * side.block_columns * side.dtype.itemsize for side in (a, b))
    squares = sum(size * size * (side.dtype.itemsize + 20 * side.sparse) for side in (a, b))
    stripes = 8 * 8 * size * STRIPE * cores()  # what the numpy sums write out
    return rows + squares + stripes


def _edges(tokens: int, groups: int, size: int) -> list[tuple[slice, int]]:
    """Blocks of at most `size` tokens with the group they belong to; groups are of nearly equal size."""
    starts = [group * tokens // groups for group in range(groups + 1)]
    return [
        (slice(start, min(start + size, stop)), group)
        for group, (begin, stop) in enumerate(itertools.pairwise(starts))
        for start in range(begin, stop, size)
    ]


def _empty(plan: ScanPlan, sides: tuple[Unit, Unit]) -> Scan:
    tokens = len(plan.order)
    values = [np.full((tokens, plan.top), -np.inf, side.dtype) for side in sides]
    neighbours = [np.full((tokens, plan.top), -1) for _ in range(2)]
    square = (plan.groups, plan.groups)
    tables = np.zeros((*square, plan.bins, 3))
    return Scan(np.zeros((tokens, 5)), np.zeros((*square, 5)), tables, values, neighbours)


class _Taking:
    """Adds one block to what was found, a share of its stripes a thread."""

    def __init__(
        self, plan: ScanPlan, collected: Scan, x: Any, y: Any, i: slice, j: slice, groups: tuple[int, int]
    ) -> None:
        self.plan, self.scan, self.x, self.y, self.i, self.j, self.groups = plan, collected, x, y, i, j, groups
        self.loops, self.triangle = _block_kernels.kernels(), i == j
        self.lock = Lock()

    def rows(self, worker: int) -> None:
        """Stripes of rows: their sums, their part of the histogram, their neighbours among the columns."""
        table, sums = np.zeros((self.plan.bins, 3)), np.zeros((len(self.x), 5))
        for stripe in self._stripes(len(self.x), worker):
            self.loops.row_sums(self.x, self.y, *stripe, self.triangle, *self.plan.shifts, sums)
            if self.plan.bins:
                self.loops.histogram(self.x, self.y, *stripe, self.triangle, self.plan.low, self.plan.scale, table)
            self._neighbours(self.loops.top_of_rows, stripe, self.j.start, self.i)
        with self.lock:
            self.scan.tokens[self.i] += sums
            self.scan.groups[self.groups] += sums.sum(axis=0)
            self.scan.tables[self.groups] += table

    def columns(self, worker: int) -> None:
        """Stripes of columns: their sums, their neighbours among the rows."""
        sums = np.zeros((5, self.x.shape[1]))
        for stripe in self._stripes(self.x.shape[1], worker):
            self.loops.column_sums(self.x, self.y, *stripe, self.triangle, *self.plan.shifts, sums)
            self._neighbours(self.loops.top_of_columns, stripe, self.i.start, self.j)
        with self.lock:
            self.scan.tokens[self.j] += sums.T

    def _stripes(self, size: int, worker: int) -> Iterator[tuple[int, int]]:
        for start in range(worker * STRIPE, size, cores() * STRIPE):
            yield start, min(start + STRIPE, size)

    def _neighbours(self, loop: Any, stripe: tuple[int, int], offset: int, kept: slice) -> None:
        if not self.plan.top:
            return
        for block, values, tokens in zip((self.x, self.y), self.scan.values, self.scan.neighbours, strict=True):
            loop(block, *stripe, self.triangle, offset, values[kept], tokens[kept])
