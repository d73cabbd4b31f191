"""Losses of prediction on fresh draws of a process: the next item, or masked ones."""

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ..base import Loss


@runtime_checkable
class Network(Protocol):
    """Reads sequences of tokens or vectors and answers at every position; a frozen dataclass of its settings."""

    @property
    def reads(self) -> str: ...

    @property
    def causal(self) -> bool: ...

    def init(self, key: PRNGKeyArray, size: int, outputs: int, dtype: Any = float) -> dict[str, Any]: ...

    def outputs(self, params: dict[str, Any], items: Any, key: Any = None, masked: Any = None) -> Array: ...

    def states(self, params: dict[str, Any], items: Any, masked: Any = None) -> Array: ...


def next_item_loss(model: Network, head: Any, process: Any, world: Any, *, batch: int, length: int) -> Loss:
    """The mean loss of predicting x_1 .. x_{T-1} from the past, on a fresh draw for every key.

    Args:
        model: a causal network.
        head: what its answers mean (`models.heads`).
        process: draws sequences.
        world: what its sequences share.
        batch: sequences of a draw.
        length: items T of a sequence.

    Returns:
        `loss(params, key)`: mean over sequences and the positions n = 0 .. T-2, whose answers predict x_{n+1}.

    Raises:
        ValueError: for a model that sees the future.
    """
    if not model.causal:
        raise ValueError("model: next items need causal=True; a model that sees all positions takes masked_loss")
    if length < 2:
        raise ValueError(f"length: a sequence needs 2 items to predict one, got {length}")

    def loss(params: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        draw_key, drop_key = jax.random.split(key)
        items = network_items(process.sample(draw_key, world, batch, length).items, params)
        answers = model.outputs(params, items[:, :-1], drop_key)
        return jnp.mean(head.loss(answers, items[:, 1:]))

    return loss


def masked_loss(
    model: Network, head: Any, process: Any, world: Any, *, batch: int, length: int, predictions: int
) -> Loss:
    """The mean loss of filling in masked items, of other random positions in every sequence of every draw.

    Args:
        model: a network that is not causal: it has a token, or a coordinate, of its own for a masked item.
        head: what its answers mean.
        process: draws sequences.
        world: what its sequences share.
        batch: sequences of a draw.
        length: items T of a sequence.
        predictions: masked items of a sequence: batch x predictions items are predicted in a step, against
            batch x (length - 1) of `next_item_loss`.

    Returns:
        `loss(params, key)`: mean over the masked items.

    Raises:
        ValueError: for a causal model, or more predictions than items.
    """
    if model.causal:
        raise ValueError("model: masked items need causal=False; a causal model takes next_item_loss")
    if not 1 <= predictions <= length:
        raise ValueError(f"predictions: must be 1 to the {length} items of a sequence, got {predictions}")

    def loss(params: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        draw_key, drop_key, mask_key = jax.random.split(key, 3)
        items = network_items(process.sample(draw_key, world, batch, length).items, params)
        places = random_places(mask_key, batch, length, predictions)
        masked = jnp.zeros((batch, length), bool).at[jnp.arange(batch)[:, None], places].set(True)
        answers = model.outputs(params, items, drop_key, masked)
        return jnp.mean(head.loss(_at(answers, places), _at(items, places)))

    return loss


def random_places(key: PRNGKeyArray, batch: int, length: int, count: int) -> Int[Array, "sequence position"]:
    """`count` different positions of every sequence, all sets alike probable."""
    ranks = jax.random.uniform(key, (batch, length), jnp.float32)
    return jax.lax.top_k(ranks, count)[1]


def _at(values: Array, places: Int[Array, "sequence position"]) -> Array:
    return values[jnp.arange(places.shape[0])[:, None], places]


def network_items(items: Array, params: Any) -> Array:
    """Ids in int32 and reals in the parameters' dtype, whatever the process computes in."""
    dtype = jax.tree.leaves(params)[0].dtype
    return items.astype(dtype if jnp.issubdtype(items.dtype, jnp.floating) else np.int32)
