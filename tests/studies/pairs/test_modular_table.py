"""The full table of modular addition at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.pairs.modular_table import STUDY


@pytest.fixture(scope="module")
def result():
    if jnp.zeros((), float).dtype == np.float32:
        pytest.skip("judged in float64, as published")
    return STUDY.result("tiny", seeds=3)


@pytest.mark.slow
def test_neurons_are_named_and_phases_lock_at_tiny_too(result, tends):
    held = {row.id for row in STUDY.evidence(result) if tends(row)}
    assert held >= {"modular-frequency-named", "modular-null"}
    assert np.median(result.cosine[result.escaping()]) >= 0.9


@pytest.mark.slow
def test_shares_are_distributions_over_three_frequencies(result):
    assert result.shares.shape == (3, len(result.steps), 3, 50) and result.frequencies == 3
    np.testing.assert_allclose(result.shares.sum(axis=2), 1)
    assert set(np.unique(result.predicted)) == {1, 2, 3} and np.all(result.margin >= 1)
    assert np.all(result.survivors == 1)


@pytest.mark.slow
def test_prediction_beats_its_nulls(result):
    end = result.judged
    named = result.named(end).mean()
    assert named > result.named(end, guess=result.strongest).mean() > result.shuffled(end).mean()
    assert np.isnan(result.named(0)).all() and not result.developed(0).any()


@pytest.mark.slow
def test_the_leading_term_leads_only_while_predictions_are_uniform(result):
    assert result.cosine[:, 0].min() > 0.8 and np.all(result.accuracy[:, -1] > 0.999)
    assert np.all(result.cosine[:, -1] < result.cosine[:, 0])
    assert np.all(result.relative_error[:, -1] > 10 * result.relative_error[:, 0])
