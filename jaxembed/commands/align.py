"""`jaxembed align`: do a model's embeddings follow a text's signatures?"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..keep import to_json
from ..machine import GIB, cores
from .flags import parse

if TYPE_CHECKING:
    from ..analysis.alignment import ModelAlignment
    from ..analysis.foreign import Progress, TextSignatures, TokenTables
    from ..corpus import EncodedCorpus, Tokenizer


@dataclass(frozen=True)
class Align:
    """Agreement of a model's embeddings with next-token signatures, of its unembeddings with previous-token ones."""

    model: tyro.conf.Positional[str]
    """Hugging Face folder (safetensors), run folder of jaxembed pretrain, or hub:OWNER/NAME."""
    corpus: tyro.conf.Positional[Path]
    """Folder of an encoded corpus, or text (file or folder), encoded now by the model's own tokenizer."""
    tokens: int | None = 1000
    """The most frequent tokens of the corpus; None for all that occur."""
    window: int = 1
    """Neighbours up to this distance make the signatures."""
    subset: str | None = None
    """Only documents whose meta.pile_set_name this is."""
    permutations: int = 199
    """Relabellings behind each null; 199 resolve p = 0.005."""
    seed: int = 0
    """Of relabellings and resampling."""
    top: int = 10
    """Nearest neighbours compared for every token."""
    budget: float = 0.5
    """GiB of working memory."""
    out: Path | None = None
    """Write the tables to this file too: .md or .json."""


def run(arguments: list[str]) -> None:
    """Carry out `jaxembed align` with these arguments."""
    from rich.console import Console

    command = parse(Align, arguments, prog="jaxembed align")
    check_flags(command, ("window", "permutations", "top"))
    from ..analysis.alignment import align_model

    console = Console(soft_wrap=True)
    with shown_progress(console) as progress:
        tables, text, _ = opened(command.model, command.corpus, command.subset, console)
        sig = counted(text, command.tokens, command.window, progress)
        found = align_model(
            tables,
            sig,
            budget=int(command.budget * GIB),
            permutations=command.permutations,
            seed=command.seed,
            top=command.top,
            progress=progress,
        )
    _report(command, text, sig, found, console)


def opened(
    model: str, corpus: Path, subset: str | None, console: Any
) -> "tuple[TokenTables, EncodedCorpus, Tokenizer]":
    """The model's tables and the text in its tokens, said in two lines."""
    from ..analysis.foreign import read_tables, read_text

    tables = read_tables(model)
    rows, width = tables.embed.shape
    table = "one table for both" if tables.tied else "embedding and unembedding"
    say(console, f"{tables.folder}: {rows:,} tokens x {width}, {table}")
    if tables.tokenizer is None:
        say(console, f"{tables.folder} holds no tokenizer.json: that the corpus is in its tokens is taken on trust")
    text, tokenizer = read_text(tables, corpus, subset=subset)
    say(console, f"{corpus}: {text.tokens:,} tokens in {len(text):,} documents")
    return tables, text, tokenizer


def counted(
    text: "EncodedCorpus", tokens: int | None, window: int, progress: "Progress", also: int | None = None
) -> "TextSignatures":
    """The signatures of the text's most frequent tokens, counted on all cores."""
    from ..analysis.foreign import count_signatures

    return count_signatures(text, tokens, window=window, also=also, workers=cores(), progress=progress)


@contextmanager
def shown_progress(console: Any) -> "Iterator[Progress]":
    """A bar that shows each stage and its share."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("reading", total=1.0)
        yield lambda stage, share: bar.update(shown, completed=share, description=stage)


def say(console: Any, line: str) -> None:
    """A plain line: names of files and tokens are no markup."""
    console.print(line, markup=False, highlight=False)


def print_table(console: Any, title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """A table of plain text."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, title=title)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def markdown_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """The same in markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def check_out(out: Path | None) -> None:
    if out is not None and out.suffix not in (".md", ".json"):
        raise ValueError(f"--out: '{out}' must end in .md or .json")
    if out is not None and not out.expanduser().absolute().parent.is_dir():
        raise ValueError(f"--out: no folder {out.parent}; make it first")


def check_flags(command: Any, counts: tuple[str, ...]) -> None:
    """Refuse flags that no run could be made with, before any work.

    Args:
        command: the parsed flags; `out`, `budget` and the counts are looked at.
        counts: flags that must be at least 1.

    Raises:
        ValueError: naming the flag.
    """
    check_out(command.out)
    for name in counts:
        if getattr(command, name) < 1:
            raise ValueError(f"--{name}: need at least 1, got {getattr(command, name)}")
    if command.budget <= 0:
        raise ValueError(f"--budget: need some memory, got {command.budget:g} GiB")


def write_out(out: Path | None, record: Callable[[], Any], parts: list[str], console: Any) -> None:
    """Write what was found, where a file was asked for: the record to .json, the parts to .md."""
    if out is None:
        return
    as_json = out.suffix == ".json"
    content = json.dumps(to_json(record()), indent=1, allow_nan=False) if as_json else "\n\n".join(parts)
    out.expanduser().write_text(content + "\n", encoding="utf-8")
    say(console, f"written to {out}")


def _report(
    command: Align, text: "EncodedCorpus", sig: "TextSignatures", found: "ModelAlignment", console: Any
) -> None:
    from ..analysis.alignment import BAND_HEADER, HEADER, band_table, describe_trend

    fewest = int(sig.counts.min())
    title = f"{found.tokens:,} tokens, each at least {fewest:,} times; neighbours up to distance {command.window}"
    tables = [(title, HEADER, found.table())]
    tables += [(row.name, BAND_HEADER, band_table(row.alignment)) for row in found.own]
    notes = [_notes(command, found), *(f"{row.name}: {describe_trend(row.alignment)}" for row in found.own)]
    for table in tables:
        print_table(console, *table)
    for note in notes:
        say(console, note)
    facts = {"model": command.model, "corpus": text.hash, "window": command.window, "seed": command.seed}
    parts = [f"{name}\n\n{markdown_table(header, rows)}" for name, header, rows in tables]
    parts = [f"# {command.model} against {command.corpus}", *parts, *notes]
    write_out(command.out, lambda: {**facts, **found.record()}, parts, console)


def _notes(command: Align, found: "ModelAlignment") -> str:
    one = found.rows[0].alignment
    left = max(row.alignment.left_out for row in found.rows)
    return (
        f"95 % intervals over resampled tokens; null and p from {command.permutations} relabellings of the tokens "
        f"(exact sd of the first: {one.null_sd:.3g}); chance shares {one.overlap_chance:.2%} of the {one.top} nearest; "
        f"{left} tokens left out (a row without direction)."
    )
