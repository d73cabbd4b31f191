"""Discrete hypotheses: do networks that predict the next item carry the posterior over what generates the items?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import Probing, Setting, Trained, train_models
from ...decoding._folder import kept_json
from ...decoding.reading import losses, read_states
from ...decoding.result import interval
from ...models import Mixture
from ...observables import summary
from ...probes import gap_closed
from ...processes import Rectangles
from ...runs.presets.catalogue import SETTINGS
from ..check import Check, need_float64
from ..measured import silent
from .hypothesis_cells import CEILING, METRICS, MODEL, NULLS, UNTRAINED, Material, drawn, fitted_on, on_ridge, readings

HypothesisSize = Literal["tiny", "quick", "full"]
EASY, HARD, DENSITY, NUMBERS = ("rectangles", "rectangles-hard", "rectangles, density", "number-game")
RUNS = {"tiny": (EASY, NUMBERS), "quick": (EASY, HARD, DENSITY, NUMBERS), "full": (EASY, HARD, DENSITY, NUMBERS)}
OWN, RETRAINED, CARRIED = PRIORS = ("own prior", "shifted prior", "shifted prior, probe carried over")
PUBLISHED = {20: 0.873, 50: 0.995}
"""Agreement after so many points; which axis it was, and against which hypothesis, is not known."""
SHARE = 0.7
SHOWN = {
    "16, 8, 2, 64": (16, 8, 2, 64),
    "12, 18, 3, 9": (12, 18, 3, 9),
    "16, 23, 19, 20": (16, 23, 19, 20),
    "7, 11, 9, 8": (7, 11, 9, 8),
}
"""Examples whose generalisation is drawn, where the game has their numbers: of rules, and of magnitude."""
HEADER = ("process", "after", "prior", "read from", *METRICS)

Scores = dict[str, dict[str, float]]
"""By source and metric."""


@dataclass(frozen=True)
class HypothesesStudy:
    """What the study found.

    Attributes:
        size: of the study.
        seeds: members of every run.
        settings: by run.
        scores: by run and seed: by prior, position, source and metric.
        excess: by run, `[seed]`: loss above that of exact inference.
        moments: by run of rectangles, `[seed]` by source and target: R2 of posterior means from a ridge probe.
        curves: of the number game, by examples: exact and read probabilities that a number belongs, the latter by seed.
    """

    size: HypothesisSize
    seeds: int
    settings: dict[str, Setting]
    scores: dict[str, list[dict[str, dict[int, Scores]]]]
    excess: dict[str, Float[np.ndarray, " seed"]]
    moments: dict[str, dict[str, dict[str, Float[np.ndarray, " seed"]]]]
    curves: dict[str, dict[str, np.ndarray]]

    def values(self, run: str, position: int, source: str, metric: str, prior: str = OWN) -> Float[np.ndarray, " seed"]:
        """One score of every seed."""
        return np.array([found[prior][position][source][metric] for found in self.scores[run]])

    def null(self, run: str, position: int) -> Float[np.ndarray, " seed"]:
        """The agreement of the best null of every seed."""
        return np.max([self.values(run, position, source, "agreement") for source in NULLS], axis=0)

    def share(self, run: str, position: int) -> Float[np.ndarray, " seed"]:
        """The share of the gap between the best null and certainty that is closed, in agreement with the posterior."""
        return gap_closed(self.values(run, position, MODEL, "agreement"), self.null(run, position), 1.0)

    def rows(self) -> list[tuple[str, ...]]:
        """Every score, mean over seeds with its interval, under `HEADER`."""
        rows = []
        for run, members in self.scores.items():
            for prior, places in members[0].items():
                for position, sources in places.items():
                    for source in sources:
                        place = (run, position, source)
                        found = [text(self.values(*place, metric, prior)) for metric in METRICS]
                        rows.append((run, f"{position + 1}", prior, source, *found))
        return rows

    def notes(self) -> list[str]:
        """What is left to say below the table."""
        notes = [f"{run}: loss {text(excess)} above exact inference" for run, excess in self.excess.items()]
        for run, sources in self.moments.items():
            parts = (
                f"{name} {text(r2)} ({text(sources[UNTRAINED][name])} untrained)" for name, r2 in sources[MODEL].items()
            )
            notes.append(f"{run}: R2 of posterior means, {', '.join(parts)}")
        for run, members in self.scores.items():
            for position in members[0][OWN]:
                notes.append(f"{run}, after {position + 1}: share of the gap closed {text(self.share(run, position))}")
        return notes

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        checks = [self._share_check(run) for run in self.scores]
        if self.size == "full":
            checks += [self._published_check(n) for n in PUBLISHED]
        return [*checks, self._shifted_check(), self._curve_check()]

    def _share_check(self, run: str) -> Check:
        """At the first position that is read: later ones are nearly certain, and the nulls too."""
        position = min(self.scores[run][0][OWN])
        found, least = self.share(run, position), SHARE if self.size != "tiny" else 0.0
        got = (
            f"{text(found)}; agreement {text(self.values(run, position, MODEL, 'agreement'))}, best null "
            f"{text(self.null(run, position))}; of the generating one "
            f"{text(self.values(run, position, MODEL, 'generating'))}, possible "
            f"{text(self.values(run, position, CEILING, 'generating'))}"
        )
        asked = f">= {least:.0%} (mean over seeds)"
        name = f"{run}: share of the gap closed after {position + 1}"
        return Check(name, asked, got, bool(found.mean() >= least))

    def _published_check(self, items: int) -> Check:
        """Asked of the published sizes alone: smaller ones are another process."""
        found, null = self.values(EASY, items - 1, MODEL, "agreement"), self.null(EASY, items - 1)
        got, asked = f"{text(found)}; best null {text(null)}", f">= {PUBLISHED[items]:.1%}"
        return Check(f"easy rectangles: agreement after {items}", asked, got, bool(found.mean() >= PUBLISHED[items]))

    def _shifted_check(self) -> Check:
        """A network that only knew its own prior would fall to the nulls of its own."""
        position = min(self.scores[EASY][0][OWN])
        found = {prior: self.values(EASY, position, MODEL, "agreement", prior) for prior in PRIORS}
        null = self.values(EASY, position, UNTRAINED, "agreement", RETRAINED)
        got = "; ".join(f"{prior} {text(values)}" for prior, values in found.items()) + f"; untrained {text(null)}"
        asked = "probe fitted anew: above the untrained network, every seed"
        return Check("easy rectangles, small ones favoured", asked, got, bool(np.all(found[RETRAINED] > null)))

    def _curve_check(self) -> Check:
        found = np.array(self.curve_errors(MODEL))
        null = np.array(self.curve_errors(UNTRAINED))
        asked = "below the untrained network's, every seed"
        got = f"{text(found)}; untrained {text(null)}"
        return Check("number game: mean error of drawn generalisation", asked, got, bool(np.all(found < null)))

    def curve_errors(self, source: str) -> Float[np.ndarray, " seed"]:
        """Mean absolute error over numbers and examples, by seed."""
        errors = [np.abs(found[source] - found["exact"][None]).mean(axis=1) for found in self.curves.values()]
        return np.mean(errors, axis=0)


def hypotheses(
    size: HypothesisSize, seeds: int = 3, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> HypothesesStudy:
    """Train on rectangles and the number game, and read the posterior over hypotheses from the networks.

    Args:
        size: "tiny", "quick" or "full" (see `latent.SETTINGS`).
        seeds: networks of every run, each with draws of its own.
        keep: a folder for networks and scores, so that a killed run goes on where it was.
        progress: takes lines on how far it is.

    Raises:
        ValueError: where JAX computes in float32.

    Source: zhang2024embed, tenenbaum1999bayesian.
    """
    need_float64("hypotheses")
    settings, scores, excess, moments, curves = {run: of_run(run, size) for run in RUNS[size]}, {}, {}, {}, {}
    for run, setting in settings.items():
        folder = None if keep is None else keep / run.replace(", ", "-")
        trained = train_models(setting.process, setting.recipe, range(seeds), keep=folder, progress=progress)
        members = [
            kept_json(folder, "hypotheses", repr((setting, seed)), partial(_member, run, setting, trained, seed))
            for seed in range(seeds)
        ]
        scores[run] = [_by_position(found["scores"]) for found in members]
        excess[run] = np.array([found["excess"] for found in members])
        if run != NUMBERS:
            moments[run] = _gathered([found["moments"] for found in members])
        else:
            curves = {name: _curves([found["curves"][name] for found in members]) for name in members[0]["curves"]}
        progress(f"{run}: scored")
    return HypothesesStudy(size, seeds, settings, scores, excess, moments, curves)


def recovered(seeds: int, sequences: int) -> dict[tuple[str, int], Float[np.ndarray, " seed"]]:
    """How often the likeliest rectangle is the generating one, by axis and points seen: what can be known at all."""
    found, points = {}, (1, 20, 50)
    places = tuple(count - 1 for count in points)
    for axis in ("easy", "hard"):
        for seed in range(seeds):
            material = drawn(Rectangles(axis), jax.random.key(seed), sequences, max(points), places)
            right = material.exact["hypothesis"].argmax(axis=2) == material.generating[:, None]
            for count, share in zip(points, right.mean(axis=0), strict=True):
                found.setdefault((axis, count), []).append(share)
    return {place: np.array(shares) for place, shares in found.items()}


def of_run(run: str, size: HypothesisSize) -> Setting:
    """The setting of a run: the catalogue's, or its rectangles with a density for a head; "tiny" reads one position."""
    setting = SETTINGS[EASY if run == DENSITY else run][size]
    if size == "tiny":
        setting = replace(setting, probing=replace(setting.probing, positions=setting.probing.positions[:1]))
    if run != DENSITY:
        return setting
    return replace(setting, recipe=replace(setting.recipe, head=Mixture(8)))


def _member(run: str, setting: Setting, trained: Trained, seed: int) -> dict[str, Any]:
    """All that is found of one network, as JSON data."""
    process, recipe, probing = setting.process, setting.recipe, setting.probing
    places, count = probing.places(recipe.length), probing.train + probing.validation + probing.test
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 2000), 2)
    names = ("generalisation",) if run == NUMBERS else ("centre", "extent")
    own, other = drawn(process, keys[0], count, recipe.length, places, names), None
    parts = [own.items]
    if run == EASY:
        other = drawn(process.shifted(), keys[1], count, recipe.length, places, names)
        parts.append(other.items)
    shown = _shown(process, recipe.length) if run == NUMBERS else {}
    if shown:
        parts.append(np.stack([np.asarray(items, own.items.dtype) for items in shown.values()]))
    read = _read(setting, trained, seed, parts)
    states = {name: rows[0] for name, rows in read.items()}
    asked = places[:1] if run == DENSITY else places
    found = {OWN: readings(states, own, probing, asked, process.size)}
    if other is not None:
        moved = {name: rows[1] for name, rows in read.items()}
        found[RETRAINED] = readings(moved, other, probing, places[:1], 2, (MODEL, UNTRAINED, CEILING))
        both = (fitted_on(states, moved, probing), fitted_on(own, other, probing))
        found[CARRIED] = readings(*both, probing, places[:1], 2, (MODEL, CEILING))
    params, tested = {"trained": trained.at(seed)}, jnp.asarray(own.items[-probing.loss_draws :])
    loss = losses(process, {}, recipe.model, recipe.head, params, tested)
    more = {"curves": _curves_read(setting, read, own, shown)} if shown else {"moments": _moments(states, own, probing)}
    return {"scores": found, "excess": loss["trained"] - loss["floor"], **more}


def _read(setting: Setting, trained: Trained, seed: int, parts: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """States of the model and the untrained network at all places, of every part; read in one go, compiled once."""
    items, cuts = jnp.asarray(np.concatenate(parts)), np.cumsum([len(part) for part in parts])[:-1]
    found = {}
    for source, time in ((MODEL, -1), (UNTRAINED, 0)):
        states = read_states(setting.recipe.model, trained.at(seed, time), items, setting.probing)[1][0]
        found[source] = np.split(states, cuts)
    return found


def _moments(states: dict[str, np.ndarray], own: Material, probing: Probing) -> dict[str, dict[str, float]]:
    """R2 of the posterior means of centre and extent at the first place, by a ridge probe."""
    cut, found = probing.train + probing.validation, {}
    for source, rows in states.items():
        first = {name: own.exact[name][:, 0] for name in ("centre", "extent")}
        said = {name: on_ridge(rows[:, 0], target, rows[cut:, 0], probing) for name, target in first.items()}
        found[source] = {name: _r2(said[name], first[name][cut:]) for name in first}
    return found


def _shown(process: Any, length: int) -> dict[str, list[int]]:
    """Examples as sequences: what follows them is not read, and repeats the last."""
    fitting = {name: numbers for name, numbers in SHOWN.items() if max(numbers) <= process.numbers}
    return {name: [n - 1 for n in (*numbers, *numbers[-1:] * (length - 4))] for name, numbers in fitting.items()}


def _curves_read(
    setting: Setting, read: dict[str, list[np.ndarray]], own: Material, shown: dict[str, list[int]]
) -> dict[str, dict[str, list[float]]]:
    """How likely every number belongs after four examples: exact, and read by a ridge probe fitted on other draws."""
    items = jnp.asarray(list(shown.values()))[:, :4]
    said = {"exact": np.asarray(setting.process.exact({}, items, ("generalisation",), (3,))["generalisation"][:, 0])}
    target = own.exact["generalisation"][:, 0]
    for source, (rows, asked) in read.items():
        said[source] = on_ridge(rows[:, 0], target, asked[:, 0], setting.probing)
    return {name: {source: rows[i].tolist() for source, rows in said.items()} for i, name in enumerate(shown)}


def _r2(said: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean(1 - np.sum((said - truth) ** 2, axis=0) / np.sum((truth - truth.mean(axis=0)) ** 2, axis=0)))


def _by_position(scores: dict[str, Any]) -> dict[str, dict[int, Scores]]:
    """Back from JSON, which knows words for keys only."""
    return {prior: {int(n): found for n, found in places.items()} for prior, places in scores.items()}


def _gathered(members: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, np.ndarray]]:
    first = members[0]
    return {a: {b: np.array([found[a][b] for found in members]) for b in first[a]} for a in first}


def _curves(members: list[dict[str, list[float]]]) -> dict[str, np.ndarray]:
    by_seed = {name: np.array([found[name] for found in members]) for name in members[0]}
    return by_seed | {"exact": by_seed["exact"][0]}


def text(values: Float[np.ndarray, " seed"]) -> str:
    """ "mean [low, high]" over seeds: Student's interval."""
    return interval(summary(values, "seeds (network and draws)"))
