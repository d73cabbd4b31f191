"""A linear probe for distributions: softmax regression on soft labels, regularised as validation data ask for."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from .probe import Probe, checked_parts, standard

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""In units of the variance of a whitened input; strong ones first, each starts where the one before ended."""


def softmax_probe(
    x: Float[Array | np.ndarray, "example dimension"],
    p: Float[Array | np.ndarray, "..."],
    x_val: Float[Array | np.ndarray, "..."],
    p_val: Float[Array | np.ndarray, "..."],
    *,
    penalties: Sequence[float] = PENALTIES,
    iterations: int = 30,
) -> Probe:
    """The softmax of a line that comes closest to target distributions in cross-entropy.

    Equation: argmin_w -mean sum_k p_k log softmax(x w)_k + penalty / 2 |w|^2 by L-BFGS in whitened coordinates (the
    problem is convex); the penalty with the least cross-entropy on the validation part.

    Args:
        x: `[example, dimension]`, what is read; its dtype is the dtype of the fit.
        p: `[example, target]`, probabilities (soft labels; one-hot rows for classes).
        x_val: validation part.
        p_val: validation part.
        penalties: to choose from, the largest first.
        iterations: of L-BFGS for every penalty.

    Raises:
        ValueError: where rows do not match, or there are more targets than samples.

    >>> x = jax.random.normal(jax.random.key(0), (90, 2))
    >>> p = jax.nn.softmax(x @ jnp.array([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]))
    >>> probe = softmax_probe(x[:60], p[:60], x[60:75], p[60:75])
    >>> bool(jnp.max(jnp.abs(probe.predict(x[75:]) - p[75:])) < 0.02)
    True
    """
    x, p, x_val, p_val = checked_parts(x, p, x_val, p_val)
    inputs = standard(x)
    z, z_val = inputs.of(x), inputs.of(x_val)
    whitening = _whitening(z)
    z, z_val = z @ whitening, z_val @ whitening

    def best_for(line: Any, penalty: Array) -> tuple[Any, tuple[Any, Array]]:
        def objective(line: Any) -> Array:
            return _cross_entropy(line, z, p) + 0.5 * penalty * jnp.sum(line[0] ** 2)

        line = _minimised(objective, line, iterations)
        return line, (line, _cross_entropy(line, z_val, p_val))

    tried = jnp.asarray(penalties, x.dtype)
    start = (jnp.zeros((x.shape[1], p.shape[1]), x.dtype), jnp.log(jnp.mean(p, axis=0) + 1e-6))
    _, (lines, losses) = jax.lax.scan(best_for, start, tried)
    chosen = jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
    weight, bias = jax.tree.map(lambda leaf: leaf[chosen], lines)
    return Probe(((whitening @ weight, bias),), inputs, None, tried[chosen], "distribution")


def _whitening(z: Float[Array, "example dimension"]) -> Float[Array, "dimension dimension"]:
    """Makes the covariance of standardised inputs the identity, but for directions that hold next to nothing."""
    eigenvalues, basis = jnp.linalg.eigh(jnp.matmul(z.T, z, precision=jax.lax.Precision.HIGHEST) / z.shape[0])
    return basis / jnp.sqrt(jnp.maximum(eigenvalues, 0.0) + 1e-6)[None, :]


def _cross_entropy(line: Any, z: Array, p: Array) -> Array:
    return -jnp.mean(jnp.sum(p * jax.nn.log_softmax(z @ line[0] + line[1][None, :]), axis=1))


def _minimised(objective: Any, line: Any, iterations: int) -> Any:
    """L-BFGS with a line search; a step that is not finite is not taken."""
    solver = optax.lbfgs()
    value_and_gradient = optax.value_and_grad_from_state(objective)

    def step(_: Array, now: tuple[Any, Any]) -> tuple[Any, Any]:
        line, state = now
        value, gradient = value_and_gradient(line, state=state)
        updates, state = solver.update(gradient, state, line, value=value, grad=gradient, value_fn=objective)
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(updates)]))
        return jax.tree.map(lambda leaf, u: jnp.where(finite, leaf + u, leaf), line, updates), state

    # Optax mixes dtypes and ranks on purpose.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return jax.lax.fori_loop(0, iterations, step, (line, solver.init(line)))[0]
