"""Independent tokens whose probabilities have a Dirichlet prior."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .process import Draw, Target, World, check_positive, collect, differing


@dataclass(frozen=True)
class DirichletCategorical:
    """Tokens of unknown probabilities.

    Equation: p ~ Dirichlet(concentration); P(x_n = k) = p_k.

    Attributes:
        concentration: prior count of each token.

    >>> import jax.numpy as jnp
    >>> coin = DirichletCategorical((1.0, 1.0, 2.0))
    >>> [round(float(chance), 2) for chance in coin.exact({}, jnp.array([[0]]), ["predictive"])["predictive"][0, 0]]
    [0.4, 0.2, 0.4]

    Source: jaxembed
    """

    concentration: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)

    reads: ClassVar[Literal["tokens", "reals"]] = "tokens"

    def __post_init__(self) -> None:
        if len(self.concentration) < 2:
            raise ValueError(f"concentration: need at least 2 tokens, got {len(self.concentration)}")
        for token, value in enumerate(self.concentration):
            check_positive("Dirichlet", **{f"concentration[{token}]": value})

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.concentration)

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for."""
        tokens = tuple(map(str, range(self.size)))
        moments = tuple(f"E[p_{k}]" for k in tokens) + tuple(f"E[p_{k}^2]" for k in tokens)
        return {
            "statistics": Target("distribution", self.size, tokens, about="share of each token so far"),
            "moments": Target("real", 2 * self.size, moments, about="first and second moments of the posterior"),
            "parameters": Target("distribution", self.size, tokens, "posterior_mean", "the generating probabilities"),
            "predictive": Target("distribution", self.size, tokens, about="the next token's distribution"),
        }

    def world(self, key: PRNGKeyArray) -> World:
        """Nothing is shared by the sequences."""
        return {}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Fresh sequences `[sequence, position]`, with the probabilities as the latent `parameters`."""
        latent_key, item_key = jax.random.split(key)
        p = jax.random.dirichlet(latent_key, jnp.asarray(self.concentration), (sequences,))
        items = jax.random.categorical(item_key, jnp.log(p)[:, None, :], shape=(sequences, length))
        return Draw(items.astype(jnp.int32), {"parameters": p})

    def posterior(self, items: Int[Array, "sequence position"]) -> Float[Array, "sequence position token"]:
        """The Dirichlet parameters after each item."""
        counts = jnp.cumsum(jax.nn.one_hot(items, self.size, dtype=jnp.result_type(float)), axis=1)
        return jnp.asarray(self.concentration)[None, None, :] + counts

    def exact(
        self,
        world: World,
        items: Int[Array, "sequence position"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """Statistics, posterior moments and prediction after each item, `[sequence, position, target]`."""
        posterior = self.posterior(items)
        total = jnp.sum(posterior, axis=-1, keepdims=True)
        mean = posterior / total
        counts = posterior - jnp.asarray(self.concentration)[None, None, :]
        quantities = {
            "statistics": lambda: counts / jnp.sum(counts, axis=-1, keepdims=True),
            "moments": lambda: jnp.concatenate([mean, mean * (posterior + 1) / (total + 1)], axis=-1),
            "posterior_mean": lambda: mean,
            "predictive": lambda: mean,
        }
        return collect(quantities, names, positions)

    def log_predictive(
        self, world: World, items: Int[Array, "sequence position"]
    ) -> Float[Array, "sequence position-1"]:
        """Log probability of the next token, nats.

        Equation: p(x_{n+1} = k) = (concentration_k + count_k) / (sum of the same over tokens).
        """
        posterior = self.posterior(items)[:, :-1]
        chosen = jnp.take_along_axis(posterior, items[:, 1:, None], axis=-1)[..., 0]
        return jnp.log(chosen / jnp.sum(posterior, axis=-1))

    def shifted(self) -> "DirichletCategorical":
        """The prior counts in reverse order.

        Raises:
            ValueError: where they read the same backwards.
        """
        reverse = DirichletCategorical(self.concentration[::-1])
        return differing(reverse, self, "take a concentration that is not the same in reverse")
