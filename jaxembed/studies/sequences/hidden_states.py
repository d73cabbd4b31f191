"""Hidden Markov models: which belief over the hidden state embeddings hold, before and after a token, and where."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Array, Float

from ...decoding import Decoded, Probing, Recipe, Trained, decode, train_models
from ...decoding._folder import kept_json
from ...decoding.reading import losses, read_states
from ...decoding.scores import CEILING, LAST_ITEM, MODEL, NULLS, UNTRAINED, joined
from ...models import Recurrent
from ...processes import HiddenMarkov
from ...runs.presets.catalogue import find_setting
from ..check import Check, need_float64
from ..measured import mean_and_interval, silent
from .hidden_state_cells import (
    BELIEF,
    EMBEDDINGS,
    OWN_PRIOR,
    SMOOTHER,
    STATISTIC,
    TWICE,
    VITERBI,
    Split,
    grid_cells,
    questions,
    shifted_cells,
    statistic,
)

HiddenStateSize = Literal["tiny", "quick", "full"]
NETWORKS = ("transformer", "recurrent")
HEADER = ("emission", "network", "embedding: target", "metric", "model", *NULLS, STATISTIC, CEILING, "share closed")
METRICS = ("accuracy", "L2", "KL")


SPLIT = Split(1500, 500, 1000)
"""Sequences that fit, choose and test a probe."""


@dataclass(frozen=True)
class Setting:
    """What is carried out.

    Attributes:
        process: the process; its emissions are set by `emissions`.
        recipes: by network, how it is trained.
        emissions: Dirichlet concentrations of the emissions.
        split: sequences of the probes.
        least: share of the gap that is asked.
    """

    process: HiddenMarkov
    recipes: dict[str, Recipe]
    emissions: tuple[float, ...] = (0.5, 1.0)
    split: Split = SPLIT
    least: float = 0.7

    @property
    def position(self) -> int:
        """n of the embedding from which the token n + 1 is withheld: the last position but one that is trained."""
        return self.recipes[NETWORKS[0]].length - 3


@dataclass(frozen=True)
class Run:
    """One network on one kind of emissions.

    Attributes:
        cells: scores of the grid, and of the shifted data.
        depths: the belief by layer and step, from the embedding that has not seen the next token.
        curve: mean loss of every piece of training, `[seed, time]`, and its steps `[time]`.
    """

    cells: Decoded
    depths: Decoded
    curve: tuple[Float[np.ndarray, "seed time"], np.ndarray]


@dataclass(frozen=True)
class HiddenStates:
    """What the study found.

    Attributes:
        size: of the study.
        setting: of it.
        seeds: of the networks; each has a world of its own.
        runs: by emission concentration and network.
    """

    size: HiddenStateSize
    setting: Setting
    seeds: tuple[int, ...]
    runs: dict[tuple[float, str], Run]

    def of(self, emission: float, network: str = NETWORKS[0]) -> Decoded:
        """All cells of one network."""
        return self.runs[emission, network].cells

    def rows(self) -> list[tuple[str, ...]]:
        """Every cell of the grid and of the shifted data, as text under `HEADER`."""
        rows = []
        for (emission, network), run in self.runs.items():
            for target in run.cells.targets:
                rows += [
                    (f"{emission:g}", network, target, metric, *_texts(run.cells, target, metric)) for metric in METRICS
                ]
        return rows

    def loss_rows(self) -> list[tuple[str, ...]]:
        """Nats a token: trained, untrained, exact, and the excess with its interval."""
        rows = []
        for (emission, network), run in self.runs.items():
            means = [f"{np.mean(run.cells.losses[name]):.4f}" for name in ("trained", "untrained", "floor")]
            rows.append((f"{emission:g}", network, *means, _interval(run.cells.excess, 4)))
        return rows

    def share(self, emission: float, metric: str, network: str = NETWORKS[0]) -> Float[np.ndarray, " seed"]:
        """Of the gap between the best null and the ceiling, for the exact belief."""
        return self.of(emission, network).share(MAIN, metric)

    def matched(self, emission: float, source: str = MODEL, network: str = NETWORKS[0]) -> Float[np.ndarray, " seed"]:
        """KL of the best mismatched cell over that of the exact belief before its token: above 1 where that wins."""
        cells = self.of(emission, network)
        mismatched = np.min([cells.values(name, "KL", source) for name in MISMATCHED], axis=0)
        return mismatched / cells.values(MAIN, "KL", source)

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        return [check for emission in self.setting.emissions for check in self._checks_of(emission)]

    def _checks_of(self, emission: float) -> list[Check]:
        cells, title, least = self.of(emission), f"emission {emission:g}", self.setting.least
        checks = []
        for metric in ("L2", "KL"):
            share, (null, source) = self.share(emission, metric), cells.null(MAIN, metric)
            got = f"{_interval(share)}; {_interval(cells.values(MAIN, metric), 4)}, {source} {null.mean():.4f}"
            name = f"{title}: share of the gap closed, {metric} of the exact belief"
            checks.append(Check(name, f">= {least:g} (mean)", got, bool(share.mean() >= least)))
        found, null = cells.values(MAIN, "L2"), cells.values(MAIN, "L2", LAST_ITEM)
        got = f"{_interval(found, 4)}; last token {_interval(null, 4)}"
        checks.append(
            Check(f"{title}: L2 of the exact belief", "below the last token's", got, bool(np.all(found < null)))
        )
        return [*checks, self._matched_check(title, emission), self._viterbi_check(title, emission)]

    def _matched_check(self, title: str, emission: float) -> Check:
        """Targets differ in how hard they are to read; what training adds is what the untrained network lacks."""
        found, null = self.matched(emission), self.matched(emission, UNTRAINED)
        name = f"{title}: least KL of a mismatched cell over that of the exact belief"
        got = f"{_interval(found)}; untrained {_interval(null)}; above 1 in {np.sum(found > 1)} of {len(found)} seeds"
        return Check(name, "above the untrained network's in every seed", got, bool(np.all(found > null)))

    def _viterbi_check(self, title: str, emission: float) -> Check:
        """That accuracy for a Viterbi target is low before its token is a matter of what has been read."""
        cells, share, least = self.of(emission), self.share_of_viterbi(emission), self.setting.least
        found, ceiling = (cells.values(VITERBI_BEFORE, "accuracy", source) for source in (MODEL, CEILING))
        null, source = cells.null(VITERBI_BEFORE, "accuracy")
        got = f"{_interval(share)}; {_interval(found, 3)} of {_interval(ceiling, 3)}, {source} {null.mean():.3f}"
        name = f"{title}: share of the gap closed, accuracy of the Viterbi state before its token"
        return Check(name, f">= {least:g} (mean)", got, bool(share.mean() >= least))

    def share_of_viterbi(self, emission: float) -> Float[np.ndarray, " seed"]:
        """Of the gap between the best null and what can be known before the token, in accuracy."""
        return self.of(emission).share(VITERBI_BEFORE, "accuracy")


MAIN = f"{EMBEDDINGS[0]}: {BELIEF}"
"""The cell that prediction demands: the exact belief about the next state, before its token."""
VITERBI_BEFORE = f"{EMBEDDINGS[0]}: {VITERBI}"
"""The published alternative: a point estimate, of which only so much can be known before its token."""
MISMATCHED = (
    f"{EMBEDDINGS[0]}: {TWICE}",
    *(f"{EMBEDDINGS[1]}: {target}" for target in (BELIEF, VITERBI, SMOOTHER, TWICE)),
)
"""Cells whose target prediction does not demand of their embedding, though what was read determines it: of others, as
of the state before its token, a network could not come nearer than the ceiling."""


def hidden_states(
    size: HiddenStateSize, seeds: int = 3, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> HiddenStates:
    """Train transformers and recurrent networks on hidden Markov chains, and read the hidden state off them.

    Args:
        size: "tiny" (seconds), "quick" (minutes) or "full" (the published sizes).
        seeds: networks of each kind; each has a world of its own.
        keep: a folder for what is trained and found, so that a killed run goes on.
        progress: takes lines on how far it is.

    Raises:
        ValueError: where JAX computes in float32, which is too coarse for the exact posteriors.

    Source: zhang2024embed.
    """
    need_float64("hidden_states")
    setting, members, runs = setting_of(size), tuple(range(seeds)), {}
    for emission in setting.emissions:
        process = replace(setting.process, emission=emission)
        for network, recipe in setting.recipes.items():
            place = None if keep is None else keep / f"{network}_{emission:g}"
            say = _named(progress, f"emission {emission:g}, {network}: ")
            runs[emission, network] = _run(process, recipe, setting, members, place, say)
    return HiddenStates(size, setting, members, runs)


def _named(progress: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda line: progress(name + line)


def _run(
    process: HiddenMarkov, recipe: Recipe, setting: Setting, seeds: tuple[int, ...], keep: Path | None, progress: Any
) -> Run:
    trained = train_models(process, recipe, seeds, keep=None if keep is None else keep / "training", progress=progress)
    parts = []
    for i in range(len(seeds)):
        identity = repr((process, recipe, setting.split, seeds[i], OWN_PRIOR))
        found = kept_json(keep, "cells", identity, lambda i=i: _cells(process, recipe, trained, i, setting).plain())
        parts.append(Decoded.of_plain(found))
        progress(f"seed {seeds[i]}: grid probed")
    train, validation, test = setting.split
    probing = Probing((BELIEF,), (setting.position,), "all", "linear", train, validation, test, times="all")
    depths = decode(process, recipe, trained, probing, keep=keep)
    return Run(joined(parts), depths, (trained.losses, trained.loss_steps))


def _cells(process: HiddenMarkov, recipe: Recipe, trained: Trained, i: int, setting: Setting) -> Decoded:
    """The grid and the shifted data of one seed."""
    world, n, split = trained.world(i), setting.position, setting.split
    keys = jax.random.split(jax.random.fold_in(jax.random.key(trained.seeds[i]), DRAWS), 4)
    draw = process.sample(keys[0], world, split.total, recipe.length)
    networks = {MODEL: trained.at(i), UNTRAINED: trained.at(i, 0)}
    belief = process.exact(world, draw.items, [BELIEF], [n, n + 1])[BELIEF]
    states = {embedding: {STATISTIC: statistic(belief[:, j])} for j, embedding in enumerate(EMBEDDINGS)}
    for source, params in networks.items():
        read = _read(recipe, params, draw.items, (n, n + 1))
        for j, embedding in enumerate(EMBEDDINGS):
            states[embedding][source] = read[:, j]
    asked = questions(process, world, draw.items, draw.latents["state"], n)
    cells = grid_cells(asked, states, np.asarray(draw.items), process.vocab, n, split, keys[1])
    other = process.shifted().sample(keys[2], world, split.total, recipe.length).items
    # At both positions, of which one is wanted: what is compiled serves again.
    shifted = {source: _read(recipe, params, other, (n, n + 1))[:, 0] for source, params in networks.items()}
    own = (states[EMBEDDINGS[0]][MODEL], asked[BELIEF].truth)
    cells += shifted_cells(process, world, shifted, own, other, n, split, keys[3])
    named = {"trained": networks[MODEL], "untrained": networks[UNTRAINED]}
    found = losses(process, world, recipe.model, recipe.head, named, draw.items[: split.test])
    return Decoded(tuple(cells), {name: (value,) for name, value in found.items()}, trained.seeds[i : i + 1])


DRAWS = 2000
"""What is folded into a seed's key for the draws of this study."""


def _read(
    recipe: Recipe, params: Any, items: Array, positions: tuple[int, ...]
) -> Float[np.ndarray, "sequence position width"]:
    """What the head reads."""
    return read_states(recipe.model, params, items, Probing((BELIEF,), positions))[1][0]


def _texts(cells: Decoded, target: str, metric: str) -> list[str]:
    """Model and share with intervals over seeds; nulls, statistic and ceiling as means."""
    sources = (*NULLS, STATISTIC, CEILING)
    return [
        _interval(cells.values(target, metric), 4),
        *(f"{round(float(cells.values(target, metric, source).mean()), 4) + 0:.4f}" for source in sources),
        _interval(cells.share(target, metric)),
    ]


def _interval(values: Float[np.ndarray, " seed"], digits: int = 2) -> str:
    return mean_and_interval(values, digits)


def setting_of(size: HiddenStateSize) -> Setting:
    """The catalogue's setting "hmm" for both kinds of emissions and both networks; one of each for "tiny"."""
    found = find_setting("hmm", size)
    split = Split(found.probing.train, found.probing.validation, found.probing.test)
    width = getattr(found.recipe.model, "width", 64)
    recurrent = replace(found.recipe, model=Recurrent(width), save_steps=())
    if size == "tiny":
        return Setting(found.process, {NETWORKS[0]: found.recipe}, (0.5,), split, least=0.3)
    return Setting(found.process, {NETWORKS[0]: found.recipe, NETWORKS[1]: recurrent}, split=split)
