"""Lazy and rich at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.lazy_rich import INIT, ORIGIN, STUDY, THEORIES

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
def test_the_regimes_separate_at_tiny(result, tends):
    rows = STUDY.evidence(result)
    assert {row.id for row in rows if tends(row)} == {"rich-small-init", "lazy-large-init"}


@pytest.mark.slow
def test_every_theory_at_every_scale(result):
    shape = (len(result.setting.init_scales), 2)
    assert set(result.horizons["linear"]) == set(THEORIES)
    assert all(found.shape == shape for found in result.horizons["linear"].values())


@pytest.mark.slow
def test_order_one_is_one_theory_at_small_scales(result):
    """Around a start close to the origin the two linear theories coincide; the linearised network's does not."""
    origin, init, line = (result.horizons["linear"][n][0] for n in (ORIGIN[0], INIT[0], INIT[2]))
    assert np.allclose(origin, init, rtol=0.05) and np.all(line < 0.5 * init)


@pytest.mark.slow
def test_more_orders_help_where_an_expansion_holds(result):
    found = result.horizons["linear"]
    assert np.all(found[ORIGIN[1]][0] > found[ORIGIN[0]][0])
    assert np.all(found[INIT[1]][-2] > found[INIT[0]][-2])
