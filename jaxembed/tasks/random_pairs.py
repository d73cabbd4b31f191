"""Random pair statistics with a spectrum of one's choice."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ..base import Dataset
from .pairs import pair_dataset, refuse_pairs
from .population import MEMORY_LIMIT, checked_limit, checked_size


@dataclass(frozen=True)
class RandomPairs:
    """Pairs (word, context word) whose log-probability is a random symmetric matrix of low rank.

    P_ij is proportional to exp(v sum_k g_k f_ik f_jk), with v words, orthonormal normal features f and
    g_k = strength decay^(k-1): the eigenvalues of the PMI are about v g_k and no two of them fall together.

    Attributes:
        words: number of words v.
        rank: number of features.
        strength: g_1, the strength of the first feature per pair.
        decay: ratio of one feature's strength to that of the one before, in 0..1.
        seed: which features.
        memory_limit: largest Dataset to build, in GiB.

    >>> data = RandomPairs(words=10, rank=2).dataset()
    >>> data.size, data.length
    (100, 1)
    """

    words: int = 200
    rank: int = 8
    strength: float = 0.1
    decay: float = 0.7
    seed: int = 0
    memory_limit: float = field(default=MEMORY_LIMIT, kw_only=True)

    length = 1

    def __post_init__(self) -> None:
        checked_size("words", self.words, least=2)
        checked_size("rank", self.rank)
        checked_size("seed", self.seed, least=0)
        checked_limit(self.memory_limit)
        if self.rank > self.words:
            raise ValueError(f"rank: at most one feature per word ({self.words}), got {self.rank}; lower it")
        if not (np.isfinite(self.strength) and self.strength > 0):
            raise ValueError(f"strength: must be a positive number, got {self.strength}")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay: must lie above 0 and at most at 1, got {self.decay}")

    @property
    def vocab(self) -> int:
        return self.words

    def joint(self) -> Float[np.ndarray, "token target"]:
        """P_ij, symmetric."""
        draws = np.random.default_rng(self.seed).normal(size=(self.words, self.rank))
        features = np.linalg.qr(draws)[0]
        strengths = self.words * self.strength * self.decay ** np.arange(self.rank)
        logits = (features * strengths) @ features.T
        weights = np.exp(logits - logits.max())
        return (weights + weights.T) / (2 * weights.sum())

    def dataset(self) -> Dataset:
        """All pairs with their probabilities: the word is the one token, its context word the label."""
        refuse_pairs(self.memory_limit, self.words)
        return pair_dataset(self.joint())
