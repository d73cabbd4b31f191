"""Sampled GloVe: pairs that meet, in a random order, with AdaGrad."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .glove import Glove
from .pairs import Cooccurrence
from .recipe import Recipe

GROUP = 64
"""Updates of one compiled call."""
SIDES = {"embed": 0, "bias": 0, "unembed": 1, "context": 1}
"""Which word of a pair a table belongs to."""

Tables = dict[str, Float[Array, "token ..."]]
Batch = tuple[Array, Array, Array, Array]


def pair_gradient(
    tables: Tables,
    rows: Int[Array, " example"],
    columns: Int[Array, " example"],
    weights: Float[Array, " example"],
    logs: Float[Array, " example"],
) -> dict[str, Float[Array, "example ..."]]:
    """The gradient of sum f (w.c + a + b - ln X)^2 over some pairs, a row for each pair and table."""
    w, c = tables["embed"][rows], tables["unembed"][columns]
    error = 2 * weights * (jnp.sum(w * c, axis=1) + tables["bias"][rows] + tables["context"][columns] - logs)
    return {"embed": error[:, None] * c, "unembed": error[:, None] * w, "bias": error, "context": error}


@partial(jax.jit, donate_argnums=0)
def _advance(state: dict[str, Array], batches: Batch, rates: Float[Array, " time"]) -> dict[str, Array]:
    def step(state: dict[str, Array], now: tuple[Batch, Array]) -> tuple[dict[str, Array], None]:
        (rows, columns, weights, logs), rate = now
        gradient = pair_gradient(state, rows, columns, weights, logs)
        for name, side in SIDES.items():
            ids, slope = (rows, columns)[side], gradient[name]
            squares = state[f"{name}_squares"].at[ids].add(slope**2)
            move = -rate * slope / jnp.sqrt(squares[ids])
            state = state | {f"{name}_squares": squares, name: state[name].at[ids].add(move)}
        return state, None

    return jax.lax.scan(step, state, (batches, rates))[0]


class GloveSteps:
    """Passes over the pairs that meet.

    Attributes:
        total: passes.
    """

    def __init__(self, pairs: Cooccurrence, model: Glove, recipe: Recipe, key: PRNGKeyArray) -> None:
        self.pairs, self.model, self.recipe = pairs, model, recipe
        self.start_key, self.order_key = jax.random.split(key)
        self.rows = np.repeat(np.arange(pairs.vocab, dtype=np.int32), np.diff(pairs.matrix.indptr))
        self.total = recipe.epochs

    def start(self) -> Tables:
        tables = self.model.init(self.start_key, self.pairs.vocab)
        # AdaGrad's sums begin at 1, as in the reference program: the first steps are not all of one length.
        return tables | {f"{name}_squares": jnp.ones_like(table) for name, table in tables.items()}

    def epoch(self, tables: Tables, epoch: int, tell: Callable[[float], None]) -> Tables:
        """One pass over all pairs in a new order; `tell` hears which share of it is done."""
        seed = np.asarray(jax.random.key_data(jax.random.fold_in(self.order_key, epoch))).tolist()
        order = np.random.default_rng(seed).permutation(len(self.rows))
        size = self.recipe.batch * GROUP
        for first in range(0, len(order), size):
            chosen = order[first : first + size]
            done = (epoch + (first + np.arange(GROUP) * self.recipe.batch) / len(order)) / self.recipe.epochs
            rates = jnp.asarray(self.recipe.rates(np.minimum(done, 1)), jnp.float32)
            tables = _advance(tables, self._batches(chosen), rates)
            tell(min(1.0, (first + size) / len(order)))
        return tables

    def _batches(self, chosen: Int[np.ndarray, " example"]) -> Batch:
        counts = self.pairs.matrix.data[chosen]
        columns = self.pairs.matrix.indices[chosen].astype(np.int32)
        weights, logs = self.model.weight(counts).astype(np.float32), np.log(counts).astype(np.float32)
        missing = self.recipe.batch * GROUP - len(chosen)  # pairs of weight 0 fill up the last call

        def filled(x: np.ndarray) -> Array:
            return jnp.asarray(np.pad(x, (0, missing)).reshape(GROUP, self.recipe.batch))

        return filled(self.rows[chosen]), filled(columns), filled(weights), filled(logs)
