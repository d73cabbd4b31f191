"""Five networks and five topic models: the mixture is read from a network only where its own topics wrote the text."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ...decoding import Setting, Trained, train_models
from ...decoding.reading import read_states
from ...probes import scores
from ...processes import Draw
from ...runs.presets.catalogue import find_setting
from ..check import Check
from ..measured import silent
from .topics import PLANS, TARGET, TopicSize, masked_setting, read_mixture

DRAWS = 4000
"""What is folded into a seed's key for the documents of its process."""
MOVED, RETRAINED = "own probe", "probe retrained"
READINGS = (MOVED, RETRAINED)
SHOWN = {"accuracy": 3, "L2": 4}
"""Metrics, with their digits."""
PARTS: dict[str, dict[str, int]] = {
    "tiny": {},
    "quick": {"train": 1000, "validation": 300, "test": 500},
    "full": {},
}
"""Documents of the probes, where fewer than the setting's: there are as many probes as pairs."""


@dataclass(frozen=True)
class CrossProbingStudy:
    """What the study found.

    Attributes:
        size: of the study.
        setting: of the networks and probes.
        scores: by reading (`READINGS`) and metric, `[seed, seed]`: network i on documents of process j.
        untrained: by metric, `[seed]`: network j before training on documents of process j, the probe fitted there.
        ceiling: by metric, `[seed]`: exact inference on the documents of process j, its topics known.
    """

    size: TopicSize
    setting: Setting
    scores: dict[str, dict[str, Float[np.ndarray, "seed seed"]]]
    untrained: dict[str, Float[np.ndarray, " seed"]]
    ceiling: dict[str, Float[np.ndarray, " seed"]]

    def header(self) -> tuple[str, ...]:
        """Of the rows."""
        return ("reading", "metric", "network", *(f"documents {j + 1}" for j in range(len(self.ceiling["L2"]))))

    def rows(self) -> list[tuple[str, ...]]:
        """Every matrix, a row per network, then the untrained networks and the ceilings."""
        found = []
        for metric, digits in SHOWN.items():
            for reading in READINGS:
                for i, row in enumerate(self.scores[reading][metric]):
                    found.append((reading, metric, str(i + 1), *(f"{x:.{digits}f}" for x in row)))
            for name, values in (("probe retrained, untrained", self.untrained), ("ceiling", self.ceiling)):
                found.append((name, metric, "", *(f"{x:.{digits}f}" for x in values[metric])))
        return found

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        own, other = split(self.scores[MOVED]["accuracy"])
        got = f"diagonal {own.min():.3f} .. {own.max():.3f}, others {other.min():.3f} .. {other.max():.3f}"
        asked, passed = "every diagonal cell above every other", bool(own.min() > other.max())
        return [Check("own probe: accuracy", asked, got, passed), self._retrained_check()]

    def _retrained_check(self) -> Check:
        """Within one process's documents, for these differ in how hard they are."""
        errors = self.scores[RETRAINED]["L2"]
        own, best_other = np.diagonal(errors), np.where(np.eye(len(errors)) > 0, np.inf, errors).min(axis=0)
        pairs = ", ".join(f"{a:.4f} / {b:.4f}" for a, b in zip(own, best_other, strict=True))
        got = f"own / best other {pairs}; untrained {self.untrained['L2'].mean():.4f}, "
        got += f"ceiling {self.ceiling['L2'].mean():.4f}"
        asked = "the process's own network below every other"
        return Check("probe retrained: L2 on one process's documents", asked, got, bool(np.all(own < best_other)))


def split(matrix: Float[np.ndarray, "seed seed"]) -> tuple[np.ndarray, np.ndarray]:
    """Cells on the diagonal, and all others."""
    same = np.eye(len(matrix), dtype=bool)
    return matrix[same], matrix[~same]


def cross_probing(
    size: TopicSize, seeds: int = 5, keep: Path | None = None, progress: Callable[[str], None] = silent, *,
    masked: bool = False,
) -> CrossProbingStudy:  # fmt: skip
    """Train a network for each of several topic models, and read each on the documents of all of them.

    With its own probe a network says nothing about topics of another model: their order there is arbitrary. With the
    probe retrained on those documents what counts is whether the network's states hold them apart.

    Args:
        size: "tiny", "quick" or "full".
        seeds: networks and topic models.
        keep: a folder for the networks, so that a killed run goes on where it was.
        progress: takes lines on how far it is.
        masked: networks that fill in masked words in place of those that predict the next, as many words in all.

    Source: zhang2024embed, zhang2023definetti.
    """
    setting = find_setting("topics", size)
    setting = replace(setting, probing=replace(setting.probing, **PARTS[size]))
    setting = masked_setting(setting, PLANS[size].masks) if masked else setting
    trained = train_models(setting.process, setting.recipe, range(seeds), keep=keep, progress=progress)
    read = _Readings(setting, trained)
    found = {reading: {metric: np.empty((seeds, seeds)) for metric in SHOWN} for reading in READINGS}
    for i in range(seeds):
        for reading, row in read.network(i).items():
            for metric in SHOWN:
                found[reading][metric][i] = [one[metric] for one in row]
        progress(f"network {i + 1} of {seeds}: read on all documents")
    return CrossProbingStudy(size, setting, found, _columns(read.untrained()), _columns(read.ceilings()))


class _Readings:
    """Networks and the documents of every process: those of training and validation of a probe, then of its test."""

    def __init__(self, setting: Setting, trained: Trained) -> None:
        self.setting, self.trained, self.probing = setting, trained, setting.probing
        self.fitted, self.members = self.probing.train + self.probing.validation, range(len(trained.seeds))
        self.sample = jax.jit(setting.process.sample, static_argnums=(2, 3))
        self.draws = [self._draw(j) for j in self.members]
        self.truths = [np.asarray(draw.latents[TARGET]) for draw in self.draws]

    def network(self, i: int) -> dict[str, list[dict[str, float]]]:
        """Scores of network i on the documents of every process, by reading."""
        states = [self._states(self.trained.at(i), j) for j in self.members]
        every = np.concatenate([rows[self.fitted :] for rows in states])
        moved = read_mixture(self.probing, states[i], self.truths[i], every)
        retrained = [self._own(states[j], j) for j in self.members]
        return {
            MOVED: [self._score(part, j) for j, part in enumerate(np.split(moved, len(self.members)))],
            RETRAINED: retrained,
        }

    def untrained(self) -> list[dict[str, float]]:
        """Scores of every network before training on the documents of its own process."""
        return [self._own(self._states(self.trained.at(j, 0), j), j) for j in self.members]

    def ceilings(self) -> list[dict[str, float]]:
        """Scores of exact inference."""
        process, found = self.setting.process, []
        places, guess = self.probing.places(self.setting.recipe.length)[-1:], process.targets[TARGET].ceiling
        for j in self.members:
            said = process.exact(self.trained.world(j), self.draws[j].items[self.fitted :], [guess], places)[guess]
            found.append(self._score(np.asarray(said)[:, 0], j))
        return found

    def _draw(self, j: int) -> Draw:
        key = jax.random.fold_in(jax.random.key(self.trained.seeds[j]), DRAWS)
        count = self.fitted + self.probing.test
        return self.sample(key, self.trained.world(j), count, self.setting.recipe.length)

    def _states(self, params: Any, j: int) -> Float[np.ndarray, "document width"]:
        model: Any = self.setting.recipe.model
        return read_states(model, params, self.draws[j].items, self.probing)[1][0, :, -1]

    def _own(self, states: np.ndarray, j: int) -> dict[str, float]:
        return self._score(read_mixture(self.probing, states, self.truths[j], states[self.fitted :]), j)

    def _score(self, said: np.ndarray, j: int) -> dict[str, float]:
        return scores("distribution", said, self.truths[j][self.fitted :])


def _columns(found: list[dict[str, float]]) -> dict[str, Float[np.ndarray, " seed"]]:
    return {metric: np.array([one[metric] for one in found]) for metric in SHOWN}
