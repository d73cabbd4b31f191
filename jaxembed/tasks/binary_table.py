"""Binary tables: the label is a function of two symbols, as in XOR and modular arithmetic."""

from dataclasses import dataclass, field
from operator import index
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from ..base import Dataset
from .population import MEMORY_LIMIT, Enumerated, Population, checked_limit, checked_size, refuse_above

OPERATIONS = {
    "modular_addition": lambda a, b, size: (a + b) % size,
    "modular_multiplication": lambda a, b, size: (a * b) % size,
    "xor": lambda a, b, size: a ^ b,
}


@dataclass(frozen=True)
class BinaryTable(Enumerated):
    """Examples (a, b) with label F(a, b), all of them among the symbols 0..size-1.

    Both positions share one token table: a model that adds embeddings sees a and b without their order, so an F
    with F(a, b) != F(b, a) is beyond it.

    A share of the table is for training, and of that a share gets labels drawn uniformly from all symbols (the right
    one included). Split, choice of noisy examples and noisy labels are three separate draws from `seed`.

    Attributes:
        size: number of symbols.
        operation: "modular_addition", "modular_multiplication", "xor" (bitwise), or a function of two integers.
        label_noise: share of the training examples with redrawn labels, 0 to 1.
        train_share: share of the table in training, above 0 up to 1.
        seed: which split and which noise.
        memory_limit: largest Dataset to build, in GiB.

    >>> task = BinaryTable(4, "xor", train_share=0.75)
    >>> task.dataset().size, task.held_out_dataset().size
    (12, 4)
    >>> BinaryTable(3, lambda a, b: max(a, b)).dataset().targets.reshape(3, 3).tolist()
    [[0, 1, 2], [1, 1, 2], [2, 2, 2]]

    Source: wang2026modular.
    """

    size: int = 7
    operation: Any = "modular_addition"  # str | Callable, which a generated command line cannot set
    label_noise: float = 0.0
    train_share: float = 1.0
    seed: int = 0
    memory_limit: float = field(default=MEMORY_LIMIT, kw_only=True)

    length = 2
    two_symbols = True

    def __post_init__(self):
        checked_size("size", self.size)
        checked_size("seed", self.seed, least=0)
        checked_limit(self.memory_limit)
        if not callable(self.operation) and self.operation not in tuple(OPERATIONS):
            raise ValueError(f"operation: unknown {self.operation!r}; use a function or one of {', '.join(OPERATIONS)}")
        if self.operation == "xor" and self.size & (self.size - 1):
            raise ValueError(f"size: xor needs a power of two, got {self.size}")
        if not 0 <= self.label_noise <= 1:
            raise ValueError(f"label_noise: must be a share between 0 and 1, got {self.label_noise}")
        if not 0 < self.train_share <= 1 or self.train_size == 0:
            raise ValueError(
                f"train_share: must be at most 1 and leave one of {self.size**2} examples, got {self.train_share}"
            )

    @property
    def vocab(self) -> int:
        return self.size

    @property
    def train_size(self) -> int:
        """Number of training examples."""
        return round(self.train_share * self.size**2)

    @property
    def clean_mask(self) -> Bool[np.ndarray, " example"]:
        """Which examples of `dataset` keep their right label; a redrawn label may be right by chance."""
        mask = np.ones(self.train_size, bool)
        order = np.random.default_rng([self.seed, 1]).permutation(self.train_size)
        mask[order[: round(self.label_noise * self.train_size)]] = False
        return mask

    def population(self) -> Population:
        """The training examples in the order of the table, noisy labels in place."""
        return self._part(*self._training())

    def clean_dataset(self) -> Dataset:
        """The training examples with their right labels."""
        return self._masked(self.clean_mask, "label_noise: every training label is redrawn; lower it")

    def noisy_dataset(self) -> Dataset:
        """The training examples with redrawn labels."""
        return self._masked(~self.clean_mask, "label_noise: no training label is redrawn; raise it")

    def held_out_dataset(self) -> Dataset:
        """The rest of the table, with right labels."""
        if self.train_size == self.size**2:
            raise ValueError("train_share: leaves nothing to hold out; lower it below 1")
        pairs = self._split()[1]
        return self._part(pairs, self._table()[pairs]).dataset(self.memory_limit)

    def _split(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers a * size + b of the training and of the held-out pairs."""
        self._refuse_large()
        order = np.random.default_rng([self.seed, 0]).permutation(self.size**2)
        return np.sort(order[: self.train_size]), np.sort(order[self.train_size :])

    def _training(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = self._split()[0]
        redrawn = np.random.default_rng([self.seed, 2]).integers(0, self.size, len(pairs))
        return pairs, np.where(self.clean_mask, self._table()[pairs], redrawn)

    def _masked(self, mask: np.ndarray, empty: str) -> Dataset:
        if not mask.any():
            raise ValueError(empty)
        pairs, labels = self._training()
        return self._part(pairs[mask], labels[mask]).dataset(self.memory_limit)

    def _part(self, pairs: np.ndarray, labels: np.ndarray) -> Population:
        def cell(number):
            return np.stack(np.divmod(pairs[number], self.size), axis=1), labels[number]

        drawn = self.label_noise > 0 or len(pairs) < self.size**2
        return Population((len(pairs),), self.length, self.vocab, cell, draws=len(pairs) if drawn else None)

    def _table(self) -> Int[np.ndarray, " example"]:
        """The labels of all pairs in the order a * size + b."""
        if isinstance(self.operation, str):
            a, b = np.divmod(np.arange(self.size**2), self.size)
            return OPERATIONS[self.operation](a, b, self.size)
        return np.array([self._label(a, b) for a in range(self.size) for b in range(self.size)])

    def _label(self, a: int, b: int) -> int:
        label = self.operation(a, b)
        try:
            inside = 0 <= index(label) < self.size
        except TypeError:
            inside = False
        if not inside:
            raise ValueError(
                f"operation: F({a}, {b}) = {label} is outside the labels 0..{self.size - 1}; change it or enlarge size"
            )
        return index(label)

    def _refuse_large(self) -> None:
        """The split alone numbers every pair, so the whole table has to fit."""
        whole = Population((self.size, self.size), self.length, self.vocab, lambda a, b: (a, b))
        refuse_above(self.memory_limit, whole.nbytes(whole.size), f"table of {whole.size:,} examples")
