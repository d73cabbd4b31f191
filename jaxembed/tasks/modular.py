"""Modular addition: the task whose anchors differ in their joint signature only."""

from dataclasses import dataclass

from .composite import Composite


@dataclass(frozen=True)
class Modular(Composite):
    """Label z + a1 + a2 wrapped into the keys: label and context signature are the same for every anchor.

    Label: zmin + ((z - zmin + a1 + a2) mod N) with zmin = A + 1. Tokens: anchors 1..A, keys A + 1..A + N (ours).

    Attributes: see `Composite`.

    >>> data = Modular(keys=4, anchors=2).dataset()
    >>> data.tokens[-1].tolist(), int(data.targets[-1])
    ([6, 2, 2], 6)

    Source: yao2025probability.
    """

    @property
    def vocab(self) -> int:
        return self.anchors + self.keys + 1

    def _label(self, z, a1, a2):
        zmin = self.anchors + 1
        return zmin + (z - zmin + a1 + a2) % self.keys
