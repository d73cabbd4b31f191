"""What a study says of a claim: values, null, ceiling, and the one bound that decides."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.stats import ttest_ind

from ..observables import summary
from ..tables import Table, extremes, number, with_span

Size = Literal["tiny", "quick", "published"]
"""tiny: the whole path in seconds; quick: minutes, smaller than published; published: the published setting."""
SIZES: tuple[Size, ...] = ("tiny", "quick", "published")
Kind = Literal["paper", "expectation", "machinery"]
"""A bound is the paper's number, our own expectation, or a check of the machinery (a closed form, a control that must
fail). Only the first kind reproduces or contradicts a paper; only the last decides an exit code."""
Verdict = Literal[
    "reproduced", "contradicted", "in the direction of", "against", "holds", "fails",
    "undecided", "undecided (one value)", "no evidence",
]  # fmt: skip


@dataclass(frozen=True)
class Bound:
    """Where values have to lie for a claim to hold.

    Attributes:
        kind: whose bound it is.
        least: the claim holds from this value on, or None.
        most: the claim holds up to this value, or None.
        source: where the bound comes from, in words: "Table 2: 82.8 %", "expected at 160 tokens", "closed form".
        strict: whether a value equal to the bound misses it.
    """

    kind: Kind
    least: float | None = None
    most: float | None = None
    source: str = ""
    strict: bool = False

    def __post_init__(self) -> None:
        ends = [end for end in (self.least, self.most) if end is not None]
        if not ends:
            raise ValueError("least, most: a bound needs one of them")
        if not np.isfinite(ends).all() or ends[0] > ends[-1]:
            raise ValueError(f"least, most: {self.least} and {self.most} decide nothing; give finite numbers in order")

    def holds(self, values: Float[np.ndarray, "..."] | float) -> bool:
        """Whether all values lie inside; an undefined value does not."""
        x = np.asarray(values, np.float64)
        if np.isnan(x).any():
            return False
        above, below = (np.greater, np.less) if self.strict else (np.greater_equal, np.less_equal)
        low = self.least is None or bool(np.all(above(x, self.least)))
        return low and (self.most is None or bool(np.all(below(x, self.most))))

    def misses(self, low: float, high: float) -> bool:
        """Whether an interval lies wholly outside."""
        under = self.least is not None and (high < self.least or (self.strict and high == self.least))
        return under or (self.most is not None and (low > self.most or (self.strict and low == self.most)))

    def __str__(self) -> str:
        """Such as ">= 0.9 and <= 1 (paper: Table 2)"."""
        signs = (">", "<") if self.strict else (">=", "<=")
        pairs = zip(signs, (self.least, self.most), strict=True)
        asked = " and ".join(f"{sign} {number(end)}" for sign, end in pairs if end is not None)
        return f"{asked} ({self.kind}{': ' if self.source else ''}{self.source})"


@dataclass(frozen=True)
class Evidence:
    """What a study measured of one claim; it alone decides exit code, test and ledger row.

    Attributes:
        id: of the claim, the same at every size.
        claim: in words, with what is measured.
        values: `[seed]`, the measured number; NaN is undefined.
        bound: what decides.
        published: the published number in words; "" where nothing is published.
        null: the control's `[seed]`, or None.
        no_null: why there is no null; needed where there is none.
        ceiling: the best possible value in words.
        varied: what differs between the values.
        interval: of the mean, where it is not Student's over the values (a bootstrap over items, a paired difference);
            both ends the value where the number is exact.
        difference: interval of the value less its null, where the study has its own (paired over items).
        every: whether every value has to lie inside the bound, in place of the interval of their mean.
        source: of this claim, where it is not the study's.
    """

    id: str
    claim: str
    values: Float[np.ndarray, " seed"]
    bound: Bound
    published: str = ""
    null: Float[np.ndarray, "..."] | None = None
    no_null: str = ""
    ceiling: str = ""
    varied: str = "init seeds"
    interval: tuple[float, float] | None = None
    difference: tuple[float, float] | None = None
    every: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if np.ndim(self.values) != 1 or not len(self.values):
            raise ValueError(f"values: {self.id} needs one number a seed, got shape {np.shape(self.values)}")
        if self.null is None and not self.no_null:
            raise ValueError(f"no_null: {self.id} has no null; say why")

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def ends(self) -> tuple[float, float]:
        """The interval that is held against the bound: the study's own, or Student's; a single value is both ends."""
        if self.interval is not None:
            return self.interval
        if self.every:
            return float(np.min(self.values)), float(np.max(self.values))
        return _student(self.values)

    @property
    def null_ends(self) -> tuple[float, float] | None:
        """Student's interval of the null's mean; a single number is both ends; None where there is no null."""
        return None if self.null is None else _student(np.ravel(self.null))

    @property
    def single(self) -> bool:
        """Whether there is one value and no interval of the study's own."""
        return len(self.values) == 1 and self.interval is None

    @property
    def undefined(self) -> bool:
        """Whether a value is no number, or the control is none: an undefined control shows nothing."""
        unknown = self.null is not None and bool(np.isnan(self.null).any())
        return unknown or not np.isfinite(self.values).all()

    @property
    def null_passes(self) -> bool:
        """Whether the control lies inside the bound too, so that the value shows nothing."""
        return self.null is not None and self.bound.holds(float(np.mean(self.null)))

    def apart(self, side: int) -> bool:
        """Whether the value lies above its null (side 1) or below it (-1).

        By the study's own interval of the difference; by every pair, in a check of the machinery, which has to fail
        where a single seed goes wrong; by Student's interval of the paired difference where value and null are as
        many; by Welch's where both are several; else by intervals that do not meet, a single number being its own.
        """
        null = np.ravel(np.zeros(0) if self.null is None else self.null)
        x, several = self.values, min(len(self.values), len(null)) > 1
        paired = several and len(x) == len(null)
        if self.difference is not None:
            low, high = self.difference
        elif self.bound.kind == "machinery":
            gaps = x - null if paired else np.subtract.outer(x, null)
            low, high = float(np.min(gaps)), float(np.max(gaps))
        elif paired:
            low, high = _student(x - null)
        elif several and self.interval is None:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # equal numbers: the interval is their difference
                low, high = ttest_ind(x, null, equal_var=False).confidence_interval(0.95)
            if np.isnan(low):
                low = high = float(np.mean(x) - np.mean(null))
        else:
            ours, theirs = self.ends, _student(null)
            low, high = ours[0] - theirs[1], ours[1] - theirs[0]
        return bool(low > 0 if side > 0 else high < 0)

    @property
    def beats_null(self) -> bool:
        """Whether the null lies outside the bound and the value on the right side of it; True without a null."""
        if self.null is None:
            return True
        below = self.bound.least is not None and float(np.mean(self.null)) <= self.bound.least
        return not self.null_passes and self.apart(1 if below else -1)

    def holds(self) -> bool:
        """Whether the interval lies inside the bound, and the value on the right side of its null."""
        known = not self.undefined and (not self.single or self.bound.kind == "machinery")
        return known and self.bound.holds(np.array(self.ends)) and self.beats_null

    def got(self) -> str:
        """The number with its interval, and what varied."""
        if not np.isfinite(self.values).all():
            return "undefined" if np.isnan(self.values).any() else "not finite"
        if self.single:
            return f"{number(self.mean)} (one value)"
        if self.every and self.interval is None:
            return f"{extremes(self.values)} over {len(self.values)} {self.varied}"
        return f"{with_span(self.mean, *self.ends)} over {len(self.values)} {self.varied}"

    def null_text(self) -> str:
        """The control's number, or why there is none."""
        if self.null is None:
            return f"none: {self.no_null}"
        found = Evidence(self.id, self.claim, np.ravel(self.null), self.bound, no_null="it is one", varied=self.varied)
        return found.got()


def verdict(evidence: Evidence, size: Size) -> Verdict:
    """What the evidence says at a size.

    | value's interval | null | verdict |
    | --- | --- | --- |
    | a value or the null is undefined | | undecided |
    | one value without an interval, and the bound is no check of the machinery | | undecided (one value) |
    | wholly outside the bound | any | contradicted; against below the published size; fails where not the paper's |
    | inside, or across an end | inside the bound too | no evidence |
    | across an end | outside the bound | undecided |
    | inside | outside, but not apart from the value (`Evidence.apart`) | no evidence |
    | inside | outside and on the other side, or there is none | reproduced; in the direction of; holds |

    >>> paper = Bound("paper", least=0.9)
    >>> row = Evidence("a", "a", np.array([0.95, 0.96, 0.97]), paper, null=np.array([0.1]))
    >>> verdict(row, "published"), verdict(row, "quick")
    ('reproduced', 'in the direction of')
    >>> verdict(Evidence("a", "a", np.array([0.5, 0.9, 0.99]), paper, null=np.array([0.1])), "published")
    'undecided'
    >>> verdict(Evidence("a", "a", np.array([0.95, 0.96, 0.97]), paper, null=np.array([0.93])), "published")
    'no evidence'
    """
    paper, inside = evidence.bound.kind == "paper", evidence.bound.holds(np.array(evidence.ends))
    if evidence.undefined:
        return "undecided"
    if evidence.single and evidence.bound.kind != "machinery":
        return "undecided (one value)"
    if evidence.bound.misses(*evidence.ends):
        return "fails" if not paper else "contradicted" if size == "published" else "against"
    if evidence.null_passes or (inside and not evidence.beats_null):
        return "no evidence"
    if not inside:
        return "undecided"
    return "holds" if not paper else "reproduced" if size == "published" else "in the direction of"


def _student(values: Float[np.ndarray, " seed"]) -> tuple[float, float]:
    """Student's interval of the mean; a single value is both ends."""
    if len(values) == 1:
        return float(values[0]), float(values[0])
    found = summary(values)
    return float(found.low), float(found.high)


def short(rows: tuple[Evidence, ...]) -> list[str]:
    """Ids of the checks of the machinery that do not hold: what an exit code is made of."""
    return [row.id for row in rows if row.bound.kind == "machinery" and not row.holds()]


def unmet(rows: tuple[Evidence, ...], size: Size) -> list[str]:
    """Claims of a paper and expectations of ours that do not hold, each with its verdict; no exit code follows."""
    others = [row for row in rows if row.bound.kind != "machinery" and not row.holds()]
    return [f"{row.id} ({row.bound.kind}: {verdict(row, size)})" for row in others]


def evidence_table(title: str, rows: tuple[Evidence, ...], size: Size, smaller: str = "") -> Table:
    """Every claim with its bound, what came out of which values, its null and ceiling, and the verdict at this size.

    Args:
        title: one line.
        rows: of a study.
        size: at which it ran.
        smaller: what is smaller than published at that size.
    """
    header = ("claim", "asked", "got", "values", "null", "ceiling", "verdict")
    told = [
        (f"{row.id}: {row.claim}", str(row.bound), row.got(), ", ".join(map(number, row.values)), row.null_text(),
         row.ceiling or "-", verdict(row, size))
        for row in rows
    ]  # fmt: skip
    return Table(title, header, told, f"size {size}: {smaller}" if smaller else f"size {size}")
