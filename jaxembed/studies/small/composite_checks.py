"""What the composite table is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..check import Check
from ..measured import UNDEFINED, Measured

if TYPE_CHECKING:
    from .composite import Cell, CompositeTable

ACTING = {"addition": "label", "label-neutral": "context"}
"""The signature that drives the anchors' embeddings apart: of first order, or of third where the first says nothing."""

UNINFORMATIVE = {
    "addition": {"context"},
    "label-neutral": {"label"},
    "modular": {"label", "context"},
    "memory": {"context"},
}
"""Signatures that are the same for all anchors, so that agreement with them is undefined."""


def checks_of(table: CompositeTable) -> list[Check]:
    """The figures of the table's size, and the two that hold at every size."""
    figures = tiny(table) if table.size == "tiny" else normal(table)
    return [*figures, _undefined(table), _complete(table)]


def normal(table: CompositeTable) -> list[Check]:
    """The published figures, on the mean over seeds."""
    checks = []
    for cell in table.cells:
        if cell.task in ACTING:
            agreement = getattr(cell, ACTING[cell.task]).r_cos
            checks.append(_at_least(cell, "order", cell.order, 0.9))
            checks.append(_at_least(cell, f"R_cos with the acting signature, {ACTING[cell.task]}", agreement, 0.85))
    linear, feedforward = (table.cell("modular", model) for model in ("linear", "feedforward"))
    low = Check(_name(linear, "accuracy"), "<= 0.15", str(linear.accuracy), linear.accuracy.mean <= 0.15)
    checks += [low, _unordered(linear)]
    checks += [_at_least(feedforward, "accuracy", feedforward.accuracy, 0.99)]
    checks += [_at_least(feedforward, "order", feedforward.order, 0.9)]
    return checks + [_unordered(cell) for cell in table.cells if cell.task == "memory"]


def tiny(table: CompositeTable) -> list[Check]:
    """At size tiny both models order the anchors of addition, more than on shuffled labels."""
    cells = [cell for cell in table.cells if cell.task == "addition"]
    asked = "above that of shuffled labels"
    return [Check(_name(c, "order"), asked, str(c.order), c.order.mean > c.order.null_mean) for c in cells]


def _name(cell: Cell, what: str) -> str:
    return f"{cell.task}, {cell.model}: {what}"


def _at_least(cell: Cell, what: str, got: Measured, least: float) -> Check:
    return Check(_name(cell, what), f">= {least:g}", str(got), got.mean >= least)


def _unordered(cell: Cell) -> Check:
    return Check(_name(cell, "order"), "mean within ±0.3", str(cell.order), abs(cell.order.mean) <= 0.3)


def _undefined(table: CompositeTable) -> Check:
    """Agreement is undefined, and says so, exactly where the anchors' signatures do not differ."""
    found = {task: set() for task in UNINFORMATIVE}
    consistent = True
    for cell in table.cells:
        undefined = {kind for kind in ("label", "context") if str(getattr(cell, kind).r_cos) == UNDEFINED}
        consistent &= undefined == UNINFORMATIVE[cell.task]
        found[cell.task] |= undefined
    got = "; ".join(f"{task}: {', '.join(sorted(kinds))}" for task, kinds in found.items())
    return Check('R_cos "undefined"', "exactly where the anchors' signatures are equal", got, consistent)


def _complete(table: CompositeTable) -> Check:
    numbers = [m for c in table.cells for m in (c.accuracy, c.order, c.label.r_cos, c.context.r_cos)]
    defined = [m for m in numbers if str(m) != UNDEFINED]
    complete = [bool(np.isfinite([m.mean, m.sd, m.null_mean, m.null_sd]).all()) for m in defined]
    got = f"{sum(complete)} of {len(complete)} defined numbers"
    return Check("mean, spread and shuffled null", "every defined number in every cell", got, all(complete))
