"""The horizon study at size tiny, and its bookkeeping of misses on cells made by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.horizon import SETTINGS, STUDY, Horizons
from jaxembed.studies.small.horizon_errors import TheoryHorizon, within

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
def test_float32_is_refused():
    with pytest.raises(ValueError, match="needs float64"):
        STUDY.result("tiny")


def theory(predicted, observed):
    ones = np.ones(len(observed))
    return TheoryHorizon("task", "model", 1, 2, 1e-3, 10 * ones, ones, np.array(predicted), np.array(observed))


def result_of(*theories):
    return Horizons(theories, SETTINGS["tiny"], ())


def test_a_theory_hits_where_every_seed_does():
    assert theory([10.0, 8.1], [10.0, 10.0]).hit
    assert not theory([10.0, 7.9], [10.0, 10.0]).hit
    assert theory([np.inf], [12.0]).cause().startswith("predicted beyond")
    assert theory([12.0], [np.inf]).cause().startswith("observed beyond the window")
    assert theory([12.0], [np.nan]).cause().startswith("undefined")
    assert theory([14.0], [10.0]).cause().startswith("late")
    assert theory([7.0], [10.0]).cause().startswith("early")


def test_undefined_theories_count_as_misses():
    result = result_of(theory([10.0], [10.0]), theory([10.0], [np.inf]), theory([np.nan], [10.0]))
    assert within(result.ratios()).tolist() == [1 / 3]
    assert len(STUDY.tables(result)[0].rows) == 2
    assert not STUDY.evidence(result)[0].holds()


def test_a_constant_control_does_not_hit_scattered_horizons():
    result = result_of(*(theory([x], [x]) for x in (1.0, 2.0, 4.0, 8.0, 16.0)))
    assert within(result.constant())[0] <= 0.2 < within(result.ratios())[0] == 1.0
    assert np.nanmax(np.abs(result.efolds())) == 0 < np.nanmedian(np.abs(result.constant_efolds()))


@pytest.fixture(scope="module")
def result():
    if FLOAT32:
        pytest.skip("the study needs float64")
    return STUDY.result("tiny")


@pytest.mark.slow
def test_the_share_and_the_control_hold_at_tiny(result, tends):
    held = {row.id for row in STUDY.evidence(result) if tends(row)}
    assert held >= {"horizon-predicted", "horizon-constant", "horizon-grid"}


@pytest.mark.slow
def test_every_theory_of_every_scale(result):
    found = {(c.model, c.order, c.beyond, c.init_scale) for c in result.theories}
    theories = (("linear", 1, 3), ("gelu", 1, 2), ("gelu", 2, 3))
    assert found == {(*theory, scale) for theory in theories for scale in SETTINGS["tiny"].init_scales}


@pytest.mark.slow
def test_shuffled_predictions_are_worse(result):
    spread = [np.nanmedian(np.abs(np.log(ratios))) for ratios in (result.ratios(), result.shuffled())]
    assert 2 * spread[0] < spread[1]
