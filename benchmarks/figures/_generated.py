"""What figure scripts of generated sequences share: their arguments, and a table that says how it was made."""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import jax
from _drawing import markdown
from common import KEEP, arguments

PLACES = ("--out", "--keep")


def study_arguments(description: str) -> argparse.Namespace:
    """`--size tiny|normal|full`, `--out FOLDER`, and `--keep FOLDER`, from which a killed run goes on.

    The namespace also holds `study`, the study's name of the size, `command`, as it was given but for folders, and
    `suffix`, which ends every written name so that the full size leaves the committed quick results alone.
    """
    options = [value for i, value in enumerate(sys.argv) if i and value not in PLACES and sys.argv[i - 1] not in PLACES]
    args = arguments(description, ("tiny", "normal", "full"), keep=KEEP)
    args.study = "quick" if args.size == "normal" else args.size
    args.suffix = "_full" if args.size == "full" else ""
    args.command = " ".join(["python", f"benchmarks/figures/{Path(sys.argv[0]).name}", *options])
    return args


def stamped_markdown(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], command: str, note: str) -> None:
    """Write a table under a line with date, device, command and a note."""
    markdown(path, header, rows)
    stamp = f"{date.today().isoformat()}, {jax.devices()[0].device_kind}, jax {jax.__version__}, `{command}`; {note}"
    path.write_text(f"{stamp}\n\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def note_on(study: str, seeds: int, setting: Any) -> str:
    """Size, seeds, items and training of a setting, in words."""
    return f"{study}, {seeds} seeds, {_training_of(setting)}"


def notes_on(study: str, seeds: int, settings: dict[str, Any]) -> str:
    """The same of several settings by name, a clause for those that agree."""
    alike: dict[str, list[str]] = {}
    for name, setting in settings.items():
        alike.setdefault(_training_of(setting), []).append(name)
    return "; ".join([f"{study}, {seeds} seeds", *(f"{', '.join(names)}: {text}" for text, names in alike.items())])


def _training_of(setting: Any) -> str:
    recipe, size = setting.recipe, setting.process.size
    items = f"{size} words" if setting.process.reads == "tokens" else f"{size} dimension{'s' if size > 1 else ''}"
    trained = f"{recipe.steps} steps of {recipe.batch} sequences of {recipe.length}"
    return f"{items}, width {recipe.model.width}, {recipe.model.layers} layers, {trained}"
