"""Claims on probability signatures: the composite tasks, the ladder of theories, and reasoning bias."""

from collections.abc import Callable
from typing import Any

from .evidence import Claim, Evidence


def _composite(full: bool) -> Any:
    from ..studies.small.composite import composite_table

    return composite_table("normal", seeds=5 if full else 3)


def _ladder(full: bool) -> Any:
    from ..studies.small.ladder import ladder

    return ladder("normal", seeds=5 if full else 3)


def _reasoning(full: bool) -> Any:
    from ..studies.small.reasoning_bias import reasoning_bias

    return reasoning_bias("normal", seeds=5 if full else 3, gammas=(0.3, 0.8))


STUDIES: dict[str, Callable[[bool], Any]] = {"composite": _composite, "ladder": _ladder, "reasoning": _reasoning}


def _cell(task: str, model: str, what: str, **bounds: Any) -> Callable[[Any], Evidence]:
    def measure(table: Any) -> Evidence:
        cell = table.cell(task, model)
        measured = {
            "order": lambda: cell.order,
            "accuracy": lambda: cell.accuracy,
            "label": lambda: cell.label.r_cos,
            "context": lambda: cell.context.r_cos,
        }[what]()
        ceiling = f"{cell.ceiling:.2f}, chance {cell.chance:.3f}" if what == "accuracy" else "1"
        return Evidence(measured.values, measured.null, ceiling, **bounds)

    return measure


def _rung(name: str, at: float, most: float) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        return Evidence(result.at(name, at), result.at(f"{name}, shuffled labels", at), "0", most=most)

    return measure


def _at_target(gamma: float, part: str, **bounds: Any) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        found = result.measured(gamma, part, result.at_target(gamma))
        return Evidence(found.values, found.null, "0", **bounds)

    return measure


def _at_half_fall(name: str, least: float | None = None) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        found = result.measured(result.small, name, result.at_half_fall(result.small))
        return Evidence(found.values, found.null, "1", least=least)

    return measure


_SIGNATURE, _BIAS, _SHAPE = "yao2025probability", "yao2025reasoning", "heat maps, no number"

CLAIMS = (
    Claim("addition-order-linear", "addition: anchors line up in a linear model (order)", _SIGNATURE, _SHAPE,
          "composite", _cell("addition", "linear", "order", least=0.9)),
    Claim("addition-order-feedforward", "addition: anchors line up in a feedforward model (order)", _SIGNATURE, _SHAPE,
          "composite", _cell("addition", "feedforward", "order", least=0.9)),
    Claim("addition-label-linear", "addition: embeddings follow label signatures (R_cos, linear)", _SIGNATURE, _SHAPE,
          "composite", _cell("addition", "linear", "label", least=0.85)),
    Claim("addition-label-feedforward", "addition: embeddings follow label signatures (R_cos, feedforward)",
          _SIGNATURE, _SHAPE, "composite", _cell("addition", "feedforward", "label", least=0.85)),
    Claim("neutral-context-linear", "label-neutral: embeddings follow context signatures (R_cos, linear)", _SIGNATURE,
          _SHAPE, "composite", _cell("label-neutral", "linear", "context", least=0.85)),
    Claim("neutral-context-feedforward", "label-neutral: embeddings follow context signatures (R_cos, feedforward)",
          _SIGNATURE, _SHAPE, "composite", _cell("label-neutral", "feedforward", "context", least=0.85)),
    Claim("modular-linear-fails", "modular: a linear model cannot learn (accuracy)", _SIGNATURE, "fails, no number",
          "composite", _cell("modular", "linear", "accuracy", most=0.15)),
    Claim("modular-feedforward-learns", "modular: a feedforward model learns from joint signatures (accuracy)",
          _SIGNATURE, "learns, no number", "composite", _cell("modular", "feedforward", "accuracy", least=0.99)),
    Claim("modular-feedforward-order", "modular: the feedforward model's anchors line up (order)", _SIGNATURE, _SHAPE,
          "composite", _cell("modular", "feedforward", "order", least=0.9)),
    Claim("memory-no-order", "memory: anchors without an order stay without one (order, feedforward)", _SIGNATURE,
          _SHAPE, "composite", _cell("memory", "feedforward", "order", least=-0.3, most=0.3)),
    Claim("ladder-rung-0", "small initialisation: label signatures alone predict the start (rung 0 error at 0.5 t1)",
          _SIGNATURE, "theory, no number", "ladder", _rung("rung 0", 0.5, 1e-3)),
    Claim("ladder-rung-1", "with context signatures the prediction holds to 0.9 t1 (rung 1 error)", _SIGNATURE,
          "theory, no number", "ladder", _rung("rung 1", 0.9, 5e-3)),
    Claim("reasoning-first", "small init (gamma 0.8): memory unlearnt when reasoning is learnt (memory loss)", _BIAS,
          "loss curves, no number", "reasoning", _at_target(0.8, "memory", least=4.2)),
    Claim("reasoning-generalises", "small init (gamma 0.8): held-out reasoning is learnt (held-out loss)", _BIAS,
          "loss curves, no number", "reasoning", _at_target(0.8, "held-out", most=1.3)),
    Claim("memory-at-large-init", "large init (gamma 0.3): memory is learnt along with reasoning (memory loss)", _BIAS,
          "loss curves, no number", "reasoning", _at_target(0.3, "memory", most=3.0)),
    Claim("large-init-overfits", "large init (gamma 0.3): held-out reasoning is not learnt (held-out loss)", _BIAS,
          "loss curves, no number", "reasoning", _at_target(0.3, "held-out", least=2.5)),
    Claim("memory-anchors-collinear", "small init: memory anchors stay collinear (mean cosine at half fall)", _BIAS,
          _SHAPE, "reasoning", _at_half_fall("memory cosine", 0.85)),
    Claim("reasoning-anchors-order", "small init: reasoning anchors' cosine falls with distance (order at half fall)",
          _BIAS, _SHAPE, "reasoning", _at_half_fall("reasoning order", 0.9)),
    Claim("reasoning-kernel", "an early reasoning anchor is close to exp(-(j-s)^2/12) - 1/d (R_cos)", _BIAS,
          "exp(-(j-s)^2/12) - 1/d", "reasoning", _at_half_fall("kernel", 0.85)),
)  # fmt: skip
"""The bounds are those of the figure scripts."""
