"""The ledger: every published claim covered so far, its number, ours with interval, null and ceiling, and a verdict.

A claim names the study that measures it; figure scripts and notebooks call the same studies, so one place computes a
claim. To add one, write a row in `CLAIMS`.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .observables import summary

Verdict = Literal["reproduced", "contradicted", "undecided"]
UNDEFINED = "undefined"


@dataclass(frozen=True)
class Evidence:
    """What a study says of a claim.

    Attributes:
        values: `[seed]`, the measured number.
        null: the control's `[seed]`, or None where there is none.
        ceiling: the best possible value in words.
        least: the claim holds from this value on, or None.
        most: the claim holds up to this value, or None.
    """

    values: np.ndarray
    null: np.ndarray | None
    ceiling: str
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Claim:
    """One published statement and how it is measured; `study` is a key of `STUDIES`."""

    id: str
    claim: str
    source: str
    published: str
    study: str
    measure: Callable[[Any], Evidence]
    full: bool = False


@dataclass(frozen=True)
class Row:
    """A claim carried out; all text, as printed and written."""

    id: str
    claim: str
    source: str
    published: str
    ours: str
    null: str
    ceiling: str
    verdict: Verdict
    seconds: float


def verdict(evidence: Evidence) -> Verdict:
    """Reproduced where the 95 % interval over seeds lies inside the claim, contradicted where wholly outside.

    >>> verdict(Evidence(np.array([0.95, 0.96, 0.97]), None, "1", least=0.9))
    'reproduced'
    >>> verdict(Evidence(np.array([0.5, 0.9, 0.99]), None, "1", least=0.9))
    'undecided'
    """
    values = evidence.values
    if not np.isfinite(values).all():
        return "undecided"
    low, high = _interval(values)
    least = -np.inf if evidence.least is None else evidence.least
    most = np.inf if evidence.most is None else evidence.most
    if low >= least and high <= most:
        return "reproduced"
    return "contradicted" if high < least or low > most else "undecided"


def _interval(values: np.ndarray) -> tuple[float, float]:
    """Student's interval of the mean over seeds; one seed is taken as it is, and says so where it is printed."""
    if len(values) == 1:
        return float(values[0]), float(values[0])
    found = summary(values)
    return float(found.low), float(found.high)


# --- the studies -----------------------------------------------------------------------------------------------------


def _composite(full: bool) -> Any:
    from .studies.composite import composite_table

    return composite_table("normal", seeds=5 if full else 3)


def _ladder(full: bool) -> Any:
    from .studies.ladder import ladder

    return ladder("normal", seeds=5 if full else 3)


def _reasoning(full: bool) -> Any:
    from .studies.reasoning_bias import reasoning_bias

    return reasoning_bias("normal", seeds=5 if full else 3, gammas=(0.3, 0.8))


STUDIES: dict[str, Callable[[bool], Any]] = {"composite": _composite, "ladder": _ladder, "reasoning": _reasoning}


def _cell(task: str, model: str, what: str, **bounds: float) -> Callable[[Any], Evidence]:
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


def _at_target(gamma: float, part: str, **bounds: float) -> Callable[[Any], Evidence]:
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
"""Every claim covered so far; the bounds are those of the figure scripts."""


def ledger(full: bool = False, only: str | None = None) -> Iterator[Row]:
    """Carry out the claims, a study once for all its claims, and yield a row as each is decided.

    Args:
        full: more seeds, and the claims too long for the quick set.
        only: the id of one claim.

    Raises:
        ValueError: for an unknown id, listing the known ones.
    """
    chosen = [claim for claim in CLAIMS if (claim.id == only if only else full or not claim.full)]
    if not chosen:
        raise ValueError(f"id: unknown claim {only!r}; known: {', '.join(claim.id for claim in CLAIMS)}")
    results: dict[str, Any] = {}
    for claim in chosen:
        began = time.perf_counter()
        if claim.study not in results:
            results[claim.study] = STUDIES[claim.study](full)
        evidence = claim.measure(results[claim.study])
        yield _row(claim, evidence, time.perf_counter() - began)


def print_ledger(full: bool = False, only: str | None = None, json_file: Path | None = None) -> None:
    """Print the ledger row by row, and write it as json where a file is named."""
    import jax
    from rich.console import Console

    if json_file is not None and json_file.parent and not json_file.parent.is_dir():
        raise ValueError(f"json: the folder {json_file.parent} does not exist; make it or name another file")
    jax.config.update("jax_enable_x64", True)
    console, rows = Console(), []
    with console.status("carrying out the studies") as status:
        for row in ledger(full, only):
            status.update(f"{row.id}: {row.verdict} ({row.seconds:.0f} s)")
            rows.append(row)
    console.print(_printed(rows))
    if json_file is not None:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


def _printed(rows: list[Row]) -> Any:
    """A table that is legible at 80 columns: one claim below the other, its numbers line by line."""
    from rich.table import Table

    table = Table(title="claims: published and measured", show_lines=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("claim", overflow="fold")
    for row in rows:
        lines = [f"[bold]{row.id}[/]: {row.claim}", f"published: {row.published} ({row.source})", f"ours: {row.ours}"]
        lines += [f"null: {row.null}", f"ceiling: {row.ceiling}; {row.seconds:.0f} s"]
        table.add_row(row.verdict, "\n".join(lines))
    return table


def _row(claim: Claim, evidence: Evidence, seconds: float) -> Row:
    null = "none" if evidence.null is None else _text(evidence.null)
    ours, found = _text(evidence.values), verdict(evidence)
    return Row(
        claim.id, claim.claim, claim.source, claim.published, ours, null, evidence.ceiling, found, round(seconds, 1)
    )


def _text(values: np.ndarray) -> str:
    if not np.isfinite(values).all():
        return UNDEFINED
    return f"{values[0]:.3g} (1 init seed)" if len(values) == 1 else str(summary(values))
