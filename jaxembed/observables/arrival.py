"""When a structure is there: one rule for every curve, whatever it measures."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..text import extremes, number, with_span
from .crossing import crossing
from .summary import summary

Curves = Float[np.ndarray, "seed time"]


@dataclass(frozen=True)
class Arrival:
    """When curves pass half of their rise for good.

    Attributes:
        times: `[seed]`, in the unit of the clock; NaN where a curve never arrives.
        at_once: `[seed]`, whether half of the rise is there at the first save already: the time is then that save's,
            an upper bound.
    """

    times: Float[np.ndarray, " seed"]
    at_once: Bool[np.ndarray, " seed"]

    @property
    def arrived(self) -> Bool[np.ndarray, " seed"]:
        return ~np.isnan(self.times)

    @property
    def everywhere(self) -> bool:
        """Whether it arrives in every seed."""
        return bool(self.arrived.all())

    def interval(self, level: float = 0.95) -> tuple[float, float, float]:
        """Geometric mean over seeds with the ends of its interval (Student's t of ln time); NaN where undefined.

        Defined where every seed arrives at a time above 0; one seed has no interval.
        """
        if not self.everywhere or self.times.min() <= 0:
            return float("nan"), float("nan"), float("nan")
        logs = summary(np.log(self.times), level=level)
        return float(np.exp(logs.mean)), float(np.exp(logs.low)), float(np.exp(logs.high))

    def __str__(self) -> str:
        seeds = len(self.times)
        if not self.everywhere:
            return f"not arrived in {seeds - self.arrived.sum()} of {seeds} seeds"
        if self.at_once.all():
            return f"at or before the first save, {number(self.times.max())}"
        if self.times.min() <= 0:
            later = self.times[self.times > 0]
            return (f"at the first save, 0, in {seeds - len(later)} of {seeds} seeds; in the others at "
                    f"{extremes(later, between=' to ')}")  # fmt: skip
        return with_span(*self.interval())


def arrival(
    ts: Float[np.ndarray, " time"],
    scores: Curves,
    null: Float[np.ndarray, " seed"] | float = 0.0,
    margin: Float[np.ndarray, " seed"] | float = 0.0,
    *,
    final: Float[np.ndarray, " seed"] | float | None = None,
    share: float = 0.5,
) -> Arrival:
    """First time at which (score - null) / (final - null) passes `share` and stays above it.

    Between two saves the score is taken as straight in ln t; from a save at 0 to the next as straight in t.

    Args:
        ts: `[time]`, increasing saves of one clock, none negative.
        scores: `[seed, time]`, larger is better.
        null: the score of no structure.
        margin: how far the final score has to exceed the null; half an interval of the final score. Where it does not,
            the structure never arrived and has no time.
        final: the score of the whole structure where it is known; None takes the last save's. A curve that ends below
            the share of that rise has not arrived.
        share: of the rise.

    Raises:
        ValueError: for times that do not increase, a share outside (0, 1), and scores, nulls or margins that are not
            finite.

    >>> print(arrival(np.array([1.0, 10.0, 100.0]), np.array([[0.0, 0.0, 1.0]])))
    31.6
    >>> print(arrival(np.array([1.0, 10.0]), np.array([[0.0, 0.01]]), margin=0.02))
    not arrived in 1 of 1 seeds
    """
    _check(ts, scores, share)
    _finite(null=null, margin=margin, final=0.0 if final is None else final)
    ends = scores[:, -1]
    rise = (ends if final is None else np.broadcast_to(final, ends.shape)) - null
    there = (rise > 0) & (ends - null > np.maximum(margin, 0 if final is None else share * rise))
    above = scores - np.broadcast_to(null, ends.shape)[:, None]
    shares = above / np.where(there, rise, np.nan)[:, None]
    times = np.array([_last_crossing(ts, row, share) if ok else np.nan for row, ok in zip(shares, there, strict=True)])
    at_once = there & ~(shares < share).any(axis=1)
    return Arrival(times, at_once)


def before(first: Arrival, second: Arrival) -> float:
    """Share of seeds in which one structure arrives earlier than another; one that never arrives is the later.

    >>> early, late = (Arrival(np.array(t), np.zeros(2, bool)) for t in ([1.0, 2.0], [3.0, np.nan]))
    >>> print(before(early, late), before(late, early))
    1.0 0.0
    """
    a, b = (np.where(x.arrived, x.times, np.inf) for x in (first, second))
    return float(np.mean(a < b))


def _last_crossing(ts: np.ndarray, shares: np.ndarray, share: float) -> float:
    below = np.flatnonzero(shares < share)
    if len(below) == 0:
        return float(ts[0])
    last = below[-1]
    part = crossing(np.array([0.0, 1.0]), shares[last : last + 2], share)
    start, end = ts[last], ts[last + 1]
    if start == 0:
        return float(part * end)
    return float(start * (end / start) ** part)


def _check(ts: np.ndarray, scores: np.ndarray, share: float) -> None:
    if len(ts) < 2 or ts[0] < 0 or np.any(np.diff(ts) <= 0):
        raise ValueError("ts: need at least two increasing times, none negative")
    if not np.isfinite(scores).all():
        raise ValueError("scores: all must be finite; leave out saves at which the score is undefined")
    if not 0 < share < 1:
        raise ValueError(f"share: need a share of the rise between 0 and 1, got {share}")


def _finite(**values: Float[np.ndarray, " seed"] | float) -> None:
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: must be finite in every seed; leave out what has none")
