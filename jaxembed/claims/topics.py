"""Claims on documents of topics: the mixture is embedded, of the network's own topics only, and amid grammar too."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _topics(full: bool) -> Any:
    from ..studies.sequences.topics import topics

    return topics("quick" if full else "tiny")


def _cross_probing(full: bool) -> Any:
    from ..studies.sequences.cross_probing import cross_probing

    return cross_probing("quick", 5) if full else cross_probing("tiny", 3)


def _semantic_share(full: bool) -> Any:
    from ..studies.sequences.semantic_share import semantic_share

    return semantic_share("quick" if full else "tiny")


def _ceiling(full: bool) -> Any:
    from ..processes import LatentDirichlet
    from ..studies.sequences.topics import ceiling

    return ceiling(LatentDirichlet(sweeps=200 if full else 100), 10, 500 if full else 100)


STUDIES: dict[str, Callable[[bool], Any]] = {
    "topic_ceiling": _ceiling,
    "topics": _topics,
    "cross_probing": _cross_probing,
    "semantic_share": _semantic_share,
}

_VARIED = "seeds (network, topics, documents)"


def _possible(result: Any) -> Evidence:
    """The null is the most frequent topic. Bounds keep out other alphas, so that many topic models are needed."""
    return Evidence(result["accuracy"], result["majority"], "itself", least=0.84, most=0.9, varied=_VARIED)


def _mixture(result: Any) -> Evidence:
    """At the smallest alpha; the null is a network before training, at 0 where it is the best null."""
    alpha = min(result.forward)
    share, null = result.share(alpha, "autoregressive"), result.share(alpha, "untrained")
    return Evidence(share, null, "1 (posterior mean, topics known)", least=0.7, varied=_VARIED)


def _own_topics(result: Any) -> Evidence:
    """Own accuracy; the null is the best of the other networks on the same documents."""
    matrix = result.scores["own probe"]["accuracy"]
    other = np.where(np.eye(len(matrix)) > 0, np.nan, matrix)
    best = np.nanmax(other, axis=0)
    return Evidence(np.diagonal(matrix), best, "exact inference", least=float(best.max()), varied=_VARIED)


def _share(result: Any) -> Evidence:
    """At the smallest share from 0.4 on; the null is the untrained network there."""
    above = min(share for share in result.found if share >= 0.4)
    return Evidence(result.closed(above), result.closed(above, source="untrained"), "1", least=0.7, varied=_VARIED)


_SOURCE, _DE_FINETTI = "zhang2024embed", "zhang2023definetti"

CLAIMS = (
    Claim("topics-possible", "what exact inference reads of 100 words of 1000, alpha 0.5 (accuracy of the top topic)",
          _DE_FINETTI, "87.0 % (topics fitted)", "topic_ceiling", _possible),
    Claim("topics-mixture", "word prediction embeds a document's mixture (share of the gap in L2, null to exact)",
          _DE_FINETTI, "82.8 % of top topics, of 87.2 %", "topics", _mixture, full=True),
    Claim("topics-cross-probing", "only of topics a network was trained on (accuracy; null: best other network)",
          _DE_FINETTI, "figure only", "cross_probing", _own_topics, full=True),
    Claim("topics-semantic-share", "amid grammar, from a semantic share of 0.4 on (share of the gap in L2)",
          _SOURCE, "about 0.4", "semantic_share", _share, full=True),
)  # fmt: skip
