"""Claims on documents of topics: the mixture is embedded, of the network's own topics only, and amid grammar too."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _topics(full: bool) -> Any:
    from ..studies.topics import topics

    return topics("quick" if full else "tiny")


def _cross_probing(full: bool) -> Any:
    from ..studies.cross_probing import cross_probing

    return cross_probing("quick", 5) if full else cross_probing("tiny", 3)


def _semantic_share(full: bool) -> Any:
    from ..studies.semantic_share import semantic_share

    return semantic_share("quick" if full else "tiny")


def _ceiling(full: bool) -> Any:
    from ..processes import LatentDirichlet
    from ..studies.topics import ceiling

    return ceiling(LatentDirichlet(sweeps=200 if full else 100), 5 if full else 3, 1000 if full else 250)


STUDIES: dict[str, Callable[[bool], Any]] = {
    "topic_ceiling": _ceiling,
    "topics": _topics,
    "cross_probing": _cross_probing,
    "semantic_share": _semantic_share,
}

_VARIED = "seeds (network, topics, documents)"


def _possible(result: Any) -> Evidence:
    """The null is the most frequent topic."""
    return Evidence(result["accuracy"], result["majority"], "itself", least=0.8, most=0.94, varied=_VARIED)


def _mixture(result: Any) -> Evidence:
    """At the smallest alpha; the null is a network before training, at 0 where it is the best null."""
    alpha = min(result.forward)
    share, null = result.share(alpha, "autoregressive"), result.share(alpha, "untrained")
    return Evidence(share, null, "1 (posterior mean, topics known)", least=0.7, varied=_VARIED)


def _own_topics(result: Any) -> Evidence:
    """Own accuracy minus the best of the other networks on the same documents; the null is the others' mean."""
    matrix = result.scores["own probe"]["accuracy"]
    other = np.where(np.eye(len(matrix)) > 0, np.nan, matrix)
    own, best, mean = np.diagonal(matrix), np.nanmax(other, axis=0), np.nanmean(other, axis=0)
    return Evidence(own - best, mean - best, "accuracy of exact inference", least=0.0, varied=_VARIED)


def _share(result: Any) -> Evidence:
    """At the smallest share from 0.4 on; the null is the smallest share of all."""
    above = min(share for share in result.found if share >= 0.4)
    return Evidence(result.closed(above), result.closed(min(result.found)), "1", least=0.7, varied=_VARIED)


_SOURCE, _DE_FINETTI = "zhang2024embed", "zhang2023definetti"

CLAIMS = (
    Claim("topics-possible", "what exact inference reads of 100 words of 1000, alpha 0.5 (accuracy of the top topic)",
          _DE_FINETTI, "87.0 % (topics fitted)", "topic_ceiling", _possible),
    Claim("topics-mixture", "word prediction embeds a document's mixture (share of the gap in L2, null to exact)",
          _DE_FINETTI, "82.8 % of top topics, of 87.2 %", "topics", _mixture, full=True),
    Claim("topics-cross-probing", "only of topics a network was trained on (own accuracy minus the best of others)",
          _DE_FINETTI, "figure only", "cross_probing", _own_topics, full=True),
    Claim("topics-semantic-share", "amid grammar, from a semantic share of 0.4 on (share of the gap in L2)",
          _SOURCE, "about 0.4", "semantic_share", _share, full=True),
)  # fmt: skip
