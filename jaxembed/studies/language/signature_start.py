"""Does theory help training? Decoders that start from signatures, and how many steps that saves at equal loss.

Starts of one norm are compared first: signatures, the same modes rotated, the architecture's own. Signatures at the
norm that suits them best are compared with a standard start at the norm that suits it best, and with both controls at
their own norm. Standard start and signatures each get the learning rate that is best for them; rotation and permutation
get the signatures'. Initial blocks, data order and held-out text are the same for all starts of a seed. Limits: form,
norm and learning rates were chosen on short schedules (`StartGrid.steps`), shorter than those reported, and by the
held-out tokens that the gains are reported on, though with another seed. Source: yao2025probability.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...models import Decoder
from ...observables import summary
from ...observables.crossing import crossing
from ...tables import Table, interval
from ...theory.signature_start import Form
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import DATA, Run, Study
from .start_search import SEARCH_HEADER, StartGrid, StartSearch, search
from .start_training import USUAL, Bench, BenchSetting, Start, StartRun

BEST = "signatures, best norm"
STANDARD_BEST = "standard, best norm"
STANDARD_SAME = "standard, signatures' norm"
ROTATION_SAME = "rotation, signatures' norm"
STARTS: dict[str, tuple[Start, str | None]] = {
    "standard": ("standard", None),
    "signatures": ("signatures", None),
    "rotation": ("rotation", None),
    BEST: ("signatures", "signatures"),
    STANDARD_BEST: ("standard", "standard"),
    STANDARD_SAME: ("standard", "signatures"),
    ROTATION_SAME: ("rotation", "signatures"),
    "permuted": ("permuted", None),
}
"""Kind of start and whose best norm it has; None is the architecture's."""
ALL = tuple(STARTS)[:-1]
RIVALS = {BEST: (STANDARD_BEST, STANDARD_SAME, ROTATION_SAME), ROTATION_SAME: (STANDARD_SAME,)}
"""With which others a start is compared, the first one also in figures; all other starts with "standard"."""
CONTROLS = {"signatures": "rotation", BEST: ROTATION_SAME}
"""What signatures of each norm must beat, or the tokens' statistics play no part."""
AT = (0.1, 0.2, 0.5, 1.0)
"""Shares of a schedule at which steps saved are stated."""
WHOLE = "whole text"
HEADER = (
    "schedule", "tokens trained on / counted", "start", "against", "at share of the schedule", "held-out loss",
    "the other's", "steps saved", "seeds ahead",
)  # fmt: skip


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
class StartSetting:
    """What is trained.

    Attributes:
        bench: text, model, batches.
        schedules: on which the starts are compared.
        grid: searched before for form, norm and learning rate.
    """

    bench: BenchSetting
    schedules: tuple[Schedule, ...]
    grid: StartGrid


SETTINGS: dict[Size, StartSetting] = {
    "tiny": StartSetting(
        BenchSetting("python", 200_000, 300, 6_000, Decoder(32, 1, 2, 64), 8, 32, saves=(0, 0.1, 0.2, 0.5, 1)),
        (
            Schedule(WHOLE, 30, starts=ALL),
            Schedule("a fifth", 30, 0.2),
            Schedule("whole text, permuted", 30, starts=("permuted",), seeds=1),
        ),
        StartGrid(steps=12, rates=(4e-3,), forms=(Form(rows="equal"), Form()), factors=(2.0,)),
    ),
    "published": StartSetting(
        BenchSetting(),
        (
            Schedule(WHOLE, 160, starts=ALL),
            Schedule("a fifth", 160, 0.2),
            Schedule("whole text, permuted", 160, starts=("permuted",), seeds=2),
            Schedule("whole text, long", 480, starts=("standard", "signatures"), seeds=2),
        ),
        StartGrid(),
    ),
}


@dataclass(frozen=True)
class ScheduleCurves:
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
        own = self.held[start]
        needed = crossing(self.steps, own, self.loss_at(against, share)[: len(own)], rising=False)
        return 1 - np.asarray(needed) / (share * self.steps[-1])

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
    """Every curve of every start by name of the schedule, and what was searched before."""

    setting: StartSetting
    search: StartSearch
    curves: dict[str, ScheduleCurves]


def run(setting: StartSetting, run: Run) -> SignatureStart:
    """Search form, norm and learning rate on one seed, then train every start on the others.

    Seeds are of init and data order together.
    """
    bench = Bench(setting.bench, run.keep)
    found, curves = search(setting.grid, bench, run.progress), {}
    for schedule in setting.schedules:
        held = {start: _held(bench, found, schedule, start, run) for start in schedule.starts}
        if "standard" not in held:  # of the schedule of the same length and text
            held["standard"] = _same(curves, schedule).held["standard"]
        steps = setting.bench.steps_of(StartRun("standard", 0, schedule.steps, schedule.share, 0.0))
        trained, tokens = (
            schedule.steps * setting.bench.batch * setting.bench.length,
            bench.part(schedule.share)[0].tokens,
        )
        curves[schedule.name] = ScheduleCurves(schedule, tokens, trained, np.asarray(steps, float), held)
    return SignatureStart(setting, found, curves)


def _held(bench: Bench, found: StartSearch, schedule: Schedule, start: str, run: Run) -> Float[np.ndarray, "seed time"]:
    kind, norm_of = STARTS[start]
    rate = found.rates["standard" if kind == "standard" else "signatures"]
    norm, curves = USUAL if norm_of is None else found.norms[norm_of], []
    for seed in range(min(run.seeds, schedule.seeds or run.seeds)):
        curves.append(bench.curve(StartRun(kind, seed, schedule.steps, schedule.share, rate, found.form, norm)))
        run.progress(f"{schedule.name}, {start}, seed {seed}: held-out loss {curves[-1][-1]:.3f}")
    return np.stack(curves)


def _same(curves: dict[str, ScheduleCurves], schedule: Schedule) -> ScheduleCurves:
    alike = [c for c in curves.values() if (c.schedule.steps, c.schedule.share) == (schedule.steps, schedule.share)]
    if not alike:
        raise ValueError(f"schedules: {schedule.name} has no standard start, nor has one like it before; add one")
    return alike[0]


def tables(result: SignatureStart) -> tuple[Table, ...]:
    """By schedule, start, the start it is compared with and share of the schedule; and what was searched."""
    rows = [_row(curves, *pair, share) for curves in result.curves.values() for pair in curves.pairs() for share in AT]
    ends = [
        f"{name}: {_end_text(curves, *pair)}"
        for name, curves in result.curves.items()
        for pair in curves.pairs()
        if pair[0] in CONTROLS
    ]
    trials = [trial.row() for trial in result.search.trials]
    title = "steps saved at equal held-out loss (95 % interval over seeds)"
    limits, chosen = _limits(result.setting.grid), [axis.line() for axis in result.search.axes]
    return (
        Table(title, HEADER, rows, "; ".join((*ends, *limits))),
        Table("search (one seed that is not reported)", SEARCH_HEADER, trials, "; ".join((*chosen, *limits)), "search"),
    )


def _limits(grid: StartGrid) -> tuple[str, str]:
    """What limits these numbers."""
    return (
        f"form, norm and learning rates were chosen on schedules of {grid.steps} steps, seed {grid.seed}, by the "
        "held-out tokens that the gains are reported on: selection and report are not independent",
        "every start is trained on the same tokens; signatures and their controls were made from counts besides; where "
        "these hold more tokens than were trained on, they have seen more of the text",
    )


def _row(curves: ScheduleCurves, start: str, against: str, share: float) -> tuple[str, ...]:
    own = curves.loss_at(start, share)
    rival = curves.loss_at(against, share)[: len(own)]
    counted = "0" if start.startswith("standard") else f"{curves.tokens:,}"
    return (
        f"{curves.schedule.name} ({curves.tokens:,} tokens, {curves.schedule.steps} steps)",
        f"{curves.trained:,} / {counted}", start, against, f"{share:g}", interval(own, ".3f"), interval(rival, ".3f"),
        _percent(curves.saved(start, share, against)), f"{int(np.sum(own < rival))} of {len(own)}",
    )  # fmt: skip


def _percent(saved: Float[np.ndarray, " seed"]) -> str:
    if np.isnan(saved).any():
        return f"never reached in {int(np.isnan(saved).sum())} of {len(saved)}"
    mean, *ends = interval(100 * saved, ".0f").split(" ", 1)
    return " ".join((mean, "%", *ends))


def _end_text(curves: ScheduleCurves, start: str, against: str) -> str:
    """Gain at the end of a schedule, and until when it lasts."""
    end = curves.end_of_gain(start, against)
    until = f"no longer ahead from step {end:.0f} of {curves.schedule.steps}"
    until = "never ahead" if np.isnan(end) else "ahead to the end" if np.isinf(end) else until
    ahead, saved = interval(curves.gain(start, against)[:, -1], ".3f"), _percent(curves.saved(start, 1.0, against))
    return f"{start} against {against}: {ahead} nats ahead at the end, {saved} steps saved; {until}"


def evidence(result: SignatureStart) -> tuple[Evidence, ...]:
    """Signatures lie below their own spectrum in random directions; and how far they are ahead of the usual start."""
    rows = [
        _control(curves, *pair)
        for curves in result.curves.values()
        for pair in CONTROLS.items()
        if set(pair) <= set(curves.held)
    ]
    if WHOLE in result.curves:
        claims = (("early", "a fifth", 0.2), ("end", "the end", 1.0))
        rows += [_ahead(result.curves[WHOLE], *claim) for claim in claims]
    return tuple(rows)


VARIED = "init and data seeds"


def _control(curves: ScheduleCurves, start: str, rotated: str) -> Evidence:
    """At a fifth of the schedule."""
    name = f"start-{curves.schedule.name}-{start}".replace(",", "").replace(" ", "-")
    claim = f"{curves.schedule.name}: {start} below {rotated} at a fifth of the schedule (nats)"
    ahead = curves.loss_at(rotated, 0.2) - curves.loss_at(start, 0.2)
    return control(name, claim, ahead, no_null="it is over the control", varied=VARIED, source="jaxembed")


def _ahead(curves: ScheduleCurves, name: str, when: str, share: float) -> Evidence:
    """Nats ahead of the usual start or of the rotated modes, whichever is better."""
    usual, ours, rotation = (curves.loss_at(start, share) for start in ("standard", "signatures", "rotation"))
    return Evidence(
        f"signature-start-{name}", f"start from signatures: ahead of usual and rotated at {when} of a schedule (nats)",
        np.minimum(usual, rotation) - ours, Bound("expectation", least=0.0, source="the start is ours"),
        "nothing; the signatures are theirs, the start is ours", no_null="the rotated modes are among the rivals",
        ceiling="none known", varied=VARIED,
    )  # fmt: skip


def caption(result: SignatureStart) -> str:
    """What was computed with what."""
    setting, model, rates = result.setting.bench, result.setting.bench.model, result.search.rates
    return (
        f"{setting.subset}, byte-level BPE of {setting.vocab}, decoder of width {model.width}, {model.layers} layers, "
        f"{setting.batch} x {setting.length} tokens a step, AdamW at {rates['standard']:g} (standard) and "
        f"{rates['signatures']:g}, warm-up and cosine; {result.search.form};\n"
        f"all chosen on {result.setting.grid.steps} steps by the same held-out tokens; "
        "band: smallest to largest over seeds (init and data order)."
    )


STUDY = Study(
    name="signature_start",
    source="yao2025probability",
    settings=SETTINGS,
    seeds={"tiny": 5, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("start-whole-text-signatures", "start-whole-text-signatures-best-norm", "start-a-fifth-signatures",
         "signature-start-early", "signature-start-end"),
    takes={"tiny": "30 s", "published": "45 min"},
    smaller={"tiny": "200,000 characters, a decoder of width 32, 30 steps"},
    needs=("text", DATA),
    tiny_needs=("text",),
    ledger="tiny",
)  # fmt: skip
