"""Accuracy bounds and series against slow routes."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from jaxembed.studies.small.composite import accuracy_bounds
from jaxembed.studies.small.reasoning_bias import Series, published_kernel
from jaxembed.tasks import Memory, Modular


@pytest.mark.parametrize("task", [Memory(keys=7, anchors=3), Modular(keys=5, anchors=4)])
def test_accuracy_bounds_by_counting(task):
    data, labels, bags = task.dataset(), Counter(), defaultdict(Counter)
    for tokens, target in zip(data.tokens, data.targets, strict=True):
        labels[int(target)] += 1
        bags[tuple(sorted(tokens.tolist()))][int(target)] += 1
    best = sum(max(counts.values()) for counts in bags.values())
    chance, ceiling = accuracy_bounds(data)
    np.testing.assert_allclose([chance, ceiling], [max(labels.values()) / data.size, best / data.size], rtol=1e-12)


def test_memory_is_beyond_a_bag_of_tokens_and_modular_is_not():
    assert accuracy_bounds(Memory(keys=7, anchors=3).dataset())[1] < 0.9
    assert accuracy_bounds(Modular(keys=5, anchors=4).dataset())[1] == pytest.approx(1, abs=1e-12)


def series(values):
    values = np.asarray(values)
    steps = 10 * np.arange(values.shape[1])
    return Series(steps, np.ones((*values.shape, 2, 2)) * values[:, :, None, None], {"loss": values})


def test_first_crossing_is_linear_between_saves():
    run = series([[5.0, 3.0, 1.0, 3.0, 0.0], [5.0, 5.0, 5.0, 5.0, 4.0]])
    np.testing.assert_allclose(run.crossing("loss", np.array([2.0, 4.5])), [15.0, 35.0])


def test_a_level_that_is_never_reached_is_undefined():
    run = series([[5.0, 4.0]])
    steps = run.crossing("loss", np.array([3.0]))
    assert np.isnan(steps).all()
    assert np.isnan(run.at("loss", steps)).all()
    assert np.isnan(run.cosines_at(steps)).all()


def test_values_past_the_end_are_undefined():
    run = series([[5.0, 4.0]])
    np.testing.assert_allclose(run.at("loss", np.array([5.0])), [4.5])
    assert np.isnan(run.at("loss", np.array([11.0]))).all()


def test_cosines_at_the_nearest_save_of_each_seed():
    run = series([[0.0, 1.0, 2.0], [10.0, 20.0, 30.0]])
    np.testing.assert_allclose(run.cosines_at(np.array([9.0, 21.0])), np.full((2, 2), (1.0 + 30.0) / 2))


def test_published_kernel_peaks_at_its_own_anchor():
    kernel = published_kernel(np.arange(3, 6), 20)
    np.testing.assert_array_equal(kernel.argmax(axis=1), np.arange(2, 5))
    np.testing.assert_allclose(kernel[0, 4], np.exp(-4 / 12) - 1 / 20, rtol=1e-12)
