"""A two-layer linear network on the features of a tree's leaves."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...models import DeepLinear, SquaredLoss
from ...tasks import Tree
from ...theory import deep_linear
from .rows import DRAWN, RowTheory


@dataclass(frozen=True)
class DeepLinearModes:
    """Items come apart level by level: rows are the items' hidden vectors, from a small random start.

    Source: saxe2019mathematical.
    """

    branching: tuple[int, ...] = (2, 2, 2)
    """Children of every node, from the root's level down."""
    flip: float = 0.1
    """Probability that an edge of the tree flips a feature, 0 to 0.5."""
    width: int = 16
    """Hidden units."""
    init_scale: float = 1e-3
    """Standard deviation of every initial weight."""
    length: float = 1.5
    """End of the run, in half-times of the slowest mode."""

    def __post_init__(self) -> None:
        Tree(self.branching, self.flip)
        DeepLinear(self.width, 2, self.init_scale)
        if not 0 < self.length < float("inf"):
            raise ValueError(f"length: must be positive, got {self.length}; 1.5 shows every level")
        if not self.flip > 0:
            raise ValueError("flip: without flips all items are the same and finer levels never come; raise it")

    @property
    def tree(self) -> Tree:
        """Items and features."""
        return Tree(self.branching, self.flip)

    def start(self, key: PRNGKeyArray) -> dict[str, Array]:
        """Small random weights."""
        return DeepLinear(self.width, 2, self.init_scale).init(key, self.tree.items, self.tree.items)

    def loss(self) -> SquaredLoss:
        """Half the mean squared error over items."""
        return SquaredLoss(jnp.asarray(self.tree.inputs(), float), jnp.asarray(self.tree.outputs(), float))

    def end(self) -> float:
        """Flow time, by the half-time of the finest level from a start of average size."""
        begin, slowest = self.init_scale**2 * self.width / 2, deep_linear.modes(self._correlations()).strength[-1]
        begin = min(begin, 0.01 * float(slowest) * self.tree.items)
        return self.length * float(deep_linear.half_time(begin, slowest, 2, 1 / self.tree.items))

    def rows(self, state: dict[str, Array]) -> Float[Array, "token width"]:
        """The hidden vector of every item, at most 20 of them."""
        return state["w1"].T[:DRAWN]

    def theories(self) -> dict[str, RowTheory]:
        """Growth alone, a sigmoid for every mode, and the matrix closed form."""
        known = self._correlations()
        return {
            "growth alone": self._theory(lambda t, start: _grown(t, start, known)),
            "one sigmoid per mode": self._theory(lambda t, start: _sigmoids(t, start, known)),
            "closed form": self._theory(lambda t, start: deep_linear.closed_form(t, start, known)),
        }

    def controls(self) -> dict[str, RowTheory]:
        """The closed form of a tree whose leaves have been dealt other places."""
        order = np.random.default_rng(0).permutation(self.tree.items)
        known = self._correlations()
        dealt = known._replace(yx=known.yx[:, order])
        return {"closed form, shuffled items": self._theory(lambda t, start: deep_linear.closed_form(t, start, dealt))}

    def names(self) -> tuple[str, ...]:
        """The way from the root to each item."""
        return self.tree.names[:DRAWN]

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The first item with its nearest sibling, with a cousin, and with the farthest."""
        drawn = min(self.tree.items, 20) - 1
        below = np.cumprod(self.branching[::-1])[:3]
        return tuple((0, int(step)) for step in (1, *below[:-1]) if step <= drawn)[:3]

    def signature(self) -> tuple[str, np.ndarray]:
        """The items' features."""
        return "features", np.asarray(self.tree.outputs()[:DRAWN])

    def _theory(self, solve: Callable[[Array, dict[str, Array]], dict[str, Array]]) -> RowTheory:
        return lambda ts, start: jax.vmap(lambda t: self.rows(solve(t, start)))(ts)

    def _correlations(self) -> deep_linear.Correlations:
        loss = self.loss()
        inputs, outputs = loss.inputs, loss.outputs
        return deep_linear.Correlations(outputs.T @ inputs / len(inputs), inputs.T @ inputs / len(inputs))


def _grown(t: Array, start: dict[str, Array], sig: deep_linear.Correlations) -> dict[str, Array]:
    """(D11): the closed form without saturation, that of inputs of no size."""
    return deep_linear.closed_form(t, start, sig._replace(xx=0 * sig.xx))


def _sigmoids(t: Array, start: dict[str, Array], sig: deep_linear.Correlations) -> dict[str, Array]:
    """(D13): every mode along its own sigmoid, none mixed with another."""
    output, s, across = deep_linear.modes(sig)
    known = deep_linear.mode_starts(start, sig)
    begin = jnp.concatenate([known, jnp.zeros(len(s) - len(known), s.dtype)])  # no room for more modes than units
    size = jnp.sqrt(deep_linear.strength(t, begin, s, 2, jnp.trace(sig.xx) / len(sig.xx)))
    turn = jnp.eye(len(s), start["w1"].shape[0], dtype=s.dtype)
    return {"w1": turn.T @ (size[:, None] * across.T), "w2": output * size[None, :] @ turn}
