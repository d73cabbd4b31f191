"""The decoder's layers in flax.nnx. Imported only where a decoder is built, since flax takes a second to load.

Activations are `[example * position, width]`: matrix products of two-dimensional arrays, and above all their weight
gradients, run at twice the speed of three-dimensional ones.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from ._norms import NORMS, row, wide
from .decoder import Decoder
from .rotary import rotate

Attend = Callable[[Array, Array, Array], Array]
"""(query, key, value), each `[example, position, head, width]` -> `[example, position, head, width]`."""


class Attention(nnx.Module):
    """Causal attention; groups of query heads may share one key and value head."""

    def __init__(self, settings: Decoder, rngs: nnx.Rngs) -> None:
        width, queries, keys = settings.width, settings.query_width, settings.key_width
        self.query = _matrix(rngs, width, queries, settings.init_scale)
        self.key, self.value = (_matrix(rngs, width, keys, settings.init_scale) for _ in range(2))
        self.out = _matrix(rngs, queries, width, settings.residual_scale)
        if settings.qkv_bias:
            self.query_bias, self.key_bias, self.value_bias = (_zeros(size) for size in (queries, keys, keys))
        if settings.out_bias:
            self.out_bias = _zeros(width)
        self.settings = settings

    def __call__(self, x: Float[Array, "... width"], examples: int, attend: Attend) -> Float[Array, "... width"]:
        units = self.settings.head_units
        parts = (_affine(self, name, x) for name in ("query", "key", "value"))
        query, key, value = (part.reshape(examples, -1, part.shape[1] // units, units) for part in parts)
        if self.settings.positions == "rotary":
            places, turn = np.arange(query.shape[1]), (self.settings.rotary_base, self.settings.rotary_scaling)
            query, key = rotate(query, places, *turn), rotate(key, places, *turn)
        return _affine(self, "out", attend(query, key, value).reshape(x.shape[0], -1))


class MLP(nnx.Module):
    """SwiGLU, (silu(x G) * x W) D, or the tanh form of GELU, gelu(x W) D."""

    def __init__(self, settings: Decoder, rngs: nnx.Rngs) -> None:
        names = ("gate", "up") if settings.activation == "swiglu" else ("up",)
        for name in names:
            setattr(self, name, _matrix(rngs, settings.width, settings.mlp_width, settings.init_scale))
        self.down = _matrix(rngs, settings.mlp_width, settings.width, settings.residual_scale)
        if settings.mlp_bias:
            for name in names:
                setattr(self, f"{name}_bias", _zeros(settings.mlp_width))
            self.down_bias = _zeros(settings.width)
        self.gated = settings.activation == "swiglu"

    def __call__(self, x: Float[Array, "... width"]) -> Float[Array, "... width"]:
        up = _affine(self, "up", x)
        inner = jax.nn.silu(_affine(self, "gate", x)) * up if self.gated else jax.nn.gelu(up, approximate=True)
        return _affine(self, "down", inner)


class DecoderBlock(nnx.Module):
    """Attention, then the MLP, each on normalised input and added to the stream."""

    def __init__(self, settings: Decoder, rngs: nnx.Rngs) -> None:
        norm = settings.width, settings.norm_floor
        self.attention_norm, self.attention = NORMS[settings.norm](*norm), Attention(settings, rngs)
        self.mlp_norm, self.mlp = NORMS[settings.norm](*norm), MLP(settings, rngs)

    def __call__(self, x: Float[Array, "... width"], examples: int, attend: Attend) -> Float[Array, "... width"]:
        x = x + self.attention(self.attention_norm(x), examples, attend)
        return x + self.mlp(self.mlp_norm(x))


class DecoderModule(nnx.Module):
    """Embedding, blocks, last norm, head; the head is the embedding's own table where `tied`."""

    def __init__(self, settings: Decoder, vocab: int, rngs: nnx.Rngs) -> None:
        self.embed = _matrix(rngs, vocab, settings.width, settings.init_scale)
        if settings.positions == "learned":
            self.positions = _matrix(rngs, settings.max_positions, settings.width, settings.init_scale)
        self.blocks = nnx.Dict({f"layer{i}": DecoderBlock(settings, rngs) for i in range(settings.layers)})
        self.norm = NORMS[settings.norm](settings.width, settings.norm_floor)
        if not settings.tied:
            self.unembed = _matrix(rngs, vocab, settings.width, settings.init_scale)
        self.tied, self.learned = settings.tied, settings.positions == "learned"

    def states(self, tokens: Int[Array, "example position"], attend: Attend) -> list[Float[Array, "... width"]]:
        """The stream `[example * position, width]`: embedding, after every block, after the last norm."""
        stream = [self._start(tokens)]
        for i in range(len(self.blocks)):
            stream.append(self.blocks[f"layer{i}"](stream[-1], tokens.shape[0], attend))
        return [*stream, self.norm(stream[-1])]

    def logits(self, tokens: Int[Array, "example position"], attend: Attend) -> Float[Array, "... token"]:
        """`[example * position, token]`, in float32 at least."""
        x = self.states(tokens, attend)[-1]
        head = self.embed if self.tied else self.unembed
        return wide(x) @ wide(head[...]).T

    def _start(self, tokens: Int[Array, "example position"]) -> Float[Array, "... width"]:
        x = self.embed[...][tokens.reshape(-1)]
        if not self.learned:
            return x
        places = np.tile(np.arange(tokens.shape[1]), tokens.shape[0])
        return x + self.positions[...][places]


def _affine(module: Any, name: str, x: Float[Array, "... width"]) -> Float[Array, "... width"]:
    """x times the matrix `name`, plus the bias that goes with it where there is one."""
    product = x @ getattr(module, name)[...]
    bias = getattr(module, f"{name}_bias", None)
    return product if bias is None else product + row(bias, x.dtype)


def _matrix(rngs: nnx.Rngs, rows: int, columns: int, scale: float) -> Any:
    draws = jax.random.normal(rngs.params(), (rows, columns), float)
    return nnx.Param(draws * jnp.asarray(scale, draws.dtype))


def _zeros(size: int) -> Any:
    return nnx.Param(jnp.zeros(size, float))
