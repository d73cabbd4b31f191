"""How much memory a run takes, told before it starts."""

import jax
import numpy as np

from ..losses.language import pieces_for
from ..machine import GIB, device_memory
from ..models import Decoder
from .settings import Pretraining

SCORES_ON = {"cpu": 1.0}
SCORES = 3.0
"""Arrays of `[head, position, position]` that a block holds for its gradient: three; on a processor, where keys in the
future are left out and the sum is divided out of what is mixed, two of about half the size."""
LOGITS = 3
"""Arrays of the size of one piece of logits: the logits, their exponentials, their gradient."""


def memory_parts(
    model: Decoder, settings: Pretraining, vocab: int, *, devices: int = 1, shared_out: bool = False
) -> dict[str, float]:
    """Bytes on each device, by what they are for.

    Args:
        model: the model.
        settings: of the run.
        vocab: tokens.
        devices: that the batch is divided over.
        shared_out: whether parameters, gradients and moments are divided over them too.
    """
    number = np.dtype(np.float32).itemsize
    half = settings.compute_dtype == "bfloat16"
    active = number // 2 if half else number
    weights = number * model.parameter_count(vocab) / (devices if shared_out else 1)
    examples = settings.batch / settings.accumulate / devices
    run = -(-settings.length // pieces_for(max(1, round(examples)), settings.length, vocab))
    return {
        "parameters": weights * (1.5 if half else 1.0),
        "gradients": weights * (1 if settings.accumulate == 1 else 2),
        "moments": 0.0 if settings.optimizer == "sgd" else 2 * weights,
        "activations": examples * settings.length * model.layers * _block_bytes(model, settings.length, active),
        "logits": examples * run * vocab * number * LOGITS,
    }


def memory_estimate(
    model: Decoder, settings: Pretraining, vocab: int, *, devices: int = 1, shared_out: bool = False
) -> float:
    """Bytes on each device: parameters, gradients, moments, what the gradient keeps of every block, logits.

    >>> model = Decoder(width=256, layers=6, heads=4, mlp_width=1024)
    >>> at_once, in_halves = (Pretraining(batch=8, length=256, accumulate=pieces) for pieces in (1, 2))
    >>> memory_estimate(model, in_halves, 4096) < memory_estimate(model, at_once, 4096)
    True
    """
    return sum(memory_parts(model, settings, vocab, devices=devices, shared_out=shared_out).values())


def check_memory(need: float, limit: float | None = None) -> None:
    """Refuse a run that does not fit.

    Args:
        need: bytes on each device.
        limit: bytes there are; None asks the device.

    Raises:
        ValueError: saying how much is missing and what to change.
    """
    there = device_memory() if limit is None else limit
    if need > there:
        raise ValueError(
            f"batch: needs about {need / GIB:.2f} GiB on each device, which has {there / GIB:.2f}; raise accumulate, "
            "take a smaller batch or model, or share it out over more devices"
        )


def _block_bytes(model: Decoder, length: int, active: int) -> float:
    """Bytes per token that the gradient of one block needs of its forward pass, at `active` bytes a number."""
    stream = 4 * model.width  # into and out of the two norms
    attention = 3 * model.query_width + 4 * model.key_width  # before and after rotation, values, what was attended to
    mlp = (4 if model.activation == "swiglu" else 2) * model.mlp_width
    scores = SCORES_ON.get(jax.default_backend(), SCORES) * model.heads * length
    whole = np.dtype(np.float32).itemsize  # a softmax is never in half precision
    return active * (stream + attention + mlp) + whole * scores
