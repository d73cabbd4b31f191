"""What a next-item predictor must keep of its past, measured by enumeration (theory/predictive_sufficiency.md)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.special import rel_entr

from .linear import dot

Joint = Float[Array | np.ndarray, "sequence token"]
"""P(past, what follows) of a finite process: a row for each past, a column for each next item, or each future."""
Groups = Int[Array | np.ndarray, " sequence"]
"""The value of a statistic on each past, as an id 0, 1, ..; an embedding is a statistic whose values are vectors."""


class LogLoss(NamedTuple):
    """What log loss consists of, in nats.

    Attributes:
        floor: entropy of what follows given the whole past.
        gap: what the statistic lost: I(what follows; past | statistic).
        head: what the head loses on top, reading the statistic.
    """

    floor: float
    gap: float
    head: float


def gap(joint: Joint, groups: Groups) -> float:
    """How far a statistic of the past is from predictively sufficient, in nats; 0 where it is.

    Equation: (P2) in theory/predictive_sufficiency.md: I(next; past | s) = sum_c P(c) KL(p(. | c) || p(. | s(c))).
    Assumes: finitely many pasts c, written out.
    Valid while: always; exact.
    Clock: none, a property of the process and the statistic.

    Args:
        joint: probabilities of past and what follows; they sum to one.
        groups: the statistic's value on each past.

    Raises:
        ValueError: where `joint` is no distribution, or a past has no value.

    >>> import numpy as np
    >>> repeats = np.array([[0.5, 0.0], [0.0, 0.5]])  # the next item repeats the last one
    >>> round(gap(repeats, np.array([0, 1])), 3), round(gap(repeats, np.array([0, 0])), 3)
    (0.0, 0.693)
    """
    joint, groups = checked(joint, groups)
    return float(rel_entr(_given(joint), _given(_pooled(joint, groups))[groups]).sum(axis=1) @ joint.sum(axis=1))


def log_loss(joint: Joint, groups: Groups, predicted: Float[Array | np.ndarray, "state token"]) -> LogLoss:
    """The parts of the expected log loss of a head that reads a statistic.

    Equation: (P3) in theory/predictive_sufficiency.md: loss = H(x_{n+1} | x_{0..n}) + gap + E KL(p(. | s) || head(s)).
    Assumes: as `gap`.
    Valid while: always; exact. Infinite where the head excludes what happens.
    Clock: none.

    Args:
        joint: as in `gap`.
        groups: as in `gap`.
        predicted: the head's distribution for each value of the statistic; rows sum to one.
    """
    table, ids = checked(joint, groups)
    pooled = _pooled(table, ids)
    if predicted.shape != pooled.shape or not np.allclose(np.sum(predicted, axis=1), 1, atol=1e-6):
        raise ValueError(f"predicted: need {pooled.shape[0]} distributions over {pooled.shape[1]} items, rows sum to 1")
    floor = -rel_entr(table, table.sum(axis=1, keepdims=True)).sum()
    head = rel_entr(_given(pooled), np.asarray(predicted, float)).sum(axis=1) @ pooled.sum(axis=1)
    return LogLoss(float(floor), gap(joint, groups), float(head))


def belief_of_prediction(
    likelihood: Float[Array, "state token"], predicted: Float[Array, "... token"]
) -> Float[Array, "... state"]:
    """The belief behind a prediction, where predictions tell beliefs apart.

    Equation: (P6) in theory/predictive_sufficiency.md: p = b B, hence b = p B^T (B B^T)^{-1}.
    Assumes: what follows depends on the past through the state alone; B holds p(item | state).
    Valid while: the rows of B are linearly independent (`tells_apart`).
    Clock: none.

    Args:
        likelihood: B, rows sum to one.
        predicted: distributions of the next item.
    """
    return dot(predicted, jnp.linalg.pinv(likelihood))


def tells_apart(likelihood: Float[Array | np.ndarray, "state token"]) -> bool:
    """Whether every belief over states has a next-item prediction of its own: no row of B mixes the others."""
    return int(np.linalg.matrix_rank(np.asarray(likelihood))) == likelihood.shape[0]


def checked(joint: Joint, groups: Groups) -> tuple[np.ndarray, np.ndarray]:
    """A table of probabilities and the statistic's ids, as numpy arrays.

    Raises:
        ValueError: where the table is no distribution, or a past has no id.
    """
    table, ids = np.asarray(joint, float), np.asarray(groups)
    if table.min() < 0 or not np.isclose(table.sum(), 1, atol=1e-6):
        raise ValueError(f"joint: probabilities must sum to one, got {table.sum():g}; divide by their sum")
    whole = np.issubdtype(ids.dtype, np.integer)
    if ids.shape != table.shape[:1] or not whole or ids.min() < 0:
        got = f"shape {ids.shape}, from {ids.min() if ids.size else 'nothing'}"
        raise ValueError(f"groups: need an id 0, 1, .. for each of {len(table)} pasts, got {got}")
    return table, ids


def _pooled(joint: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """P(statistic, what follows)."""
    pooled = np.zeros((groups.max() + 1, joint.shape[1]))
    np.add.at(pooled, groups, joint)
    return pooled


def _given(joint: np.ndarray) -> np.ndarray:
    """Rows as conditional distributions; a row that never happens is zero and weighs nothing."""
    total = joint.sum(axis=1, keepdims=True)
    return np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
