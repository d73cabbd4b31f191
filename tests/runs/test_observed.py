"""Controls are drawn anew for every seed, and trained in one call whatever their sizes."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest

from jaxembed.base import checked_dataset
from jaxembed.corpus import TextBigram
from jaxembed.models import Linear
from jaxembed.runs import Experiment, observed, run
from jaxembed.tasks import Addition, shuffled

pytestmark = pytest.mark.float64_only("theory at small weights needs it")


@dataclass(frozen=True)
class Growing:
    """A task whose control has as many examples as its seed says."""

    def dataset(self):
        return checked_dataset([[0], [1], [2]], [0, 1, 2], None, 3)

    def control(self, seed):
        rows = np.arange(2 + seed)
        return checked_dataset((rows % 3)[:, None], rows * rows % 3, None, 3)


def test_every_seed_has_a_relabelling_of_its_own():
    task = Addition(keys=4, anchors=3)
    data = task.dataset()
    drawn = observed.control_data(task, data, 7, 3)
    assert len({tuple(each.targets.tolist()) for each in drawn}) == 3
    for seed, each in enumerate(drawn):
        np.testing.assert_array_equal(each.targets, shuffled(data, 7 + seed).targets)


def test_controls_of_other_sizes_get_examples_of_no_weight():
    drawn = observed.control_data(Growing(), Growing().dataset(), 0, 3)
    assert {each.size for each in drawn} == {5}
    for seed, each in enumerate(drawn):
        own = Growing().control(seed)
        np.testing.assert_array_equal(each.weights[: own.size], own.weights)
        assert each.weights[own.size :].tolist() == [0.0] * (5 - own.size)


def ends(result, name):
    return np.asarray(result.trajectories[name].ys["embed"][:, -1])


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 4])
@pytest.mark.parametrize("task", [Growing(), TextBigram(vocab_size=12)], ids=["own sizes", "shuffled words"])
def test_each_seed_is_trained_on_its_own_control(task, batch):
    experiment = Experiment(task, Linear(3, 0.05), seeds=2, steps=4, saves=2, flow_time=1.0, batch=batch)
    together = run(experiment)
    alone = run(dataclasses.replace(experiment, seeds=1))
    for ours, theirs in zip(together.agreements, alone.agreements, strict=True):
        assert ours.null.shape == (2,)
        if batch is None:  # the keys of minibatches are split by the number of seeds
            np.testing.assert_allclose(ours.null[0], theirs.null[0], rtol=1e-6, atol=1e-9)
    control = "rung 1, shuffled words" if isinstance(task, TextBigram) else "rung 1, shuffled labels"
    if batch is None:
        np.testing.assert_allclose(ends(together, control)[0], ends(alone, control)[0], rtol=1e-5, atol=1e-12)
    assert not np.allclose(ends(together, control)[0], ends(together, control)[1])
