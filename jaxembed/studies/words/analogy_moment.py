"""The moment at which analogies become solvable, told by modes and start, against training on made words."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...base import Dataset
from ...ensemble import ensemble
from ...models import PairLoss, WordPairs, pair_loss
from ...observables import analogies
from ...statistics import count, signatures
from ...tasks import Attributes, shuffled
from ...theory import analogy_modes, word_pairs
from ...train import train
from ..check import Check, Size, need_float64
from ..measured import UNDEFINED, mean_and_interval, silent

KINDS = ("even", "uneven")
RUNS = ("quadratic", "smaller start", "logistic", "shuffled pairs")
HEADER = ("attributes", "run", "moment (accuracy passes 1/2)", "modes and start", "largest |ratio - 1|",
          "last half-rise / moment", "accuracy at the end")  # fmt: skip
SMALLER = 1e-2
"""Of the init scale, in the run that shows what the moment does not depend on."""


@dataclass(frozen=True)
class Setting:
    """Attributes, of even and of uneven probability, and plain gradient descent.

    Attributes:
        strengths: of the attributes.
        probabilities: of the uneven ones.
        init_scale: standard deviation of the initial entries.
        learning_rate: of a step, which is its flow time.
        close: until then a save every hundredth of it, and after it as many again until the end.
        window: end of training, in units of the last mode's half-rise.
    """

    strengths: tuple[float, ...] = (0.7, 0.6, 0.5, 0.42, 0.35, 0.28)
    probabilities: tuple[float, ...] = (0.5, 0.45, 0.4, 0.35, 0.3, 0.25)
    init_scale: float = 1e-4
    learning_rate: float = 1e-3
    close: float = 1.0
    window: float = 1.2


SETTINGS = {
    "tiny": Setting((0.6, 0.5, 0.4, 0.3), (0.5, 0.45, 0.4, 0.35), learning_rate=4e-3),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Moments:
    """One kind of attributes and one run.

    Attributes:
        kind: of the attributes.
        run: of `RUNS`.
        times: `[time]`, flow time.
        accuracy: `[seed, time]`, in training.
        told: `[seed, time]`, of the modes with their start.
        last: `[seed]`, half-rise time of the slowest kept mode.
    """

    kind: str
    run: str
    times: Float[np.ndarray, " time"]
    accuracy: Float[np.ndarray, "seed time"]
    told: Float[np.ndarray, "seed time"]
    last: Float[np.ndarray, " seed"]

    @property
    def moment(self) -> Float[np.ndarray, " seed"]:
        """When accuracy first passes one half in training; NaN where it never does."""
        return np.array([_passes(self.times, curve) for curve in self.accuracy])

    @property
    def predicted(self) -> Float[np.ndarray, " seed"]:
        """The same by the theory."""
        return np.array([_passes(self.times, curve) for curve in self.told])

    @property
    def ratio(self) -> Float[np.ndarray, " seed"]:
        """Predicted over observed."""
        return self.predicted / self.moment

    def row(self) -> tuple[str, ...]:
        """In the order of `HEADER`."""
        off, late = np.abs(self.ratio - 1).max(), np.mean(self.last / self.moment)
        return (
            self.kind, self.run, mean_and_interval(self.moment, 3), mean_and_interval(self.predicted, 3),
            *(UNDEFINED if np.isnan(x) else f"{x:.{digits}f}" for x, digits in ((off, 3), (late, 1))),
            mean_and_interval(self.accuracy[:, -1]),
        )  # fmt: skip


@dataclass(frozen=True)
class AnalogyMoment:
    """Moments of all runs.

    Attributes:
        size: of the study.
        setting: sizes.
        ladder: by kind `[width]`, accuracy of the first K modes.
        moments: of every kind and run.
        chance: accuracy of guessing.
    """

    size: Size
    setting: Setting
    ladder: dict[str, Float[np.ndarray, " width"]]
    moments: tuple[Moments, ...]
    chance: float

    def of(self, kind: str, run: str = "quadratic") -> Moments:
        """One kind and run."""
        return next(m for m in self.moments if (m.kind, m.run) == (kind, run))

    def rows(self) -> list[tuple[str, ...]]:
        """All, in the order of `HEADER`."""
        return [m.row() for m in self.moments]

    def checks(self) -> list[Check]:
        """The figures asked, and what the half-rise of the last mode would have said."""
        full = min(float(x[-1]) for x in self.ladder.values())
        off = {kind: np.abs(self.of(kind).ratio - 1).max() for kind in KINDS}
        late = {kind: (self.of(kind).last / self.of(kind).moment).min() for kind in KINDS}
        scales = self.of("even", "smaller start").moment / self.of("even").moment
        later = (self.of("even", "smaller start").last / self.of("even").last).min()
        null = max(self.of(kind, "shuffled pairs").accuracy.max() for kind in KINDS)
        seeds = f"{len(self.moments[0].last)} init seeds"
        return [
            Check("analogies at K = d", "1.0", f"{full:.3f}", full == 1),
            Check("the moment, from modes and start against training", "within 10 %, every seed",
                  "; ".join(f"{kind}: largest |ratio - 1| {x:.3f}" for kind, x in off.items()) + f" ({seeds})",
                  bool(max(off.values()) <= 0.1)),
            Check("control: shuffled pairs", "never half", f"at most {null:.2f} (chance {self.chance:.2f})",
                  bool(null < 0.5)),
            Check("a prediction that fails: the last mode's half-rise", "more than 10 % late, every seed",
                  "; ".join(f"{kind}: {x:.1f} times the moment and more" for kind, x in late.items()),
                  bool(min(late.values()) > 1.1)),
            Check(f"a start {1 / SMALLER:g} times smaller, even attributes", "moment within 10 %, last half-rise later",
                  f"moment {scales.min():.3f} to {scales.max():.3f} times, half-rise {later:.2f} times and more",
                  bool(np.abs(scales - 1).max() <= 0.1 and later > 1.1)),
        ]  # fmt: skip


def analogy_moment(size: Size, seeds: int = 5, progress: Callable[[str], None] = silent) -> AnalogyMoment:
    """Train word vectors on the pairs of made words, and tell from modes and start when analogies are solved.

    Training is in float64 here: words that only the slowest attribute parts differ by less than float32 shows.

    Args:
        size: "tiny" (16 words) or "normal" (64 words, half a minute).
        seeds: starts; each has its own shuffled pairs as control.
        progress: called with a line of text after each run.

    Raises:
        ValueError: where JAX computes in float32.

    Source: jaxembed.
    """
    need_float64("analogy_moment")
    setting = SETTINGS[size]
    moments, ladder = [], {}
    for kind, probabilities in zip(KINDS, ((), setting.probabilities), strict=True):
        task = Attributes(setting.strengths, probabilities)
        data, width = task.dataset(), len(setting.strengths)
        full = word_pairs.modes(word_pairs.target(signatures(count(data, order=1))), task.vocab)
        found = word_pairs.Modes(full.vectors[:, :width], full.strengths[:width])
        asked = jnp.asarray(task.analogies())
        ladder[kind] = np.asarray(analogy_modes.ladder(found, asked, jnp.arange(1, width + 1))).mean(axis=1)
        moments += _moments(setting, kind, data, full, asked, seeds)
        progress(f"{kind} attributes: done")
    return AnalogyMoment(size, setting, ladder, tuple(moments), 1 / (2 ** len(setting.strengths) - 3))


def _moments(
    setting: Setting, kind: str, data: Dataset, full: word_pairs.Modes, asked: Array, seeds: int
) -> list[Moments]:
    """All runs of one kind of attributes, on one clock; the quadratic ones are compiled together."""
    width = len(setting.strengths)
    found = word_pairs.Modes(full.vectors[:, :width], full.strengths[:width])
    keys = jax.random.split(jax.random.key(0), seeds)
    plain = jax.vmap(lambda key: WordPairs(width, setting.init_scale).init(key, data.vocab))(keys)["embed"]
    starts = {run: plain * (SMALLER if run == "smaller start" else 1) for run in RUNS}
    rises = {
        run: np.asarray(jax.vmap(analogy_modes.half_rises, (0, None))(x, found))[:, -1] for run, x in starts.items()
    }
    steps = _steps(setting, float(max(x.max() for x in rises.values())))
    rate = setting.learning_rate
    ts = jnp.asarray(steps * rate)

    def trained(member: tuple[Array, PairLoss]) -> Array:
        embed, loss = member
        return train(loss, {"embed": embed}, optax.sgd(rate), dt=rate, save_steps=steps,
                     save=lambda params: analogies(params["embed"], asked).accuracy).ys  # fmt: skip

    def told(embed: Array) -> Array:
        return jax.lax.map(
            lambda t: jnp.mean(analogy_modes.solved(analogy_modes.with_start(t, embed, full), asked)), ts
        )

    losses = {run: _losses(data, run, seeds) for run in RUNS}
    accuracy = {}
    for group in (tuple(run for run in RUNS if run != "logistic"), ("logistic",)):
        members = jax.tree.map(lambda *x: jnp.concatenate(x), *((starts[run], losses[run]) for run in group))
        found_curves = np.split(np.asarray(ensemble(trained, members, mapping="loop")), len(group))
        accuracy |= dict(zip(group, found_curves, strict=True))
    both = jnp.concatenate([starts["quadratic"], starts["smaller start"]])
    large, small = np.split(np.asarray(ensemble(told, both, mapping="loop")), 2)
    theory = {run: small if run == "smaller start" else large for run in RUNS}
    return [Moments(kind, run, np.asarray(ts), accuracy[run], theory[run], rises[run]) for run in RUNS]


def _steps(setting: Setting, last: float) -> np.ndarray:
    close = np.linspace(0, setting.close, 101)
    late = np.linspace(setting.close, max(setting.window * last, 2 * setting.close), 31)
    return np.unique(np.round(np.concatenate([close, late]) / setting.learning_rate).astype(int))


def _losses(data: Dataset, run: str, seeds: int) -> PairLoss:
    kind = "logistic" if run == "logistic" else "quadratic"
    parts = [pair_loss(shuffled(data, seed) if run == "shuffled pairs" else data, kind) for seed in range(seeds)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *parts)


def _passes(times: np.ndarray, curve: np.ndarray) -> float:
    """First time at one half, straight between saves; NaN where it is never reached."""
    after = int(np.argmax(curve >= 0.5))
    if curve[after] < 0.5:
        return float("nan")
    if after == 0:
        return float(times[0])
    share = (0.5 - curve[after - 1]) / (curve[after] - curve[after - 1])
    return float(times[after - 1] + share * (times[after] - times[after - 1]))
