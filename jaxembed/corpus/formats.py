"""What a file of text can look like: plain, JSON rows, parquet; each as rows that are a text or a named problem."""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..machine import optional
from .readers import plain_text, utf8

PARQUET, JSON = (".parquet", ".pq"), (".jsonl", ".ndjson", ".json")
BLOCK = 2**16
"""Bytes read at a time."""
LOST = "the rest of the file is lost"


@dataclass(frozen=True)
class TextRow:
    """One row of a file: a text, or the problem that it is.

    Attributes:
        place: "file:line", or "file" where the whole file is one row.
        text: where it could be read.
        subset: `meta.pile_set_name`, where the row has one.
        problem: "what is wrong (detail); what to do".
        count: how many rows are lost together from this place on.
    """

    place: str
    text: str | None = None
    subset: str | None = None
    problem: str | None = None
    count: int = 1


class _Broken(Exception):
    """A compressed file that does not go on."""


def rows(path: Path, text_field: str) -> Iterator[TextRow]:
    """The rows of one file in order, read in blocks; whatever cannot be read is a row with its problem."""
    if _kind(path) in PARQUET:
        yield from _parquet(path, text_field)
    elif _kind(path) in JSON:
        yield from _json(path, text_field)
    else:
        yield _whole(path)


def is_text(path: Path) -> bool:
    """Whether the file is read as one text."""
    return _kind(path) not in (*PARQUET, *JSON)


def _kind(path: Path) -> str:
    """The ending of a file's name, under the one that says how it is compressed."""
    packed = path.suffix.lower() in COMPRESSIONS
    return (Path(path.stem) if packed else path).suffix.lower()


def _whole(path: Path) -> TextRow:
    """A text file is one document."""
    try:
        text = plain_text(b"".join(_chunks(path))).removeprefix("\ufeff")
    except (_Broken, ValueError, OSError) as error:
        return TextRow(str(path), problem=_reason(error))
    return checked(str(path), text)


def checked(place: str, text: Any, subset: str | None = None) -> TextRow:
    """A row with this text, unless it is no text."""
    if not isinstance(text, str):
        return TextRow(place, problem=f"text is no string ({type(text).__name__}); give a string or skip the row")
    if not text or text.isspace():
        return TextRow(place, problem="is empty; give text or skip the row")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return TextRow(place, problem=f"holds half a surrogate pair (character {error.start}); no tokenizer takes it")
    return TextRow(place, text, subset)


def fields(place: str, row: Any, text_field: str) -> TextRow:
    """A row of a table: its text and its subset."""
    if not isinstance(row, dict):
        return TextRow(place, problem=f'is no object ({type(row).__name__}); a line is one {{"{text_field}": ...}}')
    if text_field not in row:
        there = ", ".join(map(str, list(row)[:8])) or "none"
        return TextRow(
            place, problem=f"has no field '{text_field}' (fields: {there}); name the field that holds the text"
        )
    meta = row.get("meta")
    subset = meta.get("pile_set_name") if isinstance(meta, dict) else None
    return checked(place, row[text_field], subset if isinstance(subset, str) else None)


def _json(path: Path, text_field: str) -> Iterator[TextRow]:
    """JSON lines; a `.json` file that is one array is its items, texts or objects."""
    number, anything = 0, False
    try:
        for number, line in enumerate(_lines(_chunks(path)), 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
                if line.lstrip()[:1] == b"[" and ".json" in path.suffixes:
                    yield from _array(path, text_field)
                    return
            if line.strip():
                anything = True
                yield _line(f"{path}:{number}", line, text_field)
    except (_Broken, OSError) as error:
        yield TextRow(f"{path}:{number + 1}", problem=_reason(error))
    else:
        if not anything:
            yield TextRow(str(path), problem="is empty; give a file with rows")


def _line(place: str, line: bytes, text_field: str) -> TextRow:
    try:
        return fields(place, json.loads(utf8(line)), text_field)
    except (ValueError, RecursionError) as error:
        return TextRow(place, problem=_not_json(error))


def _not_json(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON ({error.msg} at column {error.colno}); mend the row or skip it"
    return str(error) if str(error).startswith("is not UTF-8") else f"is not JSON ({error}); mend the row or skip it"


def _array(path: Path, text_field: str) -> Iterator[TextRow]:
    try:
        items = json.loads(utf8(b"".join(_chunks(path)).removeprefix(b"\xef\xbb\xbf")))
    except (_Broken, OSError) as error:
        yield TextRow(str(path), problem=_reason(error))
    except (ValueError, RecursionError) as error:
        yield TextRow(str(path), problem=_not_json(error))
    else:
        for number, item in enumerate(items, 1):
            place = f"{path}:item {number}"
            yield checked(place, item) if isinstance(item, str) else fields(place, item, text_field)


def _parquet(path: Path, text_field: str) -> Iterator[TextRow]:
    """A parquet file, row group by row group: a damaged one loses its own rows only."""
    parquet, arrow = optional("pyarrow.parquet", "text"), optional("pyarrow", "text")
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if text_field not in names:
                there = ", ".join(names[:8])
                problem = f"has no column '{text_field}' (columns: {there}); name the column that holds the text"
                yield TextRow(str(path), problem=problem)
                return
            wanted = [name for name in (text_field, "meta") if name in names]
            begun = 0
            for group in range(file.num_row_groups):
                yield from _row_group(path, file, group, begun, wanted, text_field)
                begun += file.metadata.row_group(group).num_rows
            if not begun:
                yield TextRow(str(path), problem="is empty; give a file with rows")
    except (arrow.ArrowException, OSError) as error:
        yield TextRow(str(path), problem=f"is no readable parquet file ({_reason(error)}); write it again or skip it")


def _row_group(path: Path, file: Any, group: int, begun: int, wanted: list[str], text_field: str) -> Iterator[TextRow]:
    """The rows of one group, which `begun` rows precede; those that cannot be read are one row that counts them."""
    arrow, number = optional("pyarrow", "text"), begun
    try:
        for batch in file.iter_batches(256, row_groups=[group], columns=wanted):
            for values in zip(*(_values(batch.column(name), arrow) for name in wanted), strict=True):
                number += 1
                yield _cell(f"{path}:row {number}", dict(zip(wanted, values, strict=True)), text_field)
    except (arrow.ArrowException, OSError) as error:
        lost = begun + file.metadata.row_group(group).num_rows - number
        problem = f"is in a damaged row group ({_reason(error)}); write the file again or skip its {lost} rows"
        yield TextRow(f"{path}:row {number + 1}", problem=problem, count=max(lost, 1))


def _values(column: Any, arrow: Any) -> list[Any]:
    """Texts as bytes: arrow never checked that they are UTF-8."""
    kind = column.type.value_type if arrow.types.is_dictionary(column.type) else column.type
    if arrow.types.is_string(kind) or arrow.types.is_large_string(kind):
        return column.cast(kind).cast(arrow.large_binary()).to_pylist()
    return column.to_pylist()


def _cell(place: str, row: dict[str, Any], text_field: str) -> TextRow:
    try:
        row = {name: utf8(value) if isinstance(value, bytes) else value for name, value in row.items()}
    except ValueError as error:
        return TextRow(place, problem=str(error))
    return fields(place, row, text_field)


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their end, in time linear in the length of the longest; a last one may lack its end."""
    parts: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            yield b"".join(parts)
            parts = [other]
    if any(parts):
        yield b"".join(parts)


def _chunks(path: Path) -> Iterator[bytes]:
    """The content of a file, decompressed where its name says so."""
    start = COMPRESSIONS.get(path.suffix.lower())
    with path.open("rb") as file:
        blocks = iter(partial(file.read, BLOCK), b"")
        yield from blocks if start is None else _decompressed(blocks, start())


def _decompressed(blocks: Iterator[bytes], start: tuple[Callable[[], Any], type[Exception]]) -> Iterator[bytes]:
    """Frame after frame; a reader from a library may take a missing end for the end."""
    make, damaged = start
    frame, begun, frames = make(), False, 0
    for block in blocks:
        while block:
            if frames and not begun:
                block = block.lstrip(b"\0")  # padding, as tapes and block devices leave it
                if not block:
                    break
            try:
                yield frame.decompress(block)
            except damaged as error:
                raise _Broken(f"is damaged, {LOST} ({error}); fetch or compress it again") from None
            begun, block = True, b""
            if frame.eof:
                block, frame, begun, frames = frame.unused_data, make(), False, frames + 1
    if begun:
        raise _Broken(f"ends too early, {LOST} (truncated); fetch or compress it again")


def _gzip() -> tuple[Callable[[], Any], type[Exception]]:
    return partial(zlib.decompressobj, wbits=31), zlib.error


def _zstandard() -> tuple[Callable[[], Any], type[Exception]]:
    library = optional("zstandard", "text")
    return library.ZstdDecompressor(max_window_size=2**31).decompressobj, library.ZstdError


COMPRESSIONS = {".gz": _gzip, ".zst": _zstandard}


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror}); check the file"
    return " ".join(str(error).split()) or type(error).__name__
