"""Counts are sums over the data: equal to slow loops, to themselves in chunks, and additive."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxembed import count
from jaxembed.base import Dataset, checked_dataset
from jaxembed.statistics import Counts
from jaxembed.tasks import Addition, MixedAnchors

MOMENTS = ("token", "target", "m1", "k")


def assert_same_counts(found: Counts, expected: Counts, rtol: float = 1e-12):
    for name in ("mass", *MOMENTS):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-15, err_msg=name)
    np.testing.assert_array_equal(found.cells.tokens, expected.cells.tokens)
    np.testing.assert_array_equal(found.cells.targets, expected.cells.targets)
    np.testing.assert_allclose(found.cells.mass, expected.cells.mass, rtol=rtol)
    assert found.samples == expected.samples


def part(data: Dataset, rows: slice) -> Dataset:
    return checked_dataset(data.tokens[rows], data.targets[rows], data.weights[rows], data.vocab)


def test_moments_equal_slow_loops(data, slow):
    counts, expected = count(data), slow(data)
    for name in MOMENTS:
        np.testing.assert_allclose(getattr(counts, name), expected[name], rtol=1e-12, atol=1e-15, err_msg=name)
    assert counts.mass == pytest.approx(1, rel=1e-12)


def test_cells_merge_what_no_moment_tells_apart(data, slow):
    cells, m2 = count(data).cells, np.zeros((data.vocab,) * 3)
    bags = [(*sorted(row), y) for row, y in zip(data.tokens.tolist(), data.targets.tolist(), strict=True)]
    assert len(cells.mass) == len(set(bags)) < len(set(zip(map(tuple, data.tokens), data.targets, strict=True)))
    for row, y, w in zip(cells.tokens, cells.targets, cells.mass, strict=True):
        for x in row:
            for other in row:
                m2[x, other, y] += w
    np.testing.assert_allclose(m2, slow(data)["m2"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("chunk", [1, 7, 30, 10**6])
def test_chunked_equals_unchunked(data, chunk):
    assert_same_counts(count(data, chunk=chunk), count(data))


def test_chunks_of_sampled_data_keep_the_number_of_draws():
    sampled = Addition(keys=3, anchors=2).sample(jax.random.key(0), 10)
    assert_same_counts(count(sampled, chunk=3), count(sampled))
    assert count(replace(sampled, samples=4), chunk=1).samples == 4


def test_a_stream_equals_the_whole():
    task = Addition(keys=5, anchors=3)
    assert_same_counts(count(task.stream(7)), count(task.dataset()))


def test_halves_add(data):
    halves = [slice(0, 11), slice(11, None)]
    first, second = (count(part(data, rows), mass=float(data.weights[rows].sum())) for rows in halves)
    assert_same_counts(first + second, count(data))
    with pytest.raises(AssertionError):
        assert_same_counts(first + first, count(data))


def test_draws_add():
    task = MixedAnchors(keys=4, memory_anchors=3, reasoning_anchors=3)
    first, second = task.sample(jax.random.key(0), 40), task.sample(jax.random.key(1), 20)
    tokens, targets = (np.concatenate([getattr(d, name) for d in (first, second)]) for name in ("tokens", "targets"))
    both = checked_dataset(tokens, targets, None, task.vocab, samples=60)
    total = count(first) + count(second)
    assert_same_counts(total, count(both))
    assert (total.mass, total.samples) == (pytest.approx(60), 60)


def test_order_1_counts_label_moments_only(data):
    first, both = count(data, order=1), count(data)
    np.testing.assert_array_equal(first.m1, both.m1)
    assert first.k is None and first.cells is None
    assert (first + both).k is None and (first + both).cells is None


LONGER = checked_dataset([[0, 1, 2, 3]], [0], None, 6)
SAMPLED = checked_dataset([[0, 1, 2]], [0], None, 6, samples=1)
BAD = [
    (lambda data: count(data, order=3), "order: moments of order 1 or 2 are counted, got 3"),
    (lambda data: count(data, chunk=0), "chunk: must be at least 1"),
    (lambda data: count([]), "data: the stream is empty"),
    (lambda data: count(data, memory_limit=10.0), "vocab: the moments of 6 tokens need"),
    (lambda data: count(data) + count(replace(data, vocab=7)), "vocabularies differ (6 and 7)"),
    (lambda data: count(data) + count(LONGER), "sequences of different lengths; count with order=1"),
    (lambda data: count(data) + count(SAMPLED), "cannot add an exact population to sampled data"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_bad_input_is_one_clear_line(data, call, message):
    with pytest.raises(ValueError) as error:
        call(data)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_lengths_may_differ_at_order_1(data):
    total = count(data, order=1) + count(LONGER, order=1)
    assert total.token.sum() == pytest.approx(3 + 4, rel=1e-12)
