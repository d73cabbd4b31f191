"""What attention does to an ambiguous word: how it mixes the context, which heads decide, what a replaced word does."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ...base import generator
from ...models import Decoder, changed_states, moved_from, read_attention
from ...probes import Probe
from .probes import balanced_mean, decide
from .texts import SenseTask
from .tokens import SenseTokens, batches, sense_states

MIXTURES = ("attention", "uniform", "other sentence")
"""Of what context embeddings are mixed by: the model's weights; equal weights; those and the words of another one."""
SCORES = ("cosine", "relative error", "centred cosine", "centred relative error")
BATCH = 50


@dataclass(frozen=True, eq=False)
class WordAttention:
    """Attention at the marked word, of some sentences.

    Attributes:
        states: `[layers + 2, example, width]`, of the word.
        writes: `[layer, example, head, width]`, of every head.
        bias: `[layer, width]`, of attention's output.
        mixture: `[layer, example, width]`, the heads' writes if every word of the context still were its embedding.
        uniform: the same with equal weights on the word and all before it.
        carried: `[example, position]`, what each word adds, through all heads up to a depth, to the logit of the second
            sense over the first of a probe at that depth.
    """

    states: Float[np.ndarray, "... example width"]
    writes: Float[np.ndarray, "layer example head width"]
    bias: Float[np.ndarray, "layer width"]
    mixture: Float[np.ndarray, "layer example width"]
    uniform: Float[np.ndarray, "layer example width"]
    carried: Float[np.ndarray, "example position"]

    @property
    def added(self) -> Float[np.ndarray, "layer example width"]:
        """All that attention adds to the word's vector in each layer."""
        return self.writes.sum(axis=2) + self.bias[:, None]

    @property
    def mlp(self) -> Float[np.ndarray, "layer example width"]:
        """What the MLP adds in each layer."""
        return self.states[1:-1] - self.states[:-2] - self.added


def attention_at_word(
    model: Decoder, params: Any, tokens: SenseTokens, direction: Float[np.ndarray, " width"], depth: int
) -> WordAttention:
    """Take attention at the marked word apart.

    Args:
        model: the decoder.
        params: its parameters.
        tokens: the sentences.
        direction: `[width]`, along which the second sense is told from the first at `depth`.
        depth: blocks whose heads count in `carried`.
    """
    found, size = [], min(BATCH, len(tokens))
    params = jax.tree.map(jnp.asarray, params)
    along = jnp.asarray(direction, params["embed"].dtype)
    for rows in batches(len(tokens), size):
        ids, at = jnp.asarray(tokens.ids[rows]), jnp.asarray(tokens.at[rows])
        found.append(jax.device_get(_parts(params, ids, at, along, model=model, depth=depth)))
    states, writes, bias, mixture, uniform, carried = zip(*found, strict=True)

    def whole(pieces: tuple[np.ndarray, ...], axis: int = 1) -> np.ndarray:
        return np.take(np.concatenate(pieces, axis=axis), np.arange(len(tokens)), axis=axis)

    return WordAttention(whole(states), whole(writes), bias[0], whole(mixture), whole(uniform), whole(carried, 0))


@partial(jax.jit, static_argnames=("model", "depth"))
def _parts(
    params: Any, ids: Int[Array, "example position"], at: Int[Array, " example"], along: Array, *, model: Decoder,
    depth: int
) -> tuple[Array, ...]:  # fmt: skip
    parts = read_attention(model, params, ids)
    weights = jnp.take_along_axis(parts.weights, at[None, :, None, None, None], axis=3)[:, :, :, 0]
    plain = moved_from(model, params, parts.states[0])
    past = (jnp.arange(ids.shape[1], dtype=at.dtype)[None] <= at[:, None]).astype(weights.dtype)
    equal = past / jnp.sum(past, axis=1, keepdims=True)
    mixture = jnp.einsum("lehj,lehjd->led", weights, plain) + parts.bias[:, None]
    uniform = jnp.einsum("ej,lehjd->led", equal, plain) + parts.bias[:, None]
    writes = jnp.einsum("lehj,lehjd->lehd", weights, parts.moved)
    carried = jnp.einsum("lehj,lehj->ej", weights[:depth], parts.moved[:depth] @ along)
    states = jnp.take_along_axis(parts.states, at[None, :, None, None], axis=2)[:, :, 0]
    return states, writes, parts.bias, mixture, uniform, carried


def mixture_scores(parts: WordAttention, last: int) -> dict[str, list[list[float]]]:
    """How well mixed context embeddings give the measured change of the word's vector up to a depth.

    Args:
        parts: of the test sentences.
        last: depth up to which writes and mixtures are summed.

    Returns:
        For the change by attention, and the whole change (MLPs included): by `MIXTURES` a row of `SCORES`. Centred
        scores take off what all sentences share, which any mixture has. The relative error is that of all sentences
        together; cosines are means over sentences.
    """
    mixed = [parts.mixture[:last].sum(axis=0), parts.uniform[:last].sum(axis=0)]
    mixed.append(np.roll(mixed[0], 1, axis=0))
    targets = {"by attention": parts.added[:last].sum(axis=0), "in all": parts.states[last] - parts.states[0]}
    return {name: [_closeness(guess, change) for guess in mixed] for name, change in targets.items()}


def _closeness(guess: np.ndarray, truth: np.ndarray) -> list[float]:
    found = []
    for shift in (False, True):
        a, b = ((part - part.mean(axis=0) if shift else part).astype(np.float64) for part in (guess, truth))
        sizes = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosine = np.sum(a * b, axis=1) / np.where(sizes > 0, sizes, np.nan)
        size = np.linalg.norm(b)
        found += [float(np.mean(cosine)), float(np.linalg.norm(a - b) / size) if size > 0 else float("nan")]
    return found


def sense_direction(probe: Probe) -> Float[np.ndarray, " width"]:
    """Along which a probe's logit of the second sense rises over that of the first."""
    weight = np.asarray(probe.layers[0][0], np.float64)
    return weight[:, 1] - weight[:, 0]


def direct_effects(
    parts: WordAttention, senses: Int[np.ndarray, " example"], direction: Float[np.ndarray, " width"], depth: int
) -> dict[str, Any]:
    """Who makes the probe's logit at a depth differ between the two senses: an exact sum over heads and MLPs.

    Args:
        parts: of sentences of these two senses.
        senses: `[example]`, 0 or 1.
        direction: of `sense_direction`.
        depth: of the probe.

    Returns:
        `total`: mean logit over sentences of the second sense less that of the first; `heads` `[layer][head]` and `mlp`
        `[layer]`: their parts of it, which sum to the total (the embedding is the same in all sentences).
    """

    def gap(along: np.ndarray) -> np.ndarray:
        return along[..., senses == 1].mean(axis=-1) - along[..., senses == 0].mean(axis=-1)

    heads = gap(np.moveaxis(parts.writes[:depth] @ direction, 1, 2))
    return {
        "total": float(gap((parts.states[depth] - parts.states[0]) @ direction)),
        "heads": heads.tolist(),
        "mlp": gap(parts.mlp[:depth] @ direction).tolist(),
    }


def ablate_heads(
    model: Decoder, params: Any, task: SenseTask, rows: Int[np.ndarray, " example"], probe: Probe, depth: int
) -> dict[str, Any]:
    """Balanced accuracy of a probe at a depth where each head in turn writes its mean instead of what it would.

    Args:
        model: the decoder.
        params: its parameters.
        task: the sentences.
        rows: of the sentences that are decided.
        probe: fitted on intact states of that depth.
        depth: of the probe.

    Returns:
        `intact`, `heads` `[layer][head]` and `none`, where all heads up to the depth write their means.
    """
    tokens, senses = task.tokens.select(rows), task.senses[rows]
    # What stands after the last marked word is not asked.
    params, ids = jax.tree.map(jnp.asarray, params), jnp.asarray(tokens.ids[:, : tokens.at.max() + 1])
    at, ends = jnp.asarray(tokens.at), jnp.asarray(tokens.ends)
    means = _mean_heads(params, ids, ends, model=model)
    pairs = [(layer, head) for layer in range(depth) for head in range(model.heads)]
    keep = np.ones((len(pairs) + 2, model.layers, model.heads), np.asarray(means).dtype)
    for k, (layer, head) in enumerate(pairs):
        keep[k, layer, head] = 0
    keep[-2, :depth] = 0
    states = np.asarray(_ablated(params, ids, at, means, jnp.asarray(keep), model=model, depth=depth))
    scores = [float(balanced_mean((decide(probe, x) == senses).astype(float), senses)) for x in states]
    heads = np.reshape(scores[: len(pairs)], (depth, model.heads)).tolist()
    return {"intact": scores[-1], "none": scores[-2], "heads": heads}


@partial(jax.jit, static_argnames="model")
def _mean_heads(params: Any, ids: Array, ends: Array, *, model: Decoder) -> Float[Array, "layer head width"]:
    """Every head's mixed values, averaged over all tokens of the sentences."""
    means: list[Array] = []

    def take(layer: int, mixed: Array) -> Array:
        inside = (jnp.arange(ids.shape[1], dtype=ends.dtype)[None] < ends[:, None]).astype(mixed.dtype)
        means.append(jnp.einsum("eihu,ei->hu", mixed, inside) / jnp.sum(inside))
        return mixed

    changed_states(model, params, ids, take)
    return jnp.stack(means)


@partial(jax.jit, static_argnames=("model", "depth"))
def _ablated(
    params: Any, ids: Array, at: Array, means: Array, keep: Array, *, model: Decoder, depth: int
) -> Float[Array, "head example width"]:
    def one(kept: Array) -> Array:
        def change(layer: int, mixed: Array) -> Array:
            part = kept[layer][None, None, :, None]
            return part * mixed + (1 - part) * means[layer][None, None]

        states = changed_states(model, params, ids, change)
        return jnp.take_along_axis(states[depth], at[:, None, None], axis=1)[:, 0]

    return jax.lax.map(one, keep)


PATCHES = ("carrier", "other place", "other word")
"""The word that carries most becomes one from the other sense; another place becomes it; the carrier becomes another
word of the same sense."""


def patch_words(
    model: Decoder,
    params: Any,
    task: SenseTask,
    parts: dict[str, WordAttention],
    rows: dict[str, Int[np.ndarray, " example"]],
    probe: Probe,
    depth: int,
    key: PRNGKeyArray | int,
) -> dict[str, list[int]]:
    """How often the probe's decision between two senses flips when one word to the left of the word is replaced.

    Only rightly decided test sentences with at least two words to the left count. The word that carries most is the one
    whose direct effect speaks most for the sentence's own sense; its replacement carries most in a training sentence of
    the other sense. The nulls put the same replacement in another place, and in the carrier's place a random left word
    of a training sentence of its own sense.

    Args:
        model: the decoder.
        params: its parameters.
        task: the sentences, of two senses.
        parts: "donors" (training sentences) and "test", taken apart.
        rows: of both.
        probe: between the two senses.
        depth: of the probe.
        key: of the draws.

    Returns:
        By `PATCHES` `[flipped, tried]`.
    """
    rng = generator(key)
    donors, senses = _donors(task, parts["donors"], rows["donors"]), task.senses[rows["test"]]
    tokens, carried = task.tokens.select(rows["test"]), parts["test"].carried
    right = decide(probe, parts["test"].states[depth]) == senses
    first, before = tokens.start, tokens.at + 1 - tokens.pieces
    chosen = np.flatnonzero(right & (before - first >= 2))
    if not len(chosen) or not all(len(words) for pair in donors.values() for words in pair):
        return {name: [0, 0] for name in PATCHES}
    flips = {}
    places = np.array([_carrier(carried[k], first, before[k], senses[k]) for k in chosen])
    others = np.array([rng.choice(np.setdiff1d(np.arange(first, before[k]), [place]))
                       for k, place in zip(chosen, places, strict=True)])  # fmt: skip
    foreign = np.array([rng.choice(donors[1 - int(senses[k])][0]) for k in chosen])
    own = np.array([rng.choice(donors[int(senses[k])][1]) for k in chosen])
    for name, at, word in zip(PATCHES, (places, others, places), (foreign, foreign, own), strict=True):
        patched = tokens.select(chosen)
        patched.ids[np.arange(len(chosen)), at] = word
        states = sense_states(model, params, patched)[depth]
        flipped = decide(probe, states) != senses[chosen]
        flips[name] = [int(flipped.sum()), len(chosen)]
    return flips


def _carrier(carried: np.ndarray, first: int, end: int, sense: int) -> int:
    """The place whose direct effect speaks most for a sense."""
    return first + int(np.argmax(carried[first:end] * (1 if sense == 1 else -1)))


def _donors(
    task: SenseTask, parts: WordAttention, rows: Int[np.ndarray, " example"]
) -> dict[int, tuple[np.ndarray, ...]]:
    """Of each sense the words that carry most, one of every training sentence, and all words to the left."""
    tokens, senses = task.tokens.select(rows), task.senses[rows]
    found = {}
    for sense in (0, 1):
        carriers, every = [], [np.zeros(0, np.int32)]
        for k in np.flatnonzero(senses == sense):
            end = int(tokens.at[k] + 1 - tokens.pieces[k])
            if end > tokens.start:
                carriers.append(tokens.ids[k, _carrier(parts.carried[k], tokens.start, end, sense)])
                every.append(tokens.ids[k, tokens.start : end])
        found[sense] = np.array(carriers), np.concatenate(every)
    return found
