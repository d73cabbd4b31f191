"""Analogies: right by construction, ties that are not won, words of the question, undefined vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.observables import analogies, answer_analogies
from jaxembed.observables.analogies import known_method
from jaxembed.tasks import Attributes

QUESTIONS = Attributes((0.5, 0.5, 0.5)).analogies()


def embeddings(scales=(3.0, 2.0, 1.0)):
    return jnp.asarray(Attributes((0.5, 0.5, 0.5)).signs * np.array(scales), dtype=float)


@pytest.mark.parametrize("exclude", [True, False])
@pytest.mark.parametrize("normalise", [True, False])
def test_exact_parallelograms_are_won(exclude, normalise):
    score = analogies(embeddings(), QUESTIONS, exclude=exclude, normalise=normalise)
    assert float(score.accuracy) == 1 and float(score.tied) == 0


def test_a_missing_attribute_is_a_tie_and_a_tie_is_not_won():
    """Twins that differ in the lost attribute: won only where its twin is a word of the question."""
    score = analogies(embeddings((3.0, 2.0, 0.0)), QUESTIONS)
    assert float(score.accuracy) == pytest.approx(2 / 3) and float(score.tied) == pytest.approx(1 / 3)
    assert float(analogies(embeddings((3.0, 2.0, 0.0)), QUESTIONS, exclude=False).accuracy) == 0


def test_agrees_with_a_slow_loop():
    rng = np.random.default_rng(0)
    rows, questions = rng.normal(size=(12, 3)), np.array([rng.permutation(12)[:4] for _ in range(200)])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for normalise in (True, False):
        terms, won = unit if normalise else rows, 0
        for a, b, c, d in questions:
            scores = unit @ (terms[b] - terms[a] + terms[c])
            scores[[a, b, c]] = -np.inf
            won += np.argmax(scores) == d
        found = analogies(jnp.asarray(rows, dtype=float), questions, normalise=normalise, tie=0.0, block=50)
        assert float(found.accuracy) == pytest.approx(won / 200) and 0 < won < 200


def test_zero_vectors_win_nothing_and_stand_in_nobodys_way():
    rows = embeddings().at[0].set(0.0)
    without = QUESTIONS[~(QUESTIONS == 0).any(axis=1)]
    assert float(analogies(rows, without).accuracy) == 1
    assert float(analogies(rows, QUESTIONS[QUESTIONS[:, 3] == 0]).accuracy) == 0
    assert float(analogies(jnp.zeros((8, 3)), QUESTIONS).accuracy) == 0


def test_jit_agrees_and_scale_does_not_matter():
    rows = jnp.asarray(np.random.default_rng(1).normal(size=(8, 3)), dtype=float)
    plain = analogies(rows, QUESTIONS)
    for found in (jax.jit(analogies)(rows, QUESTIONS), analogies(1e-6 * rows, QUESTIONS)):
        assert float(found.accuracy) == float(plain.accuracy)


def test_bad_questions_are_refused():
    with pytest.raises(ValueError, match="none to score"):
        analogies(embeddings(), np.zeros((0, 4), int))
    with pytest.raises(ValueError, match=r"must lie in 0\.\.7"):
        analogies(embeddings(), np.array([[0, 1, 2, 8]]))


@pytest.mark.parametrize("method", ["3CosMul", "PairDirection"])
def test_other_methods_agree_with_their_formulas(method):
    rng = np.random.default_rng(2)
    rows, questions = rng.normal(size=(15, 3)), np.array([rng.permutation(15)[:4] for _ in range(60)])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for normalise in (True, False):
        terms, nearest = unit if normalise else rows, []
        for a, b, c, _ in questions:
            s = (1 + unit @ unit.T) / 2
            apart = terms - terms[c]
            along = apart @ (terms[b] - terms[a]) / np.maximum(np.linalg.norm(apart, axis=1), 1e-9)
            scores = s[b] * s[c] / (s[a] + 1e-3) if method == "3CosMul" else along
            scores[[a, b, c]] = -np.inf
            nearest.append(int(np.argmax(scores)))
        found = answer_analogies(jnp.asarray(rows, dtype=float), questions, normalise=normalise, method=method, tie=0.0)
        assert found.nearest.tolist() == nearest
        assert found.won.tolist() == (questions[:, 3] == nearest).tolist()


def test_any_of_several_answers_wins_and_none_cannot():
    rows = embeddings()
    several = np.concatenate([QUESTIONS, np.full((len(QUESTIONS), 2), -1)], axis=1)
    wrong = several.copy()
    wrong[:, 4], wrong[:, 3] = wrong[:, 3], (QUESTIONS[:, 3] + 4) % 8
    for questions in (several, wrong):
        assert bool(answer_analogies(rows, questions).won.all())
    several[:, 3] = -1
    lost = answer_analogies(rows, several)
    assert not lost.won.any() and not lost.tied.any() and lost.nearest.tolist() == QUESTIONS[:, 3].tolist()
    with pytest.raises(ValueError, match="method: unknown"):
        known_method("cosine")
