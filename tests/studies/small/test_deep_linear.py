"""Deep linear networks and soft labels at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies import study
from jaxembed.studies.small.deep_linear import DEEP, FLAT, SHALLOW, Levels
from jaxembed.studies.small.soft_label import LOSSES

FLOAT32 = jnp.zeros((), float).dtype == np.float32


@pytest.mark.skipif(not FLOAT32, reason="the refusal concerns float32")
@pytest.mark.parametrize("name", ["deep_linear", "soft_label"])
def test_float32_is_refused(name):
    with pytest.raises(ValueError, match="needs float64"):
        study(name).result("tiny")


@pytest.fixture(scope="module")
def networks():
    if FLOAT32:
        pytest.skip("needs float64")
    return study("deep_linear").result("tiny")


@pytest.fixture(scope="module")
def labels():
    if FLOAT32:
        pytest.skip("needs float64")
    return study("soft_label").result("tiny")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deep_linear", "soft_label"])
def test_all_evidence_holds_at_tiny(name, networks, labels, tends):
    rows = study(name).evidence(networks if name == "deep_linear" else labels)
    assert len(rows) == {"deep_linear": 11, "soft_label": 9}[name]
    assert not [row.id for row in rows if not tends(row)]


@pytest.mark.slow
def test_levels_of_the_deep_network_follow_the_closed_form(networks):
    run = networks.levels[DEEP]
    assert np.abs(networks.sigmoids - run.shares[0]).max() < 1e-2
    spacing = {name: networks.levels[name].measures()["spacing"] for name in (SHALLOW, DEEP)}
    assert spacing[SHALLOW].max() < 1.05 < 2 < spacing[DEEP].min()
    assert networks.levels[FLAT].measures()["ordered"].max() < 1.1


@pytest.mark.slow
def test_step_times_of_larger_deltas_by_closed_form_alone(labels):
    table, _ = study("soft_label").tables(labels)
    assert len(table.rows) > len(labels.setting.deltas)


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
    shallow, deep = (Levels(times, shares).measures() for shares in (at_once, in_turn))
    np.testing.assert_allclose(shallow["overlap"], 0.5, atol=1e-4)
    np.testing.assert_allclose(shallow["rise"], np.log(9) / np.log(2), rtol=1e-3)
    np.testing.assert_allclose([deep[name][0] for name in ("overlap", "spacing", "ordered", "rise")], [0, 5, 5, 1.6],
                               atol=1e-9)  # fmt: skip
    assert np.isnan(Levels(times, at_once / 2).measures()["rise"]).all()
