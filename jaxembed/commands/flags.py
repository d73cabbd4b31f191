"""Flags from frozen dataclasses, and one line for whatever does not fit."""

import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from difflib import get_close_matches
from typing import Any, TypeVar

import tyro

F = TypeVar("F")


def command(kind: type[F]) -> Callable[[Callable[[F, Any], None]], Callable[[list[str]], None]]:
    """Make a function of flags and console one of words, as `jaxembed NAME` calls it; NAME is the module's."""

    def of_words(do: Callable[[F, Any], None]) -> Callable[[list[str]], None]:
        def run(arguments: list[str]) -> None:
            from rich.console import Console

            do(parse(kind, arguments, prog=f"jaxembed {do.__module__.split('.')[-1]}"), Console(soft_wrap=True))

        return run

    return of_words


def known_word(word: str, known: list[str], kind: str) -> str:
    """The word, if it is known; else a suggestion.

    Raises:
        ValueError: naming the known ones.
    """
    if word in known:
        return word
    close = get_close_matches(word, known, 1, 0.4)
    meant = f"did you mean {close[0]}? " if close else ""
    raise ValueError(f"{kind}: unknown {word!r}; {meant}known: {', '.join(known)}")


def parse(settings: Any, arguments: list[str], **options: Any) -> Any:
    """What tyro parses; its boxed message about a flag that does not fit becomes one line."""
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            return tyro.cli(settings, args=arguments, **options)
    except SystemExit as stop:
        if not stop.code:
            raise
    raise ValueError(f"{_one_line(box.getvalue())}; `{options['prog']} --help` lists the flags")


def _one_line(box: str) -> str:
    parts = [""]
    for line in (line.strip("│ ").strip() for line in box.splitlines()):
        if line.startswith("─"):
            parts.append("")
        elif line and line[0] not in "╭╰":
            parts[-1] += f" {line}"
    kept = (part.strip() for part in parts if part and not part.strip().startswith("For full helptext"))
    return re.sub(r"Error parsing (?:(--\S+: )|\S+: )", r"\1", "; ".join(kept)).replace("; Perhaps", "; perhaps")
