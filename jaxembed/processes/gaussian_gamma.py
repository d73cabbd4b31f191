"""Independent Gaussian items whose mean and precision have a Normal-Gamma prior."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float, PRNGKeyArray

from ._running import running_mean, running_square_sum, seen
from .process import Draw, Target, World, check_positive, collect, differing


@dataclass(frozen=True)
class GaussianGamma:
    """Gaussian items of unknown mean and precision.

    Equation: tau ~ Gamma(shape, rate); mu | tau ~ N(mean, 1 / (strength tau)); x_n ~ N(mu, 1 / tau).

    Attributes:
        mean: prior mean of mu.
        strength: how many observations the prior mean is worth.
        shape: shape of the prior of the precision.
        rate: its rate.

    >>> import jax
    >>> GaussianGamma().sample(jax.random.key(0), {}, 2, 5).items.shape
    (2, 5, 1)

    Source: zhang2024embed
    """

    mean: float = 1.0
    strength: float = 1.0
    shape: float = 5.0
    rate: float = 1.0

    reads: ClassVar[Literal["tokens", "reals"]] = "reals"
    size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not abs(self.mean) < float("inf"):
            raise ValueError(f"mean: the Normal-Gamma prior is improper at {self.mean}; need a finite number")
        check_positive("Normal-Gamma", strength=self.strength, shape=self.shape, rate=self.rate)

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for; nothing of infinite variance, and nothing whose best guess has one."""
        moments = ("E[log tau]", "E[tau]", "E[tau mu]", "E[tau mu^2]")
        every = {
            "statistics": Target("real", 2, ("mean", "sd"), about="sample mean and standard deviation, divisor n - 1"),
            "moments": Target("real", 4, moments, about="expected natural statistics of the posterior"),
            "parameters": Target("real", 2, ("mu", "tau"), "posterior_mean", "the generating mean and precision"),
            "predictive_mean": Target("real", 1, ("E[next]",), about="the posterior mean of mu"),
        }
        return {name: target for name, target in every.items() if not {name, target.ceiling} & set(self.infinite)}

    @property
    def infinite(self) -> dict[str, str]:
        """What has infinite variance under this prior, and why."""
        if self.shape > 1:
            return {}
        reason = f"since E[1 / tau] diverges for shape {self.shape:g} <= 1; take shape > 1"
        return dict.fromkeys(("items", "statistics", "parameters", "posterior_mean", "predictive_mean"), reason)

    def world(self, key: PRNGKeyArray) -> World:
        """Nothing is shared by the sequences."""
        return {}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Fresh sequences `[sequence, position, 1]`, with `parameters` (mu, tau) as latents."""
        precision_key, mean_key, item_key = jax.random.split(key, 3)
        tau = jax.random.gamma(precision_key, self.shape, (sequences, 1)) / self.rate
        mu = self.mean + jax.random.normal(mean_key, tau.shape) / jnp.sqrt(self.strength * tau)
        noise = jax.random.normal(item_key, (sequences, length))
        return Draw((mu + noise / jnp.sqrt(tau))[..., None], {"parameters": jnp.concatenate([mu, tau], axis=1)})

    def posterior(self, items: Float[Array, "sequence position 1"]) -> dict[str, Float[Array, "sequence position"]]:
        """The Normal-Gamma parameters `mean`, `strength`, `shape`, `rate` after each item."""
        x = items[..., 0]
        n, average = seen(x), running_mean(x)
        strength = self.strength + n + jnp.zeros_like(x)
        mean = (self.strength * self.mean + n * average) / strength
        shrinkage = n * self.strength * (average - self.mean) ** 2 / (2 * strength)
        rate = self.rate + running_square_sum(x) / 2 + shrinkage
        return {"mean": mean, "strength": strength, "shape": self.shape + n / 2 + jnp.zeros_like(x), "rate": rate}

    def exact(
        self,
        world: World,
        items: Float[Array, "sequence position 1"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """Statistics and posterior moments after each item, `[sequence, position, target]`; see `collect`.

        The standard deviation of a single item is undefined: NaN at position 0.
        """
        p = self.posterior(items)
        precision = p["shape"] / p["rate"]
        quantities = {
            "statistics": lambda: _statistics(items[..., 0]),
            "moments": lambda: jnp.stack(
                [
                    digamma(p["shape"]) - jnp.log(p["rate"]),
                    precision,
                    p["mean"] * precision,
                    p["mean"] ** 2 * precision + 1 / p["strength"],
                ],
                axis=-1,
            ),
            "posterior_mean": lambda: jnp.stack([p["mean"], precision], axis=-1),
            "predictive_mean": lambda: p["mean"][..., None],
        }
        return collect(quantities, names, positions, self.infinite)

    def log_predictive(
        self, world: World, items: Float[Array, "sequence position 1"]
    ) -> Float[Array, "sequence position-1"]:
        """Student-t log density of the next item, nats.

        Equation: 2 shape degrees of freedom, location mean, scale^2 = rate (strength + 1) / (shape strength).
        """
        p = {name: values[:, :-1] for name, values in self.posterior(items).items()}
        degrees = 2 * p["shape"]
        scale2 = p["rate"] * (p["strength"] + 1) / (p["shape"] * p["strength"])
        normaliser = gammaln((degrees + 1) / 2) - gammaln(degrees / 2) - jnp.log(jnp.pi * degrees * scale2) / 2
        distance = (items[:, 1:, 0] - p["mean"]) ** 2 / (degrees * scale2)
        return normaliser - (degrees + 1) / 2 * jnp.log1p(distance)

    def predictive_mean(
        self, world: World, items: Float[Array, "sequence position 1"]
    ) -> Float[Array, "sequence position-1 1"]:
        """The mean of the next item, n = 0 .. T-2."""
        return self.posterior(items)["mean"][:, :-1, None]

    def shifted(self) -> "GaussianGamma":
        """The published shift: prior mean 5 and shape 2.

        Raises:
            ValueError: where the prior has both already.
        """
        return differing(replace(self, mean=5.0, shape=2.0), self, "take another mean than 5 or another shape than 2")


def _statistics(x: Float[Array, "sequence position"]) -> Float[Array, "sequence position target"]:
    n = seen(x)
    variance = running_square_sum(x) / jnp.where(n > 1, n - 1, jnp.nan)
    return jnp.stack([running_mean(x), jnp.sqrt(variance)], axis=-1)
