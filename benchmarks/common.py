"""What every figure and speed script shares: its arguments, its table of asked against got, its exit code."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from jaxembed.studies.check import Check

FIGURES = Path(__file__).parent / "results"


KEEP: dict[str, Any] = {"type": Path, "help": "folder of what a run has finished, from which a killed one goes on"}


def arguments(
    description: str, sizes: Sequence[str] = ("tiny", "normal"), **own: Mapping[str, Any]
) -> argparse.Namespace:
    """`--size`, `--out FOLDER` and the script's own; float64 is switched on for the process.

    Args:
        description: one line.
        sizes: that may be chosen.
        own: by option, what `add_argument` takes for it.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--size", choices=sizes, default="normal", help="tiny runs the path in seconds")
    parser.add_argument("--out", type=Path, default=FIGURES, help="folder for figures and tables")
    for name, told in own.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **told)
    jax.config.update("jax_enable_x64", True)
    return parser.parse_args()


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], width: int = 160) -> None:
    """Print a study's table."""
    table = Table(title=title)
    for column in header:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    Console(width=width).print(table)


def finish(title: str, checks: Sequence[Check]) -> None:
    """Print every figure with what was asked and leave with 1 where one falls short."""
    table = Table(title=f"{title} (jax {jax.__version__}, {jax.devices()[0].device_kind})")
    for column in ("figure", "asked", "got", ""):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.name, check.asked, check.got, "ok" if check.passed else "SHORT")
    Console(width=160).print(table)
    short = [check.name for check in checks if not check.passed]
    if short:
        print(f"{len(short)} of {len(checks)} figures fall short: {'; '.join(short)}", file=sys.stderr)
    raise SystemExit(1 if short else 0)
