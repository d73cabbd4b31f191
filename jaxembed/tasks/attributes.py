"""Words made of binary attributes that co-occur attribute by attribute: language in which analogies are exact."""

from dataclasses import dataclass, field
from math import prod

import numpy as np
from jaxtyping import Float, Int

from ..base import Dataset
from .pairs import pair_dataset, refuse_pairs
from .population import MEMORY_LIMIT, checked_limit


@dataclass(frozen=True)
class Attributes:
    """Pairs (word, context word) of the 2^d sign vectors over d attributes.

    Attribute k of a word is + with probability p_k; a pair's probability is that of independent words times, for every
    attribute, 1 + s where both are +, 1 - q s where they differ and 1 + q^2 s where both are -, q = p / (1 - p): like
    attributes attract, and the frequencies of words stay what they were. Word 0 is ++..+, and attribute 0 is the
    most significant bit of a word's number.

    Attributes:
        strengths: s_k in 0..1 of every attribute, which also says how many there are.
        probabilities: p_k in 0..1 of every attribute; none means one half each.
        memory_limit: largest Dataset to build, in GiB.

    >>> task = Attributes((0.5, 0.3))
    >>> task.names()
    ('++', '+-', '-+', '--')
    >>> task.dataset().weights[:4].round(4).tolist()  # contexts of ++
    [0.1219, 0.0656, 0.0406, 0.0219]

    Source: korchinski2025linear.
    """

    strengths: tuple[float, ...] = (0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
    probabilities: tuple[float, ...] = ()
    memory_limit: float = field(default=MEMORY_LIMIT, kw_only=True)

    length = 1

    def __post_init__(self) -> None:
        checked_limit(self.memory_limit)
        if not self.strengths:
            raise ValueError("strengths: need one number per attribute, got none; give at least one")
        if self.probabilities and len(self.probabilities) != len(self.strengths):
            raise ValueError(
                f"probabilities: need one per attribute ({len(self.strengths)}), got {len(self.probabilities)}"
            )
        for p in self.probabilities:
            if not 0 < p < 1:
                raise ValueError(f"probabilities: must lie between 0 and 1, got {p}; an attribute has two values")
        for s, q in zip(self.strengths, self.odds, strict=True):
            if not (0 <= s <= 1 and q * s <= 1):
                raise ValueError(f"strengths: must lie in 0..1 and be at most (1 - p) / p, got {s}; lower it")

    @property
    def vocab(self) -> int:
        return 2 ** len(self.strengths)

    @property
    def odds(self) -> tuple[float, ...]:
        """q_k = p_k / (1 - p_k)."""
        return tuple(p / (1 - p) for p in self.probabilities or (0.5,) * len(self.strengths))

    @property
    def signs(self) -> Int[np.ndarray, "token dimension"]:
        """+1 or -1 for every word and attribute."""
        bits = np.arange(self.vocab)[:, None] >> np.arange(len(self.strengths))[None, ::-1]
        return 1 - 2 * (bits & 1)

    def names(self) -> tuple[str, ...]:
        """Every word as its signs."""
        return tuple("".join("+" if sign > 0 else "-" for sign in word) for word in self.signs)

    def frequencies(self) -> Float[np.ndarray, " token"]:
        """P_i, the same as word and as context."""
        plus = np.array(self.probabilities or (0.5,) * len(self.strengths))
        return np.where(self.signs > 0, plus, 1 - plus).prod(axis=1)

    def ratio(self) -> Float[np.ndarray, "token target"]:
        """P_ij / (P_i P_j), a Kronecker product of one 2 x 2 table per attribute."""
        tables = (
            np.array([[1 + s, 1 - q * s], [1 - q * s, 1 + q**2 * s]])
            for s, q in zip(self.strengths, self.odds, strict=True)
        )
        whole = np.ones((1, 1))
        for table in tables:
            whole = np.kron(whole, table)
        return whole

    def dataset(self) -> Dataset:
        """All pairs with their probabilities: the word is the one token, its context word the label."""
        refuse_pairs(self.memory_limit, self.vocab)
        frequencies = self.frequencies()
        return pair_dataset(frequencies[:, None] * frequencies[None, :] * self.ratio())

    def analogies(self) -> Int[np.ndarray, "example 4"]:
        """Every question a : b as c : d whose answer d is exact: b flips one attribute of a, c another, d both.

        Returns:
            `[2^d d (d - 1), 4]` word ids (a, b, c, d); none with a single attribute.
        """
        words, flips = np.arange(self.vocab), 1 << np.arange(len(self.strengths))[::-1]
        rows = [
            np.stack([words, words ^ one, words ^ other, words ^ one ^ other], axis=1)
            for one in flips
            for other in flips
            if one != other
        ]
        return np.concatenate(rows) if rows else np.zeros((0, 4), int)

    def constant_eigenvalue(self) -> float:
        """Eigenvalue of the PMI along the constant vector at p = 1/2: 2^d sum_k ln(1 - s_k^2) / 2, negative."""
        return float(self.vocab * np.log(prod(1 - s**2 for s in self.strengths)) / 2)
