"""Claims on word models of one corpus: the order of their scores, and what decides them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..studies.words.word_cells import NULLS, PMI_LARGE, PMI_SMALL, PPMI, QWEM, SKIP_GRAM, TARGET
from ..studies.words.word_scores import ANALOGIES
from .evidence import Claim, Evidence


def _word_models(full: bool) -> Any:
    """Quick: Python's documentation. Full: a million words of The Pile, on that documentation too without it."""
    import os

    from ..studies.words.word_models import word_models

    if full and "JAXEMBED_DATA" in os.environ:
        return word_models("normal", words=(1_000_000,))
    return word_models("tiny")


STUDIES: dict[str, Callable[[bool], Any]] = {"word_models": _word_models}


def _above_null(result: Any) -> Evidence:
    """Every measure of the largest text, less the upper end of the best null's interval."""
    part = result.found[-1]
    ends = [max(part.score(measure, null).interval[1] for null in NULLS) for measure in result.measures]
    low = [part.score(measure, TARGET).interval[0] for measure in result.measures]
    return Evidence(np.array([min(np.subtract(low, ends))]), None, "1", least=0.0, varied="items")


def _gap(better: str, worse: str, **limits: float) -> Callable[[Any], Evidence]:
    """Difference in analogies won, one number for each training of the better one."""

    def measure(result: Any) -> Evidence:
        scores = [result.found[-1].score(ANALOGIES, model).seeds for model in (better, worse)]
        return Evidence(scores[0] - scores[1].mean(), None, "none", varied="init and data seeds", **limits)

    return measure


_SOURCE = "karkada2025closed"

CLAIMS = (
    Claim("word-models-null", "vectors from counts score above random and shuffled ones (distance of intervals)",
          _SOURCE, "no null", "word_models", _above_null),
    Claim("word-models-trained", "word2vec solves at least as many analogies as svd(M*) (difference)", _SOURCE,
          "0.017 at 2 G words", "word_models", _gap(SKIP_GRAM, TARGET, least=0.0), full=True),
    Claim("word-models-quadratic", "QWEM trained solves as many as svd(M*), its closed form (difference)", _SOURCE,
          "-0.012 at 2 G words", "word_models", _gap(QWEM, TARGET, least=-0.02, most=0.02), full=True),
    Claim("word-models-ppmi", "svd(M*) solves more than svd(PPMI) (difference)", _SOURCE,
          "0.157 at 2 G words", "word_models", _gap(TARGET, PPMI, least=0.0), full=True),
    Claim("word-models-pmi", "svd(PPMI) solves more than svd(PMI), smoothing 1e-25 (difference)", _SOURCE,
          "0.422 at 2 G words", "word_models", _gap(PPMI, PMI_SMALL, least=0.0), full=True),
    Claim("word-models-smoothing", "a smoothing of 1e-2 helps svd(PMI) over 1e-25 (difference)", "jaxembed",
          "not stated", "word_models", _gap(PMI_LARGE, PMI_SMALL, least=0.0), full=True),
)  # fmt: skip
