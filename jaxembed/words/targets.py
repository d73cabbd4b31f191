"""What word vectors are asked to reproduce: PMI, PPMI, SPPMI and M*, as sparse matrices plus one constant."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from .pairs import Cooccurrence


@dataclass(frozen=True, eq=False)
class SparsePlusConstant:
    """A symmetric matrix that has one value wherever two words never meet: `constant + stored`.

    Attributes:
        stored: `[token, token]`, scipy CSR: what the entries of pairs that meet are above the constant.
        constant: the entry of every pair that never meets.
        name: of the target, with its settings.
    """

    stored: Any
    constant: float | int
    name: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        return self.stored.shape

    def matmul(self, x: Float[np.ndarray, "token ..."]) -> Float[np.ndarray, "token ..."]:
        """The product with a vector or with columns, at the cost of the stored entries."""
        product = self.stored @ x
        if self.constant == 0:
            return product
        return product + np.asarray(self.constant * x.sum(axis=0), x.dtype)[None]

    def dense(self) -> Float[np.ndarray, "token token"]:
        """All entries; for moderate vocabularies."""
        return self.stored.toarray() + self.constant

    def top(self, count: int) -> "SparsePlusConstant":
        """The same entries among the first `count` words."""
        return SparsePlusConstant(csr_array(self.stored[:count, :count]), self.constant, self.name)


def ratio(pairs: Cooccurrence, context_power: float | int = 1.0) -> Any:
    """P_ij / (P_i P_j) of the pairs that meet, as scipy CSR; P_i is the share of i in the pairs.

    With a `context_power` a other than 1, P_j of the context is P_j^a / sum P^a. That matrix has two sides, so the
    geometric mean of both is taken: half of each side's logarithm.
    """
    counts, marginal = pairs.matrix, np.where(pairs.marginal > 0, pairs.marginal, 1)  # who meets nobody divides nothing
    smoothed = np.where(pairs.marginal > 0, marginal**context_power, 0)
    side = np.sqrt(pairs.joint_total * smoothed.sum()) / np.sqrt(marginal * np.where(smoothed > 0, smoothed, 1))
    rows = np.repeat(side, np.diff(counts.indptr))
    rows *= counts.data
    rows *= side[counts.indices]
    rows /= pairs.joint_total
    return csr_array((rows, counts.indices, counts.indptr), shape=counts.shape)


def pmi(pairs: Cooccurrence, *, smoothing: float | int) -> SparsePlusConstant:
    """Pointwise mutual information ln(P_ij / (P_i P_j) + smoothing).

    A pair that never meets has ln(smoothing), which is most of the matrix: the constant decides what comes out, so it
    has no default. 1e-25 makes it -58 and drowns all else; 1e-2 makes it -4.6.

    Args:
        pairs: counts of pairs.
        smoothing: what is added to the ratio, positive.

    Raises:
        ValueError: for a smoothing that is not positive.

    Source: levy2014neural.
    """
    if not 0 < smoothing < np.inf:
        raise ValueError(
            f"smoothing: need more than 0 and finite, got {smoothing}: at 0 pairs that never meet have -inf; use ppmi"
        )
    never = float(np.log(smoothing))
    return _of(ratio(pairs), lambda r: np.log(r + smoothing) - never, never, f"PMI, smoothing {smoothing:g}")


def ppmi(pairs: Cooccurrence, *, negatives: float | int = 1.0, context_power: float | int = 1.0) -> SparsePlusConstant:
    """Positive PMI, max(PMI - ln k, 0): shifted (SPPMI) for more than one negative; pairs that never meet have 0.

    Args:
        pairs: counts of pairs.
        negatives: k.
        context_power: frequencies of contexts are raised to it, see `ratio`; 0.75 is common.

    Source: levy2014neural.
    """
    shift = np.log(_positive(negatives))
    stored = _of(ratio(pairs, context_power), lambda r: np.maximum(np.log(r) - shift, 0), 0.0, "")
    stored.stored.eliminate_zeros()
    shifted = "PPMI" if negatives == 1 else f"SPPMI, {negatives:g} negatives"
    power = "" if context_power == 1 else f", contexts to the power {context_power:g}"
    return SparsePlusConstant(stored.stored, 0.0, shifted + power)


def quadratic_target(pairs: Cooccurrence, *, negatives: float | int = 1.0) -> SparsePlusConstant:
    """M*, the target of the quadratic word model; pairs that never meet have exactly -2.

    Equation: (Q4) in theory/word_pairs.md: 2 (P_ij - k P_i P_j) / (P_ij + k P_i P_j) = 2 tanh((PMI_ij - ln k) / 2).

    Args:
        pairs: counts of pairs.
        negatives: k.

    Source: karkada2025closed.
    """
    k = _positive(negatives)
    name = "M*" if negatives == 1 else f"M*, {negatives:g} negatives"
    return _of(ratio(pairs), lambda r: 4 * r / (r + k), -2.0, name)


def _positive(negatives: float | int) -> float:
    if not 0 < negatives < np.inf:
        raise ValueError(f"negatives: need more than 0 for every pair, and finite, got {negatives}")
    return float(negatives)


def _of(ratios: Any, above: Any, constant: float, name: str) -> SparsePlusConstant:
    """The target whose stored entries are a function of the ratios."""
    stored = csr_array((above(ratios.data), ratios.indices.copy(), ratios.indptr.copy()), shape=ratios.shape)
    return SparsePlusConstant(stored, constant, name)
