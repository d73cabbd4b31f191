"""Claims on hidden states: embeddings hold the exact belief about the next state, and the Kalman filter's mean."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _chains(full: bool) -> Any:
    from ..studies.sequences.hidden_states import hidden_states

    return hidden_states("quick" if full else "tiny", seeds=3)


def _vectors(full: bool) -> Any:
    from ..studies.sequences.kalman import kalman

    return kalman("quick" if full else "tiny", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"hidden_states": _chains, "kalman": _vectors}


def _evidence(values: Any, null: Any, ceiling: str, **bounds: float) -> Evidence:
    return Evidence(values, null, ceiling, **bounds, varied="seeds (network, world, draws)")


def _least(result: Any) -> float:
    """The tiny study is asked for the path, not for the figure."""
    return result.setting.least


def _belief(result: Any) -> Evidence:
    """L2 over that of the last token's belief, in the same world."""
    from ..studies.sequences.hidden_states import MAIN

    cells = result.of(result.setting.emissions[0])
    null = cells.values(MAIN, "L2", "last item")
    return _evidence(cells.values(MAIN, "L2") / null, np.ones_like(null), "0", most=1.0)


def _share(result: Any) -> Evidence:
    share = result.share(result.setting.emissions[0], "KL")
    return _evidence(share, np.zeros_like(share), "1", least=_least(result))


def _matched(result: Any) -> Evidence:
    """The best mismatched cell's KL over that of the exact belief; the same of the untrained network."""
    emission = result.setting.emissions[0]
    return _evidence(result.matched(emission), result.matched(emission, "untrained"), "none", least=1.0)


def _viterbi(result: Any) -> Evidence:
    """Of the gap between the best null and what can be known before the token."""
    share = result.share_of_viterbi(result.setting.emissions[0])
    return _evidence(share, np.zeros_like(share), "1", least=_least(result))


def _kalman(result: Any) -> Evidence:
    of = result.results["likelihood"].decoded
    null, _ = of.null("state_mean", "R2")
    return _evidence(of.values("state_mean", "R2"), null, "1", least=result.least)


_SOURCE = "zhang2024embed"

CLAIMS = (
    Claim("hidden-markov-belief", "HMM: L2 of the belief about the next state, read off the embedding before its "
          "token, over that of the last token alone", _SOURCE, "accuracy 90.8 %, last token 88.5 %", "hidden_states",
          _belief),
    Claim("hidden-markov-gap", "HMM: share of the gap between the best null and the exact belief closed, KL", _SOURCE,
          "none", "hidden_states", _share),
    Claim("hidden-markov-matched", "HMM: KL of the best mismatched pair of embedding and target over the matched one's",
          _SOURCE, "matched pair best", "hidden_states", _matched),
    Claim("hidden-markov-viterbi", "HMM: the Viterbi state before its token is read nearly as well as it can be known "
          "(share of the gap, accuracy)", _SOURCE, "59.8 %", "hidden_states", _viterbi),
    Claim("kalman-mean", "linear-Gaussian states: R2 of the Kalman mean (null: best of four)", "jaxembed", "none",
          "kalman", _kalman),
)  # fmt: skip
