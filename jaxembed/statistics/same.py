"""Do two tokens have the same signature? Exactly for populations, by a test for samples."""

from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from .signatures import Signatures

Kind = Literal["label", "context", "trace_back"]


class Same(NamedTuple):
    """Whether two signature rows agree: their largest difference, and a p-value where the data is a sample.

    `p_value` is None for an exact population; the rows are then the same if they differ by rounding only.
    """

    same: bool
    difference: float
    p_value: float | None


def same(sig: Signatures, x: int, other: int, kind: Kind = "label", *, level: float = 0.01) -> Same:
    """Compare the signatures of tokens `x` and `other`.

    Context rows are compared as seen from either token: "itself" against "itself", "the other" against "the other", and
    the pair that every occurrence forms with itself left out.

    For sampled data the rows are counts of a two-row contingency table and the test is Pearson's chi-squared test of
    homogeneity (columns expected below 5 are pooled); `same` means not rejected at `level`.

    Args:
        sig: signatures of the data.
        x: first token.
        other: second token.
        kind: which signature.
        level: significance level for sampled data.

    Raises:
        ValueError: where a token never occurs, so that its signature is undefined.
    """
    rows = np.asarray(getattr(sig, kind))[np.array([x, other])].astype(np.float64)
    for token, row in zip((x, other), rows, strict=True):
        if not np.all(np.isfinite(row)):
            raise ValueError(f"token {token} never occurs, so its {kind} signature is undefined; choose another")
    if kind == "context":
        rows = _matched_contexts(rows, x, other)
    difference = float(np.max(np.abs(rows[0] - rows[1])))
    if sig.samples is None:
        tolerance = 64 * np.finfo(np.asarray(sig.m1).dtype).eps
        return Same(bool(difference <= tolerance * max(1.0, float(np.abs(rows).max()))), difference, None)
    rate = np.asarray(sig.target if kind == "trace_back" else sig.token)[np.array([x, other])]
    p_value = _homogeneity(rows * (rate * sig.samples)[:, None])
    return Same(p_value > level, difference, p_value)


def _matched_contexts(rows: np.ndarray, x: int, other: int) -> np.ndarray:
    first, second = rows.copy()
    first[x] -= 1
    second[other] -= 1
    second[[x, other]] = second[[other, x]]
    return np.stack([first, second])


def _homogeneity(table: np.ndarray) -> float:
    """Chi-squared p-value that both rows of counts come from one distribution."""
    table = table[:, table.sum(axis=0) > 0]
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    rare = expected < 5
    if rare.any():
        table = np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)
    if table.shape[1] < 2:
        return 1.0
    return float(np.asarray(stats.chi2_contingency(table, correction=False)[1]))
