"""`jaxembed count`: the pair counts of an encoded corpus, by threads or on a Dask cluster."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..corpus import EncodedCorpus, open_corpus
from ..language.counting import cluster, count_corpus, count_on_cluster
from ..machine import GIB, cores
from ..statistics import TokenPairs, counting_memory
from ..statistics.token_pairs import BUDGET
from .printing import check_file, check_least, check_positive, command, say, shown_progress

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


@command(CountFlags)
def run(flags: CountFlags, console: Any) -> None:
    _check(flags)
    corpus, began = open_corpus(flags.corpus), time.perf_counter()
    say(console, _expected(flags, corpus))
    with shown_progress(console) as progress:
        corpus.verify(progress)
        pairs = _count(flags, corpus, progress)
    pairs.save(flags.out)
    say(console, _line(pairs, time.perf_counter() - began, flags.out))


def _check(flags: CountFlags) -> None:
    ways = [name for name in ("threads", "workers", "scheduler") if getattr(flags, name) is not None]
    if len(ways) > 1:
        raise ValueError(f"--{ways[1]}: cannot be given together with --{ways[0]}; choose one")
    check_least(flags, window=1, threads=1, workers=1)
    check_positive(flags, "budget")
    check_file("out", flags.out, overwrite=flags.overwrite)


def _expected(flags: CountFlags, corpus: EncodedCorpus) -> str:
    """What will be counted, where, and the memory it takes."""
    held = 1 if flags.workers is None and flags.scheduler is None else 3  # workers add counts to each other
    pairs, budget = corpus.tokens * flags.window, flags.budget * GIB
    memory = counting_memory(pairs, corpus.vocab, budget=budget, held=held) / GIB
    places = {
        "threads": f"with {_threads(flags)} thread(s)",
        "workers": f"with {flags.workers} Dask process(es), each",
        "scheduler": f"on the Dask cluster at {flags.scheduler}, each worker",
    }
    where = next((name for name in ("workers", "scheduler") if getattr(flags, name) is not None), "threads")
    return (
        f"{corpus.tokens:,} tokens of {len(corpus):,} documents, vocabulary {corpus.vocab:,}, window {flags.window}, "
        f"{places[where]} with at most {memory:.2g} GiB"
    )


def _count(flags: CountFlags, corpus: EncodedCorpus, progress: "Progress") -> TokenPairs:
    budget = flags.budget * GIB
    if flags.workers is None and flags.scheduler is None:
        threads = _threads(flags)
        return count_corpus(corpus, window=flags.window, workers=threads, budget=budget, progress=progress)
    with cluster(workers=flags.workers, scheduler=flags.scheduler) as client:
        return count_on_cluster(flags.corpus, client, window=flags.window, budget=budget, progress=progress)


def _threads(flags: CountFlags) -> int:
    return flags.threads or cores()


def _line(pairs: TokenPairs, seconds: float, out: Path) -> str:
    share = pairs.counts.nnz / max(pairs.total, 1)
    return (
        f"{pairs.total:,} pairs, {pairs.counts.nnz:,} different ones ({share:.0%}), of "
        f"{(pairs.unigrams > 0).sum():,} tokens that occur; {seconds:.1f} s; written to {out}"
    )
