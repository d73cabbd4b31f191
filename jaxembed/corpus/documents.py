"""Documents out of files, folders and data sets; what cannot be read is counted and named, never dropped in silence."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from .archives import EXPANSION
from .formats import TextRow, rows
from .hub import PREFIX, hub_rows

KEPT_PLACES = 100
"""Damaged rows that are named one by one; all are counted."""

Source = Path | str | TextRow
"""A file, a data set of the hub, or what was found in a folder and is neither a file nor a folder."""


@dataclass(frozen=True)
class Document:
    """One text.

    Attributes:
        text: as it stands in its file, less a byte-order mark.
        source: "file:line", or "file" for a text file, which is one document.
        subset: The Pile's `meta.pile_set_name`, where there is one.
    """

    text: str
    source: str
    subset: str | None = None


@dataclass
class Damage:
    """Rows that were skipped.

    Attributes:
        places: (place, what is wrong) of the first ones; rows that are lost together are one place.
        kinds: how many of each kind.

    >>> damage = Damage()
    >>> damage.add("a.jsonl:3", "is not JSON (Expecting value at column 9); mend the row or skip it")
    >>> print(damage)
    1 row skipped; 1 is not JSON, first a.jsonl:3
    """

    places: list[tuple[str, str]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    _first: dict[str, str] = field(default_factory=dict)

    def add(self, place: str, problem: str, count: int = 1) -> None:
        """Count one more row, or `count` that are lost together from this place on."""
        kind = problem.split(";")[0].split(" (")[0]
        self.kinds[kind] += count
        self._first.setdefault(kind, place)
        if len(self.places) < KEPT_PLACES:
            self.places.append((place, problem.split(";")[0]))

    def __len__(self) -> int:
        return self.kinds.total()

    def table(self) -> list[tuple[str, int, str]]:
        """(what is wrong, how often, where first), most frequent first."""
        return [(kind, count, self._first[kind]) for kind, count in self.kinds.most_common()]

    def summary(self) -> dict[str, Any]:
        """What a record keeps: the counts, and the places of the first rows."""
        return {"skipped": len(self), "kinds": dict(self.kinds.most_common()), "places": [list(p) for p in self.places]}

    def __str__(self) -> str:
        parts = [f"{count} {kind}, first {place}" for kind, count, place in self.table()]
        return "; ".join([f"{len(self)} row{'' if len(self) == 1 else 's'} skipped", *parts])


def documents(
    paths: str | PathLike[str] | Iterable[str | PathLike[str]],
    *,
    subset: str | None = None,
    on_error: str = "stop",
    damage: Damage | None = None,
    text_field: str = "text",
    max_expansion: float = EXPANSION,
) -> Iterator[Document]:
    """The documents of files, folders and data sets, one after the other; memory holds one document at a time.

    `.jsonl` and `.json` (rows with a text field, The Pile's own format), `.parquet`, `.csv` and `.tsv` (rows with a
    text column), and everything else as one text; `.gz`, `.zst`, `.xz` and `.bz2` of all but parquet. A folder means
    its files in sorted order, with its subfolders, less hidden ones (whose names begin with a dot); linked folders are
    entered, and a link to nothing is a damaged row.
    `hub:OWNER/NAME[/CONFIG][:SPLIT]` streams a data set of the Hugging Face hub.

    Args:
        paths: one or more.
        subset: keep rows whose `meta.pile_set_name` this is.
        on_error: "stop" at a damaged row, or "skip" and count it.
        damage: where skipped rows are counted.
        text_field: field or column that holds the text.
        max_expansion: how many times its size a compressed file may become; 64 MiB it always may.

    Raises:
        ValueError: at once for a path that does not exist, is a pipe or a device, or holds no file or a folder that may
            not be read; while reading for a damaged row, and at the end for a subset that did not occur, with those
            that did.
    """
    if on_error not in ("stop", "skip"):
        raise ValueError(f"on_error: '{on_error}' is not known; choose stop or skip")
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    if not given:
        raise ValueError("paths: nothing to read; name a file, a folder or hub:OWNER/NAME")
    sources = [source for path in given for source in _sources(path)]
    return _read(sources, subset, on_error == "stop", Damage() if damage is None else damage, text_field, max_expansion)


def sources_of(paths: Iterable[str | PathLike[str]]) -> list[Path]:
    """The files that `documents` would read from these paths."""
    return [source for path in paths for source in _sources(path) if isinstance(source, Path)]


def _sources(path: str | PathLike[str]) -> list[Source]:
    if isinstance(path, str) and path.startswith(PREFIX):
        return [path]
    path = Path(path).expanduser()
    if path.is_dir():
        return _files(path)
    if not path.exists():
        raise ValueError(f"paths: '{path}' does not exist; check the path")
    if not path.is_file():
        raise ValueError(f"paths: '{path}' is a pipe or a device; write what it gives to a file and name that")
    return [path]


def _files(folder: Path) -> list[Source]:
    if (folder / "corpus.json").exists():
        raise ValueError(f"paths: '{folder}' is an encoded corpus already; give the text it was made of")
    files = sorted(_inside(folder), key=lambda path: path.relative_to(folder).parts)
    if not files:
        raise ValueError(f"paths: '{folder}' holds no file to read; give a folder of text files")
    return [path if os.path.isfile(path) else _no_file(path) for path in files]


def _inside(folder: Path) -> Iterator[Path]:
    """All but folders; links to folders are followed, unless to one they lie in, which is being read already."""
    above = {str(folder): {os.path.realpath(folder)}}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        real = {name: os.path.realpath(os.path.join(place, name)) for name in folders if not name.startswith(".")}
        folders[:] = [name for name in real if real[name] not in above[place]]
        above |= {os.path.join(place, name): above[place] | {real[name]} for name in folders}
        yield from (Path(place, name) for name in files if not name.startswith("."))


def _unreadable(error: OSError) -> None:
    raise ValueError(f"paths: '{error.filename}' cannot be read ({error.strerror}); allow it or move it away")


def _no_file(path: Path) -> TextRow:
    return TextRow(str(path), problem="is no file (a link to nothing, a pipe or a socket); mend or remove it")


def _read(
    sources: list[Source], subset: str | None, stop: bool, damage: Damage, field: str, max_expansion: float
) -> Iterator[Document]:
    seen: Counter[str | None] = Counter()
    for row in _rows(sources, field, max_expansion):
        if row.problem is not None or row.text is None:
            _meet(row, stop, damage)
            continue
        seen[row.subset] += 1
        if subset is None or row.subset == subset:
            yield Document(row.text, row.place, row.subset)
    if subset is not None and subset not in seen:
        named = ", ".join(sorted(name for name in seen if name is not None)) or "none"
        raise ValueError(f"subset: no document of '{subset}'; found: {named} ({seen[None]} documents name no subset)")


def _rows(sources: list[Source], text_field: str, max_expansion: float) -> Iterator[TextRow]:
    for source in sources:
        if isinstance(source, TextRow):
            yield source
        elif isinstance(source, Path):
            yield from rows(source, text_field, max_expansion)
        else:
            yield from hub_rows(source, text_field)


def _meet(row: TextRow, stop: bool, damage: Damage) -> None:
    if stop:
        raise ValueError(f"{row.place}: {row.problem} (on-error skip would count it and go on)")
    damage.add(row.place, row.problem or "", row.count)
