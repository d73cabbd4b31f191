"""When a curve first reaches a level: the one rule that every half time, moment and plateau uses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real


def crossing(
    ts: Real[Array | np.ndarray, " time"],
    values: Real[Array | np.ndarray, "*seed time"],
    level: Real[Array | np.ndarray, "*seed"] | float | int,
    *,
    rising: bool = True,
) -> Float[Array | np.ndarray, "*seed"] | float:
    """First time at which a curve reaches a level, linear between saves.

    To go straight in another measure, give that: `exp(crossing(log(ts), ...))` for times, log-odds for shares.

    Args:
        ts: `[time]`, increasing.
        values: `[..., time]`, one curve or many; numpy arrays, or JAX arrays, inside jit too.
        level: one for all curves, or one each.
        rising: whether it comes from below; otherwise from above.

    Returns:
        The time of every curve; NaN where it never reaches the level, the first save's where it begins there, and the
        save's own where the value before it is not finite.

    >>> ts = np.array([0.0, 1.0, 2.0])
    >>> crossing(ts, np.array([0.0, 0.2, 1.0]), 0.6), crossing(ts, np.array([4.0, 2.0, 0.0]), 3, rising=False)
    (1.5, 0.5)
    >>> crossing(ts, np.array([[0.9, 1.0, 1.0], [0.0, 0.1, 0.2]]), 0.5)
    array([ 0., nan])
    """
    xp: Any = jnp if isinstance(values, jax.Array) else np
    goal = xp.broadcast_to(level, values.shape[:-1])
    there = values >= goal[..., None] if rising else values <= goal[..., None]
    at = xp.argmax(there, axis=-1)
    before = xp.maximum(at - 1, 0)
    last, now = (xp.take_along_axis(values, i[..., None], axis=-1)[..., 0] for i in (before, at))
    with np.errstate(all="ignore"):  # where a curve begins there, or never comes, the line means nothing
        time = ts[before] + (goal - last) / (now - last) * (ts[at] - ts[before])
    time = xp.where((at > 0) & xp.isfinite(last), time, ts[at])
    time = xp.where(xp.any(there, axis=-1), time, xp.nan)
    return time if time.ndim or isinstance(time, jax.Array) else float(time)
