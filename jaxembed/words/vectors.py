"""Word vectors, and the word2vec format they travel in: text or binary."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..keep import whole
from ._vector_rows import Numbers, VectorRows, vector_rows

FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class WordVectors:
    """One vector for every word.

    Attributes:
        words: most frequent first where the frequencies are known.
        matrix: `[token, width]`, float32, a row for every word.
        facts: what is known of how they were made.

    >>> vectors = WordVectors(("the", "king", "queen"), np.eye(3, 2, dtype=np.float32))
    >>> vectors.id("queen"), vectors.width, vectors.top(2).words
    (2, 2, ('the', 'king'))
    """

    words: tuple[str, ...]
    matrix: Float[np.ndarray, "token width"]
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.words or len(self.words) != len(self.matrix):
            raise ValueError(f"matrix: need one row for each of {len(self.words)} words, got {len(self.matrix)} rows")
        if len(self.ids) != len(self.words):
            twice = next(word for place, word in enumerate(self.words) if self.ids[word] != place)
            raise ValueError(f"words: '{twice}' occurs twice; keep one row of every word")

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The row of every word."""
        return {word: place for place, word in enumerate(self.words)}

    @property
    def width(self) -> int:
        return self.matrix.shape[1]

    def id(self, word: str) -> int:
        """The row of a word.

        Raises:
            ValueError: for a word that has no vector, with those spelt alike.
        """
        if word in self.ids:
            return self.ids[word]
        close = get_close_matches(word, self.words, 5, 0.6) or get_close_matches(word.lower(), self.words, 5, 0.6)
        offered = f"close spellings: {', '.join(close)}" if close else "none is spelt alike; choose another"
        raise ValueError(f"{word!r}: not among the {len(self):,} words; {offered}")

    def note(self) -> str:
        """How many there are, and what was met while they were read."""
        return "; ".join([f"{len(self):,} words x {self.width}", *self.facts.get("notes", ())])

    def top(self, count: int) -> "WordVectors":
        """The first `count` words."""
        return WordVectors(self.words[:count], self.matrix[:count], self.facts)


def read_vectors(path: str | Path, limit: int | None = None, keep: Callable[[str], bool] | None = None) -> WordVectors:
    """Read word vectors in word2vec's text or binary format, or as text without its header; which is detected.

    The last fields of a row of text are its numbers, so that words may hold spaces. Of a word that stands there twice
    the first row counts, as in gensim, and bytes that are no UTF-8 are escaped; `note()` counts both.
    Tables with commas are read too, and what gzip, bzip2 or xz packed.

    Args:
        path: the file.
        limit: keep the first so many words only; files usually hold the most frequent first. No more is read.
        keep: tells of a word whether it is kept beyond the limit too; all of the file is then read, and not held.

    Raises:
        ValueError: naming file and line (binary: the word's number) where something is wrong.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f"vectors: '{path}' is no file; check the path")
    with vector_rows(path) as source:
        return _collected(path, source, limit, keep)


def _collected(path: Path, source: VectorRows, limit: int | None, keep: Callable[[str], bool] | None) -> WordVectors:
    """The rows that are kept, as one matrix."""
    words: dict[str, None] = {}
    matrix = bytearray()
    repeated, escaped = [], []
    number, rows, whole_file = 0, 0, True
    for rows, (number, letters, numbers) in enumerate(source.rows, start=1):
        if rows - 1 == source.announced:
            raise ValueError(
                f"{source.place(number)}: a row more than the {rows - 1} that the header says; mend the header"
            )
        word = letters.decode("utf-8", errors="backslashreplace")
        beyond = limit is not None and len(words) >= limit
        if beyond and not (keep and keep(word)):
            continue
        if word in words:
            repeated.append((number, word))
            continue
        if word.encode() != letters:
            escaped.append((number, word))
        words[word] = None
        matrix += _finite(numbers, source.place(number), word).tobytes()
        if len(words) == limit and keep is None:
            whole_file = False
            break
    if not words:
        raise ValueError(f"{path}: holds no row; give a word and its numbers on each line, or word2vec's binary format")
    if whole_file and rows < (source.announced or 0):
        raise ValueError(f"{path}: ends after {rows:,} words, more are announced; the file is cut short")
    notes = [
        f"{len(places):,} {what} (the first: {source.place(places[0][0])}, '{places[0][1]}')"
        for what, places in (("rows left out that repeat a word", repeated), ("words escaped: no UTF-8", escaped))
        if places
    ]
    facts = {"file": str(path), **({"notes": notes} if notes else {})}
    return WordVectors(tuple(words), np.frombuffer(matrix, np.float32).reshape(len(words), source.width), facts)


def _finite(numbers: Numbers, place: str, word: str) -> Float[np.ndarray, " width"]:
    try:
        row = np.array(numbers, np.float64)
    except ValueError:
        raise ValueError(f"{place}: the row of '{word}' holds what is no number; mend the row") from None
    if not np.isfinite(row).all():
        raise ValueError(f"{place}: the row of '{word}' is not finite; mend or drop the row")
    largest = float(np.abs(row).max())
    if largest > FLOAT32_MAX:
        raise ValueError(f"{place}: the row of '{word}' holds {largest:g}, beyond float32; mend or drop the row")
    return row.astype(np.float32)


def write_vectors(path: str | Path, vectors: WordVectors, binary: bool = False) -> None:
    """Write word vectors in word2vec's text format (9 digits: float32 returns exactly) or its binary one.

    The file appears when it is whole.

    Raises:
        ValueError: for a word that holds white space, which the format cannot carry.
    """
    for word in vectors.words:
        if not word or any(sign.isspace() for sign in word):
            raise ValueError(
                f"words: {word!r} holds white space or nothing, which word2vec files cannot carry; rename it"
            )
    with whole(Path(path).expanduser()) as file:
        file.write(f"{len(vectors)} {vectors.width}\n".encode())
        file.writelines(_written(vectors, binary))


def _written(vectors: WordVectors, binary: bool) -> Iterable[bytes]:
    for word, row in zip(vectors.words, vectors.matrix, strict=True):
        numbers = row.astype("<f4").tobytes() if binary else " ".join(f"{x:.9g}" for x in row.tolist()).encode()
        yield word.encode() + b" " + numbers + b"\n"
