"""Sentences with one ambiguous word marked in each, and its sense: files in the form of CoarseWSD-20."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
from jaxtyping import Int

from .readers import OnError, read_text

DATA, GOLD, CLASSES = ".data.txt", ".gold.txt", "classes_map.txt"
PARTS = ("train", "test")
"""What a folder of one word holds: `train.data.txt`, `train.gold.txt`, and the same of test."""


@dataclass(frozen=True, eq=False)
class SenseSentences:
    """Sentences as lists of tokens, with the marked word's place and sense.

    Attributes:
        path: where they come from.
        tokens: of every sentence, as written.
        places: `[example]`, of the marked word among the tokens.
        senses: `[example]`, place of the sense among `names`.
        names: of the senses.
        lines: `[example]`, line in the file, from 1.
        damaged: lines that were left out, and why.
    """

    path: str
    tokens: tuple[tuple[str, ...], ...]
    places: Int[np.ndarray, " example"]
    senses: Int[np.ndarray, " example"]
    names: tuple[str, ...]
    lines: Int[np.ndarray, " example"]
    damaged: tuple[tuple[int, str], ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def marked(self) -> tuple[str, ...]:
        """The word at its place, in every sentence."""
        return tuple(tokens[place] for tokens, place in zip(self.tokens, self.places, strict=True))

    @property
    def counts(self) -> Int[np.ndarray, " state"]:
        """Sentences of each sense."""
        return np.bincount(self.senses, minlength=len(self.names))

    def select(self, rows: Sequence[int] | Int[np.ndarray, " example"]) -> "SenseSentences":
        """Some sentences, in the order given."""
        rows = np.asarray(rows, np.int64).reshape(-1)
        tokens = tuple(self.tokens[row] for row in rows)
        return replace(self, tokens=tokens, places=self.places[rows], senses=self.senses[rows], lines=self.lines[rows])

    def of(self, word: str) -> "SenseSentences":
        """The sentences that mark this word, whatever its case; others count as damaged.

        Raises:
            ValueError: where none does, naming what they mark.
        """
        wanted = word.lower()
        good = [row for row, marked in enumerate(self.marked) if marked.lower() == wanted]
        if not good and len(self):
            common = ", ".join(sorted(set(self.marked), key=self.marked.count, reverse=True)[:3])
            raise ValueError(f"word: no sentence of {self.path} marks {word!r}; it marks {common}")
        other = set(range(len(self))) - set(good)
        damage = [(int(self.lines[row]), f"marks {self.marked[row]!r}, not {word!r}") for row in sorted(other)]
        return replace(self.select(good), damaged=tuple(sorted([*self.damaged, *damage])))


def read_senses(
    path: str | PathLike[str], *, labels: dict[str, str] | None = None, on_error: OnError = "stop"
) -> SenseSentences:
    """Read `NAME.data.txt` (position, a tab, a tokenised sentence) with `NAME.gold.txt` (the sense, line by line).

    Args:
        path: of the data file; the gold file, and `classes_map.txt` with names of the senses, lie beside it.
        labels: names of the senses by their label; None reads `classes_map.txt`, or takes the labels as names.
        on_error: "stop" at the first damaged line, or "skip" it and count it.

    Raises:
        ValueError: in one line with file and line, for a position past the sentence, no tab, an unknown sense, files of
            unequal length, and where nothing is left.

    Source: loureiro2021analysis.
    """
    path = Path(path).expanduser()
    if not path.name.endswith(DATA):
        raise ValueError(f"senses: '{path}' must be a folder or end in {DATA}, with its senses in {GOLD} beside it")
    data, gold = _lines(path), _lines(_gold_of(path))
    if len(data) != len(gold):
        raise ValueError(f"{path}: {len(data)} sentences, but {_gold_of(path).name} has {len(gold)} senses; align them")
    labels = _labels(path.parent, [gold]) if labels is None else labels
    order, good, damaged = list(labels), [], []
    for line, (row, label) in enumerate(zip(data, gold, strict=True), 1):
        place, tokens, wrong = _row(row, label, labels)
        if wrong and on_error == "stop":
            raise ValueError(f"{path}:{line}: {wrong}; mend or drop the line, or skip damaged lines")
        if wrong:
            damaged.append((line, wrong))
        else:
            good.append((line, place, tokens, order.index(label.strip())))
    if not good:
        raise ValueError(f"{path}: no sentence can be used ({len(damaged)} damaged lines); check the file")
    lines, places, tokens, senses = zip(*good, strict=True)
    arrays = (np.array(values, np.int64) for values in (places, senses, lines))
    places, senses, lines = arrays
    return SenseSentences(str(path), tokens, places, senses, tuple(labels.values()), lines, tuple(damaged))


def read_sense_folder(
    folder: str | PathLike[str], *, on_error: OnError = "stop"
) -> tuple[SenseSentences, SenseSentences]:
    """The training and the test sentences of a folder with `train.data.txt` and `test.data.txt`; senses agree.

    Raises:
        ValueError: as `read_senses`, and for a folder without the two.
    """
    folder = Path(folder).expanduser()
    paths = [folder / f"{part}{DATA}" for part in PARTS]
    for path in paths:
        if not path.is_file():
            raise ValueError(f"senses: '{path}' is not there; name a folder with train{DATA} and test{DATA}")
    labels = _labels(folder, [_lines(_gold_of(path)) for path in paths])
    train, test = (read_senses(path, labels=labels, on_error=on_error) for path in paths)
    return train, test


def _gold_of(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(DATA) + GOLD)


def _lines(path: Path) -> list[str]:
    """Lines without their ends; only line feeds end one, whatever other separators a sentence holds."""
    return read_text(path).replace("\r\n", "\n").rstrip("\n").split("\n")


def _labels(folder: Path, gold: list[list[str]]) -> dict[str, str]:
    path = folder / CLASSES
    if not path.is_file():
        return {label: label for label in sorted({line.strip() for lines in gold for line in lines})}
    try:
        labels = json.loads(read_text(path))
    except ValueError as error:
        raise ValueError(f'{path}: is no JSON of senses ({error}); write {{"0": "name", ...}}') from None
    if not isinstance(labels, dict) or not all(isinstance(name, str) for name in labels.values()):
        raise ValueError(f'{path}: must map senses to names; write {{"0": "name", ...}}')
    return labels


def _row(row: str, label: str, labels: dict[str, str]) -> tuple[int, tuple[str, ...], str]:
    """Place and tokens of a line, and what is wrong with it."""
    place, tab, sentence = row.partition("\t")
    tokens = tuple(sentence.split(" ")) if sentence else ()
    if not tab or not place.strip().isdecimal():
        return 0, (), "needs a position, a tab and a sentence"
    if int(place) >= len(tokens):
        return 0, (), f"position {int(place)} is past the sentence of {len(tokens)} tokens"
    if label.strip() not in labels:
        return 0, (), f"unknown sense {label.strip()!r} (known: {', '.join(labels)})"
    return int(place), tokens, ""
