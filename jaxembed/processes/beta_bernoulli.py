"""Independent coin flips whose probability has a Beta prior."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._running import running_mean, seen
from .process import Draw, Target, World, check_positive, collect, differing

MOMENTS = 4
"""How many raw moments of the posterior are targets."""


@dataclass(frozen=True)
class BetaBernoulli:
    """Tokens 0 and 1; token 1 has an unknown probability.

    Equation: p ~ Beta(ones, zeros); P(x_n = 1) = p.

    Attributes:
        ones: prior count of token 1.
        zeros: prior count of token 0.

    >>> import jax.numpy as jnp
    >>> chances = BetaBernoulli(2.0, 2.0).exact({}, jnp.array([[1, 1]]), ["predictive"])["predictive"][0, 1]
    >>> [round(float(chance), 3) for chance in chances]
    [0.333, 0.667]

    Source: zhang2024embed
    """

    ones: float = 2.0
    zeros: float = 8.0

    reads: ClassVar[Literal["tokens", "reals"]] = "tokens"
    size: ClassVar[int] = 2

    def __post_init__(self) -> None:
        check_positive("Beta", ones=self.ones, zeros=self.zeros)

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for."""
        moments = tuple(f"E[p^{order}]" for order in range(1, MOMENTS + 1))
        return {
            "statistics": Target("real", 1, ("mean",), about="share of token 1 so far"),
            "moments": Target("real", MOMENTS, moments, about="raw moments of the posterior"),
            "parameters": Target("real", 1, ("p",), "posterior_mean", "the generating probability"),
            "predictive": Target("distribution", 2, ("0", "1"), about="the next token's distribution"),
        }

    def world(self, key: PRNGKeyArray) -> World:
        """Nothing is shared by the sequences."""
        return {}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Fresh sequences `[sequence, position]`, with the probability as the latent `parameters`."""
        latent_key, item_key = jax.random.split(key)
        p = jax.random.beta(latent_key, self.ones, self.zeros, (sequences, 1))
        return Draw((jax.random.uniform(item_key, (sequences, length)) < p).astype(jnp.int32), {"parameters": p})

    def posterior(self, items: Int[Array, "sequence position"]) -> dict[str, Float[Array, "sequence position"]]:
        """The Beta parameters `ones`, `zeros` after each item."""
        x = items.astype(jnp.result_type(float))
        ones = jnp.cumsum(x, axis=1)
        return {"ones": self.ones + ones, "zeros": self.zeros + seen(x) - ones}

    def exact(
        self,
        world: World,
        items: Int[Array, "sequence position"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """Statistics, posterior moments and prediction after each item, `[sequence, position, target]`."""
        p = self.posterior(items)
        total = p["ones"] + p["zeros"]
        mean = p["ones"] / total
        factors = [(p["ones"] + order) / (total + order) for order in range(MOMENTS)]
        quantities = {
            "statistics": lambda: running_mean(items.astype(mean.dtype))[..., None],
            "moments": lambda: jnp.cumprod(jnp.stack(factors, axis=-1), axis=-1),
            "posterior_mean": lambda: mean[..., None],
            "predictive": lambda: jnp.stack([p["zeros"] / total, mean], axis=-1),
        }
        return collect(quantities, names, positions)

    def log_predictive(
        self, world: World, items: Int[Array, "sequence position"]
    ) -> Float[Array, "sequence position-1"]:
        """Log probability of the next token, nats.

        Equation: p(x_{n+1} = 1) = (ones + k) / (ones + zeros + n + 1), k of the n + 1 tokens read being 1.
        """
        p = self.posterior(items)
        chosen = jnp.where(items[:, 1:] == 1, p["ones"][:, :-1], p["zeros"][:, :-1])
        return jnp.log(chosen / (p["ones"] + p["zeros"])[:, :-1])

    def shifted(self) -> "BetaBernoulli":
        """The published shift: the two prior counts change places.

        Raises:
            ValueError: where they are equal.
        """
        return differing(BetaBernoulli(self.zeros, self.ones), self, "take ones and zeros that differ")
