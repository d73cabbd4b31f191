"""Attention of grouped heads, to the past or to all: JAX's own on accelerators, blocks of queries on processors."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..base import at_least_single

BLOCK, MOST_BLOCKS = 64, 16
"""Queries of one block where they are few enough, and else in how many blocks a sequence is taken, to bound compiling.

Forward and backward on a core, 8 sequences of 256, 4 heads of 64 units on 2: dot_product_attention 40 ms, blocks of 32
12 ms, of 64 12 ms, of 128 16 ms, one block 22 ms.
"""

CACHE = 2 * 1024 * 1024
"""Bytes of the weights of one block of queries that sequences are taken together for.

Forward and backward on a core, 16 sequences of 500, 8 heads of 16 units: all at once 148 ms, two at a time 97 ms, and
PyTorch's fused attention 121 ms.
"""


def causal_attention(
    query: Float[Array, "example position head width"],
    key: Float[Array, "example position ... width"],
    value: Float[Array, "example position ... width"],
) -> Float[Array, "example position head width"]:
    """Attention to the past: `in_blocks` on a processor, `jax.nn.dot_product_attention` on other default devices.

    The latter is left its choice of kernel, which in jax 0.10 is plain XLA and not a fused kernel. Float64 is always
    taken in blocks, since its softmax is float32. Arguments as in `in_blocks`.
    """
    if query.dtype == np.float64 or jax.default_backend() == "cpu":
        return in_blocks(query, key, value, block=max(BLOCK, -(-query.shape[1] // MOST_BLOCKS)))
    return jax.nn.dot_product_attention(query, key, value, is_causal=True)


def attention(
    query: Float[Array, "example position head width"],
    key: Float[Array, "example position ... width"],
    value: Float[Array, "example position ... width"],
    *,
    causal: bool = True,
    drop: Callable[[Array], Array] | None = None,
) -> Float[Array, "example position head width"]:
    """Attention to the past or to all positions, for many short sequences; not for Taylor mode.

    On a processor a few sequences at a time, whose weights stay in its cache, and are computed once more for the
    gradient; on other default devices `jax.nn.dot_product_attention`. Weights that are dropped are kept for all.

    Args:
        query: as in `in_blocks`.
        key: as in `in_blocks`.
        value: as in `in_blocks`.
        causal: as in `in_blocks`.
        drop: as in `in_blocks`.
    """
    if drop is None and query.dtype != np.float64 and jax.default_backend() != "cpu":
        return jax.nn.dot_product_attention(query, key, value, is_causal=causal)
    examples, length, heads, _ = query.shape
    block = max(BLOCK, -(-length // MOST_BLOCKS)) if causal else None
    part = partial(in_blocks, block=block, causal=causal, drop=drop)
    together = max(1, CACHE // (query.dtype.itemsize * heads * min(block or length, length) * length))
    groups = next(count for count in range(-(-examples // together), examples + 1) if examples % count == 0)
    if drop is not None or groups == 1:
        return part(query, key, value)
    pieces = (x.reshape(groups, -1, *x.shape[1:]) for x in (query, key, value))
    return jax.lax.map(jax.checkpoint(lambda piece: part(*piece)), tuple(pieces)).reshape(query.shape)


def in_blocks(
    query: Float[Array, "example position head width"],
    key: Float[Array, "example position ... width"],
    value: Float[Array, "example position ... width"],
    *,
    block: int | None = None,
    causal: bool = True,
    drop: Callable[[Array], Array] | None = None,
) -> Float[Array, "example position head width"]:
    """Plain operations, so that Taylor mode passes; each block of queries meets only the keys up to its own end.

    Examples and key heads are one batch of matrix products, and the queries that share a key head are its rows. All is
    computed in the dtype of the query, the softmax in float32 at least.

    Args:
        query: `[example, position, head, width]`.
        key: the same with fewer heads, each shared by a group of neighbouring query heads.
        value: as the key.
        block: queries of one block; None takes all at once.
        causal: whether queries meet only the past and themselves, or all keys.
        drop: thins out the weights, for dropout.
    """
    examples, length, heads, width = query.shape
    rows, keys, values = (_lanes(part, key.shape[2]) for part in (query, key, value))
    rows = rows * np.asarray(width**-0.5, query.dtype)
    step = block or length
    mixed = []
    for start in range(0, length, step):
        end = start + step if causal else length
        mixed.append(_block(rows[:, :, start : start + step], keys[:, 0, :end], values[:, 0, :end], causal, drop))
    return jnp.moveaxis(jnp.concatenate(mixed, axis=2).reshape(examples, heads, length, width), 1, 2)


def _lanes(x: Array, key_heads: int) -> Array:
    """`[example, position, head, width]` to `[example * key head, query of a group, position, width]`."""
    examples, length, _, width = x.shape
    grouped = x.reshape(examples, length, key_heads, -1, width)
    return grouped.transpose(0, 2, 3, 1, 4).reshape(examples * key_heads, -1, length, width)


def _block(queries: Array, keys: Array, values: Array, causal: bool, drop: Callable[[Array], Array] | None) -> Array:
    """All groups at once; where causal, the queries are those of the last positions of `keys`."""
    lanes, groups, count, width = queries.shape
    wide = at_least_single(queries.dtype)
    rows = queries.reshape(lanes, groups * count, width)
    scores = jnp.einsum("lrd,ljd->lrj", rows, keys, preferred_element_type=wide)
    if causal:
        end = keys.shape[1]
        past = np.tile(np.arange(end)[None, :] <= np.arange(end - count, end)[:, None], (groups, 1))
        scores = jnp.where(jnp.asarray(past)[None], scores, -jnp.inf)
    # The sum is divided out of the few mixed numbers, not of the many weights: a quarter less time than a softmax.
    odds = jnp.exp(scores - jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True)))
    total = jnp.sum(odds, axis=-1, keepdims=True)
    kept = odds if drop is None else drop(odds)
    mixed = jnp.einsum("lrj,ljd->lrd", kept.astype(values.dtype), values)
    return (mixed / total.astype(mixed.dtype)).reshape(queries.shape)
