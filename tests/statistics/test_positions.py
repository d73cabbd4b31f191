"""Position-specific signatures against loops, in symmetric cases, and where they are undefined."""

import jax
import numpy as np
import pytest

from jaxembed import count, signatures
from jaxembed.base import checked_dataset
from jaxembed.statistics import position_signatures
from jaxembed.tasks import BinaryTable

V = 6


@pytest.fixture(scope="module")
def pairs():
    """Uneven ordered pairs with repeats; token 0 never stands first, token 1 never second, label 5 never occurs."""
    rng = np.random.default_rng(0)
    tokens = np.stack([rng.integers(1, V, size=30), rng.integers(2, V, size=30)], axis=1)
    targets = rng.integers(V - 1, size=30)
    tokens[20:25], targets[20:25] = tokens[:5], targets[:5]
    tokens[0] = [2, 0]
    return checked_dataset(tokens, targets, rng.random(30), V)


@pytest.fixture(scope="module")
def joint(pairs):
    """P(a, b, y) by a loop over examples."""
    table = np.zeros((V, V, V))
    for (a, b), y, weight in zip(pairs.tokens.tolist(), pairs.targets.tolist(), pairs.weights.tolist(), strict=True):
        table[a, b, y] += weight
    return table


def divided(table, rates):
    with np.errstate(invalid="ignore"):
        return table / rates.reshape(-1, *[1] * (table.ndim - 1))


def test_moments_and_signatures_against_loops(pairs, joint, tolerance):
    sig = position_signatures(pairs)
    first, second, target = joint.sum((1, 2)), joint.sum((0, 2)), joint.sum((0, 1))
    expected = {
        "first": first,
        "second": second,
        "target": target,
        "pair": joint.sum(2),
        "m1_first": joint.sum(1),
        "m1_second": joint.sum(0),
        "label_first": divided(joint.sum(1), first),
        "label_second": divided(joint.sum(0), second),
        "trace_back_first": divided(joint.sum(1).T, target),
        "trace_back_second": divided(joint.sum(0).T, target),
        "joint": joint,
        "joint_first": divided(joint, first),
        "joint_second": divided(np.moveaxis(joint, 1, 0), second),
        "pair_trace_back": divided(np.moveaxis(joint, 2, 0), target),
    }
    for name, value in expected.items():
        found = getattr(sig, name)
        np.testing.assert_allclose(found() if callable(found) else found, value, atol=10 * tolerance, err_msg=name)
    assert np.isnan(sig.label_first[0]).all() and np.isnan(sig.label_second[1]).all()
    assert np.isnan(sig.trace_back_first[5]).all() and not np.isnan(sig.label_first[1:]).any()


def test_contractions_against_loops(pairs, joint, tolerance):
    sig = position_signatures(pairs)
    values = np.random.default_rng(1).normal(size=(sig.cells.targets.shape[0], 3))
    expected = {name: np.zeros((V, 3)) for name in ("by_first", "by_second", "by_label")}
    for (a, b), y, value in zip(np.asarray(sig.cells.tokens), np.asarray(sig.cells.targets), values, strict=True):
        for name, row in zip(expected, (a, b, y), strict=True):
            expected[name][row] += joint[a, b, y] * value
    for name, value in expected.items():
        found = getattr(sig, name)(jax.numpy.asarray(values, dtype=float))
        np.testing.assert_allclose(found, value, atol=10 * tolerance, err_msg=name)


def test_positions_add_up_to_the_bag(pairs, tolerance):
    """Without regard to position the moments are those of a bag of two tokens."""
    sig, bag = position_signatures(pairs), signatures(count(pairs))
    np.testing.assert_allclose(sig.m1_first + sig.m1_second, bag.m1, atol=10 * tolerance)
    np.testing.assert_allclose(sig.first + sig.second, bag.token, atol=10 * tolerance)
    both = sig.pair + sig.pair.T + np.diag(np.asarray(sig.first + sig.second))
    np.testing.assert_allclose(both, bag.k, atol=10 * tolerance)


def test_a_commutative_operation_has_the_same_signatures_in_both_positions(tolerance):
    sig = position_signatures(BinaryTable(5).dataset())
    np.testing.assert_allclose(sig.joint_first(), sig.joint_second(), atol=tolerance)
    np.testing.assert_allclose(sig.label_first, np.full((5, 5), 0.2), atol=tolerance)
    ordered = position_signatures(BinaryTable(5, lambda a, b: (a + 2 * b) % 5).dataset())
    assert np.max(np.abs(ordered.joint_first() - ordered.joint_second())) > 0.1


def test_joint_signatures_of_modular_addition_are_shifts(tolerance):
    """Phi_x(b, y) = 1{y = x + b} / v: they commute, unlike those of a random table."""
    shifts = np.asarray(position_signatures(BinaryTable(5).dataset()).joint_first()) * 5
    np.testing.assert_allclose(shifts[2], np.roll(np.eye(5), 2, axis=1), atol=10 * tolerance)
    np.testing.assert_allclose(shifts[1] @ shifts[2], shifts[2] @ shifts[1], atol=10 * tolerance)
    table = np.random.default_rng(0).integers(5, size=(5, 5))
    random = np.asarray(position_signatures(BinaryTable(5, lambda a, b: int(table[a, b])).dataset()).joint_first()) * 5
    assert np.max(np.abs(random[1] @ random[2] - random[2] @ random[1])) > 0.5


def test_only_pairs_are_taken_and_dense_tensors_must_fit(pairs):
    with pytest.raises(ValueError, match="data: position signatures are of pairs, got sequences of 3"):
        position_signatures(checked_dataset([[0, 1, 2]], [0], None, V))
    with pytest.raises(ValueError, match="vocab: the dense joint moment of 6 tokens"):
        position_signatures(pairs).joint(memory_limit=100.0)
