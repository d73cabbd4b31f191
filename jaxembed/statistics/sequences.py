"""Sequences -> the five statistics that move an attention-only transformer out of zero weights.

Each of T positions of a sequence is an input x_t with the next token y_t = x_(t+1) as label. Two passes over the data:
pair counts first, then attention counts, which need the pair counts of *all* data. Counts of either pass add.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int

CELLS_AT_ONCE = 2**22
"""Position pairs held in memory at a time."""


@dataclass(frozen=True)
class PairCounts:
    """First pass, float64 on the host; `a + b` are the counts of both parts of the data.

    Attributes:
        mass: total weight of the sequences.
        length: number T of labelled positions of a sequence.
        bigram: `[token, token]`, mass of (token, next token), a mean over positions.
        context: `[token, token]`, mass of (next token, prefix token): position t gives 1/t to each of its t tokens.
    """

    mass: float
    length: int
    bigram: Float[np.ndarray, "token token"]
    context: Float[np.ndarray, "token token"]

    def __add__(self, other: "PairCounts") -> "PairCounts":
        _check_same(self, other)
        return PairCounts(self.mass + other.mass, self.length, self.bigram + other.bigram, self.context + other.context)

    @property
    def vocab(self) -> int:
        return len(self.bigram)


@dataclass(frozen=True)
class AttentionCounts:
    """Second pass; `a + b` are those of both parts, provided that both were counted with the same pair counts.

    Attributes:
        mass: total weight of the sequences.
        length: number T of labelled positions of a sequence.
        attention: `[token, token]`, centred gain by (query token, key token), a mean over positions.
        position: `[position]`, the same by distance from the query back to the key.
    """

    mass: float
    length: int
    attention: Float[np.ndarray, "token token"]
    position: Float[np.ndarray, " position"]

    def __add__(self, other: "AttentionCounts") -> "AttentionCounts":
        _check_same(self, other)
        summed = self.attention + other.attention, self.position + other.position
        return AttentionCounts(self.mass + other.mass, self.length, *summed)


@partial(register_dataclass, data_fields=["bigram", "context", "attention", "position"], meta_fields=[])
@dataclass(frozen=True)
class SequenceSignatures:
    """All that the theory of the attention-only transformer may know of the data; a pytree.

    For one sequence let X be the one-hot inputs and Y the one-hot labels, both `[position, token]`; U is 1/V,
    A_0 is uniform causal attention (row t has 1/t on its first t entries); E is the mean over sequences, divided by T.

    Attributes:
        bigram: B = E[X^T (Y - U)], `[token, token]`: rows are tokens, columns next tokens; rows sum to 0.
        context: Phi = E[(Y - U)^T A_0 X], `[token, token]`: rows are next tokens, columns prefix tokens; columns sum
            to 0.
        attention: Q = E[X^T J X], `[token, token]`: rows are query tokens, columns key tokens; rows sum to 0. For
            s <= t, J[t, s] is 1/t of what the gain S[t, s] = ((Y - U) Sigma Phi X^T)[t, s] is above its mean over s.
        position: Delta, `[position]`: E[sum of J at distance t - s]; sums to 0.

    B and Phi are means over data and mix by mass; Sigma, Q and Delta do not: they hold products of B and Phi.
    """

    bigram: Float[Array, "... token token"]
    context: Float[Array, "... token token"]
    attention: Float[Array, "... token token"]
    position: Float[Array, "... position"]

    @property
    def interchangeability(self) -> Float[Array, "... token token"]:
        """Sigma = B^T B: tokens are alike where the same tokens come before them."""
        return jnp.matmul(self.bigram.swapaxes(-1, -2), self.bigram, precision=jax.lax.Precision.HIGHEST)

    @property
    def value(self) -> Float[Array, "... token token"]:
        """Phi^T B^T: from a prefix token to the tokens whose next tokens follow it."""
        return jnp.matmul(self.bigram, self.context, precision=jax.lax.Precision.HIGHEST).swapaxes(-1, -2)


def sequence_signatures(
    sequences: Int[Array | np.ndarray, "example position"],
    vocab: int,
    *,
    weights: Float[Array | np.ndarray, " example"] | None = None,
) -> SequenceSignatures:
    """Both passes over sequences that fit in memory.

    For data in parts, add `count_pairs` of all parts, then `count_attention` of all parts, then `from_counts`.

    Args:
        sequences: `[example, position]`, T + 1 token ids.
        vocab: number of tokens.
        weights: `[example]`; None weighs all sequences the same.

    Raises:
        ValueError: for ids outside the vocabulary, sequences without a label, or weights that are no weights.

    Source: im2026associate.

    >>> sig = sequence_signatures(np.array([[0, 1, 0, 1], [1, 0, 1, 0]]), vocab=2)
    >>> sig.bigram.round(3).tolist()  # 0 is always followed by 1 and 1 by 0; each comes half of the time
    [[-0.25, 0.25], [0.25, -0.25]]
    """
    pairs = count_pairs(sequences, vocab, weights=weights)
    return from_counts(pairs, count_attention(sequences, pairs, weights=weights))


def count_pairs(sequences: Any, vocab: int, *, weights: Any = None) -> PairCounts:
    """First pass: how often a token is followed by another, and how often it is in the prefix of another.

    Raises:
        ValueError: as `sequence_signatures`.
    """
    sequences, weights = _checked(sequences, vocab, weights)
    length = sequences.shape[1] - 1
    bigram, context = np.zeros((2, vocab * vocab))
    for part, w in _parts(sequences, weights):
        inputs, labels = part[:, :-1], part[:, 1:]
        bigram += _sums(inputs * vocab + labels, w[:, None] / length, vocab * vocab)
        query, key = np.tril_indices(length)
        share = w[:, None] / (length * (query[None, :] + 1))
        context += _sums(labels[:, query] * vocab + inputs[:, key], share, vocab * vocab)
    return PairCounts(float(weights.sum()), length, bigram.reshape(vocab, vocab), context.reshape(vocab, vocab))


def count_attention(sequences: Any, pairs: PairCounts, *, weights: Any = None) -> AttentionCounts:
    """Second pass: by how much each key would help its query, given the pair counts of all data.

    Raises:
        ValueError: as `sequence_signatures`, and where the sequences have another length than the pair counts.
    """
    vocab = pairs.vocab
    sequences, weights = _checked(sequences, vocab, weights)
    length = sequences.shape[1] - 1
    if length != pairs.length:
        raise ValueError(
            f"sequences: {length} labelled positions, pair counts have {pairs.length}; cut all to one length"
        )
    bigram, context = _centred(pairs)
    gain = bigram.T @ (bigram @ context)  # Sigma Phi; its columns sum to 0, so that U takes nothing from S
    query, key = np.tril_indices(length)
    starts = np.searchsorted(query, np.arange(length))
    attention, position = np.zeros(vocab * vocab), np.zeros(length)
    for part, w in _parts(sequences, weights):
        inputs, labels = part[:, :-1], part[:, 1:]
        helped = gain[labels[:, query], inputs[:, key]]
        means = np.add.reduceat(helped, starts, axis=1) / (np.arange(length)[None, :] + 1)
        helped = (helped - means[:, query]) * (w[:, None] / (length * (query[None, :] + 1)))
        attention += _sums(inputs[:, query] * vocab + inputs[:, key], helped, vocab * vocab)
        position += _sums(np.broadcast_to((query - key)[None, :], helped.shape), helped, length)
    return AttentionCounts(float(weights.sum()), length, attention.reshape(vocab, vocab), position)


def from_counts(pairs: PairCounts, attention: AttentionCounts) -> SequenceSignatures:
    """The statistics, in JAX's default float dtype, from the counts of all data."""
    _check_same(pairs, attention)
    bigram, context = _centred(pairs)
    arrays = bigram, context, attention.attention / attention.mass, attention.position / attention.mass
    return SequenceSignatures(*(jnp.asarray(x, dtype=float) for x in arrays))


def _centred(pairs: PairCounts) -> tuple[np.ndarray, np.ndarray]:
    """B and Phi."""
    bigram, context = pairs.bigram / pairs.mass, pairs.context / pairs.mass
    return bigram - bigram.mean(axis=1, keepdims=True), context - context.mean(axis=0, keepdims=True)


def _sums(index: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(index.ravel(), np.broadcast_to(values, index.shape).ravel(), size)


def _parts(sequences: np.ndarray, weights: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rows = max(1, CELLS_AT_ONCE // sequences.shape[1] ** 2)
    for start in range(0, len(sequences), rows):
        yield sequences[start : start + rows], weights[start : start + rows]


def _checked(sequences: Any, vocab: int, weights: Any) -> tuple[np.ndarray, np.ndarray]:
    sequences = np.asarray(sequences, np.int64)  # products of ids must not overflow
    if sequences.ndim != 2 or sequences.shape[0] == 0 or sequences.shape[1] < 2:
        raise ValueError(f"sequences: need [example, position] with at least 2 positions, got shape {sequences.shape}")
    if sequences.min() < 0 or sequences.max() >= vocab:
        bad = sequences.min() if sequences.min() < 0 else sequences.max()
        raise ValueError(f"sequences: id {bad} is outside the vocabulary 0..{vocab - 1}; enlarge vocab or fix the id")
    weights = np.ones(len(sequences)) if weights is None else np.asarray(weights, np.float64)
    if (
        weights.shape != (len(sequences),)
        or not np.all(np.isfinite(weights))
        or weights.min() < 0
        or weights.sum() <= 0
    ):
        raise ValueError("weights: need one finite, non-negative weight per sequence, and not all zero")
    return sequences, weights


def _check_same(one: PairCounts | AttentionCounts, other: PairCounts | AttentionCounts) -> None:
    shapes = [(len(x.bigram if isinstance(x, PairCounts) else x.attention), x.length) for x in (one, other)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"counts: (vocabulary, length) differ, {shapes[0]} and {shapes[1]}; share both")
