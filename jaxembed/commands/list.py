"""`jaxembed list`: the named experiments."""

from dataclasses import dataclass
from typing import Any

from .printing import command, show


@dataclass(frozen=True)
class ListFlags:
    """The named experiments, and what to expect of each."""


@command(ListFlags)
def run(flags: ListFlags, console: Any) -> None:
    """Print the table of presets."""
    from ..runs.presets.named import PRESETS
    from ..tables import Table

    rows = [(name, f"{', '.join(preset.experiment.subject)}: {preset.expect}") for name, preset in PRESETS.items()]
    show(console, [Table("", ("name", "task, model: what to expect"), rows)])
