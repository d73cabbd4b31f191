"""Claims on the full table of modular addition: initial weights, phases and the leading term of the flow."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _modular_table(full: bool) -> Any:
    from ..studies.pairs.modular_table import modular_table

    return modular_table("normal", seeds=5)


STUDIES: dict[str, Callable[[bool], Any]] = {"modular_table": _modular_table}


def _named(result: Any) -> Evidence:
    end = result.judged
    return Evidence(result.named(end), result.shuffled(end), f"1, chance 1/{result.frequencies}", least=0.9)


def _developed(result: Any) -> Evidence:
    values = result.developed(result.judged).mean(axis=1)
    return Evidence(values, result.developed(0).mean(axis=1), "1", least=0.35, most=0.65)


def _phase(result: Any) -> Evidence:
    phase = result.phase_error()
    return Evidence(phase[:, -1], phase[:, 0], "0", most=0.1)


def _cosine_while_escaping(result: Any) -> Evidence:
    cosine = np.where(result.escaping(), result.cosine, np.nan)
    return Evidence(np.nanmedian(cosine, axis=1), None, "1", least=0.9)


def _cosine_throughout(result: Any) -> Evidence:
    return Evidence(result.cosine.min(axis=1), None, "1", least=0.9)


_PAPER, _STUDY = "wang2026modular", "modular_table"

CLAIMS = (
    Claim("modular-frequency-named", "the truncated flow names a neuron's final frequency from its initial weights",
          _PAPER, "0.93", _STUDY, _named, full=True),
    Claim("modular-neurons-developed", "share of neurons that develop a dominant frequency (90 % of their power)",
          _PAPER, "about half", _STUDY, _developed, full=True),
    Claim("modular-phase-locks", "phases lock: median |arg u + arg v - arg w| at the end", _PAPER, "-> 0", _STUDY,
          _phase, full=True),
    Claim("modular-leading-term-early", "leading term against true gradient until the loss is down a tenth (cosine)",
          _PAPER, ">= 0.9", _STUDY, _cosine_while_escaping, full=True),
    Claim("modular-leading-term", "leading term against true gradient along all of training (least cosine)", _PAPER,
          ">= 0.9", _STUDY, _cosine_throughout, full=True),
)  # fmt: skip
"""Over 5 seeds; about a minute on one core."""
