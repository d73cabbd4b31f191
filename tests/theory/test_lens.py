"""theory/lens.md on small distributions, counted text and a random head."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy

from jaxembed.statistics import count_neighbours
from jaxembed.theory import lens as theory

CONTEXTS, VOCAB = 12, 7


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    truth = jnp.asarray(rng.dirichlet(np.ones(VOCAB), CONTEXTS))
    return truth, *jnp.asarray(rng.normal(size=(2, CONTEXTS, VOCAB)))


def loss(truth, logits):
    return -jnp.mean(jnp.sum(truth * jax.nn.log_softmax(logits, axis=1), axis=1))


def test_excess_is_divergence_less_slope(case, tolerance):
    truth, final, lens = case
    parts = theory.excess(truth, final, lens)
    expected = loss(truth, lens) - loss(truth, final)
    assert float(jnp.mean(parts.divergence - parts.slope)) == pytest.approx(float(expected), abs=100 * tolerance)
    assert abs(float(jnp.mean(parts.slope))) > 0.1  # here the model is not calibrated, and KL alone would be wrong
    same = theory.excess(truth, final, final)
    assert not np.any(same.divergence) and not np.any(same.slope)


def test_slope_is_the_derivative_of_the_loss_away_from_the_lens(case, tolerance):
    truth, final, lens = case
    away = jax.nn.log_softmax(final, axis=1) - jax.nn.log_softmax(lens, axis=1)
    slope = jax.grad(lambda eps: loss(truth, final + eps * away))(0.0)
    assert float(slope) == pytest.approx(float(jnp.mean(theory.excess(truth, final, lens).slope)), abs=100 * tolerance)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_a_calibrated_model_has_no_slope(case, groups, tolerance):
    truth = case[0]
    known = jnp.repeat(truth.reshape(-1, groups, VOCAB).mean(axis=1), groups, axis=0)
    coarser = jnp.repeat(truth.reshape(-1, 6, VOCAB).mean(axis=1), 6, axis=0)
    parts = theory.excess(truth, jnp.log(known), jnp.log(coarser))
    assert abs(float(jnp.mean(parts.slope))) < 100 * tolerance
    sharper = theory.excess(truth, 2 * jnp.log(known), jnp.log(coarser))  # over-confident
    assert float(jnp.mean(sharper.slope)) > 0.01


def test_floors_are_the_entropies_of_the_written_out_table():
    ids = np.random.default_rng(1).integers(0, 5, 400) ** 2 % 5
    pairs = count_neighbours(ids, np.array([150, 400]), 5)
    joint = pairs.counts.toarray() / pairs.total
    found = theory.floors(pairs)
    assert found.unigram == pytest.approx(entropy(joint.sum(axis=0)))
    assert found.bigram == pytest.approx(entropy(joint.ravel()) - entropy(joint.sum(axis=1)))
    assert found.bigram < found.unigram
    turns = theory.floors(count_neighbours(np.arange(300) % 3, np.array([300]), 3))
    assert turns.bigram == pytest.approx(0, abs=1e-12) and turns.unigram == pytest.approx(np.log(3), rel=1e-3)


def test_no_model_of_one_token_passes_the_floor():
    ids = np.random.default_rng(2).integers(0, 4, 300) ** 2 % 4
    pairs = count_neighbours(ids, np.array([300]), 4)
    joint = pairs.counts.toarray() / pairs.total
    rate = joint.sum(axis=1)
    for seed in range(3):
        logits = np.random.default_rng(seed).normal(size=(4, 4))
        log_q = np.asarray(jax.nn.log_softmax(logits, axis=1))
        seen = rate > 0
        given = joint[seen] / rate[seen][:, None]
        above = np.sum(rate[seen] * np.array([entropy(p, np.exp(q)) for p, q in zip(given, log_q[seen], strict=True)]))
        assert -np.sum(joint * log_q) - theory.floors(pairs).bigram == pytest.approx(above, rel=1e-4)


def test_floors_refuse_other_windows():
    with pytest.raises(ValueError, match="pairs: need pairs of neighbours, got 5 of window 2"):
        theory.floors(count_neighbours(np.arange(4), np.array([4]), 4, window=2))


@pytest.mark.parametrize("cosine", [0.0, 0.5, 0.9])
def test_an_untrained_layer_is_as_far_as_its_angle(cosine):
    rng, width, scale, vocab = np.random.default_rng(3), 64, 0.02, 20_000
    last, noise = np.linalg.qr(rng.normal(size=(width, 2)))[0].T * np.sqrt(width)
    head = scale * rng.normal(size=(vocab, width))
    earlier = cosine * last + np.sqrt(1 - cosine**2) * noise
    final, lens = (jnp.asarray(head @ row)[None] for row in (last, earlier))
    parts = theory.excess(jnp.full((1, vocab), 1 / vocab), final, lens)
    predicted = float(theory.untrained_divergence(cosine, width, scale))
    assert float(parts.divergence[0]) == pytest.approx(predicted, rel=0.05)
    uniform = theory.excess(jnp.full((1, vocab), 1 / vocab), final, jnp.zeros((1, vocab)))
    assert float(uniform.divergence[0]) == pytest.approx(predicted / (2 * (1 - cosine)), rel=0.05)
