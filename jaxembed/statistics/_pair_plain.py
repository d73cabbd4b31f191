"""Loops of the pair counts in numpy, a few million pairs at a time, for where numba is not installed.

The functions of `_pair_kernels`, with the same integers.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int, Integer

Ids = Integer[np.ndarray, " position"]
Places = Int[np.ndarray, " document"]

CHUNK = 2**20
"""Positions looked at together."""


def count_tokens(
    ids: Ids, begins: Places, stops: Places, low: int, high: int, window: int, tokens: np.ndarray, firsts: np.ndarray
) -> int:
    """See `_pair_kernels.count_tokens`."""
    for at, stop in _positions(np.clip(begins, low, high), np.clip(stops, low, high), stops):
        x, vocab = ids[at], len(tokens)
        wrong = (x < 0) | (x >= vocab)
        if wrong.any():
            return int(at[np.argmax(wrong)])
        tokens += np.bincount(x, minlength=vocab)
        for distance in range(1, window + 1):
            firsts += np.bincount(x[at + distance < stop], minlength=vocab)
    return -1


def gather(
    ids: Ids, begins: Places, stops: Places, window: int, vocab: int, first: int, last: int, keys: np.ndarray
) -> None:
    """See `_pair_kernels.gather`."""
    written = 0
    for x, y in _pairs(ids, begins, stops, window):
        here = (x >= first) & (x < last)
        pairs = (x[here].astype(np.int64) - first) * vocab + y[here]
        keys[written : written + len(pairs)] = pairs
        written += len(pairs)


def tally(ids: Ids, begins: Places, stops: Places, window: int, row: int, counts: np.ndarray) -> None:
    """See `_pair_kernels.tally`."""
    for x, y in _pairs(ids, begins, stops, window):
        counts += np.bincount(y[x == row], minlength=len(counts))


def distinct(keys: np.ndarray) -> int:
    """See `_pair_kernels.distinct`."""
    return int(np.count_nonzero(keys[1:] != keys[:-1])) + min(len(keys), 1)


def compress(keys: np.ndarray, vocab: int, starts: np.ndarray, at: int, indices: np.ndarray, data: np.ndarray) -> None:
    """See `_pair_kernels.compress`."""
    begins = np.flatnonzero(np.concatenate([np.ones(min(len(keys), 1), bool), keys[1:] != keys[:-1]]))
    distinct = keys[begins].astype(np.int64)
    place = slice(at, at + len(distinct))
    indices[place], data[place] = distinct % vocab, np.diff(begins, append=len(keys))
    starts[:] = at + np.searchsorted(distinct, np.arange(len(starts)) * vocab)


def _pairs(ids: Ids, begins: Places, stops: Places, window: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for at, stop in _positions(begins, stops, stops):
        for distance in range(1, window + 1):
            within = at[at + distance < stop]
            yield ids[within], ids[within + distance]


def _positions(begins: Places, ends: Places, stops: Places) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions `[begin, end)` of every document with where it stops, some of them at a time."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(ends - begins)])
    for low in range(0, int(before[-1]), CHUNK):
        rank = np.arange(low, min(low + CHUNK, int(before[-1])))
        document = np.searchsorted(before, rank, "right") - 1
        yield begins[document] + rank - before[document], stops[document]
