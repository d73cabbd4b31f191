"""A claim, the evidence for it, its verdict, and the table they are printed in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..observables import summary

Verdict = Literal["reproduced", "contradicted", "undecided"]
UNDEFINED = "undefined"


@dataclass(frozen=True)
class Evidence:
    """What a study says of a claim.

    Attributes:
        values: `[seed]`, the measured number.
        null: the control's `[seed]`, or None where there is none.
        ceiling: the best possible value in words.
        least: the claim holds from this value on, or None.
        most: the claim holds up to this value, or None.
        varied: what differs between the values.
    """

    values: np.ndarray
    null: np.ndarray | None
    ceiling: str
    least: float | None = None
    most: float | None = None
    varied: str = "init seeds"


@dataclass(frozen=True)
class Claim:
    """One published statement and how it is measured; `study` is a key of `STUDIES`."""

    id: str
    claim: str
    source: str
    published: str
    study: str
    measure: Callable[[Any], Evidence]
    full: bool = False


@dataclass(frozen=True)
class Row:
    """A claim carried out; all text, as printed and written."""

    id: str
    claim: str
    source: str
    published: str
    ours: str
    null: str
    ceiling: str
    verdict: Verdict
    seconds: float


def verdict(evidence: Evidence) -> Verdict:
    """Reproduced where the 95 % interval over seeds lies inside the claim, contradicted where wholly outside.

    >>> verdict(Evidence(np.array([0.95, 0.96, 0.97]), None, "1", least=0.9))
    'reproduced'
    >>> verdict(Evidence(np.array([0.5, 0.9, 0.99]), None, "1", least=0.9))
    'undecided'
    """
    values = evidence.values
    if not np.isfinite(values).all():
        return "undecided"
    low, high = _interval(values)
    least = -np.inf if evidence.least is None else evidence.least
    most = np.inf if evidence.most is None else evidence.most
    if low >= least and high <= most:
        return "reproduced"
    return "contradicted" if high < least or low > most else "undecided"


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Student's interval of the mean over seeds; one seed is taken as it is, and says so where it is printed."""
    if len(values) == 1:
        return float(values[0]), float(values[0])
    found = summary(values)
    return float(found.low), float(found.high)


def printed(rows: list[Row]) -> Any:
    """A table that is legible at 80 columns: one claim below the other, its numbers line by line."""
    from rich.table import Table

    table = Table(title="claims: published and measured", show_lines=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold")
    for row in rows:
        lines = [f"[bold]{row.id}[/]: {row.claim}", f"published: {row.published} ({row.source})", f"ours: {row.ours}"]
        lines += [f"null: {row.null}", f"ceiling: {row.ceiling}; {row.seconds:.0f} s"]
        table.add_row(row.verdict, "\n".join(lines))
    return table


def row_of(claim: Claim, evidence: Evidence, seconds: float) -> Row:
    null = "none" if evidence.null is None else _text(evidence.null, evidence.varied)
    ours, found = _text(evidence.values, evidence.varied), verdict(evidence)
    return Row(
        claim.id, claim.claim, claim.source, claim.published, ours, null, evidence.ceiling, found, round(seconds, 1)
    )


def _text(values: np.ndarray, varied: str) -> str:
    if not np.isfinite(values).all():
        return UNDEFINED
    return f"{values[0]:.3g} (one value)" if len(values) == 1 else str(summary(values, varied))
