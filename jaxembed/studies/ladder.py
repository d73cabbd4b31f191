"""The ladder of theories on the addition task: how far each rung departs from the exact flow, and until when."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..base import Trajectory
from ..compare import compare, frozen
from ..ensemble import ensemble
from ..flow import gradient_flow, integrate
from ..losses import PopulationLoss, population_loss
from ..models import Linear
from ..statistics import Signatures, count, signatures
from ..tasks import Addition, shuffled
from ..theory import linear
from .check import Check, Size, need_float64
from .measured import silent

SOLVER = "dopri8"
RUNGS = {"rung 0": linear.rung0, "rung 1": linear.rung1}
CURVES = ("rung 0", "rung 1", "rung 0, shuffled labels", "rung 1, shuffled labels", "frozen")


@dataclass(frozen=True)
class Setting:
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


SETTINGS = {
    "tiny": Setting(keys=12, anchors=4, width=8, init_scales=(1e-2, 1e-4), horizon_saves=30),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Ladder:
    """Errors against the exact flow, relative to the size of the state (all of E and U).

    Attributes:
        size: of the study.
        setting: sizes and tolerances.
        vocab: number of tokens.
        plateau: t1, flow time.
        times: `[time]`, in units of t1.
        errors: by the name of the curve (`CURVES`), `[seed, time]`.
        closed_form_error: rung 0 in closed form against its own integration, largest over seeds and times.
        horizons: by rung and init scale, `[seed]`: first time the skill falls below 0.9, in units of that scale's own
            t1; infinite where that is beyond the window.
    """

    size: Size
    setting: Setting
    vocab: int
    plateau: float
    times: Float[np.ndarray, " time"]
    errors: dict[str, Float[np.ndarray, "seed time"]]
    closed_form_error: float
    horizons: dict[str, dict[float, Float[np.ndarray, " seed"]]]

    @property
    def seeds(self) -> int:
        return len(self.errors["rung 0"])

    def at(self, curve: str, time: float) -> Float[np.ndarray, " seed"]:
        """Errors of a curve at the save next to `time`, in units of t1."""
        return self.errors[curve][:, np.argmin(np.abs(self.times - time))]

    def rows(self) -> list[tuple[str, ...]]:
        """Every curve's error at 0.5, 0.9 and 1.0 t1, in the order of `HEADER`."""
        return [(curve, *(_text(self.at(curve, time)) for time in (0.5, 0.9, 1.0))) for curve in CURVES]

    def checks(self) -> list[Check]:
        """The orders of magnitude that are asked; at size tiny those at half time, which hold there too."""
        asked = [("rung 0", 0.5, 1e-3), ("rung 1", 0.5, 1e-7), ("rung 1", 0.9, 5e-3)]
        if self.size == "tiny":
            asked = asked[:2]
        checks = [self._error_check(*figure) for figure in asked]
        closed = self.closed_form_error
        checks.append(Check("rung 0: closed form against ODE", "<= 1e-8", f"{closed:.1e}", closed <= 1e-8))
        return [*checks, self._order_check(), *(self._horizon_check(rung) for rung in RUNGS)]

    def _error_check(self, rung: str, time: float, most: float) -> Check:
        got = self.at(rung, time)
        return Check(f"{rung}: relative error at {time:g} t1", f"<= {most:g}", _text(got), bool(got.max() <= most))

    def _order_check(self) -> Check:
        """Nothing that ignores the data, or reads other data, comes near."""
        control = min(self.at(curve, 0.5).min() for curve in CURVES[2:])
        worst = max(self.at(rung, 0.5).max() for rung in RUNGS)
        asked, got = "at least 10 times the rungs' errors at 0.5 t1", f"{control:.2g} against {worst:.2g}"
        return Check("controls: shuffled labels, frozen", asked, got, bool(control >= 10 * worst))

    def _horizon_check(self, rung: str) -> Check:
        found, window = self.horizons[rung], self.setting.window
        got = "; ".join(f"{scale:g}: {_horizon_text(values, window)}" for scale, values in found.items())
        observed = not any(np.isnan(values).any() for values in found.values())
        return Check(f"{rung}: horizon in t1 by init scale", "a number at every scale", got, observed)


HEADER = ("theory against exact flow", "at 0.5 t1", "at 0.9 t1", "at 1.0 t1")


def ladder(size: Size, seeds: int = 3, progress: Callable[[str], None] = silent) -> Ladder:
    """Integrate exact flow and both rungs of the linear model's theory from the same start, and compare.

    Args:
        size: "tiny" (smaller task, seconds) or "normal" (160 tokens, width 48).
        seeds: initialisations behind the errors; the horizons use `Setting.horizon_seeds`.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32, which cannot show errors of 1e-10.

    Source: yao2025probability.
    """
    need_float64("ladder")
    setting = SETTINGS[size]
    data = Addition(keys=setting.keys, anchors=setting.anchors).dataset()
    sig, null = (signatures(count(part)) for part in (data, shuffled(data, 0)))
    times = np.arange(setting.saves + 1) / setting.saves
    loss = population_loss(_model(setting, setting.init_scale), data)
    errors = _errors(setting, loss, sig, null, times, seeds)
    closed = errors.pop("closed form")
    progress(f"errors of {seeds} seeds: done")
    horizons = {rung: {} for rung in RUNGS}
    for scale in setting.init_scales:
        for rung, found in _horizons(setting, loss, sig, scale).items():
            horizons[rung][scale] = found
            progress(f"init scale {scale:g}: {rung} holds until {_horizon_text(found, setting.window)} t1")
    plateau = float(linear.plateau_time(sig, setting.init_scale))
    return Ladder(size, setting, data.vocab, plateau, times, errors, float(closed.max()), horizons)


def _model(setting: Setting, init_scale: float) -> Linear:
    return Linear(setting.width, init_scale=init_scale)


def _starts(setting: Setting, init_scale: float, vocab: int, seeds: int) -> dict[str, Array]:
    keys = jax.random.split(jax.random.key(0), seeds)
    return jax.vmap(lambda key: _model(setting, init_scale).init(key, vocab, Addition.length))(keys)


def _errors(
    setting: Setting, loss: PopulationLoss, sig: Signatures, null: Signatures, times: np.ndarray, seeds: int
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
    setting: Setting, loss: PopulationLoss, sig: Signatures, init_scale: float
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
    low, high = f"{values.min():.1e}", f"{values.max():.1e}"
    return low if low == high else f"{low} .. {high} over {len(values)} seeds"


def _horizon_text(values: Float[np.ndarray, " seed"], window: float) -> str:
    if np.isnan(values).any():
        return "undefined"
    ends = ["beyond " + f"{window:g}" if np.isinf(x) else f"{x:.3f}" for x in (values.min(), values.max())]
    return ends[0] if ends[0] == ends[1] else " .. ".join(ends)
