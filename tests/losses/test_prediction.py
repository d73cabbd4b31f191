"""Losses of the next item and of masked items, on a process small enough to check by hand."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.losses.prediction import Network, masked_loss, next_item_loss, random_places
from jaxembed.models import Categorical, Gaussian, SequenceTransformer
from jaxembed.processes import Draw

MODEL = SequenceTransformer(width=8, layers=1, heads=2, mlp_width=6)
MASKED = SequenceTransformer(width=8, layers=1, heads=2, mlp_width=6, causal=False)


def drawn(model, size):
    """Parameters of the right shapes, drawn without compiling anything."""
    rng, shapes = np.random.default_rng(0), jax.eval_shape(lambda: model.init(jax.random.key(0), size, 2, jnp.float32))
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), leaf.dtype), shapes)


class Coins:
    """Fair coins; as reals they are in the default float, which a float32 network has to be spared."""

    size: ClassVar[int] = 2

    def __init__(self, reads):
        self.reads = reads

    def sample(self, key, world, sequences, length):
        items = jax.random.bernoulli(key, 0.5, (sequences, length))
        return Draw(items.astype(int) if self.reads == "tokens" else items[..., None].astype(float), {})


def test_the_next_item_is_read_one_place_to_the_right():
    params = drawn(MODEL, 2)
    assert isinstance(MODEL, Network)
    key = jax.random.key(3)

    @jax.jit
    def found(params, key):
        loss = next_item_loss(MODEL, Categorical(), Coins("tokens"), {}, batch=3, length=5)(params, key)
        items = Coins("tokens").sample(jax.random.split(key)[0], {}, 3, 5).items
        return loss, items, jax.nn.log_softmax(MODEL.outputs(params, items))

    loss, items, logs = (np.asarray(part) for part in found(params, key))
    asked = -np.mean([logs[s, n, items[s, n + 1]] for s in range(3) for n in range(4)])
    np.testing.assert_allclose(loss, asked, rtol=1e-4)


def test_masked_items_are_hidden_and_only_they_count():
    params, key = drawn(MASKED, 2), jax.random.key(4)

    @jax.jit
    def found(params, key):
        loss = masked_loss(MASKED, Categorical(), Coins("tokens"), {}, batch=3, length=6, predictions=2)(params, key)
        draw_key, _, mask_key = jax.random.split(key, 3)
        items = Coins("tokens").sample(draw_key, {}, 3, 6).items
        places = random_places(mask_key, 3, 6, 2)
        hidden = items.at[jnp.arange(3)[:, None], places].set(2)  # an id of its own, beyond the vocabulary
        return loss, items, places, jax.nn.log_softmax(MASKED.outputs(params, hidden))

    loss, items, places, logs = (np.asarray(part) for part in found(params, key))
    asked = -np.mean([logs[s, n, items[s, n]] for s in range(3) for n in places[s]])
    np.testing.assert_allclose(loss, asked, rtol=1e-4)


def test_masks_are_random_distinct_and_cover_all_positions():
    places, other = (np.asarray(random_places(jax.random.key(k), 2000, 6, 2)) for k in (0, 1))
    assert (places[:, 0] != places[:, 1]).all()
    shares = np.bincount(places.ravel(), minlength=6) / 4000
    assert np.abs(shares - 1 / 6).max() < 0.03
    assert not np.array_equal(places, other)


def test_a_float32_network_stays_so_on_reals_of_any_dtype():
    model = SequenceTransformer(width=8, layers=1, heads=2, mlp_width=6, reads="reals")
    params = drawn(model, 1)
    loss = next_item_loss(model, Gaussian(), Coins("reals"), {}, batch=2, length=4)
    traced = jax.make_jaxpr(jax.value_and_grad(loss))(params, jax.random.key(0))
    assert {var.aval.dtype for var in traced.jaxpr.outvars} == {np.dtype("float32")}
    products = [e for e in traced.jaxpr.eqns if e.primitive.name == "dot_general"]
    assert products and all(v.aval.dtype == np.float32 for e in products for v in e.invars)


def test_bad_arguments_are_one_line():
    parts = Categorical(), Coins("tokens"), {}
    with pytest.raises(ValueError, match="model: next items need causal=True"):
        next_item_loss(MASKED, *parts, batch=1, length=4)
    with pytest.raises(ValueError, match="length: a sequence needs 2 items"):
        next_item_loss(MODEL, *parts, batch=1, length=1)
    with pytest.raises(ValueError, match="model: masked items need causal=False"):
        masked_loss(MODEL, *parts, batch=1, length=4, predictions=1)
    with pytest.raises(ValueError, match="predictions: must be 1 to the 4 items"):
        masked_loss(MASKED, *parts, batch=1, length=4, predictions=5)
