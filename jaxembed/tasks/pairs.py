"""Populations of (word, context word) given by their joint distribution."""

import numpy as np
from jaxtyping import Float

from ..base import Dataset, checked_dataset
from .population import GIB


def refuse_pairs(memory_limit: float, vocab: int) -> None:
    """Raise before allocating where all pairs of `vocab` words need more than `memory_limit` GiB."""
    need = vocab**2 * (4 + 4 + 8 + 3 * 8)  # ids and weights, and the joint with its temporaries
    if need > memory_limit * GIB:
        raise ValueError(
            f"memory_limit: all pairs of {vocab:,} words need {need / GIB:.4g} GiB, more than {memory_limit:g} GiB; "
            "choose fewer words, or raise memory_limit"
        )


def pair_dataset(joint: Float[np.ndarray, "token target"]) -> Dataset:
    """All pairs with their probabilities: the word is the one token, its context word the label."""
    vocab = len(joint)
    words, contexts = np.divmod(np.arange(vocab**2), vocab)
    return checked_dataset(words[:, None], contexts, joint.ravel(), vocab)
