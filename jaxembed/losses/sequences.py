"""Mean next-token cross-entropy of a model that answers at every position of a sequence."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..machine import GIB

EVALUATION = 4
"""Logit-sized arrays that one evaluation with its gradient holds, at least."""


@runtime_checkable
class SequenceModel(Protocol):
    """A model with logits at every position: logits[i] may depend on tokens[: i + 1] only."""

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Any]: ...

    def apply(self, params: dict[str, Any], tokens: Int[Array, " position"]) -> Float[Array, "position token"]: ...


@partial(register_dataclass, data_fields=["sequences", "weights"], meta_fields=["model", "chunks"])
@dataclass(frozen=True)
class SequenceLoss:
    """Exact mean over examples (by weight) and positions (evenly) of -log p(next token): `loss(params)`.

    Attributes:
        sequences: `[example, position]`, T + 1 tokens each: T inputs and, one place on, their T labels.
        weights: `[example]`, they sum to one; padding has weight 0.
        model: the model.
        chunks: number of pieces the sum over examples is taken in; the gradient recomputes each.
    """

    sequences: Int[Array, "... example position"]
    weights: Float[Array, "... example"]
    model: SequenceModel
    chunks: int

    def __call__(self, params: Any) -> Float[Array, ""]:
        if self.chunks == 1:
            return self._part(params, self.sequences, self.weights)
        pieces = jax.tree.map(lambda x: x.reshape(self.chunks, -1, *x.shape[1:]), (self.sequences, self.weights))

        @jax.checkpoint
        def add(total: Array, piece: tuple[Array, Array]) -> tuple[Array, None]:
            return total + self._part(params, *piece), None

        return jax.lax.scan(add, jnp.zeros((), self.weights.dtype), pieces)[0]

    def _part(self, params: Any, sequences: Array, weights: Array) -> Array:
        logits = jax.vmap(self.model.apply, in_axes=(None, 0))(params, sequences[:, :-1])
        picked = jax.nn.one_hot(sequences[:, 1:], logits.shape[2], dtype=logits.dtype)
        losses = jax.nn.logsumexp(logits, axis=2) - jnp.sum(picked * logits, axis=2)
        return weights.astype(losses.dtype) @ jnp.mean(losses, axis=1)


def sequence_loss(
    model: SequenceModel,
    sequences: Int[Array | np.ndarray, "example position"],
    vocab: int,
    *,
    weights: Float[Array | np.ndarray, "..."] | None = None,
    chunk: int | None = None,
    memory_limit: float = 8 * GIB,
) -> SequenceLoss:
    """The next-token cross-entropy of `model` over all positions of `sequences`, as `loss(params)`.

    Args:
        model: `apply(params, tokens[position]) -> logits[position, token]`; examples go through it under vmap.
        sequences: `[example, position]`, T + 1 token ids: the first T are inputs, the last T labels.
        vocab: number of tokens.
        weights: `[example]`, any positive sum; None weighs all sequences the same.
        chunk: sequences evaluated at once (the gradient recomputes them); None takes all.
        memory_limit: bytes that the logits of one evaluation with their gradient may take.

    Raises:
        ValueError: for ids outside the vocabulary, sequences without a label, weights that are no weights, `chunk`
            below 1, or an estimate above `memory_limit`: it says what to change.

    >>> import jax, numpy as np, jaxembed as je
    >>> model, sequences = je.models.AttentionOnly(layers=2), np.array([[0, 1, 2, 0], [1, 2, 0, 1]])
    >>> loss = je.sequence_loss(model, sequences, vocab=3)
    >>> round(float(loss(model.init(jax.random.key(0), vocab=3, length=3))), 4)  # zero start: ln 3
    1.0986
    """
    sequences = _checked_sequences(sequences, vocab)
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: must be at least 1, or None for all sequences at once; got {chunk}")
    examples, positions = sequences.shape
    at_once = examples if chunk is None else min(chunk, examples)
    itemsize = np.dtype(jnp.zeros((), float).dtype).itemsize
    need = float(EVALUATION) * itemsize * at_once * (positions - 1) * max(vocab, positions - 1)
    if need > memory_limit:
        raise ValueError(
            f"sequences: {at_once} at once x {positions - 1} positions x {vocab} tokens need about {need / GIB:.1f} "
            f"GiB, more than memory_limit {memory_limit / GIB:.1f} GiB; pass a smaller chunk= or shorter sequences"
        )
    weights = _checked_weights(weights, examples)
    chunks = -(-examples // at_once)
    padding = chunks * at_once - examples
    sequences = np.concatenate([sequences, np.zeros((padding, positions), sequences.dtype)])
    weights = np.concatenate([weights, np.zeros(padding)])
    return SequenceLoss(jnp.asarray(sequences), jnp.asarray(weights, dtype=float), model, chunks)


def _checked_sequences(sequences: Any, vocab: int) -> Int[np.ndarray, "example position"]:
    sequences = np.asarray(sequences, np.int32)
    if sequences.ndim != 2 or sequences.shape[0] == 0 or sequences.shape[1] < 2:
        raise ValueError(
            f"sequences: need [example, position] with at least 2 positions (an input and its label), "
            f"got shape {sequences.shape}"
        )
    if sequences.min() < 0 or sequences.max() >= vocab:
        bad = sequences.min() if sequences.min() < 0 else sequences.max()
        raise ValueError(f"sequences: id {bad} is outside the vocabulary 0..{vocab - 1}; enlarge vocab or fix the id")
    return sequences


def _checked_weights(weights: Any, examples: int) -> Float[np.ndarray, " example"]:
    weights = np.ones(examples) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != (examples,):
        raise ValueError(f"weights: need one weight per sequence, got shape {weights.shape} for {examples} sequences")
    if not np.all(np.isfinite(weights)) or weights.min() < 0 or weights.sum() <= 0:
        raise ValueError("weights: must be finite, non-negative and not all zero; remove the offending sequences")
    return weights / weights.sum()
