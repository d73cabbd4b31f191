"""What comes out of a decoding: scores beside nulls and ceiling, losses beside the floor, tables, arrays, a figure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ..observables import Summary
from ..tables import Table, interval, number
from .scores import CEILING, MODEL, NULLS, SOURCES, Decoded
from .training import Trained

SHARE = 0.7
"""Of the gap between the best null and the ceiling that a setting is expected to close."""
HEADER = ("target", "metric", "after item", "layer", "step", "model", *NULLS, "ceiling", "share of the gap closed")
BRIEF = ("target, metric (after item)", "model", "best null", "ceiling", "share closed")
LOSSES = ("trained", "untrained", "exact inference (floor)", "excess")
SHOWN = ("R2", "rank correlation", "accuracy", "L2", "KL")
"""Metrics of the tables; the others are in the record."""


@dataclass(frozen=True)
class DecodingResult:
    """Networks trained on a process, and what was read from them.

    Attributes:
        title: one line that says what ran.
        caption: what varied, and the sizes.
        main: target and metric that the setting is judged by.
        decoded: all scores and losses.
        curve: of training, `steps` `[time]` and `losses` `[seed, time]`.
        facts: seconds of training and probing, near 0 where they were kept from an earlier call.
        judged: after which item; None is the last place.
        trained: the networks; None where they were not read back.
    """

    title: str
    caption: str
    main: tuple[str, str]
    decoded: Decoded
    curve: dict[str, Any]
    facts: dict[str, float]
    judged: int | None = None
    trained: Trained | None = field(default=None, repr=False)
    arrays_file: str = "networks.npz"

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

    def tables(self) -> tuple[Table, ...]:
        """Every target and metric beside its best null, and losses; then all scores.

        The last has every null, layer and step; its name keeps it off terminals.
        """
        position = self.decoded.score(*self.main, position=self.judged).position
        target, metric = self.main
        note = (
            f"judged by {metric} of {target} after item {position}: share of the gap closed "
            f"{interval(self.share_interval)}, at least {SHARE:.0%} expected of the mean"
        )
        return (
            Table(self.title, BRIEF, self.brief(), note),
            Table("loss", LOSSES, [self.loss_row()]),
            Table(f"{self.title}: all nulls, layers and steps", HEADER, self.rows(), name="all"),
        )

    def rows(self) -> list[tuple[str, ...]]:
        """Every target, metric and place as text, under `HEADER`; means over seeds, the share with its interval."""
        shown = [(target, metric) for target in self.decoded.targets for metric in self.decoded.metrics(target)]
        shown = [(t, m) for t, m in shown if any(m == name or m.startswith(f"{name} ") for name in SHOWN)]
        return [self._row(*pair, *place) for pair in shown for place in self.decoded.places(pair[0])]

    def brief(self) -> list[tuple[str, ...]]:
        """The same in what fits a terminal, under `BRIEF`: at the deepest layer and the last step, best nulls named."""
        return [
            self._brief_row(target, metric, position)
            for target in self.decoded.targets
            for metric in self.decoded.metrics(target)
            if metric in SHOWN
            for position in sorted({place[0] for place in self.decoded.places(target)})
        ]

    def loss_row(self) -> tuple[str, str, str, str]:
        """Loss trained, untrained, of exact inference (with its error where it is estimated), the excess's interval."""
        means = {name: number(np.mean(values)) for name, values in self.decoded.losses.items()}
        excess, errors = self.decoded.over_seeds(self.decoded.excess), self.decoded.losses.get("floor error")
        of_mean = 0.0 if errors is None else float(np.sqrt(np.sum(np.square(errors)))) / len(errors)
        floor = means["floor"] + (f" ± {number(of_mean)} (estimated)" if of_mean > 0 else "")
        return means["trained"], means["untrained"], floor, interval(excess)

    def arrays(self) -> dict[str, np.ndarray]:
        """Parameters and worlds by path, `[seed, time, ...]`, with saved steps and losses.

        Raises:
            ValueError: for a result that was read back without its networks.
        """
        if self.trained is None:
            raise ValueError("trained: this result was read back without its networks; read them from their file")
        trees = {"params": self.trained.params, "worlds": self.trained.worlds}
        leaves = jax.tree_util.tree_flatten_with_path(trees)[0]
        named = {jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf) for path, leaf in leaves}
        curve = {"losses": self.trained.losses, "loss_steps": self.trained.loss_steps}
        return named | {"steps": self.trained.steps} | curve

    def record(self) -> dict[str, Any]:
        """All numbers as JSON data."""
        names = ("title", "caption", "main", "curve", "facts", "judged")
        return {name: getattr(self, name) for name in names} | {"decoded": self.decoded.record()}

    @classmethod
    def of_record(cls, data: Mapping[str, Any]) -> "DecodingResult":
        """Back from `record`, read from JSON; without networks."""
        return cls(**dict(data) | {"main": tuple(data["main"]), "decoded": Decoded.of_record(data["decoded"])})

    def figure(self, path: Path) -> None:
        """Losses along training over their floor, and every score by what it is read from, as a PNG."""
        from .figure import draw

        draw(self, path)

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
