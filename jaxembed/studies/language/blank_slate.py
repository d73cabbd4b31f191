"""From a random start to meaning: when each level of structure arrives, by one rule, beside theory's times."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...keep import kept_json
from ...language import parameter_hash
from ...observables import before, spearman
from ..check import Check, Size, need_float64
from ..measured import UNDEFINED, mean_and_interval, silent
from .blank_slate_flow import BigramSetting, FlowRun, bigram_run
from .blank_slate_levels import (
    LEVELS,
    MEASURES,
    NULLS,
    SPECIAL,
    Level,
    Scores,
    Yardsticks,
    level_of,
    model_scores,
    sense_margin,
)
from .blank_slate_texts import SIZES, Sizes, yardsticks_of
from .blank_slate_vectors import VectorSetting, vector_run
from .decoders import Decoders, decoders

HEADER = ("run", "level", "score", "null", "final score", "arrives (mean over seeds)", "theory")
MODES = ("model", "mode", "rate, 1 / flow time", "predicted", "observed", "observed / predicted")
CLOCK = "words seen"
RESAMPLES = 300
ARRIVE = 0.75
"""Share of the modes that has to arrive for their times to be judged."""


@dataclass(frozen=True)
class Setting:
    """Sizes of the parts.

    Attributes:
        measured: what the decoders' levels are measured with.
        bigram: the bigram model of the theory.
        vectors: the word vectors of the theory.
        flow_seeds: of these two.
    """

    measured: Sizes
    bigram: BigramSetting
    vectors: VectorSetting
    flow_seeds: int


SETTINGS = {
    "tiny": Setting(
        SIZES["tiny"],
        BigramSetting(60, 8, 1e-3, 2.0, 800, 4, 25, 1),
        VectorSetting(150, 8, 1e-3, 4, saves=12, controls=1),
        2,
    ),
    "normal": Setting(SIZES["normal"], BigramSetting(), VectorSetting(), 5),
}


@dataclass(frozen=True, eq=False)
class BlankSlate:
    """Every level's curve and arrival, in the decoders and in the two models of the theory.

    Attributes:
        size: of the study.
        levels: of the decoders by name, on the clock of words seen; those without data are in `missing`.
        missing: why a level was not measured.
        flows: the bigram model and the word vectors, each on its flow clock.
        ceilings: best score there is, where it is known.
        frames: `[time, example, width]`, embeddings of a few words along the first seed's training.
        frame_words: by group, those words.
        width: of the decoders.
    """

    size: Size
    levels: dict[str, Level]
    missing: dict[str, str]
    flows: tuple[FlowRun, ...]
    ceilings: dict[str, float]
    frames: Float[np.ndarray, "time example width"]
    frame_words: dict[str, tuple[str, ...]]
    width: int

    @property
    def order(self) -> tuple[str, ...]:
        """The levels that arrive in every seed, by their mean time."""
        there = [name for name, level in self.levels.items() if level.arrival.everywhere]
        return tuple(
            sorted(there, key=lambda name: float(np.mean(np.log(np.maximum(self.levels[name].arrival.times, 1)))))
        )

    @property
    def never(self) -> tuple[str, ...]:
        """The levels that were measured and did not arrive in every seed."""
        return tuple(name for name in self.levels if name not in self.order)

    def in_order(self) -> dict[str, float]:
        """Share of seeds in which each level of the order comes before the next."""
        pairs = zip(self.order[:-1], self.order[1:], strict=True)
        return {f"{a} before {b}": before(self.levels[a].arrival, self.levels[b].arrival) for a, b in pairs}

    def rows(self) -> list[tuple[str, ...]]:
        """Every level of every run, in the order of `HEADER`."""
        rows = [self._row("decoder", level, "") for level in self.levels.values()]
        rows += [("decoder", name, MEASURES[name], "", "not measured", why, "") for name, why in self.missing.items()]
        for run in self.flows:
            rows += [self._row(run.name, level, str(run.predicted[name].arrival)) for name, level in run.levels.items()]
            rows += [self._row(f"{run.name}, shuffled text", level, "") for level in run.control.values()]
        return rows

    def _row(self, run: str, level: Level, theory: str) -> tuple[str, ...]:
        final, null = (mean_and_interval(values, 3) for values in (level.scores[:, -1], level.null))
        unit = f", {CLOCK}" if run == "decoder" else ", flow time"
        when = str(level.arrival)
        when = when if when.startswith("not") else when + unit
        return (run, level.name, MEASURES[level.name], f"{null} ({NULLS[level.name]})", final, when, theory)

    def mode_rows(self) -> list[tuple[str, ...]]:
        """Every mode of the two models, in the order of `MODES`."""
        return [
            (run.name, name, f"{rate:.3g}", str(theory), str(trained), UNDEFINED if np.isnan(ratio) else f"{ratio:.2f}")
            for run in self.flows
            for name, rate, theory, trained, ratio in zip(
                run.modes.names, run.modes.strengths, run.modes.predicted, run.modes.observed, run.modes.ratios(),
                strict=True,
            )
        ]  # fmt: skip

    def checks(self) -> list[Check]:
        """The figures asked: an order, and theory's times beside the observed ones."""
        order = [self._first(), self._meaning()] if self.size == "normal" else [self._first()]
        return [*order, *(self._modes(run) for run in self.flows), *self._controls()]

    def _first(self) -> Check:
        orders = "; ".join(f"{name}: {share:.0%}" for name, share in self.in_order().items())
        got = f"{' < '.join(self.order)}" + (f" (share of seeds: {orders})" if orders else "")
        got += f"; never in every seed: {', '.join(self.never)}" if self.never else ""
        unigram, bigram = (self.levels[name].arrival for name in ("unigram", "bigram"))
        needed = unigram.everywhere and (bigram.everywhere or self.size == "tiny")
        asked = "unigram before bigram in every seed" + ("; the rest as it comes" if self.size == "normal" else "")
        return Check("order of arrival, decoders", asked, got, bool(needed and before(unigram, bigram) == 1))

    def _meaning(self) -> Check:
        later = [name for name in LEVELS if name not in ("unigram", "bigram") and name in self.levels]
        bigram = self.levels["bigram"].arrival
        there = [name for name in later if self.levels[name].arrival.everywhere]
        early = [name for name in later if before(self.levels[name].arrival, bigram) > 0]
        when = "; ".join(f"{name} {self.levels[name].arrival}" for name in later)
        asked = "bigrams and one level of meaning at least arrive in every seed, and none before the bigrams in any"
        return Check("meaning after bigrams, decoders", asked,
                     f"{when}; bigram {bigram}" + (f"; earlier in some seed: {', '.join(early)}" if early else ""),
                     bool(bigram.everywhere and there and not early))  # fmt: skip

    def _modes(self, run: FlowRun) -> Check:
        pairs, ratios = run.modes.pairs(), run.modes.ratios()
        there = np.isfinite(ratios)
        most, rank = (0.1, 0.9) if run.name == "word vectors" else (0.3, 0.8)
        off, order = float(np.median(np.abs(ratios[there] - 1))), float(spearman(pairs[there, 0], pairs[there, 1]))
        asked = f"median |observed / predicted - 1| <= {most:g}, rank correlation >= {rank:g}, of all modes at least "
        asked += f"{ARRIVE:g} arrive in every seed"
        seeds = len(run.modes.predicted[0].times)
        got = f"{off:.3f}, {order:.2f}; {there.sum()} of {len(there)} modes arrive in all {seeds} seeds"
        passed = bool(there.mean() >= ARRIVE and off <= most and (order >= rank or self.size == "tiny"))
        return Check(f"mode times, {run.name}", asked, got, passed)

    def _controls(self) -> list[Check]:
        checks = []
        for run in self.flows:
            name = "bigram" if "bigram" in run.levels else "similarity"
            if name not in run.levels:
                continue
            trained, null = (float(np.mean(each[name].scores[:, -1])) for each in (run.levels, run.control))
            most = 0.5 if self.size == "normal" else 0.6
            asked = f"at most {most:g} of the intact text's score at the end"
            checks.append(
                Check(f"shuffled text, {name}", asked, f"{null:.3f} against {trained:.3f}", null <= most * trained)
            )
        return checks


def blank_slate(
    size: Size, keep: Path | None = None, seeds: int | None = None, progress: Callable[[str], None] = silent
) -> BlankSlate:
    """Score the decoders at every save, train the two models that theory can follow, and time everything alike.

    Args:
        size: "tiny" (Python's documentation) or "normal" (needs JAXEMBED_DATA: The Pile, MEN, Google's questions,
            CoarseWSD-20; about an hour and a half on two cores, most of it the training of five decoders).
        keep: folder of the decoders' runs, which `senses` and `lens_study` share, and of all scores (in its
            `blank_slate`), so that a killed run goes on; None keeps nothing.
        seeds: of the decoders; None takes those of their setting.
        progress: called with a line of text after each part.

    Raises:
        ValueError: without the data folder at size normal, or where JAX computes in float32.

    Source: jaxembed.
    """
    need_float64("blank_slate")
    shared = decoders(size, seeds, keep, progress)
    return timed(size, shared, SETTINGS[size], None if keep is None else keep / "blank_slate", progress)


def timed(
    size: Size, shared: Decoders, setting: Setting, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> BlankSlate:
    """`blank_slate` of decoders that are there already."""
    yardsticks = yardsticks_of(shared, setting.measured)
    progress("yardsticks: ready")
    levels = decoder_levels(shared, yardsticks, setting.measured, keep, progress)
    text, names = shared.train, shared.tokenizer.token
    flows = (
        bigram_run(text, names, setting.bigram, setting.flow_seeds, keep, progress),
        vector_run(text, names, yardsticks, setting.vectors, setting.flow_seeds, keep, progress),
    )
    groups = word_groups(yardsticks)
    words = [word for group in groups.values() for word in group]
    rows = np.array([yardsticks.words.index(word) + SPECIAL for word in words], int)
    frames = np.stack([np.asarray(shared.params(0, step)["embed"], np.float64)[rows] for step in shared.steps])
    ceilings = {"unigram": 0.0, "bigram": yardsticks.ceiling, "senses": 1.0, "analogies": 1.0}
    return BlankSlate(size, levels, yardsticks.missing, flows, ceilings, frames, groups, shared.model.width)


def decoder_levels(
    shared: Decoders,
    yardsticks: Yardsticks,
    sizes: Sizes,
    keep: Path | None = None,
    progress: Callable[[str], None] = silent,
) -> dict[str, Level]:
    """Every level of every seed at every save, kept one by one."""
    runs: list[list[Scores]] = []
    for seed in shared.seeds:
        runs.append([])
        for step in shared.steps:
            last = step == shared.steps[-1]
            compute = partial(_scored, shared, seed, step, yardsticks, RESAMPLES if last else 0)
            hashes = (parameter_hash(shared.params(seed, step)), yardsticks.hash)
            identity = repr((shared.setting, sizes, shared.train.hash, seed, step, hashes, RESAMPLES if last else 0))
            runs[-1].append(kept_json(keep, "levels", identity, compute))
        progress(f"decoder {seed}: levels of {len(shared.steps)} saves")
    return _levels(np.array([shared.words_seen(step) for step in shared.steps], float), runs, yardsticks)


def _scored(shared: Decoders, seed: int, step: int, yardsticks: Yardsticks, resamples: int) -> Scores:
    return model_scores(shared.model, shared.params(seed, step), yardsticks, resamples)


def _levels(ts: np.ndarray, runs: list[list[Scores]], yardsticks: Yardsticks) -> dict[str, Level]:
    ends = [dict(run[-1]) for run in runs]
    if yardsticks.senses:
        for run, end in zip(runs, ends, strict=True):
            first, last = run[0]["senses"], run[-1]["senses"]
            end["senses"] = {"null": first["score"], "margin": sense_margin(last, first, yardsticks.senses)}
    notes = {"similarity": "" if yardsticks.similarity is None else yardsticks.similarity.name,
             "analogies": "" if yardsticks.questions is None else yardsticks.questions.name}  # fmt: skip
    found = {}
    for name in (name for name in LEVELS if name in runs[0][-1]):
        scores = np.array([[at[name]["score"] for at in run] for run in runs], float)
        found[name] = level_of(name, ts, scores, ends, notes.get(name, ""))
    return found


GROUPS = {
    "months": ("january", "march", "april", "june", "july", "august", "september", "october"),
    "places": ("london", "paris", "germany", "france", "china", "india", "japan", "europe"),
    "people": ("he", "she", "they", "we", "him", "her", "them", "us"),
    "verbs": ("make", "take", "find", "give", "get", "see", "know", "think"),
    "numbers": ("one", "two", "three", "four", "five", "six", "seven", "eight"),
    "time": ("day", "days", "week", "month", "months", "year", "years", "hours"),
}
"""Words that an animation shows; those that the vocabulary lacks are left out."""


def word_groups(yardsticks: Yardsticks, fewest: int = 4) -> dict[str, tuple[str, ...]]:
    """Groups of which the vocabulary holds enough words; else words with their plurals."""
    known = set(yardsticks.words)
    groups = {name: tuple(word for word in group if word in known) for name, group in GROUPS.items()}
    groups = {name: group for name, group in groups.items() if len(group) >= fewest}
    plural = tuple(word for word in yardsticks.words if len(word) > 3 and word.endswith("s") and word[:-1] in known)[:8]
    single = tuple(word[:-1] for word in plural)
    return (
        groups if len(groups) > 2 else {"one": single, "many": plural} if plural else {"words": yardsticks.words[:16]}
    )
