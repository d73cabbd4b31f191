"""Hidden Markov models: filter, predictive belief, smoother and Viterbi, exact and side by side for many sequences."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .process import Draw, Target, World, check_counts, check_positive, check_rows, collect

SHIFTED_WEIGHT = 0.85
"""Probability of the first state at the start of a shifted process."""


@dataclass(frozen=True)
class HiddenMarkov:
    """Tokens of a Markov chain of hidden states; transitions and emissions are drawn once, as the `world`.

    Equation: p(z_0) = start; p(z_{n+1} | z_n) = (1 - linger) A + linger I; p(x_n | z_n) = B.

    Attributes:
        states: number of hidden states.
        vocab: number of tokens.
        transition: concentration of the Dirichlet rows of A.
        emission: concentration of the Dirichlet rows of B; larger makes states less distinct.
        linger: probability of staying without asking A; lengthens the memory, and with it what there is to infer.
        start: probabilities of the first state; None for equal ones.

    Source: zhang2024embed.
    """

    states: int = 4
    vocab: int = 64
    transition: float = 0.5
    emission: float = 0.5
    linger: float = 0.0
    start: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_counts(states=self.states, vocab=self.vocab)
        check_positive("Dirichlet", transition=self.transition, emission=self.emission)
        if not 0 <= self.linger < 1:
            raise ValueError(f"linger: must be a probability below 1, got {self.linger}")
        if self.start is not None:
            check_rows("start", self.start, self.states)

    @property
    def reads(self) -> Literal["tokens", "reals"]:
        return "tokens"

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.vocab

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for."""
        names = tuple(f"state {k}" for k in range(self.states))

        def over_states(about: str, ceiling: str | None = None) -> Target:
            return Target("distribution", self.states, names, ceiling, about)

        return {
            "belief": over_states("the next state given the tokens so far"),
            "filter": over_states("the present state given the tokens so far"),
            "viterbi": over_states("last state of the most probable path of the tokens so far"),
            "state": over_states("the state that produced the last token", "filter"),
        }

    def world(self, key: PRNGKeyArray) -> World:
        """Draw what all sequences share: `transition [state, state]` (A) and `emission [state, token]` (B).

        >>> import jax
        >>> world = HiddenMarkov(states=3, vocab=5).world(jax.random.key(0))
        >>> world["transition"].shape, world["emission"].shape
        ((3, 3), (3, 5))
        """
        weights = jnp.array([self.transition] * self.states + [self.emission] * self.vocab)
        # Dirichlet rows are normalised gammas; by their logarithms no row of small concentration becomes 0 / 0.
        gammas = jax.random.loggamma(key, weights[None, :], (self.states, len(weights)))
        rows = [jax.nn.softmax(part, axis=1) for part in (gammas[:, : self.states], gammas[:, self.states :])]
        return {"transition": rows[0], "emission": rows[1]}

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Fresh sequences; `latents["state"]` `[sequence, position, state]` marks the states they passed through."""
        start, chain, emission = self.parts(world)
        steps = jax.random.uniform(key, (length, 2, sequences), emission.dtype)
        rows, tokens_of = jnp.cumsum(chain, axis=1), jnp.cumsum(emission, axis=1)

        def step(state: Array, uniform: Array) -> tuple[Array, tuple[Array, Array]]:
            return _invert(rows[state], uniform[0]), (state, _invert(tokens_of[state], uniform[1]))

        first_key = jax.random.fold_in(key, 1)
        first = jax.random.categorical(first_key, jnp.log(start)[None, :], axis=1, shape=(sequences,))
        states, items = jax.lax.scan(step, first.astype(jnp.int32), steps)[1]
        return Draw(items.T, {"state": jax.nn.one_hot(states.T, self.states, dtype=emission.dtype)})

    def exact(
        self,
        world: World,
        items: Int[Array, "sequence position"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Float[Array, "sequence ... state"]]:
        """Exact quantities after items 0..n, for every n or those asked for.

        Args:
            world: from `world`, or of one's own through `hidden_markov_world`.
            items: `[sequence, position]`, tokens.
            names: of `targets`, or "smoother", which is told all tokens, later ones too; None for all of them.
            positions: which n; None for all.
            key: unused, for nothing here is sampled.

        Returns:
            By name, `[sequence, position, state]`; "belief" is of the next position, "viterbi" holds ones and zeros;
            NaN from a token on that no state can have emitted.

        Raises:
            ValueError: for an unknown name, or a world whose rows are no probabilities.

        >>> import jax.numpy as jnp
        >>> world = hidden_markov_world([[0.9, 0.1], [0.1, 0.9]], [[1.0, 0.0], [0.5, 0.5]])
        >>> process = HiddenMarkov(states=2, vocab=2)
        >>> after = process.exact(world, jnp.array([[0, 1]]), ["filter"])["filter"]
        >>> [round(float(chance), 3) for chance in after[0, :, 0]]
        [0.667, 0.0]
        """
        start, chain, emission = self.parts(world)
        likelihood = emission.T[items]
        filtered, _ = filter_states(start, chain, likelihood)
        ways = {
            "belief": lambda: filtered @ chain,
            "filter": lambda: filtered,
            "viterbi": lambda: self._last_states(start, chain, likelihood),
            "smoother": lambda: smooth_states(chain, filtered),
        }
        return collect(ways, names, positions)

    def log_predictive(
        self, world: World, items: Int[Array, "sequence position"]
    ) -> Float[Array, "sequence position-1"]:
        """Exact log p(x_{n+1} | x_0..x_n) in nats, n = 0..T-2."""
        start, chain, emission = self.parts(world)
        return filter_states(start, chain, emission.T[items])[1][:, 1:]

    def viterbi_path(self, world: World, items: Int[Array, "sequence position"]) -> Int[Array, "sequence position"]:
        """The most probable states of whole sequences; -1 throughout a sequence of probability zero."""
        start, chain, emission = self.parts(world)
        return best_path(jnp.log(start), jnp.log(chain), jnp.log(emission.T[items]))

    def shifted(self) -> "HiddenMarkov":
        """Out of distribution: nearly always the first state at the start, and a chain that asks A half as often.

        The same world serves both; the emissions stay as they are.
        """
        rest = (1 - SHIFTED_WEIGHT) / max(self.states - 1, 1)
        start = (SHIFTED_WEIGHT, *(rest,) * (self.states - 1)) if self.states > 1 else (1.0,)
        return replace(self, start=start, linger=(1 + self.linger) / 2)

    def parts(self, world: World) -> tuple[Array, Array, Array]:
        """First-state probabilities `[state]`, the chain with its lingering `[state, state]`, and the emissions."""
        transition, emission = world["transition"], world["emission"]
        if transition.shape != (self.states, self.states) or emission.shape != (self.states, self.vocab):
            got = f"transition {transition.shape} and emission {emission.shape}"
            raise ValueError(f"world: need {self.states} states and {self.vocab} tokens, got {got}")
        for name, rows in world.items():
            try:
                known = np.asarray(rows)
            except jax.errors.TracerArrayConversionError:
                continue  # inside jit there are no values to look at
            check_rows(name, known, None, None)
        equal = (1 / self.states,) * self.states
        start = jnp.asarray(equal if self.start is None else self.start, emission.dtype)
        return (
            start,
            (1 - self.linger) * transition + self.linger * jnp.eye(self.states, dtype=emission.dtype),
            emission,
        )

    def _last_states(self, start: Array, chain: Array, likelihood: Array) -> Array:
        scores, _ = path_scores(jnp.log(start), jnp.log(chain), jnp.log(likelihood))
        last = jax.nn.one_hot(jnp.argmax(scores, axis=-1), self.states, dtype=likelihood.dtype)
        return jnp.where(jnp.isnan(scores), jnp.nan, last)


def hidden_markov_world(transition: Any, emission: Any) -> World:
    """A world of one's own instead of a drawn one.

    Args:
        transition: `[state, state]`, rows of probabilities.
        emission: `[state, token]`, rows of probabilities.

    Raises:
        ValueError: where a row is no probability distribution, or the two differ in the number of states.
    """
    rows = check_rows("emission", emission, None, None)
    steps = check_rows("transition", transition, len(rows), len(rows))
    return {"transition": jnp.asarray(steps, float), "emission": jnp.asarray(rows, float)}


@jax.jit
def filter_states(
    start: Float[Array, " state"],
    chain: Float[Array, "state state"],
    likelihood: Float[Array, "sequence position state"],
) -> tuple[Float[Array, "sequence position state"], Float[Array, "sequence position"]]:
    """The normalised forward pass.

    Args:
        start: probabilities of the first state.
        chain: `[state, state]`, from row to column.
        likelihood: p(x_n | z_n) of the tokens seen.

    Returns:
        p(z_n | x_0..x_n), and log p(x_n | x_0..x_{n-1}) in nats; NaN from a token on that no state emits.
    """

    def step(prior: Array, seen: Array) -> tuple[Array, tuple[Array, Array]]:
        # Divided by its largest entry first: products of small probabilities must not vanish in float32.
        largest = jnp.max(seen, axis=1, keepdims=True)
        joint = prior * (seen / largest)
        total = jnp.sum(joint, axis=1, keepdims=True)
        now = joint / total
        return now @ chain, (now, jnp.log(total[:, 0]) + jnp.log(largest[:, 0]))

    first = jnp.broadcast_to(start[None, :], (likelihood.shape[0], len(start)))
    filtered, evidence = jax.lax.scan(step, first, jnp.swapaxes(likelihood, 0, 1))[1]
    return jnp.swapaxes(filtered, 0, 1), evidence.T


@jax.jit
def smooth_states(
    chain: Float[Array, "state state"], filtered: Float[Array, "sequence position state"]
) -> Float[Array, "sequence position state"]:
    """p(z_n | all tokens), backwards from the filter: the last token is counted once, in the filter."""

    def step(later: Array, now: Array) -> tuple[Array, Array]:
        belief = now @ chain
        ratio = jnp.where(belief > 0, later / jnp.where(belief > 0, belief, 1.0), 0.0)
        smoothed = now * (ratio @ chain.T)
        return smoothed, smoothed

    by_position = jnp.swapaxes(filtered, 0, 1)
    earlier = jax.lax.scan(step, by_position[-1], by_position[:-1], reverse=True)[1]
    return jnp.swapaxes(jnp.concatenate([earlier, by_position[-1:]]), 0, 1)


@jax.jit
def path_scores(
    log_start: Float[Array, " state"],
    log_chain: Float[Array, "state state"],
    log_likelihood: Float[Array, "sequence position state"],
) -> tuple[Float[Array, "sequence position state"], Int[Array, "sequence position-1 state"]]:
    """Log probability of the best path into every state, less that of the best one, and where it came from.

    NaN from a token on that no path can have emitted.
    """

    def step(scores: Array, seen: Array) -> tuple[Array, tuple[Array, Array]]:
        ways = scores[:, :, None] + log_chain[None, :, :]
        now = jnp.max(ways, axis=1) + seen
        now = now - jnp.max(now, axis=1, keepdims=True)
        return now, (now, jnp.argmax(ways, axis=1))

    seen = jnp.swapaxes(log_likelihood, 0, 1)
    first = log_start[None, :] + seen[0]
    first = first - jnp.max(first, axis=1, keepdims=True)
    scores, came_from = jax.lax.scan(step, first, seen[1:])[1]
    return jnp.swapaxes(jnp.concatenate([first[None], scores]), 0, 1), jnp.swapaxes(came_from, 0, 1)


@jax.jit
def best_path(
    log_start: Float[Array, " state"],
    log_chain: Float[Array, "state state"],
    log_likelihood: Float[Array, "sequence position state"],
) -> Int[Array, "sequence position"]:
    """The most probable states (Viterbi), traced back from the best last one; -1 where no path is possible."""
    scores, came_from = path_scores(log_start, log_chain, log_likelihood)
    last = jnp.argmax(scores[:, -1], axis=1)

    def back(state: Array, origin: Array) -> tuple[Array, Array]:
        before = jnp.take_along_axis(origin, state[:, None], axis=1)[:, 0]
        return before, before

    earlier = jax.lax.scan(back, last, jnp.swapaxes(came_from, 0, 1), reverse=True)[1]
    path = jnp.concatenate([earlier.T, last[:, None]], axis=1)
    return jnp.where(jnp.isnan(scores[:, -1, :1]), -1, path)


def _invert(cumulative: Float[Array, "sequence target"], uniform: Float[Array, " sequence"]) -> Int[Array, " sequence"]:
    """The entry in which a uniform number falls."""
    # Scaled by the last entry, for rows sum to one only up to rounding.
    below = uniform[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]
    return jnp.sum(below, axis=1, dtype=jnp.int32)
