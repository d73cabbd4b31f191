"""The number game: which numbers belong to a concept, judged from examples; hypotheses are rules and intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ._discrete import log_of, log_posterior
from .process import Draw, Target, check_rows, chosen_positions, collect


@dataclass(frozen=True)
class NumberGame:
    """Examples drawn uniformly, with replacement, from a set of numbers 1 .. `numbers`; token t is the number t + 1.

    Hypotheses are rules (even, odd, squares, cubes, primes, multiples of 3 to 12, powers of 2 to 10, last digit 0 to 9)
    and intervals whose ends lie on a grid. Rules share `rule_share` of the prior equally; intervals share the rest in
    proportion to s exp(-s / `typical_size`), s their size. A set that two names describe is one hypothesis, under the
    first name. Given the items, p(h | x_0..x_n) is proportional to p(h) |h|^-(n+1) where h holds all of them.

    Attributes:
        numbers: how many numbers there are.
        step: intervals start after and end at multiples of it; 1 gives every interval.
        rule_share: prior probability that the concept is a rule.
        typical_size: of intervals; the likeliest size of a single one.
        prior: probabilities of all hypotheses in the order of `names`; None means those above.

    Raises:
        ValueError: for a step that does not divide the numbers, or probabilities that are none.

    >>> game = NumberGame()
    >>> seen = game.exact({}, jnp.array([[15, 7, 1, 63]]), ("hypothesis",), (3,))["hypothesis"]
    >>> game.names[int(jnp.argmax(seen))]
    'powers of 2'

    Source: tenenbaum1999bayesian.
    """

    numbers: int = 100
    step: int = 5
    rule_share: float = 0.5
    typical_size: float = 10.0
    prior: tuple[float, ...] | None = None
    reads: ClassVar[Literal["tokens", "reals"]] = "tokens"

    def __post_init__(self) -> None:
        if self.numbers < 2 or self.step < 1 or self.numbers % self.step:
            raise ValueError(f"step: need one that divides numbers = {self.numbers} (2 or more), got {self.step}")
        if not 0 <= self.rule_share <= 1:
            raise ValueError(f"rule_share: need a probability, got {self.rule_share}")
        if not self.typical_size > 0:
            raise ValueError(f"typical_size: need a positive number, got {self.typical_size}")
        self.probabilities  # noqa: B018  (a bad prior is refused here, not at the first draw)

    @property
    def size(self) -> int:
        """Numbers, the vocabulary."""
        return self.numbers

    @property
    def hypotheses(self) -> int:
        """Sets of numbers."""
        return len(self.names)

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for."""
        return {
            "hypothesis": Target("distribution", self.hypotheses, self.names, about="posterior over concepts"),
            "concept": Target("distribution", self.hypotheses, self.names, "hypothesis", "the generating concept"),
            "predictive": Target("distribution", self.numbers, about="probabilities of the next number"),
            "generalisation": Target("real", self.numbers, about="probability that a number belongs to the concept"),
        }

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What every hypothesis says, rules first."""
        return tuple(self._sets)

    @cached_property
    def members(self) -> Bool[np.ndarray, "hypothesis token"]:
        """Which tokens every hypothesis holds."""
        return np.stack(list(self._sets.values()))

    @cached_property
    def probabilities(self) -> Float[np.ndarray, " hypothesis"]:
        """Prior of the hypotheses."""
        if self.prior is not None:
            return check_rows("prior", self.prior, self.hypotheses)
        interval, size = np.array([name.startswith("from") for name in self.names]), self.members.sum(axis=1)
        weights = size * np.exp(-size / self.typical_size)
        weights = np.where(interval, weights / max(weights[interval].sum(), np.finfo(float).tiny), 0.0)
        return (1 - self.rule_share) * weights + self.rule_share * ~interval / (~interval).sum()

    @cached_property
    def _sets(self) -> dict[str, Bool[np.ndarray, " token"]]:
        number = np.arange(1, self.numbers + 1)
        named = [*_rules(number).items(), *_intervals(number, self.step).items()]
        kept: dict[bytes, tuple[str, np.ndarray]] = {}
        for name, holds in named:
            if holds.any():
                kept.setdefault(holds.tobytes(), (name, holds))
        return dict(kept.values())

    def shifted(self) -> "NumberGame":
        """Mostly wide intervals: half the share of rules, and thrice the typical size."""
        return replace(self, rule_share=self.rule_share / 2, typical_size=3 * self.typical_size, prior=None)

    def world(self, key: PRNGKeyArray) -> dict[str, Array]:
        """Nothing is shared by the sequences: every one has a concept of its own."""
        return {}

    def sample(self, key: PRNGKeyArray, world: dict[str, Array], sequences: int, length: int) -> Draw:
        """Fresh sequences of examples.

        Returns:
            items `[sequence, position]`, and the latent "concept", `[sequence, hypothesis]`, one at the generating one.
        """
        key_of_concept, key_of_item = jax.random.split(key)
        concept = jax.random.categorical(key_of_concept, log_of(self.probabilities), shape=(sequences,))
        # The place of a draw among the members, counted up: cheaper than a categorical over all numbers an item.
        order = jnp.asarray(np.argsort(~self.members, axis=1, kind="stable"), jnp.int32)
        size = jnp.asarray(self.members.sum(axis=1), jnp.int32)[concept][:, None]
        place = jax.random.randint(key_of_item, (sequences, length), 0, size, jnp.int32)
        items = jnp.take_along_axis(order[concept], place, axis=1)
        return Draw(items, {"concept": jax.nn.one_hot(concept, self.hypotheses, dtype=float)})

    def exact(
        self,
        world: dict[str, Array],
        items: Int[Array, "sequence position"],
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """Posterior quantities after x_0 .. x_n, `[sequence, position, target]`; NaN where no concept is left.

        Args:
            world: empty.
            items: examples, token ids.
            names: of `targets`; all of them by default.
            positions: all of them by default.
            key: not used; the posterior is exact.
        """
        posterior = jnp.exp(log_posterior(self._joint(items, chosen_positions(items.shape[1], positions))))
        holds = jnp.asarray(self.members, float)
        quantities = {
            "hypothesis": lambda: posterior,
            "predictive": lambda: posterior @ (holds / holds.sum(axis=1, keepdims=True)),
            "generalisation": lambda: posterior @ holds,
        }
        return collect(quantities, names, None)

    def log_predictive(
        self, world: dict[str, Array], items: Int[Array, "sequence position"]
    ) -> Float[Array, "sequence position-1"]:
        """log p(x_{n+1} | x_0 .. x_n) in nats, n = 0 .. T - 2."""
        evidence = jax.nn.logsumexp(self._joint(items, np.arange(items.shape[1])), axis=-1)
        return evidence[:, 1:] - evidence[:, :-1]

    def _joint(self, items: Array, positions: np.ndarray) -> Float[Array, "sequence position hypothesis"]:
        """log p(h, x_0 .. x_n): only which concepts hold all items, and how many there are, matter."""
        holds = jnp.asarray(self.members.T, jnp.int8)[items]
        possible = jax.lax.cummin(holds, axis=1)[:, positions] == 1
        seen = jnp.asarray(positions + 1, float)[None, :, None]
        size = jnp.asarray(self.members.sum(axis=1), float)[None, None, :]
        joint = log_of(self.probabilities)[None, None, :] - seen * jnp.log(size)
        return jnp.where(possible, joint, -jnp.inf)


def _rules(number: Int[np.ndarray, " token"]) -> dict[str, Bool[np.ndarray, " token"]]:
    """The sets that arithmetic names."""
    root, cube = np.rint(np.sqrt(number)).astype(int), np.rint(np.cbrt(number)).astype(int)
    prime = np.array([n > 1 and all(n % k for k in range(2, int(n**0.5) + 1)) for n in number])
    rules = {"even": number % 2 == 0, "odd": number % 2 == 1, "squares": root**2 == number, "cubes": cube**3 == number}
    rules |= {"primes": prime} | {f"multiples of {k}": number % k == 0 for k in range(3, 13)}
    powers = {k: k ** np.arange(1, 1 + int(np.log2(number[-1]))) for k in range(2, 11)}
    rules |= {f"powers of {k}": np.isin(number, values) for k, values in powers.items()}
    return rules | {f"last digit {k}": number % 10 == k for k in range(10)}


def _intervals(number: Int[np.ndarray, " token"], step: int) -> dict[str, Bool[np.ndarray, " token"]]:
    """All intervals between two points of the grid."""
    edges = range(0, len(number) + 1, step)
    ends = [(low, high) for low in edges for high in edges if low < high]
    return {f"from {low + 1} to {high}": (low < number) & (number <= high) for low, high in ends}
