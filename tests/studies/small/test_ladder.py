"""The ladder at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.ladder import CURVES, SETTINGS, STUDY

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
def test_float32_is_refused():
    with pytest.raises(ValueError, match="needs float64"):
        STUDY.result("tiny")


@pytest.fixture(scope="module")
def result():
    if FLOAT32:
        pytest.skip("the ladder needs float64")
    return STUDY.result("tiny")


@pytest.mark.slow
def test_all_curves_of_all_seeds(result):
    assert tuple(result.errors) == CURVES
    assert all(errors.shape == (2, len(result.times)) for errors in result.errors.values())


@pytest.mark.slow
def test_what_is_expected_holds_at_tiny_too_but_for_the_later_time(result, tends):
    held = {row.id for row in STUDY.evidence(result) if tends(row)}
    assert held >= set(STUDY.ids) - {"ladder-rung-1"}


@pytest.mark.slow
def test_each_rung_improves_on_the_one_below(result):
    for time in (0.5, 0.9, 1.0):
        assert np.all(result.at("rung 1", time) < 0.2 * result.at("rung 0", time))


@pytest.mark.slow
def test_a_theory_of_other_data_fails(result):
    assert result.at("rung 1, shuffled labels", 0.5).min() > 0.05
    assert result.at("frozen", 0.9).min() > 0.9


@pytest.mark.slow
def test_horizons_at_every_scale(result):
    for rung, found in result.horizons.items():
        assert tuple(found) == SETTINGS["tiny"].init_scales, rung
    for scale in SETTINGS["tiny"].init_scales:
        assert np.all(result.horizons["rung 1"][scale] > result.horizons["rung 0"][scale])
