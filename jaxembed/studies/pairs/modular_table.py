"""The full table of modular addition: initial weights alone name the frequency in which each neuron will specialise."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from ...ensemble import ensemble
from ...flow import gradient_flow
from ...losses.population import DecayedLoss, accuracy, decayed, population_loss
from ...models import TwoPosition
from ...statistics import PositionSignatures, position_signatures
from ...tasks import BinaryTable
from ...theory import binary_modes, two_position
from ...train import train
from ..check import Check, Size
from ..measured import silent


@dataclass(frozen=True)
class Setting:
    """The published setting: population gradient descent on every pair.

    Attributes:
        size: number of symbols P, odd.
        width: neurons D; weights start at D^(-1/2).
        step: learning rate.
        weight_decay: lambda.
        judged_at: step at which neurons are judged.
        steps: steps in all.
        saves: numbers of saves, evenly spaced in the logarithm of the step.
        developed: a neuron has developed a frequency where this share of its power lies in it; decay has not worn it
            down to a tenth of its first size.
    """

    size: int = 7
    width: int = 50
    step: float = 0.2
    weight_decay: float = 1e-4
    judged_at: int = 20_000
    steps: int = 100_000
    saves: int = 60
    developed: float = 0.9


SETTINGS = {"tiny": Setting(judged_at=2_000, steps=2_000, saves=20), "normal": Setting()}
THRESHOLDS = (0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class ModularTable:
    """What initial weights predict, and what training makes of them.

    Attributes:
        setting: sizes and optimiser.
        steps: `[time]`.
        predicted: frequency that blows up first in the truncated flow, 1 .. (P-1)/2, `[seed, width]`.
        margin: time of the second frequency over that of the first, `[seed, width]`.
        strongest: the frequency of largest initial power, the rival guess, `[seed, width]`.
        survivors: `[seed]`, share of the neurons that the truncated flow lets survive the decay.
        shares: share of a neuron's power in each frequency, `[seed, time, frequency, width]`.
        sizes: power of a neuron outside the constant, `[seed, time, width]`.
        phase_errors: |arg u + arg v - arg w| in each frequency, `[seed, time, frequency, width]`.
        cosine: of F2 - lambda theta with the true descent direction, `[seed, time]`.
        relative_error: of the same two, `[seed, time]`.
        cosine_undecayed: of F2 with the descent direction of cross-entropy alone, `[seed, time]`.
        loss: cross-entropy, `[seed, time]`.
        accuracy: `[seed, time]`.
    """

    setting: Setting
    steps: Int[np.ndarray, " time"]
    predicted: Int[np.ndarray, "seed width"]
    margin: Float[np.ndarray, "seed width"]
    strongest: Int[np.ndarray, "seed width"]
    survivors: Float[np.ndarray, " seed"]
    shares: Float[np.ndarray, "..."]
    sizes: Float[np.ndarray, "seed time width"]
    phase_errors: Float[np.ndarray, "..."]
    cosine: Float[np.ndarray, "seed time"]
    relative_error: Float[np.ndarray, "seed time"]
    cosine_undecayed: Float[np.ndarray, "seed time"]
    loss: Float[np.ndarray, "seed time"]
    accuracy: Float[np.ndarray, "seed time"]

    @property
    def frequencies(self) -> int:
        return self.shares.shape[2]

    @property
    def judged(self) -> int:
        """Number of the save at which neurons are judged."""
        return int(np.argmin(np.abs(self.steps - self.setting.judged_at)))

    def dominant(self, save: int) -> Int[np.ndarray, "seed width"]:
        """Frequency with the largest power at a save."""
        return 1 + np.argmax(self.shares[:, save], axis=1)

    def developed(self, save: int, share: float | None = None) -> Bool[np.ndarray, "seed width"]:
        """Which neurons have a dominant frequency and are alive."""
        alive = self.sizes[:, save] >= 0.01 * self.sizes[:, 0]
        return alive & (np.max(self.shares[:, save], axis=1) >= (self.setting.developed if share is None else share))

    def named(self, save: int, share: float | None = None, guess: np.ndarray | None = None) -> np.ndarray:
        """Share of the developed neurons whose dominant frequency a guess names, `[seed]`; NaN where none developed."""
        hit = self.dominant(save) == (self.predicted if guess is None else guess)
        chosen = self.developed(save, share)
        count = chosen.sum(axis=1)
        return np.where(count > 0, (hit & chosen).sum(axis=1) / np.maximum(count, 1), np.nan)

    def shuffled(self, save: int) -> np.ndarray:
        """The null, `[seed]`: predictions dealt to other neurons, all cyclic shifts of them."""
        width = self.predicted.shape[1]
        shifts = [self.named(save, guess=np.roll(self.predicted, shift, axis=1)) for shift in range(1, width)]
        return np.mean(shifts, axis=0)

    def phase_error(self) -> Float[np.ndarray, "seed time"]:
        """Median over neurons of the phase error in the frequency that is dominant at the time of judgement."""
        dominant = self.dominant(self.judged)[:, None, None, :] - 1
        return np.median(np.take_along_axis(self.phase_errors, dominant, axis=2)[:, :, 0], axis=2)

    def escaping(self) -> Bool[np.ndarray, "seed time"]:
        """Until the loss has fallen by a tenth: predictions still are nearly uniform."""
        return self.loss >= 0.9 * self.loss[:, :1]

    def rows(self) -> list[tuple[str, ...]]:
        """Neurons that developed a frequency and the share named, by threshold and step, in the order of `HEADER`."""
        ends = sorted({self.judged, len(self.steps) - 1})
        return [(f"{share:g}", f"{self.steps[end]}", *self._cells(end, share)) for share in THRESHOLDS for end in ends]

    def _cells(self, save: int, share: float) -> tuple[str, ...]:
        developed = self.developed(save, share).mean(axis=1)
        return tuple(
            spread(values) for values in (developed, self.named(save, share), self.named(save, share, self.strongest))
        )

    def checks(self) -> list[Check]:
        """The published figures; at size tiny those that hold early."""
        end, cosine = self.judged, np.where(self.escaping(), self.cosine, np.nan)
        named, null = self.named(end), self.shuffled(end)
        phase = self.phase_error()
        bare = self.cosine_undecayed
        whole = (
            f"median of saves {np.median(self.cosine):.2f}, least {self.cosine.min():.2f}; without decay on either "
            f"side {np.median(bare):.2f}, {bare.min():.2f}, at the end {bare[:, -1].mean():.2f}"
        )
        checks = [
            Check("dominant frequency named from initial weights", ">= 0.9 of those that develop one",
                  f"{pooled(self):.3f} over all; seeds {spread(named)}", bool(pooled(self) >= 0.9)),
            Check("null: predictions dealt to other neurons", "chance is 1/3",
                  spread(null), bool(np.all(null < named - 0.2))),
            Check("phase error of the dominant frequency", "-> 0: at most 0.15 rad at the end, from about pi / 2",
                  f"{spread(phase[:, 0])} to {spread(phase[:, -1])}", bool(phase[:, -1].max() <= 0.15)),
            Check("leading-term cosine until the loss has fallen by a tenth", "median >= 0.9",
                  f"median {np.nanmedian(cosine):.3f}, least {np.nanmin(cosine):.3f}; relative error there "
                  f"{np.median(self.relative_error[self.escaping()]):.2f}", bool(np.nanmedian(cosine) >= 0.9)),
        ]  # fmt: skip
        if self.setting.steps > self.setting.judged_at:
            checks.append(
                Check("leading-term cosine along all of training", ">= 0.9", whole, bool(self.cosine.min() >= 0.9))
            )
        return checks


HEADER = ("share of power", "step", "neurons that develop one", "named by the truncated flow", "by the initial power")


def pooled(result: ModularTable) -> float:
    """Share named among the developed neurons of all seeds together."""
    chosen = result.developed(result.judged)
    return float(np.mean((result.dominant(result.judged) == result.predicted)[chosen]))


def modular_table(size: Size, seeds: int = 5, progress: Callable[[str], None] = silent) -> ModularTable:
    """Predict from the initial weights, train, and compare neuron by neuron.

    Args:
        size: "tiny" (2,000 steps, seconds) or "normal" (the published setting).
        seeds: initialisations.
        progress: called with a line of text when done.

    Source: wang2026modular.
    """
    setting = SETTINGS[size]
    data, model = BinaryTable(setting.size).dataset(), TwoPosition(setting.width)
    sig = position_signatures(data)
    loss = decayed(population_loss(model, data), setting.weight_decay)
    system = binary_modes.mode_system(sig, binary_modes.fourier(setting.size), model.taylor)
    last = np.log10(setting.steps)
    steps = np.unique([0, *np.logspace(1, last, setting.saves).astype(int), setting.judged_at, setting.steps])

    def run(key: Array, loss: DecayedLoss, sig: PositionSignatures, system: binary_modes.ModeSystem) -> dict:
        start = model.init(key, data.vocab, data.length)
        line = train(loss, start, optax.sgd(setting.step), dt=setting.step, save_steps=steps)
        along = jax.lax.map(lambda state: _observed(state, loss, sig, system, model.taylor), line.ys)
        along["accuracy"] = jax.vmap(lambda state: accuracy(model, data, state))(line.ys)
        return along | {"prediction": _predicted(binary_modes.to_modes(start, system.bases), system)}

    keys = jax.random.split(jax.random.key(0), seeds)
    found = jax.tree.map(np.asarray, ensemble(run, keys, loss, sig, system))
    guess = found.pop("prediction")
    survivors = np.mean(guess.pop("time") < 1 / setting.weight_decay, axis=1)
    result = ModularTable(setting, steps, survivors=survivors, **guess, **found)
    progress(f"{seeds} seeds trained for {setting.steps} steps")
    return result


def _predicted(modes: dict[str, Array], system: binary_modes.ModeSystem) -> dict[str, Array]:
    """What the truncated flow says of every neuron, folded over conjugate frequencies."""
    times = _half(binary_modes.blow_up_time(binary_modes.blow_up(modes), system.coupling))
    ranked = jnp.sort(times, axis=0)
    power = _half(_power(modes))
    return {
        "predicted": 1 + jnp.argmin(times, axis=0),
        "margin": ranked[1] / ranked[0],
        "strongest": 1 + jnp.argmax(power, axis=0),
        "time": ranked[0],
    }


def _observed(
    state: dict[str, Array],
    loss: DecayedLoss,
    sig: PositionSignatures,
    system: binary_modes.ModeSystem,
    taylor: tuple[float, float, float],
) -> dict[str, Array]:
    """Spectra of the neurons and how well the leading term gives the descent direction."""
    modes = binary_modes.to_modes(state, system.bases)
    power = _half(_power(modes))
    exact, plain = gradient_flow(loss)(0.0, state, None), gradient_flow(loss.loss)(0.0, state, None)
    theory = two_position.field(taylor, 2, loss.weight_decay)(0.0, state, sig)
    leading = two_position.second(state, sig, taylor)
    gap = jax.tree.map(jnp.subtract, theory, exact)
    return {
        "shares": power / jnp.sum(power, axis=0, keepdims=True),
        "sizes": jnp.sum(power, axis=0),
        "phase_errors": _half(binary_modes.phase_error(modes)),
        "cosine": _product(theory, exact) / jnp.sqrt(_product(theory, theory) * _product(exact, exact)),
        "relative_error": jnp.sqrt(_product(gap, gap) / _product(exact, exact)),
        "cosine_undecayed": _product(leading, plain) / jnp.sqrt(_product(leading, leading) * _product(plain, plain)),
        "loss": loss.loss(state),
    }


def _power(modes: dict[str, Array]) -> Float[Array, "token width"]:
    """|u|^2 + |v|^2 + |w|^2 of every mode and neuron."""
    return sum((jnp.abs(mode) ** 2 for mode in modes.values()), jnp.zeros(modes["embed"].shape, float))


def _half(values: Float[Array, "token width"]) -> Float[Array, "topic width"]:
    """One of each pair of conjugate frequencies, without the constant."""
    return values[1 : (len(values) + 1) // 2]


def _product(left: dict[str, Array], right: dict[str, Array]) -> Array:
    return sum((jnp.sum(left[name] * right[name]) for name in left), jnp.zeros((), float))


def spread(values: np.ndarray) -> str:
    """Mean over seeds, and smallest to largest."""
    if np.isnan(values).any():
        return "undefined"
    return f"{values.mean():.2f} ({values.min():.2f} .. {values.max():.2f})"
