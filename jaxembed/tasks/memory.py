"""Memory: the task whose signatures tell anchors apart by chance only."""

from dataclasses import dataclass, replace

from .composite import Composite
from .population import Population, checked_size, random_function


@dataclass(frozen=True)
class Memory(Composite):
    """A fixed random key token as label of every (z, a1, a2).

    The table of labels is a draw, so the Dataset's `samples` is its number of cells. Tokens: anchors 1..A, keys and
    labels A + 1..A + N (ours).

    Attributes:
        keys: number N of keys.
        anchors: number A of anchors.
        seed: which random table.
        memory_limit: largest Dataset to build, in GiB.

    >>> Memory(keys=4, anchors=2).dataset().samples
    16

    Source: yao2025probability.
    """

    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        checked_size("seed", self.seed, least=0)

    @property
    def vocab(self) -> int:
        return self.anchors + self.keys + 1

    def population(self) -> Population:
        population = super().population()
        return replace(population, draws=population.size)

    def _label(self, z, a1, a2):
        cell = ((z - self.anchors - 1) * self.anchors + a1 - 1) * self.anchors + a2 - 1
        return self.anchors + 1 + random_function(cell, self.keys, self.seed)
