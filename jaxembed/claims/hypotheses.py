"""Claims on discrete hypotheses: what a rectangle's points allow, and what a network that predicts them carries."""

from collections.abc import Callable
from typing import Any

from .evidence import Claim, Evidence


def _recovered(full: bool) -> Any:
    from ..studies.sequences.hypotheses import recovered

    return recovered(5 if full else 3, 4000 if full else 1000)


def _hypotheses(full: bool) -> Any:
    from ..studies.sequences.hypotheses import hypotheses

    return hypotheses("quick" if full else "tiny")


def _map(full: bool) -> Any:
    from ..studies.sequences.hypothesis_map import hypothesis_map

    return hypothesis_map("quick" if full else "tiny")


STUDIES: dict[str, Callable[[bool], Any]] = {
    "recovered_rectangles": _recovered,
    "hypotheses": _hypotheses,
    "hypothesis_map": _map,
}

_VARIED = "seeds (network and draws)"


def _possible(axis: str, points: int, least: float, most: float) -> Callable[[Any], Evidence]:
    """The likeliest rectangle is the generating one; the null is the likeliest one after a single point."""

    def measure(result: Any) -> Evidence:
        found, null = (result[axis, count] for count in (points, 1))
        return Evidence(found, null, "itself", least=least, most=most, varied="draws")

    return measure


def _share(run: str) -> Callable[[Any], Evidence]:
    """Of the gap in agreement with the posterior's argmax; a network before training is at 0, or below another null."""

    def measure(result: Any) -> Evidence:
        position = min(result.scores[run][0]["own prior"])
        untrained = result.values(run, position, "untrained network", "agreement") - result.null(run, position)
        # The smallest networks learn for seconds: of them it is asked that they lie above every null.
        least = 0.0 if result.size == "tiny" else 0.7
        return Evidence(result.share(run, position), untrained, "1 (exact posterior)", least=least, varied=_VARIED)

    return measure


def _position(result: Any) -> Evidence:
    ceiling = "1 (the centre of the likeliest rectangle)"
    least, null = 0.75 if result.size == "tiny" else 0.9, result.position("untrained network")
    return Evidence(result.position("model"), null, ceiling, least=least, varied=_VARIED)


_SOURCE, _NO_NUMBER = "zhang2024embed", "no number"

CLAIMS = (
    Claim("rectangles-possible-easy", "20 points tell the rectangle of an even grid (exact posterior)", _SOURCE,
          "0.979 by exact inference", "recovered_rectangles", _possible("easy", 20, 0.965, 0.993)),
    Claim("rectangles-possible-hard", "20 points tell the rectangle of an uneven grid less often", _SOURCE,
          "0.844 by exact inference", "recovered_rectangles", _possible("hard", 20, 0.81, 0.88)),
    Claim("rectangles-posterior", "trained to predict points: share of the gap in agreement with the posterior",
          _SOURCE, "agreement 0.873 after 20 points", "hypotheses", _share("rectangles")),
    Claim("number-game-posterior", "trained to predict numbers: share of the gap, of rules and intervals",
          "tenenbaum1999bayesian", _NO_NUMBER, "hypotheses", _share("number-game")),
    Claim("rectangles-map", "two principal components order rectangles by position (R2)", _SOURCE, _NO_NUMBER,
          "hypothesis_map", _position),
)  # fmt: skip
