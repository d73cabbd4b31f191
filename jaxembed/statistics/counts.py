"""Additive moments of (token counts, label): all that is ever counted of the data.

With c_x(X) the number of times token x occurs in X, the moments are M1 = E[c_x 1{y=nu}], K = E[c_x c_x'] and, where
theory needs contractions of higher moments, the weighted cells (bag of tokens, label) they are contracted over.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse
from jaxtyping import Float, Int

from ..base import Dataset
from ..machine import GIB


@dataclass(frozen=True)
class Cells:
    """Distinct (bag of tokens, label) pairs with their mass; moments of every order are sums over them."""

    tokens: Int[np.ndarray, "example position"]
    targets: Int[np.ndarray, " example"]
    mass: Float[np.ndarray, " example"]

    def __add__(self, other: "Cells") -> "Cells":
        if self.tokens.shape[1] != other.tokens.shape[1]:
            raise ValueError("Counts: cannot add moments of sequences of different lengths; count with order=1")
        rows = [np.concatenate(pair) for pair in zip(self._fields(), other._fields(), strict=True)]
        return merged_cells(*rows)

    def _fields(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.tokens, self.targets, self.mass


@dataclass(frozen=True)
class Counts:
    """Sums over the data, float64 on the host; `a + b` are the counts of both parts.

    Attributes:
        mass: total weight: number of draws for sampled data, 1 for an exact population.
        token: `[token]`, mass of c_x.
        target: `[target]`, mass of 1{y=nu}.
        m1: `[token, target]`, mass of c_x 1{y=nu}.
        k: `[token, token]`, mass of c_x c_x', or None where only order 1 was counted.
        cells: what contracted forms of M2 and M3 are summed over, or None where only order 1 was counted.
        samples: number of independent draws, or None for an exact population.
    """

    mass: float
    token: Float[np.ndarray, " token"]
    target: Float[np.ndarray, " target"]
    m1: Float[np.ndarray, "token target"]
    k: Float[np.ndarray, "token token"] | None
    cells: Cells | None
    samples: int | None

    def __add__(self, other: "Counts") -> "Counts":
        if len(self.token) != len(other.token):
            raise ValueError(f"Counts: vocabularies differ ({len(self.token)} and {len(other.token)}); share one")
        if (self.samples is None) != (other.samples is None):
            raise ValueError("Counts: cannot add an exact population to sampled data; sample the population first")
        return Counts(
            self.mass + other.mass,
            self.token + other.token,
            self.target + other.target,
            self.m1 + other.m1,
            None if self.k is None or other.k is None else self.k + other.k,
            None if self.cells is None or other.cells is None else self.cells + other.cells,
            None if self.samples is None else self.samples + (other.samples or 0),
        )


def count(
    data: Dataset | Iterable[tuple[Dataset, float]],
    order: int = 2,
    *,
    mass: float | None = None,
    chunk: int | None = None,
    memory_limit: float = 4 * GIB,
) -> Counts:
    """Count the moments that theory of a given order may read.

    Args:
        data: a Dataset, or a stream of (part, mass of the part) as `task.stream(chunk)` yields it.
        order: 1 counts M1 only; 2 also K and the cells for joint and pair forms (and all higher contractions).
        mass: total mass of the data; the number of draws for sampled data and 1 otherwise, unless given.
        chunk: examples looked at at once; None takes them all.
        memory_limit: bytes the dense moments may take.

    Raises:
        ValueError: if `order` is not 1 or 2, `chunk` is below 1, or the moments would not fit `memory_limit`.

    >>> import jaxembed as je
    >>> counts = je.count(je.tasks.Addition(keys=4, anchors=2).dataset())
    >>> float(counts.m1.sum())  # three tokens in a sequence
    3.0
    """
    if order not in (1, 2):
        raise ValueError(f"order: moments of order 1 or 2 are counted, got {order}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: must be at least 1, or None for all examples at once; got {chunk}")
    if not isinstance(data, Dataset):
        return _total(count(part, order, mass=share, chunk=chunk, memory_limit=memory_limit) for part, share in data)
    need = 8 * data.vocab**2 * order
    if need > memory_limit:
        raise ValueError(
            f"vocab: the moments of {data.vocab} tokens need {need / GIB:.1f} GiB, more than the limit of "
            f"{memory_limit / GIB:.1f} GiB; keep fewer tokens or raise memory_limit"
        )
    total = float(data.samples or 1.0) if mass is None else float(mass)
    step = data.size if chunk is None else chunk
    whole = _total(_count_slice(data, slice(i, i + step), order, total) for i in range(0, data.size, step))
    # Draws belong to the whole: shares of them, rounded chunk by chunk, would not add up.
    return replace(whole, samples=data.samples)


def _count_slice(data: Dataset, rows: slice, order: int, mass: float) -> Counts:
    tokens, targets = np.asarray(data.tokens[rows]), np.asarray(data.targets[rows])
    weights = np.asarray(data.weights[rows], np.float64) * mass
    n, length = tokens.shape
    example = np.repeat(np.arange(n), length)
    bags = sparse.csr_array((np.ones(n * length), (example, tokens.ravel())), shape=(n, data.vocab))
    labels = sparse.csr_array((weights, (np.arange(n), targets)), shape=(n, data.vocab))
    weighted = sparse.diags_array(weights) @ bags
    share = float(np.sum(np.asarray(data.weights[rows], np.float64)))
    return Counts(
        mass * share,
        np.asarray(weighted.sum(axis=0)).ravel(),
        np.bincount(targets, weights, data.vocab),
        (bags.T @ labels).toarray(),
        (bags.T @ weighted).toarray() if order == 2 else None,
        merged_cells(tokens, targets, weights) if order == 2 else None,
        None,
    )


def _total(parts: Iterable[Counts]) -> Counts:
    total: Counts | None = None
    for part in parts:
        total = part if total is None else total + part
    if total is None:
        raise ValueError("data: the stream is empty; there is nothing to count")
    return total


def merged_cells(tokens: np.ndarray, targets: np.ndarray, mass: np.ndarray) -> Cells:
    """Sum the mass of equal (bag, label) pairs: order inside a sequence does not matter to any moment."""
    rows = np.concatenate([np.sort(tokens, axis=1), targets[:, None]], axis=1)
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    return Cells(unique[:, :-1], unique[:, -1], np.bincount(inverse.ravel(), mass, len(unique)))
