"""Scores by target, place and source, seed by seed, and the share of the gap from the best null to the ceiling."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ..observables import Summary, summary
from ..probes import best, gap_closed, higher_is_better
from ..tables import interval, number

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
class DecodingScore:
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
    """What `decode` finds.

    Attributes:
        scores: all of them.
        losses: by name ("trained", "untrained", "floor", see `reading.losses`), one number for each seed.
        seeds: of the models.
        varied: what differs between the seeds.
    """

    scores: tuple[DecodingScore, ...]
    losses: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    varied: str = "seeds (network, world, draws)"
    _index: dict[tuple, list[DecodingScore]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for score in self.scores:
            self._index.setdefault((score.target, score.metric, score.source), []).append(score)

    def score(
        self,
        target: str,
        metric: str,
        source: str = MODEL,
        *,
        position: int | None = None,
        layer: int | None = None,
        step: int | None = None,
    ) -> DecodingScore:
        """One score; where not given, at the last position, there in the deepest layer, there at the last step.

        Raises:
            ValueError: where there is no such score.
        """
        wanted = {"position": position, "layer": layer, "step": step}
        matching = [
            score
            for score in self._index.get((target, metric, source), [])
            if all(value is None or getattr(score, name) in (value, None) for name, value in wanted.items())
        ]
        if not matching:
            raise ValueError(f"target, metric: no {metric!r} of {target!r} from {source!r} at {wanted}")
        return max(matching, key=lambda score: (score.position, score.layer or 0, score.step or 0))

    def values(self, target: str, metric: str, source: str = MODEL, **place: int | None) -> Float[np.ndarray, " seed"]:
        """The values of one `score`."""
        return np.asarray(self.score(target, metric, source, **place).values)

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

    def texts(
        self,
        target: str,
        metric: str,
        sources: Sequence[str] = (*NULLS, CEILING),
        spec: str = ".3g",
        share: str = ".3g",
    ) -> tuple[str, ...]:
        """A row of a table: the model with its interval, means of the sources, the share of the gap with its interval.

        Args:
            target: what was read.
            metric: name of the score.
            sources: whose means follow the model.
            spec: format of scores.
            share: format of the share.
        """
        means = [number(self.values(target, metric, source).mean(), spec) for source in sources]
        return interval(self.values(target, metric), spec), *means, interval(self.share(target, metric), share)

    def places(self, target: str) -> list[tuple[int, int | None, int | None]]:
        """Position, layer and step of every score of the model."""
        own = (score for score in self.scores if score.target == target and score.source == MODEL)
        return list(dict.fromkeys((score.position, score.layer, score.step) for score in own))

    @property
    def targets(self) -> list[str]:
        """Names of all targets."""
        return list(dict.fromkeys(score.target for score in self.scores))

    def metrics(self, target: str) -> list[str]:
        """Names of the scores of a target."""
        return list(dict.fromkeys(score.metric for score in self.scores if score.target == target))

    def record(self) -> dict[str, Any]:
        """As JSON data."""
        scores = [asdict(score) for score in self.scores]
        return {"seeds": self.seeds, "varied": self.varied, "losses": self.losses, "scores": scores}

    @classmethod
    def of_record(cls, data: dict[str, Any]) -> "Decoded":
        """Back from `record`, read from JSON."""
        scores = tuple(DecodingScore(**score | {"values": tuple(score["values"])}) for score in data["scores"])
        losses = {name: tuple(values) for name, values in data["losses"].items()}
        return cls(scores, losses, tuple(data["seeds"]), data["varied"])


def joined(parts: Sequence[Decoded]) -> Decoded:
    """Decodings of single seeds as one.

    Raises:
        ValueError: where they do not hold the same scores.
    """
    if not parts:
        raise ValueError("parts: need at least one")
    first = parts[0]
    if any(len(part.scores) != len(first.scores) for part in parts):
        raise ValueError("parts: hold other scores; decode all seeds alike")
    scores = tuple(
        replace(alike[0], values=sum((score.values for score in alike), ()))
        for alike in zip(*(part.scores for part in parts), strict=True)
    )
    losses = {name: sum((part.losses[name] for part in parts), ()) for name in first.losses}
    return Decoded(scores, losses, sum((part.seeds for part in parts), ()), first.varied)
