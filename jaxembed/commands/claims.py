"""`jaxembed claims`: the ledger of published claims."""

from dataclasses import dataclass
from pathlib import Path

from .flags import parse


@dataclass(frozen=True)
class Claims:
    """Run the studies behind every published claim and print the ledger."""

    full: bool = False
    """Also the claims that are too long for the quick set, which takes about ten minutes on two idle cores."""
    id: str | None = None
    """Only this claim."""
    json: Path | None = None
    """Write the ledger to this file too."""


def run(arguments: list[str]) -> None:
    """Print the ledger."""
    import jax

    from ..ledger import print_ledger

    command = parse(Claims, arguments, prog="jaxembed claims")
    jax.config.update("jax_enable_x64", True)
    print_ledger(full=command.full, only=command.id, json_file=command.json)
