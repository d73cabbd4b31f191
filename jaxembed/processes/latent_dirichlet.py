"""Documents of a topic model: topics drawn once and shared, a mixture of them drawn for every document."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from ._topic_counts import TopicWorld, one_class
from ._topic_documents import TopicDocuments, draw_topics
from ._topic_posterior import (
    alphas,
    check_alpha,
    check_sampling,
    draw_words,
)
from .process import Draw, World, check_counts, check_positive, check_rows


@dataclass(frozen=True)
class LatentDirichlet(TopicDocuments):
    """Latent Dirichlet allocation: the words of a document are exchangeable given its mixture of known topics.

    The mixture has no closed posterior. Where all vectors of topic counts can be listed (three topics and 30 words,
    say) its mean is exact, by a filter over them; beyond, it comes from Gibbs sampling at the positions asked for, with
    its Monte Carlo error in `exact(..., names=("posterior_mean", "monte_carlo_error"))`. Predictions at every position
    then come from a particle filter.

    Attributes:
        topics: number of topics.
        vocab: number of words.
        alpha: Dirichlet parameter of a document's mixture, one for all topics or one each.
        beta: Dirichlet parameter of a topic's words.
        sweeps: Gibbs sweeps that are averaged, after a tenth as many that are not.
        particles: of the filter behind the predictions.

    Source: zhang2024embed, zhang2023definetti.

    >>> import jax
    >>> process = LatentDirichlet(topics=2, vocab=5)
    >>> world = process.world(jax.random.key(0))
    >>> draw = process.sample(jax.random.key(1), world, sequences=3, length=6)
    >>> process.exact(world, draw.items)["posterior_mean"].shape
    (3, 6, 2)
    """

    topics: int = 5
    vocab: int = 1000
    alpha: float | tuple[float, ...] = 0.5
    beta: float = 0.5
    sweeps: int = 600
    particles: int = 1000

    def __post_init__(self) -> None:
        check_counts(topics=self.topics, vocab=self.vocab)
        check_sampling(self.sweeps, self.particles)
        check_alpha(self.alpha, self.topics)
        check_positive("Dirichlet", beta=self.beta)

    def world(self, key: PRNGKeyArray) -> World:
        """`topics` `[topic, token]`, drawn once."""
        words = jnp.full(self.vocab, self.beta, float)
        return {"topics": jax.random.dirichlet(key, words, (self.topics,), float)}

    def given(self, topics: Any) -> World:
        """A world of topics that are known.

        Raises:
            ValueError: where a row does not sum to one.
        """
        return {"topics": jnp.asarray(check_rows("topics", topics, self.topics, self.vocab), float)}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Documents, with the latent `mixture` `[sequence, topic]`."""
        table = world["topics"]
        mixing, choosing, wording = jax.random.split(key, 3)
        alpha = alphas(self.alpha, self.topics, table.dtype)
        mixture = jax.random.dirichlet(mixing, alpha, (sequences,), table.dtype)
        return Draw(draw_words(wording, table, draw_topics(choosing, mixture, length)), {"mixture": mixture})

    def _shared(self, world: World) -> TopicWorld:
        table = world["topics"]
        return one_class(alphas(self.alpha, self.topics, table.dtype), table)
