"""The linearised network: the model's tangent at the base, whatever the distance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxembed as je
from jaxembed.base import Model
from jaxembed.models import AttentionOnly, Feedforward, linearised

TOKENS = jnp.array([1, 4, 1])


def moved(params, by):
    return jax.tree.map(lambda leaf: leaf + by * jnp.cos(3 * leaf), params)


def test_it_is_the_tangent_at_the_base(tolerance):
    model = Feedforward(4, 3, "tanh", init_scale=0.5)
    base = model.init(jax.random.key(0), 6, 3)
    tangent = linearised(model, base)
    assert isinstance(tangent, Model)
    np.testing.assert_allclose(tangent.apply(base, TOKENS), model.apply(base, TOKENS), rtol=0, atol=tolerance)
    start, near, far = (tangent.apply(moved(base, by), TOKENS) for by in (0.0, 1.0, 2.0))
    np.testing.assert_allclose(far - start, 2 * (near - start), rtol=0, atol=100 * tolerance)
    assert np.abs(near - model.apply(moved(base, 1.0), TOKENS)).max() > 0.1  # the model itself is not linear
    jacobian = jax.jacobian(model.apply)(base, TOKENS)
    product = sum(jnp.tensordot(jacobian[name], moved(base, 1.0)[name] - base[name], base[name].ndim) for name in base)
    np.testing.assert_allclose(near - start, product, rtol=0, atol=100 * tolerance)


def test_losses_and_sequence_models_take_it(tolerance):
    model = AttentionOnly(1, init_scale=0.5)
    base = model.init(jax.random.key(0), 5, 3)
    loss, tangent = (je.sequence_loss(m, np.array([[1, 2, 3, 4]]), 5) for m in (model, linearised(model, base)))
    assert abs(float(loss(base) - tangent(base))) < tolerance
    assert abs(float(loss(moved(base, 0.5)) - tangent(moved(base, 0.5)))) > 1e-3
    assert float(jax.jit(lambda loss, p: loss(p))(tangent, base)) == pytest.approx(float(tangent(base)))


def test_parameters_of_another_tree_are_refused():
    tangent = linearised(lambda p: p["a"] ** 2, {"a": jnp.ones(())})
    with pytest.raises(ValueError, match=r"params: tree .* differs from base"):
        tangent({"b": jnp.ones(())})
