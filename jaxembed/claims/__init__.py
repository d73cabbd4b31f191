"""The ledger: every published claim covered so far, its number, ours with interval, null and ceiling, and a verdict.

A claim names the study that measures it; figure scripts and notebooks call the same studies, so one place computes a
claim. To add one, write a row in a file of this room; a new file is named in the import and in `_FILES`.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .evidence import Claim as Claim
from .evidence import Evidence as Evidence
from .evidence import Row as Row
from .evidence import printed, row_of
from .evidence import verdict as verdict

_FILES: tuple[Any, ...] = ()

CLAIMS: tuple[Claim, ...] = tuple(claim for file in _FILES for claim in file.CLAIMS)
STUDIES: dict[str, Callable[[bool], Any]] = {name: study for file in _FILES for name, study in file.STUDIES.items()}
"""By name: `study(full)` carries the study of its claims out, quick or full."""


def ledger(full: bool = False, only: str | None = None) -> Iterator[Row]:
    """Carry out the claims, a study once for all its claims, and yield a row as each is decided.

    Args:
        full: more seeds, and the claims too long for the quick set.
        only: the id of one claim.

    Raises:
        ValueError: for an unknown id, listing the known ones.
    """
    chosen = [claim for claim in CLAIMS if (claim.id == only if only else full or not claim.full)]
    if not chosen:
        raise ValueError(f"id: unknown claim {only!r}; known: {', '.join(claim.id for claim in CLAIMS)}")
    results: dict[str, Any] = {}
    for claim in chosen:
        began = time.perf_counter()
        if claim.study not in results:
            results[claim.study] = STUDIES[claim.study](full or claim.full)
        evidence = claim.measure(results[claim.study])
        yield row_of(claim, evidence, time.perf_counter() - began)


def print_ledger(full: bool = False, only: str | None = None, json_file: Path | None = None) -> None:
    """Print the ledger row by row, and write it as json where a file is named."""
    import jax
    from rich.console import Console

    if json_file is not None and json_file.parent and not json_file.parent.is_dir():
        raise ValueError(f"json: the folder {json_file.parent} does not exist; make it or name another file")
    jax.config.update("jax_enable_x64", True)
    console, rows = Console(), []
    with console.status("carrying out the studies") as status:
        for row in ledger(full, only):
            status.update(f"{row.id}: {row.verdict} ({row.seconds:.0f} s)")
            rows.append(row)
    console.print(printed(rows))
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
