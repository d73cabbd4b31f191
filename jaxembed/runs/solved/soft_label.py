"""Free context vectors fitted to the centred support of their next tokens."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ...models import FreeContexts, LogitLoss
from ...tasks import Contexts
from ...theory import deep_linear, soft_label
from .rows import DRAWN, RowTheory


@dataclass(frozen=True)
class SoftLabelSteps:
    """Broad concepts are learned before narrow ones: rows are the tokens of the decoder, from a small random start.

    Source: zhao2025geometry.
    """

    branching: tuple[int, ...] = (2, 2, 2)
    """Children of every node; the leaves are tokens, the nodes below the root supports."""
    repeats: int = 2
    """Contexts for every support."""
    width: int = 24
    """Dimension of contexts and tokens."""
    init_scale: float = 1e-3
    """Standard deviation of every initial weight."""
    length: float = 1.5
    """End of the run, in step times of the narrowest concept."""

    def __post_init__(self) -> None:
        Contexts(self.branching, self.repeats)
        FreeContexts(self.width, self.init_scale)
        if not 0 < self.length < float("inf"):
            raise ValueError(f"length: must be positive, got {self.length}; 1.5 shows every step")
        if not self.init_scale < 1:
            raise ValueError(f"init_scale: must lie below 1 for steps to be apart, got {self.init_scale}; lower it")

    @property
    def contexts(self) -> Contexts:
        """Supports and probabilities."""
        return Contexts(self.branching, self.repeats)

    def start(self, key: PRNGKeyArray) -> dict[str, Array]:
        """Small random weights."""
        return FreeContexts(self.width, self.init_scale).init(key, *self.contexts.support().shape)

    def loss(self) -> LogitLoss:
        """Half the squared distance of logits from the centred support."""
        return LogitLoss(self._target())

    def end(self) -> float:
        """Flow time: delta / sigma of the narrowest concept, with delta = -ln(init_scale), times `length`."""
        sigma = np.asarray(soft_label.modes(self._target()).strength)
        return float(-self.length * np.log(self.init_scale) / sigma[sigma > 1e-4 * sigma.max()].min())

    def rows(self, state: dict[str, Array]) -> Float[Array, "token width"]:
        """The decoder's row of every token, at most 20 of them."""
        return state["unembed"][:DRAWN]

    def theories(self) -> dict[str, RowTheory]:
        """Growth alone, steps of the aligned start of the same size, and the closed form."""
        known = self._target()
        delta, width = -jnp.log(self.init_scale), max(self.width, *known.shape)
        return {
            "growth alone": self._theory(lambda t, start: _grown(t, start, known)),
            "steps of an aligned start": self._theory(
                lambda t, start: soft_label.closed_form(t, soft_label.aligned_start(known, delta, width), known)
            ),
            "closed form": self._theory(lambda t, start: soft_label.closed_form(t, start, known)),
        }

    def controls(self) -> dict[str, RowTheory]:
        """The closed form of supports whose tokens have been dealt other places."""
        dealt = self._target()[np.random.default_rng(0).permutation(self.contexts.support().shape[0])]
        return {"closed form, shuffled tokens": self._theory(lambda t, start: soft_label.closed_form(t, start, dealt))}

    def names(self) -> tuple[str, ...]:
        """The way from the root to each token."""
        return tuple(".".join(map(str, way)) for way in np.ndindex(*self.branching))[:DRAWN]

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The first token with one of its node, one of the node above, and a farther one."""
        below = np.cumprod(self.branching[::-1])[:-1]
        return tuple((0, int(step)) for step in (1, *below) if step < len(self.names()))[:3]

    def signature(self) -> tuple[str, np.ndarray]:
        """The rows of the centred support."""
        return "centred support", np.asarray(self._target())[:DRAWN]

    def _target(self) -> Float[Array, "token sequence"]:
        return soft_label.centred_support(self.contexts.support())

    def _theory(self, solve: Callable[[Array, dict[str, Array]], dict[str, Array]]) -> RowTheory:
        return lambda ts, start: jax.vmap(lambda t: _fitted(self.rows(solve(t, start)), self.width))(ts)


def _grown(t: Array, start: dict[str, Array], sig: Array) -> dict[str, Array]:
    """The closed form without saturation."""
    known = deep_linear.Correlations(sig, jnp.zeros((sig.shape[1], sig.shape[1]), sig.dtype))
    grown = deep_linear.closed_form(t, {"w1": start["embed"].T, "w2": start["unembed"]}, known)
    return {"embed": grown["w1"].T, "unembed": grown["w2"]}


def _fitted(rows: Array, width: int) -> Array:
    """The same rows up to rotation in `width` dimensions; directions beyond the modes are empty."""
    return rows[:, :width]
