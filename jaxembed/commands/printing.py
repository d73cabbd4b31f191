"""What all commands share: flags from frozen dataclasses, what is refused first, and what is printed and written."""

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import tyro

if TYPE_CHECKING:  # JAX is not loaded where only a committed file is shown
    from ..base import Progress
    from ..tables import Table

EVERY = 30.0
"""Seconds between two lines of progress where nobody watches a terminal."""
F = TypeVar("F")
POSITIONAL = get_args(tyro.conf.Positional[Any])[1]
"""What marks a field that stands without a flag."""


# --- flags -----------------------------------------------------------------------------------------------------------


def command(kind: type[F]) -> Callable[[Callable[[F, Any], None]], Callable[[list[str]], None]]:
    """Make a function of flags and console one of words, as `jaxembed NAME` calls it; NAME is the module's."""

    named = _named(kind)

    def of_words(do: Callable[[F, Any], None]) -> Callable[[list[str]], None]:
        def run(arguments: list[str]) -> None:
            from rich.console import Console

            do(parse(named, arguments, prog=f"jaxembed {do.__module__.split('.')[-1]}"), Console(soft_wrap=True))

        return run

    return of_words


def _named(kind: type[F]) -> type[F]:
    """The same flags; help and messages call what stands without a flag by its field, such as MODEL."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        if POSITIONAL in getattr(hint, "__metadata__", ()):
            many = " ..." if get_origin(hint.__origin__) is tuple else ""
            kind.__annotations__[name] = Annotated[hint, tyro.conf.arg(metavar=f"{name.upper()}{many}")]
    return kind


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


def check_least(command: Any, **least: int) -> None:
    """Refuse flags below their least value; None is never refused.

    Raises:
        ValueError: naming the flag.
    """
    for name, bound in least.items():
        value = getattr(command, name)
        if value is not None and value < bound:
            raise ValueError(f"--{name.replace('_', '-')}: need at least {bound}, got {value}")


def check_positive(command: Any, *names: str) -> None:
    """Refuse flags that are not above 0; None is never refused.

    Raises:
        ValueError: naming the flag.
    """
    for name in names:
        value = getattr(command, name)
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"--{name.replace('_', '-')}: need more than 0, got {value:g}")


def check_out(out: Path | None) -> None:
    """Refuse a file of tables that `report` could not write."""
    if out is not None:
        if out.suffix not in (".md", ".json"):
            raise ValueError(f"--out: '{out}' must end in .md or .json")
        check_file("out", out)


def check_file(flag: str, path: Path, *, overwrite: bool = True) -> None:
    """Refuse a file that could not be written, before any work.

    Raises:
        ValueError: naming the flag.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        raise ValueError(f"--{flag}: '{path}' is a folder; name a file")
    if path.exists() and not overwrite:
        raise ValueError(f"--{flag}: '{path}' exists; choose another name or --overwrite")
    if not path.parent.is_dir():
        raise ValueError(f"--{flag}: there is no folder '{path.parent}'; make it first")


# --- lines, tables, progress -----------------------------------------------------------------------------------------


def say(console: Any, line: str) -> None:
    """A plain line: names of files and tokens are no markup, and no names of emoji."""
    console.print(line, markup=False, emoji=False, highlight=False)


def show(console: Any, parts: "Iterable[Table | str]") -> None:
    """Print tables and lines in their order; a line that begins with "## " is a heading."""
    from ..tables import Table

    for part in parts:
        if isinstance(part, Table):
            console.print(part.rich())
        else:
            say(console, f"\n{part[3:]}" if part.startswith("## ") else part)


def report(
    console: Any, title: str, parts: "Sequence[Table | str]", out: Path | None, record: Callable[[], Any]
) -> None:
    """Write tables and lines where a file was asked for, and print them in their order.

    What the terminal cannot show never decides whether the file is written, nor the disk what is shown.

    Args:
        console: to print on.
        title: heads the markdown file.
        parts: tables and lines; a line that begins with "## " is a heading.
        out: file for all parts (.md) or for the record (.json); None writes nothing.
        record: gives the numbers.
    """
    try:
        if out is not None:
            _write(title, parts, out, record)
    finally:
        show(console, parts)
    if out is not None:
        say(console, f"written to {out}")


def _write(title: str, parts: "Sequence[Table | str]", out: Path, record: Callable[[], Any]) -> None:
    from ..keep import write_json, write_text
    from ..tables import Table

    if out.suffix == ".json":
        write_json(out.expanduser(), record())
        return
    texts = [f"{part.title}\n\n{part.markdown()}" if isinstance(part, Table) else f"{part}\n" for part in parts]
    write_text(out.expanduser(), "\n".join([f"# {title}\n", *texts]))


@contextmanager
def shown_progress(console: Any, *, remaining: bool = False) -> "Iterator[Progress]":
    """A bar with a line of text on a terminal; in a log, a line now and then.

    Args:
        console: to print on.
        remaining: whether the bar shows the time that is left, which needs shares that only grow.
    """
    if not console.is_terminal:
        yield _log(console)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, *([TimeRemainingColumn()] if remaining else []), console=console, transient=True) as bar:
        shown = bar.add_task("reading", total=None)

        def progress(text: str, share: float | None = None, /) -> None:
            bar.update(shown, description=text, completed=share, total=None if share is None else 1.0)

        yield progress


def _log(console: Any) -> "Progress":
    last = time.monotonic()

    def progress(text: str, share: float | None = None, /) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            say(console, text if share is None else f"{text}: {share:.0%}")

    return progress
