"""Claims on topics of natural documents in the states of language models.

The published numbers are of pretrained models of 124 million parameters and more, which are not run here: what is asked
of decoders trained in minutes is the direction, at K = 20 (K = 100 is a flag of `jaxembed topics`). Autoregressive
models above BERTs (the same source) is not run: it needs pretrained weights of both kinds.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _made_up(full: bool) -> Any:
    """Text of a topic model in made-up words, in the full ledger too."""
    from ..studies.language.natural_topics import natural_topics

    return natural_topics("tiny", seeds=3)


def _newsgroups(full: bool) -> Any:
    """20 Newsgroups, or nothing where JAXEMBED_DATA does not name it."""
    from ..studies.language.natural_topics import natural_topics

    return natural_topics("quick", seeds=3) if "JAXEMBED_DATA" in os.environ else None


STUDIES: dict[str, Callable[[bool], Any]] = {"natural_topics": _made_up, "newsgroup_topics": _newsgroups}
SEEDS = "training seeds (not run: JAXEMBED_DATA is not set)" if "JAXEMBED_DATA" not in os.environ else "training seeds"


def _of(measure: Callable[[Any], Evidence]) -> Callable[[Any], Evidence]:
    """The measure, or undefined where the study had no data."""

    def found(result: Any) -> Evidence:
        return Evidence(np.array([np.nan]), None, "1", varied=SEEDS) if result is None else measure(result)

    return found


def _average(result: Any) -> Evidence:
    """Accuracy from the average token, of the main number of topics; the null is the best of all, the bag included."""
    result, size = result.scores, result.setting.sizes.topics[0]
    null = result.over_seeds(size, result.best_null(size))
    found = result.over_seeds(size, "average")
    return Evidence(found, null, "1", least=float(np.mean(null)), varied="training seeds")


def _over(other: str) -> Callable[[Any], Evidence]:
    """Accuracy from the average token less that of something else, of the main number of topics."""

    def measure(result: Any) -> Evidence:
        result, size = result.scores, result.setting.sizes.topics[0]
        gap = result.over_seeds(size, "average") - result.over_seeds(size, other)
        return Evidence(gap, None, "none", least=0.0, varied="training seeds")

    return _of(measure)


def _depth(result: Any) -> Evidence:
    """Accuracy from the last layer less that from the embedding; the null is that of the untrained network."""
    gaps = [
        group["layers average"][:, -1, 0] - group["layers average"][:, 0, 0]
        for group in (result.scores.trained, result.scores.untrained)
    ]
    return Evidence(gaps[0], gaps[1], "none", least=0.0, varied="training seeds")


def _link(result: Any) -> Evidence:
    """Nats of loss per step to a right topic; the null permutes accuracies within documents."""
    found, null = (
        np.array([of(link) for link in result.scores.links]) for of in (lambda k: k.coefficient, lambda k: k.null[0])
    )
    return Evidence(found, null, "none", most=0.0, varied="training seeds")


_SOURCE = "zhang2024embed"

CLAIMS = (
    Claim("topics-made-up-text", "documents of a topic model in made-up words: LDA's top topic over all nulls",
          _SOURCE, "no number", "natural_topics", _of(_average)),
    Claim("topics-newsgroups", "20 Newsgroups, K = 20: LDA's top topic, average token of small decoders over all nulls",
          _SOURCE, "0.629 of pretrained models (not run)", "newsgroup_topics", _of(_average), full=True),
    Claim("topics-newsgroups-last", "K = 20: the average token says more than the last (accuracy)", _SOURCE,
          "0.107 (0.629 - 0.522)", "newsgroup_topics", _over("last"), full=True),
    Claim("topics-newsgroups-untrained", "K = 20: a trained decoder over an untrained one (accuracy)", _SOURCE,
          "0.356 (0.629 - 0.273)", "newsgroup_topics", _over("untrained, average"), full=True),
    Claim("topics-newsgroups-depth", "decodability grows with depth (accuracy, last layer less embedding)", _SOURCE,
          "grows (Llama-2, not run)", "newsgroup_topics", _of(_depth), full=True),
    Claim("topics-newsgroups-perplexity", "loss falls where the topic can be read (nats, document effects taken out)",
          _SOURCE, "falls, no number", "newsgroup_topics", _of(_link), full=True),
)  # fmt: skip
