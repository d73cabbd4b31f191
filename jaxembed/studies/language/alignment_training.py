"""One training of the alignment study: a decoder on a text, and how its tables agree with the text's signatures."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...language.pretrain import Pretrained, pretrain
from ...language.settings import Pretraining
from ...models import Decoder, llama, qwen2
from ...observables import alignment
from ...train import single_precision
from .alignment_texts import CountedText, Pairs, agreement, pair_scores

ARCHITECTURES: dict[str, Callable[..., Decoder]] = {"qwen2": qwen2, "llama": llama}
TABLES = ("embed", "unembed")
OWN = {"embed": "next", "unembed": "previous"}
"""The signature that theory gives each table."""
CROSS = {"embed": "previous", "unembed": "next"}
"""The other table's, the control."""
SIGNATURES = ("next", "previous")


SCHEDULE = Pretraining(
    320, 16, 128, 2e-3, warmup=20, beta2=0.999, save_steps=(0, 10, 20, 40, 80, 160, 240, 320)
)  # fmt: skip
"""Learning rate and `beta2` were chosen by held-out loss."""


@dataclass(frozen=True)
class AlignedShape:
    """Sizes of the decoder, its schedule, and how often each null is drawn; the same for all trainings.

    Attributes:
        vocab: entries of the tokeniser.
        width: of the stream.
        layers: number of blocks.
        heads: query heads; half as many of keys and values in qwen2.
        mlp_width: units of the MLP.
        schedule: of training; alignment is measured at its saved steps.
        frequent: tokens compared, the most frequent ones.
        held_out: tokens kept for the held-out loss.
        draws: untrained networks, shuffled corpora and relabellings of tokens behind each null.
        quantiles: of embedding similarity above which pairs count as strong, of those of `alignment`'s tails.
        halvings: random halvings of the documents.
        contexts: sequences in which the states of tokens in context are averaged.
        seen: how often a token must occur in them.
        characters: how much text is read; None for all.
    """

    vocab: int = 4096
    width: int = 128
    layers: int = 4
    heads: int = 4
    mlp_width: int = 384
    schedule: Pretraining = SCHEDULE
    frequent: int = 1000
    held_out: int = 20_000
    draws: int = 100
    quantiles: tuple[float, ...] = (0.5, 0.9, 0.99, 0.999)
    halvings: int = 5
    contexts: int = 384
    seen: int = 5
    characters: int | None = None


@dataclass(frozen=True)
class AlignedTraining:
    """Which training: the text and its tokeniser, the architecture, the seed of start and data order."""

    subset: str
    tokenizer: str
    architecture: str
    seed: int = 0
    shuffled: bool = False
    tied: bool = False

    @property
    def name(self) -> str:
        ends = ("-shuffled" if self.shuffled else "") + ("-tied" if self.tied else "")
        return f"{self.subset}-{self.tokenizer}-{self.architecture}-{self.seed}{ends}"

    @property
    def title(self) -> str:
        return f"{self.subset}, {self.tokenizer}, {self.architecture}"

    def model(self, shape: AlignedShape) -> Decoder:
        """Untied heads but where said: a tied head would make embedding and unembedding one table."""
        kv_heads = {"qwen2": max(1, shape.heads // 2), "llama": shape.heads}[self.architecture]
        sizes = {"width": shape.width, "layers": shape.layers, "heads": shape.heads, "mlp_width": shape.mlp_width}
        return ARCHITECTURES[self.architecture](**sizes, kv_heads=kv_heads, tied=self.tied)


@dataclass(frozen=True)
class AlignedDecoder:
    """What was measured of a training; R_cos throughout, over the text's frequent tokens.

    Attributes:
        training: which.
        values: by name, arrays. Courses over the saved steps: "steps", "held" (held-out loss, nats per token), and for
            TABLE in embed, unembed and SIGNATURE in next, previous: "TABLE SIGNATURE" `[time]`, "TABLE SIGNATURE plain"
            `[time]`, "alone SIGNATURE" `[time, layer]` (states of a token by itself). Unless trained on shuffled text
            also "context SIGNATURE" `[time, layer]` (mean states over contexts, first and last save); the nulls, the
            same names with " untrained" `[draw]` and " shuffled" `[draw, time]`, for own signatures " mantel" and
            " halves" `[draw]`; " interval" over tokens (low, high); "TABLE overlap" of the ten nearest neighbours with
            the 99th percentile of relabellings; "TABLE tails" `[quantile, 4]` of pairs by strength: mean signature
            cosine, its excess over the straight line through all pairs, and the ends of that; "TABLE trend" over tenths
            of embedding similarity, with its ends. Of the run: "corpus" (hash), "tokens", "parameters", "tokens per
            second".
    """

    training: AlignedTraining
    values: dict[str, np.ndarray]

    def last(self, name: str) -> float:
        """A course's value at the end of training."""
        return float(self.values[name][-1])

    def at_share(self, name: str, share: float) -> float:
        """A course's value at a share of the training, linear between saves."""
        steps = self.values["steps"]
        return float(np.interp(share * steps[-1], steps, self.values[name]))

    def limit(self, name: str, null: str) -> float:
        """99th percentile of a null at the end of training."""
        draws = self.values[f"{name} {null}"]
        return float(np.quantile(draws if draws.ndim == 1 else draws[:, -1], 0.99))


def measured(training: AlignedTraining, shape: AlignedShape, read: Callable[[], CountedText]) -> dict[str, np.ndarray]:
    """Train one decoder and measure it; see `AlignedDecoder.values`."""
    text, model = read(), training.model(shape)
    trained = _trained(training, shape, text, model)
    states = [jax.tree.map(lambda leaf, i=i: leaf[i], trained.trajectory.ys) for i in range(len(trained.held_losses))]
    truth = {name: pair_scores(rows) for name, rows in text.signatures.items()}
    tokens = jnp.asarray(text.tokens)
    values = {"steps": np.array(shape.schedule.save_steps, float), "held": np.asarray(trained.held_losses, float)}
    values |= _stacked([_agreements(tables(x, tokens), _alone(model, x, tokens), truth) for x in states])
    if not training.shuffled:
        values |= _contexts([states[0], states[-1]], text, model, shape)
        values |= {f"{name} untrained": x for name, x in _untrained(model, shape, text, truth).items()}
        values |= _texts(states, text) | _at_the_end(states[-1], text, shape)
    facts = {"corpus": text.train.hash, "tokens": text.train.tokens, "tokens per second": trained.tokens_per_second}
    facts["parameters"] = model.parameter_count(text.train.vocab)
    return values | {name: np.array(fact) for name, fact in facts.items()}


def tables(params: dict[str, Any], tokens: Int[Array | np.ndarray, " token"]) -> dict[str, Array]:
    """Embedding and unembedding of the tokens compared; with a tied head both are one table."""
    embed = jnp.asarray(params["embed"])
    return {"embed": embed[tokens], "unembed": jnp.asarray(params.get("unembed", embed))[tokens]}


def _trained(training: AlignedTraining, shape: AlignedShape, text: CountedText, model: Decoder) -> Pretrained:
    settings = replace(shape.schedule, init_seed=training.seed, data_seed=training.seed)
    train, held = text.train, text.held
    if training.shuffled:
        train, held = train.shuffled(training.seed), held.shuffled(training.seed)
    return pretrain(model, train, settings, held=held)


def _agreements(
    both: dict[str, Array], alone: Float[Array, "layer token width"], truth: dict[str, Pairs]
) -> dict[str, float | list[float]]:
    """Both tables against every signature, and the states of single tokens at every depth against the centred ones."""
    scores = {table: pair_scores(np.asarray(rows)) for table, rows in both.items()}
    depths = [pair_scores(rows) for rows in np.asarray(alone)]
    found = {f"{table} {name}": agreement(scores[table], truth[name]) for table in scores for name in truth}
    return found | {
        f"alone {name}": [agreement(x, truth[name]) for x in depths] for name in SIGNATURES if name in truth
    }


def _stacked(found: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def _contexts(states: list[Any], text: CountedText, model: Decoder, shape: AlignedShape) -> dict[str, np.ndarray]:
    """Mean state of a token over contexts, at every depth, for the tokens that occur often enough in them."""
    windows = _windows(text, shape)
    place = np.full(text.train.vocab, len(text.tokens))
    place[text.tokens] = np.arange(len(text.tokens))
    occurrences = np.bincount(place[windows].reshape(-1), minlength=len(text.tokens) + 1)[:-1]
    seen = occurrences >= shape.seen
    truth = {name: pair_scores(text.signatures[name][seen]) for name in SIGNATURES}
    found = []
    for params in states:
        sums = sum_over_contexts(model, params, windows, jnp.asarray(place), len(text.tokens) + 1)
        depths = [pair_scores(rows[:-1][seen] / occurrences[seen][:, None]) for rows in sums]
        found.append({f"context {name}": [agreement(x, truth[name]) for x in depths] for name in SIGNATURES})
    return _stacked(found)


def sum_over_contexts(
    model: Decoder,
    params: Any,
    windows: Int[np.ndarray, "sequence position"],
    place: Array,
    slots: int,
    batch: int = 32,
) -> Float[np.ndarray, "layer token width"]:
    """States summed by the slot of the token that stands there, `[layer, slot, width]`.

    Args:
        model: the decoder.
        params: its parameters.
        windows: sequences, their number a multiple of `batch` or below it.
        place: `[token]`, the slot of every token of the vocabulary.
        slots: number of slots.
        batch: sequences at once, so that memory stays bounded.
    """
    parts = (windows[first : first + batch] for first in range(0, len(windows), batch))
    sums = (_summed(model, slots, params, jnp.asarray(piece), place) for piece in parts)
    return np.sum([np.asarray(part, np.float64) for part in sums], axis=0)


@partial(jax.jit, static_argnums=(0, 1))
def _summed(
    model: Decoder, slots: int, params: Any, windows: Int[Array, "sequence position"], place: Int[Array, " token"]
) -> Float[Array, "layer token width"]:
    states = model.states(params, windows)
    flat = states.reshape(states.shape[0], -1, states.shape[-1])
    return jax.vmap(lambda rows: jax.ops.segment_sum(rows, place[windows].reshape(-1), slots))(flat)


@partial(jax.jit, static_argnums=0)
def _alone(model: Decoder, params: Any, tokens: Int[Array, " token"]) -> Float[Array, "layer token width"]:
    """States of tokens that stand by themselves."""
    return model.states(params, tokens[:, None])[:, :, 0]


def _windows(text: CountedText, shape: AlignedShape) -> Int[np.ndarray, "sequence position"]:
    """Sequences spread evenly over the text."""
    length = shape.schedule.length
    starts = np.linspace(0, text.train.tokens - length - 1, shape.contexts).astype(int)
    return np.asarray(text.train.ids)[starts[:, None] + np.arange(length)[None, :]].astype(np.int32)


def _untrained(
    model: Decoder, shape: AlignedShape, text: CountedText, truth: dict[str, Pairs]
) -> dict[str, np.ndarray]:
    """What networks that were never trained show by chance, over their initial draws."""
    centred, tokens = {name: truth[name] for name in SIGNATURES}, jnp.asarray(text.tokens)
    keys = jax.random.split(jax.random.key(len(text.tokens)), shape.draws)
    starts = (_start(model, text.train.vocab, shape.schedule.length, key, tokens) for key in keys)
    return _stacked([_agreements(both, alone, centred) for both, alone in starts])


@partial(jax.jit, static_argnums=(0, 1, 2))
def _start(
    model: Decoder, vocab: int, length: int, key: Array, tokens: Int[Array, " token"]
) -> tuple[dict[str, Array], Float[Array, "layer token width"]]:
    """Tables and states of single tokens at a fresh start, in float32."""
    params = single_precision(model.init(key, vocab, length))
    return tables(params, tokens), _alone(model, params, tokens)


def _texts(states: list[Any], text: CountedText) -> dict[str, np.ndarray]:
    """The trained tables against signatures of shuffled corpora, save by save, and of halves, at the end."""
    found = {}
    for table in TABLES:
        scores = [pair_scores(np.asarray(tables(params, text.tokens)[table])) for params in states]
        for name in SIGNATURES:
            found[f"{table} {name} shuffled"] = text.shuffled[name] @ np.stack(scores, axis=1)
        found[f"{table} {OWN[table]} halves"] = text.halves[OWN[table]] @ scores[-1]
    return found | {f"{name} reliability": text.reliability(name) for name in SIGNATURES}


def _at_the_end(params: Any, text: CountedText, shape: AlignedShape) -> dict[str, np.ndarray]:
    """Mantel's null, the interval over tokens, neighbours shared, and which pairs agree most."""
    values = {}
    for table, rows in tables(params, text.tokens).items():
        W, S = np.asarray(rows), text.signatures[OWN[table]]
        found = alignment(W, S, permutations=shape.draws)
        tails = [tail for tail in found.tails if tail.quantiles[0] in shape.quantiles]
        values |= {f"{table} {OWN[table]} mantel": found.null, f"{table} {OWN[table]} interval": found.interval}
        values |= {f"{table} overlap": (found.overlap, found.overlap_99)}
        values |= {f"{table} tails": [(x.agreement, x.excess, *x.excess_interval) for x in tails]}
        values |= {f"{table} trend": (found.trend, *found.trend_interval)}
    return {name: np.array(value) for name, value in values.items()}
