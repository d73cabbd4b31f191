"""What can be read from trained networks about what generated their items, beside every null and the ceiling."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..base import Progress, silent
from ..keep import kept_json
from ..probes import Kind, scores
from ..processes.process import Draw, Target
from .probing import Probing, last_item, predicted
from .reading import losses, read_states
from .scores import CEILING, CONSTANT, LAST_ITEM, MODEL, SHUFFLED, UNTRAINED, Decoded, DecodingScore, is_null, joined
from .training import Trained, TrainingRecipe

PROBING = 1000
"""What is folded into a seed's key for the draws of probing, apart from those of training."""


class _Material(NamedTuple):
    """All sequences of one seed: those of training and validation, then those of the test."""

    items: Any
    targets: dict[str, np.ndarray]
    ceilings: dict[str, np.ndarray]


def decode(
    process: Any,
    recipe: TrainingRecipe,
    trained: Trained,
    probing: Probing,
    *,
    process_of_data: Any = None,
    transfer: bool = False,
    draws: Sequence[Draw] | None = None,
    keep: Path | None = None,
    progress: Progress = silent,
) -> Decoded:
    """Probe every trained network on fresh draws of its own process and world.

    For every target, position and layer: the model's score, that of the untrained network, of the last item alone, of
    a probe fitted to shuffled targets, of a constant, and the ceiling (what the exact posterior scores).

    Args:
        process: that the networks were trained on.
        recipe: of the training.
        trained: from `train_models`.
        probing: what is asked.
        process_of_data: another process to draw from, and to take exact posteriors of (`process.shifted()`); the
            probe is fitted on its draws too. The floor of the losses is then that of the other process, so that the
            excess holds the price of the wrong prior; the loss "own prior" is that of exact inference under `process`.
        transfer: fit the probe on draws of `process` instead, and score it on those of `process_of_data`.
        draws: sequences of one's own for every seed, `train + validation + test` of them, as long as the recipe's.
        keep: a folder for scores, seed by seed, so that a killed run goes on.
        progress: takes one line per seed.

    Raises:
        ValueError: for what `check_probing` refuses, or draws that do not fit.
    """
    check_probing(process, recipe, probing)
    if draws is not None:
        if keep is not None:
            raise ValueError("keep: what is read from draws of one's own is not written down; leave keep out")
        _check_draws(draws, probing, recipe.length, len(trained.seeds))
    source, parts = process_of_data or process, []
    identity = repr((process, recipe, probing, process_of_data, transfer))
    for i, seed in enumerate(trained.seeds):
        key = jax.random.fold_in(jax.random.key(seed), PROBING)
        draw = None if draws is None else draws[i]

        def decoded(i: int = i, key: Array = key, draw: Draw | None = draw) -> dict[str, Any]:
            world = trained.world(i)
            material = _material(process, source, transfer, world, probing, recipe.length, key, draw)
            scores = _SeedReader(process, recipe, trained, i, probing, material, key).scores()
            networks = {"trained": trained.at(i), "untrained": trained.at(i, 0)}
            tested = jnp.asarray(probing.parts(material.items)[2][: probing.loss_draws])
            own = None if process_of_data is None else process
            lost = losses(source, world, recipe.model, recipe.head, networks, tested, own)
            return Decoded(tuple(scores), {name: (x,) for name, x in lost.items()}, trained.seeds[i : i + 1]).record()

        parts.append(Decoded.of_record(kept_json(keep, "probed", f"probed {seed} {identity}", decoded)))
        progress(f"seed {seed}: {len(parts[-1].scores)} scores")
    parted = ("network", *(["world"] if jax.tree.leaves(trained.worlds) else []), "given draws" if draws else "draws")
    return replace(joined(parts), varied=f"seeds ({', '.join(parted)})")


def check_probing(process: Any, recipe: TrainingRecipe, probing: Probing) -> None:
    """Refuse what cannot be read, before anything is trained for it.

    Raises:
        ValueError: for a target that the process does not have, that has infinite variance, or that has more numbers
            than there are training sequences; a place that the network lacks or never trained.
    """
    for name in probing.targets:
        about = process.targets.get(name)
        for quantity in (name, about and about.ceiling):
            if quantity in getattr(process, "infinite", {}):
                raise ValueError(f"targets: {name!r} has infinite variance, {process.infinite[quantity]}")
        if about is None:
            raise ValueError(f"targets: no target {name!r}; there are {', '.join(process.targets)}")
        if about.size > probing.train:
            raise ValueError(
                f"targets: {name!r} has {about.size} numbers, more probe targets than the {probing.train} training "
                "sequences; raise train"
            )
    if recipe.model.causal and recipe.length - 1 in probing.places(recipe.length):
        raise ValueError(
            "positions: a causal network's answer to the last item is never trained; ask for -2 or earlier"
        )
    layers = getattr(recipe.model, "layers", None)
    if layers is not None:
        probing.depths(layers + 2)  # the embedding, and what the head reads


def _check_draws(draws: Sequence[Draw], probing: Probing, length: int, seeds: int) -> None:
    if len(draws) != seeds:
        raise ValueError(f"draws: {len(draws)} sets of sequences for {seeds} seeds; give one for each")
    for draw in draws:
        if draw.items.shape[0] < probing.sequences:
            many = draw.items.shape[0]
            raise ValueError(f"draws: {many} sequences, but the probing asks for {probing.sequences}; ask for fewer")
        if draw.items.shape[1] != length:
            raise ValueError(f"draws: sequences of {draw.items.shape[1]} items, but the recipe's are {length} long")


def _material(
    process: Any, source: Any, transfer: bool, world: Any, probing: Probing, length: int, key: Array, draw: Draw | None
) -> _Material:
    """Sequences of one seed with their targets, and the best guesses of those of the test part."""
    count, (drawing, of_exact) = probing.sequences, jax.random.split(key)
    if draw is not None:
        parts = [(source, _rows(draw, slice(count)))]
    elif transfer:
        keys = jax.random.split(drawing)
        # Of both as many as are drawn anywhere else: what is compiled serves again.
        own, moved = (of.sample(k, world, count, length) for of, k in zip((process, source), keys, strict=True))
        parts = [(process, _rows(own, slice(probing.fitted))), (source, _rows(moved, slice(probing.fitted, None)))]
    else:
        parts = [(source, source.sample(drawing, world, count, length))]
    truths = [_targets(of, world, part, probing, of_exact) for of, part in parts]
    targets = {name: np.concatenate([truth[name] for truth in truths]) for name in probing.targets}
    items = np.concatenate([np.asarray(part.items) for _, part in parts])
    tested = jnp.asarray(items[probing.fitted :])
    ceilings = {name: values[probing.fitted :] for name, values in targets.items()}
    return _Material(items, targets, ceilings | _best_guesses(source, world, tested, probing, of_exact))


def _rows(draw: Draw, rows: slice) -> Draw:
    return jax.tree.map(lambda leaf: leaf[rows], draw)


def _targets(process: Any, world: Any, draw: Draw, probing: Probing, key: Array) -> dict[str, np.ndarray]:
    """Targets at the asked positions, `[sequence, position, target]`: exact quantities, or generating latents."""
    places = probing.places(draw.items.shape[1])
    own = [name for name in probing.targets if process.targets[name].ceiling is None]
    truths = jax.device_get(process.exact(world, draw.items, own, places, key)) if own else {}
    for name in probing.targets:
        if name not in truths:
            latent = np.asarray(draw.latents[name])
            truths[name] = latent[:, list(places)] if latent.ndim == 3 else np.repeat(latent[:, None], len(places), 1)
    return truths


def _best_guesses(process: Any, world: Any, items: Any, probing: Probing, key: Array) -> dict[str, np.ndarray]:
    """What exact inference says about generating latents, by target."""
    guesses = {name: process.targets[name].ceiling for name in probing.targets}
    wanted = {name: guess for name, guess in guesses.items() if guess is not None}
    if not wanted:
        return {}
    places = probing.places(items.shape[1])
    exact = jax.device_get(process.exact(world, items, list(dict.fromkeys(wanted.values())), places, key))
    return {name: exact[guess] for name, guess in wanted.items()}


class _SeedReader:
    """The scores of one seed."""

    def __init__(
        self,
        process: Any,
        recipe: TrainingRecipe,
        trained: Trained,
        seed: int,
        probing: Probing,
        material: _Material,
        key: Array,
    ) -> None:
        self.process, self.recipe, self.trained, self.seed = process, recipe, trained, seed
        self.probing, self.material, self.key = probing, material, jax.random.fold_in(key, 2)
        self.places = probing.places(recipe.length)
        self.rows: list[DecodingScore] = []

    def scores(self) -> list[DecodingScore]:
        """Scores of what reads no network, then of the network before training and at the asked steps."""
        for target in self.probing.targets:
            for column in range(len(self.places)):
                self._without_network(target, column)
        times = range(1, len(self.trained.steps)) if self.probing.times == "all" else [len(self.trained.steps) - 1]
        self._of_network(0, (UNTRAINED,))
        for time in times:
            shuffled = (SHUFFLED,) if time == times[-1] else ()
            self._of_network(time, (*shuffled, MODEL))
        return self.rows

    def _of_network(self, time: int, sources: tuple[str, ...]) -> None:
        items, params = jnp.asarray(self.material.items), self.trained.at(self.seed, time)
        depths, states = read_states(self.recipe.model, params, items, self.probing)
        step = int(self.trained.steps[time])
        for target in self.probing.targets:
            for row, layer in enumerate(depths):
                for column in range(len(self.places)):
                    for source in sources:
                        answers = self._probed(target, column, states[row, :, column], source == SHUFFLED)
                        self._add(target, column, layer, step, source, answers)

    def _without_network(self, target: str, column: int) -> None:
        newest = last_item(self.material.items, self.places[column], self.process.size, self.probing.train)
        self._add(target, column, None, None, LAST_ITEM, self._probed(target, column, newest, False))
        truth = self.material.targets[target][:, column]
        train, _, tested = self.probing.parts(truth)
        mean = np.broadcast_to(train.mean(axis=0), tested.shape)
        self._add(target, column, None, None, CONSTANT, mean, majority(self._kind(target), truth, tested))
        self._add(target, column, None, None, CEILING, self.material.ceilings[target][:, column])

    def _probed(self, target: str, column: int, x: np.ndarray, shuffled: bool) -> np.ndarray:
        """What a probe of `x` says about the test part."""
        train = self.probing.train
        truth, key = self.material.targets[target][:, column], jax.random.fold_in(self.key, column)
        if shuffled:
            order = np.asarray(jax.random.permutation(key, train))
            truth = np.concatenate([truth[:train][order], np.roll(truth[train:], 1, axis=0)])
        parts, targets = self.probing.parts(x), self.probing.parts(truth)[:2]
        return predicted(self._kind(target), self.probing.probe, key, parts, targets)

    def _kind(self, target: str) -> Kind:
        return self.process.targets[target].kind

    def _add(
        self,
        target: str,
        column: int,
        layer: int | None,
        step: int | None,
        source: str,
        answers: np.ndarray,
        instead: dict[str, float] | None = None,
    ) -> None:
        about: Target = self.process.targets[target]
        names = about.names if about.kind == "real" else ()
        tested = self.probing.parts(self.material.targets[target][:, column])[2]
        by_metric = scores(about.kind, np.asarray(answers), tested, names) | (instead or {})
        place = (target, self.places[column], layer, step, source)
        for metric, value in by_metric.items():
            # The sign of a nearly constant probe's ranks is random, so that it would be a null of any size.
            defined = value if is_null(source, metric) else float("nan")
            self.rows.append(DecodingScore(*place, metric, (defined,)))


def majority(kind: Kind, truth: np.ndarray, tested: np.ndarray) -> dict[str, float]:
    """Agreement with the most frequent argmax of all, which need not be the argmax of the mean."""
    if kind == "real":
        return {}
    most = np.bincount(truth[: len(truth) - len(tested)].argmax(axis=1)).argmax()
    return {"accuracy": float(np.mean(tested.argmax(axis=1) == most))}
