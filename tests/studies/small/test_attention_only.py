"""The study of first steps at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.attention_only import HEADER, MATRICES, attention_only

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
def test_float32_is_refused():
    with pytest.raises(ValueError, match="needs float64"):
        attention_only("tiny")


@pytest.fixture(scope="module")
def result():
    if FLOAT32:
        pytest.skip("the study needs float64")
    return attention_only("tiny", seeds=2)


@pytest.mark.slow
def test_checks_pass_at_tiny(result):
    assert not [check for check in result.checks() if not check.passed]


@pytest.mark.slow
def test_every_matrix_layer_time_and_seed_is_there(result):
    course, setting = result.courses["markov"], result.setting
    for matrix in MATRICES:
        layers = 1 if matrix == "output" else setting.layers
        assert course.descent[matrix].shape == (2, len(setting.times), layers)
        assert course.flow[matrix].shape == course.null_cosine[matrix].shape == (2, len(course.times), layers)
        assert course.ablated[matrix].shape == course.random[matrix].shape == (2, layers)
    assert len(result.rows()) == len(MATRICES) * len(course.times)
    assert {len(row) for row in result.rows()} == {len(HEADER)}


@pytest.mark.slow
def test_sizes_fail_before_directions(result):
    """At the last time the relative error is a hundred times 1 - cosine's, so a cosine alone would hide it."""
    course = result.courses["markov"]
    for matrix in MATRICES:
        error, cosine = course.flow[matrix][:, -1], course.cosine[matrix][:, -1]
        assert np.all(error > 10 * (1 - cosine))
        assert np.all(np.diff(course.flow[matrix], axis=1) > 0)


@pytest.mark.slow
def test_the_leading_term_carries_the_loss(result):
    course = result.courses["markov"]
    gained = course.start - course.loss[:, -1]
    without = course.start - course.ablated["output"][:, 0]
    assert np.all(without < 0.1 * gained) and np.all(
        np.abs(course.random["output"][:, 0] - course.loss[:, -1]) < 0.1 * gained
    )
