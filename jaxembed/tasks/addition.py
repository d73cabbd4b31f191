"""Addition: the task whose anchors differ in their label signature."""

from dataclasses import dataclass

from .composite import Composite


@dataclass(frozen=True)
class Addition(Composite):
    """Label z + a1 + a2: an anchor's label signature shifts with the anchor, its context is that of every other.

    Tokens: anchors 1..A, keys A + 1..A + N, labels A + 3..3A + N (ours: the paper's definition was not at hand).

    Attributes: see `Composite`.

    >>> task = Addition(keys=4, anchors=2)
    >>> task.dataset().size, task.vocab
    (16, 11)

    Source: yao2025probability.
    """

    @property
    def vocab(self) -> int:
        return 3 * self.anchors + self.keys + 1

    def _label(self, z, a1, a2):
        return z + a1 + a2
