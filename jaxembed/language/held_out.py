"""Loss on text that was not trained on."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from ..corpus.encoded import EncodedCorpus
from ..losses.language import LanguageModel, mean_loss
from .placement import Placement
from .step import computing


def held_out_loss(
    model: LanguageModel,
    params: Any,
    corpus: EncodedCorpus,
    length: int,
    batch: int,
    *,
    compute_dtype: str = "float32",
    placement: Placement | None = None,
) -> float:
    """Mean of -log p(next token) over a whole corpus, each token seen after at most `length - 1` others.

    Args:
        model: the model.
        params: its parameters.
        corpus: an encoded corpus, read in its own order; every token but the first is predicted once.
        length: tokens that one sequence predicts.
        batch: sequences at once.
        compute_dtype: see `Pretraining`.
        placement: where the parameters lie; None is one device.

    Returns:
        Nats per token, summed in float64.

    Raises:
        ValueError: for a corpus without a token to predict.
    """
    ids, placement = np.asarray(corpus.ids), placement or Placement()
    predicted = len(ids) - 1
    if predicted < 1:
        raise ValueError("corpus: needs at least two tokens to predict one from the other; hold out more")
    batch = min(batch, -(-predicted // length))
    batch = -(-batch // placement.devices) * placement.devices
    sums = []
    for first in range(0, predicted, batch * length):
        sequences, weights = _table(ids[first : first + batch * length + 1], batch, length)
        mine = placement.rows(batch)
        sums.append(
            _sum(params, placement.batch(sequences[mine]), placement.batch(weights[mine]), model, compute_dtype)
        )
    return float(np.sum(np.asarray(jax.device_get(sums), np.float64)) / predicted)


@partial(jax.jit, static_argnums=(3, 4))
def _sum(params: Any, sequences: Array, weights: Array, model: LanguageModel, compute_dtype: str) -> Array:
    return mean_loss(model, computing(params, compute_dtype), sequences, weights)


def _table(
    ids: np.ndarray, batch: int, length: int
) -> tuple[Int[np.ndarray, "example position"], Float[np.ndarray, "example position"]]:
    """Consecutive tokens as rows of `length + 1`, filled up with token 0 whose labels weigh nothing."""
    padded = np.zeros(batch * length + 1, np.int32)
    padded[: len(ids)] = ids
    places = np.arange(batch)[:, None] * length + np.arange(length + 1)[None, :]
    return padded[places], (places[:, 1:] < len(ids)).astype(np.float32)
