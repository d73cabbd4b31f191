"""What a file of text can look like: plain, JSON rows, table, parquet; each as rows that are a text or a problem."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ..machine import optional
from .archives import EXPANSION, LOST, Broken, chunks, is_packed
from .readers import plain_text, utf8

PARQUET, JSON, TABLES = (".parquet", ".pq"), (".jsonl", ".ndjson", ".json"), (".csv", ".tsv", ".tab")
LINE = 2**28
"""Bytes that a line of rows may have, and characters a cell of a table; a text file may be longer."""
NO_ROWS = "is empty; give a file with rows"
MARK = b"\xef\xbb\xbf"
"""A byte-order mark."""


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


def rows(path: Path, text_field: str, max_expansion: float = EXPANSION) -> Iterator[TextRow]:
    """The rows of one file in order, read in blocks; whatever cannot be read is a row with its problem."""
    kind = _kind(path)
    if kind in PARQUET:
        yield from _parquet(path, text_field)
    elif kind in JSON:
        yield from _json(path, text_field, max_expansion)
    elif kind in TABLES:
        yield from _table(path, text_field, max_expansion)
    else:
        yield _whole(path, max_expansion)


def is_text(path: Path) -> bool:
    """Whether the file is read as one text."""
    return _kind(path) not in (*PARQUET, *JSON, *TABLES)


def _kind(path: Path) -> str:
    """The ending of a file's name, under the one that says how it is compressed."""
    return (Path(path.stem) if is_packed(path) else path).suffix.lower()


def _whole(path: Path, max_expansion: float) -> TextRow:
    """A text file is one document."""
    try:
        text = plain_text(b"".join(chunks(path, max_expansion))).removeprefix("\ufeff")
    except (Broken, ValueError, OSError) as error:
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


def _json(path: Path, text_field: str, max_expansion: float) -> Iterator[TextRow]:
    """JSON lines; a `.json` file that is one array is its items, texts or objects."""
    number, anything = 0, False
    try:
        start = next(chunks(path, max_expansion), b"").removeprefix(MARK)
        if start.lstrip()[:1] == b"[" and ".json" in path.suffixes:
            yield from _array(path, text_field, max_expansion)
            return
        for number, line in enumerate(_lines(chunks(path, max_expansion)), 1):
            if line.strip():
                anything = True
                yield _line(f"{path}:{number}", line.removeprefix(MARK) if number == 1 else line, text_field)
    except (Broken, OSError) as error:
        yield TextRow(f"{path}:{number + 1}", problem=_reason(error))
    else:
        if not anything:
            yield TextRow(str(path), problem=NO_ROWS)


def _table(path: Path, text_field: str, max_expansion: float) -> Iterator[TextRow]:
    """The rows of a csv or tsv file under its headings; a quoted cell may hold line ends."""
    number, anything, lines = 0, False, _lines(chunks(path, max_expansion))
    try:
        head = plain_text(next(lines, b"")).removeprefix("\ufeff")
        delimiters = "\t" if _kind(path) != ".csv" else ",;\t"
        fits = (d for d in delimiters if text_field in next(csv.reader([head], delimiter=d), ()))
        texts = (line.decode(errors="surrogateescape") + "\n" for line in chain([head.encode()], lines))
        records = _records(csv.reader(texts, delimiter=next(fits, delimiters[0]), strict=True))
        number, names = next(records, (1, []))
        problem = names if isinstance(names, str) else _unfit(names, text_field)
        if isinstance(names, str) or problem:
            yield TextRow(str(path), problem=problem)
            return
        for number, cells in records:
            anything, place = True, f"{path}:{number}"
            yield TextRow(place, problem=cells) if isinstance(cells, str) else _under(names, cells, place, text_field)
    except (Broken, ValueError, OSError) as error:
        yield TextRow(f"{path}:{number + 1}", problem=_reason(error))
    else:
        if not anything:
            yield TextRow(str(path), problem=NO_ROWS)


def _records(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """The first line of every record with its cells, or with what is wrong with it."""
    while True:
        number, limit = reader.line_num + 1, csv.field_size_limit(LINE)
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield number, f"is no row of a table ({error}); mend its quotation marks or skip it"
            continue
        finally:
            csv.field_size_limit(limit)  # of the whole process
        if cells is None:
            return
        if cells:
            yield number, cells


def _under(names: list[str], cells: list[str], place: str, text_field: str) -> TextRow:
    """The text of a row; where a comma is not quoted, its cells do not fit the headings."""
    if len(cells) != len(names):
        return TextRow(place, problem=f"has not one cell for each heading ({len(cells)} for {len(names)}); quote cells")
    return _cell(place, {text_field: cells[names.index(text_field)].encode(errors="surrogateescape")}, text_field)


def _unfit(names: list[str], text_field: str) -> str | None:
    """Why a table has not one column of texts."""
    if names.count(text_field) > 1:
        return f"has {names.count(text_field)} columns '{text_field}'; rename all but one, or name another"
    there = ", ".join(names[:8]) or "none"
    problem = f"has no column '{text_field}' (columns: {there}); name the column that holds the text"
    return None if names.count(text_field) else problem


def _line(place: str, line: bytes, text_field: str) -> TextRow:
    try:
        return fields(place, json.loads(utf8(line)), text_field)
    except (ValueError, RecursionError) as error:
        return TextRow(place, problem=_not_json(error))


def _not_json(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON ({error.msg} at column {error.colno}); mend the row or skip it"
    return str(error) if str(error).startswith("is not UTF-8") else f"is not JSON ({error}); mend the row or skip it"


def _array(path: Path, text_field: str, max_expansion: float) -> Iterator[TextRow]:
    try:
        items = json.loads(utf8(b"".join(chunks(path, max_expansion)).removeprefix(MARK)))
    except (Broken, OSError) as error:
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
            if problem := _unfit(names, text_field):
                yield TextRow(str(path), problem=problem)
                return
            wanted = [name for name in (text_field, "meta") if name in names]
            begun = 0
            for group in range(file.num_row_groups):
                yield from _row_group(path, file, group, begun, wanted, text_field)
                begun += file.metadata.row_group(group).num_rows
            if not begun:
                yield TextRow(str(path), problem=NO_ROWS)
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


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without their end, in time linear in the length of the longest; a last one may lack its end."""
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        first, *others = piece.split(b"\n")
        parts.append(first)
        size += len(first)
        for other in others:
            yield b"".join(parts)
            parts, size = [other], len(other)
        if size > LINE:
            raise Broken(f"is longer than {LINE // 2**20} MiB, {LOST}; end lines with line feeds, or cut the text")
    if any(parts):
        yield b"".join(parts)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror}); check the file"
    return " ".join(str(error).split()) or type(error).__name__
