"""How embeddings agree with signatures over a whole vocabulary: how much, how surely, for which pairs and tokens."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ...base import Progress, generator, silent
from ._bands import BINS, Band, cosine_bins, similarity_bands
from ._identities import Similarity, similarity
from ._permutations import mantel_sd, neighbour_null, overlap, p_value, r_cos_null, shuffles
from ._scan import ScanPlan, scan
from ._unit_rows import Rows, Targets, Unit
from .blockwise import BUDGET, correlation, deviations, floors, has_direction, units_of_same_tokens

GROUPS = 20
"""Parts into which the tokens fall at random; intervals come from drawing them again, with replacement."""
RESAMPLES = 400


@dataclass(frozen=True)
class Alignment:
    """What `alignment` found. Undefined is NaN; intervals are 95 %, over resampled tokens.

    Attributes:
        tokens: that took part.
        left_out: tokens without a direction on one side (a zero row: a token that never occurs).
        mean_cosines: over all pairs, of embeddings and of signatures.
        r_cos: correlation of the two cosines over all pairs.
        interval: of `r_cos`.
        null: `[draw]`, `r_cos` with the tokens of one side relabelled at random, once per permutation.
        null_sd: its exact standard deviation over all relabellings (its exact mean is zero).
        p_value: share of relabellings that agree at least as well, the given labelling counted in (Mantel test).
        bands: pairs by tenths of embedding similarity.
        tails: pairs above the 50, 90, 99 and 99.9 % quantile of embedding similarity.
        trend: Spearman correlation over the tenths of their place and their mean signature cosine.
        trend_interval: of `trend`.
        resolution: width of the bins at whose edges the quantiles are cut, a cosine.
        top: neighbours compared per token.
        overlap: share of a token's `top` nearest by embedding that are among its `top` nearest by signature.
        overlap_null: `[draw]`, the same under the permutations; its exact mean is `top / (tokens - 1)`.
        overlap_p_value: as `p_value`.
        scores: `[token]`, for every row of the arguments the correlation of its cosines with all others on both
            sides; NaN for those left out.
    """

    tokens: int
    left_out: int
    mean_cosines: tuple[float, float]
    r_cos: float
    interval: tuple[float, float]
    null: Float[np.ndarray, " draw"]
    null_sd: float
    p_value: float
    bands: tuple[Band, ...]
    tails: tuple[Band, ...]
    trend: float
    trend_interval: tuple[float, float]
    resolution: float
    top: int
    overlap: float
    overlap_null: Float[np.ndarray, " draw"]
    overlap_p_value: float
    scores: Float[np.ndarray, " token"]

    @property
    def pairs(self) -> int:
        return self.tokens * (self.tokens - 1) // 2

    @property
    def null_99(self) -> float:
        """The 99 % quantile of the relabelled `r_cos`."""
        return float(np.quantile(self.null, 0.99))

    @property
    def overlap_99(self) -> float:
        """The 99 % quantile of the relabelled `overlap`."""
        return float(np.quantile(self.overlap_null, 0.99))

    @property
    def overlap_chance(self) -> float:
        """What `overlap` is on average where nothing agrees."""
        return self.top / (self.tokens - 1)


def alignment(
    W: Rows,
    S: Targets,
    *,
    budget: int = BUDGET,
    permutations: int = 199,
    key: PRNGKeyArray | int = 0,
    top: int = 10,
    progress: Progress = silent,
) -> Alignment:
    """Agreement of embeddings and signatures over every pair of tokens, in one pass over blocks of pairs.

    Args:
        W: `[token, width]` or SparseRows: embeddings.
        S: `[token, target]` or SparseRows: signatures of the same tokens.
        budget: bytes of working memory, besides `W`, `S` and one copy of sparse rows.
        permutations: relabellings of the tokens behind the null; 199 resolve p = 0.005.
        key: of relabellings and resampling.
        top: neighbours compared per token.
        progress: takes what is computed, and the share of it that is done.

    Raises:
        ValueError: where a row is not finite, the numbers of tokens differ, fewer than 4 tokens have a direction,
            or the budget is too small.

    >>> S = np.random.default_rng(0).normal(size=(60, 5))
    >>> found = alignment(S, S, permutations=19, top=3)
    >>> print(round(found.r_cos, 3), found.overlap, found.p_value)
    1.0 1.0 0.05

    Source: yao2025probability, mantel1967.
    """
    if permutations < 1:
        raise ValueError(f"permutations: need at least 1, got {permutations}; 199 resolves p = 0.005")
    a, b = units_of_same_tokens(W, S)
    kept = _kept(a, b)
    rng, total = generator(key), len(a)
    order = rng.permutation(kept)  # groups of consecutive tokens are then random samples
    a, b = a.select(order), b.select(order)
    sides, tokens, top = (similarity(a), similarity(b)), len(order), min(top, len(order) - 1)
    plan = _plan(sides, budget, top, lambda share: progress("every pair", share))
    sums = scan(a, b, plan)
    pairs = tokens * (tokens - 1) / 2
    about, least = deviations(sums.groups.sum(axis=(0, 1)), pairs), floors(a, b)
    r = float(correlation(about, pairs, least))
    bands = similarity_bands(sums, plan, least, rng, RESAMPLES)
    draws = shuffles(rng, tokens, permutations)
    null, null_sd = np.full(permutations, np.nan), math.nan
    if not math.isnan(r):
        null = r_cos_null(sides, 2 * about[:2], draws, budget, lambda share: progress("relabellings", share))
        null_sd = mantel_sd(sums.tokens[:, :2], 2 * about[:2])
    near, near_in_signature = sums.neighbours
    shared, chance = overlap(near, near_in_signature), neighbour_null(near, near_in_signature, draws)
    scores = np.full(total, np.nan)
    scores[order] = correlation(deviations(sums.tokens, tokens - 1), tokens - 1, least)
    return Alignment(
        tokens=tokens,
        left_out=total - tokens,
        mean_cosines=(sides[0].pairs_mean, sides[1].pairs_mean),
        r_cos=r,
        interval=bands.r_cos_interval,
        null=null,
        null_sd=null_sd,
        p_value=p_value(r, null),
        bands=bands.tenths,
        tails=bands.tails,
        trend=bands.trend,
        trend_interval=bands.trend_interval,
        resolution=1 / plan.scale,
        top=top,
        overlap=shared,
        overlap_null=chance,
        overlap_p_value=p_value(shared, chance),
        scores=scores,
    )


def _kept(a: Unit, b: Unit) -> Int[np.ndarray, " token"]:
    """Tokens with a direction on both sides.

    Raises:
        ValueError: where a row is not finite, or fewer than 4 are left.
    """
    for name, side in (("W", a), ("S", b)):
        broken = np.flatnonzero(~np.isfinite(side.norms))
        if len(broken):
            raise ValueError(f"{name}: {len(broken)} rows are not finite, the first is {broken[0]}; leave them out")
    kept = np.flatnonzero(has_direction(a) & has_direction(b))
    if len(kept) < 4:
        raise ValueError(f"W, S: need at least 4 tokens with non-zero rows on both sides, got {len(kept)}")
    return kept


def _plan(sides: tuple[Similarity, Similarity], budget: int, top: int, progress: Callable[[float], None]) -> ScanPlan:
    tokens, (low, scale) = len(sides[0].unit), cosine_bins(sides[0].unit)
    shifts = sides[0].pairs_mean, sides[1].pairs_mean
    return ScanPlan(np.arange(tokens), shifts, budget, min(GROUPS, tokens), BINS, low, scale, top, progress)
