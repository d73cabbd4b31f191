"""What a decoder holds of whole documents: its first, last and average state at every depth, and its losses."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...losses.language import head_of
from ...models import Decoder
from .texts import DocumentSet

POOLINGS = ("first", "last", "average")
"""The state after the first token of the document, after its last, and the mean over its tokens."""
BUCKET = 64
"""Documents are padded to multiples of this, so that few shapes are compiled."""
TOGETHER, BUDGET = 64, 2**28
"""Documents of one batch at most, and bytes that their states may take unless said otherwise."""


@dataclass(frozen=True)
class States:
    """States of the documents of a part, float32.

    Attributes:
        pooled: `[layer + 2, pooling, document, width]`, depths as in `Decoder.states`, poolings as in `POOLINGS`.
        along: `[position, document, width]`, what the head reads after each share 1/P, .., P/P of the document.
        losses: `[position, document]`, mean -log p of the tokens between one share and the next, nats; NaN for the
            last, after which there are none.
        loss: mean -log p of all tokens of the documents, nats.
    """

    pooled: Float[np.ndarray, "layer place document width"]
    along: Float[np.ndarray, "position document width"]
    losses: Float[np.ndarray, "position document"]
    loss: float


def places(lengths: Int[np.ndarray, " document"], shares: int) -> Int[np.ndarray, "document position"]:
    """How many tokens have been read at each of `shares` equal parts of a document, rounded up.

    >>> places(np.array([5, 10]), 2).tolist()
    [[3, 5], [5, 10]]
    """
    return -(-lengths[:, None] * np.arange(1, shares + 1)[None, :] // shares)


def read_states(
    model: Decoder, params: dict[str, Any], part: DocumentSet, start: int | None, shares: int, budget: int = BUDGET
) -> States:
    """Read the documents of a part one by one, each from the start token on.

    Args:
        model: the decoder.
        params: its parameters.
        part: the documents.
        start: token that is put before each document, or None, which leaves out the loss of the first token.
        shares: relative positions P at which the last layer is kept.
        budget: bytes that the states of one batch may take.

    Raises:
        ValueError: for documents longer than the table of learned positions.
    """
    first = int(start is not None)
    lengths, at = part.lengths, places(part.lengths, shares)
    _check_length(model, int(lengths.max()) + first)
    order, found = np.argsort(lengths, kind="stable"), []
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)
    for rows, columns in _batches(lengths[order] + first, model, budget):
        chosen = order[rows]
        tokens = _table([part.ids[k] for k in chosen], start, columns)
        found.append(_of_batch(model, params, tokens, lengths[chosen] + first, at[chosen] - 1 + first, first))
    pooled, along, losses, sums = zip(*found, strict=True)
    back = np.argsort(order, kind="stable")
    return States(
        np.concatenate(pooled, axis=2)[:, :, back],
        np.concatenate(along, axis=1)[:, back],
        np.concatenate(losses, axis=1)[:, back],
        float(np.sum(np.concatenate(sums)) / np.sum(lengths - 1 + first)),
    )


def _check_length(model: Decoder, length: int) -> None:
    if model.positions == "learned" and length > model.max_positions:
        raise ValueError(
            f"length: documents of {length} tokens with their start, but the model has {model.max_positions} "
            "positions; lower --length"
        )


def _of_batch(
    model: Decoder, params: Any, tokens: np.ndarray, ends: np.ndarray, marks: np.ndarray, first: int
) -> tuple[np.ndarray, ...]:
    """Pooled states, states along the documents, losses between marks, and summed losses of one batch."""
    count, filler = len(ends), len(tokens) - len(ends)
    padded = np.pad(ends, (0, filler), constant_values=first + 1), np.pad(marks, ((0, filler), (0, 0)))
    at = (jnp.asarray(values, jnp.int32) for values in padded)
    pooled, along, nats = _read(params, jnp.asarray(tokens), *at, model=model, first=first)
    losses = _segments(np.asarray(nats, np.float64)[:count], marks)
    return np.asarray(pooled)[:, :, :count], np.asarray(along)[:, :count], *losses


@partial(jax.jit, static_argnames=("model", "first"))
def _read(
    params: Any,
    tokens: Int[Array, "example position"],
    ends: Int[Array, " example"],
    marks: Int[Array, "example place"],
    *,
    model: Decoder,
    first: int,
) -> tuple[Array, Array, Array]:
    states = model.states(params, tokens)
    columns = jnp.arange(tokens.shape[1], dtype=ends.dtype)[None, :]
    inside = ((columns >= first) & (columns < ends[:, None])).astype(states.dtype)
    average = jnp.einsum("leph,ep->leh", states, inside) / jnp.sum(inside, axis=1)[None, :, None]
    last = jnp.take_along_axis(states, (ends - 1)[None, :, None, None], axis=2)[:, :, 0]
    along = jnp.take_along_axis(states[-1], marks[:, :, None], axis=1)
    pooled = jnp.stack([states[:, :, first], last, average], axis=1)
    return pooled, jnp.moveaxis(along, 1, 0), _losses(states[-1], head_of(params), tokens)


def _losses(hidden: Array, head: Array, tokens: Array) -> Float[Array, "example position"]:
    """-log p of every token but the first, one document at a time: all logits at once would fill the memory."""

    def one(document: tuple[Array, Array]) -> Array:
        states, labels = document
        logits = states @ head.T
        found = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
        return jax.nn.logsumexp(logits, axis=1) - found

    return jax.lax.map(one, (hidden[:, :-1], tokens[:, 1:]))


def _segments(nats: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean losses between marked columns `[position, document]`, and those up to the last one `[document]`."""
    # Entry j sums the losses of the tokens in columns 1 .. j: the first column's is unknown.
    total = np.concatenate([np.zeros((len(nats), 1)), np.cumsum(nats, axis=1)], axis=1)
    upto, tokens = np.take_along_axis(total, marks, axis=1), np.diff(marks, axis=1)
    means = np.where(tokens > 0, np.diff(upto, axis=1) / np.maximum(tokens, 1), np.nan)
    return np.concatenate([means.T, np.full((1, len(nats)), np.nan)]), upto[:, -1]


def _batches(lengths: np.ndarray, model: Decoder, budget: int) -> list[tuple[slice, int]]:
    """Runs of documents in order of length, and the columns each is padded to."""
    columns = -(-lengths // BUCKET) * BUCKET
    if model.positions == "learned":
        columns = np.minimum(columns, model.max_positions)
    runs, begin = [], 0
    while begin < len(lengths):
        fit = max(1, budget // int(columns[begin] * (model.layers + 2) * model.width * 4))
        together = min(TOGETHER, 1 << (fit.bit_length() - 1))
        same = int(np.searchsorted(columns, columns[begin], side="right"))
        runs.append((slice(begin, min(same, begin + together)), int(columns[begin])))
        begin = runs[-1][0].stop
    return runs


def _table(documents: list[np.ndarray], start: int | None, columns: int) -> Int[np.ndarray, "example position"]:
    """Rows filled up with token 0, which nothing before it sees, and up to a power of two rows: few shapes."""
    table = np.zeros((1 << (len(documents) - 1).bit_length(), columns), np.int32)
    for row, ids in zip(table, documents, strict=False):
        whole = ids if start is None else np.append(np.int32(start), ids)
        row[: len(whole)] = whole
    return table
