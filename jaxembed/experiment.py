"""One experiment, start to end: data -> signatures -> theory, exact flow and trained ensemble -> Result.

The one place that knows everybody. It computes; it neither prints nor draws.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from . import observables, theory
from .base import Dataset, Field, State, Trajectory
from .compare import compare, frozen
from .corpus import TextBigram
from .ensemble import ensemble
from .flow import gradient_flow, integrate
from .losses import accuracy, check_resolution, minibatch_loss, population_loss
from .models import Feedforward, Linear
from .results import Against, Agreement, Result
from .statistics import Signatures, count, signatures
from .tasks import Addition, BinaryTable, LabelNeutral, Memory, MixedAnchors, Modular, shuffled
from .train import Progress, advance, start

AnyTask = Addition | LabelNeutral | Modular | Memory | MixedAnchors | BinaryTable | TextBigram
AnyModel = Linear | Feedforward
CHUNKS = 10
"""Pieces a training run is taken in: what a stopped run loses at most, and the grain of its progress bar."""

THEORY_STEPS = 500
"""Solver steps of a theory: past its window a truncated field turns stiff or blows up, and is given up, said so."""


class Stages(Protocol):
    """Computes a named stage, or gives it back where it was computed before the run was stopped."""

    def __call__(self, name: str, compute: Callable[[], Any]) -> Any: ...


def no_stages(name: str, compute: Callable[[], Any]) -> Any:
    """Stages that keep nothing."""
    return compute()


@dataclass(frozen=True)
class Experiment:
    """A task, a model, and how to train it; the command line's flags are these fields."""

    task: AnyTask
    """The data."""
    model: AnyModel
    """The model and its initial scale."""
    seeds: int = 5
    """Independent initialisations, trained in one call."""
    init_seed: int = 0
    """Seed of the initial weights."""
    data_seed: int = 0
    """Seed of minibatches and of the shuffled control."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """Plain gradient descent runs on the flow's clock; the others count steps and are not compared with flow."""
    learning_rate: float | None = None
    """Step size; none with sgd spreads the flow time over the steps."""
    batch: int | None = None
    """Examples per step, or none for the whole population."""
    steps: int = 1000
    """Training steps."""
    saves: int = 40
    """Saved times after the start."""
    plateaus: float = 2.5
    """Length of the run in units of the predicted plateau time t1."""
    flow_time: float | None = None
    """Length of the run in flow time instead."""
    rtol: float = 1e-6
    """Relative tolerance of the flow and theory integrations."""
    dtype: Literal["float64", "float32"] = "float64"
    """Precision; theory at small initial scales needs float64."""

    def __post_init__(self) -> None:
        for name in ("seeds", "steps", "saves"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.saves > self.steps:
            raise ValueError(f"saves: {self.saves} saves need at least as many steps, got {self.steps}")
        for name in ("learning_rate", "plateaus", "flow_time", "rtol"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}: must be a positive number, got {value}")
        if self.optimizer != "sgd" and self.learning_rate is None:
            raise ValueError(f"learning_rate: {self.optimizer} needs one; 1e-3 is usual")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch: must be at least 1, or none for the whole population; got {self.batch}")


def run(experiment: Experiment, stages: Stages = no_stages) -> Result:
    """Carry the experiment out.

    Args:
        experiment: what to run.
        stages: keeps finished stages so that a stopped run goes on where it was (see `record`).

    Raises:
        ValueError: where the settings do not fit together, naming the setting.
    """
    _check_dtype(experiment)
    began = time.perf_counter()
    data = experiment.task.dataset()
    control = _control_data(experiment, data)
    sig, control_sig = signatures(count(data)), signatures(count(control))
    check_resolution(_scale(experiment.model), experiment.model.width, data.length, experiment.dtype)
    keys = jax.random.split(jax.random.key(experiment.init_seed), experiment.seeds)
    params0 = jax.vmap(lambda key: experiment.model.init(key, data.vocab, data.length))(keys)
    clock = _clock(experiment, sig, params0)
    trained = _trained(experiment, "training", data, params0, clock, stages)
    null = _trained(experiment, "training on shuffled labels", control, params0, clock, stages)
    lines = {"training": trained}
    if clock.flow:
        lines |= _predicted(experiment, data, sig, control_sig, params0, trained.ts[0], stages)
    focus = _focus(experiment.task, data)
    return Result(
        title=_title(experiment),
        caption=_caption(experiment, data, clock),
        tokens=_names(experiment.task, focus),
        pairs=_pairs(experiment.task, focus, sig),
        trajectories={name: _shown(line, focus) for name, line in lines.items()},
        comparisons=_comparisons(lines, focus),
        agreements=_agreements(experiment, data, sig, trained, null),
        signature=_drawn_signature(experiment.task, sig, focus),
        plateau=clock.plateau,
        facts=_facts(experiment, data, trained, lines, time.perf_counter() - began),
        settings=asdict(experiment),
    )


def stage_count(experiment: Experiment) -> int:
    """Stages that `run` will compute or find kept."""
    chunks = 2 * (1 + min(CHUNKS, experiment.saves))
    rungs = len(_rungs(experiment.model))
    return chunks + (1 + rungs + (rungs > 0) if experiment.optimizer == "sgd" else 0)


def memory_estimate(experiment: Experiment) -> float:
    """Bytes that the saved trajectories and the loss tables will take, roughly; said before a run starts."""
    vocab, examples = _sizes(experiment.task)
    width, hidden = experiment.model.width, getattr(experiment.model, "hidden", None) or experiment.model.width
    itemsize = 8 if experiment.dtype == "float64" else 4
    parameters = vocab * (width + hidden) + width * hidden
    rows = experiment.batch or examples
    return itemsize * (6 * experiment.seeds * (experiment.saves + 1) * parameters + 6 * rows * vocab)


# --- the clock -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Clock:
    """Learning rate, whether time is flow time, and the plateau time where theory names one."""

    learning_rate: float
    flow: bool
    plateau: float | None


def _clock(experiment: Experiment, sig: Signatures, params0: State) -> _Clock:
    plateau = _plateau(experiment.model, sig, params0)
    if experiment.optimizer != "sgd":
        assert experiment.learning_rate is not None
        return _Clock(experiment.learning_rate, False, None)
    if experiment.learning_rate is not None:
        return _Clock(experiment.learning_rate, True, plateau)
    length = experiment.flow_time
    if length is None:
        if plateau is None:
            raise ValueError("flow_time: this model has no predicted plateau time; give flow_time or learning_rate")
        length = experiment.plateaus * plateau
    return _Clock(length / experiment.steps, True, plateau)


def _plateau(model: AnyModel, sig: Signatures, params0: State) -> float | None:
    """t1 at the measured initial scale; None where the first-order term vanishes or the weights are not small."""
    scale = float(jnp.sqrt(jnp.mean(params0["embed"] ** 2)))
    try:
        slope = 1.0 if isinstance(model, Linear) else model.taylor[0]
    except ValueError:
        return None
    if slope == 0 or scale >= 1 or getattr(model, "hidden", None) is not None:
        return None
    t1 = float(theory.linear.plateau_time(sig, scale)) / slope
    return t1 if math.isfinite(t1) else None


# --- training, flow, theory ------------------------------------------------------------------------------------------


def _trained(
    experiment: Experiment, name: str, data: Dataset, params0: State, clock: _Clock, stages: Stages
) -> Trajectory:
    """All seeds trained together, chunk by chunk of the saves; every leaf with leading `[seed, time]` axes."""
    optimizer = {"sgd": optax.sgd, "adam": optax.adam, "adamw": optax.adamw}[experiment.optimizer](clock.learning_rate)
    dt = clock.learning_rate if clock.flow else None
    key = jax.random.key(experiment.data_seed)
    if experiment.batch is None:
        loss, keys = population_loss(experiment.model, data), None
    else:
        loss, keys = minibatch_loss(experiment.model, data, experiment.batch), jax.random.split(key, experiment.seeds)
    gaps = np.diff(np.linspace(0, experiment.steps, experiment.saves + 1).round().astype(int))

    @partial(jax.jit, static_argnums=2)
    def begin(params0: State, keys: Array | None, _: str) -> Progress:
        return jax.vmap(lambda p, k: start(p, optimizer, k))(params0, keys)

    def go_on(member: Progress, loss: Any, gaps: Array) -> tuple[Progress, Trajectory]:
        return advance(loss, optimizer, member, gaps, dt=dt)

    progress, pieces = begin(params0, keys, name), []
    for i, part in enumerate([np.zeros(1, int), *np.array_split(gaps, min(CHUNKS, len(gaps)))]):
        compute = partial(ensemble, go_on, progress, loss, jnp.asarray(part))
        progress, piece = stages(f"{name} {i}/{min(CHUNKS, len(gaps))}", compute)
        pieces.append(piece)
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *(_without_info(p) for p in pieces))


def _without_info(piece: Trajectory) -> Trajectory:
    return Trajectory(piece.ts, piece.ys, {"mean_loss": piece.info["mean_loss"]}, piece.clock)


def _predicted(
    experiment: Experiment,
    data: Dataset,
    sig: Signatures,
    control_sig: Signatures,
    params0: State,
    ts: Array,
    stages: Stages,
) -> dict[str, Trajectory]:
    """Exact flow, every rung of theory, and the top rung fed with the statistics of shuffled labels."""

    def flow(params: State, loss: Any, ts: Array) -> Trajectory:
        return integrate(gradient_flow(loss), params, ts, rtol=experiment.rtol)

    loss = population_loss(experiment.model, data)
    lines = {"exact flow": stages("exact flow", lambda: ensemble(flow, params0, loss, ts))}
    rungs = _rungs(experiment.model)
    for name, field in rungs.items():
        lines[name] = stages(name, partial(_theory_line, field, params0, sig, ts, experiment.rtol))
    if rungs:
        name, field = list(rungs.items())[-1]
        shuffled_name = f"{name}, shuffled labels"
        lines[shuffled_name] = stages(
            shuffled_name, partial(_theory_line, field, params0, control_sig, ts, experiment.rtol)
        )
    return lines


def _theory_line(field: Field, params0: State, sig: Signatures, ts: Array, rtol: float) -> Trajectory:
    return ensemble(_solution(field, rtol), params0, sig, ts)


@lru_cache(maxsize=16)
def _solution(field: Field, rtol: float) -> Callable[..., Trajectory]:
    """One and the same function for one theory, so that its control does not compile it again."""

    def one(params: State, sig: Signatures, ts: Array) -> Trajectory:
        return integrate(field, params, ts, sig, rtol=rtol, max_steps=THEORY_STEPS)

    return one


def _rungs(model: AnyModel) -> dict[str, Field]:
    """The ladder of theories that is derived for this model, lowest first; empty where none is."""
    if isinstance(model, Linear):
        return {"rung 0": theory.linear.rung0, "rung 1": theory.linear.rung1}
    if model.hidden is not None:
        return {}
    try:
        taylor = model.taylor
    except ValueError:
        return {}
    names = ("F1", "F1 + F2", "F1 + F2 + F3")
    return {name: theory.feedforward.field(taylor, order) for order, name in enumerate(names, start=1)}


# --- what is looked at -----------------------------------------------------------------------------------------------


def _shown(line: Trajectory, focus: np.ndarray) -> Trajectory:
    return Trajectory(line.ts, {"embed": line.ys["embed"][:, :, focus]}, line.info, line.clock)


def _comparisons(lines: dict[str, Trajectory], focus: np.ndarray) -> tuple[Against, ...]:
    """Training against flow, and every theory and control against flow: of cosines and of all weights."""
    if "exact flow" not in lines:
        return ()
    exact = lines["exact flow"]
    rows = [("training", "exact flow", False)]
    rows += [("exact flow", name, "shuffled" in name) for name in lines if name not in ("training", "exact flow")]
    still = jax.vmap(lambda line: frozen(line))(_bare(exact))
    found = []
    for observable, look in (("cosines", lambda s: observables.cosine(s["embed"][focus])), ("weights", lambda s: s)):
        pair = jax.jit(jax.vmap(partial(compare, observable=look)))
        for reference, prediction, control in rows:
            numbers = pair(_bare(lines[reference]), _bare(lines[prediction]))
            found.append(Against(reference, prediction, observable, numbers, control))
        found.append(Against("exact flow", "frozen", observable, pair(_bare(exact), still), True))
    return tuple(found)


def _bare(line: Trajectory) -> Trajectory:
    return Trajectory(line.ts, line.ys, {}, line.clock)


def _agreements(
    experiment: Experiment, data: Dataset, sig: Signatures, trained: Trajectory, null: Trajectory
) -> tuple[Agreement, ...]:
    scope = _scope(experiment.task, data)
    labels = np.flatnonzero(np.asarray(sig.target) > 0)
    names = ("next", "prev") if isinstance(experiment.task, TextBigram) else ("label", "trace-back")
    rows = [
        (f"R_cos(embed, {names[0]} - 1/v)", "embed", scope, (sig.label - 1 / sig.vocab)[scope]),
        (f"R_cos(embed, {names[0]} - P(y))", "embed", scope, (sig.label - sig.target[None])[scope]),
        (f"R_cos(unembed, {names[1]} - r)", "unembed", labels, (sig.trace_back - sig.token[None])[labels]),
    ]
    if data.length > 1:  # a sequence of one token has no context but itself
        rows.insert(2, ("R_cos(embed, context)", "embed", scope, sig.context[scope]))
    key = jax.random.key(experiment.data_seed)
    found = [_r_cos_row(name, leaf, chosen, s, trained, null, key) for name, leaf, chosen, s in rows]
    if hasattr(experiment.task, "anchor_tokens") and len(scope) > 2:
        found.append(_order_row(scope, trained, null))
    return tuple(found)


def _r_cos_row(
    name: str, leaf: str, rows: np.ndarray, signature: Array, trained: Trajectory, null: Trajectory, key: Array
) -> Agreement:
    course = np.asarray(_r_cos_along(trained.ys[leaf][:, :, rows], signature))
    at_end = np.asarray(_r_cos_along(null.ys[leaf][:, :, rows], signature))[:, -1]
    permutations = 999 if len(rows) <= 100 else 199
    p_values = [_mantel(w[-1][rows], signature, key=key, permutations=permutations) for w in trained.ys[leaf]]
    return Agreement(name, course[:, -1], at_end, np.asarray(p_values), course)


# Jitted once for all measures and both trainings: compiling takes longer than running them.
_mantel = jax.jit(observables.mantel, static_argnames="permutations")


@jax.jit
def _r_cos_along(states: Array, signature: Array) -> Array:
    return jax.lax.map(lambda seed: jax.lax.map(lambda x: observables.r_cos(x, signature), seed), states)


@jax.jit
def _order_along(states: Array) -> Array:
    return jax.vmap(jax.vmap(observables.order))(states)


def _order_row(rows: np.ndarray, trained: Trajectory, null: Trajectory) -> Agreement:
    course, nulls = (np.asarray(_order_along(line.ys["embed"][:, :, rows])) for line in (trained, null))
    return Agreement("order of the anchors (Spearman)", course[:, -1], nulls[:, -1], None, course)


def _drawn_signature(task: AnyTask, sig: Signatures, focus: np.ndarray) -> tuple[str, np.ndarray]:
    """The label signature, or the context signature where label signatures do not tell the tokens apart."""
    name = "next-token signature" if isinstance(task, TextBigram) else "label signature"
    centred = np.asarray(sig.label[focus] - (sig.target[None] if isinstance(task, TextBigram) else 1 / sig.vocab))
    if np.ptp(centred, axis=0).max() > 1e-9 or isinstance(task, TextBigram):
        return f"{name} (centred)", centred
    return "context signature", np.asarray(sig.context[focus])


def _facts(
    experiment: Experiment, data: Dataset, trained: Trajectory, lines: dict[str, Trajectory], seconds: float
) -> dict[str, Any]:
    last = jax.tree.map(lambda leaf: leaf[:, -1], trained.ys)
    score = jax.jit(jax.vmap(lambda p: accuracy(experiment.model, data, p)))(last)
    facts: dict[str, Any] = {
        "accuracy by seed": [float(x) for x in score],
        "chance (most frequent label)": float(np.bincount(data.targets, data.weights).max()),
        "examples": data.size,
        "vocabulary": data.vocab,
        "seconds": seconds,
    }
    for name, line in lines.items():
        if "accepted" in line.info:
            facts[f"solver steps, {name}"] = np.asarray(line.info["accepted"]).tolist()
            lost = np.asarray(line.info["nonfinite_time"])
            if np.isfinite(lost).any():
                facts[f"not finite from, {name}"] = lost.tolist()
    if isinstance(experiment.task, TextBigram):
        population = experiment.task.population()
        facts |= {"coverage": population.coverage, "words": population.tokens, "text sha256": population.text_hash}
    return facts


# --- names and choices by task ---------------------------------------------------------------------------------------


def _scope(task: AnyTask, data: Dataset) -> np.ndarray:
    """The tokens that agreement with signatures is measured over: the anchors, or all that occur."""
    anchors = getattr(task, "anchor_tokens", None)
    if anchors is not None:
        return np.asarray(anchors)
    return np.unique(np.asarray(data.tokens))


def _focus(task: AnyTask, data: Dataset) -> np.ndarray:
    """The tokens that are drawn: at most 20 of the scope."""
    if isinstance(task, TextBigram):
        return np.asarray(task.most_frequent_tokens(min(20, data.vocab)))
    return _scope(task, data)[:20]


def _names(task: AnyTask, focus: np.ndarray) -> tuple[str, ...]:
    if isinstance(task, TextBigram):
        words = task.population().vocabulary.words
        return tuple(words[i] for i in focus)
    return tuple(str(i) for i in focus)


def _pairs(task: AnyTask, focus: np.ndarray, sig: Signatures) -> tuple[tuple[int, int], ...]:
    """Neighbours, mid-range and far anchors; for a text the most, middle and least similar by signature."""
    n = len(focus)
    if n < 3:
        return ((0, n - 1),)
    if not isinstance(task, TextBigram):
        return ((0, 1), (0, n // 2), (0, n - 1))
    rows, columns = np.triu_indices(n, 1)
    similarity = np.asarray(observables.pair_cosines((sig.label - sig.target[None])[focus]))
    by = np.argsort(similarity, kind="stable")[[-1, len(similarity) // 2, 0]]
    return tuple((int(rows[i]), int(columns[i])) for i in by)


def _control_data(experiment: Experiment, data: Dataset) -> Dataset:
    if isinstance(experiment.task, TextBigram):
        return experiment.task.shuffled_text_dataset(experiment.data_seed)
    return shuffled(data, experiment.data_seed)


def _title(experiment: Experiment) -> str:
    return f"{type(experiment.task).__name__} / {type(experiment.model).__name__}"


def _caption(experiment: Experiment, data: Dataset, clock: _Clock) -> str:
    unit = "flow time = learning rate x step" if clock.flow else "optimiser steps"
    return (
        f"{experiment.seeds} init seeds, {experiment.dtype}, v = {data.vocab}, d = {experiment.model.width}, "
        f"init {_scale(experiment.model):g}, {experiment.optimizer} rate {clock.learning_rate:.3g}, "
        f"{experiment.steps} steps; clock: {unit}"
    )


def _scale(model: AnyModel) -> float:
    return model.init_scale if model.gamma is None else model.width ** (-model.gamma)


def _sizes(task: AnyTask) -> tuple[int, int]:
    if isinstance(task, TextBigram):
        return task.vocab_size, task.vocab_size
    if isinstance(task, BinaryTable):
        return task.size, task.size**2
    return task.vocab, task.population().size


def _check_dtype(experiment: Experiment) -> None:
    wide = jnp.zeros((), float).dtype == jnp.float64
    if experiment.dtype == "float64" and not wide:
        raise ValueError('dtype: float64 needs jax.config.update("jax_enable_x64", True) first, or choose float32')
    if experiment.dtype == "float32" and wide:
        raise ValueError("dtype: float32 was asked for but JAX runs in float64; switch jax_enable_x64 off first")
