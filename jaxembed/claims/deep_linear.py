"""Claims on deep linear networks: modes in closed form, the tree's spectrum, and levels learned in stages."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _study(full: bool) -> Any:
    from ..studies.small.deep_linear import deep_linear

    return deep_linear("normal" if full else "tiny", seeds=5 if full else 3)


STUDIES: dict[str, Callable[[bool], Any]] = {"deep_linear": _study}


def _modes(depth: int) -> Callable[[Any], Evidence]:
    return lambda result: Evidence(result.mode_errors[depth], result.control_errors[depth], "0", most=1e-8)


def _crosstalk(result: Any) -> Evidence:
    return Evidence(result.crosstalk[2], None, "0", most=1e-8)


def _spectrum(result: Any) -> Evidence:
    from ..studies.small.deep_linear import PUBLISHED

    gap = np.max(np.abs(np.round(result.eigenvalues, 4) - np.array(PUBLISHED["eigenvalues"])))
    counts = np.max(np.abs(result.multiplicities - np.array(PUBLISHED["multiplicities"])))
    return Evidence(np.array([max(gap, float(counts))]), None, "0", most=1e-9)


def _covariance(result: Any) -> Evidence:
    return Evidence(np.array([result.spectrum_error]), None, "0", most=1e-12)


def _order(name: str) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        return Evidence(result.levels[name].ordered, result.levels["2 layers, no tree"].ordered, "none", least=1.0)

    return measure


def _shallow(result: Any) -> Evidence:
    return Evidence(result.levels["1 layer"].overlap, result.levels["2 layers"].overlap, "none", least=0.4)


def _stages(result: Any) -> Evidence:
    return Evidence(result.levels["2 layers"].overlap, result.levels["2 layers, no tree"].overlap, "0", most=0.2)


def _random(result: Any) -> Evidence:
    wrong = result.starts["sigmoids, one mean start"]
    errors = {name: row[1e-3] for name, row in (("right", result.starts["matrix closed form"]), ("wrong", wrong))}
    return Evidence(errors["right"], errors["wrong"], "0", most=1e-3)


_EXACT, _TREE, _NO_NUMBER = "saxe2014exact", "saxe2019mathematical", "theory, no number"
_VALUES = "3.5078, 1.4106, 0.8208, 0.36 x 1, 1, 2, 4"

CLAIMS = (
    Claim("deep-linear-modes-2", "two layers: modes follow the closed form (error; null: one layer's formula)", _EXACT,
          "exact", "deep_linear", _modes(2)),
    Claim("deep-linear-modes-3", "three layers: modes follow the closed form (error; null: two layers' formula)",
          _EXACT, "exact", "deep_linear", _modes(3), full=True),
    Claim("deep-linear-modes-5", "five layers: modes follow the closed form (error; null: four layers' formula)",
          _EXACT, "exact", "deep_linear", _modes(5), full=True),
    Claim("deep-linear-off-diagonal", "aligned modes never mix (largest entry between modes)", _EXACT, "exact",
          "deep_linear", _crosstalk),
    Claim("tree-spectrum", "tree of 3 binary levels, flip 0.1: eigenvalues and multiplicities (distance)", _TREE,
          _VALUES, "deep_linear", _spectrum),
    Claim("tree-covariance", "the tree's formula is the spectrum of its covariance (error)", _TREE, "exact",
          "deep_linear", _covariance),
    Claim("tree-levels-in-order", "two layers: levels are learned from broad to fine (smallest half-time ratio)", _TREE,
          _NO_NUMBER, "deep_linear", _order("2 layers")),
    Claim("tree-levels-in-order-3", "three layers: levels are learned from broad to fine (smallest half-time ratio)",
          _TREE, _NO_NUMBER, "deep_linear", _order("3 layers"), full=True),
    Claim("tree-levels-in-stages", "two layers: a level is learned before the next begins (overlap; null: no tree)",
          _TREE, _NO_NUMBER, "deep_linear", _stages),
    Claim("shallow-no-stages", "a shallow network learns all levels at once (overlap; null: two layers)", _TREE,
          _NO_NUMBER, "deep_linear", _shallow),
    Claim("deep-linear-random-start", "two layers, init 1e-3: closed form of a random start (error; null: one sigmoid)",
          "fukumizu1998batch", _NO_NUMBER, "deep_linear", _random),
)  # fmt: skip
