"""How well predictions meet targets, and the share of what was possible that they reach."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import xlogy
from scipy.stats import rankdata

from .probe import Kind

HIGHER_IS_BETTER = {
    "R2": True,
    "R2 weighted": True,
    "rank correlation": True,
    "relative error": False,
    "accuracy": True,
    "L2": False,
    "KL": False,
    "max-abs": False,
}
"""Every metric; those of one target are called "R2 NAME", "rank correlation NAME"."""


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better, also of one named target."""
    known = [name for name in HIGHER_IS_BETTER if metric == name or metric.startswith(f"{name} ")]
    if not known:
        raise ValueError(f"metric: unknown {metric!r}; known: {', '.join(HIGHER_IS_BETTER)}")
    return HIGHER_IS_BETTER[known[-1]]


def scores(
    kind: Kind,
    predicted: Float[np.ndarray, "..."],
    target: Float[np.ndarray, "..."],
    names: Sequence[str] = (),
) -> dict[str, float]:
    """Scores of one set of predictions; undefined is NaN.

    Equation: real: R2 = 1 - sum (y - f)^2 / sum (y - mean y)^2, averaged over targets, and weighted by their variance;
    relative error = |f - y| / |y|; Spearman's rank correlation, averaged over targets. Distribution: agreement of
    the two argmax, L2 = mean sum_k (p_k - q_k)^2, KL = mean sum_k p_k log(p_k / q_k) in nats, mean max_k |p_k - q_k|.

    Args:
        kind: of the target.
        predicted: `[example, target]`.
        target: `[example, target]`.
        names: of real targets, for a score each.

    >>> scores("real", np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [3.0]]))["R2"]
    0.5
    """
    predicted, target = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    if predicted.shape != target.shape or target.ndim != 2:
        raise ValueError(f"predicted, target: need tables of one shape, got {predicted.shape} and {target.shape}")
    return _distribution(predicted, target) if kind == "distribution" else _real(predicted, target, names)


def gap_closed(
    score: Float[np.ndarray, "..."] | float,
    null: Float[np.ndarray, "..."] | float,
    ceiling: Float[np.ndarray, "..."] | float,
) -> Float[np.ndarray, "..."]:
    """The share of the way from null to ceiling: (score - null) / (ceiling - null), NaN where the two coincide.

    >>> gap_closed(np.array([0.9, 0.5]), np.array([0.5, 1.0]), np.array([1.0, 1.0])).tolist()
    [0.8, nan]
    """
    score, null, ceiling = (np.asarray(x, np.float64) for x in (score, null, ceiling))
    gap = ceiling - null
    same = np.abs(gap) <= 1e-12 * np.maximum(np.abs(ceiling), np.abs(null))
    return np.asarray((score - null) / np.where(same, np.nan, gap))


def best(metric: str, values: Float[np.ndarray, "hypothesis ..."]) -> Float[np.ndarray, "..."]:
    """The best value along the leading axis, by the metric's direction; undefined ones (NaN) do not compete."""
    worst = -np.inf if higher_is_better(metric) else np.inf
    defined = np.where(np.isnan(values), worst, values)
    extreme = defined.max(axis=0) if higher_is_better(metric) else defined.min(axis=0)
    return np.where(np.isnan(values).all(axis=0), np.nan, extreme)


def _distribution(q: np.ndarray, p: np.ndarray) -> dict[str, float]:
    return {
        "accuracy": float(np.mean(q.argmax(axis=1) == p.argmax(axis=1))),
        "L2": float(np.mean(np.sum((p - q) ** 2, axis=1))),
        "KL": float(np.mean(np.sum(xlogy(p, p) - xlogy(p, np.maximum(q, 1e-30)), axis=1))),
        "max-abs": float(np.mean(np.abs(p - q).max(axis=1))),
    }


def _real(predicted: np.ndarray, target: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    missed = np.sum((target - predicted) ** 2, axis=0)
    spread = np.sum((target - target.mean(axis=0)) ** 2, axis=0)
    spread = np.where(spread > 1e-20 * np.sum(target**2, axis=0), spread, np.nan)
    r2, ranks = 1 - missed / spread, np.array([_spearman(*pair) for pair in zip(predicted.T, target.T, strict=True)])
    size = np.sqrt(np.sum(target**2))
    table = {
        "R2": float(np.mean(r2)),
        "R2 weighted": float(1 - np.sum(missed) / np.sum(spread)),
        "relative error": float(np.sqrt(np.sum(missed)) / size) if size > 0 else float("nan"),
        "rank correlation": float(np.mean(ranks)),
    }
    table |= {f"R2 {name}": float(r2[i]) for i, name in enumerate(names)}
    return table | {f"rank correlation {name}": float(ranks[i]) for i, name in enumerate(names)}


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation, ties at their mean rank; NaN for a constant."""
    a, b = (ranks - ranks.mean() for ranks in (rankdata(one), rankdata(other)))
    size = np.sqrt(np.sum(a**2) * np.sum(b**2))
    return float(np.sum(a * b) / size) if size > 0 else float("nan")
