"""Lazy and rich side by side: over the initial scale, which expansion of the flow holds, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...base import Model, State, Trajectory
from ...compare import compare
from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...losses.population import PopulationLoss, population_loss
from ...models import Feedforward, Linear, linearised
from ...statistics import count, signatures
from ...tasks import Addition
from ...theory import expansion, horizon, linear
from ..check import Check, Size, need_float64
from ..measured import silent

ORIGIN = ("origin, order 1", "origin, order 3")
INIT = ("init, order 1", "init, order 2", "linearised network")
THEORIES = (*ORIGIN, *INIT)
LOST = 1e3
"""Root mean square of the weights at which a theory that blows up is held."""
HEADER = ("model", "init scale", "loss halves at", *THEORIES)


@dataclass(frozen=True)
class Setting:
    """Task, models and initial scales; times are in units of the time at which the exact flow has halved the loss."""

    keys: int = 10
    anchors: int = 4
    width: int = 32
    models: tuple[str, ...] = ("linear", "gelu")
    init_scales: tuple[float, ...] = tuple(float(x) for x in np.logspace(-4, 0.5, 10))
    window: float = 3.0
    saves: int = 240
    rtol: float = 1e-6
    max_steps: int = 20_000


SETTINGS = {
    "tiny": Setting(keys=5, anchors=3, width=16, models=("linear",), init_scales=(1e-3, 1e-1, 1.0, 3.0), saves=90),
    "normal": Setting(),
}


@dataclass(frozen=True)
class LazyRich:
    """Horizons and skills of all expansions over the initial scale.

    Attributes:
        size: of the study.
        setting: sizes, scales and the window.
        halved: by model, `[scale, seed]`, flow time at which the loss is half of what it was at the start.
        horizons: by model and theory, `[scale, seed]`, in units of `halved`; the window where it is beyond, and the
            first saved time where the skill is below 0.9 from there on.
        skills: by model and theory, `[scale, seed]`, skill of all weights at `halved`; not finite where lost.
    """

    size: Size
    setting: Setting
    halved: dict[str, Float[np.ndarray, "... seed"]]
    horizons: dict[str, dict[str, Float[np.ndarray, "... seed"]]]
    skills: dict[str, dict[str, Float[np.ndarray, "... seed"]]]

    def best(self, model: str, family: tuple[str, ...]) -> Float[np.ndarray, "... seed"]:
        """The longest horizon that one family of expansions reaches."""
        return np.max([self.horizons[model][name] for name in family], axis=0)

    def crossover(self, model: str) -> Float[np.ndarray, " seed"]:
        """Initial scale at which the best expansion around the init begins to outlast the best around the origin.

        Linear in ln(scale) and ln(horizon) between scales; NaN where one of them leads at every scale.
        """
        lead = np.log(self.best(model, INIT) / self.best(model, ORIGIN)).T
        return np.array([_zero(np.log(self.setting.init_scales), row) for row in lead])

    def rows(self) -> list[tuple[str, ...]]:
        """Horizons by model and scale, in the order of `HEADER`."""
        return [
            (model, f"{scale:.1e}", _range(self.halved[model][i]), *self._cells(model, i))
            for model in self.setting.models
            for i, scale in enumerate(self.setting.init_scales)
        ]

    def checks(self) -> list[Check]:
        return [check for model in self.setting.models for check in self._of_model(model)]

    def _cells(self, model: str, i: int) -> list[str]:
        limit = self.setting.window
        return [_range(self.horizons[model][name][i], limit) for name in THEORIES]

    def _of_model(self, model: str) -> list[Check]:
        rich, lazy = (self.best(model, family) for family in (ORIGIN, INIT))
        small, large = (self.setting.init_scales[i] for i in (0, -1))
        texts = [f"{_range(a)} against {_range(b)}" for a, b in ((rich[0], lazy[0]), (lazy[-1], rich[-1]))]
        crossing = self.crossover(model)
        found = bool(np.all(np.isfinite(crossing)))
        return [
            Check(f"{model}, init {small:.0e}", "origin outlasts init", texts[0], bool(np.all(rich[0] > lazy[0]))),
            Check(f"{model}, init {large:.1f}", "init outlasts origin", texts[1], bool(np.all(lazy[-1] > rich[-1]))),
            Check(f"{model}: crossover scale", "a number for every seed", _range(crossing), found),
        ]


def lazy_rich(
    size: Size, seeds: int = 3, progress: Callable[[str], None] = silent, setting: Setting | None = None
) -> LazyRich:
    """Integrate the exact flow and its expansions around the origin and around the init, over initial scales.

    Args:
        size: "tiny" (four scales, seconds) or "normal".
        seeds: initialisations of every scale.
        progress: called with a line of text after each model.
        setting: another one than that of `size`.

    Raises:
        ValueError: where JAX computes in float32, which cannot show errors at small initial scales.

    Source: jacot2018ntk.
    """
    need_float64("lazy_rich")
    setting = SETTINGS[size] if setting is None else setting
    data = Addition(keys=setting.keys, anchors=setting.anchors).dataset()
    slow = float(1 / jnp.linalg.norm(linear.drive(signatures(count(data))), ord=2))
    halved, horizons, skills = {}, {}, {}
    for name in setting.models:
        model = _model(name, setting)
        halved[name], horizons[name], skills[name] = _measured(
            model, population_loss(model, data), slow, setting, seeds
        )
        progress(f"{name}: done")
    return LazyRich(size, setting, halved, horizons, skills)


def _measured(model: Model, loss: PopulationLoss, slow: float, setting: Setting, seeds: int) -> tuple[Any, Any, Any]:
    """Halving times, and by theory horizons and skills, each `[scale, seed]`; `slow` is 1 / S_1."""
    keys, scales = jax.random.split(jax.random.key(0), seeds), jnp.asarray(setting.init_scales)
    wide = jax.vmap(lambda key: model.init(key, loss.joint.shape[1], loss.tokens.shape[1]))(keys)
    starts = jax.tree.map(lambda leaf: jnp.concatenate([leaf * scale for scale in scales]), wide)
    # The plateau, and as long again as two modes may take one after the other; GELU starts with half the slope.
    ends = 2 * slow * (jnp.repeat(jnp.maximum(-jnp.log(scales), 0.0), seeds) + 20.0)
    half = ensemble(_halving(setting), {"start": starts, "end": ends}, loss, mapping="vmap")
    found = ensemble(_lasting(setting, model), {"start": starts, "half": half}, loss, mapping="vmap")
    shape = (len(scales), seeds)
    horizons, skills = ({name: np.asarray(x[i]).reshape(shape) for name, x in found.items()} for i in (0, 1))
    return np.asarray(half).reshape(shape), horizons, skills


def _model(name: str, setting: Setting) -> Model:
    """The model at initial scale 1; starts are scaled from it."""
    if name == "linear":
        return Linear(setting.width, init_scale=1.0)
    return Feedforward(setting.width, activation=name, init_scale=1.0)


@lru_cache(maxsize=16)
def _halving(setting: Setting) -> Callable[..., Array]:
    """First time at which the loss is half of what it was, on times even in their logarithm."""

    def run(member: dict[str, Any], loss: PopulationLoss) -> Float[Array, ""]:
        ts = jnp.concatenate([jnp.zeros(1), member["end"] * jnp.geomspace(1e-6, 1.0, 2000)])
        falls = integrate(_flow, member["start"], ts, loss, save=loss, **_tolerances(setting, member["start"])).ys
        goal = falls[0] / 2
        at = jnp.argmax(falls <= goal)
        share = (falls[at - 1] - goal) / (falls[at - 1] - falls[at])
        return jnp.where(jnp.any(falls <= goal), ts[at - 1] + share * (ts[at] - ts[at - 1]), jnp.nan)

    return run


@lru_cache(maxsize=16)
def _lasting(setting: Setting, model: Model) -> Callable[..., dict[str, tuple[Array, Array]]]:
    """By theory, its horizon in units of the halving time and its skill at that time."""

    def run(member: dict[str, Any], loss: PopulationLoss) -> dict[str, tuple[Array, Array]]:
        start, half = member["start"], member["half"]
        ts = jnp.square(jnp.linspace(0.0, 1.0, setting.saves + 1)) * setting.window * half  # dense early
        exact = integrate(_flow, start, ts, loss, **_tolerances(setting, start))
        theories = _theories(loss, start, model)
        return {name: _held(exact, field, loss, setting, half) for name, field in theories.items()}

    return run


def _theories(loss: PopulationLoss, start: State, model: Model) -> dict[str, Any]:
    origin = expansion.origin(start)
    line = replace(loss, model=linearised(model, start))
    return {
        "origin, order 1": expansion.expand(loss, origin, 1),
        "origin, order 3": expansion.expand(loss, origin, 3),
        "init, order 1": expansion.expand(loss, start, 1),
        "init, order 2": expansion.expand(loss, start, 2),
        "linearised network": lambda t, state, loss: _flow(t, state, line),
    }


def _flow(t: Any, state: State, loss: PopulationLoss) -> State:
    return gradient_flow(loss)(t, state, None)


def _held(exact: Trajectory, field: Any, loss: PopulationLoss, setting: Setting, half: Array) -> tuple[Array, Array]:
    start = jax.tree.map(lambda y: y[0], exact.ys)
    found = compare(
        exact, integrate(horizon.stopped(field, LOST), start, exact.ts, loss, **_tolerances(setting, start))
    )
    skill = jnp.interp(half, exact.ts, found.skill)
    return jnp.minimum(found.horizon / half, setting.window), skill


def _tolerances(setting: Setting, start: State) -> dict[str, Any]:
    scale = jnp.sqrt(jnp.mean(jnp.square(start["embed"])))
    return {"rtol": setting.rtol, "atol": setting.rtol * scale, "max_steps": setting.max_steps}


def _zero(x: np.ndarray, y: np.ndarray) -> float:
    """Where y first rises through 0, linear in between, as exp of x."""
    for i in range(1, len(y)):
        if y[i - 1] <= 0 < y[i]:
            return float(np.exp(x[i - 1] - y[i - 1] * (x[i] - x[i - 1]) / (y[i] - y[i - 1])))
    return float("nan")


def _range(values: np.ndarray, limit: float = np.inf) -> str:
    if np.isnan(values).any():
        return "undefined"
    low, high = (f">= {limit:g}" if x >= limit else f"{x:.2g}" for x in (values.min(), values.max()))
    return low if low == high else f"{low} .. {high}"
