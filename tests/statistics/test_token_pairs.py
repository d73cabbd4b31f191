"""Pair counts: equal to slow loops whatever the memory, threads and library; additive; documents are never crossed."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from jaxembed.statistics import (
    TokenPairs,
    _pair_plain,
    _pair_sort,
    context_rows,
    count_neighbours,
    counting_memory,
    merged,
    next_rows,
    previous_rows,
)


def corpus(vocab=30, tokens=3000, documents=40, seed=0, dtype=np.uint16):
    """Skewed ids in documents of very different lengths, some of them empty or of one token."""
    rng = np.random.default_rng(seed)
    ids = (vocab * rng.random(tokens) ** 3).astype(dtype)
    ends = np.sort(np.concatenate([rng.integers(0, tokens, documents - 4), [5, 5, 6, tokens]]))
    return ids, ends, vocab


def slowly(ids, ends, vocab, window):
    counts, begin = np.zeros((vocab, vocab), np.int64), 0
    for end in ends.tolist():
        for i in range(begin, end):
            for j in range(i + 1, min(i + window + 1, end)):
                counts[ids[i], ids[j]] += 1
        begin = end
    return counts


@pytest.fixture(params=["numba", "numpy"])
def library(request, monkeypatch):
    """Both sets of loops; the numpy ones in pieces that cut documents."""
    if request.param == "numba":
        pytest.importorskip("numba")
    else:
        monkeypatch.setattr(_pair_sort, "find_spec", lambda name: None)
        monkeypatch.setattr(_pair_plain, "CHUNK", 700)
    return request.param


@pytest.mark.parametrize("window", [1, 2, 7])
def test_counts_equal_slow_loops_whatever_the_budget_and_the_threads(library, window):
    ids, ends, vocab = corpus()
    expected = slowly(ids, ends, vocab, window)
    first = None
    for workers in (1, 2, 3):
        for budget in (2**28, 4000, 400):  # 400 bytes hold 100 keys: most rows are tallied on their own
            pairs = count_neighbours(ids, ends, vocab, window=window, workers=workers, budget=budget)
            np.testing.assert_array_equal(pairs.counts.toarray(), expected)
            first = first or pairs
            assert pairs.equals(first) and pairs.counts.dtype == np.int64
    np.testing.assert_array_equal(first.unigrams, np.bincount(ids, minlength=vocab))
    assert (first.window, first.documents, first.vocab, first.total) == (window, 40, vocab, expected.sum())
    indices = np.split(first.counts.indices, first.counts.indptr[1:-1])
    assert all((np.diff(row) > 0).all() for row in indices)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("capacity", [0, 7, 1000, 10**9])
def test_blocks_of_rows_fit_and_leave_nothing_out(workers, capacity):
    firsts = np.sort((400 * np.random.default_rng(0).random(200) ** 8).astype(np.int64))[::-1]
    blocks = _pair_sort.row_blocks(firsts, capacity, 200, workers)
    assert blocks[0].first == 0 and blocks[-1].last == 200
    assert all(a.last == b.first for a, b in pairwise(blocks))
    assert all(block.pairs == firsts[block.first : block.last].sum() for block in blocks)
    assert all(block.pairs <= capacity or block.last == block.first + 1 for block in blocks)
    if capacity == 10**9:
        assert len(blocks) == workers
        assert max(block.pairs for block in blocks) <= firsts.sum() / workers + firsts.max()


def test_a_vocabulary_whose_keys_need_several_blocks(library):
    vocab = 150_000
    ids, ends, _ = corpus(vocab=vocab, tokens=20_000, dtype=np.uint32)
    assert len(_pair_sort.row_blocks(np.ones(vocab, np.int64), 10**9, vocab, 1)) == 6
    pairs = count_neighbours(ids, ends, vocab, window=2, workers=2)
    inside = np.concatenate([np.arange(b, e - d) + d * 1j for b, e in zip([0, *ends], ends) for d in (1, 2)])  # noqa: B905
    i, d = inside.real.astype(int), inside.imag.astype(int)
    keys, counts = np.unique(ids[i].astype(np.int64) * vocab + ids[i + d], return_counts=True)
    found = pairs.counts.tocoo()
    np.testing.assert_array_equal(found.row.astype(np.int64) * vocab + found.col, keys)
    np.testing.assert_array_equal(found.data, counts)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, "<u2"])
def test_any_integer_type_and_ids_on_disk(library, dtype, tmp_path):
    ids, ends, vocab = corpus()
    expected = count_neighbours(ids, ends, vocab)
    path = tmp_path / "ids.bin"
    ids.astype(dtype).tofile(path)
    mapped = np.memmap(path, dtype, "r")
    assert count_neighbours(mapped, ends, vocab).equals(expected)
    assert count_neighbours(np.array(mapped), ends, vocab).equals(expected)


def test_the_halves_of_a_corpus_add_up(library):
    ids, ends, vocab = corpus()
    whole = count_neighbours(ids, ends, vocab, window=3)
    parts = [count_neighbours(ids, ends, vocab, window=3, documents=np.arange(k, 40, 4)) for k in range(4)]
    assert (parts[0] + parts[1] + (parts[2] + parts[3])).equals(whole)
    assert merged(parts).equals(whole) and merged(parts[:1]).equals(parts[0])
    assert (whole - parts[0]).equals(merged(parts[1:]))
    with pytest.raises(ValueError, match="more than the whole"):
        parts[0] - parts[1]


def test_counts_of_different_kinds_are_never_added():
    ids, ends, vocab = corpus()
    pairs = count_neighbours(ids, ends, vocab)
    with pytest.raises(ValueError, match=r"vocab differs \(30 and 31\)"):
        pairs + count_neighbours(ids, ends, vocab + 1)
    with pytest.raises(ValueError, match=r"window differs \(1 and 2\)"):
        pairs + count_neighbours(ids, ends, vocab, window=2)
    with pytest.raises(ValueError, match=r"tokenizer differs \(a and b\)"):
        replace(pairs, tokenizer="a") + replace(pairs, tokenizer="b")
    assert (replace(pairs, tokenizer="a") + pairs).tokenizer == "a"
    with pytest.raises(ValueError, match="none to add"):
        merged([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab": 29}, "position .* holds 29, outside the vocabulary 0..28"),
        ({"window": 0}, "window: need at least 1, got 0"),
        ({"workers": 0}, "workers: need at least 1"),
        ({"ids": np.zeros(0, np.uint16), "ends": np.zeros(0, np.int64)}, "the corpus is empty"),
        ({"ends": np.array([10, 2999])}, "the last one at 3000"),
        ({"ends": np.array([10, 5, 3000])}, "need ascending ends"),
        ({"documents": np.array([0, 40])}, r"different numbers in 0..39"),
        ({"documents": np.array([0, 0])}, "different numbers"),
    ],
)
def test_what_cannot_be_counted_is_refused(library, change, message):
    ids, ends, vocab = corpus()
    ids[1234] = 29
    with pytest.raises(ValueError, match=message):
        count_neighbours(**{"ids": ids, "ends": ends, "vocab": vocab, **change})


@pytest.mark.parametrize("workers", [1, 3])
def test_the_first_id_outside_is_named(library, workers):
    ids, ends, vocab = corpus(dtype=np.int32)
    ids[[700, 1500, 2999]] = -1, 30, 99
    with pytest.raises(ValueError, match="position 700 holds -1"):
        count_neighbours(ids, ends, vocab, workers=workers)


def test_progress_ends_when_all_is_done(library):
    ids, ends, vocab = corpus()
    seen = []
    count_neighbours(ids, ends, vocab, budget=4000, progress=lambda text, share=None, /: seen.append(share))
    assert seen == [done / len(seen) for done in range(1, len(seen) + 1)]
    assert len(seen) > 3


def test_a_file_gives_back_every_integer(tmp_path):
    ids, ends, vocab = corpus()
    pairs = replace(count_neighbours(ids, ends, vocab, window=2), tokenizer="abc")
    pairs.save(tmp_path / "pairs")
    found = TokenPairs.load(tmp_path / "pairs")
    assert found.equals(pairs) and found.tokenizer == "abc"
    (tmp_path / "text").write_text("not counts")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("text", "other.npz"):
        with pytest.raises(ValueError, match=f"{name}: holds no pair counts"):
            TokenPairs.load(tmp_path / name)


def test_a_file_is_replaced_only_when_all_is_written(tmp_path, monkeypatch):
    ids, ends, vocab = corpus()
    pairs = count_neighbours(ids, ends, vocab)
    pairs.save(tmp_path / "pairs")

    def full(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OSError, match="no space"):
            (pairs + pairs).save(tmp_path / "pairs")
    assert TokenPairs.load(tmp_path / "pairs").equals(pairs) and len(list(tmp_path.iterdir())) == 1
    (pairs + pairs).save(tmp_path / "pairs")
    assert TokenPairs.load(tmp_path / "pairs").equals(pairs + pairs) and len(list(tmp_path.iterdir())) == 1


def test_rows_without_pairs_of_documents_of_one_token(library):
    pairs = count_neighbours(np.array([0, 1, 2]), np.array([1, 2, 3]), vocab=4)
    assert pairs.total == 0 and pairs.unigrams.tolist() == [1, 1, 1, 0]
    assert next_rows(pairs).matrix.nnz == 0


def test_memory_grows_with_what_is_counted():
    assert counting_memory(10**9, 50_000, budget=2**28) == pytest.approx(2**28 + 12e9 + 1.6e6)
    assert counting_memory(10**6, 100) == pytest.approx(4e6 + 12e4 + 3200)
    assert counting_memory(10**6, 100, held=3) == pytest.approx(4e6 + 36e4 + 3200)


@pytest.mark.parametrize("window", [1, 3])
def test_signatures_are_conditional_probabilities_minus_the_margin_of_the_pairs(window):
    ids, ends, vocab = corpus()
    pairs, n = count_neighbours(ids, ends, vocab, window=window), slowly(ids, ends, vocab, window)
    for rows, table in ((next_rows, n), (previous_rows, n.T), (context_rows, n + n.T)):
        plain = table / table.sum(axis=1, keepdims=True)
        margin = table.sum(axis=0) / table.sum()
        np.testing.assert_allclose(rows(pairs, centred=False).dense(), plain, rtol=1e-13)
        np.testing.assert_allclose(rows(pairs).dense(), plain - margin, rtol=0, atol=1e-15)
        weighted = table.sum(axis=1) @ rows(pairs).dense() / table.sum()
        np.testing.assert_allclose(weighted, 0, atol=1e-15)


def test_a_token_that_never_occurs_has_an_empty_row():
    ids, ends, vocab = corpus()
    pairs = count_neighbours(ids, ends, vocab + 1)
    for rows in (next_rows(pairs), previous_rows(pairs), context_rows(pairs)):
        lengths = np.diff(rows.matrix.indptr)
        assert lengths[-1] == 0 and lengths[:5].min() > 0 and rows.baseline[-1] == 0


def test_relabelling_tokens_permutes_the_signatures():
    ids, ends, vocab = corpus()
    order = np.random.default_rng(1).permutation(vocab)
    rows = next_rows(count_neighbours(ids, ends, vocab)).dense()
    renamed = next_rows(count_neighbours(order[ids], ends, vocab)).dense()
    np.testing.assert_array_equal(renamed[order][:, order], rows)
