"""The ladder of theories on the addition task: how far each rung departs from the exact flow, and until when."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...base import Trajectory
from ...compare import compare, frozen
from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...losses.population import PopulationLoss, population_loss
from ...models import Linear
from ...statistics import Signatures, count, signatures
from ...tables import Table, extremes
from ...tasks import Addition, shuffled
from ...theory import linear
from ..evidence import Bound, Evidence, Size
from ..study import Run, Study
from ._flows import until

SOLVER = "dopri8"
RUNGS = {"rung 0": linear.rung0, "rung 1": linear.rung1}
CURVES = ("rung 0", "rung 1", "rung 0, shuffled labels", "rung 1, shuffled labels", "frozen")


@dataclass(frozen=True)
class LadderSetting:
    """Task, model and times of the ladder, all in float64; times are in units of t1 = ln(1 / init_scale) / S_1."""

    keys: int = 99
    anchors: int = 20
    width: int = 48
    init_scale: float = 1e-4
    init_scales: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    horizon_seeds: int = 2
    saves: int = 20
    window: float = 1.5
    horizon_saves: int = 60
    rtol: float = 1e-11
    horizon_rtol: float = 1e-5


SETTINGS: dict[Size, LadderSetting] = {
    "tiny": LadderSetting(keys=12, anchors=4, width=8, init_scales=(1e-2, 1e-4), horizon_saves=30),
    "published": LadderSetting(),
}


@dataclass(frozen=True)
class Ladder:
    """Errors against the exact flow, relative to the size of the state (all of E and U).

    Attributes:
        setting: sizes and tolerances.
        vocab: number of tokens.
        plateau: t1, flow time.
        times: `[time]`, in units of t1.
        errors: by the name of the curve (`CURVES`), `[seed, time]`.
        closed_form_error: `[seed]`, rung 0 in closed form against its own integration, largest over times.
        horizons: by rung and init scale, `[seed]`: first time the skill falls below 0.9, in units of that scale's own
            t1; infinite where that is beyond the window.
    """

    setting: LadderSetting
    vocab: int
    plateau: float
    times: Float[np.ndarray, " time"]
    errors: dict[str, Float[np.ndarray, "seed time"]]
    closed_form_error: Float[np.ndarray, " seed"]
    horizons: dict[str, dict[float, Float[np.ndarray, " seed"]]]

    @property
    def seeds(self) -> int:
        return len(self.errors["rung 0"])

    def at(self, curve: str, time: float) -> Float[np.ndarray, " seed"]:
        """Errors of a curve at the save next to `time`, in units of t1."""
        return self.errors[curve][:, np.argmin(np.abs(self.times - time))]


def run(setting: LadderSetting, run: Run) -> Ladder:
    """Integrate exact flow and both rungs of the linear model's theory from the same start, and compare.

    Seeds are initialisations behind the errors; the horizons use `LadderSetting.horizon_seeds`.

    Source: yao2025probability.
    """
    data = Addition(keys=setting.keys, anchors=setting.anchors).dataset()
    sig, null = (signatures(count(part)) for part in (data, shuffled(data, 0)))
    times = np.arange(setting.saves + 1) / setting.saves
    loss = population_loss(_model(setting, setting.init_scale), data)
    errors = _errors(setting, loss, sig, null, times, run.seeds)
    closed = errors.pop("closed form").max(axis=1)
    run.progress(f"errors of {run.seeds} seeds: done")
    horizons = {rung: {} for rung in RUNGS}
    for scale in setting.init_scales:
        for rung, found in _horizons(setting, loss, sig, scale).items():
            horizons[rung][scale] = found
            run.progress(f"init scale {scale:g}: {rung} holds until {until(found, setting.window, '.3f')} t1")
    plateau = float(linear.plateau_time(sig, setting.init_scale))
    return Ladder(setting, data.vocab, plateau, times, errors, closed, horizons)


def tables(result: Ladder) -> tuple[Table, ...]:
    """Every curve's error at 0.5, 0.9 and 1.0 t1, and until when each rung holds, by initial scale."""
    header = ("theory against exact flow", "at 0.5 t1", "at 0.9 t1", "at 1.0 t1")
    rows = [(curve, *(_text(result.at(curve, time)) for time in (0.5, 0.9, 1.0))) for curve in CURVES]
    window = result.setting.window
    held = [(rung, *(until(values, window, ".3f") for values in by.values())) for rung, by in result.horizons.items()]
    scales = [f"init scale {scale:g}" for scale in result.setting.init_scales]
    return (
        Table(f"relative error of the state, {result.vocab} tokens, {result.seeds} seeds, float64", header, rows),
        Table("horizon (skill < 0.9) in t1", ("theory", *scales), held, name="horizons"),
    )


def evidence(result: Ladder) -> tuple[Evidence, ...]:
    """Orders of magnitude of each rung's error; the null is the same theory of shuffled labels."""
    expected = ("expected at 160 tokens, init scale 1e-4",)
    asked = (
        ("ladder-rung-0", "rung 0", 0.5, 1e-3, "label signatures alone predict the start (rung 0 error at 0.5 t1)"),
        ("ladder-rung-1-early", "rung 1", 0.5, 1e-7, "context signatures too (rung 1 error at 0.5 t1)"),
        ("ladder-rung-1", "rung 1", 0.9, 5e-3, "with them the prediction holds to 0.9 t1 (rung 1 error)"),
    )
    rows = [
        Evidence(name, claim, result.at(rung, time), Bound("expectation", most=most, source=expected[0]),
                 published="theory, no number", null=result.at(f"{rung}, shuffled labels", time), ceiling="0",
                 every=True)
        for name, rung, time, most, claim in asked
    ]  # fmt: skip
    closed = Bound("machinery", most=1e-8, source="closed form")
    rows.append(Evidence("ladder-closed-form", "rung 0: closed form against its integration", result.closed_form_error,
                         closed, no_null="two exact routes to one number", ceiling="0", every=True))  # fmt: skip
    control = np.min([result.at(curve, 0.5) for curve in CURVES[2:]], axis=0)
    worst = np.max([result.at(rung, 0.5) for rung in RUNGS])
    rows.append(Evidence("ladder-controls", "error at 0.5 t1 of shuffled labels and frozen, over the worst rung's",
                         control / worst, Bound("machinery", least=10.0, source="controls that must fail"),
                         no_null="it compares with the controls", every=True))  # fmt: skip
    return tuple(rows)


def caption(result: Ladder) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"addition, {setting.anchors} anchors, {setting.keys} keys ({result.vocab} tokens), linear model, width "
        f"{setting.width}, float64; left: init scale {setting.init_scale:g}, {result.seeds} init seeds (band: smallest "
        f"to largest), solver rtol {setting.rtol:g};\nright: {setting.horizon_seeds} init seeds, "
        f"rtol {setting.horizon_rtol:g}, window {setting.window:g} t1."
    )


STUDY = Study(
    name="ladder",
    source="yao2025probability",
    settings=SETTINGS,
    seeds={"tiny": 2, "published": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("ladder-rung-0", "ladder-rung-1-early", "ladder-rung-1", "ladder-closed-form", "ladder-controls"),
    takes={"tiny": "30 s", "published": "5 min"},
    smaller={"tiny": "22 tokens for 160, width 8 for 48"},
    needs=("float64",),
    ledger="published",
)


def _model(setting: LadderSetting, init_scale: float) -> Linear:
    return Linear(setting.width, init_scale=init_scale)


def _starts(setting: LadderSetting, init_scale: float, vocab: int, seeds: int) -> dict[str, Array]:
    keys = jax.random.split(jax.random.key(0), seeds)
    return jax.vmap(lambda key: _model(setting, init_scale).init(key, vocab, Addition.length))(keys)


def _errors(
    setting: LadderSetting, loss: PopulationLoss, sig: Signatures, null: Signatures, times: np.ndarray, seeds: int
) -> dict[str, Float[np.ndarray, "seed time"]]:
    """Relative errors of every curve, and of the closed form against the integrated rung 0."""
    ts = jnp.asarray(times) * linear.plateau_time(sig, setting.init_scale)
    tolerances: dict[str, Any] = {"solver": SOLVER, "rtol": setting.rtol, "atol": setting.rtol * setting.init_scale}

    def run(start: dict, ts: Array, loss: PopulationLoss, sig: Signatures, null: Signatures) -> dict[str, Array]:
        exact = integrate(gradient_flow(loss), start, ts, **tolerances)
        theories = {name: integrate(field, start, ts, sig, **tolerances) for name, field in RUNGS.items()}
        for name, field in RUNGS.items():
            theories[f"{name}, shuffled labels"] = integrate(field, start, ts, null, **tolerances)
        theories["frozen"] = frozen(exact)
        solved = Trajectory(ts, jax.vmap(lambda t: linear.closed_form(t, start, sig))(ts))
        errors = {name: compare(exact, theory).relative_error for name, theory in theories.items()}
        return errors | {"closed form": compare(theories["rung 0"], solved).relative_error}

    starts = _starts(setting, setting.init_scale, sig.vocab, seeds)
    found = ensemble(run, starts, ts, loss, sig, null, mapping="loop")
    return {name: np.asarray(found[name]) for name in (*CURVES, "closed form")}


def _horizons(
    setting: LadderSetting, loss: PopulationLoss, sig: Signatures, init_scale: float
) -> dict[str, Float[np.ndarray, " seed"]]:
    """First time the skill of each rung falls below 0.9, in units of the scale's t1."""
    plateau = linear.plateau_time(sig, init_scale)
    ts = jnp.linspace(0.0, setting.window, setting.horizon_saves + 1) * plateau
    tolerances: dict[str, Any] = {"rtol": setting.horizon_rtol, "atol": setting.horizon_rtol * init_scale}

    def run(start: dict, ts: Array, loss: PopulationLoss, sig: Signatures) -> dict[str, Array]:
        exact = integrate(gradient_flow(loss), start, ts, **tolerances)
        theories = {name: integrate(field, start, ts, sig, **tolerances) for name, field in RUNGS.items()}
        return {name: compare(exact, theory).horizon for name, theory in theories.items()}

    starts = _starts(setting, init_scale, sig.vocab, setting.horizon_seeds)
    found = ensemble(run, starts, ts, loss, sig, mapping="loop")
    return {name: np.asarray(values / plateau) for name, values in found.items()}


def _text(values: Float[np.ndarray, " seed"]) -> str:
    text = extremes(values, ".1e")
    return f"{text} over {len(values)} seeds" if " .. " in text else text
