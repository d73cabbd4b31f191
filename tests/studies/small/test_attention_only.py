"""The study of first steps at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.attention_only import MATRICES, STUDY

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
def test_float32_is_refused():
    with pytest.raises(ValueError, match="needs float64"):
        STUDY.result("tiny")


@pytest.fixture(scope="module")
def result():
    if FLOAT32:
        pytest.skip("the study needs float64")
    return STUDY.result("tiny")


@pytest.mark.slow
def test_errors_controls_and_ablations_hold_at_tiny(result, tends):
    held = {row.id.removeprefix("first-steps-") for row in STUDY.evidence(result) if tends(row)}
    checked = {"factor", "factors", "flow", "shuffled", "loss", "without-output", "without-value", "random"}
    assert held >= {*MATRICES, *checked}


@pytest.mark.slow
def test_every_matrix_layer_time_and_seed_is_there(result):
    steps, setting = result.corpora["markov"], result.setting
    for matrix in MATRICES:
        layers = 1 if matrix == "output" else setting.layers
        assert steps.descent[matrix].shape == (2, len(setting.times), layers)
        assert steps.flow[matrix].shape == steps.null_cosine[matrix].shape == (2, len(steps.times), layers)
        assert steps.ablated[matrix].shape == steps.random[matrix].shape == (2, layers)
    (table,) = STUDY.tables(result)
    assert len(table.rows) == len(MATRICES) * len(steps.times)


@pytest.mark.slow
def test_sizes_fail_before_directions(result):
    """At the last time the relative error is a hundred times 1 - cosine's, so a cosine alone would hide it."""
    steps = result.corpora["markov"]
    for matrix in MATRICES:
        error, cosine = steps.flow[matrix][:, -1], steps.cosine[matrix][:, -1]
        assert np.all(error > 10 * (1 - cosine))
        assert np.all(np.diff(steps.flow[matrix], axis=1) > 0)


@pytest.mark.slow
def test_the_leading_term_carries_the_loss(result):
    steps = result.corpora["markov"]
    gained = steps.start - steps.loss[:, -1]
    without = steps.start - steps.ablated["output"][:, 0]
    assert np.all(without < 0.1 * gained) and np.all(
        np.abs(steps.random["output"][:, 0] - steps.loss[:, -1]) < 0.1 * gained
    )
