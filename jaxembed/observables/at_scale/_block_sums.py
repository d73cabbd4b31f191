"""numpy versions of `_block_kernels`, for machines without numba; a few times slower, the same numbers."""

from typing import Any

import numpy as np


def _pairs(block: Any, rows: slice, columns: slice, triangle: bool, outside: float) -> Any:
    """A stripe in float64, with `outside` where a pair does not count."""
    held = block[rows, columns].astype(np.float64)
    if triangle:
        later = np.arange(block.shape[1])[columns][None, :] > np.arange(block.shape[0])[rows][:, None]
        held[~later] = outside
    return held


def _sums(a: Any, b: Any, axis: int) -> Any:
    return np.stack([np.sum(part, axis=axis) for part in (a, b, a * a, b * b, a * b)], axis=axis)


def row_sums(a, b, first, stop, triangle, shift_a, shift_b, sums):
    rows, columns = slice(first, stop), slice(None)
    x, y = _pairs(a, rows, columns, triangle, shift_a), _pairs(b, rows, columns, triangle, shift_b)
    sums[rows] += _sums(x - shift_a, y - shift_b, 1)


def column_sums(a, b, first, stop, triangle, shift_a, shift_b, sums):
    rows, columns = slice(None), slice(first, stop)
    x, y = _pairs(a, rows, columns, triangle, shift_a), _pairs(b, rows, columns, triangle, shift_b)
    sums[:, columns] += _sums(x - shift_a, y - shift_b, 0)


def histogram(a, b, first, stop, triangle, low, scale, table):
    x = _pairs(a, slice(first, stop), slice(None), triangle, np.nan).ravel()
    y = b[first:stop].astype(np.float64).ravel()[~np.isnan(x)]
    x, bins = x[~np.isnan(x)], len(table)
    k = np.clip(((x - low) * scale).astype(np.int64), 0, bins - 1)
    for column, weights in enumerate((None, x, y)):
        table[:, column] += np.bincount(k, weights, bins)


def _best(cosines: Any, tokens: Any, values: Any, best: Any) -> None:
    """Merge candidates [row, candidate] into the kept neighbours, largest first."""
    every = np.concatenate([values, cosines], axis=1)
    names = np.concatenate([best, np.broadcast_to(tokens[None, :], cosines.shape)], axis=1)
    order = np.argsort(-every, axis=1, kind="stable")[:, : values.shape[1]]
    values[:], best[:] = np.take_along_axis(every, order, 1), np.take_along_axis(names, order, 1)


def top_of_rows(block, first, stop, triangle, offset, values, names):
    rows = slice(first, stop)
    cosines = _pairs(block, rows, slice(None), triangle, -np.inf)
    _best(cosines, offset + np.arange(block.shape[1]), values[rows], names[rows])


def top_of_columns(block, first, stop, triangle, offset, values, names):
    columns = slice(first, stop)
    cosines = _pairs(block, slice(None), columns, triangle, -np.inf).T
    _best(cosines, offset + np.arange(block.shape[0]), values[columns], names[columns])
