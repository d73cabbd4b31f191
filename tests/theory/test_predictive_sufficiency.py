"""theory/predictive_sufficiency.md by enumeration: a coin of unknown bias, a hidden chain, four hypotheses."""

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.processes import BetaBernoulli
from jaxembed.theory import predictive_sufficiency as theory


def futures(hypotheses, prior, past, ahead):
    """P(past, future) of independent tokens of an unknown hypothesis, every past and future written out."""
    tokens = range(hypotheses.shape[1])
    pasts, after = (np.array(list(product(tokens, repeat=length))) for length in (past, ahead))
    of_past, of_future = (np.prod(hypotheses[:, rows], axis=2) for rows in (pasts, after))
    return np.einsum("h,hp,hf->pf", prior, of_past, of_future), pasts


def ids(rows):
    return np.unique(np.asarray(rows).round(12), axis=0, return_inverse=True)[1].ravel()


# Four distributions over three tokens: their predictions after two tokens cannot tell 0, 1 from 2, 2.
BLIND = np.array([[3 / 8, 3 / 8, 1 / 4], [3 / 4, 0, 1 / 4], [0, 3 / 4, 1 / 4], [1 / 4, 1 / 4, 1 / 2]])
BLIND_PRIOR = np.array([1, 4, 4, 3]) / 12


@pytest.fixture(scope="module")
def coin():
    """Every four flips of a Beta coin with the fifth."""
    process, length = BetaBernoulli(2.0, 3.0), 4
    pasts = jnp.array(list(product((0, 1), repeat=length)))
    first = jnp.where(pasts[:, 0] == 1, 0.4, 0.6)
    weight = first * jnp.exp(process.log_predictive({}, pasts).sum(axis=1))
    following = process.exact({}, pasts, ["predictive"])["predictive"][:, -1]
    return np.asarray(weight[:, None] * following), np.asarray(pasts)


def test_the_count_is_sufficient_and_less_than_it_is_not(coin, tolerance):
    joint, flips = coin
    count = flips.sum(axis=1)
    assert abs(theory.gap(joint, np.arange(len(joint)))) < tolerance
    assert abs(theory.gap(joint, count)) < tolerance
    halves, last, nothing = (theory.gap(joint, groups) for groups in (count // 2, flips[:, -1], np.zeros_like(count)))
    assert 1e-3 < halves < nothing and 1e-3 < last < nothing
    # what nothing keeps is the mutual information itself, from its definition
    product_of_margins = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    np.testing.assert_allclose(nothing, np.sum(joint * np.log(joint / product_of_margins)), rtol=1e3 * tolerance)


def test_log_loss_is_floor_gap_and_head(coin, tolerance):
    joint, flips = coin
    groups = flips.sum(axis=1) // 2
    predicted = np.array([[0.7, 0.3], [0.5, 0.5], [0.2, 0.8]])
    parts = theory.log_loss(joint, groups, predicted)
    np.testing.assert_allclose(sum(parts), -np.sum(joint * np.log(predicted[groups])), rtol=10 * tolerance)
    assert min(parts) > 1e-3
    # the theorem: the exact head on a sufficient statistic leaves the floor alone
    count = flips.sum(axis=1)
    exact = np.array([joint[count == k].sum(axis=0) / joint[count == k].sum() for k in range(5)])
    best = theory.log_loss(joint, count, exact)
    assert abs(best.gap) < tolerance and abs(best.head) < tolerance
    np.testing.assert_allclose(best.floor, parts.floor, rtol=tolerance)


def test_every_statistic_through_which_a_perfect_predictor_runs_is_sufficient(coin, tolerance):
    """All 52 ways to merge the five counts: no head loses less than the gap, and only injective ones lose nothing."""
    joint, flips = coin
    count = flips.sum(axis=1)
    for labels in product(range(5), repeat=5):
        if any(label > max(labels[:i], default=-1) + 1 for i, label in enumerate(labels)):
            continue
        lost = theory.gap(joint, np.array(labels)[count])
        assert (lost < 10 * tolerance) == (len(set(labels)) == 5)


def test_one_step_ahead_does_not_determine_the_posterior(tolerance):
    """Exchangeable tokens: equal next-token predictions, different posteriors, different futures."""
    one, pasts = futures(BLIND, BLIND_PRIOR, 2, 1)
    two, _ = futures(BLIND, BLIND_PRIOR, 2, 2)
    prediction = ids(one / one.sum(axis=1, keepdims=True))
    posterior = BLIND_PRIOR * np.prod(BLIND[:, pasts], axis=2).T
    posterior /= posterior.sum(axis=1, keepdims=True)
    names = ["".join(map(str, past)) for past in pasts]
    mixed, twos = names.index("01"), names.index("22")
    assert prediction[mixed] == prediction[twos]
    assert np.abs(posterior[mixed] - posterior[twos]).max() > 0.1
    assert abs(theory.gap(one, prediction)) < tolerance < 1e-3 < theory.gap(two, prediction)
    assert abs(theory.gap(two, ids(posterior))) < tolerance
    assert not theory.tells_apart(BLIND)


@pytest.mark.parametrize(
    "emission, apart", [([[0.8, 0.1, 0.1], [0.2, 0.2, 0.6]], True), ([[0.5, 0.3, 0.2]] * 2, False)]
)
def test_beliefs_over_states_from_predictions(emission, apart, tolerance):
    likelihood = jnp.array(emission)
    assert theory.tells_apart(likelihood) is apart
    belief = jnp.array([[0.3, 0.7], [0.9, 0.1]])
    found = theory.belief_of_prediction(likelihood, belief @ likelihood)
    assert (float(jnp.abs(found - belief).max()) < 100 * tolerance) is apart


def test_the_belief_of_a_hidden_chain_is_sufficient_and_its_past_is_not_needed(tolerance):
    chain, emission = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    pasts = np.array(list(product(range(3), repeat=3)))
    state = np.tile([0.5, 0.5], (len(pasts), 1))
    for tokens in pasts.T:
        state = (state * emission[:, tokens].T) @ chain  # P(past, state of the next position)
    joint = state @ emission
    belief = state / state.sum(axis=1, keepdims=True)
    assert abs(theory.gap(joint, ids(belief))) < tolerance
    assert theory.gap(joint, pasts[:, -1]) > 1e-3  # the last token alone
    found = theory.belief_of_prediction(jnp.asarray(emission), jnp.asarray(belief @ emission))
    np.testing.assert_allclose(found, belief, atol=100 * tolerance)


@pytest.mark.parametrize(
    "call, line",
    [
        (lambda: theory.gap(np.ones((2, 2)), np.array([0, 1])), "joint: probabilities must sum to one, got 4"),
        (
            lambda: theory.gap(np.full((2, 2), 0.25), np.array([0, -1])),
            "groups: need an id 0, 1, .. for each of 2 pasts, got shape .2,., from -1",
        ),
        (
            lambda: theory.log_loss(np.full((2, 2), 0.25), np.array([0, 0]), np.array([[0.5, 0.2]])),
            "predicted: need 1 distributions over 2 items",
        ),
    ],
)
def test_what_is_no_distribution_is_refused(call, line):
    with pytest.raises(ValueError, match=line):
        call()
