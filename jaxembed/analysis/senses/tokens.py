"""An ambiguous word in its sentences: token ids that keep its left context, and its state at every depth of a decoder.

A decoder is causal: the state of the word itself can hold only what stands to its left. The state at the last token
of the sentence is offered as a second reading point, which has seen both sides (and has to remember the word).
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...corpus.senses import SenseSentences
from ...corpus.tokenizers import Tokenizer
from ...models import Decoder

ReadAt = Literal["word", "end"]
"""The state of the marked word, or of the last token of its sentence."""
Side = Literal["left", "both"]
"""Of the context: what stands before the marked word, or all around it."""


@dataclass(frozen=True, eq=False)
class SenseTokens:
    """Sentences in a model's tokens, of one length.

    Attributes:
        ids: `[example, position]`, int32; filled up with 0, which nothing before it sees.
        at: `[example]`, position of the marked word's last token.
        pieces: `[example]`, tokens of the marked word.
        ends: `[example]`, tokens of the sentence, the start token included.
        start: tokens that stand before the sentence: 1 where the tokenizer has a start token, else 0.
    """

    ids: Int[np.ndarray, "example position"]
    at: Int[np.ndarray, " example"]
    pieces: Int[np.ndarray, " example"]
    ends: Int[np.ndarray, " example"]
    start: int

    def __len__(self) -> int:
        return len(self.ids)

    def select(self, rows: Int[np.ndarray, " example"]) -> "SenseTokens":
        """Some sentences, in the order given."""
        return SenseTokens(self.ids[rows], self.at[rows], self.pieces[rows], self.ends[rows], self.start)

    def context(self, side: Side) -> list[Int[np.ndarray, " position"]]:
        """The ids around the marked word, of every sentence."""
        found = []
        for ids, at, pieces, end in zip(self.ids, self.at, self.pieces, self.ends, strict=True):
            left = ids[self.start : at + 1 - pieces]
            found.append(left if side == "left" else np.concatenate([left, ids[at + 1 : end]]))
        return found

    def read_at(self, where: ReadAt) -> Int[np.ndarray, " example"]:
        """The position of a reading point."""
        return self.at if where == "word" else self.ends - 1


def sense_tokens(sentences: SenseSentences, tokenizer: Tokenizer, length: int = 64) -> SenseTokens:
    """Encode sentences around the marked word, cut so that as much as can be of its left context stays.

    A sentence that fits stays whole. Of a longer one the end is cut, and then, where the word would be cut with it, the
    beginning. Each begins with the tokenizer's start token where there is one.

    Args:
        sentences: with their marked words.
        tokenizer: of the model.
        length: tokens of a row at most.

    Raises:
        ValueError: for a marked word that the tokenizer cannot say (close spellings are offered), or does not fit.
    """
    lefts = [" ".join(t[:p]) for t, p in zip(sentences.tokens, sentences.places, strict=True)]
    rights = [" ".join(t[p + 1 :]) for t, p in zip(sentences.tokens, sentences.places, strict=True)]
    # Pieces are encoded one by one, so that it is known which tokens are the word's; spaces go with what follows.
    marked = [f" {word}" if left else word for word, left in zip(sentences.marked, lefts, strict=True)]
    encoded = [tokenizer.encode(part) for part in (lefts, marked, [f" {right}" if right else "" for right in rights])]
    start = [] if tokenizer.start_token is None else [tokenizer.start_token]
    rows = []
    for k, (left, word, right) in enumerate(zip(*encoded, strict=True)):
        _check_known(sentences.marked[k], word, tokenizer)
        if len(start) + len(word) > length:
            raise ValueError(f"length: {sentences.marked[k]!r} takes {len(word)} tokens; allow more than {length}")
        left = left[max(0, len(start) + len(left) + len(word) - length) :]
        rows.append((np.concatenate([start, left, word, right])[:length], len(start) + len(left) + len(word) - 1))
    ids = np.zeros((len(rows), max(len(row) for row, _ in rows)), np.int32)
    for k, (row, _) in enumerate(rows):
        ids[k, : len(row)] = row
    at, pieces, ends = ([at for _, at in rows], [len(word) for word in encoded[1]], [len(row) for row, _ in rows])
    return SenseTokens(ids, np.array(at), np.array(pieces), np.array(ends), len(start))


def sense_states(
    model: Decoder, params: Any, tokens: SenseTokens, where: ReadAt = "word", *, batch: int = 100
) -> Float[np.ndarray, "layer example width"]:
    """The state of the word (or of the last token) in every sentence, at every depth.

    Args:
        model: the decoder.
        params: its parameters, in whose dtype all is computed.
        tokens: the sentences.
        where: the reading point.
        batch: sentences at once.

    Returns:
        `[layers + 2, example, width]`: embedding, after every block, after the last norm.
    """
    return states_at(model, params, tokens.ids, tokens.read_at(where)[:, None], batch=batch)[:, :, 0]


def states_at(
    model: Decoder,
    params: Any,
    ids: Int[np.ndarray, "example position"],
    places: Int[np.ndarray, "example place"],
    *,
    batch: int = 100,
) -> Float[np.ndarray, "layer example place width"]:
    """States at some positions of every sequence, of which one forward pass is made; `[.., position asked, width]`."""
    found, batch = [], min(batch, len(ids))
    params = jax.tree.map(jnp.asarray, params)
    for rows in batches(len(ids), batch):
        found.append(np.asarray(_read(params, jnp.asarray(ids[rows]), jnp.asarray(places[rows]), model=model)))
    return np.concatenate(found, axis=1)[:, : len(ids)]


def batches(count: int, batch: int) -> list[Int[np.ndarray, " example"]]:
    """Rows of every batch; the last is filled up with its last row, so that one shape is compiled."""
    return [np.minimum(np.arange(first, first + batch), count - 1) for first in range(0, count, batch)]


@partial(jax.jit, static_argnames="model")
def _read(
    params: Any, ids: Int[Array, "example position"], places: Int[Array, "example place"], *, model: Decoder
) -> Float[Array, "layer example place width"]:
    return jnp.take_along_axis(model.states(params, ids), places[None, :, :, None], axis=2)


def _check_known(word: str, ids: Int[np.ndarray, " position"], tokenizer: Tokenizer) -> None:
    unknown = tokenizer.unknown_token
    if len(ids) and (unknown is None or unknown not in ids):
        return
    known = [tokenizer.token(id).strip() for id in range(tokenizer.vocab)]
    close = get_close_matches(word.lower(), known, 5, 0.6)
    meant = f"; close spellings: {', '.join(close)}" if close else "; none is close"
    raise ValueError(f"word: {word!r} is not among the {tokenizer.vocab:,} tokens of the model{meant}")
