"""An experiment on a task: data -> signatures -> theory, exact flow and trained ensemble -> Result."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from .. import observables, theory
from ..base import Dataset, Loss, State, Trajectory
from ..corpus import TextBigram
from ..ensemble import ensemble
from ..flow import gradient_flow, integrate
from ..losses.population import check_resolution, decayed, minibatch_loss, population_loss
from ..models import Linear, TwoPosition
from .results import Result
from ..statistics import Signatures, count, signatures
from ..tasks import shuffled
from . import observed as looks
from .ladders import Rung, has_hidden, ladder, read_by_theory
from .settings import AnyModel, Experiment, check_dtype, init_scale
from .stages import Stages, comparisons, no_stages, trained, training_stages

THEORY_STEPS = 500
"""Solver steps of a theory: past its window a truncated field turns stiff or blows up, and is given up, said so."""


def run(experiment: Experiment, stages: Stages = no_stages) -> Result:
    """Carry the experiment out.

    Args:
        experiment: what to run.
        stages: keeps finished stages so that a stopped run goes on where it was (see `record`).

    Raises:
        ValueError: where the settings do not fit together, naming the setting.
    """
    check_dtype(experiment.dtype)
    began = time.perf_counter()
    data = experiment.task.dataset()
    control = _control_data(experiment, data)
    sig, control_sig = signatures(count(data)), signatures(count(control))
    check_resolution(init_scale(experiment.model), experiment.model.width, data.length, experiment.dtype)
    keys = jax.random.split(jax.random.key(experiment.init_seed), experiment.seeds)
    params0 = jax.vmap(lambda key: experiment.model.init(key, data.vocab, data.length))(keys)
    clock = _clock(experiment, sig, params0)
    simulated = _trained(experiment, "training", data, params0, clock, stages)
    null = _trained(experiment, f"training on {_control_name(experiment)}", control, params0, clock, stages)
    lines = {"training": simulated}
    if clock.flow:
        parts = ((data, sig), (control, control_sig))
        read = [read_by_theory(experiment.model, *part, partial(_loss, experiment, part[0])) for part in parts]
        lines |= _predicted(experiment, data, read[0], read[1], params0, simulated.ts[0], stages)
    focus = looks.focus(experiment.task, data)
    seen = {"cosines": lambda state: observables.cosine(state["embed"][focus]), "weights": lambda state: state}
    return Result(
        title=f"{type(experiment.task).__name__} / {type(experiment.model).__name__}",
        caption=_caption(experiment, data, clock),
        tokens=looks.names(experiment.task, focus),
        pairs=looks.pairs(experiment.task, focus, sig),
        trajectories={name: _shown(line, focus) for name, line in lines.items()},
        comparisons=comparisons(lines, [name for name in lines if _control_name(experiment) in name], seen),
        agreements=looks.agreements(experiment, data, sig, simulated, null),
        signature=looks.drawn_signature(experiment.task, sig, focus),
        plateau=clock.plateau,
        facts=looks.facts(experiment, data, simulated, lines, time.perf_counter() - began),
        settings=asdict(experiment),
        null=f"after {_control_name(experiment)}",
    )


def stage_count(experiment: Experiment) -> int:
    """Stages that `run` will compute or find kept."""
    rungs = len(ladder(experiment.model, experiment.weight_decay))
    flow = 1 + rungs + (rungs > 0) if experiment.optimizer == "sgd" else 0
    return 2 * training_stages(experiment.saves) + flow


@dataclass(frozen=True)
class _Clock:
    """Learning rate, whether time is flow time, and the plateau time where theory names one."""

    learning_rate: float
    flow: bool
    plateau: float | None


def _clock(experiment: Experiment, sig: Signatures, params0: State) -> _Clock:
    plateau = _plateau(experiment.model, sig, params0, experiment.weight_decay)
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


def _plateau(model: AnyModel, sig: Signatures, params0: State, weight_decay: float) -> float | None:
    """t1 at the measured initial scale; None where first order does not outgrow decay, or the weights are not small."""
    scale = float(jnp.sqrt(jnp.mean(params0["embed"] ** 2)))
    try:
        slope = 1.0 if isinstance(model, Linear) else model.taylor[0]
    except ValueError:
        return None
    if slope == 0 or scale >= 1 or isinstance(model, TwoPosition) or has_hidden(model):
        return None
    rate = slope * float(jnp.linalg.norm(theory.linear.drive(sig), ord=2)) - weight_decay
    return -math.log(scale) / rate if rate > 1e-12 else None


def _trained(
    experiment: Experiment, name: str, data: Dataset, params0: State, clock: _Clock, stages: Stages
) -> Trajectory:
    """All seeds trained together; every leaf with leading `[seed, time]` axes."""
    optimizer = {"sgd": optax.sgd, "adam": optax.adam, "adamw": optax.adamw}[experiment.optimizer](clock.learning_rate)
    key = jax.random.key(experiment.data_seed)
    if experiment.batch is None:
        loss, keys = _loss(experiment, data), None
    else:
        loss = _decayed(experiment, minibatch_loss(experiment.model, data, experiment.batch))
        keys = jax.random.split(key, experiment.seeds)
    dt = clock.learning_rate if clock.flow else None
    return trained(name, loss, optimizer, params0, keys, experiment.steps, experiment.saves, dt, stages)


def _loss(experiment: Experiment, data: Dataset) -> Loss:
    return _decayed(experiment, population_loss(experiment.model, data))


def _decayed(experiment: Experiment, loss: Loss) -> Loss:
    return decayed(loss, experiment.weight_decay) if experiment.weight_decay else loss


def _predicted(
    experiment: Experiment,
    data: Dataset,
    known: Any,
    control: Any,
    params0: State,
    ts: Array,
    stages: Stages,
) -> dict[str, Trajectory]:
    """Exact flow, every rung of theory, and the top rung fed with the statistics of shuffled labels."""

    def flow(params: State, loss: Any, ts: Array) -> Trajectory:
        return integrate(gradient_flow(loss), params, ts, rtol=experiment.rtol)

    loss = _loss(experiment, data)
    lines = {"exact flow": stages("exact flow", lambda: ensemble(flow, params0, loss, ts))}
    rungs = ladder(experiment.model, experiment.weight_decay)
    for name, rung in rungs.items():
        lines[name] = stages(name, partial(_theory_line, rung, params0, known, ts, experiment.rtol))
    if rungs:
        name, rung = list(rungs.items())[-1]
        other = f"{name}, {_control_name(experiment)}"
        lines[other] = stages(other, partial(_theory_line, rung, params0, control, ts, experiment.rtol))
    return lines


def _theory_line(rung: Rung, params0: State, known: Any, ts: Array, rtol: float) -> Trajectory:
    return ensemble(_solution(rung, rtol), params0, known, ts)


@lru_cache(maxsize=16)
def _solution(rung: Rung, rtol: float) -> Callable[..., Trajectory]:
    """One and the same function for one theory, so that its control does not compile it again."""

    def one(params: State, known: Any, ts: Array) -> Trajectory:
        return integrate(rung(params), params, ts, known, rtol=rtol, max_steps=THEORY_STEPS)

    return one


def _shown(line: Trajectory, focus: np.ndarray) -> Trajectory:
    return Trajectory(line.ts, {"embed": line.ys["embed"][:, :, focus]}, line.info, line.clock)


def _control_data(experiment: Experiment, data: Dataset) -> Dataset:
    if isinstance(experiment.task, TextBigram):
        return experiment.task.shuffled_text_dataset(experiment.data_seed)
    return shuffled(data, experiment.data_seed)


def _control_name(experiment: Experiment) -> str:
    return "shuffled words" if isinstance(experiment.task, TextBigram) else "shuffled labels"


def _caption(experiment: Experiment, data: Dataset, clock: _Clock) -> str:
    unit = "flow time = learning rate x step" if clock.flow else "optimiser steps"
    decay = f", weight decay {experiment.weight_decay:g}" if experiment.weight_decay else ""
    return (
        f"{experiment.seeds} init seeds, {experiment.dtype}, v = {data.vocab}, d = {experiment.model.width}, "
        f"init {init_scale(experiment.model):.3g}, {experiment.optimizer} rate {clock.learning_rate:.3g}{decay}, "
        f"{experiment.steps} steps; clock: {unit}"
    )
