"""Loops of the pair counts, compiled by numba. They release the interpreter lock, so threads may run several at once.

Documents are positions `[begin, stop)` of the ids. `_pair_plain` has the same functions in numpy. All that is written
are integers, so neither the way threads share the work nor the choice between the two can be seen in a result.
"""

from collections.abc import Callable
from typing import Any, no_type_check

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The loop as machine code, kept on disk where there is a folder to keep it in."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # no place for the cache
        return njit(nogil=True)(function)


@compiled
@no_type_check
def count_tokens(ids, begins, stops, low, high, window, tokens, firsts):
    """Add up tokens, and pairs by their first token, at positions `[low, high)`; the first bad position, or -1."""
    vocab = len(tokens)
    for k in range(len(begins)):
        stop = stops[k]
        for i in range(max(begins[k], low), min(stop, high)):
            x = ids[i]
            if x < 0 or x >= vocab:
                return i
            tokens[x] += 1
            firsts[x] += min(window, stop - 1 - i)
    return -1


@compiled
@no_type_check
def gather(ids, begins, stops, window, vocab, first, last, keys):
    """Write (first token - `first`) vocab + second token of every pair whose first token is in `[first, last)`.

    `keys` has one place to spare: at window 1 every pair is written and only those wanted are stepped over, since
    processors could not foresee the branch.
    """
    at, rows = 0, last - first
    for k in range(len(begins)):
        stop = stops[k]
        for i in range(begins[k], stop - 1):
            row = np.int64(ids[i]) - first
            inside = (row >= 0) & (row < rows)
            if window == 1:
                keys[at] = row * vocab + ids[i + 1]
                at += inside
            elif inside:
                for j in range(i + 1, min(i + window, stop - 1) + 1):
                    keys[at] = row * vocab + ids[j]
                    at += 1


@compiled
@no_type_check
def tally(ids, begins, stops, window, row, counts):
    """Add up the second tokens of one first token."""
    for k in range(len(begins)):
        stop = stops[k]
        for i in range(begins[k], stop - 1):
            if ids[i] == row:
                for j in range(i + 1, min(i + window, stop - 1) + 1):
                    counts[ids[j]] += 1


@compiled
@no_type_check
def distinct(keys):
    """How many different keys there are among sorted ones."""
    different = min(len(keys), 1)
    for i in range(1, len(keys)):
        different += keys[i] != keys[i - 1]
    return different


@compiled
@no_type_check
def compress(keys, vocab, starts, at, indices, data):
    """Write sorted keys as rows of a CSR matrix from place `at` on; `starts` takes where each row begins."""
    row, base, i = 0, 0, 0
    starts[0] = at
    while i < len(keys):
        key, begin = keys[i], i
        while i < len(keys) and keys[i] == key:
            i += 1
        while key - base >= vocab:
            row, base = row + 1, base + vocab
            starts[row] = at
        indices[at], data[at] = key - base, i - begin
        at += 1
    starts[row + 1 :] = at
