"""A probe with one hidden layer, stopped where validation data ask for it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .probe import Kind, Probe, checked_parts, forward, standard


def mlp_probe(
    x: Float[Array | np.ndarray, "example dimension"],
    y: Float[Array | np.ndarray, "..."],
    x_val: Float[Array | np.ndarray, "..."],
    y_val: Float[Array | np.ndarray, "..."],
    *,
    kind: Kind,
    key: PRNGKeyArray,
    hidden: int = 128,
    steps: int = 3000,
    batch: int = 128,
    learning_rate: float = 2e-3,
    evaluations: int = 30,
) -> Probe:
    """A rectified hidden layer, trained by Adam; of `evaluations` moments the one that is best on the validation part.

    Args:
        x: `[example, dimension]`, what is read; its dtype is the dtype of the fit.
        y: `[example, target]`.
        x_val: validation part.
        y_val: validation part.
        kind: "real" (squared error of standardised targets) or "distribution" (cross-entropy with soft labels).
        key: of the initial weights and the minibatches.
        hidden: units.
        steps: of Adam with a cosine schedule.
        batch: examples per step.
        learning_rate: at the start.
        evaluations: how often the validation part is scored.

    Raises:
        ValueError: where rows do not match, or there are more targets than samples.
    """
    x, y, x_val, y_val = checked_parts(x, y, x_val, y_val)
    inputs = standard(x)
    outputs = standard(y) if kind == "real" else None
    z, z_val = inputs.of(x), inputs.of(x_val)
    if outputs is not None:
        y, y_val = outputs.of(y), outputs.of(y_val)
    first, second, data = jax.random.split(key, 3)
    layers = (_layer(first, x.shape[1], hidden, x.dtype), _layer(second, hidden, y.shape[1], x.dtype))
    adam = optax.adam(optax.cosine_decay_schedule(learning_rate, steps, alpha=0.02))

    def step(now: Any, key: Array) -> Any:
        layers, state = now
        rows = jax.random.randint(key, (batch,), 0, x.shape[0])
        gradient = jax.grad(lambda layers: _loss(kind, layers, z[rows], y[rows]))(layers)
        updates, state = adam.update(gradient, state)
        return (jax.tree.map(lambda leaf, u: leaf + u.astype(leaf.dtype), layers, updates), state), None

    def stretch(now: Any, keys: Array) -> Any:
        (layers, state), best, least, best_at, number = now
        (layers, state), _ = jax.lax.scan(step, (layers, state), keys)
        loss = _loss(kind, layers, z_val, y_val)
        better = loss < least
        best = jax.tree.map(lambda old, new: jnp.where(better, new, old), best, layers)
        return ((layers, state), best, jnp.minimum(loss, least), jnp.where(better, number, best_at), number + 1), None

    keys = jax.random.split(data, (evaluations, max(1, steps // evaluations)))
    # Optax mixes dtypes on purpose.
    with jax.numpy_dtype_promotion("standard"):
        zero = jnp.zeros((), jnp.int32)
        start = ((layers, adam.init(layers)), layers, _loss(kind, layers, z_val, y_val), zero, zero + 1)
        (_, best, _, best_at, _), _ = jax.lax.scan(stretch, start, keys)
    return Probe(best, inputs, outputs, best_at * (steps // evaluations), kind)


def _layer(key: Array, inputs: int, outputs: int, dtype: Any) -> tuple[Array, Array]:
    weight = jax.random.normal(key, (inputs, outputs), dtype) * (2.0 / inputs) ** 0.5
    return weight, jnp.zeros(outputs, dtype)


def _loss(kind: Kind, layers: Any, z: Array, y: Array) -> Array:
    out = forward(layers, z)
    if kind == "real":
        return jnp.mean((out - y) ** 2)
    return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(out), axis=1))
