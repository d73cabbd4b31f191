"""What a trained network makes of sequences: states at some positions and depths, and its loss beside the floor."""

from functools import partial
from inspect import signature
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..losses.prediction import network_items
from ..models import SquaredError
from .probing import BATCH, Probing


def read_states(
    model: Any, params: Any, items: Any, probing: Probing
) -> tuple[tuple[int, ...], Float[np.ndarray, "layer sequence position width"]]:
    """States at the depths and positions that a probing asks for, read batch by batch.

    A network that sees all positions is given the items up to the asked one and no more.

    Returns:
        The depths (-1 for answers), and `[layer, sequence, position, width]`.
    """
    items = network_items(items, params)
    positions, depths = probing.places(items.shape[1]), probing.depths(depth_count(model, params, items))
    asked = (depths, probing.pool)
    if model.causal:
        return depths, _in_batches(partial(_states, model), params, items, (positions, *asked))
    parts = [_in_batches(partial(_states, model), params, items[:, : n + 1], ((n,), *asked)) for n in positions]
    return depths, np.concatenate(parts, axis=2)


def depth_count(model: Any, params: Any, items: Any) -> int:
    """Depths of a network's stream: embedding, every block, what the head reads."""
    return jax.eval_shape(model.states, params, jax.ShapeDtypeStruct((1, *items.shape[1:]), items.dtype)).shape[0]


def losses(
    process: Any, world: Any, model: Any, head: Any, params: dict[str, Any], items: Any, own: Any = None
) -> dict[str, float]:
    """Mean loss of predicting every next item, and that of exact inference on the same sequences: the floor.

    Nats for likelihoods; the squared error of the predictive mean for squared error. Undefined (NaN) for a network
    that sees all positions. Where exact inference is estimated (by particles), "floor error" is the error of its one
    estimate, |a - b| / sqrt(2) of two with different keys.

    Args:
        process: that the sequences are of, which knows the floor.
        world: of the sequences.
        model: the network.
        head: what its answers mean.
        params: by name, for example "trained" and "untrained".
        items: `[sequence, position]` or `[sequence, position, dimension]`.
        own: the process of the training, where the sequences are of another: "own prior" is then the loss of exact
            inference under what the network was trained on. What it loses on the floor is the price of the wrong
            prior, what a network loses on it is the network's.
    """
    estimated = not isinstance(head, SquaredError) and "key" in signature(process.log_predictive).parameters
    names = ["floor", *(["floor error"] if estimated else []), *(["own prior"] if own is not None else [])]
    if not model.causal:
        return dict.fromkeys([*params, *names], float("nan"))
    mean = {}
    for name, tree in params.items():
        mean[name] = float(np.mean(_in_batches(partial(_losses, model, head), tree, network_items(items, tree), ())))
    mean["floor"] = _exact_loss(process, world, head, items)
    if estimated:
        again = _exact_loss(process, world, head, items, key=jax.random.key(1))
        mean["floor error"] = abs(mean["floor"] - again) / 2**0.5
    if own is not None:
        mean["own prior"] = _exact_loss(own, world, head, items)
    return mean


def _exact_loss(process: Any, world: Any, head: Any, items: Any, **keys: Any) -> float:
    """What exact inference loses; `keys` goes to a process that estimates it."""
    if isinstance(head, SquaredError):
        missed = np.asarray(items[:, 1:] - process.predictive_mean(world, items))
        return float(np.mean(np.sum(missed**2, axis=-1)))
    return -float(np.mean(np.asarray(process.log_predictive(world, items, **keys))))


def _in_batches(read: Any, params: Any, items: Any, asked: tuple) -> np.ndarray:
    """`read(params, items, *asked)` `[layer, sequence, ...]` of all sequences, a batch at a time."""
    count = items.shape[0]
    batches = -(-count // BATCH)
    rows = np.arange(batches * BATCH) % count
    read_out = _mapped(read.func, read.args, asked, params, items[rows].reshape(batches, BATCH, *items.shape[1:]))
    return np.concatenate(np.asarray(read_out), axis=1)[:, :count]


@partial(jax.jit, static_argnums=(0, 1, 2))
def _mapped(read: Any, settings: tuple, asked: tuple, params: Any, batches: Array) -> Array:
    return jax.lax.map(lambda items: read(*settings, params, items, *asked), batches)


def _states(
    model: Any,
    params: Any,
    items: Array,
    positions: tuple[int, ...],
    depths: tuple[int, ...],
    pool: Literal["position", "average"],
) -> Array:
    every = model.outputs(params, items)[None] if depths == (-1,) else model.states(params, items)[np.array(depths)]
    if pool == "average":
        return jnp.stack([jnp.mean(every[:, :, : n + 1], axis=2) for n in positions], axis=2)
    return every[:, :, np.array(positions)]


def _losses(model: Any, head: Any, params: Any, items: Array) -> Array:
    return head.loss(model.outputs(params, items[:, :-1]), items[:, 1:])[None]
