"""Section by section, the table of composite tasks: which signature tells anchors apart, by a slow loop."""

import numpy as np
import pytest

from jaxembed.tasks import Addition, LabelNeutral, Memory, Modular, shuffled

KEYS, ANCHORS = 9, 4
TASKS = {kind.__name__: kind(keys=KEYS, anchors=ANCHORS) for kind in (Addition, LabelNeutral, Modular, Memory)}


def signatures(data):
    """Label and context signature by plain loops; the context of a token leaves out the occurrence itself."""
    rate = np.zeros(data.vocab)
    label, context = np.zeros((data.vocab, data.vocab)), np.zeros((data.vocab, data.vocab))
    for tokens, target, weight in zip(data.tokens, data.targets, data.weights, strict=True):
        for i, x in enumerate(tokens):
            rate[x] += weight
            label[x, target] += weight
            for j, other in enumerate(tokens):
                if i != j:
                    context[x, other] += weight
    seen = rate > 0
    for table in (label, context):
        table[seen] /= rate[seen, None]
    return label, context


def spread(rows):
    return np.abs(rows - rows[:1]).max()


def shifted(row, by):
    out = np.zeros_like(row)
    out[by:] = row[: len(row) - by]
    return out


@pytest.fixture(scope="module", params=TASKS)
def case(request):
    task = TASKS[request.param]
    label, context = signatures(task.dataset())
    return request.param, task, label[task.anchor_tokens], context[task.anchor_tokens]


def test_label_signature_of_anchors(case):
    name, _, label, _ = case
    if name == "Addition":
        for a in range(1, ANCHORS):
            np.testing.assert_allclose(label[a], shifted(label[0], a), atol=1e-12)
        assert spread(label) > 0.01
    elif name == "Memory":
        assert 0.01 < spread(label) < 0.5
    else:
        assert spread(label) < 1e-12


def test_context_signature_of_anchors(case):
    name, task, _, context = case
    if name == "LabelNeutral":
        keys = context[:, task.key_tokens]
        for a in range(1, ANCHORS):
            np.testing.assert_allclose(keys[0], shifted(keys[a], a), atol=1e-12)
        assert spread(keys) > 0.01
        assert spread(context[:, task.anchor_tokens]) < 1e-12
    else:
        assert spread(context) < 1e-12


def test_joint_signature_of_anchors(case):
    """All but memory tell anchors apart by (key, label): the joint distribution is a shift of the anchor's value."""
    _, task, _, _ = case
    data = task.dataset()
    joint = np.zeros((ANCHORS + 1, data.vocab, data.vocab))
    for tokens, target, weight in zip(data.tokens, data.targets, data.weights, strict=True):
        for a in tokens[1:]:
            joint[a, tokens[0], target] += weight
    assert spread(joint[1:]) > 1e-3


LABELS = {
    "Addition": lambda task, z, a1, a2: z + a1 + a2,
    "LabelNeutral": lambda task, z, a1, a2: z + a1 + a2,
    "Modular": lambda task, z, a1, a2: list(task.key_tokens)[(list(task.key_tokens).index(z) + a1 + a2) % KEYS],
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_by_loop(name):
    task = TASKS[name]
    data = task.dataset()
    for (z, a1, a2), target in zip(data.tokens.tolist(), data.targets, strict=True):
        assert target == LABELS[name](task, z, a1, a2)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_layout(task):
    data = task.dataset()
    np.testing.assert_array_equal(np.unique(data.tokens[:, 0]), task.key_tokens)
    np.testing.assert_array_equal(np.unique(data.tokens[:, 1:]), task.anchor_tokens)
    assert task.anchor_tokens.tolist() == [1, 2, 3, 4] and task.key_tokens[0] == 5
    assert data.size == KEYS * ANCHORS**2 and len({*task.anchor_tokens} & {*task.key_tokens}) == 0


def test_vocabularies():
    assert {name: task.vocab for name, task in TASKS.items()} == {
        "Addition": 22,
        "LabelNeutral": 22,
        "Modular": 14,
        "Memory": 14,
    }
    assert len(TASKS["LabelNeutral"].key_tokens) == KEYS + 2 * ANCHORS - 2


def test_label_neutral_labels_are_independent_of_both_anchors():
    task = TASKS["LabelNeutral"]
    data = task.dataset()
    joint = np.zeros((ANCHORS, ANCHORS, data.vocab))
    np.add.at(joint, (data.tokens[:, 1] - 1, data.tokens[:, 2] - 1, data.targets), data.weights)
    np.testing.assert_allclose(joint[:, :, task.label_tokens], 1 / (KEYS * ANCHORS**2), rtol=1e-12)


def test_memory_labels_are_uniform_key_tokens_that_change_with_the_seed():
    first, second = (Memory(keys=20, anchors=30, seed=seed).dataset() for seed in (0, 1))
    counts = np.bincount(first.targets, minlength=first.vocab)
    assert counts[: Memory(keys=20, anchors=30).key_tokens[0]].sum() == 0
    expected = first.size / 20
    assert 5 < ((counts[31:] - expected) ** 2 / expected).sum() < 45  # chi square, 19 degrees of freedom
    agree = np.mean(first.targets == second.targets)
    assert abs(agree - 1 / 20) < 5 * np.sqrt(0.05 * 0.95 / first.size)


def test_memory_counts_its_draws_and_the_others_are_exact():
    assert TASKS["Memory"].dataset().samples == KEYS * ANCHORS**2
    assert all(TASKS[name].dataset().samples is None for name in LABELS)
    assert [part.samples for part, _ in TASKS["Memory"].stream(100)] == [100, KEYS * ANCHORS**2 - 100]


def test_shuffling_destroys_the_shift_and_keeps_the_rest():
    task = Addition(keys=KEYS, anchors=ANCHORS)
    data = task.dataset()
    control = shuffled(data, 0)
    assert np.shares_memory(control.tokens, data.tokens) and np.shares_memory(control.weights, data.weights)
    np.testing.assert_array_equal(np.sort(control.targets), np.sort(data.targets))
    assert control.samples == data.size
    values = data.tokens.sum(axis=1)
    assert abs(np.corrcoef(values, control.targets)[0, 1]) < 5 / np.sqrt(data.size)
    assert np.any(shuffled(data, 1).targets != control.targets)


def test_memory_labels_depend_on_the_key_and_on_both_anchors():
    labels = Memory(keys=20, anchors=20).dataset().targets.reshape(20, 20, 20)
    for axis in range(3):
        agree = np.mean(labels == np.roll(labels, 1, axis=axis))
        assert abs(agree - 1 / 20) < 5 * np.sqrt(0.05 * 0.95 / labels.size)
