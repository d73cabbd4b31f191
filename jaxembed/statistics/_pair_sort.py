"""Pair counts by sorting keys of 32 bits, a block of rows at a time: memory is bounded and ids stay where they are."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Integer

from ..base import Progress

Ids = Integer[np.ndarray, " position"]

KEY = np.dtype(np.uint32)


class Spans(NamedTuple):
    """Documents as positions `[begin, stop)`, in ascending order."""

    begins: Int[np.ndarray, " document"]
    stops: Int[np.ndarray, " document"]

    def shares(self, workers: int) -> "list[tuple[Spans, int, int]]":
        """Documents and the positions `[low, high)` of them that each worker takes: equally many tokens."""
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.stops - self.begins)])
        marks = [int(before[-1]) * worker // workers for worker in range(workers + 1)]
        at = [int(np.searchsorted(before[1:-1], mark, "right")) for mark in marks]
        places = [int(self.begins[k] + mark - before[k]) for k, mark in zip(at, marks, strict=True)]
        return [
            (Spans(self.begins[at[w] : at[w + 1] + 1], self.stops[at[w] : at[w + 1] + 1]), places[w], places[w + 1])
            for w in range(workers)
        ]


class RowBlock(NamedTuple):
    """Rows `[first, last)` of the table of pairs, and how many pairs are in them."""

    first: int
    last: int
    pairs: int


class PairTable(NamedTuple):
    """The sparse table of pairs, as the three arrays of a CSR matrix, and the number of every token."""

    starts: Int[np.ndarray, "..."]
    indices: Int[np.ndarray, "..."]
    data: Int[np.ndarray, "..."]
    tokens: Int[np.ndarray, " token"]

    def longer(self, size: int) -> "PairTable":
        """The table with room for so many pairs. It grows in place, so that finished rows are never held twice."""
        if len(self.indices) == 0:  # new memory is first touched by the threads that fill it
            return self._replace(indices=np.empty(size, np.int32), data=np.empty(size, np.int64))
        for array in (self.indices, self.data):
            array.resize(size, refcheck=False)
        return self


def loops() -> ModuleType:
    """The compiled loops, or those in numpy where numba is not installed."""
    return import_module("._pair_kernels" if find_spec("numba") else "._pair_plain", __package__)


def count_table(
    ids: Ids, spans: Spans, vocab: int, window: int, workers: int, budget: float | int, progress: Progress
) -> PairTable:
    """Count the pairs.

    One pass over the tokens counts how many pairs begin with each. Then every worker takes a block of rows, as large as
    its share of `budget` bytes holds: a pass gathers the pairs of these rows as keys, which are sorted and counted.

    Raises:
        ValueError: naming the position of an id outside the vocabulary.
    """
    frozen = ids.view(np.ndarray)
    frozen.flags.writeable = False  # so that one compiled loop serves memory-mapped and other ids
    with ThreadPoolExecutor(workers) as pool:
        job = _Job(loops(), pool, frozen, spans, vocab, window)
        tokens, firsts = job.count_tokens(workers)
        capacity = int(budget / workers / KEY.itemsize)
        waves = _waves(row_blocks(firsts, capacity, vocab, workers), workers)
        progress("counting neighbours", 1 / (1 + len(waves)))
        table = PairTable(np.zeros(vocab + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.int64), tokens)
        for done, wave in enumerate(waves, start=2):
            table = job.with_rows(table, wave, capacity)
            progress("counting neighbours", done / (1 + len(waves)))
    return table


def row_blocks(firsts: Int[np.ndarray, " token"], capacity: int, vocab: int, workers: int) -> list[RowBlock]:
    """All rows, in blocks of at most `capacity` pairs whose keys fit; a longer row is a block of its own.

    Every worker has a block where there are rows enough, and blocks are about equally long.
    """
    upto = np.concatenate([np.zeros(1, np.int64), np.cumsum(firsts)])
    rows = 2 ** (8 * KEY.itemsize) // vocab
    waves = max(-(-int(upto[-1]) // max(capacity * workers, 1)), -(-vocab // (rows * workers)), 1)
    marks = upto[-1] * np.arange(1, waves * workers) / (waves * workers)
    after = np.searchsorted(upto[1:-1], marks) + 1
    nearest = after - (marks - upto[after - 1] < upto[after] - marks)
    edges = np.unique([0, *nearest, vocab]).tolist()
    pieces = [piece for first, last in pairwise(edges) for piece in _fitting(upto, first, last, capacity, rows)]
    return [RowBlock(first, last, int(upto[last] - upto[first])) for first, last in pieces]


def _fitting(upto: np.ndarray, first: int, last: int, capacity: int, rows: int) -> Iterator[tuple[int, int]]:
    while first < last:
        held = int(np.searchsorted(upto, upto[first] + capacity, "right")) - 1
        end = max(min(held, first + rows, last), first + 1)
        yield first, end
        first = end


def _waves(blocks: list[RowBlock], workers: int) -> list[list[RowBlock]]:
    return [blocks[i : i + workers] for i in range(0, len(blocks), workers)]


class _Job(NamedTuple):
    """What every pass needs."""

    loops: ModuleType
    pool: ThreadPoolExecutor
    ids: Ids
    spans: Spans
    vocab: int
    window: int

    def count_tokens(self, workers: int) -> tuple[np.ndarray, np.ndarray]:
        """How often every token stands and how many pairs begin with it."""

        def share(worker: int) -> int:
            spans, low, high = shares[worker]
            return self.loops.count_tokens(self.ids, *spans, low, high, self.window, tokens[worker], firsts[worker])

        shares = self.spans.shares(workers)
        tokens, firsts = np.zeros((2, workers, self.vocab), np.int64)
        wrong = [place for place in self.pool.map(share, range(workers)) if place >= 0]
        if wrong:
            place = min(wrong)
            raise ValueError(
                f"ids: position {place} holds {self.ids[place]}, outside the vocabulary 0..{self.vocab - 1}; "
                "enlarge vocab or fix it"
            )
        return tokens.sum(axis=0), firsts.sum(axis=0)

    def with_rows(self, table: PairTable, wave: list[RowBlock], capacity: int) -> PairTable:
        """The table with the next blocks of rows, counted at once."""
        blocks = list(self.pool.map(lambda block: self._counted(block, capacity), wave))
        places = len(table.indices) + np.cumsum([0, *(size for size, _ in blocks)])
        table = table.longer(int(places[-1]))

        def write(k: int) -> None:
            blocks[k][1](table.starts[wave[k].first : wave[k].last + 1], int(places[k]), table.indices, table.data)

        list(self.pool.map(write, range(len(wave))))
        return table

    def _counted(self, block: RowBlock, capacity: int) -> tuple[int, Callable[..., None]]:
        """How many different pairs a block has, and what writes them."""
        if block.pairs > capacity:
            return self._tallied(block.first)
        room = np.empty(block.pairs + 1, KEY)
        self.loops.gather(self.ids, *self.spans, self.window, self.vocab, block.first, block.last, room)
        keys = room[:-1]
        keys.sort()
        return self.loops.distinct(keys), partial(self.loops.compress, keys, self.vocab)

    def _tallied(self, row: int) -> tuple[int, Callable[..., None]]:
        """A single row that has more pairs than keys may be held."""
        counts = np.zeros(self.vocab, np.int64)
        self.loops.tally(self.ids, *self.spans, self.window, row, counts)
        seconds = np.flatnonzero(counts)

        def write(starts: np.ndarray, at: int, indices: np.ndarray, data: np.ndarray) -> None:
            starts[:] = at, at + len(seconds)
            indices[at : starts[1]], data[at : starts[1]] = seconds, counts[seconds]

        return len(seconds), write
