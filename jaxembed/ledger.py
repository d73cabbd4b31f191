"""The ledger: every published claim that a study speaks to, our number with null and ceiling, and a verdict.

A row is a study's evidence, the same object that decides the exit code of its figure script and its test.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from .base import Progress, silent
from .keep import write_json
from .studies import REGISTRY, Evidence, Size, Study, study, verdict
from .tables import Table


@dataclass(frozen=True)
class LedgerRow:
    """One claim.

    Attributes:
        id: of the claim.
        claim: in words.
        source: key of the bibliography.
        published: the published number in words.
        ours: our number with its interval.
        bound: what is asked, its kind and where it comes from.
        kind: of the bound: "paper", "expectation" or "machinery".
        size: at which the study ran.
        smaller: what was smaller than published; "" at the published size.
        null: the control's number, or why there is none.
        ceiling: the best possible value in words.
        verdict: see `studies.verdict`, or "not run".
        seconds: that the study took, for all its claims.
        values: `[seed]`, as numbers.
    """

    id: str
    claim: str
    source: str
    published: str
    ours: str
    bound: str
    kind: str
    size: str
    smaller: str
    null: str
    ceiling: str
    verdict: str
    seconds: float
    values: list[float]


def rows_of(chosen: Study[Any, Any], size: Size, **options: Any) -> list[LedgerRow]:
    """Run a study and give a row for each of its claims, those it cannot speak to at this size as "not run".

    Args:
        chosen: one of ours, or a user's own.
        size: of the study.
        options: `seeds`, `keep` and `progress` of `Study.result`.

    Raises:
        ValueError: as `Study.result`; for evidence whose id the study does not name.
    """
    began = time.perf_counter()
    rows = chosen.evidence(chosen.result(size, **options))
    seconds = round(time.perf_counter() - began, 1)
    unknown = [row.id for row in rows if row.id not in chosen.ids]
    if unknown:
        raise ValueError(f"ids: {chosen.name} does not name {', '.join(unknown)}; add them to its ids")
    there = {row.id for row in rows}
    missing = [_not_run(chosen, name, size) for name in chosen.ids if name not in there]
    return [_row(chosen, row, size, seconds) for row in rows] + missing


def ledger(
    full: bool = False,
    only: str | None = None,
    *,
    studies: Sequence[Study[Any, Any]] | None = None,
    keep: Path | None = None,
    progress: Progress = silent,
) -> Iterator[LedgerRow]:
    """Run the studies one after the other and yield a row for each claim.

    Args:
        full: every study at the size of its script; otherwise those with a quick place in the ledger, at that size.
            A study whose needs are not met has its claims as "not run".
        only: the id of one claim, whose study runs at its quick place, or at the size of its script where it has none.
        studies: other studies than the registered ones, such as one's own.
        keep: a folder for finished pieces, a subfolder for each study.
        progress: takes lines on how far it is.

    Raises:
        ValueError: for an unknown id, listing the known ones.
    """
    every = [study(name) for name in REGISTRY] if studies is None else list(studies)
    known = [name for one in every for name in one.ids]
    if only is not None and only not in known:
        raise ValueError(f"id: unknown claim {only!r}; known: {', '.join(known)}")
    for chosen in every:
        if only is not None and only not in chosen.ids:
            continue
        size = chosen.default if full or (only and chosen.ledger is None) else chosen.ledger
        if size is None:
            continue
        if only is None and (unmet := _unmet(chosen, size)):
            yield from (_not_run(chosen, name, size, unmet) for name in chosen.ids)
            continue
        progress(f"{chosen.name} at size {size} ({chosen.takes[size]})")
        folder = None if keep is None else keep / chosen.name
        for row in rows_of(chosen, size, keep=folder, progress=progress):
            if only is None or row.id == only:
                yield row


def print_ledger(full: bool = False, only: str | None = None, json_file: Path | None = None) -> None:
    """Print the ledger row by row, and write it as JSON where a file is named.

    Raises:
        ValueError: for an unknown id, or a file whose folder is not there.
    """
    from rich.console import Console

    if json_file is not None and json_file.parent and not json_file.parent.is_dir():
        raise ValueError(f"json: the folder {json_file.parent} does not exist; make it or name another file")
    if jnp.zeros((), float).dtype != jnp.float64:
        raise ValueError('dtype: the ledger needs float64; call jax.config.update("jax_enable_x64", True) first')
    console, rows = Console(), []
    with console.status("running the studies") as status:
        for row in ledger(full, only, progress=lambda text, share=None: status.update(text)):
            rows.append(row)
    console.print(ledger_table(rows).rich())
    if json_file is not None:
        write_json(json_file, [asdict(row) for row in rows])


def ledger_table(rows: Sequence[LedgerRow]) -> Table:
    """A table that is legible at 80 columns: one claim below the other, its numbers line by line."""
    told = []
    for row in rows:
        smaller = f" ({row.smaller})" if row.smaller else ""
        lines = [f"{row.id}: {row.claim}", f"published: {row.published or '-'} ({row.source})", f"ours: {row.ours}"]
        lines += [f"asked: {row.bound}", f"null: {row.null}", f"ceiling: {row.ceiling or '-'}"]
        lines.append(f"size {row.size}{smaller}; {row.seconds:.0f} s")
        told.append((row.verdict, "\n".join(lines)))
    note = f"jax {jax.__version__}, {jax.devices()[0].device_kind}"
    return Table("claims: published and measured", ("verdict", "claim"), told, note)


def _row(chosen: Study[Any, Any], row: Evidence, size: Size, seconds: float) -> LedgerRow:
    return LedgerRow(
        id=row.id,
        claim=row.claim,
        source=row.source or chosen.source,
        published=row.published,
        ours=row.got(),
        bound=str(row.bound),
        kind=row.bound.kind,
        size=size,
        smaller="" if size == "published" else chosen.smaller[size],
        null=row.null_text(),
        ceiling=row.ceiling,
        verdict=verdict(row, size),
        seconds=seconds,
        values=[float(x) for x in row.values],
    )


def _unmet(chosen: Study[Any, Any], size: Size) -> str:
    """What a study needs and does not have, in one line; one of them must not end all others."""
    try:
        chosen.check_needs(size)
    except ValueError as error:
        return str(error)
    return ""


def _not_run(chosen: Study[Any, Any], name: str, size: Size, why: str = "") -> LedgerRow:
    takes = why or f"size {chosen.largest}, {chosen.takes[chosen.largest]}"
    smaller = "" if size == "published" else chosen.smaller[size]
    return LedgerRow(
        name, "", chosen.source, "", f"not run; {takes}", "", "", size, smaller, "", "", "not run", 0.0, []
    )
