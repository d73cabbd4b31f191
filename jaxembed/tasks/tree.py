"""Hierarchical items: a tree along which features are inherited, for regression from items to features."""

from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Float, Int

from .population import checked_size


@dataclass(frozen=True)
class Tree:
    """Leaves of a regular tree as items; a feature starts as a fair +-1 at the root and flips along every edge.

    Not a Task: its labels are vectors. An input is the one-hot of an item, the output all its features, and every item
    is equally likely.

    Attributes:
        branching: children of every node, from the root's level down; two or more on each level.
        flip: probability that an edge flips a feature, 0 to 0.5.
        features: independent features to draw; None takes the population in as many features as there are items:
            vectors whose inner products are exactly their expectation.
        seed: which features are drawn.

    >>> tree = Tree((2, 2), flip=0.1)
    >>> tree.items, tree.names
    (4, ('0.0', '0.1', '1.0', '1.1'))
    >>> tree.covariance()[0].round(4).tolist()
    [1.0, 0.64, 0.4096, 0.4096]

    Source: saxe2019mathematical.
    """

    branching: tuple[int, ...] = (2, 2, 2)
    flip: float = 0.1
    features: int | None = None
    seed: int = 0

    def __post_init__(self):
        if not self.branching or min(self.branching) < 2:
            raise ValueError(f"branching: needs a level or more of two children or more, got {self.branching}")
        if not 0 <= self.flip <= 0.5:
            raise ValueError(f"flip: must be a probability between 0 and 0.5, got {self.flip}")
        if self.features is not None:
            checked_size("features", self.features)
        checked_size("seed", self.seed, least=0)

    @property
    def items(self) -> int:
        """Number of leaves."""
        return prod(self.branching)

    @property
    def depth(self) -> int:
        """Number of levels below the root."""
        return len(self.branching)

    @property
    def names(self) -> tuple[str, ...]:
        """The way from the root to each leaf."""
        return tuple(".".join(map(str, way)) for way in np.ndindex(*self.branching))

    def ancestors(self, level: int) -> Int[np.ndarray, " token"]:
        """The node at `level` (0 is the root) above each leaf."""
        return np.arange(self.items) // prod(self.branching[level:])

    def covariance(self) -> Float[np.ndarray, "token token"]:
        """Expected product of two items' values of a feature: 1 - 2 flip for every edge on the way between them."""
        apart = np.zeros((self.items, self.items))
        for level in range(1, self.depth + 1):
            above = self.ancestors(level)
            apart += 2.0 * (above[:, None] != above[None, :])
        return (1 - 2 * self.flip) ** apart

    def level_projections(self) -> Float[np.ndarray, "level token token"]:
        """Projection on each level's part of a function on the leaves: what its nodes add to their parents'."""
        means = [above[:, None] == above[None, :] for above in map(self.ancestors, range(self.depth + 1))]
        averages = np.array([same / same.sum(axis=1, keepdims=True) for same in means])
        return np.diff(averages, axis=0, prepend=0.0)

    def inputs(self) -> Float[np.ndarray, "example token"]:
        """One-hot items."""
        return np.eye(self.items)

    def outputs(self) -> Float[np.ndarray, "example target"]:
        """Features of every item: drawn, or where `features` is None the population's."""
        if self.features is None:
            values, vectors = np.linalg.eigh(self.covariance())
            return np.sqrt(self.items) * (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        rng = np.random.default_rng(self.seed)
        values = rng.choice([-1.0, 1.0], size=(1, self.features))
        for children in self.branching:
            values = np.repeat(values, children, axis=0)
            values = np.where(rng.random(values.shape) < self.flip, -values, values)
        return values
