"""An experiment on a task: data -> signatures -> theory, exact flow and trained ensemble -> result."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from .. import observables, theory
from ..base import Dataset, Field, Loss, Model, State, Task, Trajectory
from ..ensemble import stacked
from ..losses.population import check_resolution, decayed, minibatch_loss, population_loss
from ..statistics import Signatures, count, signatures
from . import lines, observed
from .protocol import Stages
from .result import ExperimentResult, comparisons

Precision = Literal["float64", "float32"]
TAKEN = ("training", "exact flow", "frozen")
"""Names of trajectories that a theory cannot have."""


@dataclass(frozen=True)
class Experiment:
    """A task, a model, and how to train it; the command line's flags are these fields.

    Task and model are any frozen dataclasses with the methods of `base.Task` and `base.Model`. What more a task may say
    of itself stands in `runs.observed`, and which theories a model may name in `runs.lines.ladder`. Parameters need a
    leaf `embed` `[token, width]`; `unembed` is compared with signatures where it is there.
    """

    task: Task
    """The data."""
    model: Model
    """The model and its initial scale."""
    seeds: int = 5
    """Independent initialisations, trained in one call."""
    init_seed: int = 0
    """Seed of the initial weights."""
    data_seed: int = 0
    """Seed of minibatches and of the shuffled control."""
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """Plain gradient descent runs on the flow's clock; the others count steps and are not compared with flow. AdamW has
    optax's own decay of 1e-4 besides `weight_decay`."""
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
    weight_decay: float = 0.0
    """Strength lambda of a decay that is part of the flow: the loss gains lambda / 2 times the squared weights."""
    dtype: Precision = "float64"
    """Precision; theory at small initial scales needs float64."""
    theories: Mapping[str, Field] = field(default_factory=dict)
    """Theories of your own by name, beside those of the model: `field(t, params, signatures)` gives d params / dt, to
    which the weight decay is added. Each runs once more on the control's signatures."""
    observables: Mapping[str, Callable[[State], Array]] = field(default_factory=dict)
    """Observables of your own by name, beside cosines and weights: an array of the parameters."""
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values by field, of the experiment or of its model ("lr" is learning_rate): every combination is run."""

    animated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_lengths(self.seeds, self.steps, self.saves)
        for name in ("learning_rate", "plateaus", "flow_time", "rtol"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name}: must be a positive number, got {value}")
        if self.optimizer != "sgd" and self.learning_rate is None and not {"lr", "learning_rate"} & set(self.sweep):
            raise ValueError(f"learning_rate: {self.optimizer} needs one; 1e-3 is usual")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch: must be at least 1, or none for the whole population; got {self.batch}")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay: must be 0 or a positive number, got {self.weight_decay}")
        _check_parts(self)

    @property
    def subject(self) -> tuple[str, str]:
        """Task and model."""
        return type(self.task).__name__, type(self.model).__name__

    def data(self) -> Dataset:
        """The population."""
        return self._data

    def memory(self) -> float:
        """Bytes that the saved trajectories and the loss tables, each seed's control's too, will take, roughly."""
        if self.sweep:
            return max(point.memory() for point in self._points.values())
        data, itemsize = self._data, 8 if self.dtype == "float64" else 4
        params = jax.eval_shape(lambda key: self.model.init(key, data.vocab, data.length), jax.random.key(0))
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        rows = self.batch or data.size
        return float(itemsize * (6 * self.seeds * (self.saves + 1) * size + (6 + self.seeds) * rows * data.vocab))

    def stages(self) -> int:
        """Stages that `run` will compute or find kept."""
        if self.sweep:
            return len(self._points)
        if self.optimizer != "sgd":
            return 2 * lines.training_stages(self.saves)
        rungs = len(lines.ladder(self.model, self.weight_decay))
        return 2 * lines.training_stages(self.saves) + 1 + rungs + (rungs > 0) + 2 * len(self.theories)

    def run(self, stages: Stages, /) -> Any:
        """Compute everything; an `ExperimentResult`, or with a sweep a `SweepResult`."""
        if self.sweep:
            from .sweep import run_points

            return run_points(self, self._points, stages)
        return _run(self, stages)

    def read(self, record: Any, arrays: Mapping[str, np.ndarray], /) -> Any:
        """The result that a finished run left."""
        if self.sweep:
            from .sweep import SweepResult

            return SweepResult.read(record, arrays)
        return ExperimentResult.read(record, arrays)

    @cached_property
    def _data(self) -> Dataset:
        return self.task.dataset()

    @cached_property
    def _points(self) -> "dict[str, Experiment]":
        from .sweep import points

        return points(self)


def check_lengths(seeds: int, steps: int, saves: int) -> None:
    """Refuse a run without seeds, steps or saves, or with more saves than steps.

    Raises:
        ValueError: naming the setting.
    """
    for name, value in (("seeds", seeds), ("steps", steps), ("saves", saves)):
        if value < 1:
            raise ValueError(f"{name}: must be at least 1, got {value}")
    if saves > steps:
        raise ValueError(f"saves: {saves} saves need at least as many steps, got {steps}")


def check_dtype(dtype: Precision) -> None:
    """Refuse a precision that JAX is not set to.

    Raises:
        ValueError: saying what to switch.
    """
    wide = jnp.zeros((), float).dtype == jnp.float64
    if dtype == "float64" and not wide:
        raise ValueError('dtype: float64 needs jax.config.update("jax_enable_x64", True) first, or choose float32')
    if dtype == "float32" and wide:
        raise ValueError("dtype: float32 was asked for but JAX runs in float64; switch jax_enable_x64 off first")


def _check_parts(experiment: Experiment) -> None:
    """Refuse tasks, models, theories and observables that cannot be run."""
    for name, kind in (("task", Task), ("model", Model)):
        part = getattr(experiment, name)
        if not isinstance(part, kind):
            methods = "dataset()" if name == "task" else "init(key, vocab, length) and apply(params, tokens)"
            raise ValueError(f"{name}: {type(part).__name__} has no {methods}; see jaxembed.base.{kind.__name__}")
    try:
        hash(experiment.model)
    except TypeError:
        kind = type(experiment.model).__name__
        raise ValueError(f"model: {kind} cannot be hashed; make it a dataclass with frozen=True") from None
    if experiment.theories and experiment.optimizer != "sgd":
        raise ValueError(f"theories: run on the clock of gradient flow; {experiment.optimizer} has none, take sgd")
    own = lines.ladder(experiment.model, experiment.weight_decay)
    for name, taken in (("theories", (*TAKEN, *own)), ("observables", ("embed", "ts", "cosines", "weights"))):
        for key in getattr(experiment, name):
            if key in taken or "/" in key:
                raise ValueError(f"{name}: {key!r} is taken or has a slash; choose another name")


# --- the run ---------------------------------------------------------------------------------------------------------


def _run(experiment: Experiment, stages: Stages) -> ExperimentResult:
    check_dtype(experiment.dtype)
    began = time.perf_counter()
    task, data = experiment.task, experiment.data()
    controls_of = observed.control_data(task, data, experiment.data_seed, experiment.seeds)
    sig = signatures(count(data))
    params0 = _initial(experiment, data, sig)
    plateau = _plateau(experiment, sig, params0)
    rate = _learning_rate(experiment, plateau)
    shuffled = observed.control_name(task)
    simulated = _trained(experiment, "training", [data], params0, rate, stages)
    null = _trained(experiment, f"training on {shuffled}", controls_of, params0, rate, stages)
    trajectories, controls = {"training": simulated}, ()
    if experiment.optimizer == "sgd":
        predicted, controls = _predicted(experiment, (data, sig), controls_of, params0, simulated.ts[0], stages)
        trajectories |= predicted
    tokens = observed.drawn(task, data)
    return ExperimentResult(
        title=" / ".join(experiment.subject),
        caption=_caption(experiment, data, params0, rate),
        tokens=observed.names(task, tokens),
        pairs=observed.pairs(task, tokens, sig),
        trajectories={name: _shown(line, tokens, experiment.observables) for name, line in trajectories.items()},
        comparisons=comparisons(trajectories, _observables(experiment, tokens), experiment.rtol),
        controls=(*controls, *(["frozen"] if "exact flow" in trajectories else [])),
        agreements=observed.agreements(task, data, sig, simulated, null, experiment.data_seed),
        signature=observed.drawn_signature(task, sig, tokens),
        plateau=plateau,
        facts=observed.facts(task, experiment.model, data, simulated, trajectories, time.perf_counter() - began),
        null=f"after {shuffled}, drawn anew for every seed",
    )


def _initial(experiment: Experiment, data: Dataset, sig: Signatures) -> State:
    """Initial parameters of all seeds, once they fit the precision, the theories and the observables."""
    keys = jax.random.split(jax.random.key(experiment.init_seed), experiment.seeds)
    params0 = jax.vmap(lambda key: experiment.model.init(key, data.vocab, data.length))(keys)
    if "embed" not in params0:
        raise ValueError(f"model: its parameters have no leaf 'embed', only {', '.join(params0)}; name it so")
    check_resolution(_scale(experiment, params0), params0["embed"].shape[-1], data.length, experiment.dtype)
    first = jax.tree.map(lambda leaf: leaf[0], params0)
    shapes = jax.tree.map(jnp.shape, first)
    for name, own in experiment.theories.items():
        given = jax.tree.map(jnp.shape, jax.eval_shape(lambda state, own=own: own(jnp.zeros(()), state, sig), first))
        if given != shapes:
            raise ValueError(f"theories: {name!r} gives {given} for parameters {shapes}; give the same leaves")
    for name, own in experiment.observables.items():
        if len(jax.tree.leaves(jax.eval_shape(own, first))) != 1:
            raise ValueError(f"observables: {name!r} does not give one array; make several observables of it")
    return params0


def _scale(experiment: Experiment, params0: State) -> float:
    """The initial scale that the model names, or the root mean square of its embeddings."""
    own = getattr(experiment.model, "scale", getattr(experiment.model, "init_scale", None))
    return _measured_scale(params0) if own is None else own


def _measured_scale(params0: State) -> float:
    return float(jnp.sqrt(jnp.mean(params0["embed"] ** 2)))


def _plateau(experiment: Experiment, sig: Signatures, params0: State) -> float | None:
    """t1 at the measured initial scale; None where first order does not outgrow decay, or the weights are not small."""
    slope, scale = lines.small_start_slope(experiment.model), _measured_scale(params0)
    if experiment.optimizer != "sgd" or slope is None or scale >= 1:
        return None
    rate = slope * float(jnp.linalg.norm(theory.linear.drive(sig), ord=2)) - experiment.weight_decay
    return -math.log(scale) / rate if rate > 1e-12 else None


def _learning_rate(experiment: Experiment, plateau: float | None) -> float:
    if experiment.learning_rate is not None:
        return experiment.learning_rate
    length = experiment.flow_time
    if length is None:
        if plateau is None:
            raise ValueError("flow_time: this model has no predicted plateau time; give flow_time or learning_rate")
        length = experiment.plateaus * plateau
    return length / experiment.steps


def _trained(
    experiment: Experiment, name: str, data: Sequence[Dataset], params0: State, rate: float, stages: Stages
) -> Trajectory:
    """All seeds trained together, on one dataset or each on its own; leaves with leading `[seed, time]` axes."""
    optimizer = {"sgd": optax.sgd, "adam": optax.adam, "adamw": optax.adamw}[experiment.optimizer](rate)
    key = jax.random.key(experiment.data_seed)
    if experiment.batch is None:
        losses, keys = [_loss(experiment, each) for each in data], None
    else:
        losses = [_decayed(experiment, minibatch_loss(experiment.model, each, experiment.batch)) for each in data]
        keys = jax.random.split(key, experiment.seeds)
    dt, own = rate if experiment.optimizer == "sgd" else None, len(data) > 1
    loss, steps, saves = stacked(losses) if own else losses[0], experiment.steps, experiment.saves
    lower = f"lower --learning-rate ({rate:.3g})" if experiment.learning_rate else f"raise --steps ({steps})"
    return lines.trained(name, loss, optimizer, params0, keys, steps, saves, dt, stages, lower, own_data=own)


def _loss(experiment: Experiment, data: Dataset) -> Loss:
    return _decayed(experiment, population_loss(experiment.model, data))


def _decayed(experiment: Experiment, loss: Loss) -> Loss:
    return decayed(loss, experiment.weight_decay) if experiment.weight_decay else loss


def _predicted(
    experiment: Experiment,
    known: tuple[Dataset, Signatures],
    controls_of: Sequence[Dataset],
    params0: State,
    ts: Array,
    stages: Stages,
) -> tuple[dict[str, Trajectory], tuple[str, ...]]:
    """Exact flow and theories, and the names of those that are fed with the statistics of each seed's control.

    Of the model's own theories the top rung has a control, of the user's every one.
    """
    model, decay, rtol = experiment.model, experiment.weight_decay, experiment.rtol
    shuffled = observed.control_name(experiment.task)
    predicted = {"exact flow": lines.flow_line(_loss(experiment, known[0]), params0, ts, rtol, stages)}
    rungs = lines.ladder(model, decay)
    own = {name: lines.derived(field, decay) for name, field in experiment.theories.items()}
    controls = {name: f"{name}, {shuffled}" for name in (*list(rungs)[-1:], *own)}
    if not controls:
        return predicted, ()
    parts = [known, *((each, signatures(count(each))) for each in controls_of)]
    if rungs:
        first, *others = [lines.read_by_theory(model, *part, partial(_loss, experiment, part[0])) for part in parts]
        predicted |= lines.theory_lines(rungs, controls, (first, stacked(others)), params0, ts, rtol, stages)
    if own:
        reads = (known[1], stacked([sig for _, sig in parts[1:]]))
        predicted |= lines.theory_lines(own, controls, reads, params0, ts, rtol, stages)
    return predicted, tuple(controls.values())


def _observables(experiment: Experiment, tokens: np.ndarray) -> dict[str, Callable[[State], Any]]:
    cosines: Callable[[State], Any] = lambda state: observables.cosine(state["embed"][tokens])  # noqa: E731
    return {"cosines": cosines, "weights": lambda state: state, **experiment.observables}


def _shown(line: Trajectory, tokens: np.ndarray, own: Mapping[str, Callable[[State], Array]]) -> Trajectory:
    """Embeddings of the drawn tokens, and the user's observables."""
    ys = {name: jax.jit(jax.vmap(jax.vmap(observable)))(line.ys) for name, observable in own.items()}
    return Trajectory(line.ts, {"embed": line.ys["embed"][:, :, tokens], **ys}, line.info, line.clock)


def _caption(experiment: Experiment, data: Dataset, params0: State, rate: float) -> str:
    unit = "flow time = learning rate x step" if experiment.optimizer == "sgd" else "optimiser steps"
    decay = f", weight decay {experiment.weight_decay:g}" if experiment.weight_decay else ""
    return (
        f"{experiment.seeds} init seeds, {experiment.dtype}, v = {data.vocab}, d = {params0['embed'].shape[-1]}, "
        f"init {_scale(experiment, params0):.3g}, {experiment.optimizer} rate {rate:.3g}{decay}, "
        f"{experiment.steps} steps; clock: {unit}"
    )
