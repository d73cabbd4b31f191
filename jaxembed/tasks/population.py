"""Populations given by a rule from cell number to example, so that any slice can be made without the whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Int, PRNGKeyArray

from ..base import Dataset, checked_dataset, generator
from ..machine import GIB

MEMORY_LIMIT = 2.0
BLOCK = 2**18
"""Cells made at a time: bounds the temporaries of the rule, which are several times an example's size."""

Cell = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Population:
    """A uniform population over all combinations of digits.

    Cell number n has the digits of n in the mixed radix `radices`, the most significant first.

    Attributes:
        radices: number of values of each digit.
        length: tokens in an example.
        vocab: number of tokens.
        cell: `cell(*digits) -> (tokens[example, position], targets[example])`, one `[example]` array per digit.
        draws: number of independent label draws behind the population, or None where labels are no draw.
    """

    radices: tuple[int, ...]
    length: int
    vocab: int
    cell: Cell
    draws: int | None = None

    def __post_init__(self):
        if self.vocab > np.iinfo(np.int32).max:
            raise ValueError(f"vocab: {self.vocab} token ids do not fit in 32 bits; use smaller sizes")

    @property
    def size(self) -> int:
        """Number of cells, an exact Python integer however large."""
        return prod(self.radices)

    def nbytes(self, size: int) -> int:
        """Bytes of a Dataset of `size` examples: int32 tokens and targets, float64 weights."""
        return size * (4 * self.length + 4 + 8)

    def dataset(self, memory_limit: float = MEMORY_LIMIT) -> Dataset:
        """All cells; refused with the estimate where they need more than `memory_limit` GiB."""
        refuse_above(memory_limit, self.nbytes(self.size), f"population of {self.size:,} examples")
        return self._slice(0, self.size)

    def stream(self, chunk: int, memory_limit: float = MEMORY_LIMIT) -> Iterator[tuple[Dataset, float]]:
        """`(Dataset, mass)` chunk by chunk in the order of `dataset`; the masses sum to one."""
        chunk = min(checked_size("chunk", chunk), self.size)
        refuse_above(memory_limit, self.nbytes(chunk), f"chunk of {chunk:,} examples")
        bounds = ((start, min(start + chunk, self.size)) for start in range(0, self.size, chunk))
        return ((self._slice(start, stop), (stop - start) / self.size) for start, stop in bounds)

    def sample(self, key: PRNGKeyArray, size: int, memory_limit: float = MEMORY_LIMIT) -> Dataset:
        """`size` independent draws of a cell, equally weighted."""
        size = checked_size("size", size)
        refuse_above(memory_limit, self.nbytes(size), f"sample of {size:,} examples")
        rng = generator(key)
        drawn = self._filled(size, lambda low, high: [rng.integers(0, radix, high - low) for radix in self.radices])
        return checked_dataset(*drawn, None, self.vocab, samples=min(size, self.draws or size))

    def digits(self, cells: Int[np.ndarray, " example"]) -> list[Int[np.ndarray, " example"]]:
        """The mixed-radix digits of cell numbers."""
        digits = []
        for radix in reversed(self.radices):
            cells, digit = np.divmod(cells, radix)
            digits.append(digit)
        return digits[::-1]

    def _slice(self, start: int, stop: int) -> Dataset:
        made = self._filled(stop - start, lambda low, high: self.digits(np.arange(start + low, start + high)))
        samples = None if self.draws is None else min(self.draws, stop - start)
        return checked_dataset(*made, None, self.vocab, samples=samples)

    def _filled(
        self, size: int, digits: Callable[[int, int], list[np.ndarray]]
    ) -> tuple[Int[np.ndarray, "example position"], Int[np.ndarray, " example"]]:
        """Tokens and targets of `size` examples, those from low to high made from `digits(low, high)`."""
        tokens, targets = np.empty((size, self.length), np.int32), np.empty(size, np.int32)
        for low in range(0, size, BLOCK):
            high = min(low + BLOCK, size)
            tokens[low:high], targets[low:high] = self.cell(*digits(low, high))
        return tokens, targets


class Enumerated:
    """What every task with a `population()` offers: the whole, chunk by chunk, or a sample of it."""

    memory_limit: float

    def population(self) -> Population:
        raise NotImplementedError

    def dataset(self) -> Dataset:
        """The whole population; ValueError with the estimate where it exceeds `memory_limit` GiB."""
        return self.population().dataset(self.memory_limit)

    def stream(self, chunk: int) -> Iterator[tuple[Dataset, float]]:
        """The population as `(Dataset, mass)` chunks of at most `chunk` examples; the masses sum to one."""
        return self.population().stream(chunk, self.memory_limit)

    def sample(self, key: PRNGKeyArray, size: int) -> Dataset:
        """`size` independent examples drawn with `key`; a random label table stays the task's own."""
        return self.population().sample(key, size, self.memory_limit)


def refuse_above(memory_limit: float, nbytes: int, what: str) -> None:
    """Raise before allocating, with the estimate and the ways out."""
    if nbytes > memory_limit * GIB:
        raise ValueError(
            f"memory_limit: a {what} needs {nbytes / GIB:.4g} GiB, more than {memory_limit:g} GiB; "
            "use .sample(key, size) or .stream(chunk), choose smaller sizes, or raise memory_limit"
        )


def checked_size(name: str, size: Any, least: int = 1) -> int:
    """`size` as an integer of at least `least`, or a ValueError that names it."""
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < least:
        raise ValueError(f"{name}: must be an integer of at least {least}, got {size!r}")
    return int(size)


def checked_limit(memory_limit: float) -> None:
    if not memory_limit > 0:
        raise ValueError(f"memory_limit: must be a positive number of GiB, got {memory_limit!r}")


def random_function(cells: Int[np.ndarray, " example"], values: int, seed: int) -> Int[np.ndarray, " example"]:
    """A fixed random function from cell numbers to `0 .. values - 1`, needing no table.

    It is the SplitMix64 stream of `seed`, read at position `cells`.

    >>> random_function(np.arange(6), 10, seed=0)
    array([5, 0, 9, 4, 7, 0])

    Source: steele2014splitmix.
    """
    start = _mixed(np.array([seed], np.uint64))
    return (_mixed(start + (cells.astype(np.uint64) + 1) * 0x9E3779B97F4A7C15) % values).astype(np.int64)


def _mixed(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)
