"""Deep linear networks and soft labels at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.deep_linear import DEEP, FLAT, HEADER, SHALLOW, Levels, deep_linear
from jaxembed.studies.small.soft_label import LOSSES, soft_label

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
@pytest.mark.parametrize("study", [deep_linear, soft_label])
def test_float32_is_refused(study):
    with pytest.raises(ValueError, match="needs float64"):
        study("tiny")


@pytest.fixture(scope="module")
def networks():
    if FLOAT32:
        pytest.skip("needs float64")
    return deep_linear("tiny", seeds=2)


@pytest.fixture(scope="module")
def labels():
    if FLOAT32:
        pytest.skip("needs float64")
    return soft_label("tiny", seeds=2)


@pytest.mark.slow
def test_checks_of_deep_linear_pass_at_tiny(networks):
    assert not [check for check in networks.checks() if not check.passed]
    assert all(len(row) == len(HEADER) for row in networks.rows())


@pytest.mark.slow
def test_levels_of_the_deep_network_follow_the_closed_form(networks):
    run = networks.levels[DEEP]
    assert np.abs(networks.sigmoids - run.shares[0]).max() < 1e-2
    assert networks.levels[SHALLOW].spacing.max() < 1.05 < 2 < run.spacing.min()
    assert networks.levels[FLAT].ordered.max() < 1.1


@pytest.mark.slow
def test_checks_of_soft_labels_pass_at_tiny(labels):
    assert not [check for check in labels.checks() if not check.passed]
    assert len(labels.rows()) > len(labels.setting.deltas)  # larger deltas by closed form alone


@pytest.mark.slow
def test_the_squared_error_collapses_contexts_of_one_support(labels):
    """Their targets are equal; cross-entropy, whose targets differ, comes later."""
    first, second = (labels.same[loss] for loss in LOSSES)
    assert np.all(first[:, -1] > 1 - 1e-4) and np.all(second[:, -1] < first[:, -1])
    assert np.abs(first[:, 0]).max() < 0.5


def test_measures_of_known_curves():
    times = np.linspace(0.0, 4.0, 401)
    at_once = np.stack([1 - np.exp(-times)] * 2, axis=1)[None]
    in_turn = np.stack([np.clip(times - begin, 0, 1) for begin in (0.0, 2.0)], axis=1)[None]
    shallow, deep = Levels(times, at_once), Levels(times, in_turn)
    np.testing.assert_allclose(shallow.overlap, 0.5, atol=1e-4)
    np.testing.assert_allclose(shallow.rise, np.log(9) / np.log(2), rtol=1e-3)
    np.testing.assert_allclose([*deep.overlap, *deep.spacing, *deep.ordered, *deep.rise], [0, 5, 5, 1.6], atol=1e-9)
    assert np.isnan(Levels(times, at_once / 2).rise).all()
