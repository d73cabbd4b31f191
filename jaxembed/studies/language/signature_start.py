"""Does theory help training? Decoders that start from signatures, and how many steps that saves at equal loss.

Starts of one norm are compared first: signatures, the same modes rotated, the architecture's own. Signatures at the
norm that suits them best are compared with a standard start at the norm that suits it best, and with both controls at
their own norm. Limits: form, norm and learning rates were chosen on short schedules (`Grid.steps`), shorter than those
reported, and by the held-out tokens that the gains are reported on, though with another seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...models import Decoder
from ...observables import summary
from ...theory.signature_start import Form
from ..check import Check, Size
from ..measured import mean_and_interval, silent
from .start_cells import USUAL, Bench, Cell, Setting, Start
from .start_search import Grid, Search, search

BEST = "signatures, best norm"
STANDARD_BEST = "standard, best norm"
STANDARD_SAME = "standard, signatures' norm"
ROTATION_SAME = "rotation, signatures' norm"
NORMED: dict[str, tuple[Start, str]] = {
    BEST: ("signatures", "signatures"),
    STANDARD_BEST: ("standard", "standard"),
    STANDARD_SAME: ("standard", "signatures"),
    ROTATION_SAME: ("rotation", "signatures"),
}
"""Start and whose best norm it has; all other starts have the architecture's norm."""
RIVALS = {BEST: (STANDARD_BEST, STANDARD_SAME, ROTATION_SAME), ROTATION_SAME: (STANDARD_SAME,)}
"""With which others a start is compared, the first one also in figures; all other starts with "standard"."""
CONTROLS = {"signatures": "rotation", BEST: ROTATION_SAME}
"""What signatures of each norm must beat, or the tokens' statistics play no part."""
AT = (0.1, 0.2, 0.5, 1.0)
"""Shares of a schedule at which steps saved are stated."""
BENCH, GRID = Setting(), Grid()
ALL = ("standard", "signatures", "rotation", BEST, STANDARD_BEST, STANDARD_SAME, ROTATION_SAME)
HEADER = (
    "schedule",
    "tokens trained on / counted",
    "start",
    "against",
    "at share of the schedule",
    "held-out loss",
    "the other's",
    "steps saved",
    "seeds ahead",
)


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
        grid: searched before for form, norm and learning rate.
    """

    bench: Setting = BENCH
    schedules: tuple[Schedule, ...] = (
        Schedule("whole text", 160, starts=ALL),
        Schedule("a fifth", 160, 0.2),
        Schedule("whole text, permuted", 160, starts=("permuted",), seeds=2),
        Schedule("whole text, long", 480, starts=("standard", "signatures"), seeds=2),
    )
    grid: Grid = GRID


_TINY = Plan(
    Setting("python", 200_000, 300, 6_000, Decoder(32, 1, 2, 64), 8, 32, saves=(0, 0.1, 0.2, 0.5, 1)),
    (
        Schedule("whole text", 30, starts=ALL),
        Schedule("a fifth", 30, 0.2),
        Schedule("whole text, permuted", 30, starts=("permuted",), seeds=1),
    ),
    Grid(steps=12, rates=(4e-3,), forms=(Form(rows="equal"), Form()), factors=(2.0,)),
)
SETTINGS = {"tiny": _TINY, "normal": Plan()}


@dataclass(frozen=True)
class Curves:
    """Held-out losses of one schedule.

    Attributes:
        schedule: which.
        tokens: of the text trained on, all of which signatures and their controls have counted.
        trained: tokens that every start, the standard one too, has seen in updates by the end, repeats included.
        steps: `[time]`, at which losses were taken.
        held: by start, `[seed, time]`, nats per token; seed i is the same seed everywhere.
    """

    schedule: Schedule
    tokens: int
    trained: int
    steps: Float[np.ndarray, " time"]
    held: dict[str, Float[np.ndarray, "seed time"]]

    def gain(self, start: str, against: str = "standard") -> Float[np.ndarray, "seed time"]:
        """How much lower the held-out loss is than the other start's, seed by seed."""
        own = self.held[start]
        return self.held[against][: len(own)] - own

    def saved(self, start: str, share: float, against: str = "standard") -> Float[np.ndarray, " seed"]:
        """Share of the other start's steps that a start saves at equal held-out loss, seed by seed.

        The other start's loss at `share` of the schedule is looked up on this one's curve, between its saves along
        straight lines. Negative where this start needs more steps; NaN where it never gets there.
        """
        at, own = share * self.steps[-1], self.held[start]
        others = self.held[against][: len(own)]
        needed = [_first_at(self.steps, y, np.interp(at, self.steps, x)) for x, y in zip(others, own, strict=True)]
        return 1 - np.asarray(needed) / at

    def end_of_gain(self, start: str, against: str = "standard") -> float:
        """First step from which on a start is no longer ahead; infinite for none, NaN where it never was ahead.

        Ahead: the 95 % interval of the gain lies above zero. Below three seeds that interval says nothing, and every
        seed has to be ahead.
        """
        gain = self.gain(start, against)[:, 1:]
        lower = gain.min(axis=0) if len(gain) < 3 else np.asarray(summary(gain).low)
        ahead = np.flatnonzero(lower > 0)
        if len(ahead) == 0:
            return float("nan")
        after = self.steps[1:][ahead[-1] + 1 :]
        return float(after[0]) if len(after) else float("inf")

    def loss_at(self, start: str, share: float) -> Float[np.ndarray, " seed"]:
        """Held-out loss at a share of the schedule."""
        return np.asarray([np.interp(share * self.steps[-1], self.steps, curve) for curve in self.held[start]])

    def pairs(self) -> list[tuple[str, str]]:
        """Every start with every other that it is compared with."""
        return [(x, y) for x in self.held if x != "standard" for y in RIVALS.get(x, ("standard",))]


@dataclass(frozen=True)
class SignatureStart:
    """Every curve of every start, and what was searched before.

    Attributes:
        size: of the study.
        plan: what was trained.
        search: form, norms and learning rates chosen, and every trial.
        curves: by name of the schedule.
    """

    size: Size
    plan: Plan
    search: Search
    curves: dict[str, Curves] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, ...]]:
        """By schedule, start, the start it is compared with and share of the schedule, in the order of `HEADER`."""
        return [_row(c, *pair, share) for c in self.curves.values() for pair in c.pairs() for share in AT]

    def ends(self) -> list[str]:
        """For signatures of both norms in every schedule: gain at its end, and until when it lasts."""
        return [
            f"{name}: {_end_text(curves, *pair)}"
            for name, curves in self.curves.items()
            for pair in curves.pairs()
            if pair[0] in CONTROLS
        ]

    def notes(self) -> list[str]:
        """What limits these numbers."""
        grid = self.plan.grid
        return [
            f"Form, norm and learning rates were chosen on schedules of {grid.steps} steps, seed {grid.seed}, by the "
            "held-out tokens that the gains are reported on: selection and report are not independent.",
            "Every start is trained on the same tokens; signatures and their controls were made from counts "
            "besides; where these hold more tokens than were trained on, they have seen more of the text.",
        ]

    def checks(self) -> list[Check]:
        """At a fifth of the schedule signatures must lie below their own spectrum in random directions."""
        return [
            _control(curves, start, control)
            for curves in self.curves.values()
            for start, control in CONTROLS.items()
            if {start, control} <= set(curves.held)
        ]


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
    result = SignatureStart(size, plan, search(plan.grid, bench, progress))
    for schedule in plan.schedules:
        held = {}
        for start in schedule.starts:
            runs = []
            for seed in range(min(seeds, schedule.seeds or seeds)):
                runs.append(bench.curve(_cell(result.search, schedule, start, seed)))
                progress(f"{schedule.name}, {start}, seed {seed}: held-out loss {runs[-1][-1]:.3f}")
            held[start] = np.stack(runs)
        if "standard" not in held:  # of the schedule of the same length and text
            held["standard"] = _same(result.curves, schedule).held["standard"]
        steps = np.asarray(plan.bench.steps_of(Cell("standard", 0, schedule.steps, schedule.share, 0.0)), float)
        trained = schedule.steps * plan.bench.batch * plan.bench.length
        result.curves[schedule.name] = Curves(schedule, bench.part(schedule.share)[0].tokens, trained, steps, held)
    return result


def _cell(found: Search, schedule: Schedule, start: str, seed: int) -> Cell:
    kind, norm_of = NORMED.get(start, (start, None))
    rate = found.rates["standard" if kind == "standard" else "signatures"]
    norm = USUAL if norm_of is None else found.norms[norm_of]
    return Cell(kind, seed, schedule.steps, schedule.share, rate, found.form, norm)  # pyright: ignore[reportArgumentType]


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


def _percent(saved: Float[np.ndarray, " seed"]) -> str:
    if np.isnan(saved).any():
        return f"never reached in {int(np.isnan(saved).sum())} of {len(saved)}"
    found = summary(100 * saved)
    spread = "" if len(saved) == 1 else f" [{float(found.low):.0f}, {float(found.high):.0f}]"
    return f"{float(found.mean):.0f} %{spread}"


def _row(curves: Curves, start: str, against: str, share: float) -> tuple[str, ...]:
    saved, own, other = (
        curves.saved(start, share, against),
        curves.loss_at(start, share),
        curves.loss_at(against, share),
    )
    other = other[: len(own)]
    counted = "0" if start.startswith("standard") else f"{curves.tokens:,}"
    return (
        f"{curves.schedule.name} ({curves.tokens:,} tokens, {curves.schedule.steps} steps)",
        f"{curves.trained:,} / {counted}",
        start,
        against,
        f"{share:g}",
        mean_and_interval(own, 3),
        mean_and_interval(other, 3),
        _percent(saved),
        f"{int(np.sum(own < other))} of {len(own)}",
    )


def _control(curves: Curves, start: str, control: str) -> Check:
    ahead = curves.loss_at(control, 0.2) - curves.loss_at(start, 0.2)
    name, asked = f"{curves.schedule.name}: {start}", f"below {control} at a fifth of the schedule, every seed"
    return Check(name, asked, f"by {mean_and_interval(ahead, 3)}", bool(np.all(ahead > 0)))


def _end_text(curves: Curves, start: str, against: str) -> str:
    gain, saved, end = (
        curves.gain(start, against)[:, -1],
        curves.saved(start, 1.0, against),
        curves.end_of_gain(start, against),
    )
    if np.isnan(end):
        until = "never ahead"
    elif np.isinf(end):
        until = "ahead to the end"
    else:
        until = f"no longer ahead from step {end:.0f} of {curves.schedule.steps}"
    ahead = mean_and_interval(gain, 3)
    return f"{start} against {against}: {ahead} nats ahead at the end, {_percent(saved)} steps saved; {until}"
