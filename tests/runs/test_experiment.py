"""Experiments beyond the main job: pairs with weight decay, a hidden matrix by expansion, a wrong combination."""

import numpy as np
import pytest

from jaxembed.models import Feedforward, TwoPosition
from jaxembed.runs import Experiment, Unkept, run
from jaxembed.tasks import Addition, BinaryTable

pytestmark = pytest.mark.float64_only("theory at small weights needs it")
TABLE = BinaryTable(5, "modular_addition")


def skills(result, prediction):
    return np.asarray(result.comparisons["exact flow", prediction, "weights"].skill)


@pytest.mark.slow
def test_pairs_with_weight_decay_follow_their_theory():
    model = TwoPosition(width=6, init_scale=0.02)
    experiment = Experiment(TABLE, model, seeds=2, steps=40, saves=4, flow_time=20.0, weight_decay=1e-2)
    result = run(experiment)
    best, control = (1 - skills(result, name)[:, -1] for name in ("F1 + F2 + F3", "F1 + F2 + F3, shuffled labels"))
    assert best.max() < 0.01 and control.min() > 10 * best.max()
    assert skills(result, "frozen")[:, 1:].max() <= 1e-9
    norms = np.linalg.norm(np.asarray(result.trajectories["exact flow"].ys["embed"][0]), axis=(1, 2))
    np.testing.assert_allclose(norms[-1] / norms[0], np.exp(-1e-2 * 20.0), rtol=0.1)


@pytest.mark.slow
def test_a_hidden_matrix_is_expanded_around_its_start():
    model = Feedforward(width=4, hidden=5, init_scale=1e-3)
    experiment = Experiment(Addition(keys=4, anchors=3), model, seeds=2, steps=40, saves=4, flow_time=6.0)
    result = run(experiment)
    assert {"F1", "F1 + F2", "F1 + F2 + F3"} < set(result.trajectories)
    errors = [1 - skills(result, name)[:, -1].min() for name in ("F1", "F1 + F2", "F1 + F2 + F3")]
    assert errors[2] < errors[1] < errors[0] < 0.1
    assert skills(result, "F1 + F2 + F3, shuffled labels")[:, -1].max() < 0.9


@pytest.mark.slow
def test_stages_are_counted_and_memory_is_estimated():
    experiment = Experiment(TABLE, TwoPosition(width=4), seeds=1, steps=8, saves=2, flow_time=1.0)
    seen = []
    result = experiment.run(Unkept(lambda name, share=None, /: seen.append(name)))
    assert "power in a unit's dominant mode (embed)" in {row.name for row in result.agreements}
    assert len(seen) == len(set(seen)) == experiment.stages()
    assert experiment.memory() > 8 * 3 * 5 * 4


@pytest.mark.parametrize(("settings", "match"), [({"weight_decay": -1.0}, "weight_decay"), ({}, "flow_time")])
def test_settings_that_do_not_fit_are_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        run(Experiment(TABLE, TwoPosition(width=4), **settings))


def test_pairs_are_asked_for():
    with pytest.raises(ValueError, match="pairs"):
        run(Experiment(Addition(keys=3, anchors=2), TwoPosition(width=4), flow_time=1.0))
