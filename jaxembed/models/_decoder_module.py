"""The decoder's layers in flax.nnx. Imported only where a decoder is built, since flax takes a second to load."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from .decoder import Decoder
from .rotary import rotate


class RMSNorm(nnx.Module):
    """x / root mean square(x), times one gain per unit."""

    def __init__(self, settings: Decoder) -> None:
        self.gain = nnx.Param(jnp.ones(settings.width, float))
        self.floor = settings.norm_floor

    def __call__(self, x: Float[Array, "position width"]) -> Float[Array, "position width"]:
        square = jnp.mean(jnp.square(x), axis=1, keepdims=True)
        return x * jax.lax.rsqrt(square + jnp.asarray(self.floor, x.dtype)) * self.gain[...][None, :]


class Attention(nnx.Module):
    """Causal multi-head attention with rotary positions."""

    def __init__(self, settings: Decoder, rngs: nnx.Rngs) -> None:
        width = settings.width
        self.query, self.key, self.value, self.out = (_matrix(rngs, width, width, settings) for _ in range(4))
        self.heads, self.base = settings.heads, settings.rotary_base

    def __call__(self, x: Float[Array, "position width"]) -> Float[Array, "position width"]:
        query, key, value = (self._split(x @ matrix[...]) for matrix in (self.query, self.key, self.value))
        places = np.arange(x.shape[0])
        query, key = rotate(query, places, self.base), rotate(key, places, self.base)
        scores = jnp.einsum("ihd,jhd->hij", query, key) / np.asarray(query.shape[-1] ** 0.5, x.dtype)
        past = jnp.asarray(places[:, None] >= places[None, :])[None]
        weights = jax.nn.softmax(jnp.where(past, scores, -jnp.inf), axis=-1)
        return jnp.einsum("hij,jhd->ihd", weights, value).reshape(x.shape) @ self.out[...]

    def _split(self, x: Float[Array, "position width"]) -> Float[Array, "position head width"]:
        return x.reshape(x.shape[0], self.heads, -1)


class SwiGLU(nnx.Module):
    """(silu(x G) * x W) D."""

    def __init__(self, settings: Decoder, rngs: nnx.Rngs) -> None:
        self.gate, self.up = (_matrix(rngs, settings.width, settings.hidden, settings) for _ in range(2))
        self.down = _matrix(rngs, settings.hidden, settings.width, settings)

    def __call__(self, x: Float[Array, "position width"]) -> Float[Array, "position width"]:
        return (jax.nn.silu(x @ self.gate[...]) * (x @ self.up[...])) @ self.down[...]


class Block(nnx.Module):
    """Attention, then SwiGLU, each on normalised input and added to the stream."""

    def __init__(self, settings: Decoder, rngs: nnx.Rngs) -> None:
        self.attention_norm, self.attention = RMSNorm(settings), Attention(settings, rngs)
        self.mlp_norm, self.mlp = RMSNorm(settings), SwiGLU(settings, rngs)

    def __call__(self, x: Float[Array, "position width"]) -> Float[Array, "position width"]:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class DecoderModule(nnx.Module):
    """Embedding, blocks, last norm, head; the head is the embedding's own table where `tied`."""

    def __init__(self, settings: Decoder, vocab: int, rngs: nnx.Rngs) -> None:
        self.embed = _matrix(rngs, vocab, settings.width, settings)
        self.blocks = nnx.Dict({f"layer{i}": Block(settings, rngs) for i in range(settings.layers)})
        self.norm = RMSNorm(settings)
        self.tied = settings.tied
        if not settings.tied:
            self.unembed = _matrix(rngs, vocab, settings.width, settings)

    def __call__(self, tokens: Int[Array, " position"]) -> Float[Array, "position token"]:
        x = self.embed[...][tokens]
        for i in range(len(self.blocks)):
            x = self.blocks[f"layer{i}"](x)
        head = self.embed if self.tied else self.unembed
        return self.norm(x) @ head[...].T


def _matrix(rngs: nnx.Rngs, rows: int, columns: int, settings: Decoder) -> Any:
    draws = jax.random.normal(rngs.params(), (rows, columns), float)
    return nnx.Param(draws * jnp.asarray(settings.init_scale, draws.dtype))
