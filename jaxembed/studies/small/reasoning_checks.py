"""What the reasoning-bias study is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..check import Check
from ..measured import Measured

if TYPE_CHECKING:
    from .reasoning_bias import ReasoningBias


def checks_of(result: ReasoningBias) -> list[Check]:
    """The figures of the study's size, and the controls, which hold at every size."""
    figures = tiny(result) if result.size == "tiny" else normal(result)
    return [*figures, _control(result), _kernel(result)]


def normal(result: ReasoningBias) -> list[Check]:
    """The published comparison, on the mean over seeds."""
    target, large, small = result.setting.target, min(result.runs), result.small
    bounds = [(small, "memory", 4.2, None), (large, "memory", None, 3.0)]
    bounds += [(small, "held-out", None, 1.3), (large, "held-out", 2.5, None)]
    checks = []
    for gamma, part, least, most in bounds:
        got = result.measured(gamma, part, result.at_target(gamma))
        name = f"gamma {gamma:g}: {part} loss where the reasoning loss is {target:g}"
        checks.append(_bounded(name, got, least, most))
    half = result.at_half_fall(small)
    for name, least in (("memory cosine", 0.85), ("reasoning order", 0.9)):
        label = f"gamma {small:g}, half fall: {_LABELS[name]}"
        checks.append(_bounded(label, result.measured(small, name, half), least, None, _untrained(result, name)))
    return checks


def tiny(result: ReasoningBias) -> list[Check]:
    """At size tiny the memory loss, where the reasoning loss reaches its target, is larger from small weights."""
    large, small = min(result.runs), result.small
    memory = {gamma: result.measured(gamma, "memory", result.at_target(gamma)) for gamma in (large, small)}
    got = f"{memory[small].mean:.2f} against {memory[large].mean:.2f}"
    asked = f"larger at gamma {small:g} than at {large:g}"
    return [Check("memory loss where reasoning is learned", asked, got, memory[small].mean > memory[large].mean)]


_LABELS = {"memory cosine": "memory anchors' mean cosine", "reasoning order": "reasoning anchors' order"}


def _untrained(result: ReasoningBias, name: str) -> str:
    return f"; untrained {result.runs[result.small].values[name][:, 0].mean():.2f}"


def _bounded(name: str, got: Measured, least: float | None, most: float | None, note: str = "") -> Check:
    asked = f"<= {most:g}" if least is None else f">= {least:g}"
    passed = (least is None or got.mean >= least) and (most is None or got.mean <= most)
    return Check(name, asked, f"{got}{note}", bool(passed))


def _control(result: ReasoningBias) -> Check:
    """With shuffled labels neither kind of anchor is easier: the two losses stay together."""
    steps = result.at_target(result.small)
    gap = abs(result.control.at("reasoning", steps) - result.control.at("memory", steps)).max()
    name = f"shuffled labels, gamma {result.small:g}: reasoning against memory loss, same step"
    return Check(name, "differ by at most 0.3", f"{gap:.2f} at most over {result.seeds} seeds", bool(gap <= 0.3))


def _kernel(result: ReasoningBias) -> Check:
    """The published form of the early embedding, at half fall of the smallest initialisation."""
    got = result.measured(result.small, "kernel", result.at_half_fall(result.small))
    name = f"gamma {result.small:g}, half fall: R_cos of reasoning anchors with exp(-(j-s)^2/12) - 1/d"
    return Check(
        name, "above that of shuffled labels", f"{got}{_untrained(result, 'kernel')}", got.mean > got.null_mean
    )
