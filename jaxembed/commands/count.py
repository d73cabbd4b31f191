"""`jaxembed count`: the pair counts of an encoded corpus, by threads or on a Dask cluster."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from ..corpus import EncodedCorpus, open_corpus
from ..language.counting import cluster, count_corpus, count_on_cluster
from ..machine import GIB, cores
from ..statistics import TokenPairs, counting_memory
from ..statistics.token_pairs import BUDGET
from .flags import parse
from .printing import check_file, check_least, check_positive, say, shown_progress

if TYPE_CHECKING:
    from ..base import Progress


@dataclass(frozen=True)
class CountFlags:
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
    """Do `jaxembed count` with these arguments."""
    from rich.console import Console

    command = parse(CountFlags, arguments, prog="jaxembed count")
    _check(command)
    corpus, console = open_corpus(command.corpus), Console(soft_wrap=True)
    say(console, _expected(command, corpus))
    began = time.perf_counter()
    with shown_progress(console) as progress:
        pairs = _count(command, corpus, progress)
    pairs.save(command.out)
    say(console, _line(pairs, time.perf_counter() - began, command.out))


def _check(command: CountFlags) -> None:
    ways = [name for name in ("threads", "workers", "scheduler") if getattr(command, name) is not None]
    if len(ways) > 1:
        raise ValueError(f"--{ways[1]}: cannot be given together with --{ways[0]}; choose one")
    check_least(command, window=1, threads=1, workers=1)
    check_positive(command, "budget")
    check_file("out", command.out, overwrite=command.overwrite)


def _expected(command: CountFlags, corpus: EncodedCorpus) -> str:
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


def _count(command: CountFlags, corpus: EncodedCorpus, progress: "Progress") -> TokenPairs:
    budget = command.budget * GIB
    if command.workers is None and command.scheduler is None:
        threads = _threads(command)
        return count_corpus(corpus, window=command.window, workers=threads, budget=budget, progress=progress)
    with cluster(workers=command.workers, scheduler=command.scheduler) as client:
        return count_on_cluster(command.corpus, client, window=command.window, budget=budget, progress=progress)


def _threads(command: CountFlags) -> int:
    return command.threads or cores()


def _line(pairs: TokenPairs, seconds: float, out: Path) -> str:
    share = pairs.counts.nnz / max(pairs.total, 1)
    return (
        f"{pairs.total:,} pairs, {pairs.counts.nnz:,} different ones ({share:.0%}), of "
        f"{(pairs.unigrams > 0).sum():,} tokens that occur; {seconds:.1f} s; written to {out}"
    )
