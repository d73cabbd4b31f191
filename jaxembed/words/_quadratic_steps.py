"""Sampled training of the quadratic model: random blocks of words against all others."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray
from scipy.sparse import csr_array

from .pairs import Cooccurrence
from .quadratic import Quadratic
from .recipe import Recipe
from .targets import quadratic_target

LARGEST = 2.0
"""No entry of M* is larger."""

Tables = dict[str, Any]


@partial(jax.jit, static_argnames="words")
def block_gradient(
    block: Float[Array, "example width"],
    wanted: Float[Array, "example width"],
    gram: Float[Array, "width width"],
    words: int,
) -> Float[Array, "example width"]:
    """What a block of words, drawn uniformly, says of the gradient of |W W^T - M|^2 / 8: on average, all of it.

    Args:
        block: W of these words.
        wanted: M W of these words.
        gram: W^T W of all.
        words: V; the block stands for V / R words each.
    """
    return (jnp.matmul(block, gram) - wanted) / 2 * (words / block.shape[0])


@jax.jit
def _step(
    block: Float[Array, "example width"],
    wanted: Float[Array, "example width"],
    gram: Float[Array, "width width"],
    rate: Float[ArrayLike, ""] | float,
) -> tuple[Array, Array]:
    """The block after a step, and W^T W with it.

    Twice the curvature of the loss in the block is at most W^T W + |M_block| + 2 |W_block|^2, and |M_block| <= 2 R:
    divided by that, a whole step does not overshoot, and weak modes do not wait for the strong ones.
    """
    gradient = block_gradient(block, wanted, gram, block.shape[0])
    own = jnp.matmul(block.T, block)
    slack = LARGEST * block.shape[0] + 2 * jnp.linalg.norm(own)
    bound = gram + slack * jnp.eye(len(gram), dtype=gram.dtype)
    move = -2 * jax.scipy.linalg.solve(bound, gradient.T, assume_a="pos").T * jnp.asarray(rate, block.dtype)
    after = block + move
    return after, gram + jnp.matmul(after.T, after) - own


class QuadraticSteps:
    """Passes over the words of a table of pairs, a block at a time; the sparse products are scipy's.

    Attributes:
        total: passes.
    """

    def __init__(self, pairs: Cooccurrence, model: Quadratic, recipe: Recipe, key: PRNGKeyArray) -> None:
        if model.weighting != "constant":
            raise ValueError('weighting: blocks of words need "constant" weights; use train_full for "sampled" ones')
        self.model, self.recipe = model, recipe
        self.start_key, self.order_key = jax.random.split(key)
        target = quadratic_target(pairs, negatives=model.negatives)
        self.stored: Any = csr_array(target.stored, dtype=np.float32)
        self.constant, self.vocab = np.float32(target.constant), pairs.vocab
        self.total = recipe.epochs

    def start(self) -> Tables:
        return self.model.init(self.start_key, self.vocab)

    def epoch(self, tables: Tables, epoch: int, tell: Callable[[float], None]) -> Tables:
        """One pass over all words in a new order; `tell` hears which share of it is done."""
        embed = np.array(tables["embed"])
        vocab, size = len(embed), min(self.recipe.batch, len(embed))
        order = np.asarray(jax.random.permutation(jax.random.fold_in(self.order_key, epoch), vocab))
        gram, column_sum = jnp.asarray(embed.T @ embed), embed.sum(axis=0)
        for first in range(0, vocab, size):
            words = order[max(0, min(first, vocab - size)) :][
                :size
            ]  # the last block repeats some words of the one before
            before = embed[words]
            wanted = self.stored[words] @ embed + self.constant * column_sum[None, :]
            done = (epoch + first / vocab) / self.recipe.epochs
            rate = float(self.recipe.rates(np.array([done]))[0])
            after, gram = _step(before, wanted, gram, rate)
            embed[words] = after
            column_sum = column_sum + (embed[words] - before).sum(axis=0)
            tell(min(1.0, (first + size) / vocab))
        return {"embed": embed}
