"""Claims on weight decay and noisy labels: four regimes of modular addition."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _weight_decay(full: bool) -> Any:
    from ..studies.pairs.weight_decay import weight_decay

    return weight_decay("normal", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"weight_decay": _weight_decay}


def _final(decay: float, part: str, **bounds: Any) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        seeds = len(result.lucky)
        return Evidence(result.final(decay, part), np.full(seeds, result.chance), "1", **bounds)

    return measure


def _dropped(decay: float) -> Callable[[Any], Evidence]:
    """Noise accuracy beside that of a model which is right everywhere."""

    def measure(result: Any) -> Evidence:
        return Evidence(result.final(decay, "noise"), result.lucky, "0", most=0.5)

    return measure


def _norm_left(decay: float) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        norms, free = result.norms[decay], result.norms[0.0]
        return Evidence(norms[:, -1] / norms[:, 0], free[:, -1] / free[:, 0], "0", most=0.01)

    return measure


def _foreseen(result: Any) -> Evidence:
    """Share of decays whose collapse or survival the escape rate foretells; the null foretells survival always."""
    decays = list(result.accuracies)
    collapsed = np.array([[found == "collapse" for found in result.regimes(decay)] for decay in decays])
    above = np.array(decays)[:, None] > result.escape[None, :]
    return Evidence(np.mean(above == collapsed, axis=0), np.mean(~collapsed, axis=0), "1", least=1.0)


_PAPER, _STUDY = "wang2026modular", "weight_decay"
_AT = "regime at P = 113"

CLAIMS = (
    Claim("decay-none-memorises", "no decay: every training label is fitted (accuracy on redrawn labels)", _PAPER, _AT,
          _STUDY, _final(0.0, "noise", least=0.95), full=True),
    Claim("decay-none-test", "no decay: nothing generalises (test accuracy)", _PAPER, _AT, _STUDY,
          _final(0.0, "test", most=0.1), full=True),
    Claim("decay-small-fits", "decay 1e-4: redrawn labels are fitted as well (accuracy on them)", _PAPER, _AT, _STUDY,
          _final(1e-4, "noise", least=0.95), full=True),
    Claim("decay-small-generalises", "decay 1e-4: and it generalises (test accuracy)", _PAPER, _AT, _STUDY,
          _final(1e-4, "test", least=0.5), full=True),
    Claim("decay-drops-noise", "decay 1e-3 (published 5e-4): redrawn labels are dropped (accuracy on them)", _PAPER,
          _AT, _STUDY, _dropped(1e-3), full=True),
    Claim("decay-drops-noise-test", "decay 1e-3 (published 5e-4): and it generalises (test accuracy)", _PAPER, _AT,
          _STUDY, _final(1e-3, "test", least=0.5), full=True),
    Claim("decay-large-collapses", "decay 2e-3 (published 1e-3): collapse (share left of the norm)", _PAPER, _AT,
          _STUDY, _norm_left(2e-3), full=True),
    Claim("decay-collapse-foreseen", "collapse where decay exceeds c1 S1, known from data (share of decays)", _PAPER,
          "ours: 6.5e-4 at P = 113, where 5e-4 learns and 1e-3 collapses", _STUDY, _foreseen, full=True),
)  # fmt: skip
"""At P = 59, width 512, where the regimes sit at other decays than at P = 113; about 15 minutes on one core."""
