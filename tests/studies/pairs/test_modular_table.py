"""The full table of modular addition at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.pairs.modular_table import HEADER, modular_table

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.fixture(scope="module")
def result():
    if FLOAT32:
        pytest.skip("judged in float64, as published")
    return modular_table("tiny", seeds=3)


@pytest.mark.slow
def test_checks_pass_at_tiny(result):
    assert not [check for check in result.checks() if not check.passed]
    assert all(len(row) == len(HEADER) for row in result.rows())


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
