"""Analogies as they emerge: word vectors trained on a text, the modes of its pair counts on the same clock."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from ...observables import spearman
from ...theory import word_pairs
from ..check import Check, Size, need_float64
from ..measured import Measured, silent
from .attributes import half_rises
from .emergence_cells import SETTINGS, Setting, begin, digest, kept_arrays, kept_modes, stages, trained
from .emergence_measures import (
    TOP,
    Read,
    families,
    followed,
    half_of_maximum,
    ladders,
    offset_modes,
    predicted,
)
from .emergence_texts import Language, corpus, made_language

HEADER = (
    "family", "covered / asked", "accuracy at the end (range of seeds)", "modes alone", "mode", "its half-rise",
    "modes alone reach half", "training reaches half", "modes up by then", "offsets at the end (null)",
)  # fmt: skip
ORDERS = 5
"""Random orders of the modes."""
SPACING = 4
"""Modes between the steps of their ladders."""


@dataclass(frozen=True)
class Emergence:
    """Training on the pairs and the theory of its modes.

    Attributes:
        size: of the study.
        setting: model, clock and what is followed.
        described: the text.
        names: families followed, in the file's order.
        covered: by every family of the file, covered and asked questions.
        files: names of the similarity files.
        strengths: `[width]`, eigenvalues lam_k of M*.
        times: `[time]`, flow time of the saves.
        seen: by name, what was read of the trained vectors, `[seed, ...]` (`emergence_measures.followed`).
        told: by name, what the modes alone predict, `[seed, ...]` (`emergence_measures.predicted`).
        unlike: `[seed, width]`, half-rise times told by the modes of the shuffled text.
        control: read of vectors trained on the shuffled text, one seed.
        ladder: `[width, topic]`, accuracy of the first K = 1, 2, .. modes by family.
        mixed: `[order, K, topic]`, of modes in random orders.
        carried: `[topic, width]`, how each family's offset is divided among the modes.
        pairs: words of the drawn family.
    """

    size: Size
    setting: Setting
    described: str
    names: tuple[str, ...]
    covered: dict[str, tuple[int, int]]
    files: tuple[str, ...]
    strengths: Float[np.ndarray, " width"]
    times: Float[np.ndarray, " time"]
    seen: Read
    told: Read
    unlike: Float[np.ndarray, "seed width"]
    control: Read
    ladder: Float[np.ndarray, "hidden topic"]
    mixed: Float[np.ndarray, "seed hidden topic"]
    carried: Float[np.ndarray, "topic width"]
    pairs: tuple[tuple[str, str], ...]

    @property
    def seeds(self) -> int:
        return len(self.seen["power"])

    @cached_property
    def rises(self) -> Float[np.ndarray, "seed width"]:
        """Half-rise times of the timed modes in training."""
        timed = self.setting.timed
        return np.array([half_rises(self.times, p[:, :timed], self.strengths[:timed]) for p in self.seen["power"]])

    def ratios(self, start: str) -> Float[np.ndarray, "seed width"]:
        """Half-rise times of training over those told by a `start`: "half_rises", "wrong" or "shuffled"."""
        told = self.unlike if start == "shuffled" else self.told[start]
        return self.rises / told[:, : self.setting.timed]

    @property
    def overlap(self) -> Measured:
        """Of the leading space at the end, beside that of the start."""
        return Measured(self.seen["overlap"][:, 0], self.seen["overlap"][:, 1])

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
        return np.where(np.isnan(self.mode), np.nan, self.told["half_rises"][:, at])

    @cached_property
    def mixed_arrival(self) -> Float[np.ndarray, "seed topic"]:
        """The same for modes in random orders: the time at which so many modes have risen, mean over seeds."""
        return self._coarse(self.mixed)

    @cached_property
    def coarse_arrival(self) -> Float[np.ndarray, "seed topic"]:
        """The same for modes in their order on the coarse ladder of the random orders, to be compared with them."""
        return self._coarse(self.ladder[None, SPACING - 1 :: SPACING])

    def _coarse(self, steps: Float[np.ndarray, "seed hidden topic"]) -> Float[np.ndarray, "seed topic"]:
        """Half-rise time, mean over seeds, of the mode at which ladders of every `SPACING`-th K reach their half."""
        counts = np.arange(SPACING, SPACING * steps.shape[1] + 1, SPACING)
        reached = steps >= steps.max(axis=1, keepdims=True) / 2
        return self.told["half_rises"].mean(axis=0)[counts[np.argmax(reached, axis=1)] - 1]

    def exchanged(self) -> float:
        """Mean |ratio - 1| where every solvable family is told the moment of each of the others: modes stay."""
        told, seen = self.coarse_arrival[0, self.solvable], self.observed[:, self.solvable].mean(axis=0)
        others = ~np.eye(len(told), dtype=bool)
        return float(np.abs(told[:, None] / seen[None, :] - 1)[others].mean()) if len(told) > 1 else float("nan")

    @cached_property
    def observed(self) -> Float[np.ndarray, "seed topic"]:
        """When training reaches half of every family's maximum."""
        return np.array([half_of_maximum(self.times, curve) for curve in self.seen["accuracy"]])

    @property
    def begun(self) -> int:
        """The first save after the half-rise of the first mode: before it the start decides, not the modes."""
        return int(np.searchsorted(self.times, self.told["half_rises"][:, 0].max()))

    @cached_property
    def alone(self) -> Float[np.ndarray, "seed topic"]:
        """When the modes alone do, once the first has risen."""
        times = self.times[self.begun :]
        return np.array([half_of_maximum(times, curve[self.begun :]) for curve in self.told["accuracy"]])

    @property
    def risen(self) -> Float[np.ndarray, "seed topic"]:
        """How many modes of training are past half of their power by then."""
        up = self.seen["power"] >= self.strengths[None, None] / 2
        at = np.searchsorted(self.times, self.observed)
        return np.array([[np.sum(u[min(i, len(u) - 1)]) for i in row] for u, row in zip(up, at, strict=True)], float)

    def misses(self, times: Float[np.ndarray, "seed topic"]) -> Float[np.ndarray, " topic"]:
        """|predicted / observed - 1| of the solvable families, mean over what is given against the mean of training."""
        seen = self.observed[:, self.solvable].mean(axis=0)
        return np.abs(times[:, self.solvable] / seen[None] - 1).mean(axis=0)

    def gaps(self) -> tuple[float, float]:
        """Mean |accuracy trained - that of the modes alone| once the first mode has risen; what training moved."""
        trained, told = (read["accuracy"].mean(axis=2)[:, self.begun :] for read in (self.seen, self.told))
        return float(np.mean(np.abs(trained - told))), float(np.mean(np.abs(trained - trained[:, :1])))

    def rows(self) -> list[tuple[str, ...]]:
        """A family each, in the order of `HEADER`; those with too few covered questions are named."""
        rows = []
        for name, (covered, asked) in self.covered.items():
            share = f"{covered} / {asked}"
            if name not in self.names:
                rows.append((name, share, *["too few"] + ["-"] * 7))
                continue
            f = self.names.index(name)
            last = self.seen["accuracy"][:, -1, f]
            moments = [f"{x[:, f].mean():.4f}" for x in (self.arrival, self.alone, self.observed)]
            told = [f"{self.mode[f]:.0f}", *moments, f"{self.risen[:, f].mean():.0f}"]
            offsets = (self.seen[key][:, -1, f].mean() for key in ("offsets", "offsets_null"))
            rows.append((
                name, share, f"{last.mean():.2f} ({last.min():.2f} to {last.max():.2f})",
                f"{self.told['accuracy'][:, -1, f].mean():.2f}", *(told if self.solvable[f] else ["-"] * 5),
                "{:.2f} ({:.2f})".format(*offsets),
            ))  # fmt: skip
        return rows

    def similarity_rows(self) -> list[tuple[str, ...]]:
        """By similarity file, at the end: training, modes alone, and the shuffled text."""
        found = (self.seen["rho"][:, -1].mean(axis=0), self.told["rho"][:, -1].mean(axis=0), self.control["rho"][-1])
        return [(name, *(f"{x:.3f}" for x in row)) for name, *row in zip(self.files, *found, strict=True)]

    def checks(self) -> list[Check]:
        """The figures asked, and what the ladder says beside its null."""
        off, wrong, shuffled = (np.abs(self.ratios(s) - 1) for s in ("half_rises", "wrong", "shuffled"))
        gap, moved = self.gaps()
        closed, exchanged = self.misses(self.alone), self.exchanged()
        ladder, coarse, null = (
            float(self.misses(x).mean()) for x in (self.arrival, self.coarse_arrival, self.mixed_arrival)
        )
        order = float(spearman(jnp.asarray(self.arrival[:, self.solvable].mean(axis=0)),
                               jnp.asarray(self.observed[:, self.solvable].mean(axis=0))))  # fmt: skip
        end = self.seen["accuracy"][:, -1].mean()
        nulls = max(self.control["accuracy"][-1].mean(), self.seen["unrelated"].max())
        seeds = f"{self.seeds} init seeds"
        checks = [
            Check(f"top-{TOP} space, trained against eigenvectors of M*", "overlap >= 0.99 (null: the start)",
                  str(self.overlap), bool(self.overlap.values.min() >= 0.99)),
            Check(f"half-rise times of the first {self.setting.timed} modes", "within 10 % of theory",
                  f"largest |ratio - 1| {off.max():.3f}, mean {off.mean():.3f} ({seeds})", bool(off.max() <= 0.1)),
            Check("wrong starts: singular values of the start; modes of the shuffled text", "both twice as far off",
                  f"{wrong.mean():.3f} (largest {wrong.max():.3f}); {shuffled.mean():.2f}",
                  bool(min(wrong.mean(), shuffled.mean()) > 2 * off.mean())),
            Check("accuracy of the modes alone beside training, once the first has risen",
                  "mean gap at most a tenth of the motion",
                  f"{gap:.4f}, motion {moved:.3f}", gap <= 0.1 * moved),
            Check("moment of a family, from the modes alone", "mean |ratio - 1| <= 0.1",
                  f"{closed.mean():.3f} (largest {closed.max():.3f}, {len(closed)} families)",
                  bool(closed.mean() <= 0.1)),
            # On the coarse grid alone the two grids are the same, but too coarse for the dozen modes of size tiny.
            Check("moment of a family, from the ladder: half-rise of its mode",
                  f"every K closer than random orders at every {SPACING}th K",
                  f"mean |ratio - 1| {ladder:.2f}, at every {SPACING}th K {coarse:.2f}; random order {null:.2f}; other "
                  f"families' moments {exchanged:.2f}; rank correlation {order:.2f}", bool(ladder < null)),
            Check("controls: shuffled text, dealt-out answers", "at most a tenth of the trained",
                  f"{nulls:.3f}, trained {end:.3f}", bool(nulls <= 0.1 * end)),
        ]  # fmt: skip
        # The parallelograms of made words are nearly exact: they wait for the start to fade, not for a mode.
        return [check for check in checks if self.size == "normal" or "alone" not in check.name]


def analogy_emergence(
    size: Size, seeds: int = 5, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> Emergence:
    """Train quadratic word vectors on all pairs of a text, and put the closed form of its modes on the same clock.

    Theory computes in float64 from the pair counts and the start; training is gradient descent in float32.

    Args:
        size: "tiny" (32 made words) or "normal" (the 5,000 most frequent words of twelve domains of The Pile, which
            JAXEMBED_DATA names; three minutes a seed on one core, five minutes for counts and modes).
        seeds: of the start.
        keep: folder for counts, modes, trained vectors and readings, so that a killed run goes on.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32, or the data is not there.

    Source: karkada2025closed.
    """
    need_float64("analogy_emergence")
    setting = SETTINGS[size]
    made = setting.attributes > 0
    language = (
        made_language(setting.attributes, setting.noise)
        if made
        else corpus(setting.vocab, setting.window, keep, progress)
    )
    names = families(language, setting.least)
    found, mixed_up = (kept_modes(pairs, setting.width, keep) for pairs in (language.pairs, language.shuffled))
    progress("modes: done")
    plan = stages(setting, np.asarray(found.strengths))
    cells = [_cell(setting, language, found, plan, names, seed, keep, progress) for seed in range(seeds)]
    control = _control(setting, language, found, plan, names, keep, progress)
    unlike = np.array([_unlike(setting, language, mixed_up, seed) for seed in range(seeds)])
    told_ladders = kept_arrays(
        keep, "ladders", f"{digest(language.pairs)}, {language.asked}, {setting}, {names}, {ORDERS}, {SPACING}",
        lambda: dict(zip(("true", "mixed"), ladders(found, language, names, ORDERS, SPACING), strict=True)),
    )  # fmt: skip
    words = language.words
    return Emergence(
        size, setting, language.described, names,
        {name: (len(ids), len(language.questions.sections[name])) for name, ids in language.covered.items()},
        tuple(language.similarity), np.asarray(found.strengths), cells[0][0], _stacked([cell[1] for cell in cells]),
        _stacked([cell[2] for cell in cells]), unlike, control, told_ladders["true"], told_ladders["mixed"],
        np.asarray(offset_modes(found, language, names)),
        tuple((words[a], words[b]) for a, b in language.word_pairs[setting.shown]),
    )  # fmt: skip


def _cell(
    setting: Setting, language: Language, found: word_pairs.Modes, plan: tuple, names: tuple[str, ...], seed: int,
    keep: Path | None, progress: Callable[[str], None],
) -> tuple[np.ndarray, Read, Read]:  # fmt: skip
    """Times, readings and predictions of one seed."""
    times, embed = trained(setting, language.pairs, plan, seed, keep, progress)
    identity = f"{digest(language.pairs)}, {language.asked}, {setting}, {names}, {seed}, {len(times)}"
    seen = kept_arrays(keep, f"seen_{seed}", identity, lambda: followed(embed, found, language, names, setting))
    progress(f"seed {seed}: read")
    begun = np.asarray(begin(setting, language.pairs.vocab, seed)["embed"], np.float64)
    told = kept_arrays(keep, f"told_{seed}", identity, lambda: predicted(times, begun, found, language, names))
    progress(f"seed {seed}: predicted")
    return times, seen, told


def _control(
    setting: Setting, language: Language, found: word_pairs.Modes, plan: tuple, names: tuple[str, ...],
    keep: Path | None, progress: Callable[[str], None],
) -> Read:  # fmt: skip
    """The same training on the shuffled text, asked the same; one seed."""
    times, embed = trained(setting, language.shuffled, plan, 0, keep, progress)
    identity = f"{digest(language.shuffled)}, {language.asked}, {setting}, {names}, {len(times)}"
    return kept_arrays(keep, "control", identity, lambda: followed(embed, found, language, names, setting))


def _unlike(setting: Setting, language: Language, mixed_up: word_pairs.Modes, seed: int) -> np.ndarray:
    begun = jnp.asarray(begin(setting, language.pairs.vocab, seed)["embed"], float)
    return np.asarray(word_pairs.half_time(word_pairs.qr_start(begun, mixed_up), mixed_up.strengths))


def _stacked(reads: list[Read]) -> Read:
    return {name: np.stack([read[name] for read in reads]) for name in reads[0]}
