"""Analogies as they emerge: word vectors trained on a text, the modes of its pair counts on the same clock.

Quadratic word vectors are trained on all pairs by gradient descent in float32; theory computes in float64 from the pair
counts and the start. Quick reads the 5,000 most frequent words of twelve domains of The Pile, tiny 32 made words.
Source: karkada2025closed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ...keep import kept_arrays
from ...observables import spearman
from ...tables import Table, number
from ...theory import word_pairs
from ...words import Cooccurrence
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import DATA, Run, Study
from ._pairs import half_rises
from .emergence_measures import TOP, Families, Measures, half_of_maximum, ladders, measured, predicted
from .emergence_texts import corpus, made_language
from .emergence_training import EmergenceSetting, kept_modes, pairs_digest, segments, trained

HEADER = (
    "family", "covered / asked", "accuracy at the end (range of seeds)", "modes alone", "mode", "its half-rise",
    "modes alone reach half", "training reaches half", "modes up by then", "offsets at the end (null)",
)  # fmt: skip
ORDERS = 5
"""Random orders of the modes."""
SPACING = 4
"""Modes between the steps of their ladders."""
SETTINGS: dict[Size, EmergenceSetting] = {
    "tiny": EmergenceSetting(width=12, timed=4, saves=(15, 10), least=4, shown="attribute 1", attributes=5, noise=0.15),
    "quick": EmergenceSetting(),
}


@dataclass(frozen=True)
class Emergence:
    """Training on the pairs and the theory of its modes.

    Attributes:
        setting: model, clock and what is followed.
        families: followed, with the text that they are of.
        strengths: `[width]`, eigenvalues lam_k of M*.
        times: `[time]`, flow time of the saves.
        trained: by name, what was read of the trained vectors, `[seed, ...]` (`emergence_measures.measured`).
        predicted: by name, what the modes alone predict, `[seed, ...]` (`emergence_measures.predicted`).
        shuffled_rises: `[seed, width]`, half-rise times by the modes of the shuffled text.
        control: read of vectors trained on the shuffled text, one seed.
        ladder: `[hidden, topic]`, accuracy of the first K = 1, 2, .. modes by family.
        mixed: `[draw, hidden, topic]`, of modes in random orders.
    """

    setting: EmergenceSetting
    families: Families
    strengths: Float[np.ndarray, " width"]
    times: Float[np.ndarray, " time"]
    trained: Measures
    predicted: Measures
    shuffled_rises: Float[np.ndarray, "seed width"]
    control: Measures
    ladder: Float[np.ndarray, "hidden topic"]
    mixed: Float[np.ndarray, "draw hidden topic"]

    @property
    def seeds(self) -> int:
        return len(self.trained["power"])

    def off(self, start: str) -> Float[np.ndarray, "seed width"]:
        """|ratio - 1| of the timed modes' half-rise times in training to those predicted.

        Args:
            start: "half_rises" (the QR diagonal), "wrong" (singular values) or "shuffled" (the shuffled text's modes).
        """
        timed = self.setting.timed
        powers, strengths = self.trained["power"][:, :, :timed], self.strengths[:timed]
        rises = jax.vmap(half_rises, (None, 0, None))(*map(jnp.asarray, (self.times, powers, strengths)))
        wanted = self.shuffled_rises if start == "shuffled" else self.predicted[start]
        return np.abs(np.asarray(rises) / wanted[:, :timed] - 1)

    @cached_property
    def mode(self) -> Float[np.ndarray, " topic"]:
        """The number of modes with which a family first reaches half of its maximum over the ladder; NaN for none."""
        half = self.ladder.max(axis=0) / 2
        return np.where(half > 0, 1.0 + np.argmax(self.ladder >= half, axis=0), np.nan)

    @property
    def solvable(self) -> Bool[np.ndarray, " topic"]:
        """Families of which the ladder solves a tenth somewhere: the others have no moment worth the name."""
        return self.ladder.max(axis=0) >= 0.1

    @cached_property
    def arrival(self) -> Float[np.ndarray, "seed topic"]:
        """Predicted from the ladder: the half-rise time of every family's mode."""
        at = np.nan_to_num(self.mode, nan=1).astype(int) - 1
        return np.where(np.isnan(self.mode), np.nan, self.predicted["half_rises"][:, at])

    @cached_property
    def mixed_arrival(self) -> Float[np.ndarray, "draw topic"]:
        """The same for modes in random orders: the time at which so many modes have risen, mean over seeds."""
        return self._coarse(self.mixed)

    @cached_property
    def coarse_arrival(self) -> Float[np.ndarray, "draw topic"]:
        """The same for modes in their order on the coarse ladder of the random orders, to be compared with them."""
        return self._coarse(self.ladder[None, SPACING - 1 :: SPACING])

    def _coarse(self, steps: Float[np.ndarray, "draw hidden topic"]) -> Float[np.ndarray, "draw topic"]:
        """Half-rise time, mean over seeds, of the mode at which ladders of every `SPACING`-th K reach their half."""
        counts = np.arange(SPACING, SPACING * steps.shape[1] + 1, SPACING)
        reached = steps >= steps.max(axis=1, keepdims=True) / 2
        return self.predicted["half_rises"].mean(axis=0)[counts[np.argmax(reached, axis=1)] - 1]

    def exchanged(self) -> float:
        """Mean |ratio - 1| where every solvable family is given the moment of each other one: modes stay."""
        given, seen = self.coarse_arrival[0, self.solvable], self.observed[:, self.solvable].mean(axis=0)
        others = ~np.eye(len(given), dtype=bool)
        return float(np.abs(given[:, None] / seen[None, :] - 1)[others].mean()) if len(given) > 1 else float("nan")

    @cached_property
    def observed(self) -> Float[np.ndarray, "seed topic"]:
        """When training reaches half of every family's maximum."""
        return np.array([half_of_maximum(self.times, curve) for curve in self.trained["accuracy"]])

    @property
    def begun(self) -> int:
        """The first save after the half-rise of the first mode: before it the start decides, not the modes."""
        return int(np.searchsorted(self.times, self.predicted["half_rises"][:, 0].max()))

    @cached_property
    def alone(self) -> Float[np.ndarray, "seed topic"]:
        """When the modes alone do, once the first has risen."""
        curves = self.predicted["accuracy"][:, self.begun :]
        return np.array([half_of_maximum(self.times[self.begun :], curve) for curve in curves])

    @property
    def risen(self) -> Float[np.ndarray, "seed topic"]:
        """How many modes of training are past half of their power by then."""
        up = self.trained["power"] >= self.strengths[None, None] / 2
        at = np.minimum(np.searchsorted(self.times, self.observed), len(self.times) - 1)
        return np.array([u[row].sum(axis=1) for u, row in zip(up, at, strict=True)], float)

    def misses(self, times: Float[np.ndarray, "seed topic"]) -> Float[np.ndarray, " topic"]:
        """|predicted / observed - 1| of the solvable families, mean over what is given against the mean of training."""
        seen = self.observed[:, self.solvable].mean(axis=0)
        return np.abs(times[:, self.solvable] / seen[None] - 1).mean(axis=0)

    def gaps(self) -> tuple[float, float]:
        """Mean |accuracy trained - that of the modes alone| once the first mode has risen; what training moved."""
        trained, alone = (read["accuracy"].mean(axis=2)[:, self.begun :] for read in (self.trained, self.predicted))
        return float(np.mean(np.abs(trained - alone))), float(np.mean(np.abs(trained - trained[:, :1])))


def run(setting: EmergenceSetting, run: Run) -> Emergence:
    """Train on the pairs of a text, and put the closed form of its modes on the same clock; seeds are starts."""
    made = setting.attributes > 0
    language = made_language(setting.attributes, setting.noise) if made else corpus(setting.vocab, setting.window, run)
    families = Families(language, setting.least)
    modes, shuffled_modes = (
        kept_modes(pairs, setting.width, run.keep) for pairs in (language.pairs, language.shuffled)
    )
    run.progress("modes: done")
    parts = segments(setting, np.asarray(modes.strengths))

    def kept(name: str, pairs: Cooccurrence, what: Any, compute: Callable[[], Measures]) -> Measures:
        identity = (pairs_digest(pairs), language.digest, setting, families.names, what)
        return kept_arrays(run.keep, name, identity, compute)

    def read(pairs: Cooccurrence, seed: int, name: str) -> tuple[np.ndarray, Measures]:
        times, embed = trained(setting, pairs, parts, seed, run)
        found = kept(name, pairs, seed, lambda: measured(embed, modes, families, setting.shown))
        run.progress(f"seed {seed}: read")
        return times, found

    reads = [read(language.pairs, seed, f"measured_{seed}") for seed in range(run.seeds)]
    starts = [np.asarray(setting.start(language.pairs.vocab, seed)["embed"], np.float64) for seed in range(run.seeds)]
    times, (_, control) = reads[0][0], read(language.shuffled, 0, "control")
    alone = [
        kept(f"predicted_{seed}", language.pairs, seed, partial(predicted, times, start, modes, families))
        for seed, start in enumerate(starts)
    ]
    by_modes = [word_pairs.qr_start(jnp.asarray(start), shuffled_modes) for start in starts]
    rises = [np.asarray(word_pairs.half_time(start, shuffled_modes.strengths)) for start in by_modes]
    steps = kept("ladders", language.pairs, (ORDERS, SPACING), lambda: ladders(modes, families, ORDERS, SPACING))
    return Emergence(
        setting, families, np.asarray(modes.strengths), times, _stacked([found for _, found in reads]), _stacked(alone),
        np.array(rises), control, steps["true"], steps["mixed"],
    )  # fmt: skip


def _stacked(reads: list[Measures]) -> Measures:
    return {name: np.stack([read[name] for read in reads]) for name in reads[0]}


def tables(result: Emergence) -> tuple[Table, ...]:
    """A family each, those with too few covered questions named; and similarity at the end."""
    language = result.families.language
    rows = [
        _row(result, name, len(ids), len(language.questions.sections[name])) for name, ids in language.covered.items()
    ]
    ends = (result.trained["rho"][:, -1].mean(axis=0), result.predicted["rho"][:, -1].mean(axis=0))
    columns = zip(language.similarity, *ends, result.control["rho"][-1], strict=True)
    similarity = [(name, *(f"{x:.3f}" for x in values)) for name, *values in columns]
    return (
        Table(f"families: {language.description}", HEADER, rows, _moments_text(result)),
        Table("similarity at the end (Spearman)", ("similarity file", "trained", "modes alone", "shuffled text"),
              similarity, name="similarity"),
    )  # fmt: skip


def _row(result: Emergence, name: str, covered: int, total: int) -> tuple[str, ...]:
    share = f"{covered} / {total}"
    if name not in result.families.names:
        return (name, share, "too few", *["-"] * 7)
    f = result.families.names.index(name)
    last = result.trained["accuracy"][:, -1, f]
    moments = [f"{x[:, f].mean():.4f}" for x in (result.arrival, result.alone, result.observed)]
    mode = [f"{result.mode[f]:.0f}", *moments, f"{result.risen[:, f].mean():.0f}"]
    offsets = (result.trained[key][:, -1, f].mean() for key in ("offsets", "offsets_null"))
    return (
        name, share, f"{last.mean():.2f} ({last.min():.2f} to {last.max():.2f})",
        f"{result.predicted['accuracy'][:, -1, f].mean():.2f}", *(mode if result.solvable[f] else ["-"] * 5),
        "{:.2f} ({:.2f})".format(*offsets),
    )  # fmt: skip


def _moments_text(result: Emergence) -> str:
    """How the moments from the ladder compare with training, on the coarse grid of the random orders too."""
    observed = result.observed[:, result.solvable].mean(axis=0)
    order = spearman(jnp.asarray(result.arrival[:, result.solvable].mean(axis=0)), jnp.asarray(observed))
    fine, coarse = (result.misses(x).mean() for x in (result.arrival, result.coarse_arrival))
    return (
        f"moment of a family from the ladder: mean |ratio - 1| {fine:.2f}, at every {SPACING}th K {coarse:.2f}, other "
        f"families' moments {number(result.exchanged(), '.2f')}, rank correlation {number(order, '.2f')}"
    )


def evidence(result: Emergence) -> tuple[Evidence, ...]:
    """The closed form on the clock of training, beside wrong starts and shuffled text.

    The parallelograms of made words are nearly exact: they wait for the start to fade, not for a mode, so that the
    modes alone are compared on a text only.
    """
    off, wrong, shuffled = (result.off(start) for start in ("half_rises", "wrong", "shuffled"))
    ladder, mixed = (result.misses(x).mean() for x in (result.arrival, result.mixed_arrival))
    end = result.trained["accuracy"][:, -1].mean()
    controls = max(result.control["accuracy"][-1].mean(), result.trained["dealt"].max())
    within = Bound("expectation", most=0.1, source="within 10 % of theory")
    overlap = result.trained["overlap"]
    rows = [
        Evidence(
            "emergence-space",
            f"word vectors trained on a text end in the leading eigenvectors of M* (top-{TOP} overlap)", overlap[:, 0],
            Bound("expectation", least=0.99, source="0.998 published; 0.99 is ours"), "0.998", null=overlap[:, 1],
            ceiling="1", every=True,
        ),
        Evidence(
            "emergence-half-rises",
            f"its first {result.setting.timed} modes rise when the closed form says (largest |ratio - 1|)",
            off.max(axis=1), within, "shown, no number", null=shuffled.max(axis=1), ceiling="0", every=True,
        ),
        Evidence(
            "emergence-families", "a family is solved when the mode arrives that eigenvectors name (mean |ratio - 1|)",
            np.array([ladder]), Bound("expectation", most=float(mixed), source="modes in random order", strict=True),
            "not published", null=np.array([mixed]), ceiling="0", varied="families", source="jaxembed",
        ),
        control(
            "emergence-wrong-starts",
            "|ratio - 1| of half-rises from singular values of the start, and of the shuffled text, over the theory's",
            min(wrong.mean(), shuffled.mean()) / off.mean(), 2.0, no_null="it compares with the controls",
        ),
        Evidence(
            "emergence-controls", "analogies solved after shuffled text or with dealt-out answers, over the trained",
            np.array([controls / end]), Bound("machinery", most=0.1, source="controls that must fail"),
            no_null="it is one", ceiling="0",
        ),
    ]  # fmt: skip
    if result.setting.attributes:
        return tuple(rows)
    (gap, moved), closed = result.gaps(), result.misses(result.alone)
    return (
        *rows,
        Evidence(
            "emergence-alone", "accuracy of the modes alone beside training, once the first has risen (gap / motion)",
            np.array([gap / moved]), Bound("expectation", most=0.1, source="a tenth of the motion"),
            no_null="the motion is the measure", ceiling="0", source="jaxembed",
        ),
        Evidence(
            "emergence-alone-moments", "moment of a family, from the modes alone (mean |ratio - 1|)",
            np.array([closed.mean()]), within, null=np.array([mixed]), ceiling="0", varied="families",
            source="jaxembed",
        ),
    )  # fmt: skip


def caption(result: Emergence) -> str:
    """What was computed with what."""
    setting, text = result.setting, result.families.language.description
    return (
        f"{text}; width {setting.width}, init scale {setting.init_scale:g}, gradient descent on all pairs in float32, "
        f"{result.seeds} init seeds (bands: smallest to largest); theory in float64 "
        "from pair counts and start;\nmoments of the modes alone are counted from the first mode's half-rise: before "
        "it the rest of the start decides, which they leave out."
    )


STUDY = Study(
    name="analogy_emergence",
    source="karkada2025closed",
    settings=SETTINGS,
    seeds={"tiny": 5, "quick": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("emergence-space", "emergence-half-rises", "emergence-families", "emergence-wrong-starts",
         "emergence-controls", "emergence-alone", "emergence-alone-moments"),
    beyond_tiny=("emergence-alone", "emergence-alone-moments"),
    takes={"tiny": "10 s", "quick": "25 min on one core, a gigabyte kept"},
    smaller={"tiny": "32 made words", "quick": "6.8 M words, 5,000 different"},
    needs=("float64", DATA),
    tiny_needs=("float64",),
)  # fmt: skip
