"""Until when truncated theories hold: predicted by the term each leaves out, and observed.

Every theory of a grid of tasks, models and initial scales; the window of all ends some e-folds after the plateau. In
float64; a seed is an initialisation.

Source: yao2025probability; the prediction is derived in theory/horizon.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...base import Dataset, State, Trajectory
from ...compare import compare
from ...corpus import TextBigram
from ...ensemble import ensemble
from ...flow import integrate
from ...losses.population import PopulationLoss, population_loss
from ...observables.crossing import crossing
from ...tables import Table, number
from ...tasks import Addition, BinaryTable, LabelNeutral, Memory, Modular
from ...theory import expansion, horizon
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import Run, Study
from ._flows import flow, model_of
from .horizon_errors import FACTOR, SHARP, HorizonErrors, TheoryHorizon, within

SMALL = ("embed", "unembed")
"""The leaves that start small and whose base point is zero; others are expanded around their own start."""
LOST = 100.0
"""Root mean square of the weights at which a theory that blows up is held; they are of order 1 where learning ends."""


@dataclass(frozen=True)
class HorizonSetting:
    """Sizes, tolerances and the grid; the window ends `efolds` e-folds after each plateau."""

    tasks: tuple[str, ...] = ("addition", "label-neutral", "modular", "memory", "xor", "modular table")
    models: tuple[str, ...] = ("linear", "tanh", "gelu", "square", "tanh, hidden")
    init_scales: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    top: int = 5
    width: int = 8
    hidden: int = 12
    keys: int = 10
    anchors: int = 4
    symbols: int = 8
    words: int = 24
    efolds: float = 5.0
    saves: int = 200
    rtol: float = 1e-6
    max_steps: int = 1000
    least: int = 100
    """Theories that the grid has to have."""


SETTINGS: dict[Size, HorizonSetting] = {
    "tiny": HorizonSetting(
        ("addition",), ("linear", "gelu"), (1e-2, 1e-4), top=3, width=4, keys=5, anchors=3, saves=100, least=6
    ),
    "quick": HorizonSetting(),
}


@dataclass(frozen=True)
class Horizons(HorizonErrors):
    """All theories, and the tasks and models without a window, with the reason in words."""

    setting: HorizonSetting
    left_out: tuple[str, ...]


def run(setting: HorizonSetting, run: Run) -> Horizons:
    """Predict and observe the horizon of every theory of the grid, one rule of the window for all."""
    theories, left_out = [], []
    for task in setting.tasks:
        data = _dataset(task, setting)
        for name in setting.models:
            found = _theories(task, name, data, setting, run.seeds)
            if isinstance(found, str):
                left_out.append(found)
            else:
                theories += found
            run.progress(f"{task}, {name}: {len(theories)} theories so far")
    return Horizons(tuple(theories), setting, tuple(left_out))


def tables(result: Horizons) -> tuple[Table, ...]:
    """Every theory that misses with its cause, and how much better the prediction is than what is easy to guess."""
    header = (
        "task",
        "model",
        "order",
        "next degree",
        "init scale",
        "observed / plateau",
        "predicted / observed",
        "cause",
    )
    misses = [theory.row() for theory in result.theories if not theory.hit]
    reasons = result.left_out if misses or result.left_out else ("every theory is predicted",)
    rows = [*misses, *((reason, *[""] * (len(header) - 1)) for reason in reasons)]
    predictors = (
        ("predicted", result.ratios(), result.efolds()),
        ("constant", result.constant(), result.constant_efolds()),
        ("shuffled", result.shuffled(), None),
    )
    easy = [
        (name, *(f"{within(ratios, factor).mean():.0%}" for factor in (FACTOR, SHARP)),
         "" if efolds is None else number(np.nanmedian(np.abs(efolds)), ".2f"))
        for name, ratios, efolds in predictors
    ]  # fmt: skip
    columns = ("predictor", f"within {FACTOR:g}", f"within {SHARP:g}", "median error, e-folds")
    every = f"shares of {len(result.theories)} theories, mean over seeds"
    return (
        Table(f"theories whose horizon is not predicted within {FACTOR:g}", header, rows),
        Table(every, columns, easy, name="predictors"),
    )


def evidence(result: Horizons) -> tuple[Evidence, ...]:
    """Shares of theories and errors in e-folds, beside rules that know what was observed."""
    ours, null = np.abs(result.efolds()), np.abs(result.constant_efolds())
    return (
        Evidence("horizon-predicted",
                 "a theory's next term predicts its horizon within a factor 1.25 (share of cells)",
                 within(result.ratios()), Bound("expectation", least=0.8), "no number", within(result.constant()),
                 ceiling="1"),
        Evidence("horizon-efolds",
                 "the same on the clock of growth (median error in e-folds; null: constant offset)",
                 np.nanmedian(ours, axis=0), Bound("expectation", most=0.5), "no number",
                 np.nanmedian(null, axis=0), ceiling="0"),
        # Times alone are easy, since every horizon lies near the plateau's end: e-folds are the fair measure.
        control("horizon-constant", "median error in e-folds of a constant offset from the plateau's end, minus 3 ours",
                np.nanmedian(null) - 3 * np.nanmedian(ours)),
        Evidence("horizon-grid", "theories in the grid", np.array([float(len(result.theories))]),
                 Bound("expectation", least=result.setting.least), no_null="a count"),
    )  # fmt: skip


def caption(result: Horizons) -> str:
    setting, tasks = result.setting, ", ".join(dict.fromkeys(theory.task for theory in result.theories))
    return (
        f"{len(result.theories)} theories: {tasks}; init scales {min(setting.init_scales):g} to "
        f"{max(setting.init_scales):g}; width {setting.width}, float64, rtol {setting.rtol:g};\nobserved: skill of all "
        f"weights against the exact flow below 0.9; window: plateau + {setting.efolds:g} e-folds."
    )


STUDY = Study(
    name="horizon",
    source="yao2025probability",
    settings=SETTINGS,
    seeds={"tiny": 3, "quick": 2},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("horizon-predicted", "horizon-efolds", "horizon-constant", "horizon-grid"),
    takes={"tiny": "30 s", "quick": "10 min"},
    smaller={
        "tiny": "one task, two models, width 4; of so few theories a constant offset errs by less than 0.5 e-folds too",
        "quick": "no published setting: up to 30 tokens, width 8",
    },
    needs=("float64",),
    ledger="tiny",
)


def _dataset(task: str, setting: HorizonSetting) -> Dataset:
    """The task; the composite ones all get the vocabulary of addition, so that one compiled theory serves them."""
    composite = {"addition": Addition, "label-neutral": LabelNeutral, "modular": Modular, "memory": Memory}
    tables = {"xor": "xor", "modular table": "modular_addition"}
    if task in composite:
        data = composite[task](keys=setting.keys, anchors=setting.anchors).dataset()
        return replace(data, vocab=3 * setting.anchors + setting.keys + 1)
    if task in tables:
        return BinaryTable(setting.symbols, tables[task]).dataset()
    return TextBigram(vocab_size=setting.words).dataset()


def _theories(task: str, name: str, data: Dataset, setting: HorizonSetting, seeds: int) -> list[TheoryHorizon] | str:
    """The theories of one task and model, or in words why it has none."""
    model = model_of(name, setting.width, setting.hidden)
    loss = population_loss(model, data)
    wide = jax.vmap(lambda key: model.init(key, data.vocab, data.length))(jax.random.split(jax.random.key(0), seeds))
    first = jax.tree.map(lambda leaf: leaf[0], wide)
    degrees = horizon.degrees(jax.jit(horizon.sizes, static_argnums=3)(loss, _base(first), first, setting.top))
    members = _members(wide, setting)
    clock = ensemble(_clock(setting, degrees[0]), members, loss, mapping="vmap")
    if not np.all(np.isfinite(clock["plateau"])):
        return f"{task}, {name}: its leading term (degree {degrees[0]}) does not grow out of the origin, so no window"
    members |= {"ts": clock["ts"]}
    members |= {"exact": ensemble(_exact(setting), members, loss, mapping="vmap")}
    found = []
    for order, beyond in pairwise(degrees):
        pair = ensemble(_both(setting, order, beyond), members, loss, mapping="vmap")
        rows = [np.asarray(x).reshape(-1, seeds) for x in (clock["plateau"], clock["efold"], *pair)]
        for scale, *values in zip(setting.init_scales, *rows, strict=True):
            found.append(TheoryHorizon(task, name, order, beyond, scale, *values))
    return found


def _base(start: State) -> State:
    """The origin in the small leaves, the start itself in the others."""
    return {name: jnp.zeros_like(leaf) if name in SMALL else leaf for name, leaf in start.items()}


def _members(wide: State, setting: HorizonSetting) -> dict[str, Any]:
    """Starts at every scale and seed, seeds fastest, with their base points and scales."""
    scales = jnp.asarray(setting.init_scales)

    def start(scale: Array) -> State:
        return {name: leaf * scale if name in SMALL else leaf for name, leaf in wide.items()}

    starts = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.vmap(start)(scales))
    return {"start": starts, "base": _base(starts), "scale": jnp.repeat(scales, len(wide["embed"]))}


@lru_cache(maxsize=64)
def _clock(setting: HorizonSetting, lead: int) -> Callable[..., dict[str, Any]]:
    """Plateau time, time per e-fold at its end, and save times, all from the leading theory (theory/horizon.md, H7)."""
    path = jnp.linspace(0.0, 2 * float(np.log(1 / min(setting.init_scales))) + 10, 1000)

    def run(member: dict[str, Any], loss: PopulationLoss) -> dict[str, Any]:
        base, tolerances = member["base"], _tolerances(setting, member)
        leading = horizon.growth(lambda t, state, loss: expansion.term(loss, base, state, lead), base)
        begun = {"state": member["start"], "time": jnp.zeros(())}
        save = partial(_size_and_time, base)
        sizes, times = integrate(leading, begun, path, loss, save=save, **tolerances).ys
        goal = sizes[0] / member["scale"]
        plateau, at = crossing(times, sizes, goal), jnp.argmax(sizes >= goal)
        efold = (times[at] - times[at - 1]) / (jnp.log(sizes[at]) - jnp.log(sizes[at - 1]))
        # Even in the path to the plateau's end, where a theory that blows up does everything at the last moment.
        along = jnp.linspace(0.0, crossing(path, sizes, goal), setting.saves + 1)
        after = plateau + jnp.linspace(0.0, setting.efolds, setting.saves // 2 + 1)[1:] * efold
        before = jnp.interp(along, path, times).at[-1].set(plateau)
        return {"plateau": plateau, "efold": efold, "ts": jnp.concatenate([before, after])}

    return run


def _size_and_time(base: State, pair: State) -> tuple[Array, Array]:
    squares = [jnp.sum(jnp.square(leaf - base[name])) for name, leaf in pair["state"].items()]
    return jnp.sqrt(jnp.sum(jnp.stack(squares))), pair["time"]


@lru_cache(maxsize=64)
def _exact(setting: HorizonSetting) -> Callable[..., Trajectory]:
    def run(member: dict[str, Any], loss: PopulationLoss) -> Trajectory:
        return integrate(flow, member["start"], member["ts"], loss, **_tolerances(setting, member))

    return run


@lru_cache(maxsize=64)
def _both(setting: HorizonSetting, order: int, beyond: int) -> Callable[..., tuple[Array, Array]]:
    """(predicted, observed) horizon of the theory of one order; only the second sees the exact flow."""

    def run(member: dict[str, Any], loss: PopulationLoss) -> tuple[Array, Array]:
        start, base, ts, tolerances = (member["start"], member["base"], member["ts"], _tolerances(setting, member))
        truncated, beside = expansion.expand(loss, base, order), horizon.of_loss(loss, base, order, beyond)
        theory = integrate(horizon.stopped(truncated, LOST), start, ts, loss, **tolerances)
        pair = integrate(horizon.stopped(beside, LOST), horizon.start(start), ts, loss, **tolerances)
        return compare(*horizon.split(pair)).horizon, compare(member["exact"], theory).horizon

    return run


def _tolerances(setting: HorizonSetting, member: dict[str, Any]) -> dict[str, Any]:
    return {"rtol": setting.rtol, "atol": setting.rtol * member["scale"], "max_steps": setting.max_steps}
