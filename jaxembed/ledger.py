"""The ledger: every published claim that a study speaks to, our number with null and ceiling, and a verdict.

A row is a study's evidence, the same object that decides the exit code of its figure script and its test.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from .base import Progress, silent
from .claims import CHECKOUT, NOT_RUN, LedgerRow, code_digest, merged, read_ledger
from .keep import kept_json, plain, to_json, write_json
from .machine import record
from .studies import REGISTRY, Evidence, Size, Study, study, verdict
from .tables import Table


def rows_of(
    chosen: Study[Any, Any],
    size: Size,
    *,
    place: str = "",
    seeds: int | None = None,
    keep: Path | None = None,
    progress: Progress = silent,
) -> list[LedgerRow]:
    """Run a study and give a row for each of its claims, those it cannot speak to at this size as "not run".

    Args:
        chosen: one of ours, or a user's own.
        size: of the study.
        place: of one of ours in the registry, by which its rows know whether the code has changed since.
        seeds: how many; None takes the study's own number.
        keep: a folder; what it finished is not run again, neither its pieces nor, for one of ours, its rows.
        progress: takes lines on how far it is.

    Raises:
        ValueError: as `Study.result`; for evidence whose id the study does not name.
    """

    def run() -> list[dict[str, Any]]:
        began = time.perf_counter()
        rows = chosen.evidence(chosen.result(size, seeds=seeds, keep=keep, progress=progress))
        unknown = [row.id for row in rows if row.id not in chosen.ids]
        if unknown:
            raise ValueError(f"ids: {chosen.name} does not name {', '.join(unknown)}; add them to its ids")
        shared = _provenance(chosen, size, place or chosen.name, code)
        shared |= {"seconds": round(time.perf_counter() - began, 1), "seeds": seeds or chosen.seeds[size]}
        return [_row(chosen, row, size) | shared for row in rows]

    code = code_digest(f"jaxembed.studies.{place}") if place else ""
    identity = [code, size, seeds, plain(chosen.settings.get(size))]
    made = to_json(kept_json(keep if code else None, "rows", identity, run))
    rows = [LedgerRow(**row) for row in made]
    there = {row.id for row in rows}
    return rows + [_not_run(chosen, name, place, size) for name in chosen.ids if name not in there]


def ledger(
    names: Sequence[str] = (),
    *,
    size: Size | None = None,
    full: bool = False,
    studies: Sequence[Study[Any, Any]] | None = None,
    keep: Path | None = None,
    progress: Progress = silent,
) -> Iterator[LedgerRow]:
    """Run the studies one after the other and yield a row for each claim.

    Args:
        names: of claims or studies, whose studies run; none is every study. A study whose needs are not met, or that
            has no such size, has its claims as "not run"; where it is named, that is an error.
        size: at which they run; None is the quick place of a study in the ledger, or, where it is named and has no such
            place, the size of its script.
        full: at the size of its script.
        studies: other studies than the registered ones, such as one's own.
        keep: a folder for what is finished, a subfolder for each study.
        progress: takes lines on how far it is.

    Raises:
        ValueError: for an unknown name, listing the known ones; for both `size` and `full`.
    """
    if size and full:
        raise ValueError("full: is the size of each study's script; take size, or full")
    every = [(place, study(place)) for place in REGISTRY] if studies is None else [("", one) for one in studies]
    known = [name for _, one in every for name in (one.name, *one.ids)]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"id: unknown claim {unknown[0]!r}; known: {', '.join(known)}")
    for place, chosen in every:
        if names and not {chosen.name, *chosen.ids} & set(names):
            continue
        at = size or (chosen.default if full or (names and chosen.ledger is None) else chosen.ledger)
        why = "" if names else _unmet(chosen, at)
        if at is None or why:
            yield from (_not_run(chosen, name, place, at, why) for name in chosen.ids)
            continue
        progress(f"{chosen.name} at size {at} ({chosen.takes.get(at, 'no such size')})")
        yield from rows_of(
            chosen, at, place=place, keep=None if keep is None else keep / chosen.name, progress=progress
        )


def listing() -> Table:
    """Every claim with its study, and how long that takes by size on two cores."""
    every = [(one, "; ".join(f"{size} {one.takes[size]}" for size in one.settings)) for one in map(study, REGISTRY)]
    rows = [(name, one.name, sizes) for one, sizes in every for name in one.ids]
    return Table("claims", ("claim", "study", "sizes, time on two cores"), rows)


def every_claim() -> list[LedgerRow]:
    """A row for every claim of every registered study, none of them run."""
    return [_not_run(study(place), name, place) for place in REGISTRY for name in study(place).ids]


def with_claims(rows: Sequence[LedgerRow], written: Sequence[LedgerRow]) -> list[LedgerRow]:
    """Rows that were not run say what they claim, in the words of a ledger that knows them."""
    words = {row.id: row.claim for row in written if row.verdict != NOT_RUN}
    return [replace(row, claim=words.get(row.id, row.claim)) if row.verdict == NOT_RUN else row for row in rows]


def run_claims(names: Sequence[str] = (), *, write: Path | None = None, **options: Any) -> list[LedgerRow]:
    """Run studies, and bring the rows of each into a written ledger as soon as it is finished.

    Args:
        names: as of `ledger`.
        write: a ledger, such as the committed one; of every claim it keeps the row of the largest size.
        options: as of `ledger`.

    Raises:
        ValueError: as `ledger`; for a `write` whose folder is not there; without float64.
    """
    if write is not None and not write.parent.is_dir():
        raise ValueError(f"write: the folder {write.parent} does not exist; make it or name another file")
    if jnp.zeros((), float).dtype != jnp.float64:
        raise ValueError('dtype: the ledger needs float64; call jax.config.update("jax_enable_x64", True) first')
    written = read_ledger(write or CHECKOUT) if (write or CHECKOUT).is_file() else []
    every, rows = every_claim() if write else [], []
    for row in ledger(names, **options):
        rows += with_claims([row], written)
        if write is not None:
            kept = merged(every, [*written, *rows], [one.id for one in every])
            write_json(write, [one.record() for one in kept])
    return rows


def _row(chosen: Study[Any, Any], row: Evidence, size: Size) -> dict[str, Any]:
    bound, null = row.bound, row.null
    return {
        "id": row.id,
        "claim": row.claim,
        "source": row.source or chosen.source,
        "published": row.published,
        "ours": row.got(),
        "bound": str(bound),
        "kind": bound.kind,
        "asked": {"least": bound.least, "most": bound.most, "strict": bound.strict, "source": bound.source},
        "null": row.null_text(),
        "ceiling": row.ceiling,
        "varied": row.varied,
        "values": [float(x) for x in row.values],
        "interval": None if row.single else list(row.ends),
        "null_values": None if null is None else [float(x) for x in null.ravel()],
        "null_interval": None if null is None or null.size == 1 else list(row.null_ends or ()),
        "verdict": verdict(row, size),
    }


def _provenance(chosen: Study[Any, Any], size: Size, place: str, code: str) -> dict[str, Any]:
    made = record()
    return {
        "study": place,
        "size": size,
        "smaller": "" if size == "published" else chosen.smaller[size],
        "takes": chosen.takes[size],
        "date": made["date"],
        "commit": made["git"],
        "device": made["device"],
        "versions": {"python": made["python"], **made["versions"]},
        "code": code,
    }


def _unmet(chosen: Study[Any, Any], size: Size | None) -> str:
    """What a study needs and does not have, in one line; one of them must not end all others."""
    try:
        if size is not None:
            chosen.check_size(size)
            chosen.check_needs(size)
    except ValueError as error:
        return str(error)
    return ""


def _not_run(chosen: Study[Any, Any], name: str, place: str = "", size: Size | None = None, why: str = "") -> LedgerRow:
    takes = f"size {chosen.largest}, {chosen.takes[chosen.largest]}"
    beyond = f"{NOT_RUN}: size {size} cannot speak to it; {takes}"
    ours = f"{NOT_RUN}: {why or takes}" if why or size is None else beyond
    claim = f"a claim of the study {chosen.name}"
    return LedgerRow(name, claim, place or chosen.name, chosen.source, ours=ours, size=size or "", takes=takes)
