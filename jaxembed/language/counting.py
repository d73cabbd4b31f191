"""Pair counts of an encoded corpus: in one process, or part by part on a Dask cluster with the same integers."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..base import Progress, silent
from ..corpus import EncodedCorpus, open_corpus
from ..machine import GIB, cores, optional, quiet
from ..statistics import TokenPairs, count_neighbours
from ..statistics.token_pairs import BUDGET

PARTS_PER_WORKER = 4
"""So that a worker that is lost takes little with it, and slow ones hold nobody up."""
TOKENS_PER_PART = 2**20
"""Parts are no smaller than this where there are enough for every worker: adding their counts takes time too."""
PATIENCE = 4.0
"""Seconds in which a scheduler must answer."""
WORKER = 0.3 * GIB
"""Bytes that a worker takes before it counts anything, measured: the libraries."""
START = 45.0
"""Seconds in which new processes must be there."""


def count_corpus(
    corpus: EncodedCorpus,
    *,
    window: int = 1,
    workers: int = 1,
    budget: float | int = BUDGET,
    progress: Progress = silent,
) -> TokenPairs:
    """Count neighbours in a corpus with threads of this process; the counts remember the tokenizer.

    Args:
        corpus: token ids, in memory or memory-mapped.
        window: largest distance.
        workers: threads.
        budget: bytes besides the counts.
        progress: takes the share done.
    """
    options = {"window": window, "workers": workers, "budget": budget, "progress": progress}
    return _signed(count_neighbours(corpus.ids, corpus.ends, corpus.vocab, **options), corpus)


def count_on_cluster(
    folder: str | Path,
    client: Any,
    *,
    window: int = 1,
    parts: int | None = None,
    budget: float | int = BUDGET,
    progress: Progress = silent,
) -> TokenPairs:
    """Count neighbours on a Dask cluster: the integers of `count_corpus`, also when workers die on the way.

    Every worker opens the corpus by its path and counts runs of whole documents; counts are added two by two on the
    workers. What a dead worker had counted is counted again by another.

    Args:
        folder: an encoded corpus, at the same path on every worker.
        client: `distributed.Client`.
        window: largest distance.
        parts: how many runs of documents; None takes four for every thread of the cluster, of a million tokens or more.
        budget: bytes that each thread of a worker may take besides its counts.
        progress: takes the parts counted so far.

    Raises:
        ValueError: for a folder that is no corpus here or on some worker, or a part that takes workers down with it.
    """
    distributed = optional("distributed", "scale")
    corpus = open_corpus(folder)
    path = str(Path(folder).expanduser().absolute())
    _check_workers(client, path, corpus.hash)
    runs = _runs(corpus, parts or _parts(corpus, sum(client.nthreads().values())))
    try:
        counted = [client.submit(_count_run, path, corpus.hash, run, window, budget) for run in runs]
        total, finished = _added(client, counted), distributed.as_completed(counted)
        del counted  # so that workers may forget a part once it is added
        for done, _ in enumerate(chain([None], finished)):
            progress(f"{done} of {len(runs)} parts", done / len(runs))
        return _signed(total.result(), corpus)
    except distributed.KilledWorker:
        raise ValueError(
            f"corpus: a part of '{path}' took several workers down with it, for want of memory as a rule; "
            "give workers more, or ask for more parts or a smaller budget"
        ) from None


@contextmanager
def cluster(*, workers: int | None = None, scheduler: str | None = None) -> Iterator[Any]:
    """A client of a Dask cluster: of one that runs at an address, or of new processes on this machine.

    Raises:
        ValueError: where Dask is missing, nobody answers at the address within seconds, or new processes have too
            little memory to start.
    """
    distributed = optional("distributed", "scale")
    if scheduler is not None:
        with quiet("distributed", logging.CRITICAL), _connected(distributed, scheduler) as client:
            yield client
        return
    workers = workers or cores()
    each = _memory_each(distributed, workers)
    local = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "memory_limit": each}
    with (
        quiet("distributed", logging.CRITICAL),
        distributed.LocalCluster(n_workers=0, **local, silence_logs=logging.CRITICAL) as processes,
        distributed.Client(processes) as client,
    ):
        processes.scale(workers)
        try:
            client.wait_for_workers(workers, timeout=START)
        except TimeoutError:
            raise ValueError(f"workers: {workers} did not start within {START:g} s; ask for fewer") from None
        yield client


def _memory_each(distributed: Any, workers: int) -> int:
    """Bytes for each of so many processes; Dask ends one that takes a share of them, and starts it again for ever."""
    share = optional("dask", "scale").config.get("distributed.worker.memory.terminate")
    memory = int(distributed.system.MEMORY_LIMIT / workers)
    ends = memory * (share or 1.0)
    if ends < WORKER:
        raise ValueError(
            f"workers: each of {workers} would have {ends / 2**20:.0f} MiB and takes {WORKER / 2**20:.0f} at its "
            "start; ask for fewer workers"
        )
    return memory


def _connected(distributed: Any, address: str) -> Any:
    """A client of a scheduler that answers; one that never connected would complain when it is collected."""

    async def knock() -> None:
        (await asyncio.wait_for(distributed.comm.connect(address, timeout=PATIENCE), 1.2 * PATIENCE)).abort()

    try:
        with ThreadPoolExecutor(1) as aside:  # the caller may be in an event loop of its own
            aside.submit(lambda: asyncio.run(knock())).result()
        return distributed.Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError, TimeoutError) as error:
        message = str(error).split("\n")[0] or type(error).__name__
        raise ValueError(
            f"scheduler: nobody answers at '{address}' ({message}); start one or mend the address"
        ) from None


def _check_workers(client: Any, path: str, content: str) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
        answers = client.run(_trouble, path, content)
    except TimeoutError:
        raise ValueError("scheduler: its cluster has no workers; start some") from None
    except ImportError as error:
        raise ValueError(f"scheduler: its workers cannot run jaxembed ({error}); install it there") from None
    troubles = {where: trouble for where, trouble in answers.items() if trouble}
    if troubles:
        where, trouble = min(troubles.items())
        more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
        raise ValueError(
            f"corpus: worker {where}{more} cannot use '{path}': {trouble}; "
            "put it where all workers see it, at the same path"
        )


def _trouble(path: str, content: str) -> str:
    """Run on a worker: what keeps it from reading the corpus."""
    try:
        hashed = open_corpus(path).hash
    except ValueError as error:
        return f"on {socket.gethostname()} {error}"
    return "" if hashed == content else f"on {socket.gethostname()} another corpus is there"


def _count_run(path: str, content: str, run: tuple[int, int], window: int, budget: float | int) -> TokenPairs:
    """Run on a worker: count some neighbouring documents."""
    trouble = _trouble(path, content)
    if trouble:
        raise ValueError(f"corpus: a worker cannot use '{path}': {trouble}")
    corpus, chosen = open_corpus(path), np.arange(*run)
    return count_neighbours(corpus.ids, corpus.ends, corpus.vocab, window=window, documents=chosen, budget=budget)


def _parts(corpus: EncodedCorpus, threads: int) -> int:
    worthwhile = max(corpus.tokens // TOKENS_PER_PART, threads)
    return min(PARTS_PER_WORKER * threads, worthwhile)


def _runs(corpus: EncodedCorpus, parts: int) -> list[tuple[int, int]]:
    """Runs of whole documents of about equally many tokens; none is empty."""
    if corpus.tokens == 0:
        raise ValueError("corpus: it is empty; there is nothing to count")
    marks = np.searchsorted(corpus.ends, corpus.tokens * np.arange(1, parts) / parts) + 1
    marks = np.unique(np.clip([0, *marks, len(corpus)], 0, len(corpus)))
    return [(int(first), int(last)) for first, last in pairwise(marks)]


def _added(client: Any, counted: list[Any]) -> Any:
    """The sum of the parts, two by two, where they are."""
    waiting = list(counted)
    while len(waiting) > 1:
        sums = [client.submit(_add, a, b) for a, b in zip(waiting[::2], waiting[1::2], strict=False)]
        waiting = sums + waiting[2 * len(sums) :]
    return waiting[0]


def _add(a: TokenPairs, b: TokenPairs) -> TokenPairs:
    return a + b


def _signed(pairs: TokenPairs, corpus: EncodedCorpus) -> TokenPairs:
    return replace(pairs, tokenizer=corpus.tokenizer_hash)
