"""Agreement by how similar the embeddings are, with intervals from tokens drawn again."""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ._scan import Scan, ScanPlan, cosine_blocks
from ._unit_rows import Unit
from .blockwise import correlation, deviations

TENTHS = tuple(k / 10 for k in range(11))
TAILS = (0.5, 0.9, 0.99, 0.999)
BINS = 8192
REACH = 40
"""Standard deviations on either side of the mean that the histogram covers; fewer than 0.1 % of pairs lie beyond."""
SAMPLE = 1024
"""Tokens whose pairs place the histogram."""


@dataclass(frozen=True)
class Band:
    """Pairs whose embedding similarity lies between two of its quantiles.

    Attributes:
        quantiles: asked for, for example (0.9, 1.0).
        threshold: the cosine of embeddings at which the pairs start.
        pairs: their number; cut at the edge of a bin, so near, not at, the quantile.
        similarity: mean cosine of their embeddings.
        agreement: mean cosine of their signatures; NaN without pairs.
        interval: 95 % of `agreement`, over resampled tokens.
        excess: `agreement` less what the straight line through all pairs gives at `similarity`: above zero in the
            upper tail, strongly similar pairs agree more than the correlation over all pairs says.
        excess_interval: 95 %, over resampled tokens.
    """

    quantiles: tuple[float, float]
    threshold: float
    pairs: int
    similarity: float
    agreement: float
    interval: tuple[float, float]
    excess: float
    excess_interval: tuple[float, float]


@dataclass(frozen=True)
class Bands:
    """Tenths and upper tails, the trend over the tenths, and the interval of the correlation over all pairs."""

    tenths: tuple[Band, ...]
    tails: tuple[Band, ...]
    trend: float
    trend_interval: tuple[float, float]
    r_cos_interval: tuple[float, float]


def cosine_bins(unit: Unit) -> tuple[float, float]:
    """Where the histogram starts and its bins per unit of cosine, from the pairs of some tokens (in random order)."""
    few = min(len(unit), SAMPLE)
    ((_, _, block),) = cosine_blocks((unit,), np.arange(few), [(slice(0, few), 0)])
    cosines = block[np.triu_indices(few, 1)].astype(np.float64)
    centre, reach = cosines.mean(), REACH * max(cosines.std(), 1e-12)
    low, high = max(centre - reach, -1.0), min(centre + reach, 1.0)
    return float(low), BINS / float(high - low)


def similarity_bands(
    scan: Scan, plan: ScanPlan, floors: tuple[float, float], rng: np.random.Generator, resamples: int
) -> Bands:
    """Bands of a scan; every interval from the same resampled groups of tokens."""
    weights = _pair_weights(rng, plan.groups, resamples)
    sums = np.tensordot(weights, scan.groups, axes=2)
    pairs = np.tensordot(weights, scan.tables[..., 0].sum(axis=-1), axes=2)
    lines = _Lines(sums, pairs, plan.shifts)
    cuts = _cuts(scan.tables[..., 0].sum(axis=(0, 1)), sorted({*TENTHS, *TAILS}))

    def band(low: float, high: float) -> tuple[Band, Float[np.ndarray, " draw"]]:
        part = scan.tables[:, :, cuts[low] : cuts[high]].sum(axis=2)
        return _band((low, high), plan.low + cuts[low] / plan.scale, np.tensordot(weights, part, axes=2), lines)

    tenths, courses = zip(*(band(*ends) for ends in itertools.pairwise(TENTHS)), strict=True)
    trends = _spearman(np.stack(courses, axis=1))
    r = correlation(deviations(sums, pairs), pairs, floors)
    tails = tuple(band(low, 1.0)[0] for low in TAILS)
    return Bands(tenths, tails, float(trends[0]), _interval(trends[1:]), _interval(r[1:]))


@dataclass(frozen=True)
class _Lines:
    """The straight line through all pairs, in the sample (first) and in every resample."""

    sums: Float[np.ndarray, "draw 5"]
    pairs: Float[np.ndarray, " draw"]
    shifts: tuple[float, float]

    def at(self, x: Float[np.ndarray, " draw"]) -> Float[np.ndarray, " draw"]:
        xx, _, xy = deviations(self.sums, self.pairs).T
        mean_x, mean_y = (self.shifts[side] + self.sums[:, side] / self.pairs for side in (0, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return mean_y + xy / xx * (x - mean_x)


def _band(
    quantiles: tuple[float, float], threshold: float, sums: Float[np.ndarray, "draw 3"], lines: _Lines
) -> tuple[Band, Float[np.ndarray, " draw"]]:
    pairs = np.where(sums[:, 0] > 0, sums[:, 0], np.nan)
    x, y = sums[:, 1] / pairs, sums[:, 2] / pairs
    excess = y - lines.at(x)
    held = Band(
        quantiles,
        threshold,
        int(sums[0, 0]),
        float(x[0]),
        float(y[0]),
        _interval(y[1:]),
        float(excess[0]),
        _interval(excess[1:]),
    )
    return held, y


def _pair_weights(rng: np.random.Generator, groups: int, resamples: int) -> Float[np.ndarray, "draw example example"]:
    """How often a resample counts the pairs between two groups; the first is the sample itself.

    Groups are drawn with replacement. One drawn w times gives w^2 times its inner pairs; a token and its own copy are
    no pair.
    """
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)
    drawn = np.concatenate([np.ones((1, groups)), drawn])
    return drawn[:, :, None] * drawn[:, None, :]


def _cuts(counts: Float[np.ndarray, " example"], quantiles: list[float]) -> dict[float, int]:
    """For every quantile the edge of a bin nearest to it in the share of pairs below."""
    below = np.concatenate([[0.0], np.cumsum(counts)]) / counts.sum()
    cuts = {q: int(np.argmin(np.abs(below - q))) for q in quantiles}
    return cuts | {0.0: 0, 1.0: len(counts)}


def _spearman(courses: Float[np.ndarray, "draw example"]) -> Float[np.ndarray, " draw"]:
    """Rank correlation of every row with its place; bins that are empty in the sample are passed over."""
    courses = courses[:, ~np.isnan(courses[0])]
    if courses.shape[1] < 3:
        return np.full(len(courses), np.nan)
    ranks = np.argsort(np.argsort(courses, axis=1), axis=1).astype(np.float64)
    places = np.arange(courses.shape[1]) - (courses.shape[1] - 1) / 2
    return ranks @ places / (places @ places)


def _interval(values: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    """The middle 95 %."""
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)
