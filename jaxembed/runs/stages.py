"""What every kind of experiment does: training kept chunk by chunk, and trajectories compared with their controls."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from ..base import Loss, State, Trajectory
from ..compare import compare, frozen
from ..ensemble import ensemble
from .results import Against
from ..train import Progress, advance, start

CHUNKS = 10
"""Pieces a training run is taken in: what a stopped run loses at most, and the grain of its progress bar."""


class Stages(Protocol):
    """Computes a named stage, or gives it back where it was computed before the run was stopped."""

    def __call__(self, name: str, compute: Callable[[], Any]) -> Any: ...


def no_stages(name: str, compute: Callable[[], Any]) -> Any:
    """Stages that keep nothing."""
    return compute()


def training_stages(saves: int) -> int:
    """Stages that one `trained` computes or finds kept."""
    return 1 + min(CHUNKS, saves)


def trained(
    name: str,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    params0: State,
    keys: Array | None,
    steps: int,
    saves: int,
    dt: float | None,
    stages: Stages,
) -> Trajectory:
    """All seeds trained together, chunk by chunk of the saves; every leaf with leading `[seed, time]` axes.

    Args:
        name: of the stages.
        loss: `loss(params)`, or `loss(params, key)` with `keys`.
        optimizer: any optax optimiser.
        params0: initial parameters, every leaf with a leading `[seed]` axis.
        keys: `[seed]` data keys, or None.
        steps: of training.
        saves: after the start, evenly spread over the steps.
        dt: flow time of a step, or None where the clock counts steps.
        stages: keeps finished chunks.
    """
    gaps = np.diff(np.linspace(0, steps, saves + 1).round().astype(int))

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


def comparisons(
    lines: dict[str, Trajectory], controls: Collection[str], looks: dict[str, Callable[[State], Any]]
) -> tuple[Against, ...]:
    """Training against the exact flow, and every theory and control against the flow, through every observable.

    Args:
        lines: by name, "training" first; without an "exact flow" there is no common clock and nothing to compare.
        controls: names of lines that should fail; "frozen" is added.
        looks: observables by name.
    """
    if "exact flow" not in lines:
        return ()
    exact = bare(lines["exact flow"])
    rows = [("training", "exact flow", False)]
    rows += [("exact flow", name, name in controls) for name in lines if name not in ("training", "exact flow")]
    still = jax.vmap(lambda line: frozen(line))(exact)
    found = []
    for observable, look in looks.items():
        pair = jax.jit(jax.vmap(partial(compare, observable=look)))
        for reference, prediction, control in rows:
            numbers = pair(bare(lines[reference]), bare(lines[prediction]))
            found.append(Against(reference, prediction, observable, numbers, control))
        found.append(Against("exact flow", "frozen", observable, pair(exact, still), True))
    return tuple(found)


def bare(line: Trajectory) -> Trajectory:
    """The trajectory without its info."""
    return Trajectory(line.ts, line.ys, {}, line.clock)
