"""Negative controls: data with the relation between examples and labels destroyed."""

from dataclasses import replace

import numpy as np
from jaxtyping import PRNGKeyArray

from ..base import Dataset, generator


def shuffled(dataset: Dataset, key: PRNGKeyArray | int) -> Dataset:
    """The same tokens and weights, with the targets permuted uniformly over the examples.

    Every example counts once in the permutation, whatever its weight: with equal weights the label rates stay
    exactly as they were, else only in expectation over examples. The labels are now a draw, so `samples` is at most
    the number of examples.

    Args:
        dataset: any population.
        key: jax key or whole number.

    >>> from jaxembed.tasks import Addition
    >>> data = Addition(keys=4, anchors=2).dataset()
    >>> control = shuffled(data, 0)
    >>> sorted(control.targets) == sorted(data.targets), control.samples
    (True, 16)
    """
    order = generator(key).permutation(dataset.size)
    samples = min(dataset.size, dataset.samples or dataset.size)
    return replace(dataset, targets=np.asarray(dataset.targets)[order], samples=samples)
