"""Claims on soft-label next-token prediction: concepts in steps at 1 / sigma, contexts of one support together."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _study(full: bool) -> Any:
    from ..studies.small.soft_label import soft_label

    return soft_label("normal" if full else "tiny", seeds=5 if full else 3)


STUDIES: dict[str, Callable[[bool], Any]] = {"soft_label": _study}


def _share(result: Any) -> Evidence:
    return Evidence(np.array([result.share_error]), None, "0", most=1e-10)


def _step(result: Any) -> Evidence:
    """The longest plateau; the null is the shortest."""
    far = [np.array([np.abs(found - 1).max()]) for found in result.steps.values()]
    return Evidence(far[-1], far[0], "0", most=0.1)


def _order(result: Any) -> Evidence:
    return Evidence(result.order("squared error"), None, "none", least=1.0)


def _collapse(result: Any) -> Evidence:
    """Of the way from the labels' own cosine to one direction; the null is that way for contexts of other supports."""
    null = (result.other["cross-entropy"][:, -1] - result.label_cosine) / (1 - result.label_cosine)
    return Evidence(result.closed_gap(result.setting.decays[-1]), null, "1", least=0.5)


_SUPPORT, _STEPS, _NO_NUMBER = "zhao2024implicit", "zhao2025geometry", "theory, no number"

CLAIMS = (
    Claim("soft-label-closed-form", "squared error on the centred support: a_k in closed form (error)", _STEPS, "exact",
          "soft_label", _share),
    Claim("soft-label-steps", "step times go to 1 / sigma as the start vanishes (relative distance; null: large start)",
          _STEPS, "1 / sigma", "soft_label", _step),
    Claim("soft-label-broad-first", "squared error: broad concepts come first (smallest half-time ratio)", _STEPS,
          _NO_NUMBER, "soft_label", _order),
    Claim("soft-label-collapse", "cross-entropy: contexts of one support collapse (share of the way from labels alone)",
          _SUPPORT, _NO_NUMBER, "soft_label", _collapse),
)  # fmt: skip
