"""An experiment on a model whose flow is solved: closed form, exact flow and gradient descent -> result."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from .. import observables
from ..base import State, Trajectory
from ..ensemble import ensemble
from . import lines, observed
from .experiment import Precision, check_dtype, check_lengths
from .protocol import Stages
from .result import Agreement, ExperimentResult, comparisons


@dataclass(frozen=True)
class ClosedForm:
    """A model with a closed form, beside its exact flow and gradient descent; the flags are these fields."""

    setting: Any
    """Data, model and start: one of `runs.solved`, or any frozen dataclass with their methods."""
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

    animated: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_lengths(self.seeds, self.steps, self.saves)
        if not (math.isfinite(self.rtol) and self.rtol > 0):
            raise ValueError(f"rtol: must be a positive number, got {self.rtol}")

    @property
    def subject(self) -> tuple[str, str]:
        """The setting."""
        return type(self.setting).__name__, "closed form"

    def data(self) -> Any:
        """The tables of the loss."""
        return self.setting.loss()

    def memory(self) -> float:
        """Bytes that the saved trajectories and the loss's tables will take, roughly."""
        start = jax.eval_shape(self.setting.start, jax.random.key(0))
        parameters = sum(leaf.size for leaf in jax.tree.leaves(start))
        tables = sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(self.setting.loss()))
        itemsize = 8 if self.dtype == "float64" else 4
        return float(2 * itemsize * self.seeds * (self.saves + 1) * parameters + 6 * tables)

    def stages(self) -> int:
        """Stages that `run` will compute or find kept."""
        return lines.training_stages(self.saves) + 1 + len(self.setting.theories()) + len(self.setting.controls())

    def run(self, stages: Stages, /) -> ExperimentResult:
        """Compute everything."""
        check_dtype(self.dtype)
        began, setting = time.perf_counter(), self.setting
        loss, dt = setting.loss(), _end(setting) / self.steps
        params0 = jax.vmap(setting.start)(jax.random.split(jax.random.key(self.init_seed), self.seeds))
        lengths = (self.steps, self.saves, dt, stages, f"raise --steps ({self.steps})")
        simulated = lines.trained("training", loss, optax.sgd(dt), params0, None, *lengths)
        ts = simulated.ts[0]
        flow = lines.flow_line(loss, params0, ts, self.rtol, stages)
        every_line = {"training": _rows(setting, simulated), "exact flow": _rows(setting, flow)}
        controls = setting.controls()
        for name, solution in {**setting.theories(), **controls}.items():
            every_line[name] = stages(name, partial(ensemble, _solution(solution), params0, ts))
        seen: dict[str, Callable[[State], Array]] = {"Gram matrix": _gram}
        if np.linalg.norm(every_line["exact flow"].ys["embed"][:, 0], axis=-1).all():  # a zero start has no cosines
            seen = {"cosines": lambda state: observables.cosine(state["embed"]), **seen}
        return ExperimentResult(
            title=type(setting).__name__,
            caption=_caption(self, dt),
            tokens=setting.names(),
            pairs=setting.pairs(),
            trajectories=every_line,
            comparisons=comparisons(every_line, seen, self.rtol),
            controls=(*controls, "frozen"),
            agreements=(_agreement(self, every_line["training"]),),
            signature=setting.signature(),
            plateau=None,
            facts={"seconds": time.perf_counter() - began, **observed.solver_facts({"exact flow": flow})},
            null="before training",
        )

    def read(self, record: Any, arrays: Mapping[str, np.ndarray], /) -> ExperimentResult:
        """The result that a finished run left."""
        return ExperimentResult.read(record, arrays)


def _end(setting: Any) -> float:
    end = setting.end()
    if not (math.isfinite(end) and end > 0):
        raise ValueError(f"setting: these data have no finite time scale (end at {end:.3g}); choose stronger modes")
    return end


def _solution(solution: Callable[[Array, State], Array]) -> Callable[..., Trajectory]:
    def solve(params: State, ts: Array) -> Trajectory:
        return Trajectory(ts, {"embed": solution(ts, params)})

    return solve


def _rows(setting: Any, line: Trajectory) -> Trajectory:
    reduced = jax.jit(jax.vmap(jax.vmap(lambda state: {"embed": setting.rows(state)})))
    return Trajectory(line.ts, reduced(line.ys), line.info, line.clock)


def _gram(state: State) -> Array:
    return jnp.matmul(state["embed"], state["embed"].T, precision=jax.lax.Precision.HIGHEST)


def _agreement(experiment: ClosedForm, line: Trajectory) -> Agreement:
    """R_cos of the drawn rows with what the data alone says, after training; its null is the start."""
    name, signature = experiment.setting.signature()
    signature = jnp.asarray(signature, line.ys["embed"].dtype)
    course = np.asarray(jax.jit(jax.vmap(jax.vmap(lambda rows: observables.r_cos(rows, signature))))(line.ys["embed"]))
    test = jax.jit(partial(observables.mantel, key=jax.random.key(experiment.init_seed), permutations=999))
    p_values = np.asarray([test(rows[-1], signature) for rows in line.ys["embed"]])
    return Agreement(f"R_cos(rows, {name})", course[:, -1], course[:, 0], p_values, course)


def _caption(experiment: ClosedForm, dt: float) -> str:
    return (
        f"{experiment.seeds} init seeds, {experiment.dtype}, gradient descent rate {dt:.3g}, {experiment.steps} steps; "
        "clock: flow time = learning rate x step; theories are compared up to rotation of the width"
    )
