"""Signatures of pairs (a, b) with a label y, each position for itself: for models with a table for each position."""

from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float

from ..base import Dataset
from ..machine import GIB
from .signatures import WeightedCells


@partial(register_dataclass, data_fields=["m1_first", "m1_second", "pair", "cells"], meta_fields=["samples"])
@dataclass(frozen=True)
class PositionSignatures:
    """All that theory may know of the distribution P(a, b, y); "first" is the position of a, "second" that of b.

    Attributes:
        m1_first: P(a, y), `[a, y]`.
        m1_second: P(b, y), `[b, y]`.
        pair: pair moment K = P(a, b), `[a, b]`.
        cells: the distinct (a, b, y) with their probabilities; contracted higher moments are sums over them.
        samples: number of draws behind the numbers, or None for an exact population.
    """

    m1_first: Float[Array, "... token token"]
    m1_second: Float[Array, "... token token"]
    pair: Float[Array, "... token token"]
    cells: WeightedCells
    samples: int | None = None

    @property
    def vocab(self) -> int:
        return self.pair.shape[0]

    @property
    def first(self) -> Float[Array, " token"]:
        """P(a)."""
        return jnp.sum(self.pair, axis=1)

    @property
    def second(self) -> Float[Array, " token"]:
        """P(b)."""
        return jnp.sum(self.pair, axis=0)

    @property
    def target(self) -> Float[Array, " token"]:
        """P(y)."""
        return jnp.sum(self.m1_first, axis=0)

    @property
    def label_first(self) -> Float[Array, "token token"]:
        """Label signature phi^(a)_x(y) = P(y given a = x); rows sum to 1, NaN for tokens that never stand there."""
        return self.m1_first / self.first[:, None]

    @property
    def label_second(self) -> Float[Array, "token token"]:
        """Label signature phi^(b)_x(y) = P(y given b = x)."""
        return self.m1_second / self.second[:, None]

    @property
    def trace_back_first(self) -> Float[Array, "token token"]:
        """Trace-back signature psi^(a)_y(x) = P(a = x given y), `[y, x]`; NaN for labels that never occur."""
        return self.m1_first.T / self.target[:, None]

    @property
    def trace_back_second(self) -> Float[Array, "token token"]:
        """Trace-back signature psi^(b)_y(x) = P(b = x given y), `[y, x]`."""
        return self.m1_second.T / self.target[:, None]

    def joint(self, memory_limit: float = GIB) -> Float[Array, "token token token"]:
        """P(a, b, y), dense: `[a, b, y]`.

        Raises:
            ValueError: where the dense tensor would not fit; contracted forms need no such memory.
        """
        v, itemsize = self.vocab, self.pair.dtype.itemsize
        if v**3 * itemsize > memory_limit:
            raise ValueError(
                f"vocab: the dense joint moment of {v} tokens needs {v**3 * itemsize / GIB:.1f} GiB, more than the "
                f"limit of {memory_limit / GIB:.1f} GiB; use the contracted moments, or fewer tokens"
            )
        (first, second), cells = self.cells.tokens.T, self.cells
        return jnp.zeros((v, v, v), self.pair.dtype).at[first, second, cells.targets].add(cells.weights)

    def joint_first(self, memory_limit: float = GIB) -> Float[Array, "token token token"]:
        """Joint signature Phi^(a)_x(b, y) = P(b, y given a = x), dense: `[x, b, y]`."""
        return self.joint(memory_limit) / self.first[:, None, None]

    def joint_second(self, memory_limit: float = GIB) -> Float[Array, "token token token"]:
        """Joint signature Phi^(b)_x(a, y) = P(a, y given b = x), dense: `[x, a, y]`."""
        return jnp.moveaxis(self.joint(memory_limit), 1, 0) / self.second[:, None, None]

    def pair_trace_back(self, memory_limit: float = GIB) -> Float[Array, "token token token"]:
        """Pair trace-back signature Psi_y(a, b) = P(a, b given y), dense: `[y, a, b]`."""
        return jnp.moveaxis(self.joint(memory_limit), 2, 0) / self.target[:, None, None]

    def by_first(self, values: Float[Array, "example width"]) -> Float[Array, "token width"]:
        """E[1{a=x} f(a, b, y)] for values f of every cell."""
        return self._standing(0).by_token(values)

    def by_second(self, values: Float[Array, "example width"]) -> Float[Array, "token width"]:
        """E[1{b=x} f(a, b, y)] for values f of every cell."""
        return self._standing(1).by_token(values)

    def by_label(self, values: Float[Array, "example width"]) -> Float[Array, "token width"]:
        """E[1{y=nu} f(a, b, y)] for values f of every cell."""
        return self.cells.by_label(values)

    def _standing(self, position: int) -> WeightedCells:
        cells = self.cells
        return WeightedCells(cells.tokens[:, position : position + 1], cells.targets, cells.weights, cells.vocab)


def position_signatures(data: Dataset) -> PositionSignatures:
    """Count where each token stands in the pairs of `data`, in JAX's default float dtype.

    Args:
        data: sequences of length 2, as every `BinaryTable` has them.

    Raises:
        ValueError: for sequences that are no pairs.

    >>> import jaxembed as je
    >>> sig = position_signatures(je.tasks.BinaryTable(4, "xor").dataset())
    >>> float(sig.joint_first()[1, 2, 1 ^ 2])  # given a = 1, one in four has b = 2, and its label is 3
    0.25
    """
    if data.length != 2:
        raise ValueError(f"data: position signatures are of pairs, got sequences of {data.length}; use signatures")
    rows = np.concatenate([np.asarray(data.tokens), np.asarray(data.targets)[:, None]], axis=1)
    rows, inverse = np.unique(rows, axis=0, return_inverse=True)
    mass = np.bincount(inverse.ravel(), np.asarray(data.weights, np.float64), len(rows))
    first, second, target = rows.T

    def moment(left: np.ndarray, right: np.ndarray) -> Array:
        table = np.zeros((data.vocab, data.vocab))
        np.add.at(table, (left, right), mass)
        return jnp.asarray(table, dtype=float)

    cells = WeightedCells(
        jnp.asarray(rows[:, :2], jnp.int32),
        jnp.asarray(target, jnp.int32),
        jnp.asarray(mass, dtype=float),
        data.vocab,
    )
    return PositionSignatures(moment(first, target), moment(second, target), moment(first, second), cells, data.samples)
