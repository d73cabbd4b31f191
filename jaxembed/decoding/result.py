"""One setting carried out: what was decoded, what that closes of the gap, and what it took."""

import json
import math
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..observables import Summary
from ._folder import write_whole
from ._words import unworded, worded
from .scores import CEILING, MODEL, NULLS, SOURCES, Decoded

SHARE = 0.7
"""Of the gap between the best null and the ceiling that a setting is asked to close."""
HEADER = ("target", "metric", "after item", "layer", "step", "model", *NULLS, "ceiling", "share of the gap closed")
BRIEF = ("target, metric (after item)", "model", "best null", "ceiling", "share closed")
SHOWN = ("R2", "rank correlation", "accuracy", "L2", "KL")
"""Metrics of the table; the others are in the saved numbers."""


class Asked(NamedTuple):
    """One figure of a setting: what was asked, what came out, and whether that is enough."""

    name: str
    asked: str
    got: str
    passed: bool


@dataclass(frozen=True)
class LatentResult:
    """What `latent` found.

    Attributes:
        name: of the setting.
        size: of the setting.
        main: target and metric that the setting is judged by.
        settings: process, recipe and probing as plain data.
        decoded: all scores and losses.
        curve: `loss_steps` and `losses` `[seed, time]` of training.
        seconds: of training and probing, 0 where they were kept from an earlier call.
        judged: after which item; None is the last place.
    """

    name: str
    size: str
    main: tuple[str, str]
    settings: dict[str, Any]
    decoded: Decoded
    curve: dict[str, Any]
    seconds: dict[str, float]
    judged: int | None = None

    @property
    def score(self) -> Float[np.ndarray, " seed"]:
        """The main metric of the trained models."""
        return self.decoded.values(*self.main, position=self.judged)

    @property
    def share(self) -> Float[np.ndarray, " seed"]:
        """The share of the gap between the best null and the ceiling that they close, on the main metric."""
        return self.decoded.share(*self.main, position=self.judged)

    @property
    def share_interval(self) -> Summary:
        """Its mean and interval over seeds."""
        return self.decoded.over_seeds(self.share)

    def rows(self) -> list[tuple[str, ...]]:
        """Every target, metric and place as text, under `HEADER`; means over seeds, the share with its interval."""
        found = []
        for target in self.decoded.targets:
            for metric in self.decoded.metrics(target):
                if any(metric == name or metric.startswith(f"{name} ") for name in SHOWN):
                    found += [self._row(target, metric, *place) for place in self.decoded.places(target)]
        return found

    def brief(self) -> list[tuple[str, ...]]:
        """The same in what fits a terminal, under `BRIEF`: at the deepest layer and the last step, best nulls named."""
        found = []
        for target in self.decoded.targets:
            for metric in self.decoded.metrics(target):
                if metric in SHOWN:
                    for position in sorted({place[0] for place in self.decoded.places(target)}):
                        found.append(self._brief_row(target, metric, position))
        return found

    def loss_row(self) -> tuple[str, str, str, str]:
        """Loss trained, untrained, of exact inference (with its error where it is estimated), the excess's interval."""
        means = {name: number(float(np.mean(values))) for name, values in self.decoded.losses.items()}
        excess, errors = self.decoded.over_seeds(self.decoded.excess), self.decoded.losses.get("floor error")
        of_mean = 0.0 if errors is None else float(np.sqrt(np.sum(np.square(errors)))) / len(errors)
        floor = means["floor"] + (f" ± {number(of_mean)} (estimated)" if of_mean > 0 else "")
        return means["trained"], means["untrained"], floor, interval(excess)

    def checks(self) -> list[Asked]:
        """Whether the asked share of the gap is closed, and what stands beside it."""
        target, metric = self.main
        found, (null, source) = self.share_interval, self.decoded.null(target, metric, position=self.judged)
        ceiling = self.decoded.values(target, metric, CEILING, position=self.judged)
        got = (
            f"{interval(found)}; {metric} {number(self.score.mean())}, best null {number(null.mean())} ({source}), "
            f"ceiling {number(ceiling.mean())}"
        )
        where = "" if self.judged is None else f" after item {self.judged}"
        name = f"{self.name}: share of the gap between the best null and the ceiling, {metric} of {target}{where}"
        return [Asked(name, f">= {SHARE:.0%} (mean over seeds)", got, bool(found.mean >= SHARE))]

    def save(self, path: Path) -> None:
        """Write all numbers as JSON, undefined ones as the word."""
        data = {field.name: getattr(self, field.name) for field in fields(self)}
        write_whole(path, json.dumps(worded(data | {"decoded": self.decoded.plain()}), indent=1).encode())

    @classmethod
    def load(cls, path: Path) -> "LatentResult":
        """Read what `save` wrote."""
        data = unworded(json.loads(path.read_text(encoding="utf-8")))
        return cls(**data | {"main": tuple(data["main"]), "decoded": Decoded.of_plain(data["decoded"])})

    def _brief_row(self, target: str, metric: str, position: int) -> tuple[str, ...]:
        null, source = self.decoded.null(target, metric, position=position)
        model, ceiling = (self.decoded.values(target, metric, of, position=position).mean() for of in (MODEL, CEILING))
        share = interval(self.decoded.over_seeds(self.decoded.share(target, metric, position=position)))
        name = f"{target}, {metric} ({position})"
        return (name, number(model), f"{number(null.mean())} ({source})", number(ceiling), share)

    def _row(self, target: str, metric: str, position: int, layer: int | None, step: int | None) -> tuple[str, ...]:
        place = {"position": position, "layer": layer, "step": step}
        of = [
            self.decoded.values(target, metric, source, **{**place, "step": step if source == MODEL else None})
            for source in SOURCES
        ]
        share = interval(self.decoded.over_seeds(self.decoded.share(target, metric, **place)))
        depth = "answers" if layer == -1 else str(layer)
        return (target, metric, str(position), depth, str(step), *(number(x.mean()) for x in of), share)


def plain(settings: Any) -> Any:
    """A dataclass of settings as plain data that names its class."""
    if is_dataclass(settings) and not isinstance(settings, type):
        return {"kind": type(settings).__name__} | {f.name: plain(getattr(settings, f.name)) for f in fields(settings)}
    return [plain(item) for item in settings] if isinstance(settings, (tuple, list)) else settings


def number(value: float) -> str:
    """Three digits, or the word undefined.

    >>> number(0.98765), number(float("nan")), number(0.000123)
    ('0.988', 'undefined', '0.000123')
    """
    return "undefined" if math.isnan(value) else f"{value:.3g}"


def interval(found: Summary) -> str:
    """ "mean [low, high]", with what is undefined said."""
    mean, low, high = (float(x) for x in (found.mean, found.low, found.high))
    if math.isnan(mean):
        return "undefined"
    return number(mean) + (f" [{number(low)}, {number(high)}]" if found.count > 1 else " (1 seed)")
