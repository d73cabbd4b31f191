"""Does theory help training? Decoders that start from signatures, and how many steps that saves at equal loss."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ..models import Decoder
from ..observables import summary
from ..theory.signature_start import Form
from .check import Check, Size
from .measured import silent
from .start_cells import USUAL, Bench, Cell, Setting, Start

BEST = "signatures, best norm"
"""Signatures at the norm that did best in the search; all other starts have the architecture's."""
AT = (0.1, 0.2, 0.5, 1.0)
"""Shares of a schedule at which steps saved are stated."""
BENCH = Setting()
HEADER = ("schedule", "start", "at share of the schedule", "held-out loss", "standard's", "steps saved", "seeds ahead")
SEARCH_HEADER = ("start", "form", "norm / usual", "learning rate", "held-out loss", "a tenth in")


@dataclass(frozen=True)
class Schedule:
    """A whole schedule, warm-up and cosine, on a part of the text, with some starts and seeds."""

    name: str
    steps: int
    share: float = 1.0
    starts: tuple[str, ...] = ("standard", "signatures", "rotation")
    seeds: int | None = None
    """At most so many; None for all."""


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Attributes:
        bench: text, model, batches.
        schedules: on which the starts are compared.
        search_steps: of one run of the search for form, norm and learning rate.
        search_seed: of all of it; no reported seed is it.
        rates: learning rates tried for the standard start and for signatures, each by itself.
        forms: tried at the norm of the standard start.
        factors: on that norm, tried for the best form and for the standard start alike.
    """

    bench: Setting = BENCH
    schedules: tuple[Schedule, ...] = (
        Schedule("whole text", 160, starts=("standard", "signatures", BEST, "rotation")),
        Schedule("a fifth", 160, 0.2),
        Schedule("whole text, permuted", 160, starts=("permuted",), seeds=2),
        Schedule("whole text, long", 480, starts=("standard", "signatures"), seeds=2),
    )
    search_steps: int = 60
    search_seed: int = 1000
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


_TINY = Plan(
    Setting("python", 200_000, 300, 6_000, Decoder(32, 1, 2, 64), 8, 32, saves=(0, 0.1, 0.2, 0.5, 1)),
    (
        Schedule("whole text", 30, starts=("standard", "signatures", BEST, "rotation")),
        Schedule("a fifth", 30, 0.2),
        Schedule("whole text, permuted", 30, starts=("permuted",), seeds=1),
    ),
    search_steps=12,
    rates=(4e-3,),
    forms=(Form(rows="equal"), Form()),
    factors=(2.0,),
)
SETTINGS = {"tiny": _TINY, "normal": Plan()}


@dataclass(frozen=True)
class Trial:
    """One run of the search, and the held-out loss a tenth into it and at its end."""

    cell: Cell
    early: float
    loss: float

    def row(self) -> tuple[str, ...]:
        """In the order of `SEARCH_HEADER`."""
        form, cell = self.cell.form, self.cell
        words = f"a {form.normaliser:g}, power {form.power:g}, b {form.whitening:g}, {form.rows} rows"
        shown = "none" if cell.start == "standard" else words
        losses = f"{self.loss:.3f}", f"{self.early:.3f}"
        return cell.start, shown, f"{cell.norm / USUAL:g}", f"{cell.learning_rate:g}", *losses


@dataclass(frozen=True)
class Curves:
    """Held-out losses of one schedule.

    Attributes:
        schedule: which.
        tokens: of the text trained on.
        steps: `[time]`, at which losses were taken.
        held: by start, `[seed, time]`, nats per token; seed i is the same seed everywhere.
    """

    schedule: Schedule
    tokens: int
    steps: Float[np.ndarray, " time"]
    held: dict[str, Float[np.ndarray, "seed time"]]

    def gain(self, start: str) -> Float[np.ndarray, "seed time"]:
        """How much lower the held-out loss is than the standard start's, seed by seed."""
        return self._standard(len(self.held[start])) - self.held[start]

    def saved(self, start: str, share: float) -> Float[np.ndarray, " seed"]:
        """Share of the standard start's steps that a start saves at equal held-out loss, seed by seed.

        The standard start's loss at `share` of the schedule is looked up on the other curve, between its saves along
        straight lines. Negative where the other start needs more steps; NaN where it never gets there.
        """
        at = share * self.steps[-1]
        own, other = self._standard(len(self.held[start])), self.held[start]
        needed = [_first_at(self.steps, y, np.interp(at, self.steps, x)) for x, y in zip(own, other, strict=True)]
        return 1 - np.asarray(needed) / at

    def end_of_gain(self, start: str) -> float | None:
        """First step from which on the interval of the gain over seeds reaches down to zero; None if there is none."""
        gain = self.gain(start)[:, 1:]
        lower = gain[0] if len(gain) == 1 else np.asarray(summary(gain).low)
        ahead = np.flatnonzero(~(lower <= 0))
        first = 0 if len(ahead) == 0 else ahead[-1] + 1
        return None if first == len(lower) else float(self.steps[1:][first])

    def loss_at(self, start: str, share: float) -> Float[np.ndarray, " seed"]:
        """Held-out loss at a share of the schedule."""
        return np.asarray([np.interp(share * self.steps[-1], self.steps, curve) for curve in self.held[start]])

    def _standard(self, seeds: int) -> Float[np.ndarray, "seed time"]:
        return self.held["standard"][:seeds]


@dataclass(frozen=True)
class SignatureStart:
    """Every curve of every start, and what was searched before.

    Attributes:
        size: of the study.
        plan: what was trained.
        trials: of the search, in its order.
        form, norm_factor: the best in the search; only `BEST` takes another norm than the standard start's.
        rates: learning rate by kind of start, best in the search ("standard"; "signatures" and its controls).
        curves: by name of the schedule.
    """

    size: Size
    plan: Plan
    trials: tuple[Trial, ...]
    form: Form
    norm_factor: float
    rates: dict[str, float]
    curves: dict[str, Curves] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, ...]]:
        """By schedule, start and share of the schedule, in the order of `HEADER`."""
        return [
            self._row(curves, start, share)
            for curves in self.curves.values()
            for start in curves.held
            if start != "standard"
            for share in AT
        ]

    def ends(self) -> list[str]:
        """One line per schedule: until when the signatures' gain lasts."""
        return [f"{name}: {_end_text(curves)}" for name, curves in self.curves.items() if "signatures" in curves.held]

    def checks(self) -> list[Check]:
        """The gain in the first fifth, its controls, and the end of the schedule, whichever way it falls."""
        main = [curves for curves in self.curves.values() if "rotation" in curves.held]
        return [check for curves in main for check in (self._early(curves), self._control(curves), self._last(curves))]

    def _row(self, curves: Curves, start: str, share: float) -> tuple[str, ...]:
        saved, own, other = curves.saved(start, share), curves.loss_at(start, share), curves.loss_at("standard", share)
        ahead = int(np.sum(own < other[: len(own)]))
        name = f"{curves.schedule.name} ({curves.tokens:,} tokens, {curves.schedule.steps} steps)"
        return (
            name, start, f"{share:g}", _text(own), _text(other[: len(own)]), _percent(saved), f"{ahead} of {len(own)}"
        )  # fmt: skip

    def _early(self, curves: Curves) -> Check:
        saved = curves.saved("signatures", 0.2)
        asked = "steps saved at a fifth of the schedule: a number, whichever way"
        return Check(f"{curves.schedule.name}: signatures", asked, _percent(saved), bool(np.isfinite(saved).all()))

    def _control(self, curves: Curves) -> Check:
        """Signatures must beat their own spectrum on random directions, or the tokens' statistics play no part."""
        ahead = curves.loss_at("rotation", 0.2) - curves.loss_at("signatures", 0.2)
        asked = "rotation's loss above the signatures' at a fifth of the schedule, every seed"
        return Check(f"{curves.schedule.name}: rotation", asked, f"by {_text(ahead)}", bool(np.all(ahead > 0)))

    def _last(self, curves: Curves) -> Check:
        gain = curves.gain("signatures")[:, -1]
        got = f"{_text(gain)} nats ahead, {_percent(curves.saved('signatures', 1.0))} saved; {_end_text(curves)}"
        asked = "gain at the end of the schedule: a number, whichever way"
        return Check(f"{curves.schedule.name}: end", asked, got, bool(np.isfinite(gain).all()))


def signature_start(
    size: Size, seeds: int = 5, progress: Callable[[str], None] = silent, cells: Path | None = None
) -> SignatureStart:
    """Search form, norm and learning rate on one seed, then train every start on the others.

    Standard start and signatures each get the learning rate that is best for them; rotation and permutation get the
    signatures'. Initial blocks, data order and held-out text are the same for all starts of a seed.

    Args:
        size: "tiny" (Python's documentation, seconds) or "normal" (wikipedia_en; needs JAXEMBED_DATA).
        seeds: of init and data order together.
        progress: called with a line of text after each run.
        cells: folder that keeps every finished run, so that a stopped study goes on where it was; None for none.

    Source: yao2025probability.
    """
    plan = SETTINGS[size]
    bench = Bench(plan.bench, cells)
    trials, best, factor, rates = _search(plan, bench, progress)
    result = SignatureStart(size, plan, trials, best, factor, rates)
    for schedule in plan.schedules:
        held = {}
        for start in schedule.starts:
            runs = []
            for seed in range(min(seeds, schedule.seeds or seeds)):
                runs.append(bench.curve(_cell(result, schedule, start, seed)))
                progress(f"{schedule.name}, {start}, seed {seed}: held-out loss {runs[-1][-1]:.3f}")
            held[start] = np.stack(runs)
        if "standard" not in held:  # of the schedule of the same length and text
            held["standard"] = _same(result.curves, schedule).held["standard"]
        steps = np.asarray(plan.bench.steps_of(Cell("standard", 0, schedule.steps, schedule.share, 0.0)), float)
        result.curves[schedule.name] = Curves(schedule, bench.part(schedule.share)[0].tokens, steps, held)
    return result


def _cell(result: SignatureStart, schedule: Schedule, start: str, seed: int) -> Cell:
    rate = result.rates["standard" if start == "standard" else "signatures"]
    kind: Start = "signatures" if start == BEST else start  # pyright: ignore[reportAssignmentType]
    norm = result.norm_factor * USUAL if start == BEST else USUAL
    return Cell(kind, seed, schedule.steps, schedule.share, rate, result.form, norm)


def _search(
    plan: Plan, bench: Bench, progress: Callable[[str], None]
) -> tuple[tuple[Trial, ...], Form, float, dict[str, float]]:
    """Learning rates first, then forms, then norms: each with the best so far."""
    trials: list[Trial] = []

    def best_of(cells: list[Cell]) -> Cell:
        found = [_tried(bench, cell, progress) for cell in cells]
        trials.extend(trial for trial in found if trial not in trials)
        return min(found, key=lambda trial: trial.loss).cell

    base = Cell("standard", plan.search_seed, plan.search_steps, 1.0, plan.rates[0], plan.forms[0])
    usual = best_of([replace(base, learning_rate=rate) for rate in plan.rates])
    signatures = best_of([replace(base, start="signatures", learning_rate=rate) for rate in plan.rates])
    signatures = best_of([replace(signatures, form=form) for form in plan.forms])
    normed = best_of([replace(signatures, norm=factor * USUAL) for factor in (1.0, *plan.factors)])
    best_of([replace(usual, norm=factor * USUAL) for factor in (1.0, *plan.factors)])
    rates = {"standard": usual.learning_rate, "signatures": signatures.learning_rate}
    return tuple(trials), signatures.form, normed.norm / USUAL, rates


def _tried(bench: Bench, cell: Cell, progress: Callable[[str], None]) -> Trial:
    curve, steps = bench.curve(cell), bench.setting.steps_of(cell)
    trial = Trial(cell, float(np.interp(0.1 * cell.steps, steps, curve)), float(curve[-1]))
    progress(f"search: {', '.join(trial.row())}")
    return trial


def _same(curves: dict[str, Curves], schedule: Schedule) -> Curves:
    alike = [c for c in curves.values() if (c.schedule.steps, c.schedule.share) == (schedule.steps, schedule.share)]
    if not alike:
        raise ValueError(f"schedules: {schedule.name} has no standard start, nor has one like it before; add one")
    return alike[0]


def _first_at(steps: Float[np.ndarray, " time"], curve: Float[np.ndarray, " time"], loss: float) -> float:
    """First step at which a curve has come down to a loss, on straight lines between its saves; NaN for never."""
    below = np.flatnonzero(curve <= loss)
    if len(below) == 0:
        return float("nan")
    i = int(below[0])
    if i == 0:
        return float(steps[0])
    share = (curve[i - 1] - loss) / (curve[i - 1] - curve[i])
    return float(steps[i - 1] + share * (steps[i] - steps[i - 1]))


def _text(values: Float[np.ndarray, " seed"]) -> str:
    found = summary(values)
    spread = "" if len(values) == 1 else f" [{float(found.low):.3f}, {float(found.high):.3f}]"
    return f"{float(found.mean):.3f}{spread}"


def _percent(saved: Float[np.ndarray, " seed"]) -> str:
    if np.isnan(saved).any():
        return f"never reached in {int(np.isnan(saved).sum())} of {len(saved)}"
    found = summary(100 * saved)
    spread = "" if len(saved) == 1 else f" [{float(found.low):.0f}, {float(found.high):.0f}]"
    return f"{float(found.mean):.0f} %{spread}"


def _end_text(curves: Curves) -> str:
    end = curves.end_of_gain("signatures")
    return "ahead to the end" if end is None else f"no longer ahead from step {end:.0f} of {curves.schedule.steps}"
