from collections import Counter

import numpy as np
import pytest

from jaxembed.corpus import next_token_dataset
from jaxembed.statistics import count, signatures


def slow_cells(ids, window):
    """Counts of (context, target) over positions that touch no out-of-vocabulary token."""
    rows = [tuple(ids[i - window : i + 1].tolist()) for i in range(window, len(ids))]
    return Counter(row for row in rows if -1 not in row), len(rows)


def cells(data):
    rows = np.concatenate([data.tokens, data.targets[:, None]], axis=1).tolist()
    return {tuple(row): weight for row, weight in zip(rows, data.weights.tolist(), strict=True)}


def random_ids(vocab, n=400, seed=0):
    return np.random.default_rng(seed).integers(-1, vocab, n).astype(np.int32)


@pytest.mark.parametrize("window", [1, 2, 3])
def test_cells_equal_a_slow_count(window):
    ids = random_ids(vocab=5)
    data, coverage = next_token_dataset(ids, 5, window)
    expected, positions = slow_cells(ids, window)
    kept = sum(expected.values())
    assert data.samples == kept < positions and coverage == kept / positions
    assert data.tokens.shape == (len(expected), window)  # equal cells are merged
    found = cells(data)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[c] * kept for c in expected], list(expected.values()), rtol=1e-12)


def test_a_window_too_long_for_one_integer_key_is_counted_all_the_same():
    period = np.random.default_rng(1).integers(0, 70_000, 30).astype(np.int32)
    ids = np.tile(period, 3)
    data, coverage = next_token_dataset(ids, 70_000, window=9)
    expected, positions = slow_cells(ids, 9)
    assert cells(data) == pytest.approx({row: n / positions for row, n in expected.items()}, rel=1e-12)
    assert data.size == 30 and coverage == 1.0


def test_out_of_vocabulary_tokens_are_not_bridged():
    data, coverage = next_token_dataset(np.array([0, -1, 1, 0, 1], np.int32), 2)
    assert cells(data) == {(1, 0): 0.5, (0, 1): 0.5} and coverage == 0.5
    bridged, _ = next_token_dataset(np.array([0, 1, 0, 1], np.int32), 2)
    assert cells(bridged) != cells(data)


def test_label_and_trace_back_signatures_are_those_of_next_and_previous_tokens(tolerance):
    vocab, ids = 6, random_ids(vocab=6, seed=3)
    sig = signatures(count(next_token_dataset(ids, vocab)[0]))
    pairs, _ = slow_cells(ids, 1)
    first, second = Counter(), Counter()
    for (x, nu), n in pairs.items():
        first[x] += n
        second[nu] += n
    following = [[pairs[x, nu] / first[x] for nu in range(vocab)] for x in range(vocab)]
    preceding = [[pairs[x, nu] / second[nu] for x in range(vocab)] for nu in range(vocab)]
    np.testing.assert_allclose(sig.label, following, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(sig.trace_back, preceding, rtol=tolerance, atol=tolerance)
    assert not np.allclose(sig.label, preceding, atol=1e-3)  # the two directions differ on this text


def test_a_token_that_never_precedes_has_no_next_token_signature():
    sig = signatures(count(next_token_dataset(np.array([0, 1, 0, 2], np.int32), 3)[0]))
    assert np.isnan(sig.label[2]).all() and np.isfinite(sig.label[:2]).all()
    assert np.isfinite(sig.trace_back).all()


@pytest.mark.parametrize(
    "ids, vocab, window, message",
    [
        ([], 2, 1, "at least 2 tokens, got 0"),
        ([0], 2, 1, "at least 2 tokens, got 1"),
        ([0, 1], 2, 0, "window: need at least one"),
        ([0, 1, 0], 2, 3, "window: 3 previous tokens asked of a text of 3"),
        ([0, 2], 2, 1, "id 2 is outside 0..1"),
        ([0, -2], 2, 1, "id -2 is outside"),
        ([0, -1, 1, -1], 2, 1, "no 2 neighbouring words"),
        ([0, 1, -1, 1, 0], 2, 2, "no 3 neighbouring words"),
    ],
)
def test_impossible_input_is_refused(ids, vocab, window, message):
    with pytest.raises(ValueError, match=message):
        next_token_dataset(np.array(ids, np.int32), vocab, window)
