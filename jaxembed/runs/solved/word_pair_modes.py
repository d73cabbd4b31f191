"""Quadratic word embeddings of words made of attributes: sigmoids, and the exact solution."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import models
from ...statistics import Signatures, count, signatures
from ...tasks import Attributes, shuffled
from ...theory import word_pairs
from .rows import DRAWN, RowTheory


@dataclass(frozen=True)
class WordPairModes:
    """Word vectors trained on pairs of words that share attributes, by word2vec's loss to second order."""

    strengths: tuple[float, ...] = (0.7, 0.55, 0.4, 0.3)
    """How much like attracts like, per attribute, in 0..1; says how many attributes there are (2^d words)."""
    probabilities: tuple[float, ...] = (0.5, 0.45, 0.4, 0.35)
    """How often every attribute is there; none means one half each."""
    width: int = 4
    """Embedding width; one dimension per attribute holds all analogies."""
    init_scale: float = 1e-5
    """Standard deviation of the initial entries; sigmoids are exact as it goes to 0."""
    window: float = 1.5
    """Length of the run, in half-times of the slowest mode."""

    def __post_init__(self) -> None:
        task = Attributes(self.strengths, self.probabilities)
        models.WordPairs(self.width, self.init_scale)
        if self.width > task.vocab:
            raise ValueError(f"width: at most one dimension per word ({task.vocab}), got {self.width}; lower it")
        if not (math.isfinite(self.window) and self.window > 0):
            raise ValueError(f"window: must be a positive number, got {self.window}; 1.5 shows all modes")
        slowest = float(self._modes.strengths[-1])
        if not slowest > self.init_scale**2:
            raise ValueError(
                f"width: mode {self.width} of these pairs has strength {slowest:.2g}, not above init_scale^2 = "
                f"{self.init_scale**2:.2g}; choose fewer dimensions"
            )

    def start(self, key: Array) -> dict[str, Array]:
        """Initial parameters `embed [token, width]`."""
        return models.WordPairs(self.width, self.init_scale).init(key, self._task.vocab)

    def loss(self) -> models.PairLoss:
        """The quadratic pair loss over the whole population."""
        return models.pair_loss(self._task.dataset())

    def end(self) -> float:
        """Flow time the run lasts."""
        slowest = float(self._modes.strengths[-1])
        return self.window * math.log(slowest / self.init_scale**2) / slowest

    def rows(self, state: dict[str, Array]) -> Float[Array, "token width"]:
        """Embeddings of the drawn words."""
        return state["embed"][:DRAWN]

    def theories(self) -> dict[str, RowTheory]:
        """Sigmoids from the QR diagonal of the start, and the flow solved exactly."""
        sig = self._signatures
        return {
            "sigmoids, QR start": self._solution(word_pairs.closed_form, sig),
            "exact solution": self._solution(word_pairs.exact, sig),
        }

    def controls(self) -> dict[str, RowTheory]:
        """The same solution of pairs with their contexts dealt anew."""
        dealt = signatures(count(shuffled(self._task.dataset(), 0), order=1))
        return {"exact solution, shuffled pairs": self._solution(word_pairs.exact, dealt)}

    def names(self) -> tuple[str, ...]:
        """Every drawn word as its signs."""
        return self._task.names()[:DRAWN]

    def pairs(self) -> tuple[tuple[int, int], ...]:
        """The first word with those that differ in the weakest, in the strongest drawn, and in most attributes."""
        last = len(self.names()) - 1
        chosen = (1, 1 << (last.bit_length() - 1), last)
        return tuple((0, second) for second in dict.fromkeys(chosen) if second > 0)

    def signature(self) -> tuple[str, np.ndarray]:
        """The target M*, row by row."""
        return "target M*", np.asarray(word_pairs.target(self._signatures))[:DRAWN]

    def _solution(self, solution: Callable[..., dict[str, Array]], sig: Signatures) -> RowTheory:
        def solve(ts: Array, state0: dict[str, Array]) -> Float[Array, "time token width"]:
            return jax.lax.map(lambda t: self.rows(solution(t, state0, sig)), jnp.asarray(ts))

        return solve

    @property
    def _task(self) -> Attributes:
        return Attributes(self.strengths, self.probabilities)

    @property
    def _signatures(self) -> Signatures:
        return signatures(count(self._task.dataset(), order=1))

    @property
    def _modes(self) -> word_pairs.WordModes:
        return word_pairs.modes(word_pairs.target(self._signatures), self.width)
