"""Which way the logits of single tokens first move: what theory says from pair counts and the start, and plain guesses.

Unlike `early_flow`, which follows embedding and unembedding, this looks at what they say together.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...analysis.lens.lens import last_norm
from ...losses.language import head_of
from ...models import Decoder
from ...statistics import TokenPairs
from .lens_scores import Bigrams, Rows, centred_rows

THEORIES = ("rung 0", "sign flow")
GUESSES = ("probability difference", "log ratio")
SHUFFLED = " (shuffled corpus)"


def directions(model: Decoder, start: dict[str, Any], counts: Bigrams) -> dict[str, Rows]:
    """Rows over `counts.targets` for the frequent tokens, by name; each also from the shuffled corpus.

    "rung 0": gradient flow of embedding and unembedding around the unigrams, (S1) of theory/signature_start.md.
    "sign flow": one step of Adam from the start, (N10) of theory/next_token.md, less what all tokens share.
    "probability difference": P(next | token) - P(next), the drive of either.
    "log ratio": log P(next | token) - log P(next), where a model of one token ends.
    """
    made, tokens, targets = {}, counts.tokens, counts.targets
    for reference, ending in (("bigram", ""), ("shuffled bigram", SHUFFLED)):
        pairs, rows = counts.pairs[reference], counts.rows[reference]
        flow, signs = (motion(model, start, pairs, tokens, targets, sign=sign) for sign in (False, True))
        made[f"rung 0{ending}"], made[f"sign flow{ending}"] = flow, centred_rows(signs, counts.weights)
        made[f"probability difference{ending}"] = (rows - counts.unigram[None, :])[:, targets]
        made[f"log ratio{ending}"] = centred_rows(np.log(rows), counts.weights)[:, targets]
    return made


def motion(
    model: Decoder,
    start: dict[str, Any],
    pairs: TokenPairs,
    tokens: Int[np.ndarray, " token"],
    targets: Int[np.ndarray, " target"],
    *,
    sign: bool,
) -> Rows:
    """Velocity of the logits that each token gives alone, where blocks write nothing: h(E) U^T at the start.

    By the direction of Adam's first step (`sign`), around the uniform distribution; else by that of gradient flow,
    around the unigrams. For a decoder with a head of its own, and counts of window 1.
    """
    embed, head = start["embed"], head_of(start)
    read, pull = jax.vjp(lambda rows: last_norm(model, start, rows), embed)
    joint = pairs.counts / pairs.total
    rate = pairs.firsts / pairs.total
    expected = np.full(pairs.vocab, 1 / pairs.vocab) if sign else pairs.seconds / pairs.total

    def drive(U: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return joint @ U - rate[:, None] * (expected @ U)[None, :]

    to_head = joint.T @ np.asarray(read, float) - expected[:, None] * (rate @ np.asarray(read, float))[None, :]
    (to_embed,) = pull(jnp.asarray(drive(np.asarray(head, float)), embed.dtype))
    to_embed = np.asarray(to_embed, float)
    if sign:
        to_embed, to_head = np.sign(to_embed), np.sign(to_head)
    (_, moved) = jax.jvp(lambda rows: last_norm(model, start, rows), (embed,), (jnp.asarray(to_embed, embed.dtype),))
    by_embed = np.asarray(moved, float)[tokens] @ np.asarray(head, float)[targets].T
    return by_embed + np.asarray(read, float)[tokens] @ to_head[targets].T
