"""Every task keeps the same promises: a row of this table is all a new task needs."""

from dataclasses import FrozenInstanceError, replace

import jax
import numpy as np
import pytest

from jaxembed.base import Dataset, Task
from jaxembed.tasks import Addition, BinaryTable, LabelNeutral, Memory, MixedAnchors, Modular
from jaxembed.tasks.population import BLOCK

MIXED = {"keys": 5, "memory_anchors": 4, "reasoning_anchors": 3}
TASKS = [
    Addition(keys=7, anchors=4),
    LabelNeutral(keys=7, anchors=4),
    Modular(keys=7, anchors=4),
    Memory(keys=7, anchors=4, seed=3),
    MixedAnchors(**MIXED),
    MixedAnchors(**MIXED, noise_tokens=2, noise_vocab=3, pair_anywhere=True),
    MixedAnchors(**MIXED, anchors_per_sequence=3, noise_tokens=1, held_out=((5, 6, 7), (1, 1, 2))),
    MixedAnchors(keys=(0, 4), memory_anchors=(9, 11), reasoning_anchors=(20, 22)),
    BinaryTable(5),
    BinaryTable(8, "xor", label_noise=0.25, train_share=0.5),
    BinaryTable(6, lambda a, b: abs(a - b)),
]
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: f"{type(task).__name__}-{TASKS.index(task)}")


@every_task
def test_dataset_is_a_normalised_population(task):
    data = task.dataset()
    assert isinstance(task, Task) and isinstance(data, Dataset)
    assert abs(data.weights.sum() - 1) < 1e-12 and data.weights.min() > 0
    assert min(data.tokens.min(), data.targets.min()) >= 0
    assert max(data.tokens.max(), data.targets.max()) < task.vocab
    assert (data.vocab, data.length) == (task.vocab, task.length)


@every_task
def test_no_example_occurs_twice(task):
    data = task.dataset()
    assert len(np.unique(data.tokens, axis=0)) == data.size


@every_task
def test_settings_are_frozen_and_the_population_is_fixed(task):
    with pytest.raises(FrozenInstanceError):
        task.memory_limit = 1.0
    first, again = task.dataset(), replace(task).dataset()
    np.testing.assert_array_equal(first.tokens, again.tokens)
    np.testing.assert_array_equal(first.targets, again.targets)


@every_task
@pytest.mark.parametrize("chunk", [1, 7, 10**9])
def test_stream_equals_dataset(task, chunk):
    data, chunks = task.dataset(), list(task.stream(chunk))
    assert all(part.size <= chunk and abs(part.weights.sum() - 1) < 1e-12 for part, _ in chunks)
    np.testing.assert_array_equal(np.concatenate([part.tokens for part, _ in chunks]), data.tokens)
    np.testing.assert_array_equal(np.concatenate([part.targets for part, _ in chunks]), data.targets)
    weights = np.concatenate([mass * part.weights for part, mass in chunks])
    np.testing.assert_allclose(weights, data.weights, rtol=1e-12)


@every_task
def test_sample_is_close_to_the_population_within_sampling_error(task):
    data, size = task.dataset(), 20_000
    drawn = task.sample(jax.random.key(1), size)
    assert drawn.size == size and drawn.samples == min(size, data.samples or size)
    for get in (lambda d: d.targets, lambda d: d.tokens[:, 0], lambda d: d.tokens[:, -1]):
        exact = np.bincount(get(data), data.weights, task.vocab)
        found = np.bincount(get(drawn), drawn.weights, task.vocab)
        error = np.sqrt(exact * (1 - exact) / size)
        assert np.all(np.abs(found - exact) <= 5 * error)
        assert np.any(found != exact)


def test_sample_follows_its_key():
    task, keys = TASKS[0], [jax.random.key(0), jax.random.PRNGKey(0), jax.random.key(1)]
    typed, raw, other = (task.sample(key, 50) for key in keys)
    np.testing.assert_array_equal(typed.tokens, raw.tokens)
    assert np.any(typed.tokens != other.tokens)


def test_sampled_examples_are_cells_of_the_population():
    task = TASKS[5]
    cells = {(*tokens, target) for tokens, target in zip(*_lists(task.dataset()), strict=True)}
    drawn = {(*tokens, target) for tokens, target in zip(*_lists(task.sample(jax.random.key(0), 300)), strict=True)}
    assert drawn <= cells and len(drawn) > 200


def test_blocks_join_without_a_seam():
    task = Addition(keys=BLOCK // 16 + 5, anchors=4)
    data = task.dataset()
    assert data.size > BLOCK
    np.testing.assert_array_equal(data.tokens.sum(axis=1), data.targets)
    np.testing.assert_array_equal(data.tokens[:, 0], np.repeat(task.key_tokens, 16))


COMPOSITE = [Addition, LabelNeutral, Modular, Memory]
TOO_LARGE = [
    *[
        (kind(keys=10**6, anchors=10**4), r"a population of 100,000,000,000,000 examples needs 2.235e\+06 GiB")
        for kind in COMPOSITE
    ],
    (
        MixedAnchors(noise_tokens=8),
        r"needs 2.644e\+07 GiB, more than 2 GiB; use .sample\(key, size\) or .stream\(chunk\)",
    ),
    (BinaryTable(10**5), "table of 10,000,000,000 examples needs 186.3 GiB"),
    (Addition(memory_limit=1e-6), "more than 1e-06 GiB"),
]


@pytest.mark.parametrize(("task", "message"), TOO_LARGE)
def test_a_population_too_large_is_refused_with_the_estimate(task, message):
    with pytest.raises(ValueError, match=message) as error:
        task.dataset()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("task", [task for task, _ in TOO_LARGE if not isinstance(task, BinaryTable)])
def test_a_population_too_large_can_be_streamed_and_sampled(task):
    part, mass = next(iter(task.stream(10)))
    assert part.size == 10 and mass == pytest.approx(10 / task.population().size, rel=1e-12)
    assert task.sample(jax.random.key(0), 10).size == 10


def test_the_estimate_is_what_a_dataset_takes():
    task = TASKS[5]
    data = task.dataset()
    assert task.population().nbytes(data.size) == data.tokens.nbytes + data.targets.nbytes + data.weights.nbytes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Addition(keys=0), "keys: must be an integer of at least 1, got 0"),
        (lambda: Modular(anchors=-2), "anchors: must be an integer of at least 1, got -2"),
        (lambda: LabelNeutral(keys=True), "keys: must be an integer of at least 1, got True"),
        (lambda: Memory(seed=-1), "seed: must be an integer of at least 0, got -1"),
        (lambda: Addition(memory_limit=0.0), "memory_limit: must be a positive number of GiB, got 0.0"),
        (lambda: Addition().stream(0), "chunk: must be an integer of at least 1, got 0"),
        (lambda: Addition().sample(jax.random.key(0), 0), "size: must be an integer of at least 1, got 0"),
        (lambda: Addition(memory_limit=1e-6).stream(500), "memory_limit: a chunk of 500 examples needs"),
        (lambda: Addition(memory_limit=1e-6).sample(jax.random.key(0), 500), "memory_limit: a sample of 500 examples"),
        (lambda: next(Addition(keys=2**31).stream(1)), "vocab: 2147483679 token ids do not fit in 32 bits"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)


def _lists(data):
    return data.tokens.tolist(), data.targets.tolist()
