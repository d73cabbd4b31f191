"""Claims on exchangeable items: statistics and moments in embeddings, parsimony, and what is not memorised.

Untrained networks meet most published figures, so what is asked is the share of the gap from the best null to exact
inference that training closes; the scores themselves stand beside it, under "ceiling".
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..probes import gap_closed
from .evidence import Claim, Evidence


def _statistics(full: bool) -> Any:
    from ..studies.sequences.sufficient_statistics import sufficient_statistics

    return sufficient_statistics("quick" if full else "tiny", seeds=3)


def _memorisation(full: bool) -> Any:
    from ..studies.sequences.memorisation import memorisation

    return memorisation("quick", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"sufficient_statistics": _statistics, "memorisation": _memorisation}

GAUSS, SQUARED, COIN, WAITING = "gaussian-gamma", "gaussian-gamma-squared", "beta-bernoulli", "gamma-exponential"
ASKED = 0.7
"""Of the gap; of the tiny study, which trains for seconds, no more than to lie above every null."""


def _evidence(values: np.ndarray, null: np.ndarray, ceiling: str, **bounds: float) -> Evidence:
    return Evidence(values, null, ceiling, **bounds, varied="seeds (network and draws)")


def _share(name: str, target: str, metric: str) -> Callable[[Any], Evidence]:
    """Of the gap from the best null to the ceiling; the untrained network is at 0, or below where a null is better."""

    def evidence(result: Any) -> Evidence:
        decoded = result.settings[name].own.decoded
        after, before, ceiling = (
            decoded.values(target, metric, source) for source in ("model", "untrained", "ceiling")
        )
        untrained = gap_closed(before, decoded.null(target, metric)[0], ceiling)
        least = 0.0 if result.size == "tiny" else ASKED
        return _evidence(decoded.share(target, metric), untrained, _scores(metric, after, before), least=least)

    return evidence


def _shifted(result: Any) -> Evidence:
    """An untrained network falls short of this one, so the score itself is asked."""
    decoded = result.settings[GAUSS].shifted
    after, before = (decoded.values("statistics", "R2 mean", source) for source in ("model", "untrained"))
    return _evidence(after, before, "1", least=0.95)


def _loss(result: Any) -> Evidence:
    decoded = result.settings[COIN].own.decoded
    untrained = np.asarray(decoded.losses["untrained"]) - np.asarray(decoded.losses["floor"])
    return _evidence(decoded.excess, untrained, "0", most=0.002)


def _explained(result: Any) -> Evidence:
    """Beyond what is explained of the network before training, which is more than half already."""
    from ..studies.sequences.parsimony import COUNT, STATISTICS, UNTRAINED

    explained = result.settings[GAUSS].explained
    after, before = explained[STATISTICS], explained[UNTRAINED]
    text = f"{_scores('R2', after, before, 1 - before.mean())}, n alone {explained[COUNT].mean():.3f}"
    return _evidence(after - before, np.zeros_like(before), text, least=0.0)


def _last(result: Any) -> Evidence:
    after, before = (result.items(GAUSS, trained)[:, -1] for trained in (True, False))
    share = gap_closed(after, before, 1.0)
    return _evidence(share, np.zeros_like(share), _scores("R2", after, before), least=ASKED)


def _earlier(result: Any) -> Evidence:
    """The largest of nine."""
    after, before = (result.items(GAUSS, trained)[:, :-1].max(axis=1) for trained in (True, False))
    return _evidence(after, before, "0.556 (mean and last item)", most=0.55)


def _added(result: Any) -> Evidence:
    after, before = (result.earlier(GAUSS, trained) for trained in (True, False))
    return _evidence(after - before, np.zeros_like(before), _scores("R2", after, before, 0), most=0.05)


def _scores(metric: str, after: np.ndarray, before: np.ndarray, ceiling: float = 1) -> str:
    """The ceiling of what is claimed, and the scores that it is made of."""
    return f"{ceiling:.3g} ({metric}: trained {after.mean():.4f}, untrained {before.mean():.4f})"


_PAPER, _FIGURE, _STUDY = "zhang2024embed", "figure only", "sufficient_statistics"

CLAIMS = (
    Claim("statistics-mean", "Gaussian items of unknown mean and spread: sample mean by a line (share of the gap in "
          "R2; sequences of 24, with --full of 128)", _PAPER, _FIGURE, _STUDY, _share(GAUSS, "statistics", "R2 mean")),
    Claim("statistics-mean-shifted", "the same under a shifted prior, probe refitted (R2)", _PAPER, _FIGURE, _STUDY,
          _shifted, full=True),
    Claim("statistics-sd", "the sample sd where training is by likelihood (share of the gap in R2)", _PAPER, _FIGURE,
          _STUDY, _share(GAUSS, "statistics", "R2 sd"), full=True),
    Claim("statistics-moments", "four posterior moments of Gaussian items (share of the gap in R2)", _PAPER, _FIGURE,
          _STUDY, _share(GAUSS, "moments", "R2"), full=True),
    Claim("statistics-coin", "coin of unknown bias: share of ones (share of the gap in R2)", _PAPER, _FIGURE, _STUDY,
          _share(COIN, "statistics", "R2"), full=True),
    Claim("statistics-coin-loss", "coin of unknown bias: loss above exact inference, nats", _PAPER, "no number", _STUDY,
          _loss, full=True),
    Claim("statistics-exponential", "exponential items: sample mean (share of the gap in rank correlation)", _PAPER,
          _FIGURE, _STUDY, _share(WAITING, "log_statistics", "rank correlation"), full=True),
    Claim("statistics-gap", "mean and sd of Gaussian items together (share of the gap in R2)", "jaxembed",
          "not published", _STUDY, _share(GAUSS, "statistics", "R2"), full=True),
    Claim("statistics-parsimony", "statistics and n explain more of the trained embeddings than of untrained ones (R2)",
          _PAPER, "well over 50 % explained", _STUDY, _explained, full=True),
    Claim("memorisation-last", "the tenth item from its own embedding (share of the gap in R2)", _PAPER, "recovered",
          "memorisation", _last, full=True),
    Claim("memorisation-earlier", "items 1 to 9 from that embedding (largest R2; sufficiency allows 0.556)", _PAPER,
          "not recovered", "memorisation", _earlier, full=True),
    Claim("memorisation-added", "what training adds to that (mean over items 1 to 9, R2)", "jaxembed", "not published",
          "memorisation", _added, full=True),
)  # fmt: skip
