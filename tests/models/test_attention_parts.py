"""Attention taken apart adds up to what attention does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.models import Decoder
from jaxembed.models.attention import in_blocks
from jaxembed.models.attention_parts import changed_states, moved_from, read_attention

MODEL = Decoder(8, 2, 4, 12, kv_heads=2, qkv_bias=True, out_bias=True)
"""Heads that share keys, and every bias of attention."""


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(0.4 * rng.normal(size=leaf.shape), leaf.dtype),
        MODEL.init(jax.random.key(0), 9, 6),
    )
    tokens = jnp.asarray(rng.integers(9, size=(3, 6)))
    return params, tokens, jax.jit(read_attention, static_argnums=0)(MODEL, params, tokens)


def close(one, other, tolerance):
    np.testing.assert_allclose(one, other, rtol=100 * tolerance, atol=100 * tolerance)


def test_heads_sum_to_what_attention_adds(case, tolerance):
    params, tokens, parts = case
    close(parts.states, MODEL.states(params, tokens), tolerance)
    close(parts.weights.sum(axis=-1), 1, tolerance)
    assert np.all(np.triu(np.asarray(parts.weights), 1) == 0), "nobody looks ahead"
    module, added = MODEL._module(params, 6), parts.writes.sum(axis=2) + parts.bias[:, None, None]
    for layer in range(MODEL.layers):
        block, stream = module.blocks[f"layer{layer}"], parts.states[layer].reshape(18, 8)
        direct = block.attention(block.attention_norm(stream), 3, in_blocks).reshape(3, 6, 8)
        close(added[layer], direct, tolerance)


def test_a_stream_moves_as_in_its_own_layer(case, tolerance):
    params, _, parts = case
    for layer in range(MODEL.layers):
        close(moved_from(MODEL, params, parts.states[layer])[layer], parts.moved[layer], tolerance)


def test_heads_that_are_switched_off_write_nothing(case, tolerance):
    params, tokens, parts = case
    off = changed_states(MODEL, params, tokens, lambda layer, mixed: mixed * (0 if layer == 1 else 1))
    close(off[:2], parts.states[:2], tolerance)
    block = MODEL._module(params, 6).blocks["layer1"]
    stream = (parts.states[1] + parts.bias[1][None, None]).reshape(18, 8)
    close(off[2], (stream + block.mlp(block.mlp_norm(stream))).reshape(3, 6, 8), tolerance)
    assert float(jnp.abs(off[2] - parts.states[2]).max()) > 1e-2
