"""`jaxembed claims`: the ledger of published claims."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .flags import command


@dataclass(frozen=True)
class ClaimsFlags:
    """Run the studies behind every published claim and print the ledger."""

    full: bool = False
    """Every study at the size of its figure script (hours), not only the quick set (ten minutes on two idle cores)."""
    id: str | None = None
    """Only this claim."""
    json: Path | None = None
    """Write the ledger to this file too."""


@command(ClaimsFlags)
def run(flags: ClaimsFlags, console: Any) -> None:
    """Print the ledger."""
    import jax

    from ..ledger import print_ledger

    jax.config.update("jax_enable_x64", True)
    print_ledger(full=flags.full, only=flags.id, json_file=flags.json)
