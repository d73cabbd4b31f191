"""Mixed anchors: reasoning anchors add, memory anchors map at random."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ..base import Dataset
from .population import MEMORY_LIMIT, Enumerated, Population, checked_limit, checked_size, random_function


class TokenRange(NamedTuple):
    """The tokens first..last, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @property
    def tokens(self) -> Int[np.ndarray, " token"]:
        return np.arange(self.first, self.last + 1)

    def __str__(self) -> str:
        return f"{self.first}..{self.last}"


@dataclass(frozen=True)
class MixedAnchors(Enumerated):
    """A key with q anchors of one type: reasoning anchors are added to it, memory anchors recall a random key.

    Label: key + sum of the anchors (reasoning), or a fixed random key token for each (key, anchor tuple) (memory). All
    cells are equally likely. A token's number is its value; token 0 never occurs in the default layout. A block (key,
    anchors) comes first and noise tokens follow, or it stands at any position among them. Noise tokens are uniform over
    `noise_vocab` tokens of their own, which follow the largest label (ours).

    The memory labels are a draw: `samples` counts the (key, anchor tuple) cells wherever a population contains some.

    Attributes:
        keys: number of keys, or their first and last token.
        memory_anchors: number of memory anchors, or their first and last token.
        reasoning_anchors: number of reasoning anchors, or their first and last token. Sizes are laid out in the order
            memory anchors from token 1, reasoning anchors, keys: by default 1..10, 11..20, 21..120.
        anchors_per_sequence: number q of anchors in an example.
        noise_tokens: noise positions added to every example.
        noise_vocab: number of different noise tokens.
        pair_anywhere: whether the block stands at any position, all equally likely, or first.
        held_out: anchor tuples kept out of training; () holds out nothing. None holds out the first with the third
            reasoning anchor in both orders, (11, 13) and (13, 11) by default, where q = 2 and there are three. Several
            tuples in a row are cut apart, so that a command line can say 11 13 13 11.
        label_seed: which random table of memory labels.
        memory_limit: largest Dataset to build, in GiB.

    >>> task = MixedAnchors(keys=5, memory_anchors=3, reasoning_anchors=3)
    >>> task.dataset().size, task.held_out_dataset().tokens[:, 1:].tolist()[::5]
    (80, [[4, 6], [6, 4]])

    Source: yao2025reasoning.
    """

    keys: int | tuple[int, int] = 100
    memory_anchors: int | tuple[int, int] = 10
    reasoning_anchors: int | tuple[int, int] = 10
    anchors_per_sequence: int = 2
    noise_tokens: int = 0
    noise_vocab: int = 20
    pair_anywhere: bool = False
    held_out: tuple[tuple[int, ...], ...] | None = None
    label_seed: int = 0
    memory_limit: float = field(default=MEMORY_LIMIT, kw_only=True)

    def __post_init__(self):
        checked_size("anchors_per_sequence", self.anchors_per_sequence)
        checked_size("noise_tokens", self.noise_tokens, least=0)
        checked_size("noise_vocab", self.noise_vocab)
        checked_size("label_seed", self.label_seed, least=0)
        checked_limit(self.memory_limit)
        _refuse_overlap(keys=self.key_range, memory_anchors=self.memory_range, reasoning_anchors=self.reasoning_range)
        if self._tuples * self.key_range.size >= 2**63:
            raise ValueError("anchors_per_sequence: too many anchor tuples to number in 64 bits; use fewer anchors")
        self._held_ranks()

    @property
    def memory_range(self) -> TokenRange:
        return _token_range("memory_anchors", self.memory_anchors, 1)

    @property
    def reasoning_range(self) -> TokenRange:
        return _token_range("reasoning_anchors", self.reasoning_anchors, self.memory_range.last + 1)

    @property
    def key_range(self) -> TokenRange:
        return _token_range("keys", self.keys, max(self.memory_range.last, self.reasoning_range.last) + 1)

    @property
    def noise_range(self) -> TokenRange:
        """Noise tokens follow everything that is a token or a label otherwise."""
        largest_label = self.key_range.last + self.anchors_per_sequence * self.reasoning_range.last
        first = max(largest_label, self.memory_range.last) + 1
        return TokenRange(first, first + (self.noise_vocab if self.noise_tokens else 0) - 1)

    @property
    def memory_anchor_tokens(self) -> Int[np.ndarray, " token"]:
        return self.memory_range.tokens

    @property
    def reasoning_anchor_tokens(self) -> Int[np.ndarray, " token"]:
        return self.reasoning_range.tokens

    @property
    def anchor_tokens(self) -> Int[np.ndarray, " token"]:
        """Memory anchors, then reasoning anchors."""
        return np.concatenate([self.memory_anchor_tokens, self.reasoning_anchor_tokens])

    @property
    def key_tokens(self) -> Int[np.ndarray, " token"]:
        return self.key_range.tokens

    @property
    def vocab(self) -> int:
        return self.noise_range.last + 1

    @property
    def length(self) -> int:
        return 1 + self.anchors_per_sequence + self.noise_tokens

    @property
    def held_out_tuples(self) -> tuple[tuple[int, ...], ...]:
        """`held_out`, with None resolved and longer lists cut into tuples of q."""
        if self.held_out is not None:
            return tuple(part for given in self.held_out for part in _cut(given, self.anchors_per_sequence))
        first, size = self.reasoning_range.first, self.reasoning_range.size
        usable = self.anchors_per_sequence == 2 and size >= 3
        return ((first, first + 2), (first + 2, first)) if usable else ()

    def population(self) -> Population:
        """The training population: all cells but the held-out ones; memory anchors come first."""
        return self._training(0, self._tuples)

    def memory_dataset(self) -> Dataset:
        """The part of `dataset` with memory anchors."""
        return self._training(0, self._memory_tuples).dataset(self.memory_limit)

    def reasoning_dataset(self) -> Dataset:
        """The part of `dataset` with reasoning anchors."""
        return self._training(self._memory_tuples, self._tuples).dataset(self.memory_limit)

    def held_out_dataset(self) -> Dataset:
        """All keys with the held-out anchor tuples."""
        held = self._held_ranks()
        if not len(held):
            raise ValueError("held_out: no anchor tuple is held out; name some to have a held-out population")
        return self._part(len(held), lambda cell: held[cell], bool(held[0] < self._memory_tuples)).dataset(
            self.memory_limit
        )

    @property
    def _memory_tuples(self) -> int:
        return self.memory_range.size**self.anchors_per_sequence

    @property
    def _tuples(self) -> int:
        return self._memory_tuples + self.reasoning_range.size**self.anchors_per_sequence

    def _training(self, low: int, high: int) -> Population:
        """Anchor tuples of rank low..high-1 without the held-out ones."""
        held = self._held_ranks()
        held = held[(held >= low) & (held < high)] - low
        if len(held) == high - low:
            raise ValueError("held_out: holds out every anchor tuple of this part; hold out fewer")
        shifts = held - np.arange(len(held))

        def rank(cell):
            return low + cell + np.searchsorted(shifts, cell, side="right")

        return self._part(high - low - len(held), rank, low < self._memory_tuples)

    def _part(self, tuples: int, rank_of, has_memory: bool) -> Population:
        """All keys, noise and positions with `tuples` anchor tuples, the i-th of rank `rank_of(i)`."""
        keys = self.key_range
        positions = self.noise_tokens + 1 if self.pair_anywhere else 1

        def cell(which, key, *noise, position):
            rank = rank_of(which)
            anchors = self._anchors_at(rank)
            recalled = random_function(rank * keys.size + key, keys.size, self.label_seed)
            label = keys.first + np.where(rank < self._memory_tuples, recalled, key + sum(anchors))
            noise = [self.noise_range.first + digit for digit in noise]
            return _arranged([keys.first + key, *anchors], noise, position), label

        return Population(
            (tuples, keys.size, *[self.noise_vocab] * self.noise_tokens, positions),
            self.length,
            self.vocab,
            lambda *digits: cell(*digits[:-1], position=digits[-1]),
            draws=tuples * keys.size if has_memory else None,
        )

    def _anchors_at(self, rank: Int[np.ndarray, " example"]) -> list[np.ndarray]:
        """The anchor tuple of a rank: memory tuples first, each type in lexical order."""
        recalls = rank < self._memory_tuples
        rest = np.where(recalls, rank, rank - self._memory_tuples)
        base = np.where(recalls, self.memory_range.size, self.reasoning_range.size)
        first = np.where(recalls, self.memory_range.first, self.reasoning_range.first)
        anchors = []
        for _ in range(self.anchors_per_sequence):
            rest, digit = np.divmod(rest, base)
            anchors.append(first + digit)
        return anchors[::-1]

    def _held_ranks(self) -> Int[np.ndarray, " example"]:
        return np.unique(np.array([self._rank(anchors) for anchors in self.held_out_tuples], np.int64))

    def _rank(self, anchors: tuple[int, ...]) -> int:
        for kind, offset in ((self.memory_range, 0), (self.reasoning_range, self._memory_tuples)):
            if len(anchors) == self.anchors_per_sequence and all(kind.first <= a <= kind.last for a in anchors):
                for place, anchor in enumerate(reversed(anchors)):
                    offset += (anchor - kind.first) * kind.size**place
                return offset
        raise ValueError(
            f"held_out: {anchors} must be {self.anchors_per_sequence} memory anchors {self.memory_range} or reasoning "
            f"anchors {self.reasoning_range}; change it, or hold out nothing with ()"
        )


def _token_range(name: str, given: int | tuple[int, int], first: int) -> TokenRange:
    """An explicit range, or a size laid out from `first` on."""
    if not isinstance(given, tuple):
        return TokenRange(first, first + checked_size(name, given) - 1)
    if len(given) != 2 or not 0 <= given[0] <= given[1]:
        raise ValueError(f"{name}: a token range is (first, last) with 0 <= first <= last, got {given}")
    return TokenRange(*given)


def _cut(given: tuple[int, ...], width: int) -> list[tuple[int, ...]]:
    """A row of several tuples of `width`, or what was given where it is no such row."""
    if not given or len(given) % width:
        return [given]
    return [given[start : start + width] for start in range(0, len(given), width)]


def _refuse_overlap(**ranges: TokenRange) -> None:
    names = list(ranges)
    for a, b in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :]):
        if ranges[a].first <= ranges[b].last and ranges[b].first <= ranges[a].last:
            raise ValueError(
                f"{a} {ranges[a]} overlap {b} {ranges[b]}; move {a} to start at {ranges[b].last + 1} or later, "
                "or give sizes instead of ranges"
            )


def _arranged(block: list[np.ndarray], noise: list[np.ndarray], position: np.ndarray) -> np.ndarray:
    """Noise tokens with the block put in before the noise token number `position`."""
    column = np.arange(len(block) + len(noise))[None, :]
    offset = column - position[:, None]
    after = np.where(offset < 0, len(block) + column, column)
    source = np.where((offset >= 0) & (offset < len(block)), offset, after)
    return np.take_along_axis(np.stack([*block, *noise], axis=1), source, axis=1)
