"""Claims on analogies as they emerge: on a text against the closed form, and the moment on made words."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _text(full: bool) -> Any:
    from ..studies.words.analogy_emergence import analogy_emergence

    return analogy_emergence("normal", seeds=3)


def _moment(full: bool) -> Any:
    from ..studies.words.analogy_moment import analogy_moment

    return analogy_moment("normal", seeds=5) if full else analogy_moment("tiny", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"analogy-emergence": _text, "analogy-moment": _moment}


def _overlap(result: Any) -> Evidence:
    return Evidence(result.overlap.values, result.overlap.null, "1", least=0.99)


def _rises(result: Any) -> Evidence:
    off, wrong = (np.abs(result.ratios(start) - 1).max(axis=1) for start in ("half_rises", "shuffled"))
    return Evidence(off, wrong, "0", most=0.1)


def _ladder(result: Any) -> Evidence:
    """The null is modes in random order."""
    null = result.misses(result.mixed_arrival).mean()
    return Evidence(np.array([result.misses(result.arrival).mean()]), np.array([null]), "0", most=float(null))


def _moments(result: Any) -> Evidence:
    found = result.of("even")
    return Evidence(np.abs(found.ratio - 1), found.last / found.moment - 1, "0", most=0.1)


CLAIMS = (
    Claim("emergence-space", "word vectors trained on a text end in the leading eigenvectors of M* (top-5 overlap)",
          "karkada2025closed", "0.998", "analogy-emergence", _overlap, full=True),
    Claim("emergence-half-rises", "its first 10 modes rise when the closed form says (largest |ratio - 1|)",
          "karkada2025closed", "shown, no number", "analogy-emergence", _rises, full=True),
    Claim("emergence-families", "a family is solved when the mode arrives that eigenvectors name (mean |ratio - 1|)",
          "jaxembed", "not published", "analogy-emergence", _ladder, full=True),
    Claim("analogy-moment", "modes and start tell when made words solve analogies (|ratio - 1|; null: last half-rise)",
          "jaxembed", "not published", "analogy-moment", _moments),
)  # fmt: skip
