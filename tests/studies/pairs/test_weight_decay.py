"""Weight decay and noisy labels at size tiny."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import accuracy, population_loss
from jaxembed.models import TwoPosition
from jaxembed.studies.pairs.weight_decay import PARTS, REGIMES, SETTINGS, STUDY, PairTableLoss, _table, regime
from jaxembed.tasks import BinaryTable


@pytest.fixture(scope="module")
def result():
    return STUDY.result("tiny", seeds=2)


@pytest.mark.slow
def test_both_regimes_at_tiny(result, tends):
    held = {row.id for row in STUDY.evidence(result) if tends(row)}
    assert held >= {"decay-none-memorises", "decay-large-collapses", "decay-regimes", "decay-collapse-foreseen"}


@pytest.mark.slow
def test_every_decay_starts_alike_and_ends_apart(result):
    none, much = SETTINGS["tiny"].decays
    for part in PARTS:
        np.testing.assert_array_equal(result.accuracies[none][part][:, 0], result.accuracies[much][part][:, 0])
    assert np.all(result.norms[none][:, -1] > result.norms[none][:, 0])
    assert np.all(result.norms[much][:, -1] < 1e-2 * result.norms[much][:, 0])
    assert np.all(result.escape < much), "the theory's threshold lies below the decay that collapses"


@pytest.mark.slow
def test_the_dense_loss_is_the_population_loss(tolerance):
    data = BinaryTable(5, label_noise=0.3, train_share=0.8).dataset()
    model = TwoPosition(4, init_scale=1.0)
    params = model.init(jax.random.key(0), 5, 2)
    table = _table(data).astype(params["embed"].dtype)
    dense = PairTableLoss(table, model.activation)
    assert abs(float(dense(params)) - float(population_loss(model, data)(params))) < 1e-6
    best = jax.nn.one_hot(jnp.argmax(dense.logits(params), axis=1), 5, dtype=table.dtype)
    assert abs(float(jnp.sum(best * table)) - float(accuracy(model, data, params))) < 1e-6


@pytest.mark.parametrize(
    ("finals", "name"),
    [
        ((1.0, 1.0, 0.01, 5.0), REGIMES[0]),
        ((1.0, 0.99, 0.9, 5.0), REGIMES[1]),
        ((1.0, 0.2, 0.9, 5.0), REGIMES[2]),
        ((0.02, 0.02, 0.02, 1e-9), REGIMES[3]),
        ((1.0, 0.7, 0.9, 5.0), "between"),
        ((0.3, 0.1, 0.0, 1.0), "between"),
    ],
)
def test_regimes_by_final_accuracies(finals, name):
    assert regime(*finals) == name


def test_sizes_are_those_published_where_asked():
    large = SETTINGS["published"]
    assert (large.size, large.width, large.decays) == (113, 2000, (0.0, 1e-4, 5e-4, 1e-3))
