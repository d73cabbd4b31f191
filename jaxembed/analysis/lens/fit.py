"""A learned lens: one affine map per layer, trained so that every layer gives the model's final distribution."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ...base import Progress, silent
from ...corpus.encoded import EncodedCorpus
from ...language.order import cut
from ...losses.language import head_of
from ...models import Decoder
from .lens import Lens, apply_map, flat, last_norm, plain_lens


@dataclass(frozen=True)
class LensFit:
    """How a lens is learned.

    Attributes:
        steps: updates of Adam.
        batch: sequences of an update.
        length: tokens of a sequence.
        learning_rate: at the start; it falls to zero as half a cosine.
    """

    steps: int = 200
    batch: int = 8
    length: int = 64
    learning_rate: float = 3e-3

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate: must be positive, got {self.learning_rate}")


def fit_lens(
    model: Decoder,
    params: dict[str, Any],
    corpus: EncodedCorpus,
    settings: LensFit = LensFit(),
    *,
    key: PRNGKeyArray,
    progress: Progress = silent,
) -> tuple[Lens, Float[np.ndarray, "time layer"]]:
    """Learn the maps that bring every layer closest to the model's final distribution, KL(final || lens).

    The model stays as it is. Biases are learned in units of their layer's root mean square, since the norm behind the
    map forgets the length of the stream and a fresh model's is short.

    Args:
        model: the decoder.
        params: its parameters.
        corpus: the text to learn on; score the lens on another.
        settings: of the training.
        key: of the places that batches are cut from.
        progress: takes the loss after every update.

    Returns:
        The lens, which at the last block is the identity, and the KL of every update and layer before it.

    Raises:
        ValueError: for a text shorter than one sequence, or where the loss is not finite.

    Source: belrose2023tuned.
    """
    ids = np.asarray(corpus.ids)
    if len(ids) <= settings.length:
        raise ValueError(f"corpus: {len(ids)} tokens are fewer than a sequence of {settings.length}; give more text")
    shape = (settings.steps, settings.batch)
    starts = np.asarray(jax.random.randint(key, shape, 0, len(ids) - settings.length))
    lens, scales = plain_lens(model, params["embed"].dtype), None
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.steps))
    free = (lens.weights[:-1], lens.biases[:-1])
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        moments, losses = optimizer.init(free), []
    for step, places in enumerate(starts):
        tokens = jnp.asarray(cut(ids, places, settings.length - 1))
        scales = stream_scales(model, params, tokens) if scales is None else scales
        free, moments, loss = _update(free, moments, params, tokens, scales, model=model, settings=settings)
        losses.append(np.asarray(loss))
        if not np.all(np.isfinite(losses[-1])):
            raise ValueError(f"learning_rate: the loss of update {step + 1} is not finite; lower it")
        progress(f"learning a lens: KL {np.mean(losses[-1]):.3f}", (step + 1) / settings.steps)
    assert scales is not None
    weights = jnp.concatenate([free[0], lens.weights[-1:]])
    biases = jnp.concatenate([free[1] * scales[:, None], lens.biases[-1:]])
    return Lens(weights, biases), np.stack(losses)


@partial(jax.jit, static_argnames=("model",))
def stream_scales(
    model: Decoder, params: dict[str, Any], tokens: Int[Array, "example position"]
) -> Float[Array, " layer"]:
    """Root mean square of the stream at every depth before the last block's."""
    return jnp.sqrt(jnp.mean(jnp.square(model.states(params, tokens)[:-2]), axis=(1, 2, 3)))


@partial(jax.jit, static_argnames=("model", "settings"), donate_argnums=(0, 1))
def _update(
    free: tuple[Array, Array],
    moments: Any,
    params: dict[str, Any],
    tokens: Int[Array, "example position"],
    scales: Float[Array, " layer"],
    *,
    model: Decoder,
    settings: LensFit,
) -> tuple[tuple[Array, Array], Any, Float[Array, " layer"]]:
    """One step of Adam for all layers, one layer after the other so that one layer's logits are held."""
    stream, head = model.states(params, tokens), head_of(params)
    final = jax.nn.log_softmax(flat(stream[-1]) @ head.T, axis=1)

    def divergence(maps: tuple[Array, Array], rows: Array, scale: Array) -> Array:
        states = last_norm(model, params, apply_map(rows, maps[0], maps[1] * scale))
        log_q = jax.nn.log_softmax(states @ head.T, axis=1)
        return jnp.mean(jnp.sum(jnp.exp(final) * (final - log_q), axis=1))

    def layer(part: tuple[Any, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        return jax.value_and_grad(divergence)(*part)

    losses, gradients = jax.lax.map(layer, (free, stream[:-2], scales))
    optimizer = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.steps))
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        changes, moments = optimizer.update(gradients, moments)
    return jax.tree.map(lambda x, d: x + d.astype(x.dtype), free, changes), moments, losses
