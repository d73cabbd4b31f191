"""Claims on the task vectors of analogy families."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _study(full: bool) -> Any:
    from ..studies.words.task_vectors import task_vectors_study

    return task_vectors_study("normal" if full else "tiny")


STUDIES: dict[str, Callable[[bool], Any]] = {"task vectors": _study}


def _overlap(result: Any) -> Evidence:
    shuffled = result.column("overlap_shuffled")
    return Evidence(result.column("overlap"), shuffled, "1", least=0.9, varied="families")


def _consistency(result: Any) -> Evidence:
    """Above the shuffles of the same family, which keep its mean offset."""
    null = np.array([family.shuffled[0] for family in result.families])
    return Evidence(result.column("consistency") - null, np.zeros_like(null), "1", least=0.0, varied="families")


def _one_peak(result: Any) -> Evidence:
    null = result.column("one_peak_shuffled")
    return Evidence(result.column("one_peak"), null, "1", least=0.95, varied="families")


def _order(result: Any) -> Evidence:
    return Evidence(np.array([result.order("largest SNR")[1]]), None, "1", least=0.0, varied="families")


CLAIMS = (
    Claim("task-vectors-overlap", "the offsets of a family have one large eigenvalue, along their mean (cosine)",
          "karkada2025closed", "> 0.9", "task vectors", _overlap),
    Claim("task-vectors-consistency", "offsets agree more than those of shuffled partners (mean cosine less theirs)",
          "jaxembed", "not stated", "task vectors", _consistency),
    Claim("task-vectors-one-peak", "their signal-to-noise rises, then falls with the width (R2 of a single peak)",
          "karkada2025closed", "no number", "task vectors", _one_peak, full=True),
    Claim("task-vectors-order", "its peak orders families by accuracy (lower end of Spearman's 95 % interval)",
          "karkada2025closed", "no number", "task vectors", _order, full=True),
)  # fmt: skip
