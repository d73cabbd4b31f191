"""Counting on a Dask cluster: the integers of one process, also when a worker is killed on the way."""

import logging
import os
import shutil
import signal
import socket
import time
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("distributed")
pytest.importorskip("tokenizers")

import dask

from jaxembed.corpus import Document, encode, open_corpus, word_level
from jaxembed.language import counting
from jaxembed.language.counting import cluster, count_corpus, count_on_cluster
from jaxembed.statistics import count_neighbours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    words = [f"w{k}" for k in range(300)]
    lengths = rng.integers(1, 400, 400)
    texts = [" ".join(words[int(300 * u**3)] for u in rng.random(length)) for length in lengths]
    out = tmp_path_factory.mktemp("cluster") / "corpus"
    encode((Document(text, f"text:{k}", None) for k, text in enumerate(texts)), word_level(texts, 302), out)
    return out


def test_runs_of_documents_are_whole_and_leave_nothing_out(folder):
    corpus = open_corpus(folder)
    for parts in (1, 7, 399, 400, 5000):
        runs = counting._runs(corpus, parts)
        assert runs[0][0] == 0 and runs[-1][1] == 400 and all(a[1] == b[0] for a, b in pairwise(runs))
        assert parts / 2 < len(runs) <= parts or len(runs) > 200
    assert counting._parts(corpus, 8) == 8, "a small corpus is not cut finer than there are threads"


def test_the_parts_that_workers_count_add_up_to_the_whole(folder):
    corpus = open_corpus(folder)
    whole = count_corpus(corpus, window=3)
    assert whole.equals(count_neighbours(corpus.ids, corpus.ends, corpus.vocab, window=3))
    assert whole.tokenizer == corpus.tokenizer_hash != ""
    parts = [counting._count_run(str(folder), corpus.hash, run, 3, 2**20) for run in counting._runs(corpus, 5)]
    assert counting._signed(sum(parts[1:], parts[0]), corpus).equals(whole)
    with pytest.raises(ValueError, match="another corpus is there"):
        counting._count_run(str(folder), "0", (0, 5), 1, 2**20)


def test_processes_without_the_memory_to_start_are_refused_or_given_up(monkeypatch):
    """Dask starts a process that it ended for its memory again and again."""
    with dask.config.set({"distributed.worker.memory.terminate": 1e-3}):
        with (
            pytest.raises(ValueError, match=r"workers: each of 2 would have \d+ MiB .*; ask for fewer"),
            cluster(workers=2),
        ):
            pytest.fail("it started")
        monkeypatch.setattr(counting, "WORKER", 0.0)
        monkeypatch.setattr(counting, "START", 0.2)
        with pytest.raises(ValueError, match=r"2 did not start within 0.2 s; ask for fewer"), cluster(workers=2):
            pytest.fail("it started")


@pytest.mark.parametrize("address", ["nonsense", "tcp://127.0.0.1:1", "http://127.0.0.1:1"])
def test_an_address_without_scheduler_is_one_clear_line(address, monkeypatch):
    monkeypatch.setattr(counting, "PATIENCE", 0.3)
    level = logging.getLogger("distributed").level
    with (
        pytest.raises(ValueError, match=r"scheduler: nobody answers at .* mend the address"),
        cluster(scheduler=address),
    ):
        pass
    assert logging.getLogger("distributed").level == level


def test_something_else_that_listens_is_no_scheduler(monkeypatch):
    monkeypatch.setattr(counting, "PATIENCE", 0.5)
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ValueError, match="nobody answers"), cluster(scheduler=address):
            pass
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_a_killed_worker_changes_no_integer(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(counting, "PATIENCE", 60.0)  # the second client asks while a worker is being started again
    corpus, killed, seen = open_corpus(folder), [], []
    with cluster(workers=2) as client:
        before = client.run(os.getpid)

        def kill_one(text, share):
            seen.append((text, share))
            if 40 * share >= 3 and not killed:  # it has counted parts, and has others to count or to add
                killed.append(next(iter(before.values())))
                os.kill(killed[0], signal.SIGKILL)

        pairs = count_on_cluster(folder, client, window=2, parts=40, progress=kill_one)
        assert pairs.equals(count_corpus(corpus, window=2)) and pairs.tokenizer == corpus.tokenizer_hash
        assert killed and killed[0] not in client.run(os.getpid).values(), "the worker must really have died"
        assert seen[0] == ("0 of 40 parts", 0) and seen[-1] == ("40 of 40 parts", 1)
        with cluster(scheduler=client.scheduler.address) as second:
            assert count_on_cluster(folder, second).equals(count_corpus(corpus))

        hidden = tmp_path / "hidden"
        shutil.copytree(folder, hidden)
        with pytest.raises(ValueError, match=r"worker tcp.* cannot use .*hidden.*: on .* holds no encoded corpus"):
            count_what_workers_do_not_see(client, hidden)


def count_what_workers_do_not_see(client, folder):
    """Open the corpus here, and move it before a worker looks."""

    def open_and_move(path):
        corpus = open_corpus(path)
        folder.rename(folder.with_name("elsewhere"))
        return corpus

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "open_corpus", open_and_move)
        count_on_cluster(folder, client)
