"""The horizon study at size tiny, and its bookkeeping of misses on cells made by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.horizon import SETTINGS, horizons
from jaxembed.studies.small.horizon_cells import HEADER, Cell, Horizons, within

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
def test_float32_is_refused():
    with pytest.raises(ValueError, match="needs float64"):
        horizons("tiny")


def cell(predicted, observed):
    ones = np.ones(len(observed))
    return Cell("task", "model", 1, 2, 1, 1e-3, 10 * ones, ones, np.array(predicted), np.array(observed))


def test_a_cell_hits_where_every_seed_does():
    assert cell([10.0, 8.1], [10.0, 10.0]).hit
    assert not cell([10.0, 7.9], [10.0, 10.0]).hit
    assert cell([np.inf], [12.0]).cause().startswith("predicted beyond")
    assert cell([12.0], [np.inf]).cause().startswith("observed beyond the window")
    assert cell([12.0], [np.nan]).cause().startswith("undefined")
    assert cell([14.0], [10.0]).cause().startswith("late")
    assert cell([7.0], [10.0]).cause().startswith("early")


def test_undefined_cells_count_as_misses():
    result = Horizons("tiny", 5.0, (cell([10.0], [10.0]), cell([10.0], [np.inf]), cell([np.nan], [10.0])), ())
    assert result.share().tolist() == [1 / 3]
    assert len(result.rows()) == 2 and all(len(row) == len(HEADER) for row in result.rows())
    assert not result.checks()[0].passed


def test_a_constant_control_does_not_hit_scattered_horizons():
    cells = tuple(cell([x], [x]) for x in (1.0, 2.0, 4.0, 8.0, 16.0))
    result = Horizons("tiny", 5.0, cells, ())
    assert within(result.constant())[0] <= 0.2 < result.share()[0] == 1.0
    assert np.nanmax(np.abs(result.efold_errors())) == 0 < np.nanmedian(np.abs(result.constant_efold_errors()))


@pytest.fixture(scope="module")
def result():
    if FLOAT32:
        pytest.skip("the study needs float64")
    return horizons("tiny", seeds=2)


@pytest.mark.slow
def test_checks_pass_at_tiny(result):
    assert not [check for check in result.checks() if not check.passed]


@pytest.mark.slow
def test_every_theory_of_every_scale_is_a_cell(result):
    found = {(c.model, c.order, c.beyond, c.init_scale) for c in result.cells}
    theories = (("linear", 1, 3), ("gelu", 1, 2), ("gelu", 2, 3))
    assert found == {(*theory, scale) for theory in theories for scale in SETTINGS["tiny"].init_scales}


@pytest.mark.slow
def test_shuffled_predictions_are_worse(result):
    spread = [np.nanmedian(np.abs(np.log(ratios))) for ratios in (result.ratios(), result.shuffled())]
    assert 2 * spread[0] < spread[1]
