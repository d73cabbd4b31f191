"""Word vectors, and the word2vec format they travel in: text or binary."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float

from ..keep import whole

LOOKED_AT = 4096
"""Bytes after the header by which text is told from binary."""

Row = tuple[str, str, Any]
"""Where it stands in its file, the word, and its numbers as text or as an array."""


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

    def top(self, count: int) -> "WordVectors":
        """The first `count` words."""
        return WordVectors(self.words[:count], self.matrix[:count], self.facts)


def read_vectors(path: str | Path, limit: int | None = None) -> WordVectors:
    """Read word vectors in word2vec's text or binary format, or as text without its header; which is detected.

    Args:
        path: the file.
        limit: read the first so many words only; files usually hold the most frequent first.

    Raises:
        ValueError: naming file and line (binary: the word's number) where something is wrong.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(f"vectors: '{path}' is no file; check the path")
    with path.open("rb") as file:
        first = file.readline(1 << 20)
        header = _header(first)
        after = file.read(LOOKED_AT)
        file.seek(len(first) if header else 0)
        if header is None and not _is_text(first + after):
            raise ValueError(f"{path}:1: begins with no count and width; give word vectors in word2vec's format")
        count, width = header or (None, None)
        _check_width(path, width, len(first))
        text = header is None or _is_text(after)
        rows = _text_rows(file, path, 2 if header else 1) if text else _binary_rows(file, path, *header or (0, 0))
        return _collected(rows, path, count, width, limit)


def _collected(
    rows: Iterator[Row], path: Path, announced: int | None, width: int | None, limit: int | None
) -> WordVectors:
    """The rows as one matrix; every one must be as wide as the header says, or else as the first."""
    width_from = "the header says" if width is not None else "the first row has"
    seen: dict[str, None] = {}
    kept: list[np.ndarray] = []
    for place, word, numbers in rows:
        width = len(numbers) if width is None else width
        if len(numbers) != width:
            raise ValueError(f"{place}: '{word}' has {len(numbers)} numbers, {width_from} {width}; mend the row")
        if word in seen:
            raise ValueError(f"{place}: '{word}' occurs a second time; keep one row of every word")
        seen[word] = None
        if len(kept) == announced:
            raise ValueError(f"{place}: a row more than the {announced} that the header says; mend the header")
        kept.append(_finite(numbers, place, word))
        if len(kept) == limit:
            break
    if not kept:
        raise ValueError(f"{path}: holds no row; give a word and its numbers on each line, or word2vec's binary format")
    if announced is not None and len(kept) < min(announced, limit or announced):
        raise ValueError(f"{path}: ends after {len(kept):,} words, more are announced; the file is cut short")
    return WordVectors(tuple(seen), np.stack(kept), {"file": str(path)})


def _finite(numbers: Any, place: str, word: str) -> np.ndarray:
    try:
        row = np.array(numbers, np.float32)
    except ValueError:
        raise ValueError(f"{place}: the row of '{word}' holds what is no number; mend the row") from None
    if not np.isfinite(row).all():
        raise ValueError(f"{place}: the row of '{word}' is not finite; mend or drop the row")
    return row


def _header(line: bytes) -> tuple[int, int] | None:
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def _check_width(path: Path, width: int | None, begun: int) -> None:
    """Refuse a width of which the file holds no single row: a letter, and two bytes or more for every number."""
    left = path.stat().st_size - begun
    if width is not None and (width < 1 or 0 < left < 2 * width):
        raise ValueError(f"{path}:1: the header says width {width}, {left:,} bytes follow; mend the header or the file")


def _is_text(sample: bytes) -> bool:
    """Whether bytes are text: floats hold zeros and control characters.

    Few floats may hold none. Where the sample is no UTF-8, numbers after the first word then tell that it is text in
    another encoding.
    """
    if any(sign < 32 and sign not in b"\t\n\r" for sign in sample):
        return False
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.start >= len(sample) - 3  # a letter that the sample cuts
        return cut or _is_number(sample.split()[1:2])
    return True


def _is_number(parts: list[bytes]) -> bool:
    try:
        return bool([float(part) for part in parts])
    except ValueError:
        return False


def _text_rows(file: BinaryIO, path: Path, first: int) -> Iterator[Row]:
    for number, line in enumerate(file, start=first):
        place = f"{path}:{number}"
        try:
            word, *numbers = line.decode("utf-8").strip(" \r\n").replace("\t", " ").split(" ")
        except UnicodeDecodeError:
            raise ValueError(f"{place}: is not UTF-8; write the vectors as UTF-8") from None
        if word or numbers:
            yield place, word, numbers


def _binary_rows(file: BinaryIO, path: Path, count: int, width: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        place = f"{path}, word {number}"
        word = _until_space(file)
        data = file.read(4 * width)
        if word is None or len(data) < 4 * width:
            raise ValueError(
                f"{place}: the file ends here, {count:,} words are announced; it is cut short or no vectors"
            )
        yield place, word, np.frombuffer(data, "<f4")
    while more := file.read(1 << 16):
        if more.strip(b"\r\n"):
            raise ValueError(
                f"{path}: goes on after the {count:,} words of width {width} that the header says; mend the header"
            )


def _until_space(file: BinaryIO) -> str | None:
    """A word; the line break that some writers put after each row is no part of it."""
    letters = bytearray()
    while (sign := file.read(1)) != b" ":
        if not sign:
            return None
        if sign != b"\n" or letters:
            letters += sign
    return letters.decode("utf-8", errors="backslashreplace")


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
