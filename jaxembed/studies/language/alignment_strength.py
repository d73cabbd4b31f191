"""Which pairs of tokens agree most: signature similarity by quantile of embedding similarity, with its trend tested."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

QUANTILES = (0.5, 0.9, 0.99, 0.999)
"""Pairs whose embeddings are more alike than this share of all pairs."""


@dataclass(frozen=True)
class Strength:
    """Mean signature cosine of the pairs above each quantile of embedding cosine; bootstrap over tokens.

    The *excess* is that mean minus what the straight line through all pairs (regression of signature cosine on
    embedding cosine) gives for the same pairs: zero where one correlation says it all, positive where strong pairs
    agree more than that.

    Attributes:
        means: `[1 + draw, quantile]`, the sample's first, then resampled tokens'.
        excess: the same of the excess.
    """

    means: Float[np.ndarray, "draw columns"]
    excess: Float[np.ndarray, "draw columns"]

    @property
    def trend(self) -> tuple[float, float, float]:
        """Rise of the mean from one quantile to the next (slope of a straight line), and its 95 % interval."""
        return with_interval(slope(self.means))

    @property
    def strongest_excess(self) -> tuple[float, float, float]:
        """Excess at the highest quantile, and its 95 % interval."""
        return with_interval(self.excess[:, -1])


def strength(
    W: Float[np.ndarray, "token width"],
    S: Float[np.ndarray, "token target"],
    draws: int,
    quantiles: tuple[float, ...] = QUANTILES,
    seed: int = 0,
) -> Strength:
    """Agreement by strength of the pair.

    Resampling draws tokens with replacement: a pair counts as often as the product of its tokens' multiplicities, and
    pairs of a token with itself never. The quantiles stay those of the sample.

    Args:
        W: embeddings.
        S: signatures of the same tokens.
        draws: resamplings.
        quantiles: of embedding cosine; above the highest there must be pairs enough for a resample to meet some.
        seed: of the resampling.
    """
    a, b = _cosines(W), _cosines(S)
    pairs = a[np.triu_indices(len(a), 1)]
    groups = [(a >= threshold) & ~np.eye(len(a), dtype=bool) for threshold in np.quantile(pairs, quantiles)]
    weights = _multiplicities(len(a), draws, seed)
    off = 1 - np.eye(len(a))
    n, m_a, m_b, m_aa, m_ab = (_total(weights, off * part) for part in (1, a, b, a * a, a * b))
    gain = (n * m_ab - m_a * m_b) / (n * m_aa - m_a**2)
    counts = np.stack([_total(weights, group) for group in groups], axis=1)
    mean_a, mean_b = (np.stack([_total(weights, group * part) for group in groups], axis=1) / counts for part in (a, b))
    line = (m_b / n)[:, None] + gain[:, None] * (mean_a - (m_a / n)[:, None])
    return Strength(mean_b, mean_b - line)


def slope(means: Float[np.ndarray, "draw columns"]) -> Float[np.ndarray, " draw"]:
    """Slope of a straight line over the number of the quantile, per row.

    >>> print(slope(np.array([[0.0, 0.1, 0.2, 0.3]])).round(3))
    [0.1]
    """
    number = np.arange(means.shape[1]) - (means.shape[1] - 1) / 2
    return means @ number / np.sum(number**2)


def with_interval(values: Float[np.ndarray, " draw"]) -> tuple[float, float, float]:
    """The sample's value and the central 95 % of the resampled ones."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return float(values[0]), float(low), float(high)


def _multiplicities(tokens: int, draws: int, seed: int) -> Float[np.ndarray, "draw token"]:
    """The sample itself, then tokens drawn with replacement, as counts."""
    drawn = np.random.default_rng(seed).multinomial(tokens, np.full(tokens, 1 / tokens), size=draws)
    return np.concatenate([np.ones((1, tokens)), drawn.astype(float)])


def _total(weights: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Sum of a table over pairs, each as often as its tokens were drawn."""
    return np.sum((weights @ table) * weights, axis=1)


def _cosines(rows: np.ndarray) -> Float[np.ndarray, "token token"]:
    rows = np.asarray(rows, np.float64)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit @ unit.T
