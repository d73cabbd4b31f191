"""One side of counting.py: holds the tokens, and counts neighbours whenever a line arrives.

Arguments: name, cores, file of uint16 tokens, vocabulary. Answers are lines of JSON.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Counted = tuple[np.ndarray, np.ndarray]
"""Sorted keys first * vocab + second as uint64, and how often each."""


def jaxembed(vocab: int, threads: int) -> tuple[Callable, Callable, str]:
    import numba

    from jaxembed.statistics import count_neighbours

    def count(ids: np.ndarray) -> Any:
        return count_neighbours(ids, np.array([len(ids)]), vocab, workers=threads).counts

    return count, lambda counts: _of_csr(counts, vocab), f"numba {numba.__version__}, numpy {np.__version__}"


def polars_grouped(vocab: int, threads: int) -> tuple[Callable, Callable, str]:
    return _polars(vocab, threads, lambda frame: frame.group_by("key").len())


def polars_streamed(vocab: int, threads: int) -> tuple[Callable, Callable, str]:
    import polars as pl

    return _polars(vocab, threads, lambda frame: frame.lazy().group_by("key").agg(pl.len()).collect(engine="streaming"))


def polars_sorted(vocab: int, threads: int) -> tuple[Callable, Callable, str]:
    def runs(frame: Any) -> Any:
        return frame["key"].sort().rle().struct.unnest().rename({"value": "key"})

    return _polars(vocab, threads, runs)


def _polars(vocab: int, threads: int, grouped: Callable[[Any], Any]) -> tuple[Callable, Callable, str]:
    import polars as pl

    def count(ids: np.ndarray) -> Any:
        return grouped(pl.DataFrame({"key": _packed(ids, vocab)}))

    def keys(table: Any) -> Counted:
        table = table.sort("key")
        return table["key"].to_numpy(), table["len"].to_numpy()

    if pl.thread_pool_size() != threads:
        raise SystemExit(f"polars takes {pl.thread_pool_size()} threads instead of {threads}")
    return count, keys, pl.__version__


def scipy(vocab: int, threads: int) -> tuple[Callable, Callable, str]:
    import scipy.sparse as sparse

    def count(ids: np.ndarray) -> Any:
        places = ids[:-1].astype(np.int32), ids[1:].astype(np.int32)
        return sparse.coo_array((np.ones(len(ids) - 1, np.int32), places), shape=(vocab, vocab)).tocsr()

    return count, lambda counts: _of_csr(counts, vocab), sys.modules["scipy"].__version__


def numpy_sort(vocab: int, threads: int) -> tuple[Callable, Callable, str]:
    def count(ids: np.ndarray) -> Counted:
        keys = _packed(ids, vocab)
        keys.sort()
        begins = np.flatnonzero(np.concatenate([np.ones(1, bool), keys[1:] != keys[:-1]]))
        return keys[begins], np.diff(begins, append=len(keys))

    return count, lambda counted: counted, np.__version__


def numpy_unique(vocab: int, threads: int) -> tuple[Callable, Callable, str]:
    return lambda ids: np.unique(_packed(ids, vocab), return_counts=True), lambda counted: counted, np.__version__


def _packed(ids: np.ndarray, vocab: int) -> np.ndarray:
    """Both tokens of every pair in 32 bits, which the vocabulary just allows."""
    keys = ids[:-1].astype(np.uint32)
    keys *= np.uint32(vocab)
    keys += ids[1:]
    return keys


def _of_csr(counts: Any, vocab: int) -> Counted:
    counts.sort_indices()
    first = np.repeat(np.arange(vocab), np.diff(counts.indptr))
    return first * vocab + counts.indices, counts.data


def digest(keys: np.ndarray, counts: np.ndarray) -> str:
    content = hashlib.sha256(np.ascontiguousarray(keys, np.uint64).tobytes())
    content.update(np.ascontiguousarray(counts, np.uint64).tobytes())
    return content.hexdigest()


def resident(peak: bool) -> int:
    """Bytes in memory, now or at most since `forget_peak`."""
    name = "VmHWM:" if peak else "VmRSS:"
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise SystemExit("/proc/self/status: no memory is told; this needs Linux")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    name, cores, file, vocab = sys.argv[1:]
    places = {int(core) for core in cores.split(",")}
    os.sched_setaffinity(0, places)
    makers = {
        "polars group_by": polars_grouped,
        "polars streaming": polars_streamed,
        "polars sort and rle": polars_sorted,
        "scipy": scipy,
        "numpy sort": numpy_sort,
        "numpy unique": numpy_unique,
    }
    try:
        count, keys_of, version = makers.get(name, jaxembed)(int(vocab), len(places))
    except ImportError as error:
        answer(missing=error.name)
        return
    ids = np.fromfile(file, np.uint16)
    began = time.perf_counter()
    count(ids[:1000])
    answer(first=time.perf_counter() - began, version=version)
    for _ in sys.stdin:
        forget_peak()
        before, busy, began = resident(False), time.process_time(), time.perf_counter()
        counted = count(ids)
        seconds, cpu = time.perf_counter() - began, time.process_time() - busy
        extra = resident(True) - before
        answer(seconds=seconds, cpu=cpu, extra=extra, digest=digest(*keys_of(counted)))
        del counted


def answer(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
