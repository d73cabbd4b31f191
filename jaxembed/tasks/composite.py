"""What the four composite tasks share: a key and two anchors, and which token is which."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from .population import MEMORY_LIMIT, Enumerated, Population, checked_limit, checked_size


@dataclass(frozen=True)
class Composite(Enumerated, ABC):
    """Examples X = (z, a1, a2): one key and two anchors, all combinations equally likely.

    A token's number is its value. Anchors are the tokens 1..A, keys follow from A + 1 on; token 0 exists
    but never occurs.

    Attributes:
        keys: number N of keys (of labels, where the task says so).
        anchors: number A of anchors.
        memory_limit: largest Dataset to build, in GiB.
    """

    keys: int = 40
    anchors: int = 10
    memory_limit: float = field(default=MEMORY_LIMIT, kw_only=True)

    length = 3

    def __post_init__(self):
        checked_size("keys", self.keys)
        checked_size("anchors", self.anchors)
        checked_limit(self.memory_limit)

    @property
    @abstractmethod
    def vocab(self) -> int:
        """Number of tokens, token 0 and the labels included."""

    @property
    def anchor_tokens(self) -> Int[np.ndarray, " token"]:
        return np.arange(1, self.anchors + 1)

    @property
    def key_tokens(self) -> Int[np.ndarray, " token"]:
        return np.arange(self.anchors + 1, self.anchors + self.keys + 1)

    def population(self) -> Population:
        """The rule behind `dataset`, `stream` and `sample`; digits are (key, first anchor, second anchor)."""

        def cell(key, first, second):
            z, a1, a2 = self.anchors + 1 + key, 1 + first, 1 + second
            return np.stack([z, a1, a2], axis=1), self._label(z, a1, a2)

        return Population((self.keys, self.anchors, self.anchors), self.length, self.vocab, cell)

    def _label(self, z: np.ndarray, a1: np.ndarray, a2: np.ndarray) -> np.ndarray:
        raise NotImplementedError
