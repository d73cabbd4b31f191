"""Next-token cross-entropy from hidden states and head, a few positions at a time, never all logits at once."""

from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

BUDGETS, BUDGET = {"cpu": 2**25}, 2**29
"""Bytes that the logits of one piece may take: few on a processor, for its cache."""


@runtime_checkable
class LanguageModel(Protocol):
    """A model whose logits are its last hidden state times a head: `unembed`, or `embed` where there is none."""

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Any]: ...

    def hidden(
        self, params: dict[str, Any], tokens: Int[Array, "example position"]
    ) -> Float[Array, "example position width"]: ...


def head_of(params: dict[str, Any]) -> Float[Array, "token width"]:
    """The table whose rows score the next token."""
    return params["unembed"] if "unembed" in params else params["embed"]


def pieces_for(examples: int, positions: int, vocab: int, budget: int | None = None) -> int:
    """In how many pieces of equally many positions the logits fit the budget of bytes, in float32.

    >>> pieces_for(16, 128, 4096, 2**25), pieces_for(16, 128, 150_000, 2**25)
    (1, 43)
    """
    budget = BUDGETS.get(jax.default_backend(), BUDGET) if budget is None else budget
    fit = max(1, budget // (4 * examples * vocab))
    return -(-positions // min(fit, positions))


def mean_loss(
    model: LanguageModel,
    params: dict[str, Any],
    sequences: Int[Array, "example position"],
    weights: Float[Array, "example target"] | None = None,
    *,
    pieces: int | None = None,
) -> Float[Array, ""]:
    """Mean of -log p(next token), in nats, computed in the parameters' dtype with the sum in at least float32.

    Args:
        model: what maps tokens to hidden states.
        params: its parameters.
        sequences: `[example, position]`, T + 1 tokens each: T inputs and, one place on, T labels.
        weights: `[example, target]`, T each, the weight of every label; None weighs them all 1 / (examples T).
        pieces: see `pieces_for`; None takes what fits.
    """
    hidden, head, labels = model.hidden(params, sequences[:, :-1]), head_of(params), sequences[:, 1:]
    if weights is None:
        weights = jnp.full(labels.shape, 1.0 / labels.size, _sum_dtype(hidden.dtype))
    examples, positions = labels.shape
    return cross_entropy(hidden, head, labels, weights, pieces or pieces_for(examples, positions, head.shape[0]))


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def cross_entropy(
    hidden: Float[Array, "example position width"],
    head: Float[Array, "token width"],
    labels: Int[Array, "example position"],
    weights: Float[Array, "example position"],
    pieces: int = 1,
) -> Float[Array, ""]:
    """Weighted sum of -log softmax(hidden head^T)[label], `pieces` runs of positions one after the other.

    Its gradient is taken piece by piece together with the value, so no logits are kept and none computed twice.
    Differentiable once, in `hidden` and `head`.
    """

    def add(total: Array, piece: tuple[Array, Array, Array]) -> tuple[Array, None]:
        value, _, _ = _value(*piece, head)
        return total + value, None

    return _over_pieces(add, jnp.zeros((), weights.dtype), (hidden, labels, weights), pieces)[0]


def _forward(hidden: Array, head: Array, labels: Array, weights: Array, pieces: int) -> tuple[Array, Any]:
    def add(carry: tuple[Array, Array], piece: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Array]:
        value, logits, log_total = _value(*piece, head)
        states, answers, weight = piece
        hit = answers[:, None] == jnp.arange(head.shape[0], dtype=answers.dtype)[None, :]
        slope = (jnp.exp(logits - log_total[:, None]) - hit.astype(logits.dtype)) * weight[:, None]
        slope = slope.astype(states.dtype)
        to_head = jnp.matmul(states.T, slope, preferred_element_type=carry[1].dtype)
        return (carry[0] + value, carry[1] + to_head), slope @ head

    start = jnp.zeros((), weights.dtype), jnp.zeros(head.shape[::-1], _sum_dtype(head.dtype))
    (value, to_head), to_hidden = _over_pieces(add, start, (hidden, labels, weights), pieces)
    # Summed as [width, token] and turned once: on processors that product runs at twice the speed of its transpose,
    # into which XLA would fold the turn if it could.
    to_head = jax.lax.optimization_barrier(to_head).T
    return value, (_joined(to_hidden, hidden.shape), to_head.astype(head.dtype))


def _backward(pieces: int, gradients: tuple[Array, Array], scale: Array) -> tuple[Any, ...]:
    return *(gradient * scale.astype(gradient.dtype) for gradient in gradients), None, None


cross_entropy.defvjp(_forward, _backward)


def _value(states: Array, labels: Array, weights: Array, head: Array) -> tuple[Array, Array, Array]:
    logits = jnp.matmul(states, head.T, preferred_element_type=_sum_dtype(states.dtype))
    log_total = jax.nn.logsumexp(logits, axis=1)
    chosen = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.sum(weights.astype(logits.dtype) * (log_total - chosen)).astype(weights.dtype), logits, log_total


def _over_pieces(add: Any, start: Any, arrays: tuple[Array, ...], pieces: int) -> Any:
    split = tuple(_split(array, pieces) for array in arrays)
    if pieces == 1:
        total, result = add(start, tuple(array[0] for array in split))
        return total, jax.tree.map(lambda leaf: leaf[None], result)
    return jax.lax.scan(add, start, split)


def _split(array: Array, pieces: int) -> Array:
    """`[piece, example * position, ...]`: cut along positions, so that examples may lie on different devices."""
    examples, positions = array.shape[:2]
    run = -(-positions // pieces)
    padding = [(0, 0), (0, run * pieces - positions), *[(0, 0)] * (array.ndim - 2)]
    cuts = jnp.pad(array, padding).reshape(examples, pieces, run, *array.shape[2:])
    return jnp.moveaxis(cuts, 1, 0).reshape(pieces, examples * run, *array.shape[2:])


def _joined(cuts: Array, shape: tuple[int, ...]) -> Array:
    back = jnp.moveaxis(cuts.reshape(cuts.shape[0], shape[0], -1, shape[2]), 0, 1)
    return back.reshape(shape[0], -1, shape[2])[:, : shape[1]]


def _sum_dtype(dtype: Any) -> np.dtype:
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)
