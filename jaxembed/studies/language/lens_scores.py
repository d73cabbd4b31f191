"""What is measured on one saved model: its lens on held-out text, and what it says of single tokens."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import log_softmax
from scipy.stats import rankdata

from ...analysis.lens import Lens, lens_states, plain_lens
from ...analysis.lens.lens import flat, last_norm
from ...corpus import EncodedCorpus
from ...losses.language import head_of
from ...models import Decoder
from ...observables import r_cos, read_out
from ...statistics import TokenPairs, count_neighbours

Values = dict[str, Any]
Sequences = Int[np.ndarray, "example position"]
Rows = Float[np.ndarray, "token target"]
REFERENCES = ("uniform", "unigram", "bigram", "shuffled bigram")


@dataclass(frozen=True, eq=False)
class Bigrams:
    """What pair counts of the training text say of the next token.

    Attributes:
        tokens: `[token]`, the frequent tokens that are read alone.
        targets: `[target]`, next tokens that directions are taken over.
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
    rows: dict[str, Rows]
    pairs: dict[str, TokenPairs]
    half_r_cos: float

    def centred(self, name: str) -> Rows:
        """Rows less what they have in common: signatures centred by their own weighted mean."""
        return centred_rows(self.rows[name], self.weights)

    def held_loss(self, name: str, sequences: Sequences) -> float:
        """Mean surprisal of the next tokens of held-out sequences."""
        before, after = sequences[:, :-1].ravel(), sequences[:, 1:].ravel()
        if name == "uniform":
            return float(np.log(len(self.unigram)))
        p = self.unigram[after] if name == "unigram" else witten_bell_at(self.pairs[name], self.unigram, before, after)
        return float(-np.log(p).mean())

    def table(self, name: str) -> Rows:
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
    chosen = corpus.frequent(min(2 * tokens, corpus.occurring))
    chosen = chosen[pairs["bigram"].firsts[chosen] > 0][:tokens]
    rows = {name: witten_bell(counts, unigram, chosen) for name, counts in pairs.items()}
    weights = corpus.unigrams[chosen] / corpus.unigrams[chosen].sum()
    halves = [_pairs(corpus.select(np.arange(first, len(corpus), 2))) for first in (0, 1)]
    sides = [centred_rows(witten_bell(half, unigram, chosen), weights) for half in halves]
    frequent = corpus.frequent(min(targets, corpus.occurring))
    return Bigrams(chosen, frequent, weights, unigram, rows, pairs, float(r_cos(*sides)))


def witten_bell(pairs: TokenPairs, unigram: Float[np.ndarray, " target"], tokens: Int[np.ndarray, " token"]) -> Rows:
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


def centred_rows(rows: Rows, weights: Float[np.ndarray, " token"]) -> Rows:
    """Rows less their weighted mean."""
    return rows - (weights @ rows)[None, :]


def divergences(counts: Bigrams, log_p: Rows, weights: Float[np.ndarray, " token"]) -> dict[str, float]:
    """Weighted mean over tokens of KL(reference || p), by reference."""
    used = weights > 0
    tables = {name: counts.table(name)[used] for name in REFERENCES}
    return {name: float(weights[used] @ np.sum(q * (np.log(q) - log_p[used]), axis=1)) for name, q in tables.items()}


def layer_values(
    model: Decoder, params: dict[str, Any], sequences: Sequences, counts: Bigrams, lens: Lens | None = None
) -> Values:
    """Means over positions at every layer, embedding first, and of the nulls.

    Returns:
        `[layer]`: entropy, divergence, loss, rank (median), swapped (KL to the final distribution at another
        position), cosine (of what the head reads there and at the end); scalars: uniform, unigram (KL from the final
        distribution to these) and random (to what the head reads of a random direction).
    """
    elsewhere = jnp.asarray(np.random.default_rng(0).permutation(sequences[:, 1:].size))
    log_unigram = jnp.asarray(np.log(counts.unigram), params["embed"].dtype)
    lens = plain_lens(model, params["embed"].dtype) if lens is None else lens  # the identity, compiled once for both
    arrays = _layers(model, params, jnp.asarray(sequences), lens, log_unigram, elsewhere)
    own, swapped, unigram, random, turned = jax.tree.map(lambda leaf: np.asarray(leaf, float), arrays)
    entropy = own.entropy.mean(axis=1)
    return {
        "entropy": entropy.tolist(),
        "divergence": own.divergence.mean(axis=1).tolist(),
        "loss": own.surprisal.mean(axis=1).tolist(),
        "rank": np.median(own.rank, axis=1).tolist(),
        "swapped": swapped.mean(axis=1).tolist(),
        "cosine": turned.tolist(),
        "uniform": float(np.log(len(counts.unigram)) - entropy[-1]),
        "unigram": float(unigram.mean()),
        "random": float(random.mean()),
    }


@partial(jax.jit, static_argnames=("model",))
def _layers(
    model: Decoder,
    params: dict[str, Any],
    sequences: Int[Array, "example position"],
    lens: Lens,
    log_unigram: Float[Array, " target"],
    elsewhere: Int[Array, " example"],
) -> Any:
    """Scores of every layer, those against the final distribution elsewhere, and those of the nulls."""
    tokens, targets, head = sequences[:, :-1], sequences[:, 1:].reshape(-1), head_of(params)
    final = flat(model.hidden(params, tokens))
    noise = last_norm(model, params, jax.random.normal(jax.random.key(0), final.shape, final.dtype))
    rows = [*(flat(layer) for layer in lens_states(model, params, tokens, lens)), noise]
    ends = jnp.concatenate([final] * len(rows) + [final[elsewhere]] * len(rows))  # all in one go compiles fastest
    read = read_out(jnp.concatenate(rows * 2), head, jnp.tile(targets, 2 * len(rows)), ends)
    read = jax.tree.map(lambda leaf: leaf.reshape(2, len(rows), -1), read)
    own, swapped = jax.tree.map(lambda leaf: leaf[0], read), read.divergence[1]
    fixed = read_out(jnp.ones_like(final[:, :1]), log_unigram[:, None], targets, final, head)
    layers = jax.tree.map(lambda leaf: leaf[:-1], own)
    turned = jnp.stack([jnp.mean(_cosines(layer, final)) for layer in rows[:-1]])
    return layers, swapped[:-1], fixed.divergence, own.divergence[-1], turned


def _cosines(a: Float[Array, "example width"], b: Float[Array, "example width"]) -> Float[Array, " example"]:
    return jnp.sum(a * b, axis=1) / (jnp.linalg.norm(a, axis=1) * jnp.linalg.norm(b, axis=1))


def token_values(
    model: Decoder,
    params: dict[str, Any],
    start: dict[str, Any],
    sequences: Sequences,
    counts: Bigrams,
    predicted: dict[str, Rows],
) -> Values:
    """Agreement of what the model says after a token, read alone and in context, with what pair counts say.

    The motion of the logits, from the parameters `start` before the first update, is held against the `predicted`
    directions, `[token, target]` over `counts.targets`, by theory.

    Returns:
        `loss`: on held-out text, reading one token; `alone` and `context`: KL(reference || model) by reference,
        weighted with the tokens' frequency (in context: tokens seen often enough in the held-out text); `r_cos` and
        `spearman` by reference; `motion`: correlation of the motion of the logits with each predicted direction.
    """
    tokens = jnp.asarray(counts.tokens)
    logits, before = (np.asarray(logits_alone(model, each, tokens), float) for each in (params, start))
    log_p, moved = log_softmax(logits, axis=1), centred_rows(logits - before, counts.weights)
    context, weights = _in_context(model, params, sequences, counts)
    rows = centred_rows(np.exp(log_p), counts.weights)
    return {
        "loss": float(_loss_alone(model, params, jnp.asarray(sequences))),
        "alone": divergences(counts, log_p, counts.weights),
        "context": divergences(counts, np.log(np.maximum(context, 1e-30)), weights),
        "r_cos": {name: float(r_cos(rows, counts.centred(name))) for name in counts.rows},
        "spearman": {name: _seen_spearman(counts, log_p, name) for name in ("unigram", *counts.rows)},
        "motion": {name: _row_correlation(moved[:, counts.targets], row) for name, row in predicted.items()},
    }


@partial(jax.jit, static_argnames=("model",))
def logits_alone(model: Decoder, params: dict[str, Any], tokens: Int[Array, " token"]) -> Float[Array, "token target"]:
    """Logits of the model where each token is all it reads."""
    return model.apply_batch(params, tokens[:, None])[:, 0]


@partial(jax.jit, static_argnames=("model",))
def _loss_alone(model: Decoder, params: dict[str, Any], sequences: Int[Array, "example position"]) -> Array:
    hidden = flat(model.hidden(params, sequences[:, :-1].reshape(-1, 1)))
    return jnp.mean(read_out(hidden, head_of(params), sequences[:, 1:].reshape(-1)).surprisal)


def _in_context(
    model: Decoder, params: dict[str, Any], sequences: Sequences, counts: Bigrams
) -> tuple[Rows, Float[np.ndarray, " token"]]:
    """Mean distribution after every token over its places, and the tokens' share of the places."""
    count, inputs = len(counts.tokens), sequences[:, :-1]
    slot = np.full(len(counts.unigram), count)
    slot[counts.tokens] = np.arange(count)
    slots = slot[inputs]
    places = np.bincount(slots.ravel(), minlength=count + 1)[:count]
    totals = _sum_in_context(model, params, jnp.asarray(inputs), jnp.asarray(slots), count)
    return np.asarray(totals, float) / np.maximum(places, 1)[:, None], places / max(places.sum(), 1)


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


def count_spearman(counts: Bigrams, name: str) -> float:
    """Rank correlation of a reference with the bigram counts among the followers seen: what the model's is held to."""
    return _seen_spearman(counts, np.log(counts.table(name)), "bigram")


def _seen_spearman(counts: Bigrams, log_p: Rows, name: str, least: int = 10) -> float:
    """Mean over tokens of the rank correlation of a distribution with a reference, among the followers seen."""
    values, pairs = [], counts.pairs["bigram"].counts
    for k, token in enumerate(counts.tokens):
        seen = pairs.indices[pairs.indptr[token] : pairs.indptr[token + 1]]
        if len(seen) >= least:
            values.append(np.corrcoef(rankdata(counts.table(name)[k, seen]), rankdata(log_p[k, seen]))[0, 1])
    return float(np.mean(values)) if values else float("nan")


def _row_correlation(a: Rows, b: Rows) -> float:
    """Mean over tokens of the correlation over targets; NaN where nothing has moved."""
    a, b = (rows - rows.mean(axis=1, keepdims=True) for rows in (a, b))
    sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean(np.sum(a * b, axis=1) / sizes)) if np.all(sizes > 0) else float("nan")


def _pairs(corpus: EncodedCorpus) -> TokenPairs:
    return count_neighbours(corpus.ids, corpus.ends, corpus.vocab)


def _followers(pairs: TokenPairs) -> tuple[Float[np.ndarray, " token"], Float[np.ndarray, " token"]]:
    """How many different tokens followed each, 1 at least, and how many in all."""
    return np.maximum(np.diff(pairs.counts.indptr), 1).astype(float), pairs.firsts.astype(float)
