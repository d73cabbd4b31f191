"""Weight decay decides what becomes of noisy labels: modular addition with a tenth of the training labels redrawn."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float

from ...base import Dataset
from ...losses.population import decayed
from ...models import TwoPosition, activation
from ...statistics import position_signatures
from ...tasks import BinaryTable
from ...theory import two_position
from ...train import train
from ..check import Check
from ..measured import silent, single_precision

PARTS = ("clean", "noise", "test")
REGIMES = ("memorise", "fit all and generalise", "generalise and drop the noise", "collapse")


@dataclass(frozen=True)
class Setting:
    """Sizes and optimiser: full-batch gradient descent with heavy-ball momentum, in float32.

    Attributes:
        size: number of symbols P.
        width: width D; weights start at D^(-1/2).
        decays: lambda.
        step: learning rate; with momentum m, one step is about step / (1 - m) of flow time.
        momentum: m; 0 is plain gradient descent.
        steps: number of steps.
        saves: how often accuracies are taken.
        regimes: what must be among the outcomes.
    """

    size: int = 59
    width: int = 512
    decays: tuple[float, ...] = (0.0, 1e-4, 5e-4, 1e-3, 2e-3)
    step: float = 2.0
    momentum: float = 0.9
    steps: int = 4000
    saves: int = 80
    regimes: tuple[str, ...] = REGIMES


SETTINGS = {
    "tiny": Setting(13, 64, (0.0, 3e-2), steps=800, saves=8, regimes=("memorise", "collapse")),
    "normal": Setting(),
    "large": Setting(113, 2000, (0.0, 1e-4, 5e-4, 1e-3), step=0.2, momentum=0.0, steps=1_000_000, saves=200),
}
"""tiny runs in seconds; large is the published size, for a GPU."""


@partial(register_dataclass, data_fields=["joint"], meta_fields=["activation"])
@dataclass(frozen=True)
class PairLoss:
    """Cross-entropy of the two-position model over a table of pairs, all of them at once, without lookups."""

    joint: Float[Array, "..."]
    activation: str

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        logits = self.logits(params)
        normaliser = jax.nn.logsumexp(logits, axis=1)
        return jnp.sum(jnp.sum(self.joint, axis=1) * normaliser) - jnp.sum(self.joint * logits)

    def logits(self, params: dict[str, Array]) -> Float[Array, "example token"]:
        """Of every pair a * P + b."""
        h = params["embed"][:, None, :] + params["second"][None, :, :]
        return activation(self.activation).apply(h.reshape(-1, h.shape[-1])) @ params["unembed"].T


@dataclass(frozen=True)
class WeightDecay:
    """Accuracies along training.

    Attributes:
        setting: sizes and optimiser.
        steps: `[time]`, when they were taken.
        accuracies: by lambda and part (`PARTS`), `[seed, time]`; a seed draws the split, the noise and the start.
        norms: by lambda, squared norm of all parameters, `[seed, time]`.
        lucky: `[seed]`, share of the redrawn labels that are right by chance: the noise accuracy of a perfect model.
        escape: `[seed]`, the rate c1 S1 at which a small state leaves the origin, which decay has to exceed to pull
            every small state back.
    """

    setting: Setting
    steps: Float[np.ndarray, " time"]
    accuracies: dict[float, dict[str, Float[np.ndarray, "seed time"]]]
    norms: dict[float, Float[np.ndarray, "seed time"]]
    lucky: Float[np.ndarray, " seed"]
    escape: Float[np.ndarray, " seed"]

    @property
    def chance(self) -> float:
        return 1 / self.setting.size

    def final(self, decay: float, part: str) -> Float[np.ndarray, " seed"]:
        return self.accuracies[decay][part][:, -1]

    def regimes(self, decay: float) -> tuple[str, ...]:
        """What became of each seed at the end."""
        left = self.norms[decay][:, -1] / self.norms[decay][:, 0]
        finals = (self.final(decay, part) for part in PARTS)
        return tuple(regime(*cell) for cell in zip(*finals, left, strict=True))

    def rows(self) -> list[tuple[str, ...]]:
        """Final accuracies of every decay, in the order of `HEADER`."""
        return [
            (f"{decay:g}", *(_text(self.final(decay, part)) for part in PARTS), _outcome(self.regimes(decay)))
            for decay in self.accuracies
        ]

    def checks(self) -> list[Check]:
        """Every regime is what all seeds of some decay end in, and they follow each other as decay grows."""
        outcomes = {decay: set(self.regimes(decay)) for decay in self.accuracies}
        checks, order = [], []
        for name in self.setting.regimes:
            decays = [decay for decay, found in outcomes.items() if found == {name}]
            order += decays
            got = f"lambda {', '.join(f'{decay:g}' for decay in decays)}" if decays else "at no decay"
            checks.append(Check(name, "all seeds, at some weight decay", got, bool(decays)))
        ordered = order == sorted(order)
        checks.append(Check("order of the regimes", "as above, by growing decay", "yes" if ordered else "no", ordered))
        return [*checks, self._threshold_check()]

    def _threshold_check(self) -> Check:
        """Seed by seed: collapse exactly at the decays above the rate at which small states leave the origin."""
        cells = [
            (decay > escape) == (found == "collapse")
            for decay in self.accuracies
            for found, escape in zip(self.regimes(decay), self.escape, strict=True)
        ]
        got = f"{sum(cells)} of {len(cells)} runs as predicted; c1 S1 = {_text(self.escape, 5)}"
        return Check("collapse if and only if decay > c1 S1", "every run", got, all(cells))


HEADER = ("weight decay", "clean", "noise", "test", "regime")


def regime(clean: float, noise: float, test: float, left: float) -> str:
    """The regime of final accuracies and the share `left` of the squared norm; "between" where they fit none."""
    if left < 0.01:
        return "collapse"
    if clean > 0.95 and noise > 0.95:
        return "memorise" if test < 0.1 else "fit all and generalise" if test > 0.5 else "between"
    return "generalise and drop the noise" if clean > 0.95 and noise < 0.5 and test > 0.5 else "between"


def weight_decay(
    size: Literal["tiny", "normal", "large"], seeds: int = 3, progress: Callable[[str], None] = silent
) -> WeightDecay:
    """Train at every decay from the same starts, and score clean, noisy and held-out pairs along the way.

    Args:
        size: "tiny" (seconds), "normal" (P = 59, about 15 minutes on one core) or "large" (P = 113, D = 2000, a GPU).
        seeds: draws of split, noise and start.
        progress: called with a line of text after each run.

    Source: wang2026modular.
    """
    setting = SETTINGS[size]
    steps = np.unique(np.linspace(0, setting.steps, setting.saves + 1).astype(int))
    found = {decay: [] for decay in setting.decays}
    tasks = [BinaryTable(setting.size, label_noise=0.1, train_share=0.8, seed=seed) for seed in range(seeds)]
    for seed, task in enumerate(tasks):
        model = TwoPosition(setting.width)
        start = single_precision(model.init(jax.random.key(seed), task.size, task.length))
        tables = {"train": task.dataset(), "clean": task.clean_dataset(), "noise": task.noisy_dataset()}
        tables = {name: _table(data) for name, data in (tables | {"test": task.held_out_dataset()}).items()}
        for decay in setting.decays:
            line = _run(setting, steps, start, PairLoss(tables["train"], model.activation), tables, decay)
            found[decay].append(line)
            ends = ", ".join(f"{part} {line[part][-1]:.3f}" for part in PARTS)
            progress(f"seed {seed}, weight decay {decay:g}: {ends}")
    accuracies = {
        decay: {part: np.stack([line[part] for line in lines]) for part in PARTS} for decay, lines in found.items()
    }
    norms = {decay: np.stack([line["norm"] for line in lines]) for decay, lines in found.items()}
    lucky = np.array([_lucky(task) for task in tasks])
    escape = np.array(
        [two_position.growth_rate(position_signatures(task.dataset()), TwoPosition().taylor) for task in tasks]
    )
    return WeightDecay(setting, steps.astype(float), accuracies, norms, lucky, escape)


def _table(data: Dataset) -> Float[Array, "..."]:
    """P(a, b, y) as `[a * P + b, y]`, in float32."""
    table = np.zeros((data.vocab**2, data.vocab), np.float32)
    rows = np.asarray(data.tokens) @ np.array([data.vocab, 1])
    np.add.at(table, (rows, np.asarray(data.targets)), np.asarray(data.weights))
    return jnp.asarray(table)


def _run(
    setting: Setting, steps: np.ndarray, start: dict, loss: PairLoss, tables: dict, decay: float
) -> dict[str, np.ndarray]:
    """Accuracies of every part and the squared norm, `[time]`."""
    optimizer = optax.sgd(setting.step, momentum=setting.momentum or None)

    @jax.jit
    def run(start: dict, loss: PairLoss, tables: dict, decay: Array) -> dict[str, Array]:
        def score(params: dict[str, Array]) -> dict[str, Array]:
            best = jax.nn.one_hot(jnp.argmax(loss.logits(params), axis=1), setting.size, dtype=jnp.float32)
            norm = sum(jnp.sum(leaf**2) for leaf in params.values())
            return {part: jnp.sum(best * tables[part]) for part in PARTS} | {"norm": jnp.asarray(norm)}

        return train(decayed(loss, decay), start, optimizer, save_steps=steps, save=score).ys

    return jax.tree.map(np.asarray, run(start, loss, tables, jnp.asarray(decay, jnp.float32)))


def _lucky(task: BinaryTable) -> float:
    data = task.noisy_dataset()
    return float(np.mean(np.asarray(data.tokens).sum(axis=1) % task.size == np.asarray(data.targets)))


def _text(values: np.ndarray, digits: int = 3) -> str:
    low, high = f"{values.min():.{digits}f}", f"{values.max():.{digits}f}"
    return low if low == high else f"{low} .. {high}"


def _outcome(regimes: tuple[str, ...]) -> str:
    return regimes[0] if len(set(regimes)) == 1 else ", ".join(regimes)
