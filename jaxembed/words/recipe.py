"""How sampled training goes through its data."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from .pairs import Convention


@dataclass(frozen=True)
class Recipe:
    """Passes, learning rate and, for a text, how it is read.

    Attributes:
        epochs: passes over the data.
        rate: learning rate at the start; it falls linearly over all passes.
        end_rate: the least it falls to.
        batch: words of text per update (skip-gram; an update sees the tables as they were, and many occurrences of a
            frequent word in it add up: 1,024 words at twice this rate run away), pairs per update (GloVe), words per
            update (quadratic).
        convention: window and thinning of a text; its windows are drawn, so only "dynamic" weights are known. Counted
            pairs carry their own.

    >>> Recipe(rate=0.1, end_rate=0.01).rates(np.array([0.0, 0.5, 1.0])).tolist()
    [0.1, 0.05, 0.01]
    """

    epochs: int = 5
    rate: float = 0.025
    end_rate: float = 1e-4
    batch: int = 256
    convention: Convention = field(default_factory=lambda: Convention(10, "dynamic", 1e-3))

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.end_rate <= self.rate or not self.rate > 0:
            raise ValueError(f"rate, end_rate: need 0 <= end_rate <= rate, got {self.rate} and {self.end_rate}")

    def rates(self, done: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """Learning rates once these shares of all passes are done."""
        return np.maximum(self.rate * (1 - done), self.end_rate)


SKIP_GRAM = Recipe()
"""word2vec's passes and learning rate."""
QUADRATIC = Recipe(epochs=20, rate=1.0, end_rate=1.0, batch=64)
"""Whole steps: each lowers the loss of its words as far as a bound on the curvature allows."""
GLOVE = Recipe(epochs=15, rate=0.05, end_rate=0.05, batch=4096)
"""GloVe's passes and learning rate, the latter divided by the root of the squares met so far."""
