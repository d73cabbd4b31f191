"""Points in an axis-aligned rectangle: a discrete space of hypotheses under the size principle."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ._discrete import log_of, log_posterior
from .process import Draw, Target, check_rows, chosen_positions, collect

SLACK = 1e-6
"""How far beyond an edge, over the width of the grid, a point still counts as inside: float32 rounds at the edges."""


@dataclass(frozen=True)
class Rectangles:
    """Points drawn uniformly from a rectangle whose corners lie on a grid of edges.

    A rectangle is one interval of the horizontal axis and one of the vertical, both drawn from the same prior; on 8
    edges an axis has 28 intervals and the plane 784 rectangles. Given the items, p(h | x_0..x_n) is proportional to
    p(h) area(h)^-(n+1) where h holds all points (the size principle), and 0 elsewhere. Prior and likelihood are
    products over the axes, so the posterior is one too: that of 784 rectangles is the product of two of 28 intervals.

    Attributes:
        axis: "easy", edges 0, 1, .. ; "hard", edges 0, 0.4, 2, 2.4, 4, .. , with intervals of very unequal width.
        grid: edges on an axis.
        prior: probabilities of an axis' intervals, ordered by low and then high edge; None means uniform.

    Raises:
        ValueError: for an unknown axis, fewer than 2 edges, or probabilities that do not sum to one.

    >>> process = Rectangles("easy")
    >>> items = process.sample(jax.random.key(0), {}, 3, 20).items
    >>> process.exact({}, items, ("hypothesis",), (19,))["hypothesis"].shape
    (3, 1, 784)

    Source: zhang2024embed.
    """

    axis: Literal["easy", "hard"] = "easy"
    grid: int = 8
    prior: tuple[float, ...] | None = None
    reads: ClassVar[Literal["tokens", "reals"]] = "reals"

    def __post_init__(self) -> None:
        if self.axis not in ("easy", "hard"):
            raise ValueError(f'axis: need "easy" or "hard", got {self.axis!r}')
        if self.grid < 2:
            raise ValueError(f"grid: need at least 2 edges on an axis, got {self.grid}")
        self.probabilities  # noqa: B018  (a bad prior is refused here, not at the first draw)

    @property
    def size(self) -> int:
        """Numbers in an item."""
        return 2

    @property
    def hypotheses(self) -> int:
        """Rectangles on the grid."""
        return len(self.intervals) ** 2

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for."""
        return {
            "hypothesis": Target("distribution", self.hypotheses, about="posterior over rectangles"),
            "rectangle": Target(
                "distribution", self.hypotheses, ceiling="hypothesis", about="the generating rectangle"
            ),
            "centre": Target("real", 2, ("x", "y"), about="posterior mean of the centre: the predictive mean"),
            "extent": Target("real", 2, ("width", "height"), about="posterior mean of the extent"),
            "map": Target(
                "real", 4, ("x", "y", "width", "height"), about="centre and extent of the likeliest rectangle"
            ),
        }

    @cached_property
    def intervals(self) -> Float[np.ndarray, "hypothesis 2"]:
        """Low and high edge of every interval of an axis."""
        index = np.arange(self.grid)
        edges = index if self.axis == "easy" else 2 * (index // 2) + 0.4 * (index % 2)
        low, high = np.triu_indices(self.grid, 1)
        return np.stack([edges[low], edges[high]], axis=1).astype(float)

    @cached_property
    def probabilities(self) -> Float[np.ndarray, " hypothesis"]:
        """Prior of an axis' intervals."""
        count = len(self.intervals)
        return np.full(count, 1 / count) if self.prior is None else check_rows("prior", self.prior, count)

    @cached_property
    def boxes(self) -> Float[np.ndarray, "hypothesis 4"]:
        """Centre and extent of every rectangle: x, y, width, height."""
        centre, width = self.intervals.mean(axis=1), np.diff(self.intervals, axis=1)[:, 0]
        first, second = np.divmod(np.arange(self.hypotheses), len(width))
        return np.stack([centre[first], centre[second], width[first], width[second]], axis=1)

    def shifted(self) -> "Rectangles":
        """Small rectangles favoured: the prior of an interval times 1 / width."""
        weights = self.probabilities / np.diff(self.intervals, axis=1)[:, 0]
        return replace(self, prior=tuple((weights / weights.sum()).tolist()))

    def world(self, key: PRNGKeyArray) -> dict[str, Array]:
        """Nothing is shared by the sequences: every one has a rectangle of its own."""
        return {}

    def sample(self, key: PRNGKeyArray, world: dict[str, Array], sequences: int, length: int) -> Draw:
        """Fresh sequences of points.

        Returns:
            items `[sequence, position, 2]`, and the latent "rectangle", `[sequence, hypothesis]`, one at the
            generating one.
        """
        key_of_interval, key_of_point = jax.random.split(key)
        chosen = jax.random.categorical(key_of_interval, log_of(self.probabilities), shape=(sequences, 2))
        low, high = (jnp.asarray(edges, float)[chosen][:, None, :] for edges in self.intervals.T)
        items = low + (high - low) * jax.random.uniform(key_of_point, (sequences, length, 2), float)
        number = chosen[:, 0] * len(self.intervals) + chosen[:, 1]
        return Draw(items, {"rectangle": jax.nn.one_hot(number, self.hypotheses, dtype=float)})

    def exact(
        self,
        world: dict[str, Array],
        items: Float[Array, "sequence position dimension"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """Posterior quantities after x_0 .. x_n, `[sequence, position, target]`; NaN where no rectangle is left.

        Args:
            world: empty.
            items: points.
            names: of `targets`; all of them by default.
            positions: all of them by default.
            key: not used; the posterior is exact.
        """
        chosen = chosen_positions(items.shape[1], positions)
        axes = jnp.exp(log_posterior(self._joint(items, chosen)))

        @cache
        def joint() -> Array:
            return (axes[:, :, 0, :, None] * axes[:, :, 1, None, :]).reshape(*axes.shape[:2], -1)

        centre, width = (
            jnp.asarray(self.intervals.mean(axis=1), float),
            jnp.asarray(np.diff(self.intervals)[:, 0], float),
        )
        quantities = {
            "hypothesis": joint,
            "centre": lambda: axes @ centre,
            "extent": lambda: axes @ width,
            "map": lambda: jnp.asarray(self.boxes, float)[jnp.argmax(joint(), axis=-1)],
        }
        return collect(quantities, names, None)

    def log_predictive(
        self, world: dict[str, Array], items: Float[Array, "sequence position dimension"]
    ) -> Float[Array, "sequence position-1"]:
        """log p(x_{n+1} | x_0 .. x_n), a density over the plane in nats, n = 0 .. T - 2."""
        evidence = jax.nn.logsumexp(self._joint(items, np.arange(items.shape[1])), axis=-1).sum(axis=-1)
        return evidence[:, 1:] - evidence[:, :-1]

    def predictive_mean(
        self, world: dict[str, Array], items: Float[Array, "sequence position dimension"]
    ) -> Float[Array, "sequence position-1 dimension"]:
        """E[x_{n+1} | x_0 .. x_n]: the posterior mean of the centre, n = 0 .. T - 2."""
        return self.exact(world, items[:, :-1], ("centre",))["centre"]

    def _joint(self, items: Array, positions: np.ndarray) -> Float[Array, "sequence position dimension hypothesis"]:
        """log p(h, x_0 .. x_n) of every axis' intervals: only the extremes so far and their count matter."""
        items = jnp.asarray(items, float)
        least, most = (bound(items, axis=1)[:, positions, :, None] for bound in (jax.lax.cummin, jax.lax.cummax))
        slack = SLACK * float(np.ptp(self.intervals))
        low, high = (jnp.asarray(edges, float)[None, None, None, :] for edges in self.intervals.T)
        possible = (low - slack <= least) & (most <= high + slack)
        seen = jnp.asarray(positions + 1, float)[None, :, None, None]
        joint = log_of(self.probabilities)[None, None, None, :] - seen * jnp.log(high - low)
        return jnp.where(possible, joint, -jnp.inf)
