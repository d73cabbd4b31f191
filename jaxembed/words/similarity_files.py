"""Files of word pairs with human scores, in the forms in which they are published."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ._spelling import OnError, numbered_lines, spelt

HEADING = re.compile(r"word|score|mean|human|rating|simil|relat|simlex|gold", re.IGNORECASE)
SCORE = re.compile(r"score|mean|human|rating|simil|relat|simlex|gold|average|avg", re.IGNORECASE)
"""Names of the column of human scores, in the files that have a heading."""


@dataclass(frozen=True, eq=False)
class SimilarityPairs:
    """Word pairs with human scores, in the file's order; a pair that stands there twice counts twice.

    Attributes:
        name: of the file.
        pairs: of words.
        scores: `[example]`, the human score of each pair.
        damaged: rows that were left out: line number and what is wrong.
        cased: whether words are as in the file; else they are in lower case.
        column: where the scores stand, in words.
    """

    name: str
    pairs: tuple[tuple[str, str], ...]
    scores: Float[np.ndarray, " example"]
    damaged: tuple[tuple[int, str], ...] = ()
    cased: bool = False
    column: str = ""

    def __len__(self) -> int:
        return len(self.pairs)

    def note(self) -> str:
        """What was read and what was left out, in a sentence."""
        read = f"{self.name}: {len(self):,} pairs" + (f", scores in {self.column}" if self.column else "")
        if not self.damaged:
            return read
        line, why = self.damaged[0]
        return f"{read}; left out: {len(self.damaged)} malformed rows (the first: line {line}, {why})"


def read_similarity(path: str | Path, on_error: OnError = "skip", *, cased: bool = False) -> SimilarityPairs:
    """Read rows of two words and a number, separated by tabs, commas, semicolons or blanks; quotes are taken off.

    The score is in the column whose heading says so, else in the first one behind the words that holds numbers: columns
    of parts of speech may precede it. Decimal commas are read where they separate no columns.

    Args:
        path: the file; further columns are left alone.
        on_error: "skip" malformed rows and list them, or "stop" at the first.
        cased: keep upper and lower case apart; otherwise all is put in lower case.

    Raises:
        ValueError: where the path is no file, no row is a pair, or at a malformed row if asked to stop.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f"{path}: does not exist; name a file of word pairs with scores")
    rows = [(line, _cells(text)) for line, text in numbered_lines(path) if text is None or text.strip()]
    heading = rows.pop(0)[1] if rows and _is_heading(rows[0][1]) else None
    column = _score_column([cells for _, cells in rows if cells], heading or [])
    pairs, scores, damaged = [], [], []
    for line, cells in rows:
        score, why = _score(cells, column)
        if not why and cells is not None:
            pairs.append((spelt(cells[0], cased), spelt(cells[1], cased)))
            scores.append(score)
        elif on_error == "stop":
            raise ValueError(f"{path}:{line}: {why}; mend the row, or skip malformed rows")
        else:
            damaged.append((line, why))
    if not pairs:
        bad = f"; {len(damaged)} malformed rows, the first: line {damaged[0][0]}, {damaged[0][1]}" if damaged else ""
        raise ValueError(f"{path}: holds no row of two words and a score{bad}")
    named = f" ({heading[column]})" if heading and column < len(heading) else ""
    shown = f"column {column + 1}{named}" if column != 2 else ""
    return SimilarityPairs(path.stem, tuple(pairs), np.array(scores, np.float64), tuple(damaged), cased, shown)


def _cells(text: str | None) -> list[str] | None:
    """The cells of a row by the first separator that gives three, else by blanks; None for what is no UTF-8."""
    if text is None:
        return None
    for sign in "\t;,":
        cells = next(csv.reader([text], delimiter=sign, skipinitialspace=True), []) if sign in text else []
        if len(cells) > 2:
            return [cell.strip() for cell in cells]
    return [cell.strip('"') for cell in text.split()]


def _is_heading(cells: list[str] | None) -> bool:
    return bool(cells and len(cells) > 2 and not any(map(_is_number, cells)) and any(map(HEADING.search, cells)))


def _score_column(rows: list[list[str]], heading: list[str]) -> int:
    """Of the columns that hold numbers in most rows, the one whose heading says that it is the score, or the first."""
    rows = [cells for cells in rows if len(cells) > 2]
    columns = range(2, max(map(len, rows), default=3))
    numbers = [sum(_is_number(cells[k]) for cells in rows if len(cells) > k) for k in columns]
    among = [k for k, count in zip(columns, numbers, strict=True) if 2 * count > len(rows)]
    named = [k for k in among if k < len(heading) and SCORE.search(heading[k])]
    return next(iter([*named, *among]), 2)


def _number(cell: str) -> float:
    """A number, with a decimal comma or a point."""
    return float(cell.replace(",", ".") if re.fullmatch(r"[-+]?\d+,\d+", cell) else cell)


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _score(cells: list[str] | None, column: int) -> tuple[float, str]:
    """The score of a row, or what is wrong with the row."""
    if cells is None:
        return 0.0, "is not UTF-8"
    if len(cells) <= column or not (cells[0] and cells[1]):
        return 0.0, f"has {len(cells)} columns, needs two words and a score"
    try:
        score = _number(cells[column])
    except ValueError:
        return 0.0, f"score {cells[column]!r} is no number"
    return score, "" if np.isfinite(score) else f"score {cells[column]!r} is not finite"
