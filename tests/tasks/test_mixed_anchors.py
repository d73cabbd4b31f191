"""Mixed anchors: labels, layout, held-out tuples and noise, each against a plain loop."""

import itertools

import numpy as np
import pytest

from jaxembed.tasks import MixedAnchors

SMALL = {"keys": 5, "memory_anchors": 4, "reasoning_anchors": 3}


def rows(data):
    return [tuple(row) for row in data.tokens.tolist()]


def test_default_is_the_published_layout():
    task = MixedAnchors()
    data = task.dataset()
    assert task.memory_anchor_tokens.tolist() == list(range(1, 11))
    assert task.reasoning_anchor_tokens.tolist() == list(range(11, 21))
    assert task.key_tokens.tolist() == list(range(21, 121))
    assert (data.size, data.length, data.vocab) == (100 * (100 + 100 - 2), 3, 161)
    assert task.held_out_tuples == ((11, 13), (13, 11))


def test_population_is_every_key_with_every_tuple_of_one_type():
    task = MixedAnchors(**SMALL, anchors_per_sequence=3, held_out=())
    expected = set()
    for kind in (task.memory_anchor_tokens, task.reasoning_anchor_tokens):
        expected |= {(key, *anchors) for key in task.key_tokens for anchors in itertools.product(kind, repeat=3)}
    data = task.dataset()
    assert set(rows(data)) == expected and data.size == len(expected) == 5 * (4**3 + 3**3)


def test_reasoning_adds_and_memory_recalls_a_key():
    task = MixedAnchors(**SMALL)
    data = task.dataset()
    reasoning = data.tokens[:, 1] >= 5
    np.testing.assert_array_equal(data.targets[reasoning], data.tokens[reasoning].sum(axis=1))
    assert set(data.targets[~reasoning]) <= set(task.key_tokens)
    assert np.mean(data.targets[~reasoning] == data.tokens[~reasoning].sum(axis=1)) < 0.2


def test_signatures_of_the_two_anchor_types():
    """The label signature of reasoning anchors shifts by one; that of memory anchors is uniform up to sampling."""
    task = MixedAnchors(keys=30, memory_anchors=6, reasoning_anchors=5, held_out=())
    data = task.dataset()
    label = np.zeros((task.vocab, task.vocab))
    for tokens, target in zip(data.tokens, data.targets, strict=True):
        for anchor in tokens[1:]:
            label[anchor, target] += 1 / (2 * 30 * (6 if anchor <= 6 else 5))
    for first, second in itertools.pairwise(task.reasoning_anchor_tokens):
        np.testing.assert_allclose(label[second, 1:], label[first, :-1], atol=1e-12)
    recalled = label[np.ix_(task.memory_anchor_tokens, task.key_tokens)]
    np.testing.assert_allclose(recalled.sum(axis=1), 1, rtol=1e-12)
    assert np.abs(recalled - 1 / 30).max() < 5 * np.sqrt(1 / 30 / (30 * 6))


def test_held_out_tuples_are_absent_from_training_and_complete_outside():
    task = MixedAnchors(**SMALL, held_out=((5, 7), (7, 5), (2, 2), (5, 7)))
    whole = set(rows(MixedAnchors(**SMALL, held_out=()).dataset()))
    train, held = task.dataset(), task.held_out_dataset()
    assert set(rows(train)).isdisjoint(rows(held)) and set(rows(train)) | set(rows(held)) == whole
    assert {row[1:] for row in rows(held)} == {(5, 7), (7, 5), (2, 2)} and held.size == 15


def test_the_default_holds_out_only_where_it_can():
    assert MixedAnchors(**SMALL).held_out_tuples == ((5, 7), (7, 5))
    assert MixedAnchors(keys=5, memory_anchors=4, reasoning_anchors=2).held_out_tuples == ()
    assert MixedAnchors(**SMALL, anchors_per_sequence=3).held_out_tuples == ()
    assert MixedAnchors(**SMALL, held_out=((5, 7, 7, 5),)).held_out_tuples == ((5, 7), (7, 5))


def test_parts_make_up_the_training_population_with_the_same_labels():
    task = MixedAnchors(**SMALL, held_out=((1, 4), (6, 6)), label_seed=5)
    train, memory, reasoning = task.dataset(), task.memory_dataset(), task.reasoning_dataset()
    np.testing.assert_array_equal(np.concatenate([memory.tokens, reasoning.tokens]), train.tokens)
    np.testing.assert_array_equal(np.concatenate([memory.targets, reasoning.targets]), train.targets)
    assert memory.tokens[:, 1:].max() <= 4 < reasoning.tokens[:, 1:].min()
    assert (memory.samples, reasoning.samples, train.samples) == (75, None, train.size)


def test_label_seed_changes_memory_only():
    first, second = (MixedAnchors(**SMALL, label_seed=seed) for seed in (0, 1))
    assert np.any(first.memory_dataset().targets != second.memory_dataset().targets)
    np.testing.assert_array_equal(first.reasoning_dataset().targets, second.reasoning_dataset().targets)


@pytest.mark.parametrize("anywhere", [False, True])
def test_noise_surrounds_the_block_and_leaves_the_label(anywhere):
    task = MixedAnchors(**SMALL, noise_tokens=2, noise_vocab=3, pair_anywhere=anywhere)
    plain = MixedAnchors(**SMALL)
    labels = dict(zip(rows(plain.dataset()), plain.dataset().targets.tolist(), strict=True))
    noise = set(task.noise_range.tokens.tolist())
    assert len(noise) == 3 and min(noise) == plain.vocab and task.vocab == plain.vocab + 3
    data, seen = task.dataset(), set()
    for row, target in zip(rows(data), data.targets.tolist(), strict=True):
        start = next(i for i, token in enumerate(row) if token not in noise)
        block, rest = row[start : start + 3], row[:start] + row[start + 3 :]
        assert labels[block] == target and set(rest) <= noise
        seen.add((block, start, rest))
    assert len(seen) == data.size == len(labels) * 9 * (3 if anywhere else 1)
    assert {start for _, start, _ in seen} == ({0, 1, 2} if anywhere else {0})
    assert data.samples == len(labels)


def test_sizes_are_laid_out_after_explicit_ranges():
    task = MixedAnchors(keys=3, memory_anchors=(30, 33), reasoning_anchors=2)
    assert (task.reasoning_range, task.key_range) == ((34, 35), (36, 38))
    assert task.vocab == 38 + 2 * 35 + 1
    assert MixedAnchors(keys=(0, 3), memory_anchors=(30, 33), reasoning_anchors=(4, 5), held_out=()).vocab == 34


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"keys": (15, 114)},
            "keys 15..114 overlap reasoning_anchors 11..20; move keys to start at 21 or later, or give sizes",
        ),
        (
            {"memory_anchors": (5, 12), "reasoning_anchors": (10, 20)},
            "memory_anchors 5..12 overlap reasoning_anchors 10",
        ),
        ({"keys": 0}, "keys: must be an integer of at least 1, got 0"),
        ({"memory_anchors": -1}, "memory_anchors: must be an integer of at least 1, got -1"),
        ({"reasoning_anchors": (20, 11)}, "reasoning_anchors: a token range is (first, last) with 0 <= first <= last"),
        ({"keys": (-3, 5)}, "keys: a token range is (first, last) with 0 <= first <= last, got (-3, 5)"),
        ({"anchors_per_sequence": 0}, "anchors_per_sequence: must be an integer of at least 1"),
        ({"noise_tokens": -1}, "noise_tokens: must be an integer of at least 0"),
        ({"noise_vocab": 0}, "noise_vocab: must be an integer of at least 1"),
        ({"label_seed": -1}, "label_seed: must be an integer of at least 0"),
        ({"held_out": ((1, 11),)}, "held_out: (1, 11) must be 2 memory anchors 1..10 or reasoning anchors 11..20"),
        ({"held_out": ((11,),)}, "held_out: (11,) must be 2 memory anchors"),
        ({"held_out": ((),)}, "held_out: () must be 2 memory anchors"),
        ({"anchors_per_sequence": 20}, "anchors_per_sequence: too many anchor tuples to number in 64 bits"),
    ],
)
def test_bad_settings_are_one_clear_line(settings, message):
    with pytest.raises(ValueError) as error:
        MixedAnchors(**settings)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_parts_without_examples_say_so():
    with pytest.raises(ValueError, match="held_out: no anchor tuple is held out"):
        MixedAnchors(held_out=()).held_out_dataset()
    task = MixedAnchors(keys=3, memory_anchors=2, reasoning_anchors=1, held_out=((3, 3),))
    assert task.dataset().size == 12
    with pytest.raises(ValueError, match="held_out: holds out every anchor tuple of this part"):
        task.reasoning_dataset()


def test_memory_labels_depend_on_the_key_and_on_every_anchor():
    task = MixedAnchors(keys=20, memory_anchors=20, reasoning_anchors=2, held_out=())
    labels = task.memory_dataset().targets.reshape(20, 20, 20)
    for axis in range(3):
        agree = np.mean(labels == np.roll(labels, 1, axis=axis))
        assert abs(agree - 1 / 20) < 5 * np.sqrt(0.05 * 0.95 / labels.size)
