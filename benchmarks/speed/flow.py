"""Cost of a gradient-flow trajectory: adaptive integration against gradient descent with a small learning rate.

The population is every triple (x1, x2, y) over 120 tokens, 1.7 million cells: x1 and x2 are independent and uniform,
y is spread around their mean. The linear model of width 64 starts small, in float64, and is followed until it has left
its plateau. Both sides are charged per gradient of the population loss; the trajectory error is the largest relative
distance of the parameters from a reference of tolerance 1e-11, over the save times. Gradient descent's error is of
first order in the learning rate: it is measured at three affordable rates and carried on to 1e-4 along that line.
About 1 minute on two idle cores; `--size tiny` a quarter of one, nothing asked of the ratio.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

import jaxembed as je
from jaxembed.base import Dataset, Trajectory, checked_dataset

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Check, arguments, finish

WANTED, SAVES = 1e-4, 10
SOLVERS = ("tsit5", "dopri5", "dopri8")
TOLERANCES = 10.0 ** -np.arange(3.5, 8.5, 0.5)


@dataclass(frozen=True)
class Setting:
    """Sizes, the end of the trajectory in flow time, and the steps of the measured gradient descents."""

    vocab: int
    width: int
    end: float
    steps: tuple[int, ...]
    asked: float | None


NORMAL = Setting(vocab=120, width=64, end=800.0, steps=(300, 600, 1200), asked=100.0)
TINY = Setting(vocab=24, width=8, end=80.0, steps=(250, 500, 1000), asked=None)


@dataclass(frozen=True)
class Run:
    """One way to follow the trajectory: what it cost and how far off it is."""

    name: str
    gradients: int
    error: float
    seconds: float


class CountedField:
    """The gradient flow of a loss that counts how often it is really evaluated, rejected steps included."""

    def __init__(self, loss: Callable[[Any], Any]) -> None:
        self._field, self.evaluations = je.gradient_flow(loss), 0

    def __call__(self, t: Any, state: Any, args: Any = None, /) -> Any:
        jax.debug.callback(self._count)
        return self._field(t, state, args)

    def _count(self) -> None:
        self.evaluations += 1


def all_triples(vocab: int) -> Dataset:
    """Every (x1, x2, y) with its probability: y is normal around the mean of x1 and x2, a twelfth of `vocab` wide."""
    first, second, label = (axis.ravel() for axis in np.meshgrid(*[np.arange(vocab)] * 3, indexing="ij"))
    weights = np.exp(-0.5 * ((label - (first + second) / 2) / (vocab / 12)) ** 2).reshape(-1, vocab)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return checked_dataset(np.stack([first, second], axis=1), label, weights.ravel(), vocab)


def integrated(name: str, loss: Any, params: Any, ts: np.ndarray, solver: str, rtol: float) -> tuple[Run, Trajectory]:
    """One adaptive integration, compiled beforehand; its error is left open."""
    field = CountedField(loss)
    call = jax.jit(lambda state: je.integrate(field, state, ts, solver=solver, rtol=rtol)).lower(params).compile()
    seconds, trajectory = _timed(call, params)
    jax.effects_barrier()
    return Run(f"{name}, rtol {rtol:.1e}", field.evaluations, float("nan"), seconds), trajectory


def descended(loss: Any, params: Any, end: float, steps: int) -> tuple[Run, Trajectory]:
    """Gradient descent to the same flow time in `steps` steps, compiled beforehand; its error is left open."""
    rate = end / steps
    options = {"dt": rate, "steps_per_save": steps // SAVES, "num_saves": SAVES}
    call = jax.jit(lambda state: je.train(loss, state, optax.sgd(rate), **options)).lower(params).compile()
    seconds, trajectory = _timed(call, params)
    return Run(f"gradient descent, lr {rate:g}", steps, float("nan"), seconds), trajectory


def scored(reference: Trajectory, run: Run, trajectory: Trajectory) -> Run:
    """The run with its error, printed."""
    run = replace(run, error=float(je.compare(reference, trajectory).relative_error.max()))
    print(f"  {run.name:32} {run.gradients:7d} gradients  error {run.error:.2e}  {run.seconds:7.2f} s", flush=True)
    return run


def cheapest(reference: Trajectory, loss: Any, params: Any, ts: np.ndarray) -> Run:
    """The fewest gradients that reach the wanted error, over solvers and tolerances."""
    reached = []
    for solver in SOLVERS:
        for rtol in TOLERANCES:
            run = scored(reference, *integrated(solver, loss, params, ts, solver, float(rtol)))
            if run.error <= WANTED:
                reached.append(run)
                break
    return min(reached, key=lambda run: run.gradients)


def first_order(runs: Sequence[Run]) -> tuple[float, float]:
    """Slope of log error against log learning rate, and the steps that reach the wanted error along slope 1."""
    steps, errors = np.asarray([run.gradients for run in runs]), np.asarray([run.error for run in runs])
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    return float(slope), float(steps[-1] * errors[-1] / WANTED)


def measure(setting: Setting) -> list[Check]:
    """Follow the trajectory in every way, print what each cost, return what was asked."""
    data = all_triples(setting.vocab)
    model = je.models.Linear(width=setting.width, init_scale=1e-2)
    params, loss = model.init(jax.random.key(0), data.vocab, data.length), je.population_loss(model, data)
    ts = np.linspace(0.0, setting.end, SAVES + 1)
    exact, reference = integrated("reference dopri8", loss, params, ts, "dopri8", 1e-11)
    begin, end = (float(loss(jax.tree.map(lambda leaf, i=i: leaf[i], reference.ys))) for i in (0, -1))
    print(
        f"{data.size:,} cells, {setting.vocab} tokens, width {setting.width}, float64, flow time 0 .. {setting.end:g}"
    )
    print(f"loss {begin:.3f} to {end:.3f}; {exact.name}: {exact.gradients} gradients, {exact.seconds:.2f} s")
    best = cheapest(reference, loss, params, ts)
    descents = [scored(reference, *descended(loss, params, setting.end, steps)) for steps in setting.steps]
    slope, needed = first_order(descents)
    rate, seconds = setting.end / needed, needed / descents[-1].gradients * descents[-1].seconds
    print(
        f"  error ~ lr^{slope:.3f}; extrapolated to {WANTED:g}: lr {rate:.2g}, {needed:,.0f} gradients, {seconds:.0f} s"
    )
    print(f"  ratio {needed / best.gradients:.0f} in gradients, {seconds / best.seconds:.0f} in time ({best.name})")
    return _checks(setting, best, slope, needed)


def _checks(setting: Setting, best: Run, slope: float, needed: float) -> list[Check]:
    checks = [Check("gradient descent: error of first order", "slope 1 +- 0.1", f"{slope:.3f}", abs(slope - 1) <= 0.1)]
    if setting.asked is None:
        return checks
    ratio = needed / best.gradients
    got = f"{ratio:.0f}x: {needed:,.0f} (extrapolated) against {best.gradients} ({best.name}, error {best.error:.1e})"
    asked = f">= {setting.asked:g}x fewer"
    return [*checks, Check(f"gradients at trajectory error {WANTED:g}", asked, got, ratio >= setting.asked)]


def _timed(call: Callable[[Any], Trajectory], params: Any) -> tuple[float, Trajectory]:
    clock = time.perf_counter()
    trajectory = jax.block_until_ready(call(params))
    return time.perf_counter() - clock, trajectory


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    finish("flow cost", measure(TINY if args.size == "tiny" else NORMAL))


if __name__ == "__main__":
    main()
