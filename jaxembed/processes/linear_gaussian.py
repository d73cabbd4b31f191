"""Linear-Gaussian state models: the Kalman filter, side by side for many sequences."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from .process import Draw, Target, World, check_counts, check_positive, collect


@dataclass(frozen=True)
class LinearGaussian:
    """Noisy views of a hidden vector that rotates, shrinks and is pushed; the matrices are drawn once, as the `world`.

    Equation: z_0 ~ N(m, s^2 I); z_{n+1} = A z_n + w, w ~ N(0, q^2 I); x_n = C z_n + v, v ~ N(0, r^2 I).

    Attributes:
        states: dimension of z.
        dimension: dimension of x.
        radius: modulus of all eigenvalues of A, below one: the dynamics are stable, with a memory of 1 / (1 - radius).
        state_noise: q.
        item_noise: r.
        start_mean: m, of every component of z_0.
        start_spread: s; None for the spread in which the process stays, q / sqrt(1 - radius^2).

    Source: jaxembed.
    """

    states: int = 4
    dimension: int = 2
    radius: float = 0.9
    state_noise: float = 1.0
    item_noise: float = 1.0
    start_mean: float = 0.0
    start_spread: float | None = None

    def __post_init__(self) -> None:
        check_counts(states=self.states, dimension=self.dimension)
        if not 0 <= self.radius < 1:
            raise ValueError(f"radius: stable dynamics need a radius from 0 to below 1, got {self.radius}; lower it")
        check_positive("Gaussian", state_noise=self.state_noise, item_noise=self.item_noise, start_spread=self.spread)
        if not isfinite(self.start_mean):
            raise ValueError(f"start_mean: must be finite, got {self.start_mean}")

    @property
    def reads(self) -> Literal["tokens", "reals"]:
        return "reals"

    @property
    def size(self) -> int:
        """Dimension of the items."""
        return self.dimension

    @property
    def spread(self) -> float:
        """Standard deviation of every component of z_0."""
        stays = self.state_noise / (1 - self.radius**2) ** 0.5
        return stays if self.start_spread is None else self.start_spread

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for."""
        of_state = tuple(f"z{k}" for k in range(self.states))
        of_item = tuple(f"x{k}" for k in range(self.dimension))
        return {
            "state_mean": Target("real", self.states, of_state, None, "Kalman mean of the present state"),
            "belief": Target("real", self.states, of_state, None, "mean of the next state given the items so far"),
            "predictive_mean": Target("real", self.dimension, of_item, None, "mean of the next item"),
            "state": Target("real", self.states, of_state, "state_mean", "the state that produced the last item"),
        }

    def world(self, key: PRNGKeyArray) -> World:
        """Draw `dynamics [state, state]` (A: a rotation, shrunk) and `readout [dimension, state]` (C).

        >>> import jax
        >>> sorted(LinearGaussian().world(jax.random.key(0)))
        ['dynamics', 'readout']
        """
        of_state, of_item = jax.random.split(key)
        rotation = jnp.linalg.qr(jax.random.normal(of_state, (self.states, self.states)))[0]
        readout = jax.random.normal(of_item, (self.dimension, self.states)) / self.states**0.5
        return {"dynamics": self.radius * rotation, "readout": readout}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Fresh sequences `[sequence, position, dimension]`; `latents["state"]` `[sequence, position, state]`."""
        dynamics, readout = self._matrices(world)
        keys = jax.random.split(key, 3)
        first = self.start_mean + self.spread * jax.random.normal(keys[0], (sequences, self.states), dynamics.dtype)
        pushes = jax.random.normal(keys[1], (length, sequences, self.states), dynamics.dtype)
        views = jax.random.normal(keys[2], (sequences, length, self.dimension), dynamics.dtype)

        def step(state: Array, push: Array) -> tuple[Array, Array]:
            return state @ dynamics.T + self.state_noise * push, state

        states = jnp.swapaxes(jax.lax.scan(step, first, pushes)[1], 0, 1)
        return Draw(states @ readout.T + self.item_noise * views, {"state": states})

    def exact(
        self,
        world: World,
        items: Float[Array, "sequence position dimension"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Float[Array, "sequence ... target"]]:
        """Exact quantities after items 0..n, for every n or those asked for.

        Args:
            world: from `world`, or of one's own through `linear_gaussian_world`.
            items: `[sequence, position, dimension]`.
            names: "state_mean", "belief" or "predictive_mean"; None for all of them.
            positions: which n; None for all.
            key: unused, for nothing here is sampled.

        Raises:
            ValueError: for an unknown name, or matrices of other shapes.

        >>> import jax, jax.numpy as jnp
        >>> process = LinearGaussian(states=1, dimension=1, radius=0.0)
        >>> world = linear_gaussian_world([[0.0]], [[1.0]])
        >>> process.exact(world, jnp.ones((1, 2, 1)), ["state_mean"])["state_mean"][0, :, 0].tolist()
        [0.5, 0.5]
        """
        dynamics, readout = self._matrices(world)
        means = self._means(world, items)
        ways = {
            "state_mean": lambda: means,
            "belief": lambda: means @ dynamics.T,
            "predictive_mean": lambda: means @ dynamics.T @ readout.T,
        }
        return collect(ways, names, positions)

    def covariances(
        self, world: World, length: int
    ) -> tuple[Float[Array, "position state state"], Float[Array, "position dimension dimension"]]:
        """Of z_n given x_0..x_n, and of x_n given x_0..x_{n-1}; no item enters them."""
        gains = kalman_gains(*self._matrices(world), *self._noise(), self.spread**2, length)
        return gains[1], gains[2]

    def log_predictive(
        self, world: World, items: Float[Array, "sequence position dimension"]
    ) -> Float[Array, "sequence position-1"]:
        """Exact log density of x_{n+1} given x_0..x_n in nats, n = 0..T-2."""
        innovation = self.covariances(world, items.shape[1])[1][1:]
        off = items[:, 1:] - self.predictive_mean(world, items)
        whitened = jnp.linalg.solve(innovation[None], off[..., None])[..., 0]
        log_volume = jnp.linalg.slogdet(2 * jnp.pi * innovation)[1]
        return -0.5 * (jnp.sum(off * whitened, axis=-1) + log_volume[None, :])

    def predictive_mean(
        self, world: World, items: Float[Array, "sequence position dimension"]
    ) -> Float[Array, "sequence position-1 dimension"]:
        """E[x_{n+1} | x_0..x_n], n = 0..T-2."""
        return self.exact(world, items, ["predictive_mean"])["predictive_mean"][:, :-1]

    def shifted(self) -> "LinearGaussian":
        """Out of distribution: the state starts three spreads away and is pushed twice as hard."""
        return replace(
            self,
            start_mean=self.start_mean + 3 * self.spread,
            state_noise=2 * self.state_noise,
            start_spread=2 * self.spread,
        )

    def _means(self, world: World, items: Array) -> Array:
        dynamics, readout = self._matrices(world)
        gains = kalman_gains(dynamics, readout, *self._noise(), self.spread**2, items.shape[1])[0]
        return kalman_means(dynamics, readout, gains, items, self.start_mean)

    def _noise(self) -> tuple[float, float]:
        return self.state_noise**2, self.item_noise**2

    def _matrices(self, world: World) -> tuple[Array, Array]:
        dynamics, readout = world["dynamics"], world["readout"]
        if dynamics.shape != (self.states, self.states) or readout.shape != (self.dimension, self.states):
            got = f"{dynamics.shape} and {readout.shape}"
            raise ValueError(f"world: need {self.states} states seen in {self.dimension} dimensions, got {got}")
        return dynamics, readout


def linear_gaussian_world(dynamics: Any, readout: Any) -> World:
    """A world of one's own instead of a drawn one.

    Args:
        dynamics: `[state, state]`, A.
        readout: `[dimension, state]`, C.

    Raises:
        ValueError: where the shapes do not fit, an entry is not finite, or the dynamics are not stable.
    """
    states = np.shape(dynamics)[-1] if np.ndim(dynamics) else 0
    for name, matrix, fits in (
        ("dynamics", dynamics, np.shape(dynamics) == (states, states) and states),
        ("readout", readout, np.ndim(readout) == 2 and np.shape(readout)[1] == states),
    ):
        if not fits:
            need = "a square matrix" if name == "dynamics" else f"a matrix of {states} columns, one per state"
            raise ValueError(f"{name}: need {need}, got shape {np.shape(matrix)}")
        if not np.isfinite(matrix).all():
            raise ValueError(f"{name}: every entry must be finite; fix the entries")
    largest = float(np.abs(np.linalg.eigvals(np.asarray(dynamics, float))).max())
    if not largest < 1:
        raise ValueError(f"dynamics: stable ones need eigenvalues below 1 in modulus, got {largest:.4g}; shrink them")
    return {"dynamics": jnp.asarray(dynamics, float), "readout": jnp.asarray(readout, float)}


@partial(jax.jit, static_argnames="length")
def kalman_gains(
    dynamics: Float[Array, "state state"],
    readout: Float[Array, "dimension state"],
    state_variance: Float[ArrayLike, ""],
    item_variance: Float[ArrayLike, ""],
    start_variance: Float[ArrayLike, ""],
    length: int,
) -> tuple[
    Float[Array, "position state dimension"],
    Float[Array, "position state state"],
    Float[Array, "position dimension dimension"],
]:
    """The part of the Kalman filter that no item enters: gains, covariances of the state, and of the next item."""
    one = jnp.eye(dynamics.shape[0], dtype=dynamics.dtype)
    noise = item_variance * jnp.eye(readout.shape[0], dtype=dynamics.dtype)

    def step(before: Array, _: None) -> tuple[Array, tuple[Array, Array, Array]]:
        innovation = readout @ before @ readout.T + noise
        gain = jnp.linalg.solve(innovation, readout @ before).T
        kept = one - gain @ readout
        # Joseph's form: a sum of two squares stays a covariance under rounding.
        after = kept @ before @ kept.T + gain @ noise @ gain.T
        return dynamics @ after @ dynamics.T + state_variance * one, (gain, after, innovation)

    return jax.lax.scan(step, jnp.asarray(start_variance * one), None, length)[1]


@jax.jit
def kalman_means(
    dynamics: Float[Array, "state state"],
    readout: Float[Array, "dimension state"],
    gains: Float[Array, "position state dimension"],
    items: Float[Array, "sequence position dimension"],
    start_mean: Float[ArrayLike, ""],
) -> Float[Array, "sequence position state"]:
    """E[z_n | x_0..x_n] by the gains of `kalman_gains`."""

    def step(expected: Array, seen: tuple[Array, Array]) -> tuple[Array, Array]:
        gain, now = seen
        mean = expected + (now - expected @ readout.T) @ gain.T
        return mean @ dynamics.T, mean

    first = jnp.full((items.shape[0], dynamics.shape[0]), start_mean, dynamics.dtype)
    means = jax.lax.scan(step, first, (gains, jnp.swapaxes(items, 0, 1)))[1]
    return jnp.swapaxes(means, 0, 1)
