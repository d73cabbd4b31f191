"""Lazy and rich side by side: over the initial scale, which expansion of the flow holds, and for how long.

The exact flow on the addition task, its expansions around the origin and around the init, and the linearised network,
in float64. A seed is an initialisation; times are in units of the time at which the exact flow has halved the loss.

Source: jacot2018ntk.
"""

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
from ...flow import integrate
from ...losses.population import PopulationLoss, population_loss
from ...models import linearised
from ...observables.crossing import crossing
from ...statistics import count, signatures
from ...tables import Table, extremes
from ...tasks import Addition
from ...theory import expansion, horizon, linear
from ..evidence import Bound, Evidence, Size
from ..rows import described
from ..study import Run, Study
from ._flows import flow, model_of, until

ORIGIN = ("origin, order 1", "origin, order 3")
INIT = ("init, order 1", "init, order 2", "linearised network")
THEORIES = (*ORIGIN, *INIT)
LOST = 1e3
"""Root mean square of the weights at which a theory that blows up is held."""


@dataclass(frozen=True)
class LazyRichSetting:
    """Task, models and initial scales."""

    keys: int = 10
    anchors: int = 4
    width: int = 32
    models: tuple[str, ...] = ("linear", "gelu")
    init_scales: tuple[float, ...] = tuple(float(x) for x in np.logspace(-4, 0.5, 10))
    window: float = 3.0
    saves: int = 240
    rtol: float = 1e-6
    max_steps: int = 20_000


SETTINGS: dict[Size, LazyRichSetting] = {
    "tiny": LazyRichSetting(
        keys=5, anchors=3, width=16, models=("linear",), init_scales=(1e-3, 1e-1, 1.0, 3.0), saves=90
    ),
    "quick": LazyRichSetting(),
}


@dataclass(frozen=True)
class LazyRich:
    """Horizons and skills of all expansions over the initial scale.

    Attributes:
        setting: sizes, scales and the window.
        halved: by model, `[scale, seed]`, flow time at which the loss is half of what it was at the start.
        horizons: by model and theory, `[scale, seed]`, in units of `halved`; the window where it is beyond, and the
            first saved time where the skill is below 0.9 from there on.
        skills: by model and theory, `[scale, seed]`, skill of all weights at `halved`; not finite where lost.
    """

    setting: LazyRichSetting
    halved: dict[str, Float[np.ndarray, "... seed"]]
    horizons: dict[str, dict[str, Float[np.ndarray, "... seed"]]]
    skills: dict[str, dict[str, Float[np.ndarray, "... seed"]]]

    def lead(self, model: str) -> Float[np.ndarray, "... seed"]:
        """ln of the longest horizon that an expansion around the init reaches, over the longest around the origin."""
        init, origin = (np.max([self.horizons[model][name] for name in family], axis=0) for family in (INIT, ORIGIN))
        return np.log(init / origin)

    def crossover(self, model: str) -> Float[np.ndarray, " seed"]:
        """Initial scale at which the best expansion around the init begins to outlast the best around the origin.

        Linear in ln(scale) and ln(horizon) between scales; NaN where one of them leads at every scale.
        """
        lead = self.lead(model).T
        found = np.exp(crossing(np.log(self.setting.init_scales), lead, 0.0))
        return np.where(lead[:, 0] > 0, np.nan, found)


def run(setting: LazyRichSetting, run: Run) -> LazyRich:
    """Integrate the exact flow and its expansions over initial scales."""
    data = Addition(keys=setting.keys, anchors=setting.anchors).dataset()
    slow = float(1 / jnp.linalg.norm(linear.drive(signatures(count(data))), ord=2))
    halved, horizons, skills = {}, {}, {}
    for name in setting.models:
        model = model_of(name, setting.width, setting.width)
        loss = population_loss(model, data)
        halved[name], horizons[name], skills[name] = _measured(model, loss, slow, setting, run.seeds)
        run.progress(f"{name}: done")
    return LazyRich(setting, halved, horizons, skills)


def tables(result: LazyRich) -> tuple[Table, ...]:
    """Horizons by model and scale, and the scale at which the lazy expansion begins to lead."""
    window = result.setting.window
    rows = [
        (model, f"{scale:.1e}", extremes(result.halved[model][i], ".2g"),
         *(until(result.horizons[model][name][i], window, ".2g") for name in THEORIES))
        for model in result.setting.models
        for i, scale in enumerate(result.setting.init_scales)
    ]  # fmt: skip
    header = ("model", "init scale", "loss halves at", *THEORIES)
    crossovers = [(model, extremes(result.crossover(model), ".2g")) for model in result.setting.models]
    return (
        Table("until when each expansion holds, in halving times of the loss", header, rows),
        Table("from where the lazy expansion leads", ("model", "initial scale"), crossovers, name="crossover"),
    )


MODELS = {
    "linear": ("", Bound("expectation", least=0.1, source="the direction is published, the margin is ours")),
    "gelu": ("-gelu", Bound("paper", least=0.0, source="the published direction", strict=True)),
}
"""By model, how its claims end, and by how much the better expansion has to lead."""


def evidence(result: LazyRich) -> tuple[Evidence, ...]:
    """Which family holds longer at the smallest and at the largest scale, in every seed."""
    rows = []
    for model in result.setting.models:
        (end, ahead), lead = MODELS[model], result.lead(model)
        for name, claim, values in (
            ("rich-small-init", "small init: expansion around the origin outlasts that around the init", -lead[0]),
            ("lazy-large-init", "large init: expansion around the init outlasts that around the origin", lead[-1]),
        ):
            rows.append(Evidence(name + end, f"{claim} (ln ratio{end.replace('-', ', ')})", values, ahead, "no number",
                                 no_null="it compares two", ceiling="unbounded", every=True))  # fmt: skip
    return tuple(rows)


STUDY = Study(
    name="lazy_rich",
    source="jacot2018ntk",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=described(
        "addition, {anchors} anchors, {keys} keys, width {width}, init seeds (band: smallest to largest), float64, "
        "rtol {rtol:g};\nskill of all weights; expansions around the origin solid, around the init dashed."
    ),
    ids=tuple(f"{name}{end}" for end, _ in MODELS.values() for name in ("rich-small-init", "lazy-large-init")),
    takes={"tiny": "30 s", "quick": "3 min"},
    smaller={
        "tiny": "one model, four scales, width 16",
        "quick": "23 tokens, width 32; the theory is of infinite width",
    },
    needs=("float64",),
    ledger="quick",
    beyond_tiny=("rich-small-init-gelu", "lazy-large-init-gelu"),
)  # fmt: skip


def _measured(
    model: Model, loss: PopulationLoss, slow: float, setting: LazyRichSetting, seeds: int
) -> tuple[Any, Any, Any]:
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


@lru_cache(maxsize=16)
def _halving(setting: LazyRichSetting) -> Callable[..., Array]:
    """First time at which the loss is half of what it was, on times even in their logarithm."""

    def run(member: dict[str, Any], loss: PopulationLoss) -> Any:
        ts = jnp.concatenate([jnp.zeros(1), member["end"] * jnp.geomspace(1e-6, 1.0, 2000)])
        falls = integrate(flow, member["start"], ts, loss, save=loss, **_tolerances(setting, member["start"])).ys
        return crossing(ts, falls, falls[0] / 2, rising=False)

    return run


@lru_cache(maxsize=16)
def _lasting(setting: LazyRichSetting, model: Model) -> Callable[..., dict[str, tuple[Array, Array]]]:
    """By theory, its horizon in units of the halving time and its skill at that time."""

    def run(member: dict[str, Any], loss: PopulationLoss) -> dict[str, tuple[Array, Array]]:
        start, half = member["start"], member["half"]
        ts = jnp.square(jnp.linspace(0.0, 1.0, setting.saves + 1)) * setting.window * half  # dense early
        exact = integrate(flow, start, ts, loss, **_tolerances(setting, start))
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
        "linearised network": lambda t, state, loss: flow(t, state, line),
    }


def _held(
    exact: Trajectory, field: Any, loss: PopulationLoss, setting: LazyRichSetting, half: Array
) -> tuple[Array, Array]:
    start = jax.tree.map(lambda y: y[0], exact.ys)
    theory = integrate(horizon.stopped(field, LOST), start, exact.ts, loss, **_tolerances(setting, start))
    found = compare(exact, theory)
    return jnp.minimum(found.horizon / half, setting.window), jnp.interp(half, exact.ts, found.skill)


def _tolerances(setting: LazyRichSetting, start: State) -> dict[str, Any]:
    scale = jnp.sqrt(jnp.mean(jnp.square(start["embed"])))
    return {"rtol": setting.rtol, "atol": setting.rtol * scale, "max_steps": setting.max_steps}
