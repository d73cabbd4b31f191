"""Until when truncated theories hold: predicted by the term each leaves out, and observed, over a grid of cells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...base import Dataset, Model, State, Trajectory
from ...compare import compare
from ...corpus import TextBigram
from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...losses.population import PopulationLoss, population_loss
from ...models import Feedforward, Linear
from ...tasks import Addition, BinaryTable, LabelNeutral, Memory, Modular
from ...theory import expansion, horizon
from ..check import Size, need_float64
from ..measured import silent
from .horizon_cells import HEADER as HEADER
from .horizon_cells import Cell, Horizons

SMALL = ("embed", "unembed")
"""The leaves that start small and whose base point is zero; others are expanded around their own start."""
LOST = 100.0
"""Root mean square of the weights at which a theory that blows up is held; they are of order 1 where learning ends."""


@dataclass(frozen=True)
class Setting:
    """Sizes, tolerances and the grid; the window ends `efolds` e-folds after each cell's plateau."""

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


SETTINGS = {
    "tiny": Setting(("addition",), ("linear", "gelu"), (1e-2, 1e-4), top=3, width=4, keys=5, anchors=3, saves=100),
    "normal": Setting(),
}


def horizons(
    size: Size, seeds: int = 2, progress: Callable[[str], None] = silent, setting: Setting | None = None
) -> Horizons:
    """Predict and observe the horizon of every theory of every cell of the grid, one rule of the window for all.

    Args:
        size: "tiny" (one task, seconds) or "normal" (the grid).
        seeds: initialisations of every cell.
        progress: called with a line of text after each theory.
        setting: another grid than that of `size`.

    Raises:
        ValueError: where JAX computes in float32, which cannot show errors at small initial scales.

    Source: yao2025probability.
    """
    need_float64("horizons")
    setting = SETTINGS[size] if setting is None else setting
    cells, left_out = [], []
    for task in setting.tasks:
        data = _dataset(task, setting)
        for name in setting.models:
            found = list(_cells(task, name, data, setting, seeds))
            cells += [cell for cell in found if isinstance(cell, Cell)]
            left_out += [reason for reason in found if isinstance(reason, str)]
            progress(f"{task}, {name}: {len(cells)} cells so far")
    return Horizons(size, setting.efolds, tuple(cells), tuple(left_out))


def _dataset(task: str, setting: Setting) -> Dataset:
    """The task; the composite ones all get the vocabulary of addition, so that one compiled theory serves them."""
    composite = {"addition": Addition, "label-neutral": LabelNeutral, "modular": Modular, "memory": Memory}
    tables = {"xor": "xor", "modular table": "modular_addition"}
    if task in composite:
        data = composite[task](keys=setting.keys, anchors=setting.anchors).dataset()
        return replace(data, vocab=3 * setting.anchors + setting.keys + 1)
    if task in tables:
        return BinaryTable(setting.symbols, tables[task]).dataset()
    return TextBigram(vocab_size=setting.words).dataset()


def _model(name: str, setting: Setting) -> Model:
    """The model at initial scale 1; starts are scaled down from it."""
    activation, *rest = name.split(", ")
    if activation == "linear":
        return Linear(setting.width, init_scale=1.0)
    return Feedforward(setting.width, setting.hidden if rest else None, activation, init_scale=1.0)


def _cells(task: str, name: str, data: Dataset, setting: Setting, seeds: int) -> Iterator[Cell | str]:
    """The cells of one task and model, or in words why it has none."""
    model = _model(name, setting)
    loss = population_loss(model, data)
    wide = jax.vmap(lambda key: model.init(key, data.vocab, data.length))(jax.random.split(jax.random.key(0), seeds))
    one = jax.tree.map(lambda leaf: leaf[0], wide)
    found = horizon.degrees(jax.jit(horizon.sizes, static_argnums=3)(loss, _base(one), one, setting.top))
    members, scales = _members(wide, setting)
    clock = ensemble(_clock(setting, found[0]), members, loss, mapping="vmap")
    if not np.all(np.isfinite(clock["plateau"])):
        yield f"{task}, {name}: its leading term (degree {found[0]}) does not grow out of the origin, so no window"
        return
    members |= {"ts": clock["ts"]}
    members |= {"exact": ensemble(_exact(setting), members, loss, mapping="vmap")}
    for order, beyond in pairwise(found):
        ahead, seen = ensemble(_both(setting, order, beyond), members, loss, mapping="vmap")
        rows = [np.asarray(x).reshape(-1, seeds) for x in (clock["plateau"], clock["efold"], ahead, seen)]
        for scale, *values in zip(scales, *rows, strict=True):
            yield Cell(task, name, order, beyond, found[0], scale, *values)


def _base(start: State) -> State:
    """The origin in the small leaves, the start itself in the others."""
    return {name: jnp.zeros_like(leaf) if name in SMALL else leaf for name, leaf in start.items()}


def _members(wide: State, setting: Setting) -> tuple[dict[str, Any], tuple[float, ...]]:
    """Starts at every scale and seed, seeds fastest, with their base points and scales."""
    scales = jnp.asarray(setting.init_scales)

    def start(scale: Array) -> State:
        return {name: leaf * scale if name in SMALL else leaf for name, leaf in wide.items()}

    starts = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), jax.vmap(start)(scales))
    seeds = len(wide["embed"])
    return {"start": starts, "base": _base(starts), "scale": jnp.repeat(scales, seeds)}, setting.init_scales


@lru_cache(maxsize=64)
def _clock(setting: Setting, lead: int) -> Callable[..., dict[str, Array]]:
    """Plateau time, time per e-fold at its end, and save times, all from the leading theory (theory/horizon.md, H7)."""
    path = jnp.linspace(0.0, 2 * float(np.log(1 / min(setting.init_scales))) + 10, 1000)

    def run(member: dict[str, Any], loss: PopulationLoss) -> dict[str, Array]:
        base, tolerances = member["base"], _tolerances(setting, member)
        leading = horizon.growth(lambda t, state, loss: expansion.term(loss, base, state, lead), base)
        begun = {"state": member["start"], "time": jnp.zeros(())}
        save = partial(_size_and_time, base)
        sizes, times = integrate(leading, begun, path, loss, save=save, **tolerances).ys
        goal = sizes[0] / member["scale"]
        at = jnp.argmax(sizes >= goal)
        share = (goal - sizes[at - 1]) / _step(sizes, at)
        plateau = jnp.where(jnp.any(sizes >= goal), times[at - 1] + share * _step(times, at), jnp.inf)
        efold = _step(times, at) / _step(jnp.log(sizes), at)
        # Even in the path to the plateau's end, where a theory that blows up does everything at the last moment.
        along = jnp.linspace(0.0, path[at - 1] + share * _step(path, at), setting.saves + 1)
        after = plateau + jnp.linspace(0.0, setting.efolds, setting.saves // 2 + 1)[1:] * efold
        before = jnp.interp(along, path, times).at[-1].set(plateau)
        return {"plateau": plateau, "efold": efold, "ts": jnp.concatenate([before, after])}

    return run


def _size_and_time(base: State, pair: State) -> tuple[Array, Array]:
    squares = [jnp.sum(jnp.square(leaf - base[name])) for name, leaf in pair["state"].items()]
    return jnp.sqrt(jnp.sum(jnp.stack(squares))), pair["time"]


def _step(x: Array, at: Array) -> Array:
    return x[at] - x[at - 1]


@lru_cache(maxsize=64)
def _exact(setting: Setting) -> Callable[..., Trajectory]:
    def run(member: dict[str, Any], loss: PopulationLoss) -> Trajectory:
        return integrate(_flow, member["start"], member["ts"], loss, **_tolerances(setting, member))

    return run


@lru_cache(maxsize=64)
def _both(setting: Setting, order: int, beyond: int) -> Callable[..., tuple[Array, Array]]:
    """(predicted, observed) horizon of the theory of one order; only the second sees the exact flow."""

    def run(member: dict[str, Any], loss: PopulationLoss) -> tuple[Array, Array]:
        start, base, ts, tolerances = (member["start"], member["base"], member["ts"], _tolerances(setting, member))
        truncated, beside = expansion.expand(loss, base, order), horizon.of_loss(loss, base, order, beyond)
        theory = integrate(horizon.stopped(truncated, LOST), start, ts, loss, **tolerances)
        pair = integrate(horizon.stopped(beside, LOST), horizon.start(start), ts, loss, **tolerances)
        return compare(*horizon.split(pair)).horizon, compare(member["exact"], theory).horizon

    return run


def _flow(t: Any, state: State, loss: PopulationLoss) -> State:
    return gradient_flow(loss)(t, state, None)


def _tolerances(setting: Setting, member: dict[str, Any]) -> dict[str, Any]:
    return {"rtol": setting.rtol, "atol": setting.rtol * member["scale"], "max_steps": setting.max_steps}
