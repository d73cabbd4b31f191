"""`jaxembed count`: the pair counts of an encoded corpus, by threads or on a Dask cluster."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from ..corpus import EncodedCorpus, open_corpus
from ..language.counting import cluster, count_corpus, count_on_cluster
from ..machine import GIB, cores
from ..statistics import TokenPairs, counting_memory
from ..statistics.token_pairs import BUDGET
from .flags import parse


@dataclass(frozen=True)
class Count:
    """Count how often tokens stand near each other in an encoded corpus; documents are never crossed."""

    corpus: tyro.conf.Positional[Path]
    """Folder that `jaxembed corpus` wrote."""
    out: Path
    """File to write, such as pairs.npz."""
    window: int = 1
    """Largest distance of two tokens; 1 counts next tokens."""
    threads: int | None = None
    """Threads of this process; all cores unless given."""
    workers: int | None = None
    """Count with so many Dask processes on this machine instead."""
    scheduler: str | None = None
    """Count on the Dask cluster whose scheduler has this address; its workers see the corpus at the same path."""
    budget: float = BUDGET / GIB
    """GiB that counting may take besides the counts, on every Dask worker thread too; less means more passes."""
    overwrite: bool = False
    """Replace the file."""


def run(arguments: list[str]) -> None:
    """Carry out `jaxembed count` with these arguments."""
    from rich.console import Console

    command = parse(Count, arguments, prog="jaxembed count")
    _check(command)
    corpus, console = open_corpus(command.corpus), Console(soft_wrap=True)
    console.print(_expected(command, corpus))
    began = time.perf_counter()
    with _bar(console) as progress:
        pairs = _counted(command, corpus, progress)
    pairs.save(command.out)
    console.print(_report(pairs, time.perf_counter() - began, command.out))


def _check(command: Count) -> None:
    ways = [name for name in ("threads", "workers", "scheduler") if getattr(command, name) is not None]
    if len(ways) > 1:
        raise ValueError(f"--{ways[1]}: cannot be given together with --{ways[0]}; choose one")
    for name in ("window", "threads", "workers"):
        value = getattr(command, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name}: need at least 1, got {value}")
    if not command.budget > 0:
        raise ValueError(f"--budget: need more than 0 GiB, got {command.budget:g}")
    if command.out.is_dir():
        raise ValueError(f"--out: '{command.out}' is a folder; name a file")
    if command.out.exists() and not command.overwrite:
        raise ValueError(f"--out: '{command.out}' exists; choose another name or --overwrite")
    if not command.out.absolute().parent.is_dir():
        raise ValueError(f"--out: there is no folder '{command.out.absolute().parent}'; make it first")


def _expected(command: Count, corpus: EncodedCorpus) -> str:
    """What will be counted, where, and the memory it takes."""
    held = 1 if command.workers is None and command.scheduler is None else 3  # workers add counts to each other
    pairs, budget = corpus.tokens * command.window, command.budget * GIB
    memory = counting_memory(pairs, corpus.vocab, budget=budget, held=held) / GIB
    places = {
        "threads": f"with {_threads(command)} thread(s)",
        "workers": f"with {command.workers} Dask process(es), each",
        "scheduler": f"on the Dask cluster at {command.scheduler}, each worker",
    }
    where = next((name for name in ("workers", "scheduler") if getattr(command, name) is not None), "threads")
    return (
        f"{corpus.tokens:,} tokens of {len(corpus):,} documents, vocabulary {corpus.vocab:,}, window {command.window}, "
        f"{places[where]} with at most {memory:.2g} GiB"
    )


def _counted(command: Count, corpus: EncodedCorpus, progress: Any) -> TokenPairs:
    budget = command.budget * GIB
    if command.workers is None and command.scheduler is None:
        threads = _threads(command)
        return count_corpus(corpus, window=command.window, workers=threads, budget=budget, progress=progress)
    with cluster(workers=command.workers, scheduler=command.scheduler) as client:
        return count_on_cluster(command.corpus, client, window=command.window, budget=budget, progress=progress)


def _threads(command: Count) -> int:
    return command.threads or cores()


@contextmanager
def _bar(console: Any) -> Iterator[Any]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task("counting", total=None)
        yield lambda done, total: bar.update(shown, completed=done, total=total)


def _report(pairs: TokenPairs, seconds: float, out: Path) -> str:
    share = pairs.counts.nnz / max(pairs.total, 1)
    return (
        f"{pairs.total:,} pairs, {pairs.counts.nnz:,} different ones ({share:.0%}), of "
        f"{(pairs.unigrams > 0).sum():,} tokens that occur; {seconds:.1f} s; written to {out}"
    )
