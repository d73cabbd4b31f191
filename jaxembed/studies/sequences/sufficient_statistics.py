"""Exchangeable items: statistics and posterior moments in embeddings, under the own and a shifted prior, and parsimony.

Published as Figures 2, 8 and 9 and a table of "What Should Embeddings Embed?"; numbers there are few, so ours stand
beside the untrained network, the last item, shuffled targets and exact inference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...decoding import Decoded, LatentResult, Probing, Setting, Trained, carried_out, decode
from ...decoding.probing import predicted
from ...decoding.reading import read_states
from ...decoding.result import interval, number
from ...decoding.scores import CEILING, NULLS
from ...observables import summary
from ...runs.presets.catalogue import find_setting
from ..check import Check, need_float64
from ..measured import mean_and_interval, silent
from . import parsimony
from .parsimony import explained_variance

StatisticsSize = Literal["tiny", "quick", "full"]
GAUSS, SQUARED, COIN, WAITING, TOKENS = (
    "gaussian-gamma",
    "gaussian-gamma-squared",
    "beta-bernoulli",
    "gamma-exponential",
    "dirichlet-categorical",
)
EVERY = (GAUSS, SQUARED, COIN, WAITING, TOKENS)
NAMES = {"tiny": (GAUSS,), "quick": EVERY, "full": EVERY}
TARGETS = {WAITING: ("log_statistics", "log_moments")}
"""Statistics and moments where they go by other names: those of exponential items have heavy tails."""
HEADER = ("setting", "data, probe", "target", "metric", "model", *NULLS, "ceiling", "share closed")
SHOWN = 200
"""Test sequences of the figure."""
PLACES = ("own prior", "shifted prior, probe refitted", "shifted prior, probe kept")


@dataclass(frozen=True)
class Bounds:
    """What is asked of a size: coefficients of determination, a rank correlation, nats, shares.

    None asks for more than the best null reaches, means over seeds.
    """

    mean: float | None = 0.95
    sd: float | None = 0.9
    moments: float | None = 0.9
    rank: float | None = 0.95
    nats: float = 0.002
    explained: float | None = 0.5
    share: float | None = 0.7


BOUNDS = {
    "tiny": Bounds(mean=None, sd=None, moments=None, rank=None, explained=None, share=None),
    "quick": Bounds(),
    "full": Bounds(),
}


@dataclass(frozen=True)
class Readings:
    """What a linear probe of the first seed's network says about test sequences, for the figure.

    Attributes:
        names: of the targets.
        truth: `[example, target]`.
        said: `[example, target]`.
    """

    names: tuple[str, ...]
    truth: Float[np.ndarray, "example target"]
    said: Float[np.ndarray, "example target"]


@dataclass(frozen=True)
class Found:
    """One setting.

    Attributes:
        own: data of the prior that the networks were trained on.
        shifted: data of another prior, the probe fitted on such data.
        kept: the same data, the probe fitted on data of the own prior.
        explained: by source, `[seed]`: share of the embeddings' variance that an MLP predicts on held-out sequences.
        readings: statistics and moments by prior ("own", "shifted").
    """

    own: LatentResult
    shifted: Decoded
    kept: Decoded
    explained: dict[str, Float[np.ndarray, " seed"]]
    readings: dict[str, Readings]

    def parts(self) -> dict[str, Decoded]:
        """Scores by data and probe."""
        return dict(zip(PLACES, (self.own.decoded, self.shifted, self.kept), strict=True))


@dataclass(frozen=True)
class SufficientStatistics:
    """What the study found.

    Attributes:
        size: of the study.
        seeds: how many networks of each setting.
        settings: by name.
    """

    size: StatisticsSize
    seeds: int
    settings: dict[str, Found]

    def rows(self) -> list[tuple[str, ...]]:
        """Model and nulls by setting, prior and target, means over seeds, under `HEADER`."""
        rows = []
        for name, found in self.settings.items():
            for place, decoded in found.parts().items():
                for target in decoded.targets:
                    rows += [(name, place, target, m, *_texts(decoded, target, m)) for m in _metrics(decoded, target)]
        return rows

    def loss_rows(self) -> list[tuple[str, ...]]:
        """Loss trained, untrained and exact, and the excess, by setting."""
        return [(name, *found.own.loss_row()) for name, found in self.settings.items()]

    def explained_rows(self) -> list[tuple[str, ...]]:
        """The share of the embeddings' variance explained, by setting and source."""
        return [
            (name, *(_over_seeds(found.explained[source]) for source in parsimony.SOURCES))
            for name, found in self.settings.items()
        ]

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        bounds, checks = BOUNDS[self.size], []
        for name, found in self.settings.items():
            share, main = found.own.share, " of ".join(found.own.main[::-1])
            checks.append(_least(f"{name}: share of the gap closed, {main}", bounds.share, share, np.zeros_like(share)))
            label = f"{name}: embedding variance explained by statistics and n"
            checks.append(_least(label, bounds.explained, *_explained_beside(found.explained)))
        asked = {GAUSS: self._gauss, COIN: self._coin, WAITING: self._waiting}
        return checks + [check for name, ask in asked.items() if name in self.settings for check in ask(bounds)]

    def _gauss(self, bounds: Bounds) -> list[Check]:
        found, other = self.settings[GAUSS], self.settings.get(SQUARED)
        runs = {GAUSS: found} | ({} if other is None else {SQUARED: other})
        checks = [
            _least(f"{name}: R2 of the mean, own prior", bounds.mean, *_beside(one.own.decoded, "R2 mean"))
            for name, one in runs.items()
        ]
        sd, null, beside = _beside(found.own.decoded, "R2 sd")
        if other is not None:
            beside += f"; by squared error {_over_seeds(other.own.decoded.values('statistics', 'R2 sd'))}"
        checks.append(_least(f"{GAUSS}: R2 of the sd, own prior", bounds.sd, sd, null, beside))
        if self.size != "tiny":
            mean, four = _beside(found.shifted, "R2 mean"), _beside(found.own.decoded, "R2", "moments")
            checks.append(_least(f"{GAUSS}: R2 of the mean, shifted prior", bounds.mean, *mean))
            checks.append(_least(f"{GAUSS}: R2 of four moments, own prior", bounds.moments, *four))
        return checks

    def _coin(self, bounds: Bounds) -> list[Check]:
        own = self.settings[COIN].own.decoded
        checks = [_least(f"{COIN}: R2 of {t}", bounds.mean, *_beside(own, "R2", t)) for t in ("statistics", "moments")]
        before = np.asarray(own.losses["untrained"]) - np.asarray(own.losses["floor"])
        text = (
            f"{_over_seeds(own.excess)} over {np.mean(own.losses['floor']):.4f} of exact inference; "
            f"untrained {number(before.mean())}"
        )
        good = bool(own.excess.mean() <= bounds.nats)
        return [*checks, Check(f"{COIN}: loss above the floor, nats", f"<= {bounds.nats:g}", text, good)]

    def _waiting(self, bounds: Bounds) -> list[Check]:
        own = self.settings[WAITING].own.decoded
        return [
            _least(f"{WAITING}: rank correlation of {t}", bounds.rank, *_beside(own, "rank correlation", t))
            for t in targets(WAITING)
        ]


def targets(name: str) -> tuple[str, str]:
    """Statistics and moments of a setting."""
    return TARGETS.get(name, ("statistics", "moments"))


def sufficient_statistics(
    size: StatisticsSize,
    seeds: int = 3,
    keep: Path | None = None,
    names: Sequence[str] | None = None,
    progress: Callable[[str], None] = silent,
) -> SufficientStatistics:
    """Train on every exchangeable process, and read statistics and moments from the embeddings.

    Args:
        size: "tiny" (one setting, seconds), "quick" (minutes) or "full" (the published sizes; hours on two cores).
        seeds: networks of each setting.
        keep: a folder for training and scores, so that a killed run goes on where it was.
        names: settings of the catalogue; all of the size by default.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32, in which exact posteriors lose digits.

    Source: zhang2024embed.
    """
    need_float64("sufficient_statistics")
    settings = {}
    for name in names or NAMES[size]:
        folder = None if keep is None else keep / name
        settings[name] = _found(find_setting(name, size), name, size, seeds, folder, progress)
        progress(f"{name}: done")
    return SufficientStatistics(size, seeds, settings)


def _found(
    setting: Setting, name: str, size: StatisticsSize, seeds: int, keep: Path | None, progress: Callable[[str], None]
) -> Found:
    own, trained = carried_out(setting, name, size, seeds, keep, progress)
    process, recipe, other = setting.process, setting.recipe, setting.process.shifted()
    decoded = []
    for part, transfer in (("shifted", False), ("kept", True)):
        folder = None if keep is None else keep / part
        decoded.append(
            decode(process, recipe, trained, setting.probing, process_of_data=other, transfer=transfer, keep=folder)
        )
    shifted, kept = decoded
    steps = 1000 if size == "tiny" else 3000
    parts = [explained_variance(setting, targets(name), trained, i, steps) for i in range(seeds)]
    explained = {source: np.array([part[source] for part in parts]) for source in parsimony.SOURCES}
    readings = {label: _readings(setting, name, trained, of) for label, of in (("own", process), ("shifted", other))}
    return Found(own, shifted, kept, explained, readings)


def _readings(setting: Setting, name: str, trained: Trained, process: Any) -> Readings:
    """Statistics and moments of the first seed's test sequences as a line reads them."""
    probing, length = setting.probing, setting.recipe.length
    cuts = np.cumsum([probing.train, probing.validation])
    key = jax.random.fold_in(jax.random.key(trained.seeds[0]), 3000)
    items = process.sample(key, {}, int(cuts[-1]) + probing.test, length).items
    asked = Probing(probing.targets, (length - 2,))
    states = read_states(setting.recipe.model, trained.at(0), items, asked)[1][0, :, 0]
    exact = process.exact({}, items, targets(name), (length - 2,))
    truth = np.concatenate([np.asarray(exact[target])[:, 0] for target in targets(name)], axis=1)
    x, y = in_parts(states, cuts), in_parts(truth, cuts)
    said = predicted("real", "linear", key, x, y[:2])
    named = sum((process.targets[target].names for target in targets(name)), ())
    return Readings(named, np.asarray(y[2])[:SHOWN], said[:SHOWN])


def in_parts(table: np.ndarray, ends: np.ndarray) -> tuple[Array, Array, Array]:
    """Rows for training, validation and test, given the first two ends."""
    training, validation, test = (jnp.asarray(part) for part in np.split(table, ends))
    return training, validation, test


def _metrics(decoded: Decoded, target: str) -> list[str]:
    """Those of the table."""
    return [m for m in decoded.metrics(target) if m in ("R2", "rank correlation", "KL", "L2") or m.startswith("R2 ")]


def _texts(decoded: Decoded, target: str, metric: str) -> tuple[str, ...]:
    """Model, nulls, ceiling and the share of the gap, as text."""
    means = [number(float(decoded.values(target, metric, source).mean())) for source in (*NULLS, CEILING)]
    return _over_seeds(decoded.values(target, metric)), *means, _over_seeds(decoded.share(target, metric))


def _beside(decoded: Decoded, metric: str, target: str = "statistics") -> tuple[np.ndarray, np.ndarray, str]:
    """A score, its best null, and that null in words."""
    null, source = decoded.null(target, metric)
    text = f"best null {null.mean():.3f} ({source}), share of the gap {_over_seeds(decoded.share(target, metric))}"
    return decoded.values(target, metric), null, text


def _explained_beside(explained: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, str]:
    """The variance explained, that of the better null, and both nulls in words."""
    count, untrained = explained[parsimony.COUNT], explained[parsimony.UNTRAINED]
    text = f"n alone {_over_seeds(count)}, untrained network {_over_seeds(untrained)}"
    return explained[parsimony.STATISTICS], np.maximum(count, untrained), text


def _over_seeds(values: np.ndarray) -> str:
    """Mean and interval with three significant digits, undefined where a value is."""
    return interval(summary(np.asarray(values, np.float64)))


def _least(name: str, least: float | None, values: np.ndarray, null: np.ndarray, beside: str = "") -> Check:
    """Asked of the mean over seeds; more than the null's where no number is asked."""
    mean, best = float(values.mean()), float(null.mean())
    got = mean_and_interval(values, 3) + (f"; {beside}" if beside else "")
    if least is None:
        return Check(name, f"> {number(best)}, the best null", got, mean > best)
    return Check(name, f">= {least:g}", got, mean >= least)
