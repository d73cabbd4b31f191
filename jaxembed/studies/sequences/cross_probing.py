"""Five networks and five topic models: the mixture is read from a network only where its own topics wrote the text.

With its own probe a network says nothing about topics of another model: their order there is arbitrary. With the probe
retrained on those documents what counts is whether the network's states hold them apart.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ...decoding import DecodingSetting, Trained, read_states, train_models
from ...probes import scores
from ...processes import Draw
from ...runs.presets import find_setting
from ...tables import Table, number
from .. import Bound, Evidence, Run, Size, Study
from ._shared import gain_evidence, margin, training_note
from .topics import SMALLER, TARGET, VARIED, masked_setting, read_mixture

DRAWS = 4000
"""What is folded into a seed's key for the documents of its process."""
MOVED, RETRAINED = READINGS = ("own probe", "probe retrained")
SHOWN = {"accuracy": 3, "L2": 4}
"""Metrics, with their digits."""


@dataclass(frozen=True)
class CrossProbingSetting:
    """Networks on topic models of their own.

    Attributes:
        decoding: process, training and probing.
        masks: words to fill in, for networks that do that in place of predicting the next, as many words in all; 0 for
            those that predict.
    """

    decoding: DecodingSetting
    masks: int = 0

    @property
    def networks(self) -> DecodingSetting:
        """The setting that is trained."""
        return masked_setting(self.decoding, self.masks) if self.masks else self.decoding


def setting_of(size: Size, **parts: int) -> CrossProbingSetting:
    """The setting "topics" of the catalogue with fewer documents of the probes: there are as many probes as pairs."""
    setting = find_setting("topics", size)
    return CrossProbingSetting(replace(setting, probing=replace(setting.probing, **parts)))


SETTINGS: dict[Size, CrossProbingSetting] = {
    "tiny": setting_of("tiny"),
    "quick": setting_of("quick", train=1000, validation=300, test=500),
    "published": setting_of("published"),
}


@dataclass(frozen=True)
class CrossProbing:
    """Networks read on the documents of every process.

    Attributes:
        setting: what ran.
        scores: by reading (`READINGS`) and metric, `[seed, seed]`: network i on documents of process j.
        untrained: by metric, `[seed]`: network j before training on documents of process j, the probe fitted there.
        ceiling: by metric, `[seed]`: exact inference on the documents of process j, its topics known.
    """

    setting: CrossProbingSetting
    scores: dict[str, dict[str, Float[np.ndarray, "seed seed"]]]
    untrained: dict[str, Float[np.ndarray, " seed"]]
    ceiling: dict[str, Float[np.ndarray, " seed"]]


def run(setting: CrossProbingSetting, run: Run) -> CrossProbing:
    """Train a network for each of several topic models, and read each on the documents of all of them."""
    one, seeds = setting.networks, range(run.seeds)
    trained = train_models(one.process, one.recipe, seeds, keep=run.keep, progress=run.progress)
    reader, rows = _CrossReader(one, trained), {reading: [] for reading in READINGS}
    for i in seeds:
        for reading, row in reader.network(i).items():
            rows[reading].append(row)
        run.progress(f"network {i + 1} of {run.seeds}: read on all documents")
    matrices = {
        reading: {metric: np.array([[score[metric] for score in row] for row in rows[reading]]) for metric in SHOWN}
        for reading in READINGS
    }
    return CrossProbing(setting, matrices, _columns(reader.untrained()), _columns(reader.ceilings()))


def tables(result: CrossProbing) -> tuple[Table, ...]:
    """Every matrix, a row per network, then the untrained networks and the ceilings."""
    rows = []
    for metric, digits in SHOWN.items():
        spec = f".{digits}f"
        for reading in READINGS:
            for i, row in enumerate(result.scores[reading][metric]):
                rows.append((reading, metric, str(i + 1), *(number(x, spec) for x in row)))
        for name, values in (("probe retrained, untrained", result.untrained), ("ceiling", result.ceiling)):
            rows.append((name, metric, "", *(number(x, spec) for x in values[metric])))
    header = ("reading", "metric", "network", *(f"documents {j + 1}" for j in range(len(result.ceiling["L2"]))))
    note = training_note(result.setting.networks)
    note += "" if result.setting.masks else "; masked networks (`CrossProbingSetting.masks`): not run"
    return (Table("the mixture read from network i on documents of process j", header, rows, note),)


def evidence(result: CrossProbing) -> tuple[Evidence, ...]:
    """Own topics against the best of the other networks on the same documents."""
    own, best = own_and_others(result.scores[MOVED]["accuracy"], np.max)
    errors, least = own_and_others(result.scores[RETRAINED]["L2"], np.min)
    ceiling = f"{result.ceiling['accuracy'].mean():.3f}"
    means, control = f"own {own.mean():.3f}, best other {best.mean():.3f}", "a difference from the best other network"
    above = Bound("paper", least=0.0, source="above every other network", strict=True)
    return (
        gain_evidence("topics-cross-probing", f"only of topics a network was trained on (accuracy above the best other "
                      f"network's on the same documents: {means})", own - best, "figure only", bound=above,
                      no_null=control, ceiling=f"exact inference {ceiling}", varied=VARIED),
        gain_evidence("topics-cross-probing-retrained", "probe retrained: L2 of the best other network less that of a "
                      "process's own, on its documents, which differ in how hard they are", least - errors,
                      "figure only", bound=margin("below every other network"), no_null=control,
                      ceiling=f"{least.mean():.4f}", varied=VARIED),
    )  # fmt: skip


def caption(result: CrossProbing) -> str:
    ceiling = ", ".join(f"{value:.3f}" for value in result.ceiling["accuracy"])
    return f"{training_note(result.setting.networks)}; accuracy of exact inference by process: {ceiling}."


STUDY = Study(
    name="cross_probing",
    source="zhang2023definetti",
    settings=SETTINGS,
    seeds={"tiny": 3, "quick": 5, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("topics-cross-probing", "topics-cross-probing-retrained"),
    takes={"tiny": "20 s", "quick": "4 min", "published": "hours"},
    smaller=SMALLER,
)


def own_and_others(matrix: Float[np.ndarray, "seed seed"], best: Any) -> tuple[np.ndarray, np.ndarray]:
    """What every network scores on its own documents, and the best of the others on the same documents.

    >>> own_and_others(np.arange(9.0).reshape(3, 3), np.min)
    (array([0., 4., 8.]), array([3., 1., 2.]))
    """
    others = [np.delete(column, j) for j, column in enumerate(matrix.T)]
    return np.diagonal(matrix), np.array([best(column) for column in others])


class _CrossReader:
    """Networks and the documents of every process: those of training and validation of a probe, then of its test."""

    def __init__(self, setting: DecodingSetting, trained: Trained) -> None:
        self.setting, self.trained, self.probing = setting, trained, setting.probing
        self.fitted, self.members = self.probing.fitted, range(len(trained.seeds))
        self.sample = jax.jit(setting.process.sample, static_argnums=(2, 3))
        self.draws = [self._draw(j) for j in self.members]
        self.truths = [np.asarray(draw.latents[TARGET]) for draw in self.draws]

    def network(self, i: int) -> dict[str, list[dict[str, float]]]:
        """Scores of network i on the documents of every process, by reading."""
        states = [self._states(self.trained.at(i), j) for j in self.members]
        every = np.concatenate([rows[self.fitted :] for rows in states])
        moved = np.split(read_mixture(self.probing, states[i], self.truths[i], every), len(self.members))
        return {
            MOVED: [self._score(part, j) for j, part in enumerate(moved)],
            RETRAINED: [self._own(states[j], j) for j in self.members],
        }

    def untrained(self) -> list[dict[str, float]]:
        """Scores of every network before training on the documents of its own process."""
        return [self._own(self._states(self.trained.at(j, 0), j), j) for j in self.members]

    def ceilings(self) -> list[dict[str, float]]:
        """Scores of exact inference."""
        process, rows = self.setting.process, []
        places, guess = self.probing.places(self.setting.recipe.length)[-1:], process.targets[TARGET].ceiling
        for j in self.members:
            exact = process.exact(self.trained.world(j), self.draws[j].items[self.fitted :], [guess], places)[guess]
            rows.append(self._score(np.asarray(exact)[:, 0], j))
        return rows

    def _draw(self, j: int) -> Draw:
        key = jax.random.fold_in(jax.random.key(self.trained.seeds[j]), DRAWS)
        return self.sample(key, self.trained.world(j), self.probing.sequences, self.setting.recipe.length)

    def _states(self, params: Any, j: int) -> Float[np.ndarray, "document width"]:
        return read_states(self.setting.recipe.model, params, self.draws[j].items, self.probing)[1][0, :, -1]

    def _own(self, states: np.ndarray, j: int) -> dict[str, float]:
        return self._score(read_mixture(self.probing, states, self.truths[j], states[self.fitted :]), j)

    def _score(self, answers: np.ndarray, j: int) -> dict[str, float]:
        return scores("distribution", answers, self.truths[j][self.fitted :])


def _columns(rows: list[dict[str, float]]) -> dict[str, Float[np.ndarray, " seed"]]:
    return {metric: np.array([row[metric] for row in rows]) for metric in SHOWN}
