"""Scores by target, place and source, seed by seed, and the share of the gap from the best null to the ceiling."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from ..observables import Summary, summary
from ..probes import best, gap_closed, higher_is_better

MODEL, UNTRAINED, LAST_ITEM, SHUFFLED, CONSTANT, CEILING = (
    "model",
    "untrained",
    "last item",
    "shuffled targets",
    "constant",
    "ceiling",
)
NULLS = (UNTRAINED, LAST_ITEM, SHUFFLED, CONSTANT)
"""What proves nothing: the network before training, the newest item alone, a probe of the wrong targets, no input.

Shuffled targets are no null for a rank correlation, which is undefined there, as it is for a constant: their probe is
nearly constant, but its ranks are not, and their sign is a toss of a coin.
"""
SOURCES = (MODEL, *NULLS, CEILING)
"""All that a target is read from."""


def is_null(source: str, metric: str) -> bool:
    """Whether a metric means something for a source (see `NULLS`).

    >>> is_null("shuffled targets", "rank correlation sd"), is_null("shuffled targets", "R2 sd")
    (False, True)
    """
    return source != SHUFFLED or not metric.startswith("rank correlation")


@dataclass(frozen=True)
class Cell:
    """One score over seeds.

    Attributes:
        target: what was read.
        position: after which item.
        layer: depth of the state, -1 for answers; None where no network is read.
        step: of training; None where no network is read.
        source: the model, one of `NULLS`, or the ceiling.
        metric: name of the score (see `probes.scores`).
        values: one for each seed; NaN is undefined.
    """

    target: str
    position: int
    layer: int | None
    step: int | None
    source: str
    metric: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Decoded:
    """What `decode` found.

    Attributes:
        cells: all scores.
        losses: by name ("trained", "untrained", "floor", see `reading.losses`), one number for each seed.
        seeds: of the models.
        varied: what differs between the seeds.
    """

    cells: tuple[Cell, ...]
    losses: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    varied: str = "seeds (network, world, draws)"
    _index: dict[tuple, list[Cell]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for cell in self.cells:
            self._index.setdefault((cell.target, cell.metric, cell.source), []).append(cell)

    def cell(
        self,
        target: str,
        metric: str,
        source: str = MODEL,
        *,
        position: int | None = None,
        layer: int | None = None,
        step: int | None = None,
    ) -> Cell:
        """One score; where not said, at the last position, there in the deepest layer, there at the last step.

        Raises:
            ValueError: where there is no such cell.
        """
        wanted = {"position": position, "layer": layer, "step": step}
        found = [
            cell
            for cell in self._index.get((target, metric, source), [])
            if all(value is None or getattr(cell, name) in (value, None) for name, value in wanted.items())
        ]
        if not found:
            raise ValueError(f"target, metric: no {metric!r} of {target!r} from {source!r} at {wanted}")
        return max(found, key=lambda cell: (cell.position, cell.layer or 0, cell.step or 0))

    def values(self, target: str, metric: str, source: str = MODEL, **place: int | None) -> Float[np.ndarray, " seed"]:
        """The values of one `cell`."""
        return np.asarray(self.cell(target, metric, source, **place).values)

    def null(self, target: str, metric: str, **place: int | None) -> tuple[Float[np.ndarray, " seed"], str]:
        """The best null of every seed, and which null is best on average."""
        where = {**place, "step": None}
        every = np.array([self.values(target, metric, source=source, **where) for source in NULLS])
        means = np.array([row.mean() for row in every])
        chosen = best(metric, means)
        name = NULLS[int(np.argmax(means == chosen))] if np.isfinite(chosen) else "undefined"
        return best(metric, every), name

    def share(self, target: str, metric: str, **place: int | None) -> Float[np.ndarray, " seed"]:
        """The share of the gap from the best null to the ceiling that the model closes, for every seed.

        Undefined (NaN) where the ceiling is no better than the best null: there is no gap to close.
        """
        null, _ = self.null(target, metric, **place)
        ceiling = self.values(target, metric, CEILING, **place)
        gap = ceiling - null if higher_is_better(metric) else null - ceiling
        return np.where(gap > 0, gap_closed(self.values(target, metric, MODEL, **place), null, ceiling), np.nan)

    @property
    def excess(self) -> Float[np.ndarray, " seed"]:
        """Loss above that of exact inference, which knows the prior of the sequences.

        On data of another process than that of the training it holds the price of the wrong prior too: that is
        `losses["own prior"]` less `losses["floor"]`.
        """
        return np.asarray(self.losses["trained"]) - np.asarray(self.losses["floor"])

    def over_seeds(self, values: Float[np.ndarray, " seed"]) -> Summary:
        """Mean and Student interval, which says what varied."""
        return summary(np.asarray(values, np.float64), varied=self.varied)

    def places(self, target: str) -> list[tuple[int, int | None, int | None]]:
        """Position, layer and step of every score of the model."""
        found = [(c.position, c.layer, c.step) for c in self.cells if c.target == target and c.source == MODEL]
        return list(dict.fromkeys(found))

    @property
    def targets(self) -> list[str]:
        """Names of all targets."""
        return list(dict.fromkeys(cell.target for cell in self.cells))

    def metrics(self, target: str) -> list[str]:
        """Names of the scores of a target."""
        return list(dict.fromkeys(cell.metric for cell in self.cells if cell.target == target))

    def plain(self) -> dict[str, Any]:
        """As JSON data."""
        cells = [asdict(cell) for cell in self.cells]
        return {"seeds": self.seeds, "varied": self.varied, "losses": self.losses, "cells": cells}

    @classmethod
    def of_plain(cls, data: dict[str, Any]) -> "Decoded":
        """Back from JSON data; older data does not say what varied, and has numbers where `is_null` is False."""
        cells = tuple(
            Cell(**cell | {"values": tuple(x if is_null(cell["source"], cell["metric"]) else np.nan for x in values)})
            for cell, values in ((cell, cell["values"]) for cell in data["cells"])
        )
        losses = {name: tuple(values) for name, values in data["losses"].items()}
        said = {"varied": data["varied"]} if "varied" in data else {}
        return cls(cells, losses, tuple(data["seeds"]), **said)


def joined(parts: list[Decoded]) -> Decoded:
    """Decodings of single seeds as one.

    Raises:
        ValueError: where they do not hold the same cells.
    """
    if not parts:
        raise ValueError("parts: need at least one")
    first = parts[0]
    if any(len(part.cells) != len(first.cells) for part in parts):
        raise ValueError("parts: hold other cells; decode all seeds alike")

    def gathered(get: Callable[[Decoded], tuple]) -> tuple:
        return sum((get(part) for part in parts), ())

    cells = [
        Cell(**{**asdict(cell), "values": gathered(lambda part, i=i: part.cells[i].values)})
        for i, cell in enumerate(first.cells)
    ]
    # Parts kept by an earlier version have fewer losses.
    named = [name for name in first.losses if all(name in part.losses for part in parts)]
    losses = {name: gathered(lambda part, name=name: part.losses[name]) for name in named}
    return Decoded(tuple(cells), losses, gathered(lambda part: part.seeds), first.varied)
