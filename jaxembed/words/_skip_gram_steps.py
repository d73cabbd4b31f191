"""Sampled skip-gram: pieces of text against their windows and a few shared negatives, as dense products."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from ._windows import OUTSIDE, PIECE, windows
from .recipe import Recipe
from .skip_gram import SkipGram
from .text import WordText

SHARED = 64
"""Negative contexts that the words of a piece share; their weights make them k for every pair met."""
GROUP = 64
"""Steps of one compiled call."""

Tables = dict[str, Float[Array, "token width"]]


class Gradient(NamedTuple):
    """Rows of the gradient of one step and where they belong; a word may come several times.

    Attributes:
        words, contexts: ids.
        embed, unembed: their rows.
    """

    words: Int[Array, "example position"]
    contexts: Int[Array, "example position"]
    embed: Float[Array, "example position width"]
    unembed: Float[Array, "example position width"]


def sampled_gradient(
    tables: Tables,
    ids: Int[Array, "example position"],
    documents: Int[Array, "example position"],
    cumulative: Float[Array, " token"],
    negatives: Float[ArrayLike, ""] | float,
    window: int,
    key: PRNGKeyArray,
) -> Gradient:
    """The gradient of sum over sampled pairs of ln(1 + e^-x), and ln(1 + e^x) over their negatives.

    Every word draws how far its window reaches, 1 .. L. Its n contexts ask for k n negatives: here the words of a
    piece share a few, each weighing k n / few, which leaves the average as it is and makes a matrix product of it.

    Args:
        tables: `embed` and `unembed`.
        ids: words of each piece with its surroundings.
        documents: theirs.
        cumulative: of the chances to be drawn as a negative.
        negatives: k.
        window: L.
        key: of this step.
    """
    reach_key, noise_key = jax.random.split(key)
    pieces, reach = ids.shape
    middle = slice(window, window + PIECE)
    distance = jnp.abs(jnp.arange(PIECE)[:, None] + window - jnp.arange(reach)[None, :])
    drawn = jax.random.randint(reach_key, (pieces, PIECE, 1), 1, window + 1)
    near = (distance[None] > 0) & (distance[None] <= drawn)
    same = (documents[:, middle, None] == documents[:, None, :]) & (documents[:, middle, None] != OUTSIDE)
    met = (near & same).astype(jnp.float32)
    uniform = jax.random.uniform(noise_key, (pieces, SHARED), jnp.float32)
    noise = jnp.minimum(jnp.searchsorted(cumulative, uniform, side="right"), len(cumulative) - 1).astype(ids.dtype)
    words, contexts = ids[:, middle], jnp.concatenate([ids, noise], axis=1)
    w, c = tables["embed"][words], tables["unembed"][contexts]
    chance = jax.nn.sigmoid(jnp.einsum("epw,ecw->epc", w, c))
    repeats = jnp.sum(met, axis=2, keepdims=True) * (jnp.asarray(negatives, jnp.float32) / SHARED)
    slope = jnp.concatenate([met * (chance[:, :, :reach] - 1), repeats * chance[:, :, reach:]], axis=2)
    return Gradient(words, contexts, jnp.einsum("epc,ecw->epw", slope, c), jnp.einsum("epc,epw->ecw", slope, w))


@partial(jax.jit, static_argnames="window", donate_argnums=0)
def _advance(
    tables: Tables,
    ids: Int[Array, "time example position"],
    documents: Int[Array, "time example position"],
    rates: Float[Array, " time"],
    first: Int[ArrayLike, ""] | int,
    cumulative: Float[Array, " token"],
    negatives: Float[ArrayLike, ""] | float,
    key: PRNGKeyArray,
    *,
    window: int,
) -> Tables:
    def step(tables: Tables, batch: tuple[Array, ...]) -> tuple[Tables, None]:
        words, where, rate, number = batch
        step_key = jax.random.fold_in(key, number)
        gradient = sampled_gradient(tables, words, where, cumulative, negatives, window, step_key)
        embed = tables["embed"].at[gradient.words].add(-rate * gradient.embed)
        return {"embed": embed, "unembed": tables["unembed"].at[gradient.contexts].add(-rate * gradient.unembed)}, None

    numbers = jnp.asarray(first, jnp.int32) + jnp.arange(len(rates), dtype=jnp.int32)
    return jax.lax.scan(step, tables, (ids, documents, rates, numbers))[0]


class SkipGramSteps:
    """Passes over a text, a group of steps at a time.

    Attributes:
        total: passes.
    """

    def __init__(self, text: WordText, model: SkipGram, recipe: Recipe, key: PRNGKeyArray) -> None:
        if recipe.convention.weighting != "dynamic":
            raise ValueError(
                f'convention: windows are drawn, which is "dynamic" weighting, not {recipe.convention.weighting!r}'
            )
        self.text, self.model, self.recipe = text, model, recipe
        self.start_key, self.order_key, self.step_key = jax.random.split(key, 3)
        self.cumulative = jnp.asarray(np.cumsum(model.noise(text.counts.astype(np.float64))), jnp.float32)
        self.total = recipe.epochs

    def start(self) -> Tables:
        return self.model.init(self.start_key, self.text.vocab)

    def epoch(self, tables: Tables, epoch: int, tell: Callable[[float], None]) -> Tables:
        """One pass over the text; `tell` hears which share of it is done."""
        seed = np.asarray(jax.random.key_data(jax.random.fold_in(self.order_key, epoch))).tolist()
        convention = self.recipe.convention
        read = windows(self.text, convention, max(1, self.recipe.batch // PIECE), np.random.default_rng(seed))
        key = jax.random.fold_in(self.step_key, epoch)
        for first in range(0, read.steps, GROUP):
            ids, documents = read.read(first, GROUP)
            done = np.minimum((epoch + (first + np.arange(GROUP)) / read.steps) / self.recipe.epochs, 1)
            tables = _advance(
                tables,
                jnp.asarray(ids),
                jnp.asarray(documents),
                jnp.asarray(self.recipe.rates(done), jnp.float32),
                first,
                self.cumulative,
                self.model.negatives,
                key,
                window=convention.window,
            )
            tell(min(1.0, (first + GROUP) / read.steps))
        return tables
