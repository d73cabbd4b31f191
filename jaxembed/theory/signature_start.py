"""Embedding and unembedding that start as the modes of the pair counts (theory/signature_start.md)."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.sparse import diags_array
from scipy.sparse.linalg import LinearOperator, svds

from ..statistics import TokenPairs

Start = dict[str, Float[Array, "token width"]]
"""`{"embed": E0, "unembed": U0}`, rows are tokens."""


class PairModes(NamedTuple):
    """Leading singular triples of a table of pairs, the strongest first.

    Attributes:
        embed: L `[token, width]`, how a mode is spread over first tokens.
        strength: S `[width]`, singular values.
        unembed: R `[token, width]`, how a mode is spread over second tokens.
    """

    embed: Float[np.ndarray, "token width"]
    strength: Float[np.ndarray, " width"]
    unembed: Float[np.ndarray, "token width"]


@dataclass(frozen=True)
class Form:
    """Which modes of the pair counts, and how they become rows.

    Attributes:
        normaliser: exponent a of the rates in D_r^-a (P - r c^T) D_c^-a: 1/2 weighs every token alike, 0 leaves the
            growth rates of rung 0.
        power: exponent of the singular values in both factors; 1/2 makes E0 U0^T the table of pairs itself.
        whitening: exponent b of the rates in D_r^-b L and D_c^-b R: 0 takes the modes as they are, 1/2 gives the logits
            that are best to second order, at the price of noisy rows for rare tokens.
        rows: "free", or "equal" for rows of one length.
    """

    normaliser: float = 0.5
    power: float = 0.5
    whitening: float = 0.0
    rows: Literal["free", "equal"] = "free"


def pair_modes(pairs: TokenPairs, width: int, *, normaliser: float = 0.5) -> PairModes:
    """The directions in which embeddings leave the origin.

    Equation: (S2) in theory/signature_start.md: D_r^-a (P - r c^T) D_c^-a = L diag(S) R^T, the `width` largest.
    Assumes: nothing beyond the data.
    Valid while: always; single modes are defined only where their strength is separated from the others.
    Clock: for a = 0, S are growth rates per flow time; for a = 1/2 they have no unit.

    The table is never written out: Lanczos iterations from a fixed start, in float64, so the same counts give the same
    modes. Tokens without a pair have rows of zeros.

    Args:
        pairs: of window 1 for next-token prediction.
        width: number of modes, below the vocabulary.
        normaliser: exponent of the rates.

    Raises:
        ValueError: for too many modes, or for counts without pairs.

    Source: yao2025probability.
    """
    if not 1 <= width < pairs.vocab:
        raise ValueError(f"width: {pairs.vocab} tokens have 1..{pairs.vocab - 1} modes, got {width}; choose fewer")
    if pairs.total == 0:
        raise ValueError("pairs: no token has a neighbour; give a corpus with at least one pair")
    firsts, seconds = pairs.firsts / pairs.total, pairs.seconds / pairs.total
    left, right = _inverse_power(firsts, normaliser), _inverse_power(seconds, normaliser)
    table = diags_array(left) @ (pairs.counts / pairs.total) @ diags_array(right)
    operator = _Centred(table, left * firsts, right * seconds)
    triple = svds(operator, k=width, v0=np.random.default_rng(0).normal(size=pairs.vocab))
    embed, strength, unembed = (np.asarray(part) for part in triple)
    order = np.argsort(-strength)
    return PairModes(embed[:, order], strength[order], unembed[order].T)


def signature_start(
    pairs: TokenPairs,
    width: int,
    *,
    key: PRNGKeyArray,
    norm: float = 0.02,
    form: Form = Form(),
    modes: PairModes | None = None,
) -> Start:
    """Modes of the pair counts as embedding and unembedding, in place of random numbers.

    Equation: (S5) in theory/signature_start.md: E0 ~ D_r^-b L S^power, U0 ~ D_c^-b R S^power, scaled.
    Assumes: logits U h with h along the token's embedding; an untied head.
    Valid while: a start, not a prediction; what it claims is a lower loss in the first steps.
    Clock: none; step 0.

    Args:
        pairs: of window 1, from the text that will be trained on and no other.
        width: of the model's stream.
        key: rows of tokens that begin (or end) no pair are random, as long as the typical other row.
        norm: root mean square entry of each table; a standard init of this standard deviation has the same
            Frobenius norm, norm sqrt(v d).
        form: see `Form`.
        modes: those of `pair_modes(pairs, width, normaliser=form.normaliser)`, where they are known already.

    Returns:
        `{"embed", "unembed"}`, float32 `[token, width]`.

    >>> import jax, numpy as np
    >>> from jaxembed.statistics import count_neighbours
    >>> pairs = count_neighbours(np.array([0, 1, 2, 0, 1, 3, 0, 2]), np.array([8]), vocab=4)
    >>> start = signature_start(pairs, 2, key=jax.random.key(0))
    >>> {name: table.shape for name, table in start.items()}
    {'embed': (4, 2), 'unembed': (4, 2)}
    >>> bool(abs(jnp.sqrt(jnp.mean(start["embed"] ** 2)) - 0.02) < 1e-6)
    True

    Source: yao2025probability.
    """
    leading = pair_modes(pairs, width, normaliser=form.normaliser) if modes is None else modes
    rates = {"embed": pairs.firsts, "unembed": pairs.seconds}
    keys = dict(zip(rates, jax.random.split(key), strict=True))
    return {
        name: _scaled(_filled(_rows(getattr(leading, name), leading.strength, count, form), count, keys[name]), norm)
        for name, count in rates.items()
    }


def permuted(start: Start, key: PRNGKeyArray) -> Start:
    """A control: the same rows given to the wrong tokens, in both tables to the same ones."""
    order = jax.random.permutation(key, start["embed"].shape[0])
    return {name: table[order] for name, table in start.items()}


def rotated(start: Start, key: PRNGKeyArray) -> Start:
    """A control: independent rotations of the token axis, one per table; norm and every singular value stay.

    So neither table keeps its tokens, nor do the two agree on which token is which. A random rotation of tokens
    carries the left singular vectors of a table to random orthonormal ones, so those are drawn instead, and no table of
    tokens by tokens is made.
    """
    keys = dict(zip(start, jax.random.split(key, len(start)), strict=True))
    return {name: _rotated(table, keys[name]) for name, table in start.items()}


def standard(start: Start, key: PRNGKeyArray) -> Start:
    """A control: independent normal entries, scaled to the norm of each table."""
    keys = dict(zip(start, jax.random.split(key, len(start)), strict=True))
    return {
        name: _scaled(np.asarray(jax.random.normal(keys[name], table.shape, table.dtype)), _rms(np.asarray(table)))
        for name, table in start.items()
    }


def scaled(start: Start, factor: float) -> Start:
    """Both tables times a number."""
    return {name: table * jnp.asarray(factor, table.dtype) for name, table in start.items()}


class _Centred(LinearOperator):
    """table - first second^T, never written out."""

    def __init__(self, table: Any, first: np.ndarray, second: np.ndarray) -> None:
        super().__init__(np.float64, table.shape)
        self.table, self.first, self.second = table, first, second

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self.table @ x.ravel() - self.first * (self.second @ x.ravel())

    def _rmatvec(self, x: np.ndarray) -> np.ndarray:
        return self.table.T @ x.ravel() - self.second * (self.first @ x.ravel())


def _rows(vectors: np.ndarray, strength: np.ndarray, counts: np.ndarray, form: Form) -> np.ndarray:
    rows = vectors * strength[None, :] ** form.power * _inverse_power(counts / counts.sum(), form.whitening)[:, None]
    if form.rows == "equal":
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(length > 0, length, 1)
    return rows


def _filled(rows: np.ndarray, counts: np.ndarray, key: PRNGKeyArray) -> np.ndarray:
    """Rows of unseen tokens drawn at random: zeros would be a singular point of the model's norms."""
    unseen = counts == 0
    typical = np.sqrt(np.mean(np.square(rows[~unseen])))
    draws = np.asarray(jax.random.normal(key, rows.shape, jnp.float32), np.float64)
    return np.where(unseen[:, None], typical * draws, rows)


def _scaled(rows: np.ndarray, norm: float) -> Float[Array, "token width"]:
    return jnp.asarray(rows * (norm / _rms(rows)), jnp.float32)


def _rms(rows: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(rows, dtype=np.float64))))


def _rotated(table: Array, key: PRNGKeyArray) -> Float[Array, "token width"]:
    _, strength, right = np.linalg.svd(np.asarray(table, np.float64), full_matrices=False)
    draws = np.asarray(jax.random.normal(key, table.shape, jnp.float32), np.float64)
    left, triangle = np.linalg.qr(draws)
    left = left * np.sign(np.diagonal(triangle))[None, :]  # without it QR's signs are not uniform
    return jnp.asarray((left * strength[None, :]) @ right, table.dtype)


def _inverse_power(rates: np.ndarray, power: float) -> np.ndarray:
    """rate^-power, and 0 where nothing was seen."""
    return np.where(rates > 0, np.where(rates > 0, rates, 1.0) ** -power, 0.0)
