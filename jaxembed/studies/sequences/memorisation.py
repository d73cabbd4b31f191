"""Does an embedding hold its items, or only what is sufficient? Items x_1 .. x_10 read from the embedding of the tenth.

Published as Figure 4 of "What Should Embeddings Embed?": the tenth item is there, the others are not. What that means
depends on exact nulls: the mean of ten items and the last of them already give the others to some extent. The untrained
network is the other null: attention at random weights adds its items up with unequal weights, and many such sums tell
items apart. Noise added to the embedding says how much of what is read hangs on its small directions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from ...decoding import Probing, Setting, Trained, train_models
from ...decoding.probing import predicted
from ...decoding.reading import read_states
from ...probes import scores
from ...processes import GaussianGamma
from ...runs.presets.catalogue import find_setting
from ..check import Check, need_float64
from ..measured import mean_and_interval, silent
from .sufficient_statistics import GAUSS, SQUARED, StatisticsSize, in_parts

ITEMS = 10
NOISES = (0.0, 0.1, 0.3, 1.0)
"""Added to every dimension of the embedding, in units of its standard deviation."""
NOISE_HEADER = ("setting", "network", *(f"noise {noise:g}" for noise in NOISES))
HEADER = ("item", "model, likelihood", "model, squared error", "untrained", "exact: from x_10", "exact: mean and x_10")


@dataclass(frozen=True)
class Memorisation:
    """What the study found; coefficients of determination of every item, linear probes, held-out sequences.

    Attributes:
        size: of the study.
        trained: by setting, `[seed, time, position]`, where time counts `NOISES`.
        untrained: the same before training.
        last_item: `[position]`, exact: what the tenth item alone says of each.
        sufficient: `[position]`, exact: what the mean of the ten and the tenth item say of each.
    """

    size: StatisticsSize
    trained: dict[str, Float[np.ndarray, "seed time position"]]
    untrained: dict[str, Float[np.ndarray, "seed time position"]]
    last_item: Float[np.ndarray, " position"]
    sufficient: Float[np.ndarray, " position"]

    def items(self, name: str, trained: bool = True) -> Float[np.ndarray, "seed position"]:
        """Without noise."""
        return (self.trained if trained else self.untrained)[name][:, 0]

    def earlier(self, name: str, trained: bool = True) -> Float[np.ndarray, " seed"]:
        """The mean over x_1 .. x_9, without noise."""
        return self.items(name, trained)[:, :-1].mean(axis=1)

    def rows(self) -> list[tuple[str, ...]]:
        """By item, under `HEADER`."""
        rows = []
        for i in range(ITEMS):
            models = [
                mean_and_interval(self.items(name)[:, i]) if name in self.trained else "not run"
                for name in (GAUSS, SQUARED)
            ]
            before = mean_and_interval(self.items(GAUSS, trained=False)[:, i])
            rows.append((f"x_{i + 1}", *models, before, f"{self.last_item[i]:.3f}", f"{self.sufficient[i]:.3f}"))
        return rows

    def noise_rows(self) -> list[tuple[str, ...]]:
        """The mean over x_1 .. x_9 by noise, under `NOISE_HEADER`."""
        return [
            (name, label, *(mean_and_interval(r2[:, i, :-1].mean(axis=1)) for i in range(len(NOISES))))
            for name in self.trained
            for label, r2 in (("trained", self.trained[name]), ("untrained", self.untrained[name]))
        ]

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        return [check for name in self.trained for check in self._checks(name)]

    def _checks(self, name: str) -> list[Check]:
        least, added = (0.9, 0.15) if self.size == "tiny" else (0.95, 0.05)
        items, before = self.items(name), self.items(name, trained=False)
        own, worst = items[:, -1], int(items[:, :-1].mean(axis=0).argmax())
        after, start = self.earlier(name), self.earlier(name, trained=False)
        more, tenth = after - start, f"{mean_and_interval(own, 3)}; untrained {mean_and_interval(before[:, -1], 3)}"
        beyond = f"{mean_and_interval(more, 3)}; trained {after.mean():.3f}, untrained {start.mean():.3f}"
        asked = [
            Check(f"{name}: R2 of x_10", f">= {least:g}", tenth, bool(own.mean() >= least)),
            Check(
                f"{name}: mean R2 of x_1 .. x_9 beyond the untrained network's",
                f"<= {added:g}",
                beyond,
                bool(more.mean() <= added),
            ),
        ]
        if self.size == "tiny":
            return asked
        most = 0.55
        largest = (
            f"x_{worst + 1}: {mean_and_interval(items[:, worst], 3)}; mean of nine {after.mean():.3f}; sufficiency "
            f"allows {self.sufficient[0]:.3f}, x_10 alone {self.last_item[0]:.3f}, "
            f"untrained {before[:, worst].mean():.3f}"
        )
        good = bool(items[:, worst].mean() <= most)
        return [*asked, Check(f"{name}: largest R2 of x_1 .. x_9", f"<= {most:g}", largest, good)]


def memorisation(
    size: StatisticsSize, seeds: int = 3, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> Memorisation:
    """Read the first ten items from the embedding of the tenth, in networks trained on Gaussian items.

    Args:
        size: of the settings in the catalogue; "tiny" takes the likelihood alone.
        seeds: networks of each.
        keep: a folder for training (that of `sufficient_statistics` will do), so that a killed run goes on.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32.

    Source: zhang2024embed.
    """
    need_float64("memorisation")
    trained, untrained = {}, {}
    for name in (GAUSS,) if size == "tiny" else (GAUSS, SQUARED):
        setting = find_setting(name, size)
        folder = None if keep is None else keep / name / "training"
        networks = train_models(setting.process, setting.recipe, range(seeds), keep=folder, progress=progress)
        trained[name], untrained[name] = (
            np.stack([_items_read(setting, networks, seed, time) for seed in range(seeds)]) for time in (-1, 0)
        )
        progress(f"{name}: done")
    process = find_setting(GAUSS, size).process
    last, mean = np.eye(ITEMS)[-1:], np.full((1, ITEMS), 1 / ITEMS)
    both = np.concatenate([mean, last])
    return Memorisation(size, trained, untrained, linear_r2(process, last), linear_r2(process, both))


def linear_r2(process: GaussianGamma, readings: Float[np.ndarray, "target position"]) -> Float[np.ndarray, " position"]:
    """How well a line reads each item from some averages of them, exactly.

    Equation: diag(C A^T (A C A^T)^{-1} A C) / diag(C), with C = E[1/tau] (I + 1 1^T / strength) the items' covariance.

    Args:
        process: the prior.
        readings: A, what is known: a row of weights each.

    >>> last, mean = np.eye(10)[-1:], np.full((1, 10), 0.1)
    >>> [round(float(linear_r2(GaussianGamma(), known)[0]), 3) for known in (last, mean)]
    [0.25, 0.55]
    """
    covariance = np.eye(readings.shape[1]) + 1 / process.strength
    along = readings @ covariance
    return np.diag(along.T @ np.linalg.solve(along @ readings.T, along)) / np.diag(covariance)


def _items_read(setting: Setting, trained: Trained, seed: int, time: int) -> Float[np.ndarray, "time position"]:
    """R2 of every item by noise, by a line fitted to the state after the tenth."""
    probing = setting.probing
    cuts = np.cumsum([probing.train, probing.validation])
    key = jax.random.fold_in(jax.random.key(trained.seeds[seed]), 4000)
    draw = setting.process.sample(key, {}, int(cuts[-1]) + probing.test, ITEMS)
    asked = Probing(probing.targets, (ITEMS - 1,))
    states = read_states(setting.recipe.model, trained.at(seed, time), draw.items, asked)[1][0, :, 0]
    y = in_parts(np.asarray(draw.items[..., 0]), cuts)
    blur = states.std(axis=0) * np.random.default_rng(trained.seeds[seed]).normal(size=states.shape)
    names = tuple(str(i) for i in range(ITEMS))
    found = []
    for noise in NOISES:
        said = predicted("real", "linear", key, in_parts(states + noise * blur, cuts), y[:2])
        score = scores("real", said, np.asarray(y[2]), names)
        found.append([score[f"R2 {name}"] for name in names])
    return np.array(found)
