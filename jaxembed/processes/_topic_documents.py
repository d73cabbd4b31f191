"""What both kinds of topic documents are and answer; they differ in how a word comes about."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._topic_counts import TopicWorld
from ._topic_posterior import log_predictive, mixture_targets, posterior, tilted
from .process import Target, World


class TopicDocuments(ABC):
    """Base of frozen dataclasses that hold these settings and put a world of theirs as a chain of word classes."""

    topics: int
    vocab: int
    alpha: float | tuple[float, ...]
    sweeps: int
    particles: int

    @abstractmethod
    def _shared(self, world: World) -> TopicWorld: ...

    @property
    def reads(self) -> Literal["tokens", "reals"]:
        return "tokens"

    @property
    def size(self) -> int:
        """Number of words."""
        return self.vocab

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for."""
        return mixture_targets(self.topics)

    def exact(
        self,
        world: World,
        items: Int[Array, "sequence position"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """`posterior_mean` of the mixture (and its `monte_carlo_error`), `[sequence, position, topic]`."""
        return posterior(self._shared(world), items, names, positions, key, self.sweeps)

    def log_predictive(
        self, world: World, items: Int[Array, "sequence position"], key: PRNGKeyArray | None = None
    ) -> Float[Array, "sequence position-1"]:
        """log p(x_{n+1} | x_0 .. x_n) in nats; where it is estimated, another key gives another estimate."""
        return log_predictive(self._shared(world), items, key, self.particles)

    def shifted(self) -> "TopicDocuments":
        """The first topic four times as common."""
        settings: Any = self  # a dataclass, which this base is not
        return replace(settings, alpha=tilted(self.alpha, self.topics))


def draw_topics(
    key: PRNGKeyArray, mixture: Float[Array, "sequence topic"], length: int
) -> Int[Array, "sequence position"]:
    """A topic for every word, from the mixture of its document."""
    level = jax.random.uniform(key, (mixture.shape[0], length), mixture.dtype)
    steps = jnp.cumsum(mixture, axis=1)[:, None, :-1]
    return jnp.sum((level[:, :, None] >= steps).astype(jnp.int32), axis=2)
