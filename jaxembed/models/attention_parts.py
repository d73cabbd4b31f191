"""Attention taken apart: who looks where, what every head writes to the stream, and the model without some heads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int

from .decoder import Decoder

Change = Callable[[int, Array], Array]
"""(layer, mixed values `[example, position, head, width]`) -> what the output matrix reads instead."""


@partial(register_dataclass, data_fields=["states", "weights", "moved", "bias"], meta_fields=[])
@dataclass(frozen=True)
class AttentionParts:
    """What attention did with some sequences.

    Attributes:
        states: `[layers + 2, example, position, width]`, as `Decoder.states`.
        weights: `[layer, example, head, position, position]`, of a query (first) on every key; rows sum to one.
        moved: `[layer, example, head, position, width]`, what a head writes where it looks at this position alone:
            the normalised stream through its value and its output matrix.
        bias: `[layer, width]`, of the output, which belongs to no head.
    """

    states: Float[Array, "... example position width"]
    weights: Float[Array, "layer example head position position"]
    moved: Float[Array, "layer example head position width"]
    bias: Float[Array, "layer width"]

    @property
    def writes(self) -> Float[Array, "layer example head position width"]:
        """What every head adds to the stream; with the bias, the heads' sum is all that attention adds."""
        return jnp.einsum("lehij,lehjd->lehid", self.weights, self.moved)


def read_attention(model: Decoder, params: dict[str, Any], tokens: Int[Array, "example position"]) -> AttentionParts:
    """The weights and writes of every layer and head.

    Args:
        model: the decoder.
        params: its parameters.
        tokens: `[example, position]`.

    >>> model = Decoder(layers=1, heads=2)
    >>> parts = read_attention(model, model.init(jax.random.key(0), 10, 3), jnp.zeros((5, 3), int))
    >>> parts.weights.shape, parts.moved.shape
    ((1, 5, 2, 3, 3), (1, 5, 2, 3, 32))
    """
    weights, values = [], []

    def attend(query: Array, key: Array, value: Array) -> Array:
        weights.append(_weights(query, key))
        values.append(_per_query(value, query.shape[2]))
        return jnp.einsum("ehij,ejhd->eihd", weights[-1].astype(value.dtype), values[-1])

    stream = model._module(params, tokens.shape[1]).states(tokens, attend)
    states = jnp.stack(stream).reshape(len(stream), *tokens.shape, -1)
    layers = [params["blocks"][f"layer{i}"]["attention"] for i in range(model.layers)]
    moved = [_written(model, layer, value) for layer, value in zip(layers, values, strict=True)]
    bias = [layer.get("out_bias", jnp.zeros(model.width, states.dtype)) for layer in layers]
    return AttentionParts(states, jnp.stack(weights), jnp.stack(moved), jnp.stack(bias))


def moved_from(
    model: Decoder, params: dict[str, Any], stream: Float[Array, "example position width"]
) -> Float[Array, "layer example head position width"]:
    """What every layer's heads would move from one and the same stream, such as the embeddings.

    Args:
        model: the decoder.
        params: its parameters.
        stream: `[example, position, width]`.
    """
    module, (examples, length, _) = model._module(params, stream.shape[1]), stream.shape
    moved = []
    for i in range(model.layers):
        values: list[Array] = []

        def attend(query: Array, key: Array, value: Array, values: list[Array] = values) -> Array:
            values.append(_per_query(value, query.shape[2]))
            return query

        block = module.blocks[f"layer{i}"]
        block.attention(block.attention_norm(stream.reshape(examples * length, -1)), examples, attend)
        moved.append(_written(model, params["blocks"][f"layer{i}"]["attention"], values[0]))
    return jnp.stack(moved)


def changed_states(
    model: Decoder, params: dict[str, Any], tokens: Int[Array, "example position"], change: Change
) -> Float[Array, "layer example position width"]:
    """The stream at every depth where the heads' mixed values are changed on the way.

    Args:
        model: the decoder.
        params: its parameters.
        tokens: `[example, position]`.
        change: what becomes of the mixed values of a layer, before the output matrix.

    Returns:
        `[layers + 2, example, position, width]`, as `Decoder.states`.

    >>> model, tokens = Decoder(layers=1), jnp.zeros((5, 3), int)
    >>> params = model.init(jax.random.key(0), 10, 3)
    >>> kept = changed_states(model, params, tokens, lambda layer, mixed: mixed)
    >>> bool(jnp.allclose(kept, model.states(params, tokens), rtol=1e-4))
    True
    """
    layer = iter(range(model.layers))

    def attend(query: Array, key: Array, value: Array) -> Array:
        values = _per_query(value, query.shape[2])
        mixed = jnp.einsum("ehij,ejhd->eihd", _weights(query, key).astype(value.dtype), values)
        return change(next(layer), mixed)

    stream = model._module(params, tokens.shape[1]).states(tokens, attend)
    return jnp.stack(stream).reshape(len(stream), *tokens.shape, -1)


def _weights(
    query: Float[Array, "example position head width"], key: Float[Array, "example position ... width"]
) -> Float[Array, "example head position position"]:
    """Causal softmax of the scaled products, in float32 at least."""
    wide = np.promote_types(query.dtype, np.float32)
    keys = _per_query(key, query.shape[2])
    scores = jnp.einsum("eihd,ejhd->ehij", query, keys, preferred_element_type=wide)
    past = np.tril(np.ones((query.shape[1],) * 2, bool))
    scaled = scores * np.asarray(query.shape[3] ** -0.5, wide)
    return jax.nn.softmax(jnp.where(jnp.asarray(past)[None, None], scaled, -jnp.inf))


def _per_query(
    x: Float[Array, "example position ... width"], heads: int
) -> Float[Array, "example position head width"]:
    """One key or value head for every query head: neighbours share one."""
    return jnp.repeat(x, heads // x.shape[2], axis=2)


def _written(
    model: Decoder, layer: dict[str, Any], values: Float[Array, "example position head width"]
) -> Float[Array, "example head position width"]:
    """Values of every head through its rows of the output matrix."""
    out = jnp.asarray(layer["out"]).reshape(model.heads, model.head_units, model.width)
    return jnp.einsum("ejhu,hud->ehjd", values, out)
