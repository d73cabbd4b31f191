"""What every layer of a decoder already says of the next token: its stream through the model's own last norm and head.

The plain lens reads the stream as it is. A learned lens first moves it by an affine map of each layer's own, started
at the identity and trained to give the model's final distribution.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int

from ...base import at_least_single
from ...keep import read_arrays, write_arrays
from ...language.checkpoints import parameter_hash
from ...losses.language import head_of
from ...models import Decoder
from ...observables.next_token import BUDGET, Readings, read_out, rows_within


@partial(register_dataclass, data_fields=["weights", "biases"], meta_fields=[])
@dataclass(frozen=True)
class Lens:
    """An affine map of the stream at every depth, stream @ weight + bias: the embedding first, the last block last.

    Attributes:
        weights: `[layer, width, width]`.
        biases: `[layer, width]`.
    """

    weights: Float[Array, "layer width width"]
    biases: Float[Array, "layer width"]


def plain_lens(model: Decoder, dtype: Any = jnp.float32) -> Lens:
    """The identity at every depth: where a learned lens starts.

    >>> plain_lens(Decoder(width=4, layers=2, heads=1)).weights.shape
    (3, 4, 4)
    """
    depths = model.layers + 1
    identity = jnp.broadcast_to(jnp.eye(model.width, dtype=dtype)[None], (depths, model.width, model.width))
    return Lens(identity, jnp.zeros((depths, model.width), dtype))


def lens_states(
    model: Decoder, params: dict[str, Any], tokens: Int[Array, "example position"], lens: Lens | None = None
) -> Float[Array, "layer example position width"]:
    """What the head would read at every depth: the stream after the embedding and every block, moved and normalised.

    Args:
        model: the decoder.
        params: its parameters.
        tokens: `[example, position]`.
        lens: learned maps; None reads the stream as it is, which at the last block is the model itself.

    >>> import jax
    >>> model = Decoder(layers=2)
    >>> params = model.init(jax.random.key(0), vocab=10, length=3)
    >>> lens_states(model, params, jnp.zeros((1, 3), int)).shape
    (3, 1, 3, 32)
    """
    stream = model.states(params, tokens)
    if lens is None:
        moved = [last_norm(model, params, rows) for rows in stream[:-2]]
        return jnp.stack([*(rows.reshape(stream.shape[1:]) for rows in moved), stream[-1]])
    maps = zip(stream[:-1], lens.weights, lens.biases, strict=True)
    moved = [last_norm(model, params, apply_map(rows, weight, bias)) for rows, weight, bias in maps]
    return jnp.stack([rows.reshape(stream.shape[1:]) for rows in moved])


def lens_logits(
    model: Decoder, params: dict[str, Any], tokens: Int[Array, "example position"], lens: Lens | None = None
) -> Float[Array, "layer example position token"]:
    """The logits of every depth, in float32 at least; at the last one without a lens, those of the model to the bit.

    For few tokens: nothing is done in blocks.
    """
    head = head_of(params)
    wide = at_least_single(head.dtype)
    states = lens_states(model, params, tokens, lens)
    rows = [flat(layer).astype(wide) @ head.astype(wide).T for layer in states]
    return jnp.stack([row.reshape(*tokens.shape, -1) for row in rows])


@partial(jax.jit, static_argnames=("model", "budget"))
def lens_readings(
    model: Decoder,
    params: dict[str, Any],
    sequences: Int[Array, "example position"],
    lens: Lens | None = None,
    *,
    budget: int = BUDGET,
) -> Readings:
    """Entropy, KL to the model's own distribution, rank and surprisal of the next token, at every depth and position.

    Args:
        model: the decoder.
        params: its parameters.
        sequences: `[example, position]`, T + 1 tokens each: T inputs and, one place on, what came.
        lens: see `lens_states`.
        budget: bytes for the arrays over the vocabulary of one block.

    Returns:
        Arrays `[layer, example, position]`.
    """
    tokens, targets, head = sequences[:, :-1], sequences[:, 1:], head_of(params)
    states = lens_states(model, params, tokens, lens)
    final = states[-1] if lens is None else model.hidden(params, tokens)
    ends, wanted = jnp.tile(flat(final), (len(states), 1)), jnp.tile(targets.reshape(-1), len(states))
    found = read_out(flat(states), head, wanted, ends, budget=budget)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *tokens.shape), found)


def lens_top(
    model: Decoder,
    params: dict[str, Any],
    tokens: Int[Array, "example position"],
    count: int,
    lens: Lens | None = None,
    *,
    budget: int = BUDGET,
) -> tuple[Int[Array, "layer example position target"], Float[Array, "layer example position target"]]:
    """The most probable next tokens of every depth and position, and their probabilities, best first."""
    states, head = lens_states(model, params, tokens, lens), head_of(params)
    wide = at_least_single(head.dtype)
    rows, step = flat(states), rows_within(budget, head.shape[0], wide.itemsize)
    parts = [
        jax.lax.top_k(jax.nn.softmax(rows[at : at + step].astype(wide) @ head.astype(wide).T, axis=1), count)
        for at in range(0, len(rows), step)
    ]
    shares, chosen = (jnp.concatenate(side).reshape(*states.shape[:-1], count) for side in zip(*parts, strict=True))
    return chosen, shares


def last_norm(model: Decoder, params: dict[str, Any], stream: Float[Array, "..."]) -> Float[Array, "example width"]:
    """The model's own last norm of any stream, `[example * position, width]`."""
    return model._module(params, 1).norm(stream.reshape(-1, model.width))


def write_lens(path: str | Path, lens: Lens, params: dict[str, Any]) -> None:
    """Write a lens to an npz file, with the hash of the model that it belongs to."""
    owner = parameter_hash(jax.device_get(params))
    write_arrays(Path(path), {"weights": lens.weights, "biases": lens.biases, "model": owner})


def read_lens(path: str | Path, params: dict[str, Any]) -> Lens:
    """Read what `write_lens` wrote for this model.

    Raises:
        ValueError: for a file that is no lens, or that of another model.
    """
    if not Path(path).is_file():
        raise ValueError(f"learned: no file '{path}'; learn a lens with jaxembed lens --corpus and --save")
    try:
        kept = read_arrays(Path(path))
        lens, owner = Lens(jnp.asarray(kept["weights"]), jnp.asarray(kept["biases"])), str(kept["model"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"learned: '{path}' holds no lens; learn one with jaxembed lens --corpus") from None
    if owner != parameter_hash(jax.device_get(params)):
        raise ValueError(f"learned: '{path}' is the lens of another model; learn one with jaxembed lens --corpus")
    return lens


def apply_map(rows: Float[Array, "..."], weight: Array, bias: Array) -> Float[Array, "example width"]:
    return flat(rows) @ weight + bias[None, :]


def flat(rows: Float[Array, "..."]) -> Float[Array, "example width"]:
    return rows.reshape(-1, rows.shape[-1])
