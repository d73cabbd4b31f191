"""The full table of modular addition: initial weights alone name the frequency in which each neuron will specialise."""

from dataclasses import dataclass
from itertools import product

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
from ...tables import Table, extremes, number
from ...tasks import BinaryTable
from ...theory import binary_modes, two_position
from ...train import train
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import Run, Study

THRESHOLDS = (0.7, 0.8, 0.9, 0.95)
LOCKED = Bound("expectation", most=0.1, source="published: -> 0; 0.1 rad is ours")
"""Median phase error of the neurons of a seed that have locked."""
HEADER = ("share of power", "step", "neurons that develop one", "named by the truncated flow", "by the initial power")


@dataclass(frozen=True)
class ModularTableSetting:
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


SETTINGS: dict[Size, ModularTableSetting] = {
    "tiny": ModularTableSetting(judged_at=2_000, steps=2_000, saves=20),
    "published": ModularTableSetting(),
}


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

    setting: ModularTableSetting
    steps: Int[np.ndarray, " time"]
    predicted: Int[np.ndarray, "seed width"]
    margin: Float[np.ndarray, "seed width"]
    strongest: Int[np.ndarray, "seed width"]
    survivors: Float[np.ndarray, " seed"]
    shares: Float[np.ndarray, "seed time mode width"]
    sizes: Float[np.ndarray, "seed time width"]
    phase_errors: Float[np.ndarray, "seed time mode width"]
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


def run(setting: ModularTableSetting, run: Run) -> ModularTable:
    """Predict from the initial weights, train, and compare neuron by neuron; seeds are initialisations.

    Source: wang2026modular.
    """
    data, model = BinaryTable(setting.size).dataset(), TwoPosition(setting.width)
    sig = position_signatures(data)
    loss = decayed(population_loss(model, data), setting.weight_decay)
    system = binary_modes.mode_system(sig, binary_modes.fourier(setting.size), model.taylor)
    last = np.log10(setting.steps)
    steps = np.unique([0, *np.logspace(1, last, setting.saves).astype(int), setting.judged_at, setting.steps])

    def member(
        key: Array, loss: DecayedLoss, sig: PositionSignatures, system: binary_modes.ModeSystem
    ) -> dict[str, Array]:
        start = model.init(key, data.vocab, data.length)
        line = train(loss, start, optax.sgd(setting.step), dt=setting.step, save_steps=steps)
        along = jax.lax.map(lambda state: _observables(state, loss, sig, system, model.taylor), line.ys)
        along["accuracy"] = jax.vmap(lambda state: accuracy(model, data, state))(line.ys)
        return along | _prediction(binary_modes.to_modes(start, system.bases), system)

    keys = jax.random.split(jax.random.key(0), run.seeds)
    arrays = jax.tree.map(np.asarray, ensemble(member, keys, loss, sig, system))
    survivors = np.mean(arrays.pop("time") < 1 / setting.weight_decay, axis=1)
    run.progress(f"{run.seeds} seeds trained for {setting.steps} steps")
    return ModularTable(setting, steps, survivors=survivors, **arrays)


def tables(result: ModularTable) -> tuple[Table, ...]:
    """Neurons that developed a frequency and the share named, by threshold and step."""
    rows = []
    for share, end in product(THRESHOLDS, sorted({result.judged, len(result.steps) - 1})):
        named, rival = result.named(end, share), result.named(end, share, result.strongest)
        values = (result.developed(end, share).mean(axis=1), named, rival)
        rows.append((f"{share:g}", f"{result.steps[end]}", *map(_text, values)))
    title = f"{len(result.predicted)} seeds: mean (smallest .. largest); chance 1/{result.frequencies}"
    return (Table(title, HEADER, rows),)


def evidence(result: ModularTable) -> tuple[Evidence, ...]:
    """The published figures; the leading term along all of training where training goes beyond the judgement."""
    end, phase = result.judged, result.phase_error()
    named, dealt = result.named(end), result.shuffled(end)
    early = np.nanmedian(np.where(result.escaping(), result.cosine, np.nan), axis=1)
    cosine, apart = Bound("paper", least=0.9, source="at least 0.9"), "a cosine: directions at random are at 0"
    rows = (
        Evidence("modular-frequency-named",
                 "the truncated flow names a neuron's final frequency from its initial weights", named,
                 Bound("paper", least=0.9, source="0.93 published"), published="0.93", null=dealt,
                 ceiling=f"1, chance 1/{result.frequencies}"),
        control("modular-null", "share named, less that of predictions dealt to other neurons", named - dealt, 0.2),
        Evidence("modular-neurons-developed",
                 "share of neurons that develop a dominant frequency (90 % of their power)",
                 result.developed(end).mean(axis=1), Bound("paper", least=0.35, most=0.65, source="about half"),
                 published="about half", null=result.developed(0).mean(axis=1), ceiling="1"),
        Evidence("modular-phase-locks", "phases lock: median |arg u + arg v - arg w| at the end", phase[:, -1],
                 LOCKED, published="-> 0", null=phase[:, 0], ceiling="0"),
        Evidence("modular-leading-term-early",
                 "leading term against true gradient until the loss is down a tenth (cosine)", early, cosine,
                 published=">= 0.9", no_null=apart, ceiling="1"),
        Evidence("modular-leading-term",
                 "leading term against true gradient along all of training (least cosine)", result.cosine.min(axis=1),
                 cosine, published=">= 0.9", no_null=apart, ceiling="1", every=True),
    )  # fmt: skip
    return rows if result.setting.steps > result.setting.judged_at else rows[:-1]


def caption(result: ModularTable) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"modular addition, P = {setting.size}, all pairs, width {setting.width}, GELU, start D^(-1/2), gradient "
        f"descent with step {setting.step:g}, decay {setting.weight_decay:g}, float64 (band: smallest to largest "
        f"seed).\nA neuron has developed a frequency where it holds {setting.developed:.0%} of its power (dotted line: "
        f"step {result.steps[result.judged]} of judgement)."
    )


STUDY = Study(
    name="modular_table",
    source="wang2026modular",
    settings=SETTINGS,
    seeds={"tiny": 5, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("modular-frequency-named", "modular-null", "modular-neurons-developed", "modular-phase-locks",
         "modular-leading-term-early", "modular-leading-term"),
    takes={"tiny": "20 s", "published": "1 min"},
    smaller={"tiny": "2,000 steps for 100,000, judged at the last for step 20,000"},
    needs=("float64",),
    beyond_tiny=("modular-leading-term",),
)  # fmt: skip


def _prediction(modes: dict[str, Array], system: binary_modes.ModeSystem) -> dict[str, Array]:
    """What the truncated flow says of every neuron, folded over conjugate frequencies."""
    times = _half(binary_modes.blow_up_time(binary_modes.blow_up(modes), system.coupling))
    ranked = jnp.sort(times, axis=0)
    return {
        "predicted": 1 + jnp.argmin(times, axis=0),
        "margin": ranked[1] / ranked[0],
        "strongest": 1 + jnp.argmax(_half(_power(modes)), axis=0),
        "time": ranked[0],
    }


def _observables(
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


def _half(values: Float[Array, "token width"]) -> Float[Array, "mode width"]:
    """One of each pair of conjugate frequencies, without the constant."""
    return values[1 : (len(values) + 1) // 2]


def _product(left: dict[str, Array], right: dict[str, Array]) -> Array:
    return sum((jnp.sum(left[name] * right[name]) for name in left), jnp.zeros((), float))


def _text(values: Float[np.ndarray, " seed"]) -> str:
    """Mean over seeds, and smallest to largest."""
    mean = number(values.mean(), ".2f")
    return f"{mean} ({extremes(values, '.2f')})" if np.isfinite(values).all() else mean
