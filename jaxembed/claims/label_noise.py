"""Claims on label noise: early slopes from collision counts."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _noise(full: bool) -> Any:
    from ..studies.pairs.label_noise import label_noise

    return label_noise("normal" if full else "tiny", seeds=5)


STUDIES: dict[str, Callable[[bool], Any]] = {"label noise": _noise}


def _steeper(result: Any) -> Evidence:
    """The smallest ratio over noise levels; 1 is no difference."""
    ratios = np.array(list(result.ratios.values()))
    return Evidence(ratios.min(axis=0), np.ones(ratios.shape[1]), "1 / noise", least=1.0)


def _zero_divisors(result: Any) -> Evidence:
    """Slope of the composite modulus over the larger of the two primes'; the null: one prime over the other."""
    below, composite, above = (cell.measured for cell in result.speeds)
    predicted = [cell.predicted for cell in result.speeds]
    ceiling = f"{predicted[1] / max(predicted[0], predicted[2]):.2f} predicted"
    return Evidence(composite / np.maximum(below, above), below / above, ceiling, least=1.0)


def _correlation(result: Any) -> Evidence:
    return Evidence(result.correlation, result.null_correlation, "1", least=0.95)


def _error(result: Any) -> Evidence:
    """Relative error of every predicted slope, mean over cells, by seed; the null: parts dealt at random."""
    cells = result.cells
    errors = np.mean([np.abs(cell.measured / cell.predicted - 1) for cell in cells], axis=0)
    null = np.mean([np.abs(cell.measured / cell.null - 1) for cell in cells if cell.part != "all"], axis=0)
    return Evidence(errors, null, "0", most=0.25)


_SOURCE = "wang2026modular"

CLAIMS = (
    Claim("noise-steeper", "corrupted examples fall faster at first than clean ones, noise 0.1..0.9 (least ratio)",
          _SOURCE, "steeper, no number", "label noise", _steeper),
    Claim("noise-zero-divisors", "multiplication modulo 60 falls faster than modulo 59 and 61 (slope ratio; quick: 12)",
          _SOURCE, "faster, no number", "label noise", _zero_divisors),
    Claim("noise-correlation", "early slopes follow from collision counts (Pearson, predicted with measured)", _SOURCE,
          "theory, no number", "label noise", _correlation),
    Claim("noise-slope-error", "early slopes follow from collision counts (relative error)", _SOURCE,
          "theory, no number", "label noise", _error),
)  # fmt: skip
