"""An experiment on a model whose flow is solved: closed form, exact flow and gradient descent -> Result."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from .. import observables
from ..base import State, Trajectory
from ..ensemble import ensemble
from ..flow import gradient_flow, integrate
from .results import Agreement, Result
from .solved import AttentionFirstSteps, DeepLinearModes, SoftLabelSteps, WordPairs
from .settings import Precision, check_dtype, check_lengths
from .stages import Stages, comparisons, no_stages, trained, training_stages

AnySetting = DeepLinearModes | WordPairs | AttentionFirstSteps | SoftLabelSteps


@dataclass(frozen=True)
class Solved:
    """A model with a closed form, beside its exact flow and gradient descent; the flags are these fields."""

    setting: AnySetting
    """Data, model and start."""
    seeds: int = 3
    """Independent initialisations."""
    init_seed: int = 0
    """Seed of the initial weights."""
    steps: int = 2000
    """Steps of gradient descent over the whole flow time."""
    saves: int = 40
    """Saved times after the start."""
    rtol: float = 1e-8
    """Relative tolerance of the exact flow's integration."""
    dtype: Precision = "float64"
    """Precision; closed forms at small initial scales need float64."""

    def __post_init__(self) -> None:
        check_lengths(self.seeds, self.steps, self.saves)
        if not (math.isfinite(self.rtol) and self.rtol > 0):
            raise ValueError(f"rtol: must be a positive number, got {self.rtol}")


def run(experiment: Solved, stages: Stages = no_stages) -> Result:
    """Carry the experiment out.

    Args:
        experiment: what to run.
        stages: keeps finished stages so that a stopped run goes on where it was (see `record`).

    Raises:
        ValueError: where the settings do not fit together, naming the setting.
    """
    check_dtype(experiment.dtype)
    began, setting = time.perf_counter(), experiment.setting
    loss, dt = setting.loss(), _end(setting) / experiment.steps
    params0 = jax.vmap(setting.start)(jax.random.split(jax.random.key(experiment.init_seed), experiment.seeds))
    every = (experiment.steps, experiment.saves, dt, stages)
    simulated = trained("training", loss, optax.sgd(dt), params0, None, *every)
    ts = simulated.ts[0]
    flow = stages("exact flow", partial(ensemble, _flow(experiment.rtol), params0, loss, ts))
    lines = {"training": _rows(setting, simulated), "exact flow": _rows(setting, flow)}
    theories, controls = setting.theories(), setting.controls()
    for name, solution in {**theories, **controls}.items():
        lines[name] = stages(name, partial(ensemble, _solution(solution), params0, ts))
    seen = {"Gram matrix": _gram}
    if np.linalg.norm(lines["exact flow"].ys["embed"][:, 0], axis=-1).all():  # a zero start has no cosines
        seen = {"cosines": lambda state: observables.cosine(state["embed"]), **seen}
    return Result(
        title=type(setting).__name__,
        caption=_caption(experiment, dt),
        tokens=setting.names(),
        pairs=setting.pairs(),
        trajectories=lines,
        comparisons=comparisons(lines, controls, seen),
        agreements=(_agreement(experiment, lines["training"]),),
        signature=setting.signature(),
        plateau=None,
        facts={"seconds": time.perf_counter() - began, **_solver_facts(flow)},
        settings=asdict(experiment),
        null="before training",
    )


def stage_count(experiment: Solved) -> int:
    """Stages that `run` will compute or find kept."""
    setting = experiment.setting
    return training_stages(experiment.saves) + 1 + len(setting.theories()) + len(setting.controls())


def memory_estimate(experiment: Solved) -> float:
    """Bytes that the saved trajectories and the loss's tables will take, roughly; said before a run starts."""
    one = jax.eval_shape(experiment.setting.start, jax.random.key(0))
    parameters = sum(leaf.size for leaf in jax.tree.leaves(one))
    tables = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(experiment.setting.loss()))
    itemsize = 8 if experiment.dtype == "float64" else 4
    return 2 * itemsize * experiment.seeds * (experiment.saves + 1) * parameters + 6 * tables


def _end(setting: AnySetting) -> float:
    end = setting.end()
    if not (math.isfinite(end) and end > 0):
        raise ValueError(f"setting: these data have no finite time scale (end at {end:.3g}); choose stronger modes")
    return end


def _solver_facts(flow: Trajectory) -> dict[str, Any]:
    lost = np.asarray(flow.info["nonfinite_time"])
    facts = {"solver steps, exact flow": np.asarray(flow.info["accepted"]).tolist()}
    return facts | ({"not finite from, exact flow": lost.tolist()} if np.isfinite(lost).any() else {})


def _flow(rtol: float) -> Callable[..., Trajectory]:
    def one(params: State, loss: Any, ts: Array) -> Trajectory:
        return integrate(gradient_flow(loss), params, ts, rtol=rtol)

    return one


def _solution(solution: Callable[[Array, State], Array]) -> Callable[..., Trajectory]:
    def one(params: State, ts: Array) -> Trajectory:
        return Trajectory(ts, {"embed": solution(ts, params)})

    return one


def _rows(setting: AnySetting, line: Trajectory) -> Trajectory:
    look = jax.jit(jax.vmap(jax.vmap(lambda state: {"embed": setting.rows(state)})))
    return Trajectory(line.ts, look(line.ys), line.info, line.clock)


def _gram(state: State) -> Array:
    return jnp.matmul(state["embed"], state["embed"].T, precision=jax.lax.Precision.HIGHEST)


def _agreement(experiment: Solved, line: Trajectory) -> Agreement:
    """R_cos of the drawn rows with what the data alone says, after training; its null is the start."""
    name, signature = experiment.setting.signature()
    signature = jnp.asarray(signature, line.ys["embed"].dtype)
    course = np.asarray(jax.jit(jax.vmap(jax.vmap(lambda rows: observables.r_cos(rows, signature))))(line.ys["embed"]))
    test = jax.jit(partial(observables.mantel, key=jax.random.key(experiment.init_seed), permutations=999))
    p_values = np.asarray([test(rows[-1], signature) for rows in line.ys["embed"]])
    return Agreement(f"R_cos(rows, {name})", course[:, -1], course[:, 0], p_values, course)


def _caption(experiment: Solved, dt: float) -> str:
    return (
        f"{experiment.seeds} init seeds, {experiment.dtype}, gradient descent rate {dt:.3g}, {experiment.steps} steps; "
        "clock: flow time = learning rate x step; theories are compared up to rotation of the width"
    )
