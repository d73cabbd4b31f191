"""Contexts with nested supports: next-token distributions over the leaves below the nodes of a tree."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from .population import checked_size
from .tree import Tree


@dataclass(frozen=True)
class Contexts:
    """One context for every node below the root, several times over; after it may follow the leaves below that node.

    Broad contexts stand for broad concepts. Contexts of one node share a support but not their probabilities, which are
    drawn from a symmetric Dirichlet distribution. Not a Task: contexts are free vectors here, not tokens.

    Attributes:
        branching: children of every node; the leaves are the tokens.
        repeats: contexts of every node.
        concentration: of the Dirichlet distribution; large values are uniform on the support.
        seed: which probabilities.

    >>> Contexts((2, 2), repeats=1).support().astype(int).tolist()[0]
    [1, 0, 1, 0, 0, 0]

    Source: zhao2024implicit.
    """

    branching: tuple[int, ...] = (2, 2, 2)
    repeats: int = 2
    concentration: float = 2.0
    seed: int = 0

    def __post_init__(self):
        Tree(self.branching)
        checked_size("repeats", self.repeats)
        checked_size("seed", self.seed, least=0)
        if not 0.01 <= self.concentration < float("inf"):
            raise ValueError(f"concentration: must be a number from 0.01 on, got {self.concentration}; 1 draws evenly")

    @property
    def groups(self) -> Int[np.ndarray, " sequence"]:
        """The node of every context."""
        nodes = sum(len(set(Tree(self.branching).ancestors(level))) for level in self._levels)
        return np.repeat(np.arange(nodes), self.repeats)

    @property
    def levels(self) -> Int[np.ndarray, " sequence"]:
        """The level of every context's node, 1 the broadest."""
        counts = np.cumprod(self.branching)
        return np.repeat(np.repeat(np.arange(1, len(counts) + 1), counts), self.repeats)

    def support(self) -> Float[np.ndarray, "token sequence"]:
        """1 where a token may follow a context."""
        above = [Tree(self.branching).ancestors(level) for level in self._levels]
        columns = [nodes[:, None] == np.unique(nodes)[None, :] for nodes in above]
        return np.repeat(np.concatenate(columns, axis=1).astype(float), self.repeats, axis=1)

    def probabilities(self) -> Float[np.ndarray, "token sequence"]:
        """Next-token distributions, one column for each context."""
        support, rng = self.support(), np.random.default_rng(self.seed)
        drawn = rng.gamma(self.concentration, size=support.shape) * support
        return drawn / drawn.sum(axis=0, keepdims=True)

    @property
    def _levels(self) -> range:
        return range(1, len(self.branching) + 1)
