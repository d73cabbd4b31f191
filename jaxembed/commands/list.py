"""`jaxembed list`: the named experiments."""

from dataclasses import dataclass

from .flags import parse


@dataclass(frozen=True)
class NoFlags:
    """The named experiments, and what to expect of each."""


def run(arguments: list[str]) -> None:
    """Print the table of presets."""
    from rich.console import Console

    from ..runs.presets.named import PRESETS
    from ..tables import Table

    parse(NoFlags, arguments, prog="jaxembed list", description="List the named experiments.")
    rows = [(name, *preset.experiment.subject, preset.expect) for name, preset in PRESETS.items()]
    Console().print(Table("", ("name", "task", "model", "what to expect"), rows).rich())
