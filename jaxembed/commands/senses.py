"""`jaxembed senses`: does a decoder pull the senses of a word apart?"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from .align import check_out, markdown_table, print_table, say, write_out
from .flags import parse

if TYPE_CHECKING:
    from ..analysis.senses.result import WordResult

NETWORKS = ("trained", "untrained")


@dataclass(frozen=True)
class Senses:
    """Linear probes from a word's states at every layer of a decoder to its senses, with their nulls."""

    model: tyro.conf.Positional[str]
    """Hugging Face folder of a decoder with its tokenizer.json, run folder of jaxembed pretrain, or hub:OWNER/NAME."""
    word: tyro.conf.Positional[str]
    """The ambiguous word."""
    file: tyro.conf.Positional[Path]
    """Folder with train.data.txt and test.data.txt (position, tab, tokenised sentence) and their .gold.txt, or one
    NAME.data.txt, of which a third is the test."""
    layers: tuple[int, ...] = ()
    """Depths shown, 0 for the embedding, the last for the last norm; none shows all."""
    length: int = 64
    """Tokens of a sentence at most; the left context of the word is kept before all else."""
    train: int = 600
    """Training sentences at most; rare senses are kept whole."""
    test: int = 400
    """Test sentences at most."""
    attention: bool = True
    """Whether heads, mixtures and patches are looked at."""
    on_error: Literal["stop", "skip"] = "stop"
    """Stop at a damaged line of the file, or skip and count it."""
    seed: int = 0
    """Of the choice of sentences, shuffled senses, patches and the untrained network."""
    out: Path | None = None
    """Write the tables to this file too: .md or .json."""


def run(arguments: list[str]) -> None:
    """Carry out `jaxembed senses` with these arguments."""
    from rich.console import Console

    command = parse(Senses, arguments, prog="jaxembed senses")
    check_out(command.out)
    for name, least in (("length", 8), ("train", 16), ("test", 8)):
        if getattr(command, name) < least:
            raise ValueError(f"--{name}: need at least {least}, got {getattr(command, name)}")
    from ..analysis.senses.model import senses_of_model

    console = Console(soft_wrap=True)
    options = {name: getattr(command, name) for name in ("length", "train", "test", "attention", "on_error", "seed")}
    with console.status("reading states"):
        found = senses_of_model(command.model, command.word, command.file, **options)
    depths = len(found.trained[0].validation["word"])
    wrong = [layer for layer in command.layers if not 0 <= layer < depths]
    if wrong:
        raise ValueError(f"--layers: the model has depths 0 to {depths - 1}, not {wrong[0]}")
    _report(command, found, console)


def _report(command: Senses, found: "WordResult", console: Any) -> None:
    from ..analysis.alignment import plain
    from ..analysis.senses.result import ATTENTION_HEADER, HEADER

    task = found.task
    say(console, f"{command.file}: fit {task.counts(task.fit)}, validation {task.counts(task.validation)}, test "
        f"{task.counts(task.test)} sentences of {', '.join(task.names)}")  # fmt: skip
    for note in task.notes:
        say(console, note)
    scores: list[tuple[str, ...]] = list(zip(HEADER, found.row(), strict=True))[2:]
    tables: list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]] = [
        ("balanced accuracy, at the depth the validation part chose", ("", "[95 % over sentences]"), scores)
    ]
    tables.append(("by depth: balanced accuracy (separation of the senses)", *_layers(command, found)))
    if command.attention:
        rows = [row[1:] for row in found.attention_rows()]
        turned = list(zip(ATTENTION_HEADER[1:], *rows, strict=True))
        tables.append(("attention at the word, its two most frequent senses", turned[0], turned[1:]))
    for table in tables:
        print_table(console, *table)
    note = (
        "A decoder is causal: at the word it knows the left context alone. Static: the embedding, as measured; "
        f"where it is the same in every sentence it reaches 1 / senses, {task.chance:.2f}. Separation: squared "
        "distance of the means over the variance within, 0 for shuffled senses."
    )
    say(console, note)
    parts = [f"# {command.word!r} in {command.model}"]
    parts += [f"{title}\n\n{markdown_table(header, rows)}" for title, header, rows in tables] + [note]
    write_out(command.out, lambda: plain(_record(command, found)), parts, console)


def _layers(command: Senses, found: "WordResult") -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows = [row[1:] for row in found.layer_rows()]
    depths = command.layers or tuple(range(len(rows[0]) - 2))
    last = len(rows[0]) - 3
    names = {0: "embedding", last: "last norm"}
    header = ("network", "read at", *(names.get(k, f"block {k}") for k in depths))
    return header, [(*row[:2], *(row[2 + k] for k in depths)) for row in rows]


def _record(command: Senses, found: "WordResult") -> dict[str, Any]:
    task = found.task
    facts = {"model": command.model, "word": command.word, "file": str(command.file), "seed": command.seed}
    facts |= {
        "senses": task.names,
        "test": task.counts(task.test),
        "static": float(found.static()[0]),
        "chance": task.chance,
    }
    networks = {stage: {where: found.accuracy(stage, where)[0] for where in ("word", "end")} for stage in NETWORKS}
    cells = {stage: {key: value for key, value in asdict(found.networks(stage)[0]).items() if key in KEPT}
             for stage in NETWORKS}  # fmt: skip
    gains = {over: found.interval(over) for over in ("static", "untrained", "left counts")}
    return {**facts, "accuracy": networks, "cells": cells, "gain intervals": gains}


KEPT = ("validation", "separation", "attention", "depth")
"""Of a network, what goes to a file: the hits are one number a sentence."""
