"""One ambiguous word as a task: its sentences in a model's tokens, cut into a fit, a validation and a test part."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int, PRNGKeyArray

from ...base import generator
from ...corpus.senses import DATA, OnError, SenseSentences, read_sense_folder, read_senses
from ...corpus.tokenizers import Tokenizer
from ...keep import digest
from .tokens import SenseTokens, sense_tokens

VALIDATION = 0.25
"""Share of the training sentences that chooses penalties and depths."""
FEWEST = 4
"""Sentences that a sense needs on either side, or it is left out and said so."""


@dataclass(frozen=True, eq=False)
class SenseTask:
    """A word's sentences and which part each belongs to.

    Attributes:
        word: the marked word.
        names: of the senses.
        tokens: all sentences.
        senses: `[example]`, places among `names`.
        fit: rows that probes are fitted on.
        validation: rows that choose penalties and depths.
        test: rows that are scored.
        notes: what was left out.
    """

    word: str
    names: tuple[str, ...]
    tokens: SenseTokens
    senses: Int[np.ndarray, " example"]
    fit: Int[np.ndarray, " example"]
    validation: Int[np.ndarray, " example"]
    test: Int[np.ndarray, " example"]
    notes: tuple[str, ...] = ()

    @cached_property
    def hash(self) -> str:
        """Of the sentences, their marked places and senses, and the part each belongs to."""
        tokens = self.tokens
        parts = (tokens.ids, tokens.at, tokens.pieces, tokens.ends, self.senses, self.fit, self.validation, self.test)
        return digest(f"{self.word} {self.names} {tokens.start}", *parts)

    @property
    def chance(self) -> float:
        """Balanced accuracy of anything that is the same in all sentences, as the static embedding is."""
        return 1 / len(self.names)

    def counts(self, rows: Int[np.ndarray, " example"]) -> str:
        """Sentences of each sense in a part."""
        return " + ".join(map(str, np.bincount(self.senses[rows], minlength=len(self.names))))


def build_sense_task(
    word: str,
    train: SenseSentences,
    test: SenseSentences,
    tokenizer: Tokenizer,
    *,
    most_train: int = 600,
    most_test: int = 400,
    length: int = 64,
    key: PRNGKeyArray | int = 0,
) -> SenseTask:
    """Sentences of a word; where there are too many, common senses are thinned out first.

    Args:
        word: that the sentences mark.
        train: sentences for fit and validation.
        test: sentences to score.
        tokenizer: of the model.
        most_train: training sentences at most.
        most_test: test sentences at most.
        length: tokens of a sentence at most.
        key: which sentences are taken.

    Raises:
        ValueError: where fewer than two senses have sentences enough.
    """
    train, test = train.of(word), test.of(word)
    kept = [k for k, pair in enumerate(zip(train.counts, test.counts, strict=True)) if min(pair) >= FEWEST]
    if len(kept) < 2:
        raise ValueError(
            f"senses: {word!r} has {len(kept)} of 2 senses with {FEWEST} sentences in both parts; give more"
        )
    rng = generator(key)
    parts = [part.select(_thinned(part.senses, kept, most, rng)) for part, most in
             ((train, most_train), (test, most_test))]  # fmt: skip
    tokens = [sense_tokens(part, tokenizer, length) for part in parts]
    senses = np.concatenate([np.searchsorted(kept, part.senses) for part in parts])
    fit, validation = _split(senses[: len(parts[0])], rng)
    left_out = [train.names[k] for k in range(len(train.names)) if k not in kept]
    notes = [f"too few sentences: {', '.join(left_out)}"] if left_out else []
    notes += [f"{len(part.damaged)} lines of {part.path} left out" for part in (train, test) if part.damaged]
    test_rows = np.arange(len(parts[0]), len(senses))
    names = tuple(train.names[k] for k in kept)
    return SenseTask(word, names, _joined(*tokens), senses, fit, validation, test_rows, tuple(notes))


def read_sense_parts(
    path: Path, *, on_error: OnError = "stop", key: PRNGKeyArray | int = 0
) -> tuple[SenseSentences, SenseSentences]:
    """Training and test sentences: of a folder, or of one file, of which a third of every sense becomes the test.

    Raises:
        ValueError: as `read_senses`.
    """
    path = path.expanduser()
    if path.is_dir():
        return read_sense_folder(path, on_error=on_error)
    beside = path.with_name(path.name.replace("train", "test"))
    if path.name == f"train{DATA}" and beside.is_file():
        return read_sense_folder(path.parent, on_error=on_error)
    whole = read_senses(path, on_error=on_error)
    train, test = _split(whole.senses, generator(key), 1 / 3)
    return whole.select(train), whole.select(test)


def _thinned(
    senses: Int[np.ndarray, " example"], kept: list[int], most: int, rng: np.random.Generator
) -> Int[np.ndarray, " example"]:
    """At most so many rows: rare senses are kept whole, and the common ones share what is left evenly."""
    rows, left = [], most
    by_count = sorted(kept, key=lambda k: int(np.sum(senses == k)))
    for place, sense in enumerate(by_count):
        there = rng.permutation(np.flatnonzero(senses == sense))
        taken = there[: max(1, left // (len(by_count) - place))]
        left -= len(taken)
        rows.append(taken)
    return np.sort(np.concatenate(rows))


def _split(
    senses: Int[np.ndarray, " example"], rng: np.random.Generator, share: float = VALIDATION
) -> tuple[Int[np.ndarray, " example"], Int[np.ndarray, " example"]]:
    """Rows of two parts; the second has this share of every sense, at least one sentence."""
    first, second = [], []
    for sense in np.unique(senses):
        there = rng.permutation(np.flatnonzero(senses == sense))
        cut = max(1, round(share * len(there)))
        second.append(there[:cut])
        first.append(there[cut:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))


def _joined(one: SenseTokens, other: SenseTokens) -> SenseTokens:
    columns = max(one.ids.shape[1], other.ids.shape[1])
    ids = np.zeros((len(one) + len(other), columns), np.int32)
    ids[: len(one), : one.ids.shape[1]], ids[len(one) :, : other.ids.shape[1]] = one.ids, other.ids
    at, pieces, ends = (np.concatenate([getattr(part, name) for part in (one, other)]) for name in
                        ("at", "pieces", "ends"))  # fmt: skip
    return SenseTokens(ids, at, pieces, ends, one.start)
