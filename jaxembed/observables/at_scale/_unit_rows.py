"""Rows of unit length behind one interface, dense or sparse, so that cosines come in blocks and sums in products."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int
from scipy.sparse import csr_array

from ...base import SparseRows

Rows = Float[Array | np.ndarray, "token width"] | SparseRows
Targets = Float[Array | np.ndarray, "token target"] | SparseRows
Index = Int[np.ndarray, " token"] | slice

HEAVY = 1 / 40
"""Share of the tokens from which a sparse column is cheaper written out: dense products are that much quicker."""
MOST_HEAVY = 2048
CHUNK = 4096
"""Rows that are written out in float64 at a time."""


def unit_rows(rows: Rows) -> "DenseUnit | SparseUnit":
    """The rows with their lengths; nothing of the size of the rows is copied while they are dense."""
    if isinstance(rows, SparseRows):
        return SparseUnit.of(rows)
    held = np.asarray(rows)
    if held.dtype not in (np.float32, np.float64):
        held = held.astype(np.float32)
    return DenseUnit(held, _dense_norms(held))


def resolution(dtype: Any, columns: int) -> float:
    """The power of two above 4 eps sqrt(columns): cosines that differ by less differ by rounding only."""
    return 2.0 ** math.ceil(math.log2(4 * float(np.finfo(dtype).eps) * max(columns, 1) ** 0.5))


def chunks(tokens: int, size: int = CHUNK) -> list[slice]:
    """The tokens in slices of at most `size`."""
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]


@dataclass(frozen=True)
class DenseUnit:
    """Dense rows and their lengths."""

    rows: Float[np.ndarray, "token width"]
    norms: Float[np.ndarray, " token"]
    sparse = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def columns(self) -> int:
        return self.rows.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return self.rows.dtype

    @property
    def block_columns(self) -> int:
        """Numbers a row takes in a block's product."""
        return self.columns

    def select(self, tokens: Int[np.ndarray, " token"]) -> "DenseUnit":
        return DenseUnit(self.rows[tokens], self.norms[tokens])

    def factors(self, index: Index) -> tuple[Any, Any, Any]:
        """(left, right, light) of some rows: cosines are left @ right.T, plus light @ light.T where there is one."""
        unit = self.rows[index] / self.norms[index].astype(self.dtype)[:, None]
        return unit, unit, None

    def times(self, vectors: Float[np.ndarray, "width dimension"]) -> Float[np.ndarray, "token dimension"]:
        """Unit rows times vectors, in float64."""
        return np.concatenate([self.written(part) @ vectors for part in chunks(len(self))])

    def project(
        self, index: Index, weights: Float[np.ndarray, "token dimension"]
    ) -> Float[np.ndarray, "width dimension"]:
        """The sum over some tokens of unit row times weights, in float64."""
        return self.written(index).T @ weights

    def written(self, index: Index, columns: slice = slice(None)) -> Float[np.ndarray, "token width"]:
        """Some columns of some unit rows in float64."""
        return self.rows[index][:, columns].astype(np.float64) / self.norms[index][:, None]


class WrittenUnit(DenseUnit):
    """Rows in float64 that have unit length."""

    def written(self, index: Index, columns: slice = slice(None)) -> Float[np.ndarray, "token width"]:
        return self.rows[index][:, columns]


@dataclass(frozen=True)
class SparseUnit:
    """Sparse rows less their baseline, with their lengths.

    The columns that many tokens have are written out, centred, whenever a block needs them; the light ones, of which
    each token has few, stay sparse, and their baseline enters as two more columns.
    """

    matrix: Any
    baseline: Float[np.ndarray, " target"]
    norms: Float[np.ndarray, " token"]
    sparse = True

    @classmethod
    def of(cls, rows: SparseRows) -> "SparseUnit":
        matrix, baseline = csr_array(rows.matrix), np.asarray(rows.baseline, np.float64)
        if not matrix.has_canonical_format:
            matrix = matrix.copy()
            matrix.sum_duplicates()
        return cls(matrix, baseline, _sparse_norms(matrix, baseline))

    def __len__(self) -> int:
        return self.matrix.shape[0]

    @property
    def columns(self) -> int:
        return self.matrix.shape[1]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.float64)

    @property
    def block_columns(self) -> int:
        return len(self._heavy) + 2

    def select(self, tokens: Int[np.ndarray, " token"]) -> "SparseUnit":
        return SparseUnit(csr_array(self.matrix[tokens]), self.baseline, self.norms[tokens])

    def factors(self, index: Index) -> tuple[Any, Any, Any]:
        scale = 1 / self.norms[index]
        dense = (self._dense_part[index].toarray() - self.baseline[self._heavy][None, :]) * scale[:, None]
        baseline = self._light_baseline
        if not (self._light_part.nnz or baseline.any()):
            return dense, dense, None
        light = self._light_part[index]
        light = csr_array(light.multiply(scale[:, None]))
        along = light @ baseline
        right = np.column_stack([dense, -scale, (baseline @ baseline) * scale - along])
        return np.column_stack([dense, along, scale]), right, light if light.nnz else None

    def times(self, vectors: Float[np.ndarray, "target dimension"]) -> Float[np.ndarray, "token dimension"]:
        return (self.matrix @ vectors - (self.baseline @ vectors)[None, :]) / self.norms[:, None]

    def project(
        self, index: Index, weights: Float[np.ndarray, "token dimension"]
    ) -> Float[np.ndarray, "target dimension"]:
        weights = weights / self.norms[index][:, None]
        return self.matrix[index].T @ weights - np.outer(self.baseline, weights.sum(axis=0))

    def written(self, index: Index, columns: slice = slice(None)) -> Float[np.ndarray, "token target"]:
        dense = self.matrix[index][:, columns].toarray() - self.baseline[columns][None, :]
        return dense / self.norms[index][:, None]

    @cached_property
    def _heavy(self) -> Int[np.ndarray, " target"]:
        filled = np.bincount(self.matrix.indices, minlength=self.columns)
        heaviest = np.argsort(-filled, kind="stable")[:MOST_HEAVY]
        return np.sort(heaviest[filled[heaviest] > HEAVY * len(self)])

    @cached_property
    def _dense_part(self) -> Any:
        return csr_array(self.matrix[:, self._heavy])

    @cached_property
    def _light_columns(self) -> Int[np.ndarray, " target"]:
        return np.setdiff1d(np.arange(self.columns), self._heavy)

    @cached_property
    def _light_part(self) -> Any:
        return csr_array(self.matrix[:, self._light_columns])

    @property
    def _light_baseline(self) -> Float[np.ndarray, " target"]:
        return self.baseline[self._light_columns]


Unit = DenseUnit | SparseUnit


def _dense_norms(rows: Float[np.ndarray, "token width"]) -> Float[np.ndarray, " token"]:
    """Lengths without under- or overflow of the squares, chunk by chunk."""
    norms = np.zeros(len(rows))
    for part in chunks(len(rows)):
        held = rows[part].astype(np.float64)
        peak = np.max(np.abs(held), axis=1, initial=0)
        scale = np.where((peak > 0) & np.isfinite(peak), peak, 1)
        norms[part] = scale * np.linalg.norm(held / scale[:, None], axis=1)
    return norms


def _sparse_norms(matrix: Any, baseline: Float[np.ndarray, " target"]) -> Float[np.ndarray, " token"]:
    """Lengths of the rows less the baseline; differences that are only rounding count as zero, as in `centred`.

    A row without entries gets 0: its token has never been seen, and minus the baseline is no signature of it.
    """
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    below = baseline[matrix.indices]
    difference = matrix.data - below
    rounding = 16 * np.finfo(np.float64).eps * np.maximum(np.abs(matrix.data), np.abs(below))
    difference[np.abs(difference) <= rounding] = 0
    tokens, whole = matrix.shape[0], float(baseline @ baseline)
    outside = whole - np.bincount(row, below**2, tokens)
    for token in np.flatnonzero(outside < 1e-6 * whole):  # nearly everything is inside: no difference of two sums
        rest = baseline.copy()
        rest[matrix.indices[matrix.indptr[token] : matrix.indptr[token + 1]]] = 0
        outside[token] = rest @ rest
    norms = np.sqrt(np.bincount(row, difference**2, tokens) + outside)
    return np.where(np.diff(matrix.indptr) > 0, norms, 0.0)
