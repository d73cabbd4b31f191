"""Binary tables: group structure, noise and the split."""

import itertools

import numpy as np
import pytest

from jaxembed.tasks import BinaryTable


def table(task):
    data, size = task.dataset(), task.size
    out = np.full((size, size), -1)
    out[data.tokens[:, 0], data.tokens[:, 1]] = data.targets
    return out


@pytest.mark.parametrize(
    ("operation", "slow"),
    [
        ("modular_addition", lambda a, b: (a + b) % 8),
        ("modular_multiplication", lambda a, b: (a * b) % 8),
        ("xor", lambda a, b: sum(((a >> k) % 2 != (b >> k) % 2) << k for k in range(3))),
        (lambda a, b: np.int64(a), lambda a, b: a),
    ],
)
def test_table_by_loop(operation, slow):
    expected = [[slow(a, b) for b in range(8)] for a in range(8)]
    np.testing.assert_array_equal(table(BinaryTable(8, operation)), expected)


def test_xor_is_the_group_of_bit_flips_and_modular_addition_is_not():
    xor, cyclic = table(BinaryTable(8, "xor")), table(BinaryTable(8))
    for group in (xor, cyclic):
        np.testing.assert_array_equal(group, group.T)
        np.testing.assert_array_equal(np.sort(group, axis=1), np.tile(np.arange(8), (8, 1)))
        np.testing.assert_array_equal(group[0], np.arange(8))
        assert all(group[group[a, b], c] == group[a, group[b, c]] for a, b, c in itertools.product(range(8), repeat=3))
    assert np.all(np.diag(xor) == 0) and np.any(np.diag(cyclic) != 0)


def test_joint_signatures_of_xor_have_the_walsh_hadamard_basis():
    size = 8
    xor = table(BinaryTable(size, "xor"))
    joint = np.array([np.eye(size)[xor[a]] for a in range(size)])
    walsh = np.array([[(-1) ** bin(a & b).count("1") for b in range(size)] for a in range(size)])
    for matrix in joint:
        rotated = walsh @ matrix @ walsh.T / size
        assert np.abs(rotated - np.diag(np.diag(rotated))).max() < 1e-12
    cyclic = np.eye(size)[table(BinaryTable(size))[1]]
    rotated = walsh @ cyclic @ walsh.T / size
    assert np.abs(rotated - np.diag(np.diag(rotated))).max() > 0.1


def test_label_signatures_are_uniform():
    data = BinaryTable(7).dataset()
    label = np.zeros((7, 7))
    for tokens, target, weight in zip(data.tokens, data.targets, data.weights, strict=True):
        for token in tokens:
            label[token, target] += weight
    np.testing.assert_allclose(label, 2 / 49, rtol=1e-12)


def test_split_makes_up_the_table():
    task = BinaryTable(9, train_share=0.3, seed=4)
    train, held = task.dataset(), task.held_out_dataset()
    pairs = [tuple(row) for row in np.concatenate([train.tokens, held.tokens]).tolist()]
    assert len(pairs) == len(set(pairs)) == 81 and train.size == task.train_size == 24
    np.testing.assert_array_equal(held.targets, held.tokens.sum(axis=1) % 9)
    other = BinaryTable(9, train_share=0.3, seed=5).dataset()
    assert np.any(train.tokens != other.tokens)


def test_noise_touches_its_share_and_no_more():
    task = BinaryTable(40, label_noise=0.25, train_share=0.5, seed=1)
    data, mask = task.dataset(), task.clean_mask
    right = data.tokens.sum(axis=1) % 40
    assert (~mask).sum() == 200 and np.all(data.targets[mask] == right[mask])
    chance = np.mean(data.targets[~mask] == right[~mask])
    assert chance < 1 / 40 + 5 * np.sqrt(1 / 40 / 200)
    counts = np.bincount(data.targets[~mask], minlength=40)
    assert 10 < ((counts - 5) ** 2 / 5).sum() < 85  # chi square, 39 degrees of freedom
    np.testing.assert_array_equal(data.tokens, BinaryTable(40, train_share=0.5, seed=1).dataset().tokens)


def test_noisy_and_clean_parts_make_up_the_training_data():
    task = BinaryTable(16, "xor", label_noise=0.5, train_share=0.5)
    data, mask = task.dataset(), task.clean_mask
    for part, here in ((task.clean_dataset(), mask), (task.noisy_dataset(), ~mask)):
        np.testing.assert_array_equal(part.tokens, data.tokens[here])
        np.testing.assert_array_equal(part.targets, data.targets[here])
        assert part.samples == part.size and abs(part.weights.sum() - 1) < 1e-12


def test_only_the_whole_clean_table_is_exact():
    assert BinaryTable(5).dataset().samples is None
    assert BinaryTable(5, label_noise=0.2).dataset().samples == 25
    assert BinaryTable(5, train_share=0.8).dataset().samples == 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BinaryTable(0), "size: must be an integer of at least 1, got 0"),
        (lambda: BinaryTable(seed=-1), "seed: must be an integer of at least 0, got -1"),
        (
            lambda: BinaryTable(7, "plus"),
            "operation: unknown 'plus'; use a function or one of modular_addition, modular_multiplication, xor",
        ),
        (lambda: BinaryTable(7, [1]), "operation: unknown [1]"),
        (lambda: BinaryTable(6, "xor"), "size: xor needs a power of two, got 6"),
        (lambda: BinaryTable(label_noise=1.5), "label_noise: must be a share between 0 and 1, got 1.5"),
        (lambda: BinaryTable(train_share=0.0), "train_share: must be at most 1 and leave one of 49 examples, got 0.0"),
        (lambda: BinaryTable(train_share=0.001), "train_share: must be at most 1 and leave one of 49 examples"),
        (lambda: BinaryTable(train_share=1.1), "train_share: must be at most 1"),
        (lambda: BinaryTable().held_out_dataset(), "train_share: leaves nothing to hold out; lower it below 1"),
        (lambda: BinaryTable().noisy_dataset(), "label_noise: no training label is redrawn; raise it"),
        (
            lambda: BinaryTable(label_noise=1.0).clean_dataset(),
            "label_noise: every training label is redrawn; lower it",
        ),
        (
            lambda: BinaryTable(4, lambda a, b: a + b).dataset(),
            "operation: F(1, 3) = 4 is outside the labels 0..3; change it or enlarge size",
        ),
        (lambda: BinaryTable(4, lambda a, b: b - 1).dataset(), "operation: F(0, 0) = -1 is outside the labels 0..3"),
        (lambda: BinaryTable(4, lambda a, b: b / 2).dataset(), "operation: F(0, 0) = 0.0 is outside the labels 0..3"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)
