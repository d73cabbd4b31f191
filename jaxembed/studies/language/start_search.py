"""The search before the study of starts: learning rates, then forms, then norms, and one trial beyond each grid."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...base import Progress
from ...theory.signature_start import Form
from .start_training import USUAL, Bench, Start, StartRun

SEARCH_HEADER = ("start", "form", "norm / usual", "learning rate", "held-out loss", "a tenth in", "tried")


@dataclass(frozen=True)
class StartGrid:
    """What is tried.

    Attributes:
        steps: of one trial, a whole schedule of its own.
        seed: of all of it; no reported seed is it.
        rates: learning rates, for the standard start and for signatures, each by itself.
        forms: tried at the norm of the standard start.
        factors: on that norm besides 1, for the best form and for the standard start alike.
    """

    steps: int = 60
    seed: int = 1000
    rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    forms: tuple[Form, ...] = (
        Form(rows="equal"),
        Form(),
        Form(normaliser=0.0),
        Form(whitening=0.5),
        Form(rows="equal", power=0.0),
        Form(rows="equal", power=1.0),
    )
    factors: tuple[float, ...] = (0.25, 0.5, 2.0, 4.0)


@dataclass(frozen=True)
class StartTrial:
    """One run of the search, and the held-out loss a tenth into it and at its end."""

    run: StartRun
    early: float
    loss: float
    beyond: bool = False
    """Outside the grid: reported, never chosen."""

    def row(self) -> tuple[str, ...]:
        """In the order of `SEARCH_HEADER`."""
        form, run = self.run.form, self.run
        words = f"a {form.normaliser:g}, power {form.power:g}, b {form.whitening:g}, {form.rows} rows"
        shown = "none" if run.start == "standard" else words
        tried = "beyond the grid" if self.beyond else "in the grid"
        losses = f"{self.loss:.3f}", f"{self.early:.3f}"
        return run.start, shown, f"{run.norm / USUAL:g}", f"{run.learning_rate:g}", *losses, tried


@dataclass(frozen=True)
class SearchAxis:
    """A number tried for one start: the values, the best of them, and the trial at twice the largest."""

    name: Literal["learning_rate", "norm"]
    values: tuple[float, ...]
    best: StartTrial
    beyond: StartTrial

    def line(self) -> str:
        """Whether the choice lies inside the grid and, where not, what was found beyond."""
        chosen = getattr(self.best.run, self.name)
        label = f"{self.best.run.start}, {self.name.replace('_', ' ')}"
        if min(self.values) < chosen < max(self.values):
            return f"{label}: the best tried was inside the grid: {chosen:g}"
        found = f"{label}: the best tried was at the edge: {chosen:g}"
        if chosen < max(self.values):
            return f"{found}, the least; nothing below was tried"
        further = getattr(self.beyond.run, self.name)
        return f"{found}, loss {self.best.loss:.3f}; beyond it {further:g}, loss {self.beyond.loss:.3f}"


@dataclass(frozen=True)
class StartSearch:
    """What was tried and chosen.

    Attributes:
        trials: in their order, those beyond the grid among them.
        form: of the signatures.
        rates: learning rate of the "standard" start and of "signatures" with their controls.
        norms: best norm of "standard" and of "signatures".
        axes: one by one, with what was beyond.
    """

    trials: tuple[StartTrial, ...]
    form: Form
    rates: dict[str, float]
    norms: dict[str, float]
    axes: tuple[SearchAxis, ...] = ()


def search(grid: StartGrid, bench: Bench, progress: Progress) -> StartSearch:
    """Learning rates first, then forms, then norms: each with the best so far."""
    trials: list[StartTrial] = []
    axes: list[SearchAxis] = []

    def tried(run: StartRun, beyond: bool = False) -> StartTrial:
        curve, steps = bench.curve(run), bench.setting.steps_of(run)
        trial = StartTrial(run, float(np.interp(0.1 * run.steps, steps, curve)), float(curve[-1]), beyond)
        if trial not in trials:
            trials.append(trial)
            progress(f"search: {', '.join(trial.row())}")
        return trial

    def best_of(runs: list[StartRun]) -> StartTrial:
        return min(map(tried, runs), key=lambda trial: trial.loss)

    def along(base: StartRun, name: Literal["learning_rate", "norm"], values: tuple[float, ...]) -> StartRun:
        best = best_of([replace(base, **{name: value}) for value in values])
        axes.append(SearchAxis(name, values, best, tried(replace(base, **{name: 2 * max(values)}), beyond=True)))
        return best.run

    def start(kind: Start) -> StartRun:
        return StartRun(kind, grid.seed, grid.steps, 1.0, grid.rates[0], grid.forms[0])

    norms = tuple(factor * USUAL for factor in (1.0, *grid.factors))
    usual = along(start("standard"), "learning_rate", grid.rates)
    signatures = along(start("signatures"), "learning_rate", grid.rates)
    signatures = best_of([replace(signatures, form=form) for form in grid.forms]).run
    best = {"signatures": along(signatures, "norm", norms), "standard": along(usual, "norm", norms)}
    rates, norm_of = ({kind: getattr(run, name) for kind, run in best.items()} for name in ("learning_rate", "norm"))
    return StartSearch(tuple(trials), signatures.form, rates, norm_of, tuple(axes))
