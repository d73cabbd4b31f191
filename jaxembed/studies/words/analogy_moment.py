"""The moment at which analogies become solvable, by modes and start, against training on made words."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...base import Dataset
from ...ensemble import ensemble
from ...models import PairLoss
from ...observables import analogies
from ...observables.crossing import crossing
from ...statistics import count, signatures
from ...tables import Table, interval, number
from ...tasks import Attributes
from ...theory import analogy_modes, word_pairs
from ...train import train
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import Run, Study
from ._pairs import losses, starts

KINDS = ("even", "uneven")
RUNS = ("quadratic", "smaller start", "logistic", "shuffled pairs")
HEADER = ("attributes", "run", "moment (accuracy passes 1/2)", "modes and start", "largest |ratio - 1|",
          "last half-rise / moment", "accuracy at the end")  # fmt: skip
SMALLER = 1e-2
"""Of the init scale, in the run that shows what the moment does not depend on."""


@dataclass(frozen=True)
class AnalogyMomentSetting:
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


SETTINGS: dict[Size, AnalogyMomentSetting] = {
    "tiny": AnalogyMomentSetting((0.6, 0.5, 0.4, 0.3), (0.5, 0.45, 0.4, 0.35), learning_rate=4e-3),
    "published": AnalogyMomentSetting(),
}


@dataclass(frozen=True)
class Moments:
    """One kind of attributes and one run.

    Attributes:
        times: `[time]`, flow time.
        accuracy: `[seed, time]`, in training.
        theory: `[seed, time]`, of the modes with their start.
        last: `[seed]`, half-rise time of the slowest kept mode.
    """

    times: Float[np.ndarray, " time"]
    accuracy: Float[np.ndarray, "seed time"]
    theory: Float[np.ndarray, "seed time"]
    last: Float[np.ndarray, " seed"]

    @property
    def moment(self) -> Float[np.ndarray, " seed"]:
        """When accuracy first passes one half in training; NaN where it never does."""
        return np.asarray(crossing(self.times, self.accuracy, 0.5))

    @property
    def predicted(self) -> Float[np.ndarray, " seed"]:
        """The same by the theory."""
        return np.asarray(crossing(self.times, self.theory, 0.5))

    @property
    def ratio(self) -> Float[np.ndarray, " seed"]:
        """Predicted over observed."""
        return self.predicted / self.moment


@dataclass(frozen=True)
class AnalogyMoment:
    """Moments of all runs.

    Attributes:
        setting: sizes.
        ladder: by kind `[width]`, accuracy of the first K modes.
        moments: by kind and run.
    """

    setting: AnalogyMomentSetting
    ladder: dict[str, Float[np.ndarray, " width"]]
    moments: dict[tuple[str, str], Moments]

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / (2 ** len(self.setting.strengths) - 3)


def run(setting: AnalogyMomentSetting, run: Run) -> AnalogyMoment:
    """Train word vectors on the pairs of made words, and say from modes and start when analogies are solved.

    Training is in float64 here: words that only the slowest attribute parts differ by less than float32 shows. Seeds
    are starts; each has its own shuffled pairs as control.

    Source: jaxembed.
    """
    moments, ladder = {}, {}
    for kind, probabilities in zip(KINDS, ((), setting.probabilities), strict=True):
        task = Attributes(setting.strengths, probabilities)
        data, width = task.dataset(), len(setting.strengths)
        full = word_pairs.modes(word_pairs.target(signatures(count(data, order=1))), task.vocab)
        leading = word_pairs.WordModes(full.vectors[:, :width], full.strengths[:width])
        questions = jnp.asarray(task.analogies())
        ladder[kind] = np.asarray(analogy_modes.ladder(leading, questions, jnp.arange(1, width + 1))).mean(axis=1)
        moments |= _moments(setting, kind, data, full, leading, questions, run.seeds)
        run.progress(f"{kind} attributes: done")
    return AnalogyMoment(setting, ladder, moments)


def tables(result: AnalogyMoment) -> tuple[Table, ...]:
    """The moments of every kind of attributes and every run."""
    rows = [
        (kind, run, interval(m.moment, ".3f"), interval(m.predicted, ".3f"),
         number(np.abs(m.ratio - 1).max(), ".3f"), number(np.mean(m.last / m.moment), ".1f"),
         interval(m.accuracy[:, -1], ".2f"))
        for (kind, run), m in result.moments.items()
    ]  # fmt: skip
    return (Table("the moment at which analogies become solvable", HEADER, rows),)


def evidence(result: AnalogyMoment) -> tuple[Evidence, ...]:
    """The predicted moment, and what the half-rise of the last mode would have said."""
    moments = result.moments
    plain = [moments[kind, "quadratic"] for kind in KINDS]
    off = np.max([np.abs(m.ratio - 1) for m in plain], axis=0)
    late = np.min([m.last / m.moment for m in plain], axis=0)
    even, small = plain[0], moments["even", "smaller start"]
    null = np.max([moments[kind, "shuffled pairs"].accuracy.max(axis=1) for kind in KINDS], axis=0)
    close, fails = Bound("expectation", most=0.1, source="10 %"), "a prediction that fails"
    return (
        Evidence("moment-analogies", "d modes of M* solve all analogies (accuracy)",
                 np.array([float(x[-1]) for x in result.ladder.values()]),
                 Bound("machinery", least=1.0, source="exact analogies"), null=np.array([result.chance]), ceiling="1",
                 varied="kinds of attributes", every=True),
        Evidence("analogy-moment",
                 "modes and start tell when made words solve analogies (|ratio - 1|; null: last half-rise)", off, close,
                 "not published", null=late - 1, ceiling="0", every=True),
        Evidence("moment-shuffled", "largest accuracy of shuffled pairs", null,
                 Bound("machinery", most=0.5, source="a control that must fail", strict=True),
                 no_null="it is the control", ceiling=f"chance {result.chance:.2f}", every=True),
        control("moment-last-mode", "half-rise of the last mode over the moment", late, 1.1, no_null=fails),
        Evidence("moment-scale", f"moment of a start {1 / SMALLER:g} times smaller, even attributes (|ratio - 1|)",
                 np.abs(small.moment / even.moment - 1), close, null=small.last / even.last - 1, ceiling="0",
                 every=True),
        control("moment-scale-last", "half-rise of the last mode from that start, over the larger start's",
                small.last / even.last, 1.1, no_null=fails),
    )  # fmt: skip


def caption(result: AnalogyMoment) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"strengths {setting.strengths}, init scale {setting.init_scale:g}, gradient descent rate "
        f"{setting.learning_rate:g}, float64 (bands: smallest to largest init seed);\nmodes alone, without what is "
        "left of the start, solve every question from the first moment."
    )


STUDY = Study(
    name="analogy_moment",
    source="jaxembed",
    settings=SETTINGS,
    seeds={"tiny": 5, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("moment-analogies", "analogy-moment", "moment-shuffled", "moment-last-mode", "moment-scale",
         "moment-scale-last"),
    takes={"tiny": "15 s", "published": "1 min"},
    smaller={"tiny": "16 words of four attributes for 64 of six"},
    needs=("float64",),
    ledger="published",
)  # fmt: skip


def _moments(
    setting: AnalogyMomentSetting,
    kind: str,
    data: Dataset,
    full: word_pairs.WordModes,
    leading: word_pairs.WordModes,
    questions: Array,
    seeds: int,
) -> dict[tuple[str, str], Moments]:
    """All runs of one kind of attributes, on one clock; the quadratic ones are compiled together."""
    plain = starts(len(setting.strengths), setting.init_scale, data.vocab, seeds)["embed"]
    begun = {run: plain * (SMALLER if run == "smaller start" else 1) for run in RUNS}
    rises = jax.vmap(analogy_modes.half_rises, (0, None))
    last = {run: np.asarray(rises(embed, leading))[:, -1] for run, embed in begun.items()}
    steps = _steps(setting, float(max(x.max() for x in last.values())))
    rate = setting.learning_rate
    ts = jnp.asarray(steps * rate)

    def trained(member: tuple[Array, PairLoss]) -> Array:
        embed, loss = member
        return train(loss, {"embed": embed}, optax.sgd(rate), dt=rate, save_steps=steps,
                     save=lambda params: analogies(params["embed"], questions).accuracy).ys  # fmt: skip

    def theory(embed: Array) -> Array:
        def accuracy(t: Array) -> Array:
            return jnp.mean(analogy_modes.solved(analogy_modes.with_start(t, embed, full), questions))

        return jax.lax.map(accuracy, ts)

    objectives = {run: losses(data, run, seeds) for run in RUNS}
    accuracy = {}
    for group in (tuple(run for run in RUNS if run != "logistic"), ("logistic",)):
        members = jax.tree.map(lambda *x: jnp.concatenate(x), *((begun[run], objectives[run]) for run in group))
        curves = np.split(np.asarray(ensemble(trained, members, mapping="loop")), len(group))
        accuracy |= dict(zip(group, curves, strict=True))
    both = jnp.concatenate([begun["quadratic"], begun["smaller start"]])
    large, small = np.split(np.asarray(ensemble(theory, both, mapping="loop")), 2)
    curves = {run: small if run == "smaller start" else large for run in RUNS}
    return {(kind, run): Moments(np.asarray(ts), accuracy[run], curves[run], last[run]) for run in RUNS}


def _steps(setting: AnalogyMomentSetting, last: float) -> np.ndarray:
    close = np.linspace(0, setting.close, 101)
    late = np.linspace(setting.close, max(setting.window * last, 2 * setting.close), 31)
    return np.unique(np.round(np.concatenate([close, late]) / setting.learning_rate).astype(int))
