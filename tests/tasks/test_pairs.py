"""Tasks of word pairs: the attributes generator against its formula pair by pair, and random pairs."""

import itertools

import numpy as np
import pytest

from jaxembed.tasks import Attributes, RandomPairs

STRENGTHS, PROBABILITIES = (0.6, 0.3, 0.5), (0.5, 0.4, 0.3)


@pytest.fixture(scope="module")
def task():
    return Attributes(STRENGTHS, PROBABILITIES)


def slow_joint(strengths, probabilities):
    words = list(itertools.product((1, -1), repeat=len(strengths)))

    def frequency(word):
        return np.prod([p if sign > 0 else 1 - p for sign, p in zip(word, probabilities, strict=True)])

    def ratio(a, b):
        out = 1.0
        for x, y, s, p in zip(a, b, strengths, probabilities, strict=True):
            q = p / (1 - p)
            out *= {(1, 1): 1 + s, (-1, -1): 1 + q**2 * s}.get((x, y), 1 - q * s)
        return out

    return np.array([[frequency(a) * frequency(b) * ratio(a, b) for b in words] for a in words])


def test_pairs_follow_the_formula(task):
    data = task.dataset()
    np.testing.assert_allclose(data.weights.reshape(8, 8), slow_joint(STRENGTHS, PROBABILITIES), rtol=1e-12)
    np.testing.assert_array_equal(data.tokens[:, 0] * 8 + data.targets, np.arange(64))
    assert data.length == 1 and data.samples is None


def test_words_stay_as_frequent_as_their_attributes(task):
    joint = task.dataset().weights.reshape(8, 8)
    for marginal in (joint.sum(axis=0), joint.sum(axis=1)):
        np.testing.assert_allclose(marginal, task.frequencies(), rtol=1e-12)
    assert task.names()[0] == "+++" and task.names()[1] == "++-"


@pytest.mark.parametrize("probabilities", [(), PROBABILITIES])
def test_pmi_has_one_dimension_per_attribute_and_a_constant(probabilities):
    values = np.linalg.svd(np.log(Attributes(STRENGTHS, probabilities).ratio()), compute_uv=False)
    assert values[3] > 1e-2 and values[4] < 1e-12


def test_eigenvalues_at_even_attributes():
    task = Attributes(STRENGTHS)
    values = np.linalg.eigvalsh(np.log(task.ratio()))
    gammas = [8 * np.log((1 + s) / (1 - s)) / 2 for s in STRENGTHS]
    expected = sorted([task.constant_eigenvalue(), 0, 0, 0, 0, *gammas])
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12)
    assert task.constant_eigenvalue() < 0


def test_analogies_flip_one_attribute_each(task):
    questions = task.analogies()
    assert questions.shape == (8 * 3 * 2, 4) and len(np.unique(questions, axis=0)) == 48
    signs = task.signs
    a, b, c, d = (signs[questions[:, i]] for i in range(4))
    np.testing.assert_array_equal(b - a + c, d)
    assert np.all((a != b).sum(axis=1) == 1) and np.all((a != c).sum(axis=1) == 1)
    assert np.all((b != c).sum(axis=1) == 2)
    assert Attributes((0.5,)).analogies().shape == (0, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (((),), "strengths"),
        (((0.5, 1.2),), "strengths"),
        (((0.5, 0.5), (0.5,)), "probabilities"),
        (((0.5,), (1.0,)), "probabilities"),
        (((0.9,), (0.7,)), "strengths"),
    ],
)
def test_impossible_attributes_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Attributes(*settings)


def test_too_many_words_are_refused_before_allocating():
    with pytest.raises(ValueError, match="memory_limit"):
        Attributes((0.1,) * 20).dataset()
    with pytest.raises(ValueError, match="memory_limit"):
        RandomPairs(words=10**6).dataset()


def test_random_pairs_have_the_spectrum_asked_for():
    task = RandomPairs(words=100, rank=3, strength=0.05, decay=0.5, seed=4)
    joint = task.joint()
    np.testing.assert_array_equal(joint, joint.T)
    marginal = joint.sum(axis=1)
    values = np.linalg.eigvalsh(np.log(joint / np.outer(marginal, marginal)))[::-1]
    np.testing.assert_allclose(values[:3], [5.0, 2.5, 1.25], rtol=0.1)
    assert np.abs(values[3:]).max() < 0.5
    assert np.abs(task.joint() - RandomPairs(words=100, rank=3, strength=0.05, decay=0.5, seed=5).joint()).max() > 1e-6


@pytest.mark.parametrize("settings", [{"rank": 9, "words": 8}, {"decay": 0.0}, {"strength": -1.0}, {"words": 1}])
def test_impossible_random_pairs_are_refused(settings):
    with pytest.raises(ValueError, match=f"^{next(iter(settings))}"):
        RandomPairs(**settings)
