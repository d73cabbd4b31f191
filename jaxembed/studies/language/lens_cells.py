"""What is measured on one saved model: its lens on held-out text, and what it says of single tokens."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.stats import rankdata

from ...analysis.lens import Lens, lens_states, plain_lens
from ...analysis.lens.lens import flat, last_norm
from ...corpus import EncodedCorpus
from ...losses.language import head_of
from ...models import Decoder
from ...observables import r_cos, read_out
from ...statistics import TokenPairs, count_neighbours

Values = dict[str, Any]
REFERENCES = ("uniform", "unigram", "bigram", "shuffled bigram")


@dataclass(frozen=True, eq=False)
class Bigrams:
    """What pair counts of the training text say of the next token.

    Attributes:
        tokens: `[token]`, the frequent tokens that are looked at.
        targets: `[target]`, next tokens that rank correlations and directions are taken over.
        weights: `[token]`, their shares among themselves.
        unigram: `[target]`, add-one smoothed, over the whole vocabulary.
        rows: smoothed distributions after each token, by name, `[token, target]` each: "bigram" and
            "shuffled bigram", of the corpus with its words shuffled within documents.
        pairs: the counts, by the same names.
        half_r_cos: R_cos of the rows of two halves of the documents: as much as counts agree with themselves.
    """

    tokens: Int[np.ndarray, " token"]
    targets: Int[np.ndarray, " target"]
    weights: Float[np.ndarray, " token"]
    unigram: Float[np.ndarray, " target"]
    rows: dict[str, Float[np.ndarray, "token target"]]
    pairs: dict[str, TokenPairs]
    half_r_cos: float

    def centred(self, name: str) -> Float[np.ndarray, "token target"]:
        """Rows less what they have in common: signatures centred by their own weighted mean."""
        return centred_rows(self.rows[name], self.weights)

    def held_loss(self, name: str, sequences: Int[np.ndarray, "example position"]) -> float:
        """Mean surprisal of the next tokens of held-out sequences."""
        before, after = sequences[:, :-1].ravel(), sequences[:, 1:].ravel()
        if name == "uniform":
            return float(np.log(len(self.unigram)))
        if name == "unigram":
            return float(-np.log(self.unigram[after]).mean())
        return float(-np.log(witten_bell_at(self.pairs[name], self.unigram, before, after)).mean())

    def table(self, name: str) -> Float[np.ndarray, "token target"]:
        """A reference written out for every token."""
        vocab, shape = len(self.unigram), (len(self.tokens), len(self.unigram))
        fixed = {"uniform": np.full(vocab, 1 / vocab), "unigram": self.unigram}
        return np.broadcast_to(fixed[name], shape) if name in fixed else self.rows[name]

    def divergence(self, name: str) -> float:
        """Weighted mean of KL(bigram || reference)."""
        return divergences(self, np.log(self.table(name)), self.weights)["bigram"]

    def agreement(self, name: str) -> float:
        """R_cos of another reference's rows with the bigrams."""
        return float(r_cos(self.centred(name), self.centred("bigram")))


def bigrams(corpus: EncodedCorpus, tokens: int, targets: int) -> Bigrams:
    """Count a text and the same text with its words shuffled."""
    unigram = (corpus.unigrams + 1.0) / (corpus.tokens + corpus.vocab)
    pairs = {"bigram": _pairs(corpus), "shuffled bigram": _pairs(corpus.shuffled(0))}
    followed = pairs["bigram"].firsts > 0
    chosen = corpus.frequent(min(2 * tokens, corpus.occurring))
    chosen = chosen[followed[chosen]][:tokens]
    rows = {name: witten_bell(found, unigram, chosen) for name, found in pairs.items()}
    weights = corpus.unigrams[chosen] / corpus.unigrams[chosen].sum()
    halves = [_pairs(corpus.select(np.arange(first, len(corpus), 2))) for first in (0, 1)]
    sides = [centred_rows(witten_bell(half, unigram, chosen), weights) for half in halves]
    wanted = corpus.frequent(min(targets, corpus.occurring))
    return Bigrams(chosen, wanted, weights, unigram, rows, pairs, float(r_cos(*sides)))


def witten_bell(
    pairs: TokenPairs, unigram: Float[np.ndarray, " target"], tokens: Int[np.ndarray, " token"]
) -> Float[np.ndarray, "token target"]:
    """P(next | token) with as much weight on the unigrams as the token has different followers.

    Equation: (n(x, nu) + T_x c_nu) / (n_x + T_x), T_x the number of different tokens seen after x, 1 at least.

    Source: witten1991zero.
    """
    counts, (different, total) = pairs.counts[tokens].toarray(), _followers(pairs)
    return (counts + different[tokens][:, None] * unigram[None, :]) / (total + different)[tokens][:, None]


def witten_bell_at(
    pairs: TokenPairs,
    unigram: Float[np.ndarray, " target"],
    before: Int[np.ndarray, " example"],
    after: Int[np.ndarray, " example"],
) -> Float[np.ndarray, " example"]:
    """The same for pairs alone."""
    seen = np.asarray(pairs.counts[before, after]).ravel()
    different, total = _followers(pairs)
    return (seen + different[before] * unigram[after]) / (total + different)[before]


def centred_rows(
    rows: Float[np.ndarray, "token target"], weights: Float[np.ndarray, " token"]
) -> Float[np.ndarray, "token target"]:
    """Rows less their weighted mean."""
    return rows - (weights @ rows)[None, :]


@partial(jax.jit, static_argnames=("model",))
def _layers(
    model: Decoder,
    params: dict[str, Any],
    sequences: Int[Array, "example position"],
    lens: Lens,
    log_unigram: Float[Array, " target"],
    other: Int[Array, " example"],
) -> Any:
    """Readings of every layer, those against the final distribution elsewhere, and those of the nulls."""
    tokens, targets, head = sequences[:, :-1], sequences[:, 1:].reshape(-1), head_of(params)
    final = flat(model.hidden(params, tokens))
    noise = last_norm(model, params, jax.random.normal(jax.random.key(0), final.shape, final.dtype))
    rows = [*(flat(layer) for layer in lens_states(model, params, tokens, lens)), noise]
    ends = jnp.concatenate([final] * len(rows) + [final[other]] * len(rows))  # all in one go compiles fastest
    found = read_out(jnp.concatenate(rows * 2), head, jnp.tile(targets, 2 * len(rows)), ends)
    found = jax.tree.map(lambda leaf: leaf.reshape(2, len(rows), -1), found)
    own, swapped = jax.tree.map(lambda leaf: leaf[0], found), found.divergence[1]
    fixed = read_out(jnp.ones_like(final[:, :1]), log_unigram[:, None], targets, final, head)
    layers = jax.tree.map(lambda leaf: leaf[:-1], own)
    turned = jnp.stack([jnp.mean(_cosines(layer, final)) for layer in rows[:-1]])
    return layers, swapped[:-1], fixed.divergence, own.divergence[-1], turned


def layer_values(
    model: Decoder,
    params: dict[str, Any],
    sequences: Int[np.ndarray, "example position"],
    found: Bigrams,
    lens: Lens | None = None,
) -> Values:
    """Means over positions at every layer, embedding first, and of the nulls.

    Returns:
        `[layer]`: entropy, divergence, loss, rank (median), swapped (KL to the final distribution at another
        position), cosine (of what the head reads there and at the end); scalars: uniform, unigram (KL from the final
        distribution to these) and random (to what the head reads of a random direction).
    """
    positions = sequences[:, 1:].size
    other = jnp.asarray(np.random.default_rng(0).permutation(positions))
    log_unigram = jnp.asarray(np.log(found.unigram), params["embed"].dtype)
    lens = plain_lens(model, params["embed"].dtype) if lens is None else lens  # the identity, compiled once for both
    own, swapped, unigram, random, turned = _layers(model, params, jnp.asarray(sequences), lens, log_unigram, other)
    entropy = np.asarray(own.entropy, float).mean(axis=1)
    return {
        "entropy": entropy.tolist(),
        "divergence": np.asarray(own.divergence, float).mean(axis=1).tolist(),
        "loss": np.asarray(own.surprisal, float).mean(axis=1).tolist(),
        "rank": np.median(np.asarray(own.rank, float), axis=1).tolist(),
        "swapped": np.asarray(swapped, float).mean(axis=1).tolist(),
        "cosine": np.asarray(turned, float).tolist(),
        "uniform": float(np.log(len(found.unigram)) - entropy[-1]),
        "unigram": float(np.asarray(unigram, float).mean()),
        "random": float(np.asarray(random, float).mean()),
    }


@partial(jax.jit, static_argnames=("model",))
def logits_alone(model: Decoder, params: dict[str, Any], tokens: Int[Array, " token"]) -> Float[Array, "token target"]:
    """Logits of the model where each token is all it reads."""
    return model.apply_batch(params, tokens[:, None])[:, 0]


@partial(jax.jit, static_argnames=("model",))
def _loss_alone(model: Decoder, params: dict[str, Any], sequences: Int[Array, "example position"]) -> Array:
    hidden = flat(model.hidden(params, sequences[:, :-1].reshape(-1, 1)))
    return jnp.mean(read_out(hidden, head_of(params), sequences[:, 1:].reshape(-1)).surprisal)


@partial(jax.jit, static_argnames=("model", "count"))
def _sum_in_context(
    model: Decoder, params: dict[str, Any], tokens: Int[Array, "example position"], slots: Array, count: int
) -> Array:
    """Sum of the model's distributions over the positions of each slot, one sequence after the other."""
    head = head_of(params)

    def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        states, places = part
        return total.at[places].add(jax.nn.softmax(states @ head.T, axis=1)), None

    start = jnp.zeros((count + 1, head.shape[0]), head.dtype)
    return jax.lax.scan(add, start, (model.hidden(params, tokens), slots))[0][:count]


def token_values(
    model: Decoder,
    params: dict[str, Any],
    start: dict[str, Any],
    sequences: Int[np.ndarray, "example position"],
    found: Bigrams,
    predicted: dict[str, Float[np.ndarray, "token target"]],
) -> Values:
    """Agreement of what the model says after a token, read alone and in context, with what pair counts say.

    Args:
        model: the decoder.
        params: its parameters.
        start: its parameters before the first update.
        sequences: held-out text.
        found: the pair counts.
        predicted: directions of the motion of the logits, `[token, target]` over `found.targets`, by theory.

    Returns:
        `loss`: on held-out text, reading one token; `alone` and `context`: KL(reference || model) by reference,
        weighted with the tokens' frequency (in context: tokens seen often enough in the held-out text); `r_cos` and
        `spearman` by reference; `motion`: correlation of the motion of the logits with each predicted direction.
    """
    logits = np.asarray(logits_alone(model, params, jnp.asarray(found.tokens)), float)
    log_p = logits - _log_sum(logits)
    before = np.asarray(logits_alone(model, start, jnp.asarray(found.tokens)), float)
    moved = centred_rows(logits - before, found.weights)
    context, weights = _in_context(model, params, sequences, found)
    rows = centred_rows(np.exp(log_p), found.weights)
    return {
        "loss": float(_loss_alone(model, params, jnp.asarray(sequences))),
        "alone": divergences(found, log_p, found.weights),
        "context": divergences(found, np.log(np.maximum(context, 1e-30)), weights),
        "r_cos": {name: float(r_cos(rows, found.centred(name))) for name in found.rows},
        "spearman": {name: _seen_spearman(found, log_p, name) for name in ("unigram", *found.rows)},
        "motion": {name: _row_correlation(moved[:, found.targets], row) for name, row in predicted.items()},
    }


def count_spearman(found: Bigrams, name: str) -> float:
    """Rank correlation of a reference with the bigram counts among the followers seen: what the model's is held to."""
    return _seen_spearman(found, np.log(found.table(name)), "bigram")


def _cosines(a: Float[Array, "example width"], b: Float[Array, "example width"]) -> Float[Array, " example"]:
    return jnp.sum(a * b, axis=1) / (jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1))


def _pairs(corpus: EncodedCorpus) -> TokenPairs:
    return count_neighbours(corpus.ids, corpus.ends, corpus.vocab)


def _followers(pairs: TokenPairs) -> tuple[Float[np.ndarray, " token"], Float[np.ndarray, " token"]]:
    """How many different tokens followed each, 1 at least, and how many in all."""
    return np.maximum(np.diff(pairs.counts.indptr), 1).astype(float), pairs.firsts.astype(float)


def _log_sum(logits: Float[np.ndarray, "token target"]) -> Float[np.ndarray, "token 1"]:
    peak = logits.max(axis=1, keepdims=True)
    return peak + np.log(np.exp(logits - peak).sum(axis=1, keepdims=True))


def _in_context(
    model: Decoder, params: dict[str, Any], sequences: Int[np.ndarray, "example position"], found: Bigrams
) -> tuple[Float[np.ndarray, "token target"], Float[np.ndarray, " token"]]:
    """Mean distribution after every token over its places, and the tokens' share of the places."""
    count, inputs = len(found.tokens), sequences[:, :-1]
    slot = np.full(len(found.unigram), count)
    slot[found.tokens] = np.arange(count)
    slots = slot[inputs]
    places = np.bincount(slots.ravel(), minlength=count + 1)[:count]
    totals = _sum_in_context(model, params, jnp.asarray(inputs), jnp.asarray(slots), count)
    weights = places / max(places.sum(), 1)
    return np.asarray(totals, float) / np.maximum(places, 1)[:, None], weights


def divergences(found: Bigrams, log_p: Float[np.ndarray, "token target"], weights: np.ndarray) -> dict[str, float]:
    """Weighted mean over tokens of KL(reference || p)."""
    used = weights > 0
    tables = {name: found.table(name)[used] for name in REFERENCES}
    every = {name: np.sum(q * (np.log(q) - log_p[used]), axis=1) for name, q in tables.items()}
    return {name: float(weights[used] @ values) for name, values in every.items()}


def _seen_spearman(found: Bigrams, log_p: Float[np.ndarray, "token target"], name: str, least: int = 10) -> float:
    """Mean over tokens of the rank correlation of a distribution with a reference, among the followers seen."""
    values = []
    counts = found.pairs["bigram"].counts
    for k, token in enumerate(found.tokens):
        seen = counts.indices[counts.indptr[token] : counts.indptr[token + 1]]
        if len(seen) >= least:
            values.append(np.corrcoef(rankdata(found.table(name)[k, seen]), rankdata(log_p[k, seen]))[0, 1])
    return float(np.mean(values)) if values else float("nan")


def _row_correlation(a: Float[np.ndarray, "token target"], b: Float[np.ndarray, "token target"]) -> float:
    """Mean over tokens of the correlation over targets; NaN where nothing has moved."""
    a, b = (rows - rows.mean(axis=1, keepdims=True) for rows in (a, b))
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean(np.sum(a * b, axis=1) / sizes)) if np.all(sizes > 0) else float("nan")
