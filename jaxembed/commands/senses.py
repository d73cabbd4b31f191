"""`jaxembed senses`: does a decoder pull the senses of a word apart?"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from ..tables import Table
from .printing import check_least, check_out, command, report, shown_progress

if TYPE_CHECKING:
    from ..analysis.senses.result import WordResult

NETWORKS = ("trained", "untrained")


@dataclass(frozen=True)
class SensesFlags:
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


@command(SensesFlags)
def run(flags: SensesFlags, console: Any) -> None:
    check_out(flags.out)
    check_least(flags, length=8, train=16, test=8)
    from ..analysis.senses.model import senses_of_model

    options = {name: getattr(flags, name) for name in ("length", "train", "test", "attention", "on_error")}
    with shown_progress(console) as progress:
        result = senses_of_model(flags.model, flags.word, flags.file, **options, key=flags.seed, progress=progress)
    depths = len(result.trained[0].validation["word"])
    wrong = [layer for layer in flags.layers if not 0 <= layer < depths]
    if wrong:
        raise ValueError(f"--layers: the model has depths 0 to {depths - 1}, not {wrong[0]}")
    title = f"{flags.word!r} in {flags.model}"
    report(console, title, _parts(flags, result), flags.out, lambda: _record(flags, result))


def _parts(flags: SensesFlags, result: "WordResult") -> list[Table | str]:
    from ..analysis.senses.result import ATTENTION_HEADER, HEADER

    task = result.task
    sizes = f"fit {task.counts(task.fit)}, validation {task.counts(task.validation)}, test {task.counts(task.test)}"
    scores = list(zip(HEADER, result.row(), strict=True))[2:]
    parts = [
        f"{flags.file}: {sizes} sentences of {', '.join(task.names)}",
        *task.notes,
        Table("balanced accuracy, at the depth the validation part chose", ("", "[95 % over sentences]"), scores),
        _layers(flags.layers, result),
    ]
    if flags.attention:
        rows = [row[1:] for row in result.attention_rows()]
        header, *turned = zip(ATTENTION_HEADER[1:], *rows, strict=True)
        parts.append(Table("attention at the word, its two most frequent senses", header, turned))
    note = (
        "A decoder is causal: at the word it knows the left context alone. Static: the embedding, as measured; "
        f"where it is the same in every sentence it reaches 1 / senses, {task.chance:.2f}. Separation: squared "
        "distance of the means over the variance within, 0 for shuffled senses."
    )
    return [*parts, note]


def _layers(layers: tuple[int, ...], result: "WordResult") -> Table:
    rows = [row[1:] for row in result.layer_rows()]
    last = len(rows[0]) - 3
    depths, names = layers or tuple(range(last + 1)), {0: "embedding", last: "last norm"}
    header = ("network", "read at", *(names.get(k, f"block {k}") for k in depths))
    shown = [(*row[:2], *(row[2 + k] for k in depths)) for row in rows]
    return Table("by depth: balanced accuracy (separation of the senses)", header, shown)


def _record(flags: SensesFlags, result: "WordResult") -> dict[str, Any]:
    task = result.task
    facts = {"model": flags.model, "word": flags.word, "file": flags.file, "seed": flags.seed}
    facts |= {"senses": task.names, "test": task.counts(task.test)}
    facts |= {"static": result.static()[0], "chance": task.chance}
    accuracy = {state: {where: result.accuracy(state, where)[0] for where in ("word", "end")} for state in NETWORKS}
    measured = {state: asdict(result.networks(state)[0]) for state in NETWORKS}
    cells = {state: {key: value[key] for key in KEPT} for state, value in measured.items()}
    gains = {over: result.interval(over) for over in ("static", "untrained", "left counts")}
    return {**facts, "accuracy": accuracy, "cells": cells, "gain intervals": gains}


KEPT = ("validation", "separation", "attention", "depth")
"""Of a network, what goes to a file: the hits are one number a sentence."""
