"""`jaxembed claims`: the ledger of published claims."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..claims import CHECKOUT, LedgerRow, committed, read_ledger, summary_of, text_of
from .printing import command


@dataclass(frozen=True)
class ClaimsFlags:
    """Print the committed ledger: published claims, our numbers with null and interval, a verdict; or run studies.

    Without flags, at once, what was run and committed; a row whose code has changed since says "stale".
    """

    run: tuple[str, ...] | None = None
    """Run the studies of these claims (ids, or names of studies), or, with none named, of all."""
    size: Literal["tiny", "quick", "published"] | None = None
    """Run at this size; unless given, at each study's quick place (ten minutes in all on two idle cores)."""
    full: bool = False
    """Run every study at the size of its figure script (hours)."""
    keep: Path | None = None
    """Folder of what is finished, from which a stopped run goes on."""
    write: bool = False
    """Bring the rows into the committed ledger; of every claim it keeps the row of the largest size."""
    list: bool = False
    """List the claims with their study, its sizes and how long they take."""
    json: Path | None = None
    """Write the printed rows to this file too."""
    id: str | None = None
    """The earlier name of --run ID."""


@command(ClaimsFlags)
def run(flags: ClaimsFlags, console: Any) -> None:
    """Print the ledger, of the committed file or of what is run now."""
    flags = _now(flags)
    if flags.json is not None and not flags.json.parent.is_dir():
        raise ValueError(f"json: the folder {flags.json.parent} does not exist; make it or name another file")
    if flags.list:
        from ..ledger import listing

        console.print(listing().rich())
        return
    if flags.run is None:
        if flags.keep or flags.write:
            raise ValueError("run: --keep and --write belong to a run; add --run")
        rows = read_ledger(committed())
    else:
        rows = _run(flags, console)
    for row in rows:
        console.out(text_of(row), highlight=False)
    console.out(summary_of(rows), highlight=False)
    if flags.json is not None:
        from ..keep import write_json

        write_json(flags.json, [row.record() for row in rows])
    failed = [row.id for row in rows if row.kind == "machinery" and row.verdict not in ("holds", "not run")]
    if failed and flags.run is not None:
        console.out(f"the machinery fails: {', '.join(failed)}", highlight=False)
        raise SystemExit(1)


def _now(flags: ClaimsFlags) -> ClaimsFlags:
    """Flags as they are called now; the earlier ones run studies without --run."""
    if flags.id is not None:
        print(f"--id {flags.id} is called --run {flags.id} now", file=sys.stderr)
        return replace(flags, run=(*(flags.run or ()), flags.id))
    if flags.run is None and (flags.full or flags.size):
        print("to run studies is called --run now; --run is taken as given", file=sys.stderr)
        return replace(flags, run=())
    return flags


def _run(flags: ClaimsFlags, console: Any) -> list[LedgerRow]:
    import jax

    from ..ledger import run_claims

    if flags.write and not CHECKOUT.parent.is_dir():
        raise ValueError("write: this is no checkout, which holds the committed ledger; name a file with --json")
    jax.config.update("jax_enable_x64", True)
    names = flags.run or ()
    with console.status("running the studies") as status:
        rows = run_claims(
            names,
            size=flags.size,
            full=flags.full,
            keep=flags.keep,
            write=CHECKOUT if flags.write else None,
            progress=lambda text, share=None: status.update(text),
        )
    by_name = [row for row in rows if not names or {row.id, row.study.rsplit(".", 1)[-1]} & set(names)]
    return by_name or rows
