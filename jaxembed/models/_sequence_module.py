"""The layers of the sequence transformer in flax.nnx. Imported only where one is built: flax takes a second to load.

Activations are `[sequence * position, width]`: matrix products of two-dimensional arrays, and above all their weight
gradients, run at twice the speed of three-dimensional ones.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float

from ._norms import LayerNorm
from .attention import attention
from .sequence_transformer import Items, SequenceTransformer

Drop = Callable[[Array], Array]
WAVES = 10_000.0
"""Slowest wavelength of the sinusoidal positions, over 2 pi."""
FLOOR = 1e-5
"""Added to the variance in the norms."""


class Affine(nnx.Module):
    """x times a matrix of normal entries that keeps the size of x, plus a bias that starts at zero."""

    def __init__(self, rngs: nnx.Rngs, rows: int, columns: int, dtype: Any) -> None:
        self.matrix, self.bias = _matrix(rngs, rows, columns, rows**-0.5, dtype), nnx.Param(jnp.zeros(columns, dtype))

    def __call__(self, x: Float[Array, "... width"]) -> Float[Array, "... width"]:
        return x @ self.matrix[...] + self.bias[...][None, :]


class SequenceBlock(nnx.Module):
    """Attention, then the MLP, each added to the stream, with the norm before the part or after the sum."""

    def __init__(self, settings: SequenceTransformer, dtype: Any, rngs: nnx.Rngs) -> None:
        width = settings.width
        self.mix, self.out = Affine(rngs, width, 3 * width, dtype), Affine(rngs, width, width, dtype)
        self.up, self.down = (
            Affine(rngs, width, settings.mlp_width, dtype),
            Affine(rngs, settings.mlp_width, width, dtype),
        )
        self.attention_norm, self.mlp_norm = LayerNorm(width, FLOOR, dtype), LayerNorm(width, FLOOR, dtype)
        self.settings = settings

    def __call__(self, x: Float[Array, "... width"], sequences: int, drop: "Dropout") -> Float[Array, "... width"]:
        if self.settings.norm == "pre":
            x = x + drop(self._attend(self.attention_norm(x), sequences, drop))
            return x + drop(self._think(self.mlp_norm(x), drop))
        x = self.attention_norm(x + drop(self._attend(x, sequences, drop)))
        return self.mlp_norm(x + drop(self._think(x, drop)))

    def _attend(self, x: Array, sequences: int, drop: "Dropout") -> Array:
        heads = self.settings.heads
        query, key, value = (
            part.reshape(sequences, -1, heads, part.shape[1] // heads) for part in jnp.split(self.mix(x), 3, axis=1)
        )
        mixed = attention(query, key, value, causal=self.settings.causal, drop=drop if drop.active else None)
        return self.out(mixed.reshape(x.shape))

    def _think(self, x: Array, drop: "Dropout") -> Array:
        inner = self.up(x)
        inner = jax.nn.relu(inner) if self.settings.activation == "relu" else jax.nn.gelu(inner, approximate=True)
        return self.down(drop(inner))


class SequenceModule(nnx.Module):
    """Embedding and positions, blocks, last norm where pre-normalised, head."""

    def __init__(self, settings: SequenceTransformer, size: int, outputs: int, dtype: np.dtype, rngs: nnx.Rngs) -> None:
        width = settings.width
        self.embed = _matrix(rngs, size + (not settings.causal), width, width**-0.5, dtype)
        if settings.reads == "reals":
            self.embed_bias = nnx.Param(jnp.zeros(width, dtype))
        if settings.positions == "learned":  # as large as the sinusoids
            self.positions = _matrix(rngs, settings.max_positions, width, 0.5**0.5, dtype)
        self.blocks = nnx.Dict({f"layer{i}": SequenceBlock(settings, dtype, rngs) for i in range(settings.layers)})
        if settings.norm == "pre":
            self.norm = LayerNorm(width, FLOOR, dtype)
        self.head = _matrix(rngs, width, outputs, width**-0.5, dtype)
        self.head_bias = nnx.Param(jnp.zeros(outputs, dtype))
        self.settings = settings

    def states(
        self, items: Items, key: Array | None, masked: Bool[Array, "sequence position"] | None
    ) -> list[Float[Array, "... width"]]:
        """The stream `[sequence * position, width]`: embedding, after every block, what the head reads."""
        drop = Dropout(self.settings.dropout, key)
        stream = [drop(self._start(items, masked))]
        for i in range(self.settings.layers):
            stream.append(self.blocks[f"layer{i}"](stream[-1], items.shape[0], drop))
        return [*stream, self.norm(stream[-1]) if self.settings.norm == "pre" else stream[-1]]

    def answer(self, x: Float[Array, "... width"]) -> Float[Array, "... target"]:
        """What the head makes of the last state."""
        return x @ self.head[...] + self.head_bias[...][None, :]

    def _start(self, items: Items, masked: Array | None) -> Array:
        table = self.embed[...]
        embedded = self._vectors(items, masked) if self.settings.reads == "reals" else self._tokens(items, masked)
        places = np.tile(np.arange(items.shape[1]), items.shape[0])
        if self.settings.positions == "learned":
            positions = self.positions[...][places]
        else:
            waves = sinusoids(items.shape[1], self.settings.width)
            positions = jnp.tile(jnp.asarray(waves, table.dtype), (items.shape[0], 1))
        return embedded * np.asarray(self.settings.width**0.5, table.dtype) + positions

    def _tokens(self, ids: Array, masked: Array | None) -> Array:
        table = self.embed[...]
        seen = ids if masked is None else jnp.where(masked, jnp.asarray(table.shape[0] - 1, ids.dtype), ids)
        return table[seen.reshape(-1)]

    def _vectors(self, items: Array, masked: Array | None) -> Array:
        """Vectors times the matrix; a model that reads masks has a coordinate that is 1 where all others are hidden."""
        rows = items.reshape(-1, items.shape[2]).astype(self.embed[...].dtype)
        if not self.settings.causal:
            hidden = jnp.zeros(rows.shape[:1], bool) if masked is None else masked.reshape(-1)
            rows = jnp.concatenate([jnp.where(hidden[:, None], 0, rows), hidden[:, None].astype(rows.dtype)], axis=1)
        return rows @ self.embed[...] + self.embed_bias[...][None, :]


class Dropout:
    """Drops a share of numbers and scales up the others, at every call with a key of its own; none without a key."""

    def __init__(self, rate: float, key: Array | None) -> None:
        self.rate, self.key, self.calls = rate, key, 0
        self.active = key is not None and rate > 0

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        if self.key is None or not self.active:
            return x
        self.calls += 1
        bits = jax.random.bits(jax.random.fold_in(self.key, self.calls), x.shape, jnp.uint16)
        kept = bits >= np.uint16(round(self.rate * 2**16))
        return jnp.where(kept, x / np.asarray(1 - self.rate, x.dtype), 0)


def sinusoids(length: int, width: int) -> Float[np.ndarray, "position width"]:
    """Sine and cosine of every position at width / 2 wavelengths from 2 pi to 2 pi x `WAVES`, side by side."""
    angles = np.arange(length)[:, None] * WAVES ** (-np.arange(0, width, 2) / width)[None, :]
    return np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(length, width)


def _matrix(rngs: nnx.Rngs, rows: int, columns: int, scale: float, dtype: Any) -> Any:
    return nnx.Param(jax.random.normal(rngs.params(), (rows, columns), dtype) * np.asarray(scale, dtype))
