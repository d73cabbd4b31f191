"""Linear probes for senses that count every sense alike, their nulls from the same context, and their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ...base import generator
from ...probes import Probe, class_probe
from ...probes.softmax import PENALTIES
from .texts import SenseTask
from .tokens import Side

BAG = 2048
"""Columns of a bag of words: the most frequent words around the word."""


@dataclass(frozen=True, eq=False)
class SenseProbes:
    """What probes read from states.

    Attributes:
        probes: fitted, one for every depth.
        validation: `[layer]`, balanced accuracy on the validation part.
        right: `[layer, example]`, 1 where a test sentence is decided rightly, else 0.
    """

    probes: tuple[Probe, ...]
    validation: Float[np.ndarray, " layer"]
    right: Float[np.ndarray, "layer example"]

    def best(self, last: int | None = None) -> int:
        """The first depth (up to `last`) with the highest accuracy on the validation part; the test is not asked."""
        return int(np.argmax(self.validation[: None if last is None else last + 1]))


def balanced_mean(
    values: Float[np.ndarray, "... example"], senses: Int[np.ndarray, " example"]
) -> Float[np.ndarray, "..."]:
    """Mean over senses of the mean within a sense: of hits (0 or 1), the balanced accuracy.

    >>> float(balanced_mean(np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1])))
    0.5
    """
    return np.mean([values[..., senses == k].mean(axis=-1) for k in np.unique(senses)], axis=0)


def read_senses_from(
    x: Float[np.ndarray, "layer example dimension"],
    task: SenseTask,
    *,
    shuffled: int | None = None,
    whiten: bool = True,
    penalties: Sequence[float] = PENALTIES,
    iterations: int = 60,
) -> SenseProbes:
    """Fit a linear probe at every depth, each sentence weighted so that all senses weigh the same.

    Args:
        x: `[layer, example, dimension]`, what is read, for all sentences of the task.
        task: the sentences.
        shuffled: seed of a shuffle of the fitted and validated senses, for the null; None leaves them.
        whiten: see `class_probe`, also for penalties and iterations.
    """
    senses, fit, validation = task.senses.copy(), task.fit, task.validation
    if shuffled is not None:
        rng = np.random.default_rng(shuffled)
        for rows in (fit, validation):
            senses[rows] = rng.permutation(senses[rows])
    options: dict[str, Any] = {"whiten": whiten, "penalties": penalties, "iterations": iterations}
    probes = tuple(class_probe(at[fit], senses[fit], at[validation], senses[validation], **options) for at in x)
    hits = [decide(probe, at) == senses for probe, at in zip(probes, x, strict=True)]
    scored = [balanced_mean(hit[validation].astype(float), senses[validation]) for hit in hits]
    return SenseProbes(probes, np.array(scored), np.array([hit[task.test] for hit in hits], float))


def decide(probe: Probe, x: Float[np.ndarray, "example dimension"]) -> Int[np.ndarray, " example"]:
    """The sense that a probe decides for; the first of those that are level."""
    return np.argmax(logits(probe, x), axis=1)


def logits(probe: Probe, x: Float[np.ndarray, "example dimension"]) -> Float[np.ndarray, "example state"]:
    """What a linear probe gives every sense before the softmax."""
    weight, bias = (np.asarray(part, np.float64) for part in probe.layers[0])
    return (np.asarray(x, np.float64) - np.asarray(probe.inputs.centre, np.float64)) @ weight + bias


def bag_of_words(task: SenseTask, side: Side, unknown: int | None) -> Float[np.ndarray, "example dimension"]:
    """Counts of the words around the word: of the most frequent ones of the fitted contexts; unknown ones do not count.

    Args:
        task: the sentences.
        side: "left" or "both".
        unknown: id of unknown words.
    """
    contexts = task.tokens.context(side)
    vocab = 1 + max(int(ids.max(initial=0)) for ids in contexts)
    counts = np.array([np.bincount(ids, minlength=vocab) for ids in contexts], np.float32)
    seen = counts[task.fit].sum(axis=0)
    if unknown is not None and unknown < vocab:
        seen[unknown] = 0
    columns = np.argsort(-seen, kind="stable")[: min(BAG, int(np.sum(seen > 1)))]
    return counts[:, columns] if len(columns) else np.zeros((len(counts), 1), np.float32)


def mean_embedding(
    task: SenseTask, side: Side, embed: Float[np.ndarray, "token width"]
) -> Float[np.ndarray, "example width"]:
    """Mean of the static embeddings of the words around the word; zero where there is none."""
    contexts = task.tokens.context(side)
    return np.array([embed[ids].mean(axis=0) if len(ids) else np.zeros(embed.shape[1]) for ids in contexts], np.float32)


def separation(x: Float[np.ndarray, "layer example width"], senses: Int[np.ndarray, " example"]) -> np.ndarray:
    """Squared distance of the senses' means over the variance within them, at every depth.

    Equation: mean over pairs of |m_a - m_b|^2 - tr S_a / n_a - tr S_b / n_b, over the mean of tr S_a: without what
    the means of finitely many sentences differ by anyway, so that shuffled senses give 0 on average. NaN where nothing
    varies within a sense, as for the static embedding.
    """
    x = np.asarray(x, np.float64)
    groups = [x[:, senses == k] for k in np.unique(senses)]
    means = [group.mean(axis=1) for group in groups]
    spreads = [group.var(axis=1, ddof=1).sum(axis=1) for group in groups]
    distances = []
    for a in range(len(groups)):
        for b in range(a):
            chance = sum(spreads[k] / groups[k].shape[1] for k in (a, b))
            distances.append(np.sum((means[a] - means[b]) ** 2, axis=1) - chance)
    within, size = np.mean(spreads, axis=0), np.mean(x**2, axis=(1, 2)) * x.shape[2]
    varies = within > 1e-9 * size
    return np.where(varies, np.mean(distances, axis=0) / np.where(varies, within, 1), np.nan)


def bootstrap_interval(
    values: Float[np.ndarray, "seed example"],
    senses: Int[np.ndarray, " example"],
    *,
    resample_seeds: bool = False,
    resamples: int = 1000,
    key: PRNGKeyArray | int = 0,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of the balanced mean over seeds and sentences, which are drawn again within their sense.

    Args:
        values: `[seed, example]`, hits, or differences of hits (paired: the same sentences on both sides).
        senses: of the sentences.
        resample_seeds: whether seeds are drawn again too.
        resamples: how many.
        key: of the draws.
        level: confidence level.
    """
    rng, drawn = generator(key), []
    groups = [values[:, senses == k] for k in np.unique(senses)]
    for _ in range(resamples):
        seeds = rng.integers(len(values), size=len(values)) if resample_seeds else np.arange(len(values))
        picked = [group[seeds][:, rng.integers(group.shape[1], size=group.shape[1])].mean() for group in groups]
        drawn.append(np.mean(picked))
    low, high = np.quantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)
