"""Word vectors without training: the leading eigenvectors of a target, times powers of the eigenvalues."""

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray
from scipy.sparse.linalg import LinearOperator, eigsh, lobpcg

from .targets import SparsePlusConstant
from .vectors import WordVectors

Method = Literal["lanczos", "randomised", "lobpcg"]
By = Literal["value", "magnitude"]
Product = Callable[[Array], Array]
Eigenpairs = tuple[Float[np.ndarray, "token width"], Float[np.ndarray, " width"]]

BASIS = 3
"""Columns of the randomised method's basis for every eigenvector wanted."""
RESTARTS = 12
"""Of that basis, at most."""
LARGEST_CONSTANT = 8.0
"""Of a target that is factorised in single precision."""
ENTRIES = 1 << 16
"""Entries of a sparse matrix that JAX multiplies at once."""


def eigenpairs(
    target: SparsePlusConstant,
    width: int,
    *,
    method: Method = "lanczos",
    by: By = "value",
    key: PRNGKeyArray | None = None,
    workers: int = 1,
    tolerance: float = 1e-4,
) -> Eigenpairs:
    """The `width` leading eigenvectors of a target, in float32, and their eigenvalues, the first in order first.

    By value: the largest ones, which are what tied vectors can express (their Gram matrix has no negative eigenvalue)
    and what training by the quadratic loss reaches. By magnitude: those of the best approximation of that rank, as in a
    singular value decomposition, whose negative ones no Gram matrix has; M* and a smoothed PMI have one that is far
    larger than all others, the constant of the pairs that never meet.

    Args:
        target: the symmetric matrix.
        width: how many.
        method: "lanczos" (ARPACK by scipy), "lobpcg" (scipy), or "randomised" (block Krylov space of a random start,
            in JAX, on its device; for a vocabulary that its basis would fill, all eigenpairs by LAPACK).
        by: what leads.
        key: of the random start; None is `jax.random.key(0)`.
        workers: threads of the sparse products (Lanczos and LOBPCG).
        tolerance: relative accuracy of the eigenvalues. LOBPCG and the randomised method stop after 60 steps or 12
            restarts, whatever is reached.

    Returns:
        `[token, width]` orthonormal columns, and `[width]` eigenvalues.

    Raises:
        ValueError: for a width that the matrix does not have.

    >>> import scipy.sparse
    >>> square = SparsePlusConstant(scipy.sparse.csr_array(np.diag([3.0, -4.0, 1.0, 0.0])), 0.0)
    >>> [round(float(x), 3) for x in eigenpairs(square, 2, method="randomised")[1]]
    [3.0, 1.0]
    """
    vocab = target.shape[0]
    if not 1 <= width < vocab:
        raise ValueError(f"width: need 1..{vocab - 1} for a vocabulary of {vocab:,}, got {width}")
    key = jax.random.key(0) if key is None else key
    if method == "lobpcg" and by == "magnitude":
        raise ValueError("method: lobpcg finds the largest eigenvalues only; choose lanczos or randomised")
    with ThreadPoolExecutor(workers) as pool:
        if method == "randomised" and vocab < BASIS * _blocks_kept(width, vocab) * _block_size(width, vocab):
            values, vectors = np.linalg.eigh(target.dense())  # the basis would not fit: no gain over all pairs
            leading = np.argsort(-(values if by == "value" else np.abs(values)), kind="stable")[:width]
            values, vectors = values[leading], vectors[:, leading]
        elif method == "randomised":
            values, vectors = _randomised(target, width, by, key, tolerance, _block_product(target, pool, workers))
        elif method == "lobpcg":
            start = np.asarray(jax.random.normal(key, (vocab, width), jnp.float32))
            values, vectors = _lobpcg(_Operator(target, pool, workers, np.float64), start, tolerance)
        else:
            start = np.asarray(jax.random.normal(key, (vocab,), jnp.float32))
            operator, which = _Operator(target, pool, workers, _precision(target)), "LA" if by == "value" else "LM"
            begin = start.astype(operator.dtype)
            values, vectors = eigsh(operator, width, which=which, v0=begin, tol=tolerance)  # pyright: ignore[reportArgumentType]
    order = np.argsort(-(values if by == "value" else np.abs(values)), kind="stable")
    return np.asarray(vectors[:, order], np.float32), np.asarray(values[order], np.float32)


def factor_vectors(
    words: tuple[str, ...],
    vectors: Float[np.ndarray, "token width"],
    values: Float[np.ndarray, " width"],
    power: float | int = 0.5,
    facts: dict[str, Any] | None = None,
) -> WordVectors:
    """Word vectors from eigenpairs: every eigenvector times |eigenvalue|^power.

    At power 1/2 and with positive eigenvalues, the products of these vectors are the best approximation of the target.
    Negative eigenvalues have no real square root: their columns are dropped at power 1/2, unless `eigenpairs` was asked
    for them (by magnitude), in which case pass `np.abs(values)`.

    Args:
        words: of the rows.
        vectors: eigenvectors.
        values: eigenvalues.
        power: 1/2 for a Gram matrix, 1 as in U S, 0 for U.
        facts: kept with the vectors.

    Raises:
        ValueError: where no eigenvalue is positive.
    """
    positive = values > 0
    if not positive.any():
        raise ValueError(
            "values: none is positive, so the target has no Gram part; choose another target or less shift"
        )
    scaled = vectors[:, positive] * (values[positive] ** np.float32(power))[None, :]
    return WordVectors(words, np.ascontiguousarray(scaled, np.float32), dict(facts or {}))


class _Operator(LinearOperator):
    """The target with its rows shared among threads: the products are bound by memory."""

    def __init__(self, target: SparsePlusConstant, pool: ThreadPoolExecutor, workers: int, dtype: Any) -> None:
        stored = target.stored.astype(dtype)
        inner = np.searchsorted(stored.indptr, np.linspace(0, stored.nnz, workers + 1)[1:-1])
        self._blocks = [stored[first:last] for first, last in pairwise([0, *inner.tolist(), target.shape[0]])]
        self._constant, self._pool = stored.dtype.type(target.constant), pool
        super().__init__(stored.dtype, target.shape)

    def _matmat(self, X: np.ndarray) -> np.ndarray:
        x = np.asarray(X, self.dtype)
        stored = np.concatenate(list(self._pool.map(lambda block: block @ x, self._blocks)))
        return stored + self._constant * x.sum(axis=0)

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._matmat(x)


def _block_product(target: SparsePlusConstant, pool: ThreadPoolExecutor, workers: int) -> Product:
    """The product with a block of columns where JAX computes; on the CPU scipy's loops are faster than scatters."""
    if jax.default_backend() != "cpu":
        return _device_product(target)
    operator = _Operator(target, pool, workers, np.float32)
    return lambda block: jnp.asarray(operator.matmat(np.asarray(block)))


def _precision(target: SparsePlusConstant) -> Any:
    """Single, unless the eigenvalue of the constant would leave no digits to the others."""
    return np.float32 if abs(target.constant) <= LARGEST_CONSTANT else np.float64


def _lobpcg(operator: LinearOperator, start: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    scale = float(np.linalg.norm(np.asarray(operator @ start[:, 0].astype(np.float64))) / np.linalg.norm(start[:, 0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of accuracies that are not reached: the caller compares methods
        return lobpcg(operator, start.astype(np.float64), largest=True, maxiter=60, tol=tolerance * scale)[:2]


class Krylov(NamedTuple):
    """An orthonormal basis, zero where it has not grown yet, and the target times it."""

    basis: Float[Array, "token dimension"]
    images: Float[Array, "token dimension"]


def _randomised(
    target: SparsePlusConstant, width: int, by: By, key: PRNGKeyArray, tolerance: float, product: Product
) -> tuple[np.ndarray, np.ndarray]:
    """Rayleigh-Ritz in a block Krylov space with an orthonormal basis, which both ends of the spectrum enter first.

    A full basis is replaced by its leading vectors (thick restart) until all that are wanted have a small residual.
    """
    vocab = target.shape[0]
    size, kept = _block_size(width, vocab), _blocks_kept(width, vocab)
    blocks = BASIS * kept
    empty = jnp.zeros((vocab, blocks * size), jnp.float32)
    space, grown = Krylov(empty, empty), 0
    values, vectors = empty[0], empty
    block = jax.random.normal(key, (vocab, size), jnp.float32)
    for _ in range(RESTARTS):
        for at in range(grown, blocks):
            block = _orthonormal(space.basis, block)
            image = product(block)
            space, block = _grown(space, block, image, at * size), image
        values, vectors, residual, space, block = _restarted(space, block, by == "magnitude", kept * size)
        grown = kept
        if float(jnp.max(residual[:width])) <= tolerance**0.5 * float(jnp.min(jnp.abs(values[:width]))):
            break
    return np.asarray(values[:width]), np.asarray(vectors[:, :width])


def _block_size(width: int, vocab: int) -> int:
    return min(max(width // 4, 8), vocab)


def _blocks_kept(width: int, vocab: int) -> int:
    return -(-width // _block_size(width, vocab)) + 1


@jax.jit
def _orthonormal(
    basis: Float[Array, "token dimension"], block: Float[Array, "token width"]
) -> Float[Array, "token width"]:
    """What is new in a block; taken out twice, since once leaves what rounding leaves."""
    for _ in range(2):
        block = jnp.linalg.qr(block - _dot(basis, _dot(basis.T, block)))[0]
    return block


@jax.jit
def _grown(
    space: Krylov, block: Float[Array, "token width"], image: Float[Array, "token width"], at: ArrayLike
) -> Krylov:
    parts = zip(space, (block, image), strict=True)
    return Krylov(*(jax.lax.dynamic_update_slice(side, x, (0, at)) for side, x in parts))


@partial(jax.jit, static_argnums=(2, 3))
def _restarted(
    space: Krylov, block: Float[Array, "token width"], by_magnitude: bool, kept: int
) -> tuple[Array, Array, Array, Krylov, Array]:
    """Eigenvalues and vectors within the space, leading ones first, their residuals, and where to go on from."""
    inner = _dot(space.basis.T, space.images)
    values, inside = jnp.linalg.eigh((inner + inner.T) / 2)
    leading = jnp.argsort(-(jnp.abs(values) if by_magnitude else values))
    values, rotated = values[leading], Krylov(*(_dot(side, inside[:, leading]) for side in space))
    residual = jnp.linalg.norm(rotated.images - rotated.basis * values[None, :], axis=0)
    inside_kept = jnp.arange(len(values)) < kept
    smaller = Krylov(*(jnp.where(inside_kept[None, :], side, 0) for side in rotated))
    return values, rotated.basis, residual, smaller, block - _dot(space.basis, _dot(space.basis.T, block))


def _device_product(target: SparsePlusConstant) -> Product:
    """The product in JAX, a piece of the stored entries after the other."""
    entries = _entries(target)
    return lambda block: _product(entries, block)


class Entries(NamedTuple):
    """A target on JAX's device, its stored entries in pieces that are multiplied one after the other."""

    rows: Int[Array, "..."]
    columns: Int[Array, "..."]
    stored: Float[Array, "..."]
    constant: Float[Array, ""]


def _entries(target: SparsePlusConstant) -> Entries:
    table = target.stored.tocoo()
    pieces = max(1, -(-table.nnz // ENTRIES))
    room = pieces * ENTRIES - table.nnz if pieces > 1 else 0
    parts = (*(part.astype(np.int32) for part in table.coords), table.data.astype(np.float32))
    rows, columns, stored = (jnp.asarray(np.pad(part, (0, room)).reshape(pieces, -1)) for part in parts)
    return Entries(rows, columns, stored, jnp.float32(target.constant))


@jax.jit
def _product(entries: Entries, x: Float[Array, "token width"]) -> Float[Array, "token width"]:
    def add(total: Array, piece: tuple[Array, Array, Array]) -> tuple[Array, None]:
        row, column, entry = piece
        return total.at[row].add(entry[:, None] * x[column]), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(x), entries[:3])
    return total + (entries.constant * x.sum(axis=0))[None, :]


def _dot(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)
