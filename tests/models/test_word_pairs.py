"""Pair losses: the identity with matrix factorisation, the clock, and the logistic loss beside its expansion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import gradient_flow
from jaxembed.models import WordPairs, pair_loss
from jaxembed.tasks import Addition, Attributes, RandomPairs, shuffled

VOCAB = 20


@pytest.fixture(scope="module")
def pairs():
    return RandomPairs(words=VOCAB, rank=3, strength=0.3).dataset()


def tables(data, negatives=1.0):
    joint = np.zeros((data.vocab, data.vocab))
    for word, context, weight in zip(data.tokens[:, 0], data.targets, data.weights, strict=True):
        joint[word, context] += weight
    independent = negatives * np.outer(joint.sum(axis=1), joint.sum(axis=0))
    return joint, independent


@pytest.mark.parametrize("negatives", [1.0, 5.0])
@pytest.mark.parametrize("tied", [True, False])
def test_loss_is_a_matrix_factorisation(pairs, negatives, tied, tolerance):
    joint, independent = tables(pairs, negatives)
    wanted = 2 * (joint - independent) / (joint + independent)
    params = WordPairs(3, 1.0, tied).init(jax.random.key(0), VOCAB)
    x = np.asarray(params["embed"]) @ np.asarray(params.get("unembed", params["embed"])).T
    expected = (np.sum((x - wanted) ** 2) - np.sum(wanted**2)) / 4
    found = float(pair_loss(pairs, negatives=negatives).sum(params))
    assert abs(found - expected) < 100 * tolerance * abs(expected)


@pytest.mark.parametrize("tied", [True, False])
def test_plain_gradient_flow_has_the_clock_of_the_theory(pairs, tied, tolerance):
    joint, independent = tables(pairs)
    wanted = 2 * (joint - independent) / (joint + independent)
    params = WordPairs(3, 0.5, tied).init(jax.random.key(0), VOCAB)
    embed, unembed = (np.asarray(params.get(name, params["embed"])) for name in ("embed", "unembed"))
    rate = gradient_flow(pair_loss(pairs))(0.0, params, None)
    np.testing.assert_allclose(rate["embed"], (wanted - embed @ unembed.T) @ unembed / 2, atol=100 * tolerance)
    assert set(rate) == set(params)


def test_curvature_is_constant_only_if_asked(pairs):
    constant, sampled = (pair_loss(pairs, weighting=w) for w in ("constant", "sampled"))
    np.testing.assert_allclose(constant.positive + constant.negative, 1, rtol=1e-6)
    weights = np.asarray(sampled.positive + sampled.negative)
    assert weights.max() > 1.05 * weights.min()
    np.testing.assert_allclose(weights.sum(), 2, rtol=1e-5)


@pytest.mark.float64_only("differences of losses of a small start")
@pytest.mark.parametrize("weighting", ["constant", "sampled"])
def test_quadratic_loss_is_the_expansion_of_the_logistic_one(pairs, weighting):
    quadratic, logistic = (
        pair_loss(pairs, kind, negatives=2.0, weighting=weighting) for kind in ("quadratic", "logistic")
    )
    params = WordPairs(3, 1.0).init(jax.random.key(0), VOCAB)

    def gap(scale):
        small = jax.tree.map(lambda leaf: scale * leaf, params)
        grads = [jax.grad(loss)(small)["embed"] for loss in (quadratic, logistic)]
        return float(jnp.linalg.norm(grads[0] - grads[1]) / jnp.linalg.norm(grads[0]))

    # The first neglected term is of order x^4 in the loss: x^3 W in the gradient, against W.
    assert gap(1e-1) < 1e-3
    assert abs(np.log10(gap(1e-1) / gap(1e-2)) - 6) < 0.2


def test_asymmetric_pairs_are_seen_through_their_symmetric_part(pairs, tolerance):
    data = shuffled(pairs, 0)
    loss, params = pair_loss(data), WordPairs(3, 1.0).init(jax.random.key(0), VOCAB)
    mirrored = type(loss)(loss.positive.T, loss.negative.T, loss.kind)
    assert float(jnp.max(jnp.abs(loss.positive - mirrored.positive))) > 1e-3
    np.testing.assert_allclose(loss(params), mirrored(params), rtol=100 * tolerance)


def test_jit_takes_the_loss_as_an_argument(pairs, tolerance):
    loss, params = pair_loss(pairs), WordPairs(3, 1.0).init(jax.random.key(0), VOCAB)
    np.testing.assert_allclose(jax.jit(lambda loss, p: loss(p))(loss, params), loss(params), rtol=10 * tolerance)


def test_settings_that_make_no_sense_are_refused(pairs):
    with pytest.raises(ValueError, match="length 3"):
        pair_loss(Addition(keys=3, anchors=2).dataset())
    with pytest.raises(ValueError, match="negatives"):
        pair_loss(pairs, negatives=0.0)
    with pytest.raises(ValueError, match="width"):
        WordPairs(width=0)
    never = Attributes((1.0,)).dataset()
    assert np.isfinite(pair_loss(never)(WordPairs(1, 1.0).init(jax.random.key(0), 2)))
