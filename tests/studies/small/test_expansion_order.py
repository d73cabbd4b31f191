"""The order of the expansion at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.small.expansion_order import CASES, SETTINGS, STUDY

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
def test_float32_is_refused():
    with pytest.raises(ValueError, match="needs float64"):
        STUDY.result("tiny")


@pytest.fixture(scope="module")
def result():
    if FLOAT32:
        pytest.skip("the slopes need float64")
    return STUDY.result("tiny")


@pytest.mark.slow
def test_every_case_order_and_seed_is_measured(result):
    (table,) = STUDY.tables(result)
    assert list(result.cases) == list(CASES)
    assert len(table.rows) == len(CASES) * len(SETTINGS["tiny"].orders)
    for found in result.cases.values():
        assert all(errors.shape == (2, len(found.scales)) for errors in found.errors.values())


@pytest.mark.slow
def test_every_slope_is_the_next_degree_at_tiny(result, tends):
    assert {row.id for row in STUDY.evidence(result) if tends(row)} == set(STUDY.ids)


@pytest.mark.slow
def test_degrees_are_those_of_the_pages(result):
    """Linear: odd degrees only. Three factors in the logits: the first degree is 2. A kept matrix or an init: 1, 0."""
    first = {name: int(np.argmax(found.sizes[0] > 1e-9)) for name, found in result.cases.items()}
    assert [first[name] for name in list(CASES)[:5]] == [1, 1, 2, 1, 0]
    assert result.cases["linear, origin"].next_degree(1) == result.cases["linear, origin"].next_degree(2) == 3


@pytest.mark.slow
def test_other_labels_leave_an_error_of_lower_degree(result):
    for name, found in result.cases.items():
        assert found.slopes().max() < min(found.next_degree(2), 3) - 0.5, name
