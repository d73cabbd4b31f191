"""One update of a language model, compiled once for a model and a rule whatever the seeds and the schedule."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..losses.language import LanguageModel, mean_loss
from .settings import Update


@partial(
    jax.jit,
    static_argnames=("model", "update", "compute_dtype", "shardings"),
    donate_argnums=(0,),
)
def advance(
    state: tuple[Any, Any],
    tokens: Int[Array, "time example position"],
    rate: Float[Array | np.ndarray, ""],
    *,
    model: LanguageModel,
    update: Update,
    compute_dtype: str,
    shardings: tuple[Any, ...] | None = None,
) -> tuple[tuple[Any, Any], Float[Array, ""]]:
    """Parameters and moments after one update, and the loss before it. The given state's buffers are used up.

    Args:
        state: parameters and optax state.
        tokens: `[piece, example, T + 1]`: the batch in the pieces its gradient is accumulated over.
        rate: learning rate.
        model: the model.
        update: the rule.
        compute_dtype: see `Pretraining`.
        shardings: of the leaves of `state`, to keep; None on one device.
    """
    params, moments = state
    loss, gradient = _accumulated(lambda p, t: mean_loss(model, computing(p, compute_dtype), t), params, tokens)
    # Optax mixes dtypes on purpose; parameters and moments keep theirs.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        direction, new = update.transform().update(gradient, moments, params)
    params = jax.tree.map(lambda p, d: p - rate.astype(p.dtype) * d.astype(p.dtype), params, direction)
    moments = jax.tree.map(lambda after, before: after.astype(before.dtype), new, moments)
    return _kept_in_place((params, moments), shardings), loss


def computing(params: Any, compute_dtype: str) -> Any:
    """The parameters in the dtype that activations are computed in."""
    return params if compute_dtype == "float32" else jax.tree.map(lambda leaf: leaf.astype(compute_dtype), params)


def start(params: Any, update: Update) -> tuple[Any, Any]:
    """The state before the first update."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return params, update.transform().init(params)


def _accumulated(loss: Any, params: Any, tokens: Array) -> tuple[Array, Any]:
    pieces = tokens.shape[0]
    value_and_gradient = jax.value_and_grad(loss)
    if pieces == 1:
        return value_and_gradient(params, tokens[0])

    def add(total: Any, piece: Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, value_and_gradient(params, piece)), None

    shapes = jax.eval_shape(value_and_gradient, params, tokens[0])
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(add, zeros, tokens)
    return jax.tree.map(lambda leaf: leaf / np.asarray(pieces, leaf.dtype), total)


def _kept_in_place(state: Any, shardings: tuple[Any, ...] | None) -> Any:
    if shardings is None:
        return state
    leaves, tree = jax.tree.flatten(state)
    return jax.tree.unflatten(
        tree, [jax.lax.with_sharding_constraint(*pair) for pair in zip(leaves, shardings, strict=True)]
    )
