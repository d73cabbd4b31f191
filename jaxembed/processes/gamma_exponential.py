"""Independent exponential waiting times whose rate has a Gamma prior."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._running import running_mean, seen
from .process import Draw, Target, World, check_positive, collect

MOMENTS = 4
"""How many raw moments of the posterior are targets."""


@dataclass(frozen=True)
class GammaExponential:
    """Exponential items of unknown rate.

    Equation: lambda ~ Gamma(shape, rate); x_n ~ Exponential(lambda).

    At the published shape of 2 the items have infinite variance (E[1 / lambda^2] diverges), so squared error has no
    finite risk there and the sample mean no finite R2: train with a likelihood, and probe for the logarithms.

    Attributes:
        shape: shape of the prior of lambda.
        rate: its rate.

    >>> import jax
    >>> GammaExponential().sample(jax.random.key(0), {}, 2, 5).items.shape
    (2, 5, 1)

    Source: zhang2024embed
    """

    shape: float = 2.0
    rate: float = 4.0

    reads: ClassVar[Literal["tokens", "reals"]] = "reals"
    size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_positive("Gamma", shape=self.shape, rate=self.rate)

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for; the mean of the items only where its variance is finite."""
        moments = tuple(f"E[lambda^{order}]" for order in range(1, MOMENTS + 1))
        every = {
            "statistics": Target("real", 1, ("mean",), about="sample mean"),
            "log_statistics": Target("real", 1, ("log mean",), about="logarithm of the sample mean"),
            "moments": Target("real", MOMENTS, moments, about="raw moments of the posterior"),
            "log_moments": Target("real", MOMENTS, tuple(f"log {m}" for m in moments), about="their logarithms"),
            "parameters": Target("real", 1, ("lambda",), "posterior_mean", "the generating rate"),
            "predictive_mean": Target("real", 1, ("E[next]",), about="mean of the next item"),
        }
        return {name: target for name, target in every.items() if name not in self.infinite}

    @property
    def infinite(self) -> dict[str, str]:
        """What has infinite variance under this prior, and why."""
        if self.shape > 2:
            return {}
        reason = f"since E[1 / lambda^2] diverges for shape {self.shape:g} <= 2; take its logarithm or shape > 2"
        return dict.fromkeys(("items", "statistics", "predictive_mean"), reason)

    def world(self, key: PRNGKeyArray) -> World:
        """Nothing is shared by the sequences."""
        return {}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Fresh sequences `[sequence, position, 1]`, with the rate as the latent `parameters`."""
        latent_key, item_key = jax.random.split(key)
        rate = jax.random.gamma(latent_key, self.shape, (sequences, 1)) / self.rate
        items = jax.random.exponential(item_key, (sequences, length)) / rate
        return Draw(items[..., None], {"parameters": rate})

    def posterior(self, items: Float[Array, "sequence position 1"]) -> dict[str, Float[Array, "sequence position"]]:
        """The Gamma parameters `shape`, `rate` after each item."""
        x = items[..., 0]
        return {"shape": self.shape + seen(x) + jnp.zeros_like(x), "rate": self.rate + jnp.cumsum(x, axis=1)}

    def exact(
        self,
        world: World,
        items: Float[Array, "sequence position 1"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """Statistics and posterior moments after each item, `[sequence, position, target]`; see `collect`."""
        p = self.posterior(items)
        factors = jnp.stack([(p["shape"] + order) / p["rate"] for order in range(MOMENTS)], axis=-1)
        mean = running_mean(items[..., 0])[..., None]
        quantities = {
            "statistics": lambda: mean,
            "log_statistics": lambda: jnp.log(mean),
            "moments": lambda: jnp.cumprod(factors, axis=-1),
            "log_moments": lambda: jnp.cumsum(jnp.log(factors), axis=-1),
            "posterior_mean": lambda: factors[..., :1],
            "predictive_mean": lambda: (p["rate"] / (p["shape"] - 1))[..., None],
        }
        return collect(quantities, names, positions, self.infinite)

    def log_predictive(
        self, world: World, items: Float[Array, "sequence position 1"]
    ) -> Float[Array, "sequence position-1"]:
        """Lomax log density of the next item, nats.

        Equation: p(x_{n+1}) = a b^a / (b + x_{n+1})^{a+1}, with a and b the posterior's shape and rate.
        """
        p = self.posterior(items)
        shape, rate = p["shape"][:, :-1], p["rate"][:, :-1]
        return jnp.log(shape / rate) - (shape + 1) * jnp.log1p(items[:, 1:, 0] / rate)

    def predictive_mean(
        self, world: World, items: Float[Array, "sequence position 1"]
    ) -> Float[Array, "sequence position-1 1"]:
        """The mean of the next item, n = 0 .. T-2; finite from the first item on."""
        p = self.posterior(items)
        return (p["rate"] / (p["shape"] - 1))[:, :-1, None]

    def shifted(self) -> "GammaExponential":
        """The published shift: a quarter of the rate, hence items a quarter as long."""
        return replace(self, rate=self.rate / 4)
