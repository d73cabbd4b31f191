"""The rows of a file of word vectors, as people have them: text or binary, with and without a header, packed or not."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

LOOKED_AT = 4096
"""Bytes after the header by which text is told from binary."""
WIDEST, LONGEST = 1 << 20, 1 << 24
"""Numbers of a row and bytes of a line beyond which a file holds no word vectors: what bounds the memory of one row."""
BOM = b"\xef\xbb\xbf"
UNPACK: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh91AY&SY": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
"""By the bytes with which a packed file begins."""

Numbers = list[bytes] | np.ndarray
"""As text, or as they stand in a binary file."""
Row = tuple[int, bytes, Numbers]
"""Its number (the line of a text, the place among the words of a binary file), the word, the numbers."""


class VectorRows(NamedTuple):
    """The rows of a file, to be read once.

    Attributes:
        rows: in the file's order; all as wide as `width`.
        announced: how many the header says there are.
        width: numbers in a row.
        place: says where a row stands.
    """

    rows: Iterator[Row]
    announced: int | None
    width: int
    place: Callable[[int], str]


@contextmanager
def vector_rows(path: Path) -> Iterator[VectorRows]:
    """The rows of a file, which are read while they are asked for.

    Raises:
        ValueError: naming file and line (binary: the word's number) where something is wrong.
    """
    with path.open("rb") as file:
        begin = file.read(16)
        opened = next((tool for magic, tool in UNPACK.items() if begin.startswith(magic)), None)
        if opened is None:
            file.seek(0)
            yield _rows(file, path, path.stat().st_size)
            return
    try:
        with opened(path) as file:
            yield _rows(file, path, None)
    except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path}: is packed, and damaged or cut ({error}); fetch or pack it again") from None


def _rows(file: BinaryIO, path: Path, size: int | None) -> VectorRows:
    begin = len(BOM) if file.read(len(BOM)) == BOM else 0
    file.seek(begin)
    first = file.readline(LONGEST)
    header = _header(first)
    begin += len(first) if header else 0
    file.seek(begin)
    sample = file.read(LOOKED_AT)
    file.seek(begin)
    if header:
        _check_width(path, header[1], None if size is None else size - begin)
    if header and not _is_text(sample):
        return VectorRows(_binary_rows(file, path, *header), *header, lambda number: f"{path}, word {number}")
    if not _is_text(sample):
        raise ValueError(
            f"{path}:1: begins with no count and width; give word vectors in word2vec's format, plain or gzip"
        )
    count, width = header or (None, None)
    return _text(file, path, count, width)


def _header(line: bytes) -> tuple[int, int] | None:
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def _check_width(path: Path, width: int, left: int | None) -> None:
    """Refuse a width of which the file holds no single row: a letter, and two bytes or more for every number."""
    if width < 1 or width > WIDEST or (left is not None and 0 < left < 2 * width):
        follow = "" if left is None else f", {left:,} bytes follow"
        raise ValueError(f"{path}:1: the header says width {width}{follow}; mend the header or the file")


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
        return cut or _numbers_at_end(sample.split()[:2]) > 0
    return True


def _numbers_at_end(fields: list[bytes]) -> int:
    """How many of the last fields are numbers; the first is a word, whatever it is."""
    for count, field in enumerate(reversed(fields[1:])):
        try:
            float(field)
        except ValueError:
            return count
    return max(len(fields) - 1, 0)


def _text(file: BinaryIO, path: Path, count: int | None, width: int | None) -> VectorRows:
    """The rows of a text; what separates their fields, and without a header the width, is told from the first."""
    header = width is not None
    number, line = 1 + header, _line(file, path, 1 + header)
    separator, found = _form(line)
    if not header and not found:  # the names of the columns, which tables with commas have
        line = _line(file, path, 2)
        separator, found = _form(line)
        number = 2
        if line and not (separator and found):
            raise ValueError(f"{path}:1: has no numbers; give a word and its numbers on each line")
    width_from = "the header says" if header else "the first row has"
    width = found if width is None else width

    def rows() -> Iterator[Row]:
        at, row = number, line
        while row:
            if row.strip():
                yield at, *_fields(row, separator, width, f"{path}:{at}", width_from)
            at += 1
            row = _line(file, path, at)

    return VectorRows(rows(), count, width, lambda number: f"{path}:{number}")


def _line(file: BinaryIO, path: Path, number: int) -> bytes:
    line = file.readline(LONGEST)
    if len(line) == LONGEST:
        raise ValueError(f"{path}:{number}: goes on for {LONGEST >> 20} MiB; this is no row of word vectors")
    return line


def _form(line: bytes) -> tuple[bytes | None, int]:
    """What separates the fields of a row, a comma or (None) blanks, and how many numbers end it."""
    by_comma = line.strip().split(b",")
    if len(by_comma) > 2 and by_comma[0] and _numbers_at_end(by_comma) == len(by_comma) - 1:
        return b",", len(by_comma) - 1
    return None, _numbers_at_end(line.split())


def _fields(line: bytes, separator: bytes | None, width: int, place: str, width_from: str) -> tuple[bytes, list[bytes]]:
    """The word, and the last fields, which are the numbers: words may hold blanks, but none that reads as a number."""
    word, *numbers = line.strip().rsplit(separator, width)
    more = separator is None and _numbers_at_end(word.split())
    if len(numbers) != width or more:
        first, *others = line.strip().split(separator)
        shown = first.decode("utf-8", errors="backslashreplace")
        raise ValueError(f"{place}: '{shown}' has {len(others)} numbers, {width_from} {width}; mend the row")
    return (word if separator is None else word.strip(b' "')), numbers


def _binary_rows(file: BinaryIO, path: Path, count: int, width: int) -> Iterator[Row]:
    for number in range(1, count + 1):
        word = _until_space(file)
        data = file.read(4 * width)
        if word is None or len(data) < 4 * width:
            raise ValueError(
                f"{path}, word {number}: the file ends here, {count:,} words are announced; it is cut short or no "
                "vectors"
            )
        yield number, word, np.frombuffer(data, "<f4")
    while more := file.read(1 << 16):
        if more.strip(b"\r\n"):
            raise ValueError(
                f"{path}: goes on after the {count:,} words of width {width} that the header says; mend the header"
            )


def _until_space(file: BinaryIO) -> bytes | None:
    """A word; the line break that some writers put after each row is no part of it."""
    letters = bytearray()
    while (sign := file.read(1)) != b" ":
        if not sign or len(letters) > LONGEST:
            return None
        if sign != b"\n" or letters:
            letters += sign
    return bytes(letters)
