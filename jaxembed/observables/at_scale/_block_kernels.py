"""What is taken from a block of cosines of both sides, a stripe of tokens at a time; numba compiles it where installed.

The loops below are plain Python; `kernels()` gives them compiled, or the numpy versions of the same sums. All of them
see `first`, the block's row at which the stripe starts, and `triangle`, whether only later columns count.
"""

import inspect
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

LANES = 32
"""Numbers compared with the least kept neighbour in one go."""


def row_sums(a, b, first, stop, triangle, shift_a, shift_b, sums):
    """Adds to found[i]: sums over the row's pairs of x, y, x^2, y^2, xy, the cosines less their shifts."""
    for i in range(first, stop):
        sx = sy = sxx = syy = sxy = 0.0
        for j in range(i + 1 if triangle else 0, a.shape[1]):
            x, y = a[i, j] - shift_a, b[i, j] - shift_b
            sx += x
            sy += y
            sxx += x * x
            syy += y * y
            sxy += x * y
        sums[i, 0] += sx
        sums[i, 1] += sy
        sums[i, 2] += sxx
        sums[i, 3] += syy
        sums[i, 4] += sxy


def column_sums(a, b, first, stop, triangle, shift_a, shift_b, sums):
    """The same for columns first .. stop: found[:, j]."""
    for i in range(a.shape[0]):
        for j in range(max(first, i + 1) if triangle else first, stop):
            x, y = a[i, j] - shift_a, b[i, j] - shift_b
            sums[0, j] += x
            sums[1, j] += y
            sums[2, j] += x * x
            sums[3, j] += y * y
            sums[4, j] += x * y


def histogram(a, b, first, stop, triangle, low, scale, table):
    """Adds to found[bin of x]: pairs, sum of x, sum of y. The first bin starts at `low`; the outer ones hold more."""
    bins = table.shape[0]
    for i in range(first, stop):
        for j in range(i + 1 if triangle else 0, a.shape[1]):
            x = a[i, j]
            k = min(max(int((x - low) * scale), 0), bins - 1)
            table[k, 0] += 1.0
            table[k, 1] += x
            table[k, 2] += b[i, j]


def top_of_rows(keep, block, first, stop, triangle, offset, values, names):
    """Keeps in values[i], found[i] (largest first) the row's largest cosines and their columns, plus `offset`."""
    last = values.shape[1] - 1
    for i in range(first, stop):
        for start in range(i + 1 if triangle else 0, block.shape[1], LANES):
            end, largest = min(start + LANES, block.shape[1]), block[i, start]
            for j in range(start, end):
                largest = max(largest, block[i, j])
            if largest > values[i, last]:
                for j in range(start, end):
                    if block[i, j] > values[i, last]:
                        keep(block[i, j], offset + j, values[i], names[i])


def top_of_columns(keep, block, first, stop, triangle, offset, values, names):
    """The same for columns first .. stop; rows are counted from `offset`."""
    last = values.shape[1] - 1
    least = values[first:stop, last].copy()
    for i in range(block.shape[0]):
        for start in range(max(first, i + 1) if triangle else first, stop, LANES):
            end = min(start + LANES, stop)
            above = block[i, start] - least[start - first]
            for j in range(start, end):
                above = max(above, block[i, j] - least[j - first])
            if above > 0:
                for j in range(start, end):
                    if block[i, j] > least[j - first]:
                        keep(block[i, j], offset + i, values[j], names[j])
                        least[j - first] = values[j, last]


def keep(x, token, values, names):
    """Insert a neighbour that is closer than the last into a list kept in order."""
    place = values.shape[0] - 1
    while place > 0 and values[place - 1] < x:
        values[place], names[place] = values[place - 1], names[place - 1]
        place -= 1
    values[place], names[place] = x, token


@cache
def kernels() -> Any:
    """The loops compiled by numba, or where it is not installed the same sums by numpy."""
    try:
        import numba
    except ImportError:
        return plain()
    loops: dict[str, Any] = {loop.__name__: _compiled(numba, loop) for loop in (row_sums, column_sums, histogram)}
    insertion = _compiled(numba, keep)
    for loop in (top_of_rows, top_of_columns):  # a loop that is handed another one cannot be kept on disk
        loops[loop.__name__] = partial(_compiled(numba, loop, cache=False), insertion)
    return SimpleNamespace(**loops)


def _compiled(numba: Any, loop: Any, cache: bool = True) -> Any:
    """The loop compiled, and kept on disk where there is a place for it; sums may be taken in any order."""
    bare = inspect.unwrap(loop)  # a test's type checker wraps every function
    options: dict[str, Any] = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz", "nnan"}}
    try:
        return numba.njit(cache=cache, **options)(bare)
    except RuntimeError:
        return numba.njit(**options)(bare)


def plain() -> Any:
    """numpy versions of the loops."""
    from . import _block_sums

    return _block_sums
