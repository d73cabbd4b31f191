"""Claims on the order in which structure arrives from a random start."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _blank_slate(full: bool) -> Any:
    from ..studies.language.blank_slate import blank_slate

    return blank_slate("normal" if full and os.environ.get("JAXEMBED_DATA") else "tiny")


STUDIES: dict[str, Callable[[bool], Any]] = {"blank_slate": _blank_slate}


def _earlier(result: Any) -> Evidence:
    """ln of the ratio of both arrivals, per seed."""
    times = [result.levels[name].arrival.times for name in ("unigram", "bigram")]
    return Evidence(np.log(times[1] / times[0]), None, "none", least=0.0)


def _modes(place: int) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        ratios = result.flows[place].modes.ratios()
        return Evidence(
            np.array([np.median(np.abs(ratios[np.isfinite(ratios)] - 1))]), None, "0", most=(0.3, 0.1)[place]
        )

    return measure


def _shuffled(result: Any) -> Evidence:
    run = result.flows[0]
    values, null = (each["bigram"].scores[:, -1] for each in (run.levels, run.control))
    return Evidence(values, null, "none known", least=0.05)


CLAIMS = (
    Claim("arrival-unigram-first", "a decoder learns unigrams before bigrams: ln of the ratio of their arrivals",
          "jaxembed", "not stated", "blank_slate", _earlier),
    Claim("arrival-bigram-modes", "bigram modes arrive at ln(H / u0) / 2S (median |observed / predicted - 1|)",
          "jaxembed", "not stated", "blank_slate", _modes(0)),
    Claim("arrival-vector-modes", "modes of word vectors arrive at ln(lam / s0^2) / lam (median |ratio - 1|)",
          "karkada2025closed", "tau_k, no number", "blank_slate", _modes(1)),
    Claim("arrival-shuffled", "bigrams are learned from the order of words (nats gained; null: shuffled text)",
          "jaxembed", "not stated", "blank_slate", _shuffled),
)  # fmt: skip
