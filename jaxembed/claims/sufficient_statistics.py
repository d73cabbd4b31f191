"""Claims on exchangeable items: statistics and moments in embeddings, parsimony, and what is not memorised."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _statistics(full: bool) -> Any:
    from ..studies.sufficient_statistics import sufficient_statistics

    return sufficient_statistics("quick" if full else "tiny", seeds=3)


def _memorisation(full: bool) -> Any:
    from ..studies.memorisation import memorisation

    return memorisation("quick", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"sufficient_statistics": _statistics, "memorisation": _memorisation}

GAUSS, SQUARED, COIN, WAITING = "gaussian-gamma", "gaussian-gamma-squared", "beta-bernoulli", "gamma-exponential"


def _read(name: str, target: str, metric: str, least: float, part: str = "own prior") -> Callable[[Any], Evidence]:
    def evidence(result: Any) -> Evidence:
        decoded = result.settings[name].parts()[part]
        return Evidence(decoded.values(target, metric), decoded.null(target, metric)[0], "1", least=least)

    return evidence


def _share(name: str) -> Callable[[Any], Evidence]:
    def evidence(result: Any) -> Evidence:
        share = result.settings[name].own.share
        return Evidence(share, np.zeros_like(share), "1", least=0.7)

    return evidence


def _loss(result: Any) -> Evidence:
    decoded = result.settings[COIN].own.decoded
    untrained = np.asarray(decoded.losses["untrained"]) - np.asarray(decoded.losses["floor"])
    return Evidence(decoded.excess, untrained, "0", most=0.002)


def _explained(result: Any) -> Evidence:
    """The null keeps n and takes the statistics of another sequence."""
    explained = result.settings[GAUSS].explained
    return Evidence(explained["statistics and n"], explained["statistics of another sequence, and n"], "1", least=0.5)


def _last(result: Any) -> Evidence:
    return Evidence(result.items(GAUSS)[:, -1], None, "1", least=0.95)


def _earlier(result: Any) -> Evidence:
    """The largest of nine; the null is the same before training."""
    after, before = (result.items(GAUSS, trained)[:, :-1].max(axis=1) for trained in (True, False))
    return Evidence(after, before, "0.55", most=0.55)


def _added(result: Any) -> Evidence:
    return Evidence(result.earlier(GAUSS) - result.earlier(GAUSS, trained=False), None, "0", most=0.05)


_PAPER, _FIGURE = "zhang2024embed", "figure only"
_SHIFT = "shifted prior, probe refitted"

CLAIMS = (
    Claim("statistics-mean", "Gaussian items of unknown mean and spread: sample mean by a line (R2; sequences of 24)",
          _PAPER, _FIGURE, "sufficient_statistics", _read(GAUSS, "statistics", "R2 mean", 0.9)),
    Claim("statistics-mean-shifted", "the same under a shifted prior, probe refitted (R2)", _PAPER, _FIGURE,
          "sufficient_statistics", _read(GAUSS, "statistics", "R2 mean", 0.95, _SHIFT), full=True),
    Claim("statistics-sd", "the sample sd where training is by likelihood (R2; best null)", _PAPER, _FIGURE,
          "sufficient_statistics", _read(GAUSS, "statistics", "R2 sd", 0.9), full=True),
    Claim("statistics-moments", "four posterior moments of Gaussian items (mean R2)", _PAPER, _FIGURE,
          "sufficient_statistics", _read(GAUSS, "moments", "R2", 0.9), full=True),
    Claim("statistics-coin", "coin of unknown bias: share of ones (R2; untrained has it too)", _PAPER, _FIGURE,
          "sufficient_statistics", _read(COIN, "statistics", "R2", 0.95), full=True),
    Claim("statistics-coin-loss", "coin of unknown bias: loss above exact inference, nats", _PAPER, "no number",
          "sufficient_statistics", _loss, full=True),
    Claim("statistics-exponential", "exponential items: sample mean (rank correlation)", _PAPER, _FIGURE,
          "sufficient_statistics", _read(WAITING, "log_statistics", "rank correlation", 0.95), full=True),
    Claim("statistics-gap", "share of the gap from the best null to exact, mean and sd of Gaussian items", "jaxembed",
          "not published", "sufficient_statistics", _share(GAUSS), full=True),
    Claim("statistics-parsimony", "embedding variance explained by statistics and n (null: another sequence's)", _PAPER,
          "well over 50 %", "sufficient_statistics", _explained, full=True),
    Claim("memorisation-last", "the tenth item from its own embedding (R2)", _PAPER, "recovered", "memorisation", _last,
          full=True),
    Claim("memorisation-earlier", "items 1 to 9 from that embedding (largest R2; sufficiency allows 0.556)", _PAPER,
          "not recovered", "memorisation", _earlier, full=True),
    Claim("memorisation-added", "what training adds to that (mean over items 1 to 9, R2)", "jaxembed", "not published",
          "memorisation", _added, full=True),
)  # fmt: skip
