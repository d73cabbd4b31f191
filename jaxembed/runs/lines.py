"""The trajectories of an experiment: training, kept in pieces, exact flow, theories, and controls that must fail."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float

from .. import theory
from ..base import Dataset, Field, Loss, Model, State, Trajectory
from ..ensemble import ensemble
from ..flow import gradient_flow, integrate
from ..statistics import Signatures, position_signatures
from ..train import TrainingState, advance, start
from .protocol import Stages

CHUNKS = 10
"""Pieces a training run is taken in: what a stopped run loses at most, and the grain of its progress bar."""
THEORY_STEPS = 500
"""Solver steps of a theory: past its window a truncated field turns stiff or blows up, and is given up, said so."""
DEGREES = ("F1", "F1 + F2", "F1 + F2 + F3")

Rung = Callable[[State], Field]
"""A theory, given the state that a run starts from."""
Ladder = dict[str, Rung]
"""Theories of a model by name, the lowest rung first."""


# --- training --------------------------------------------------------------------------------------------------------


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
    lower: str,
    *,
    own_data: bool = False,
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
        lower: what to do about a rate that is too large.
        own_data: whether every seed has data of its own: the loss's leaves then have a leading `[seed]` axis.

    Raises:
        ValueError: where the loss or the parameters are no longer finite.
    """
    gaps = np.diff(np.linspace(0, steps, saves + 1).round().astype(int))

    @partial(jax.jit, static_argnums=2)
    def begin(params0: State, keys: Array | None, _: str) -> TrainingState:
        return jax.vmap(lambda p, k: start(p, optimizer, k))(params0, keys)

    def go_on(member: TrainingState, loss: Any, gaps: Array) -> tuple[TrainingState, Trajectory]:
        return advance(loss, optimizer, member, gaps, dt=dt)

    def go_on_own(member: tuple[TrainingState, Any], gaps: Array) -> tuple[TrainingState, Trajectory]:
        return go_on(*member, gaps)

    progress, pieces = begin(params0, keys, name), []
    for i, part in enumerate([np.zeros(1, int), *np.array_split(gaps, min(CHUNKS, len(gaps)))]):
        members = (go_on_own, (progress, loss)) if own_data else (go_on, progress, loss)
        compute = partial(ensemble, *members, jnp.asarray(part))
        progress, piece = stages(f"{name} {i}/{min(CHUNKS, len(gaps))}", compute)
        pieces.append(piece)
        if broken := _first_broken(piece):
            seed, save = broken
            step = [0, *np.cumsum(gaps)][sum(len(p.ts[0]) for p in pieces[:-1]) + save]
            raise ValueError(f"learning_rate: {name} of seed {seed} is no longer finite by step {step}; {lower}")
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *(_without_info(p) for p in pieces))


def _first_broken(piece: Trajectory) -> tuple[int, int] | None:
    """Seed and save of the first that is not finite; the start has no mean loss."""
    fine = np.isfinite(piece.info["mean_loss"]) | (np.asarray(piece.ts) == 0)
    for leaf in jax.tree.leaves(piece.ys):
        fine &= np.isfinite(leaf).all(axis=tuple(range(2, leaf.ndim)))
    if fine.all():
        return None
    save = int(np.argmin(fine.all(axis=0)))
    return int(np.argmin(fine[:, save])), save


def _without_info(piece: Trajectory) -> Trajectory:
    return Trajectory(piece.ts, piece.ys, {"mean_loss": piece.info["mean_loss"]}, piece.clock)


# --- flow and theory -------------------------------------------------------------------------------------------------


def flow_line(loss: Loss, params0: State, ts: Array, rtol: float, stages: Stages) -> Trajectory:
    """The exact gradient flow of all seeds."""

    def flow(params: State, loss: Any, ts: Array) -> Trajectory:
        return integrate(gradient_flow(loss), params, ts, rtol=rtol)

    return stages("exact flow", partial(ensemble, flow, params0, loss, ts))


def theory_lines(
    rungs: Ladder,
    controls: Mapping[str, str],
    reads: tuple[Any, Any],
    params0: State,
    ts: Array,
    rtol: float,
    stages: Stages,
) -> dict[str, Trajectory]:
    """Theories, and those that have a control once more, fed with the statistics of the control's data.

    Args:
        rungs: theories by name.
        controls: name of the control by that of the theory.
        reads: what the theories read of the data, and of every seed's control (leaves with a leading `[seed]` axis).
        params0: initial parameters, every leaf with a leading `[seed]` axis.
        ts: `[time]`, saved times.
        rtol: relative tolerance.
        stages: keeps finished lines.
    """
    solved = {name: _solution(rung, rtol) for name, rung in rungs.items()}
    lines = {name: stages(name, partial(ensemble, solve, params0, reads[0], ts)) for name, solve in solved.items()}
    for name in (name for name in rungs if name in controls):
        compute = partial(ensemble, _of_members(solved[name]), (params0, reads[1]), ts)
        lines[controls[name]] = stages(controls[name], compute)
    return lines


@lru_cache(maxsize=16)
def _solution(rung: Rung, rtol: float) -> Callable[..., Trajectory]:
    """One and the same function for one theory, so that it is compiled once."""

    def solve(params: State, known: Any, ts: Array) -> Trajectory:
        return integrate(rung(params), params, ts, known, rtol=rtol, max_steps=THEORY_STEPS)

    return solve


@lru_cache(maxsize=16)
def _of_members(solve: Callable[..., Trajectory]) -> Callable[..., Trajectory]:
    """The same of members that read data of their own."""
    return lambda member, ts: solve(*member, ts)


# --- which theories a model has --------------------------------------------------------------------------------------


def ladder(model: Model, weight_decay: float) -> Ladder:
    """The theories that a model names, with weight decay; empty where it names none, or has no Taylor coefficients.

    A model names them by its attribute `theory`: "linear", "feedforward" and "two_position" are derived by hand, the
    last two for the coefficients in the model's `taylor`; "expansion" expands the model's loss around zero weights and
    the initial `hidden` matrix.
    """
    name, taylor = getattr(model, "theory", ""), _taylor(model)
    return {} if taylor is None else _ladder(name, taylor, weight_decay)


def read_by_theory(model: Model, data: Dataset, sig: Signatures, loss: Callable[[], Loss]) -> Any:
    """What the theories of a model read: signatures, or the loss that is expanded, which is built only then."""
    name = getattr(model, "theory", "")
    if name == "two_position":
        return position_signatures(data)
    return loss() if name == "expansion" else sig


def small_start_slope(model: Model) -> float | None:
    """By how much first order amplifies small weights; None where there is no derivation that starts from it."""
    derived_from_it = getattr(model, "theory", "") in ("linear", "feedforward")
    return (_taylor(model) or (0.0,))[0] or None if derived_from_it else None


def _taylor(model: Model) -> tuple[float, ...] | None:
    """The coefficients that a model names, () without any; None for an activation with a kink."""
    try:
        return tuple(getattr(model, "taylor", ()))
    except ValueError:
        return None


def derived(field: Field, weight_decay: float) -> Rung:
    """A field as a rung, with the decay that the flow has."""

    def decayed(t: Float[ArrayLike, ""], state: State, sig: Any) -> State:
        def shrunk(rate: Array, leaf: Array) -> Array:
            return rate - weight_decay * leaf

        return jax.tree.map(shrunk, field(t, state, sig), state)

    chosen = decayed if weight_decay else field
    return lambda start: chosen


@lru_cache(maxsize=16)
def _ladder(name: str, taylor: tuple[float, ...], weight_decay: float) -> Ladder:
    """One and the same functions for the same settings, so that they compile once."""
    orders = dict(enumerate(DEGREES, start=1))
    if name == "linear":
        fields = {"rung 0": theory.linear.rung0, "rung 1": theory.linear.rung1}
    elif name in ("feedforward", "two_position"):
        fields = {degree: getattr(theory, name).field(taylor, order) for order, degree in orders.items()}
    elif name == "expansion":
        return {degree: partial(_expanded, order) for order, degree in orders.items()}
    elif name:
        known = "linear, feedforward, two_position, expansion"
        raise ValueError(f"theory: unknown {name!r}; a model names one of {known}, or leaves it out")
    else:
        fields = {}
    return {degree: derived(field, weight_decay) for degree, field in fields.items()}


def _expanded(order: int, start: State) -> Field:
    base = {name: leaf if name == "hidden" else jnp.zeros_like(leaf) for name, leaf in start.items()}

    def field(t: Float[ArrayLike, ""], state: State, loss: Loss) -> State:
        return theory.linear.add(*theory.expansion.terms(loss, base, state, order))

    return field
