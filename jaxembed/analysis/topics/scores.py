"""All scores of one network, as arrays that a folder can keep."""

from typing import Any

import numpy as np
from jaxtyping import Float

from ...base import Progress, silent
from ...models import Decoder
from .probes import probe_mixtures, score_probe, split_documents
from .references import Arrays
from .states import BUDGET, POOLINGS, States, read_states
from .task import TopicTask
from .texts import TopicTargets

EMBEDDINGS = "average of embeddings"
READ = (*POOLINGS, EMBEDDINGS)
"""What is read from a network: its last layer, and the embedding's average, which knows nothing of order."""
DEEP = ("last", "average")
"""Poolings that are followed through the layers."""


def score_network(
    model: Decoder,
    params: dict[str, Any],
    task: TopicTask,
    *,
    shuffled: bool = True,
    budget: int = BUDGET,
    progress: Progress = silent,
) -> Arrays:
    """What can be read from one network.

    Args:
        model: the decoder.
        params: its parameters.
        task: documents with their targets.
        shuffled: whether probes of shuffled targets are fitted too.
        budget: bytes that the states of one batch may take.
        progress: takes a line after each part.

    Returns:
        "K NAME" for the names of `READ`, and "K shuffled targets": `[fit, metric]`; "layers POOLING": `[layer, metric]`
        of the main K and the first fit; "right" and "losses": `[position, document]`, of the test documents; "loss":
        nats per token of them.
    """
    start, shares = task.tokenizer.start_token, task.sizes.positions
    train, test = (read_states(model, params, part, start, shares, budget) for part in (task.train, task.test))
    progress(f"states: done, {test.loss:.3f} nats per token of the test documents")
    arrays: Arrays = {"loss": np.array(test.loss), "losses": test.losses}
    for size, fits in task.targets.items():
        for name in READ:
            arrays[f"{size} {name}"] = _score_fits(train, test, name, fits)
        if shuffled:
            mixed = [_shuffled(fit, seed) for seed, fit in enumerate(fits)]
            arrays[f"{size} shuffled targets"] = _score_fits(train, test, "average", mixed)
        progress(f"probes of {size} topics: done")
    main = next(iter(task.targets.values()))[0]
    for pooling in DEEP:
        depths = zip(train.pooled[:, POOLINGS.index(pooling)], test.pooled[:, POOLINGS.index(pooling)], strict=True)
        arrays[f"layers {pooling}"] = np.stack([score_probe(*pair, main, 0) for pair in depths])
    progress("probes of all layers: done")
    split, tops = split_documents(len(main.train), 0), main.test.argmax(axis=1)
    along = [probe_mixtures(*pair, main.train, split) for pair in zip(train.along, test.along, strict=True)]
    return arrays | {"right": np.stack([mixtures.argmax(axis=1) == tops for mixtures in along])}


def _score_fits(train: States, test: States, name: str, fits: list[TopicTargets]) -> Float[np.ndarray, "fit metric"]:
    """Scores of one of `READ` against every fit's targets, each with a probe seed of its own."""
    depth, pooling = (0, "average") if name == EMBEDDINGS else (-1, name)
    x, x_test = (states.pooled[depth, POOLINGS.index(pooling)] for states in (train, test))
    return np.stack([score_probe(x, x_test, fit, seed) for seed, fit in enumerate(fits)])


def _shuffled(fit: TopicTargets, seed: int) -> TopicTargets:
    order = np.random.default_rng(seed).permutation(len(fit.train))
    return TopicTargets(fit.train[order], fit.test)
