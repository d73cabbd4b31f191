"""Exact gradient flow of any loss, and the integration of any field, by diffrax."""

from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from .base import Field, Loss, State, Trajectory, all_finite

SOLVERS = {
    "tsit5": diffrax.Tsit5,
    "dopri5": diffrax.Dopri5,
    "dopri8": diffrax.Dopri8,
    "bosh3": diffrax.Bosh3,
    "heun": diffrax.Heun,
    "euler": diffrax.Euler,
}


def gradient_flow(loss: Loss) -> Field:
    """The field d state/dt = -grad loss(state), at learning rate 1.

    >>> import jax.numpy as jnp
    >>> field = gradient_flow(lambda p: 0.5 * jnp.sum(p["x"] ** 2))
    >>> float(field(0.0, {"x": jnp.ones(1)}, None)["x"][0])
    -1.0
    """
    gradient = jax.grad(loss)

    def field(t: Any, state: State, args: Any = None, /) -> State:
        return jax.tree.map(jnp.negative, gradient(state))

    return field


def integrate(
    field: Field,
    state0: State,
    ts: Float[ArrayLike, " time"],
    args: Any = None,
    *,
    save: Callable[[State], Any] | None = None,
    solver: str | diffrax.AbstractSolver = "tsit5",
    rtol: float = 1e-8,
    atol: Float[ArrayLike, ""] | float | None = None,
    dt: float | None = None,
    max_steps: int = 100_000,
) -> Trajectory:
    """Integrate `field(t, state, args)` from `state0` and save at `ts`.

    Args:
        field: the right-hand side: `gradient_flow(loss)` or a theory's field with `args` its Signatures.
        state0: state at `ts[0]`.
        ts: `[time]`, increasing save times in flow time.
        args: passed through to `field`.
        save: reduces the state to what is kept.
        solver: a name (tsit5, dopri5, dopri8, bosh3, heun, euler) or any diffrax solver.
        rtol: relative tolerance of a step.
        atol: absolute tolerance; None means `rtol` times the root mean square of the smallest leaf of `state0`, so
            that a small initialisation keeps its relative accuracy.
        dt: a fixed step instead of adaptive ones (flow time); needed for euler. Save times must then be known when
            tracing: a constant, not an argument of the jitted function.
        max_steps: steps after which the integration gives up.

    Returns:
        Trajectory; `info` holds `steps`, `accepted`, `rejected` (adaptive steps), and `nonfinite_time`: the time the
        solution was lost (overflow, blow-up or `max_steps` reached; saves from there on are not finite), or +inf.

    Raises:
        ValueError: for an unknown solver name, save times that do not increase, or a `dt` that is missing or no step.
    """
    solver = _solver(solver)
    times = _known(ts)
    _check_times(jnp.shape(ts), times)
    ts = jnp.asarray(ts, dtype=jnp.result_type(*(jnp.result_type(leaf) for leaf in jax.tree.leaves(state0))))
    if dt is None:
        if not isinstance(solver, diffrax.AbstractAdaptiveSolver):
            raise ValueError(f"dt: {type(solver).__name__} has no error estimate to adapt steps by; give a fixed dt")
        absolute = rtol * _smallest_rms(state0) if atol is None else jnp.asarray(atol)
        span = ts[-1] - ts[0]
        controller = diffrax.PIDController(rtol=rtol, atol=absolute, dtmin=1e-10 * span, force_dtmin=False)
    else:
        controller = diffrax.StepTo(ts=_fixed_steps(times, dt, ts.dtype))
    keep = (lambda state: state) if save is None else save
    # Diffrax rebuilds argument trees with placeholders in them, which classes that check their fields refuse.
    leaves, tree = jax.tree.flatten(args)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, leaves: field(t, y, tree.unflatten(leaves))),
            solver,
            t0=ts[0],
            t1=ts[-1],
            dt0=None,
            y0=state0,
            args=leaves,
            saveat=diffrax.SaveAt(
                subs=[
                    diffrax.SubSaveAt(ts=ts, fn=lambda t, y, args: keep(y)),
                    diffrax.SubSaveAt(t1=True, fn=lambda t, y, args: all_finite(y)),
                ]
            ),
            stepsize_controller=controller,
            max_steps=max_steps,
            throw=False,
        )
    return _trajectory(ts, solution)


def _trajectory(ts: Array, solution: diffrax.Solution) -> Trajectory:
    assert solution.ts is not None and solution.ys is not None
    ys, end_finite = solution.ys
    reached, stopped = solution.ts[0], solution.ts[1][-1]
    finite = jnp.all(jnp.stack([_finite_by_time(leaf) for leaf in jax.tree.leaves(ys)]), axis=0) & jnp.isfinite(reached)
    failed = ~diffrax.is_okay(solution.result) | ~end_finite[-1]
    first_bad = jnp.min(jnp.where(finite, jnp.inf, ts))
    info = {
        "steps": solution.stats["num_steps"],
        "accepted": solution.stats["num_accepted_steps"],
        "rejected": solution.stats["num_rejected_steps"],
        "nonfinite_time": jnp.where(failed & jnp.isfinite(stopped), jnp.minimum(stopped, first_bad), first_bad),
    }
    return Trajectory(ts, ys, info, "flow")


def _finite_by_time(leaf: Array) -> Array:
    return jnp.all(jnp.isfinite(leaf).reshape(leaf.shape[0], -1), axis=1)


def _smallest_rms(state: State) -> Array:
    squares = jnp.stack([jnp.mean(jnp.square(leaf)) for leaf in jax.tree.leaves(state)])
    smallest = jnp.sqrt(jnp.min(squares))
    # A leaf that starts at zero has no scale of its own: fall back to the largest leaf, then to 1.
    largest = jnp.sqrt(jnp.max(squares))
    return jnp.where(smallest > 0, smallest, jnp.where(largest > 0, largest, jnp.ones_like(largest)))


def _fixed_steps(times: np.ndarray | None, dt: float, dtype: Any) -> Array:
    if not dt > 0:
        raise ValueError(f"dt: must be a positive step, got {dt}")
    if times is None:
        raise ValueError("dt: fixed steps need save times known when tracing; make ts a constant or leave dt out")
    return jnp.linspace(times[0], times[-1], max(1, round((times[-1] - times[0]) / dt)) + 1, dtype=dtype)


def _solver(solver: str | diffrax.AbstractSolver) -> diffrax.AbstractSolver:
    if not isinstance(solver, str):
        return solver
    if solver not in SOLVERS:
        raise ValueError(f"solver: unknown {solver!r}; choose one of {', '.join(SOLVERS)} or pass a diffrax solver")
    return SOLVERS[solver]()


def _known(ts: Any) -> np.ndarray | None:
    """The save times as numbers, or None where they are traced."""
    try:
        return np.asarray(ts, np.float64)
    except jax.errors.TracerArrayConversionError:
        return None


def _check_times(shape: tuple[int, ...], times: np.ndarray | None) -> None:
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError("ts: need at least two save times in increasing order")
    if times is not None and np.any(np.diff(times) <= 0):
        raise ValueError("ts: save times must increase")
