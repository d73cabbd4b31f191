"""Claims on quadratic word embeddings: closed form, its start, and where training ends."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _word_pairs(full: bool) -> Any:
    from ..studies.words.word_pairs import word_pairs_study

    return word_pairs_study("normal" if full else "tiny", seeds=10 if full else 3)


STUDIES: dict[str, Callable[[bool], Any]] = {"word-pairs": _word_pairs}


def _start(name: str, **bounds: Any) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        return Evidence(result.asked[name], result.asked["other pairs"], "0", **bounds)

    return measure


def _identity(result: Any) -> Evidence:
    return Evidence(result.identity, None, "0", most=1e-10)


def _qr_median(result: Any) -> Evidence:
    """Errors over seeds are spread over decades: the claim is on their decadic logarithm."""
    errors, null = (np.log10(result.asked[name]) for name in ("QR diagonal", "other pairs"))
    return Evidence(errors, null, "-inf", most=-4.0)


def _end(result: Any) -> Evidence:
    return Evidence(result.end[result.setting.asked_scale], np.ones(result.seeds), "0", most=1e-6)


def _half_rise(result: Any) -> Evidence:
    return Evidence(np.abs(result.half_rise[result.setting.asked_scale] - 1).max(axis=1), None, "0", most=6e-3)


_QWEM = "karkada2025closed"

CLAIMS = (
    Claim("qwem-identity", "the quadratic word2vec loss is matrix factorisation of M* (difference of both forms)",
          _QWEM, "identity", "word-pairs", _identity),
    Claim("qwem-sigmoids", "sigmoids from the QR diagonal are the flow (log10 of RMSE / sqrt(lam_1), init 1e-5)", _QWEM,
          "agreement as init -> 0, no number", "word-pairs", _qr_median),
    Claim("qwem-exact", "the flow is solved for every start (RMSE / sqrt(lam_1), init 1e-5)", "yan1994oja",
          "identity", "word-pairs", _start("exact solution", most=1e-6)),
    Claim("qwem-start", "sigmoids start from the singular values of W(0) (RMSE / sqrt(lam_1), init 1e-5)", _QWEM,
          "stated, no number", "word-pairs", _start("svd of W(0)", most=1e-4)),
    Claim("qwem-final", "W W^T ends at the rank-d truncation of M* (relative distance, init 1e-5)", _QWEM,
          "identity", "word-pairs", _end),
    Claim("qwem-half-time", "modes reach half height at ln(lam / s0^2) / lam (largest |ratio - 1|)", _QWEM,
          "tau_k, no number", "word-pairs", _half_rise),
)  # fmt: skip
"""Bounds are the figure script's. `qwem-start` is the start the paper states, `qwem-sigmoids` the one found here."""
