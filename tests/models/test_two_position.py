"""The two-position model by hand, its start, and weight decay."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import decayed, gradient_flow, minibatch_loss, population_loss
from jaxembed.models import TwoPosition
from jaxembed.tasks import BinaryTable


@pytest.fixture(scope="module")
def params():
    return TwoPosition(5, init_scale=1.0).init(jax.random.key(0), 7, 2)


def test_logits_by_hand_and_order_matters(params, tolerance):
    p = {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}
    model = TwoPosition(5, "square")
    expected = [np.sum(row * (p["embed"][3] + p["second"][1]) ** 2) for row in p["unembed"]]
    found = model.apply(params, jnp.array([3, 1]))
    np.testing.assert_allclose(found, expected, rtol=100 * tolerance)
    assert np.max(np.abs(found - model.apply(params, jnp.array([1, 3])))) > 0.1


@pytest.mark.parametrize(("init_scale", "scale"), [(None, 100**-0.5), (0.3, 0.3)])
def test_all_tables_start_at_one_scale(init_scale, scale):
    params = TwoPosition(100, init_scale=init_scale).init(jax.random.key(0), 200, 2)
    assert list(params) == ["embed", "second", "unembed"]
    for table in params.values():
        assert abs(float(jnp.std(table)) / scale - 1) < 0.03
    assert np.max(np.abs(np.corrcoef([np.ravel(table) for table in params.values()]) - np.eye(3))) < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TwoPosition(0), "width: must be at least 1, got 0"),
        (lambda: TwoPosition(init_scale=-1.0), "init_scale: must be a positive number, got -1.0"),
        (lambda: TwoPosition(activation="gelo"), "activation: unknown 'gelo'"),
        (lambda: TwoPosition().init(jax.random.key(0), 7, 3), "length: this model reads pairs of tokens, got"),
        (lambda: decayed(lambda params: 0.0, -1.0), "weight_decay: must be 0 or positive, got -1.0"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)


def test_decay_subtracts_the_parameters_from_the_flow(params, tolerance):
    loss = population_loss(TwoPosition(5), BinaryTable(7).dataset())
    plain, decayed_flow = gradient_flow(loss)(0.0, params), gradient_flow(decayed(loss, 0.25))(0.0, params)
    for name, leaf in params.items():
        np.testing.assert_allclose(decayed_flow[name], plain[name] - 0.25 * leaf, atol=10 * tolerance)


def test_decayed_losses_map_over_decay_and_pass_keys_on(params, tolerance):
    data, model = BinaryTable(7).dataset(), TwoPosition(5)
    size = sum(float(jnp.sum(leaf**2)) for leaf in params.values())
    loss = population_loss(model, data)
    values = jax.jit(jax.vmap(lambda decay: decayed(loss, decay)(params)))(jnp.array([0.0, 2.0]))
    np.testing.assert_allclose(values[1] - values[0], size, rtol=100 * tolerance)
    batch, key = minibatch_loss(model, data, 8), jax.random.key(3)
    np.testing.assert_allclose(decayed(batch, 2.0)(params, key) - batch(params, key), size, rtol=100 * tolerance)
