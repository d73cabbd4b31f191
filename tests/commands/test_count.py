"""`jaxembed count`: what it writes, what it says beforehand, and what it refuses in one line."""

import pytest

pytest.importorskip("tokenizers")

from jaxembed.__main__ import main
from jaxembed.corpus import Document, encode, open_corpus, word_level
from jaxembed.statistics import TokenPairs, count_neighbours


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    texts = ["the cat sat on the mat", "the dog sat on the log", "the cat saw the dog"] * 5
    out = tmp_path_factory.mktemp("count") / "corpus"
    encode((Document(text, f"text:{k}", None) for k, text in enumerate(texts)), word_level(texts, 10), out)
    return out


@pytest.mark.parametrize("flags", [[], ["--threads", "1"], ["--threads", "3", "--budget", "1e-6"]])
def test_it_writes_the_counts(folder, tmp_path, flags, capsys):
    main(["count", str(folder), "--out", str(tmp_path / "pairs.npz"), "--window", "2", *flags])
    corpus, pairs = open_corpus(folder), TokenPairs.load(tmp_path / "pairs.npz")
    assert pairs.equals(count_neighbours(corpus.ids, corpus.ends, corpus.vocab, window=2))
    assert pairs.tokenizer == corpus.tokenizer_hash
    before, after = capsys.readouterr().out.strip().split("\n")
    assert f"{corpus.tokens:,} tokens of 15 documents, vocabulary 10, window 2" in before and "GiB" in before
    assert after.startswith(f"{pairs.total:,} pairs, {pairs.counts.nnz:,} different ones") and "pairs.npz" in after


def test_it_refuses_in_one_line(folder, tmp_path, capsys):
    taken = tmp_path / "taken.npz"
    taken.write_text("mine")
    cases = {
        "--window: need at least 1": ["--window", "0"],
        "--threads: need at least 1": ["--threads", "0"],
        "--budget: need more than 0": ["--budget", "0"],
        "--workers: cannot be given together with --threads": ["--threads", "1", "--workers", "2"],
        "--scheduler: cannot be given together with --workers": ["--scheduler", "a:1", "--workers", "2"],
        "exists; choose another name or --overwrite": ["--out", str(taken)],
        "is a folder": ["--out", str(tmp_path)],
        "there is no folder": ["--out", str(tmp_path / "none" / "x.npz")],
    }
    for message, flags in cases.items():
        with pytest.raises(SystemExit) as stop:
            main(["count", str(folder), "--out", str(tmp_path / "new.npz"), *flags])
        said = capsys.readouterr()
        assert stop.value.code == 2 and message in said.err and said.err.count("\n") == 1, (message, said)
    assert taken.read_text() == "mine" and not (tmp_path / "new.npz").exists()
    with pytest.raises(SystemExit):
        main(["count", str(tmp_path), "--out", str(tmp_path / "new.npz")])
    assert "holds no encoded corpus" in capsys.readouterr().err


def test_overwriting_is_asked_for(folder, tmp_path):
    out = tmp_path / "pairs.npz"
    for window in (1, 2):
        main(["count", str(folder), "--out", str(out), "--window", str(window), "--overwrite"])
    assert TokenPairs.load(out).window == 2


@pytest.mark.slow
def test_local_dask_workers_write_the_same_file(folder, tmp_path, capsys):
    pytest.importorskip("distributed")
    for name, flags in (("a", ["--threads", "1"]), ("b", ["--workers", "1"])):
        main(["count", str(folder), "--out", str(tmp_path / name), *flags])
    assert TokenPairs.load(tmp_path / "a").equals(TokenPairs.load(tmp_path / "b"))
    assert "1 Dask process(es)" in capsys.readouterr().out
