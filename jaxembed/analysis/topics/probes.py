"""Probes from states to topic mixtures, what they are compared with, and their scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...probes import scores, softmax_probe
from .texts import TopicTargets

METRICS = ("accuracy", "L2", "max-abs", "KL")
"""Agreement of the top topic, summed squares, largest difference, divergence in nats; each a mean over documents."""
COMPONENTS = 512
"""Principal components of the bag of tokens that its probe reads."""
HELD = 0.15
"""Share of the training documents that chooses the penalty."""

Scores = Float[np.ndarray, " metric"]


@dataclass(frozen=True)
class ProbeSplit:
    """Which training documents a probe is fitted on, and which choose its penalty; drawn from the probe's seed."""

    fit: Int[np.ndarray, " document"]
    validation: Int[np.ndarray, " document2"]


def split_documents(documents: int, seed: int) -> ProbeSplit:
    """A random split of so many documents."""
    order = np.random.default_rng(seed).permutation(documents)
    held = max(1, int(HELD * documents))
    return ProbeSplit(order[held:], order[:held])


def probe_mixtures(
    train: Float[np.ndarray, "document width"],
    test: Float[np.ndarray, "document2 width"],
    targets: Float[np.ndarray, "document topic"],
    split: ProbeSplit,
) -> Float[np.ndarray, "document2 topic"]:
    """Mixtures of the test documents, read by a linear probe of their states."""
    x, y = np.asarray(train, np.float32), np.asarray(targets, np.float32)
    parts = (x[split.fit], y[split.fit], x[split.validation], y[split.validation])
    found = _fitted(*(jnp.asarray(part) for part in parts), jnp.asarray(np.asarray(test, np.float32)))
    return np.asarray(found, np.float64)


@partial(jax.jit)
def _fitted(x: Any, y: Any, x_val: Any, y_val: Any, test: Any) -> Any:
    return softmax_probe(x, y, x_val, y_val).predict(test)


def score_mixtures(
    predicted: Float[np.ndarray, "document topic"], target: Float[np.ndarray, "document topic"]
) -> Scores:
    """The scores in the order of `METRICS`."""
    found = scores("distribution", predicted, target)
    return np.array([found[name] for name in METRICS])


def score_probe(
    train: Float[np.ndarray, "document width"],
    test: Float[np.ndarray, "document2 width"],
    targets: TopicTargets,
    seed: int,
) -> Scores:
    """Scores of a probe that is fitted on the training documents, with a split of its own."""
    return score_mixtures(probe_mixtures(train, test, targets.train, split_documents(len(train), seed)), targets.test)


def score_majority(train: Float[np.ndarray, "document topic"], test: Float[np.ndarray, "document2 topic"]) -> Scores:
    """Scores of one answer for all: the mean mixture, and for the accuracy the most frequent top topic."""
    found = score_mixtures(np.repeat(train.mean(axis=0)[None, :], len(test), axis=0), test)
    most = np.bincount(train.argmax(axis=1)).argmax()
    found[METRICS.index("accuracy")] = np.mean(test.argmax(axis=1) == most)
    return found


def predict_by_last_token(
    train: Int[np.ndarray, " document"],
    test: Int[np.ndarray, " document2"],
    targets: Float[np.ndarray, "document topic"],
    split: ProbeSplit,
    vocab: int,
) -> Float[np.ndarray, "document2 topic"]:
    """The best a reader of one token can do: mean mixture of the documents that end in it, drawn to the common mean.

    How far it is drawn, in documents, is chosen on the validation part.
    """
    mean = targets[split.fit].mean(axis=0)
    sums = np.zeros((vocab, targets.shape[1]))
    np.add.at(sums, train[split.fit], targets[split.fit])
    counts = np.bincount(train[split.fit], minlength=vocab)

    def table(weight: float) -> Float[np.ndarray, "token topic"]:
        return (sums + weight * mean[None, :]) / (counts + weight)[:, None]

    def loss(weight: float) -> float:
        return -float(
            np.mean(np.sum(targets[split.validation] * np.log(table(weight)[train[split.validation]]), axis=1))
        )

    return table(min((0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 1000.0), key=loss))[test]


def bag_of_tokens(
    train: Sequence[Int[np.ndarray, "..."]], test: Sequence[Int[np.ndarray, "..."]], vocab: int
) -> tuple[Float[np.ndarray, "document width"], Float[np.ndarray, "document2 width"]]:
    """log(1 + count) of every token, in the first principal components of the training documents: order is lost."""
    counts = [np.stack([np.bincount(ids, minlength=vocab) for ids in part]) for part in (train, test)]
    logs = [np.log1p(part).astype(np.float32) for part in counts]
    centre = logs[0].mean(axis=0)
    values, basis = np.linalg.eigh((logs[0] - centre).T @ (logs[0] - centre) / len(train))
    there = int(np.sum(values > 1e-6 * values[-1]))
    kept = basis[:, ::-1][:, : min(COMPONENTS, there)]
    return (logs[0] - centre) @ kept, (logs[1] - centre) @ kept
