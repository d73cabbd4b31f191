"""Documents whose words come from topics or from the classes of a hidden Markov chain: topics amid grammar."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._topic_counts import TopicWorld
from ._topic_documents import TopicDocuments, draw_topics
from ._topic_posterior import (
    alphas,
    check_alpha,
    check_sampling,
    draw_words,
)
from .process import Draw, World, check_counts, check_positive, check_rows


@dataclass(frozen=True)
class HmmLda(TopicDocuments):
    """A chain of word classes: class 0 draws from the document's topics, every other class from words of its own.

    With probability `renewal` a word is newly made semantic (class 0) with chance `share`, or syntactic; else it keeps
    the kind of the word before. Syntactic words walk between the syntactic classes. The chain starts in its
    equilibrium, where `share` of the words are semantic.

    Attributes:
        topics: number of topics.
        vocab: number of words, of topics and classes alike.
        alpha: Dirichlet parameter of a document's mixture, one for all topics or one each.
        beta: Dirichlet parameter of a topic's words.
        share: share of words that topics give, 0 to 1.
        classes: syntactic classes.
        emission: Dirichlet parameter of a class's words.
        transition: Dirichlet parameter of the steps between syntactic classes.
        renewal: see above, above 0 and at most 1.
        sweeps: Gibbs sweeps that are averaged, after a tenth as many that are not.
        particles: of the filter behind the predictions.

    Source: zhang2024embed, griffiths2004integrating.
    """

    topics: int = 5
    vocab: int = 1000
    alpha: float | tuple[float, ...] = 0.5
    beta: float = 0.5
    share: float = 0.5
    classes: int = 3
    emission: float = 0.5
    transition: float = 0.5
    renewal: float = 0.5
    sweeps: int = 600
    particles: int = 1000

    def __post_init__(self) -> None:
        check_counts(topics=self.topics, vocab=self.vocab, classes=self.classes)
        check_sampling(self.sweeps, self.particles)
        check_alpha(self.alpha, self.topics)
        check_positive("Dirichlet", beta=self.beta, emission=self.emission, transition=self.transition)
        if not 0 <= self.share <= 1:
            raise ValueError(f"share: need a probability, 0 to 1, got {self.share}")
        if not 0 < self.renewal <= 1:
            raise ValueError(f"renewal: need a probability above 0, got {self.renewal}")

    def world(self, key: PRNGKeyArray) -> World:
        """`topics` `[topic, token]`, `emission` `[class, token]` and `transition` `[class, class]`, syntactic ones."""
        topics, emission, transition = jax.random.split(key, 3)
        words = jnp.ones(self.vocab, float)
        steps = jnp.full(self.classes, self.transition, float)
        return {
            "topics": jax.random.dirichlet(topics, self.beta * words, (self.topics,), float),
            "emission": jax.random.dirichlet(emission, self.emission * words, (self.classes,), float),
            "transition": jax.random.dirichlet(transition, steps, (self.classes,), float),
        }

    def given(self, topics: Any, emission: Any, transition: Any) -> World:
        """A world of known topics, class emissions and steps between syntactic classes.

        Raises:
            ValueError: where a row does not sum to one, or the steps have more than one equilibrium.
        """
        steps = check_rows("transition", transition, self.classes, self.classes)
        if not _meet(steps):
            line = (
                "transition: the classes fall apart into groups that never meet; let all of them lead to a common one"
            )
            raise ValueError(line)
        tables = {
            "topics": check_rows("topics", topics, self.topics, self.vocab),
            "emission": check_rows("emission", emission, self.classes, self.vocab),
            "transition": steps,
        }
        return {name: jnp.asarray(table, float) for name, table in tables.items()}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Documents, with the latents `mixture` `[sequence, topic]` and `class` `[sequence, position, state]`."""
        shared = self._shared(world)
        mixing, choosing, walking, wording = jax.random.split(key, 4)
        dtype = shared.topics.dtype
        mixture = jax.random.dirichlet(mixing, shared.alpha, (sequences,), dtype)
        classes = self._walk(walking, shared, sequences, length)
        topic = draw_topics(choosing, mixture, length)
        table = jnp.concatenate([shared.topics, shared.emission])
        rows = jnp.where(classes == 0, topic, self.topics - 1 + classes)
        latents = {"mixture": mixture, "class": jax.nn.one_hot(classes, self.classes + 1, dtype=dtype)}
        return Draw(draw_words(wording, table, rows), latents)

    def _shared(self, world: World) -> TopicWorld:
        """The chain over all classes, class 0 first."""
        topics, steps = world["topics"], world["transition"]
        leave, enter = self.renewal * (1 - self.share), self.renewal * self.share
        # The equilibrium of the syntactic classes: their steps keep it, so that entering by it keeps the shares.
        balance = jnp.linalg.solve(
            jnp.eye(self.classes, dtype=steps.dtype) - steps.T + 1, jnp.ones(self.classes, steps.dtype)
        )
        from_topics = jnp.concatenate([jnp.full(1, 1 - leave, steps.dtype), leave * balance])
        from_classes = jnp.concatenate([jnp.full((self.classes, 1), enter, steps.dtype), (1 - enter) * steps], axis=1)
        initial = jnp.concatenate([jnp.full(1, self.share, steps.dtype), (1 - self.share) * balance])
        transition = jnp.concatenate([from_topics[None], from_classes])
        return TopicWorld(alphas(self.alpha, self.topics, topics.dtype), topics, world["emission"], transition, initial)

    def _walk(
        self, key: PRNGKeyArray, shared: TopicWorld, sequences: int, length: int
    ) -> Int[Array, "sequence position"]:
        levels = jax.random.uniform(key, (length, sequences), shared.initial.dtype)
        steps, first = jnp.cumsum(shared.transition, axis=1)[:, :-1], jnp.cumsum(shared.initial)[:-1]

        def below(levels: Array, steps: Array) -> Array:
            return jnp.sum((levels[:, None] >= steps).astype(jnp.int32), axis=1)

        def step(now: Array, levels: Array) -> tuple[Array, Array]:
            after = below(levels, steps[now])
            return after, after

        start = below(levels[0], first[None, :])
        _, later = jax.lax.scan(step, start, levels[1:])
        return jnp.concatenate([start[None], later]).T


def _meet(steps: Float[np.ndarray, "state state"]) -> bool:
    """Whether some class can be reached from every class: the chain then has one equilibrium."""
    reached = (steps > 0) | np.eye(len(steps), dtype=bool)
    for through in range(len(steps)):
        reached |= reached[:, through, None] & reached[None, through]
    return bool(reached.all(axis=0).any())
