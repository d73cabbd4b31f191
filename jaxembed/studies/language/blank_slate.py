"""From a random start to meaning: when each level of structure arrives, by one rule, beside theory's times.

Decoders are scored at every save on unigrams, bigrams, similarity, relations, analogies and senses; two models on the
pair counts of the same text, which theory can follow (theory/order_of_arrival.md), are timed mode by mode. A level
arrives when it passes half of its rise from null to final score for good.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Float

from ...keep import kept_json
from ...language import parameter_hash
from ...observables import before, spearman
from ...tables import Table, interval, number
from ..evidence import Bound, Evidence, Size
from ..study import DATA, Run, Study
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
from .blank_slate_texts import YardstickSetting, yardsticks_of
from .blank_slate_vectors import VectorSetting, vector_run
from .decoders import BUILT_IN, PILE, Decoders, DecodersSetting, decoders

HEADER = ("run", "level", "score", "null", "final score", "arrives (mean over seeds)", "theory")
MODES = ("model", "mode", "rate, 1 / flow time", "predicted", "observed", "observed / predicted")
CLOCK = "words seen"
RESAMPLES = 300


@dataclass(frozen=True)
class BlankSlateSetting:
    """Sizes of the parts.

    Attributes:
        decoders: that are scored.
        measured: what their levels are measured with.
        bigram: the bigram model of the theory.
        vectors: the word vectors of the theory.
        flow_seeds: of these two.
        control: of the intact text's final score, what the shuffled text may reach.
        long: whether there is text enough for bigrams and meaning to arrive, and for modes to keep their order.
    """

    decoders: DecodersSetting
    measured: YardstickSetting
    bigram: BigramSetting
    vectors: VectorSetting
    flow_seeds: int
    control: float
    long: bool


SETTINGS: dict[Size, BlankSlateSetting] = {
    "tiny": BlankSlateSetting(
        BUILT_IN, YardstickSetting(False, 100, 16, 32, 60, 40, 16), BigramSetting(60, 8, 1e-3, 2.0, 800, 4, 25, 1),
        VectorSetting(150, 8, 1e-3, 4, saves=12, controls=1), flow_seeds=2, control=0.6, long=False,
    ),
    "quick": BlankSlateSetting(
        PILE, YardstickSetting(True, 500, 32, 128, 160, 120, 24), BigramSetting(), VectorSetting(),
        flow_seeds=5, control=0.5, long=True,
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class BlankSlate:
    """Every level's curve and arrival, in the decoders and in the two models of the theory.

    Attributes:
        setting: sizes.
        levels: of the decoders by name, on the clock of words seen; those without data are in `missing`.
        missing: why a level was not measured.
        flows: the bigram model and the word vectors, each on its flow clock.
        frames: `[time, token, width]`, embeddings of all words along the first seed's training.
        words: those words.
    """

    setting: BlankSlateSetting
    levels: dict[str, Level]
    missing: dict[str, str]
    flows: tuple[FlowRun, ...]
    frames: Float[np.ndarray, "time token width"]
    words: tuple[str, ...]

    @property
    def order(self) -> tuple[str, ...]:
        """The levels that arrive in every seed, by their mean time."""
        there = {name: level.arrival.times for name, level in self.levels.items() if level.arrival.everywhere}
        return tuple(sorted(there, key=lambda name: float(np.mean(np.log(np.maximum(there[name], 1))))))

    @property
    def never(self) -> tuple[str, ...]:
        """The levels that were measured and did not arrive in every seed."""
        return tuple(name for name in self.levels if name not in self.order)

    def in_order(self) -> str:
        """The order of arrival, and the share of seeds in which each level comes before the next."""
        pairs = zip(self.order[:-1], self.order[1:], strict=True)
        shares = [f"{a} before {b} {before(self.levels[a].arrival, self.levels[b].arrival):.0%}" for a, b in pairs]
        seeds = f" (share of seeds: {', '.join(shares)})" if shares else ""
        never = f"; never in every seed: {', '.join(self.never)}" if self.never else ""
        return f"order of arrival in the decoders: {' < '.join(self.order)}{seeds}{never}"


def run(setting: BlankSlateSetting, run: Run) -> BlankSlate:
    """Score the decoders at every save, train the two models that theory can follow, and time everything alike.

    Seeds are of the decoders' init and data order. `run.keep` is the folder of the decoders' runs, shared with `senses`
    and `lens`, and, in its `blank_slate`, of all scores.

    Source: jaxembed.
    """
    shared = decoders(setting.decoders, run)
    return timed(setting, shared, replace(run, keep=None if run.keep is None else run.keep / "blank_slate"))


def timed(setting: BlankSlateSetting, shared: Decoders, run: Run) -> BlankSlate:
    """The study of decoders that are there already."""
    yardsticks = yardsticks_of(shared, setting.measured)
    run.progress("yardsticks: ready")
    levels = decoder_levels(shared, yardsticks, run)
    text, names, flow = shared.train, shared.tokenizer.token, replace(run, seeds=setting.flow_seeds)
    flows = (
        bigram_run(text, names, setting.bigram, flow),
        vector_run(text, names, yardsticks, setting.vectors, flow),
    )
    frames = np.stack([np.asarray(shared.params(0, step)["embed"], np.float32)[SPECIAL:] for step in shared.steps])
    return BlankSlate(setting, levels, yardsticks.missing, flows, frames, yardsticks.words)


def decoder_levels(shared: Decoders, yardsticks: Yardsticks, run: Run) -> dict[str, Level]:
    """Every level of every seed at every save, kept one by one."""
    runs: list[list[Scores]] = []
    for seed in shared.seeds:
        runs.append([])
        for step in shared.steps:
            params, resamples = shared.params(seed, step), RESAMPLES if step == shared.steps[-1] else 0
            compute = partial(model_scores, shared.model, params, yardsticks, resamples)
            identity = (
                shared.setting,
                shared.train.hash,
                seed,
                step,
                parameter_hash(params),
                yardsticks.hash,
                resamples,
            )
            runs[-1].append(kept_json(run.keep, "levels", identity, compute))
        run.progress(f"decoder {seed}: levels of {len(shared.steps)} saves")
    return _levels(np.array([shared.words_seen(step) for step in shared.steps], float), runs, yardsticks)


def _levels(ts: np.ndarray, runs: list[list[Scores]], yardsticks: Yardsticks) -> dict[str, Level]:
    ends = [dict(run[-1]) for run in runs]
    if yardsticks.senses:
        for run, end in zip(runs, ends, strict=True):
            first, last = run[0]["senses"], run[-1]["senses"]
            end["senses"] = {"null": first["score"], "margin": sense_margin(last, first, yardsticks.senses)}
    names = [name for name in LEVELS if name in runs[0][-1]]
    scores = {name: np.array([[at[name]["score"] for at in run] for run in runs], float) for name in names}
    return {name: level_of(name, ts, scores[name], ends) for name in names}


def tables(result: BlankSlate) -> tuple[Table, ...]:
    """Every level of every run, and every mode of the two models."""
    rows = [_row("decoder", level, CLOCK) for level in result.levels.values()]
    rows += [("decoder", name, MEASURES[name], "", "not measured", why, "") for name, why in result.missing.items()]
    modes = []
    for flow in result.flows:
        rows += [
            _row(flow.name, level, theory=str(flow.predicted[name].arrival)) for name, level in flow.levels.items()
        ]
        rows += [_row(f"{flow.name}, shuffled text", level) for level in flow.control.values()]
        times = flow.modes
        columns = zip(times.names, times.strengths, times.predicted, times.observed, times.ratios(), strict=True)
        modes += [(flow.name, name, f"{rate:.3g}", str(theory), str(trained), number(ratio, ".2f"))
                  for name, rate, theory, trained, ratio in columns]  # fmt: skip
    return Table("levels", HEADER, rows, result.in_order()), Table("modes", MODES, modes, name="modes")


def _row(run: str, level: Level, unit: str = "flow time", theory: str = "") -> tuple[str, ...]:
    final, null = (interval(values, ".3f") for values in (level.scores[:, -1], level.null))
    when = str(level.arrival)
    when = when if when.startswith("not") else f"{when}, {unit}"
    return (run, level.name, MEASURES[level.name], f"{null} ({NULLS[level.name]})", final, when, theory)


def evidence(result: BlankSlate) -> tuple[Evidence, ...]:
    """An order of arrival, theory's times beside the observed ones, and what is left on shuffled text."""
    rows = [unigram_first(result)]
    if result.setting.long:
        rows.append(meaning_later(result))
    for flow in result.flows:
        rows += mode_evidence(flow, result.setting.long)
    return *rows, *_controls(result)


def unigram_first(result: BlankSlate) -> Evidence:
    """At size tiny bigrams may never arrive: then they are later than the last save."""
    unigram, bigram = (result.levels[name] for name in ("unigram", "bigram"))
    last = np.nan if result.setting.long else bigram.ts[-1]
    later = np.where(bigram.arrival.arrived, bigram.arrival.times, last)
    return Evidence(
        "arrival-unigram-first", "a decoder learns unigrams before bigrams: ln of the ratio of their arrivals",
        np.log(later / unigram.arrival.times), Bound("expectation", least=0.0, source="the order", strict=True),
        "not stated", no_null="no decoder is trained on shuffled text", ceiling="none",
    )  # fmt: skip


def meaning_later(result: BlankSlate) -> Evidence:
    """Undefined unless bigrams and one level of meaning at least arrive in every seed."""
    bigram = result.levels["bigram"].arrival
    others = [result.levels[name].arrival for name in LEVELS[2:] if name in result.levels]
    first = np.min([np.where(each.arrived, each.times, np.inf) for each in others], axis=0)
    there = bigram.everywhere and any(each.everywhere for each in others)
    return Evidence(
        "arrival-meaning",
        "in every seed no level of meaning arrives before the bigrams, and one at least arrives (words between)",
        first - bigram.times if there else np.full(len(first), np.nan),
        Bound("expectation", least=0.0, source="the order"), no_null="no decoder is trained on shuffled text",
        every=True,
    )  # fmt: skip


MODE_CLAIMS = {
    "bigram model": ("bigram", 0.3, 0.8, "bigram modes arrive at ln(H / u0) / 2S (median |observed / predicted - 1|)",
                     "not stated", ""),
    "word vectors": ("vector", 0.1, 0.9, "modes of word vectors arrive at ln(lam / s0^2) / lam (median |ratio - 1|)",
                     "tau_k, no number", "karkada2025closed"),
}  # fmt: skip
"""By model: name in ids, largest median error, least rank correlation; claim, published number, source."""


def mode_evidence(flow: FlowRun, ordered: bool = True) -> list[Evidence]:
    """How far modes are from their predicted times, how many arrive in every seed, and whether in order."""
    name, most, least, claim, published, source = MODE_CLAIMS[flow.name]
    pairs, ratios = flow.modes.pairs(), flow.modes.ratios()
    there = np.isfinite(ratios)
    off, order = np.median(np.abs(ratios[there] - 1)), float(spearman(pairs[there, 0], pairs[there, 1]))
    no_null = "the shuffled text has other modes"
    enough = Bound("expectation", least=0.75, source="so that times can be judged")
    rows = [
        Evidence(f"arrival-{name}-modes", claim, np.array([off]), Bound("expectation", most=most, source="first order"),
                 published, no_null=no_null, ceiling="0", source=source),
        Evidence(f"arrival-{name}-share", f"{flow.name}: share of the modes that arrive in every seed",
                 np.array([there.mean()]), enough, no_null=no_null, ceiling="1"),
        Evidence(f"arrival-{name}-order", f"{flow.name}: rank correlation of predicted and observed times",
                 np.array([order]), Bound("expectation", least=least, source="first order"), no_null=no_null,
                 ceiling="1"),
    ]  # fmt: skip
    return rows if ordered else rows[:2]


def _controls(result: BlankSlate) -> list[Evidence]:
    """Of shuffled text bigrams have to fail; similarity keeps what documents have in common."""
    most, (bigram, vectors) = result.setting.control, result.flows
    gained, null = (each["bigram"].scores[:, -1] for each in (bigram.levels, bigram.control))
    rows = [Evidence("arrival-shuffled", "bigrams are learned from the order of words (nats gained; null: shuffled "
                     "text)", gained, Bound("expectation", least=0.05, source="more than nothing"), "not stated", null,
                     ceiling="none known")]  # fmt: skip
    bounds = Bound("machinery", most=most, source="no order"), Bound("expectation", most=most, source="shuffled text")
    for flow, name, bound in zip((bigram, vectors), ("bigram", "similarity"), bounds, strict=True):
        if name in flow.levels:
            trained, control = (float(each[name].scores[:, -1].mean()) for each in (flow.levels, flow.control))
            claim = f"{name} on shuffled text is a small share of the intact text's at the end"
            rows.append(Evidence(f"arrival-shuffled-{name}", claim, np.array([control / trained]), bound,
                                 no_null="it is the null", ceiling="0"))  # fmt: skip
    return rows


def caption(result: BlankSlate) -> str:
    """What was computed with what."""
    setting, missing = result.setting, (f" Not measured: {name} ({why})." for name, why in result.missing.items())
    return (
        f"Top: decoders of width {setting.decoders.model.width} from random starts (init and data order), AdamW; a "
        "level arrives when it passes half of its rise from null to final score for good.\nBottom: models on the pair "
        f"counts of the same text by plain gradient descent, {setting.flow_seeds} starts; theory knows counts and "
        f"start only.{''.join(missing)}"
    )


STUDY = Study(
    name="blank_slate",
    source="jaxembed",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("arrival-unigram-first", "arrival-meaning", "arrival-shuffled", "arrival-shuffled-bigram",
         "arrival-shuffled-similarity",
         *(f"arrival-{model}-{what}" for model in ("bigram", "vector") for what in ("modes", "share", "order"))),
    takes={"tiny": "10 s", "quick": "an hour and a half, most of it the training of five decoders"},
    smaller={
        "tiny": "60,000 characters of Python's documentation, 150 words, made similarities, plurals and pseudo-words",
        "quick": "3.7 million words of The Pile and 3,000 words in the vectors for the source's whole Wikipedia",
    },
    needs=("float64", DATA),
    tiny_needs=("float64",),
    ledger="tiny",
    beyond_tiny=("arrival-meaning", "arrival-bigram-order", "arrival-vector-order"),
)  # fmt: skip
