"""Label-neutral addition: the task whose anchors differ in their context signature."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from .composite import Composite
from .population import Population


@dataclass(frozen=True)
class LabelNeutral(Composite):
    """Label y uniform and independent of the anchors, key z = y - a1 - a2: only the context shifts with the anchor.

    Tokens: anchors 1..A, keys A + 1..3A + N - 2 (every z that can occur), labels 3A + 1..3A + N (ours). The N labels
    are equally likely, hence the N + 2A - 2 keys are not.

    Attributes:
        keys: number N of labels.
        anchors: number A of anchors.
        memory_limit: largest Dataset to build, in GiB.

    >>> task = LabelNeutral(keys=4, anchors=2)
    >>> task.key_tokens, np.unique(task.dataset().targets)
    (array([3, 4, 5, 6, 7, 8]), array([ 7,  8,  9, 10], dtype=int32))

    Source: yao2025probability.
    """

    @property
    def vocab(self) -> int:
        return 3 * self.anchors + self.keys + 1

    @property
    def key_tokens(self) -> Int[np.ndarray, " token"]:
        return np.arange(self.anchors + 1, 3 * self.anchors + self.keys - 1)

    @property
    def label_tokens(self) -> Int[np.ndarray, " token"]:
        return np.arange(3 * self.anchors + 1, self.vocab)

    def population(self) -> Population:
        """The rule behind `dataset`, `stream` and `sample`; digits are (label, first anchor, second anchor)."""

        def cell(label, first, second):
            y, a1, a2 = 3 * self.anchors + 1 + label, 1 + first, 1 + second
            return np.stack([y - a1 - a2, a1, a2], axis=1), y

        return Population((self.keys, self.anchors, self.anchors), self.length, self.vocab, cell)
