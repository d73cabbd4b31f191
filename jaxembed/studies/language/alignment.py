"""Do embeddings and unembeddings of decoders trained on text follow its next- and previous-token signatures, and when?

Every training is a subset of The Pile, a tokeniser trained on it and an architecture: `alignment_training` trains and
measures it, `alignment_texts` counts the text. The published decoders are larger. Source: yao2025probability.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import groupby, product

import numpy as np
from jaxtyping import Float

from ...keep import kept_arrays
from ...tables import Table, spread, with_span
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import DATA, Run, Study
from .alignment_texts import BUILTIN, PLAIN, CountedText, text_of
from .alignment_training import CROSS, OWN, SCHEDULE, TABLES, AlignedDecoder, AlignedShape, AlignedTraining, measured

NULLS = ("untrained", "shuffled", "mantel")
EARLY = 0.25
"""The share of training at which a course is called early."""
NAMES = {"embed": "W^E with next", "unembed": "W^U with previous"}
SUBSETS = ("wikipedia_en", "pile_cc", "github")
HEADER = (
    "subset", "tokeniser", "model", "seed", "held-out loss", "W^E, next: centred / plain",
    "W^U, previous: centred / plain", "cross E, U", "untrained 99 %", "shuffled signatures 99 %", "Mantel 99 %",
    "trained on shuffled", "share at 25 %",
)  # fmt: skip
STRENGTH_ENDS = (
    "trend over tenths [95 %]", "excess of the strongest [95 %]", "same 10 neighbours (99 % null)",
    "R_cos [95 %, tokens]", "sd, documents", "reliability",
)  # fmt: skip
LAYER_HEADER = ("decoder", "states", "signature", "by depth: embedding, blocks, last norm", "untrained")


@dataclass(frozen=True)
class AlignmentSetting:
    """Which decoders are trained, and their shape.

    Attributes:
        places: (subset, tokeniser, architecture); the first is trained from several seeds.
        shape: of every decoder.
        tied: whether the first is also trained with a tied head.
        least: by table, the smallest R_cos with its own signature on the first subset.
        times_cross: how often the cross value that must be.
        backwards: start from the last training, so that a second process on another core, with the same folder, meets
            the first half-way.
    """

    places: tuple[tuple[str, str, str], ...] = tuple(product(SUBSETS, ("bytes", "words"), ("qwen2", "llama")))
    shape: AlignedShape = AlignedShape()  # noqa: RUF009
    tied: bool = True
    least: tuple[tuple[str, float], ...] = (("embed", 0.40), ("unembed", 0.55))
    times_cross: float = 2.0
    backwards: bool = False

    def trainings(self, seeds: int) -> list[AlignedTraining]:
        """All trainings, those on one text next to each other; each beside one on its shuffled text."""
        found = [AlignedTraining(*place, shuffled=shuffled) for place in self.places for shuffled in (False, True)]
        found += [AlignedTraining(*self.places[0], seed=seed) for seed in range(1, seeds)]
        found += [AlignedTraining(*self.places[0], tied=True)] if self.tied else []
        texts = [place[:2] for place in self.places]
        return sorted(found, key=lambda training: texts.index(_text_of(training)))


SETTINGS: dict[Size, AlignmentSetting] = {
    "tiny": AlignmentSetting(
        ((BUILTIN, "words", "qwen2"), (BUILTIN, "bytes", "llama")),
        AlignedShape(
            vocab=512, width=32, layers=1, mlp_width=64,
            schedule=replace(SCHEDULE, length=32, warmup=10, learning_rate=5e-3,
                             save_steps=(0, 10, 20, 40, 80, 160, 320)),
            frequent=150, held_out=4000, quantiles=(0.5, 0.9, 0.99), halvings=2, contexts=64,
            characters=800_000,
        ),
        tied=False,
        least=(("embed", 0.2), ("unembed", 0.4)),
        times_cross=1.2,
    ),
    "quick": AlignmentSetting(),
}  # fmt: skip


@dataclass(frozen=True)
class DecoderAlignment:
    """All decoders, by `AlignedTraining`."""

    setting: AlignmentSetting
    decoders: dict[AlignedTraining, AlignedDecoder]

    @property
    def main(self) -> list[AlignedDecoder]:
        """Those trained on the text as it stands, first seed, untied."""
        return [self.decoders[AlignedTraining(*place)] for place in self.setting.places]

    @property
    def seeds(self) -> list[AlignedDecoder]:
        """The first one's seeds."""
        place = self.setting.places[0]
        plain = [at for at in self.decoders if not (at.shuffled or at.tied)]
        return [self.decoders[at] for at in plain if (at.subset, at.tokenizer, at.architecture) == place]

    def on_shuffled(self, decoder: AlignedDecoder) -> AlignedDecoder:
        """The same network trained on the text shuffled within documents."""
        at = decoder.training
        return self.decoders[AlignedTraining(at.subset, at.tokenizer, at.architecture, shuffled=True)]

    def limit(self, decoder: AlignedDecoder, table: str) -> float:
        """What a table's agreement must exceed: the 99th percentile of every null, and training on shuffled text."""
        name = f"{table} {OWN[table]}"
        # numpy's maximum hands an undefined null on, so that nothing passes beside it
        return float(np.max([*(decoder.limit(name, null) for null in NULLS), self.on_shuffled(decoder).last(name)]))

    def early(self, table: str, decoders: list[AlignedDecoder]) -> Float[np.ndarray, " seed"]:
        """Agreement at a quarter of training over agreement at its end, by decoder."""
        name = f"{table} {OWN[table]}"
        return np.array([decoder.at_share(name, EARLY) / decoder.last(name) for decoder in decoders])


def run(setting: AlignmentSetting, run: Run) -> DecoderAlignment:
    """Train every decoder, or read it from the folder, and measure its alignment beside its nulls.

    Seeds are of initialisation and data order, for the first place.
    """
    found: dict[AlignedTraining, AlignedDecoder] = {}
    trainings = setting.trainings(run.seeds)
    for place, group in groupby(trainings[::-1] if setting.backwards else trainings, key=_text_of):
        read = cache(partial(_text, *place, setting.shape, run))  # only where a training of it is missing
        for training in group:
            compute = partial(measured, training, setting.shape, read)
            values = kept_arrays(run.keep, training.name, (training, setting.shape), compute)
            found[training] = AlignedDecoder(training, values)
            run.progress(f"{len(found)} of {len(trainings)}: {_line(found[training])}", len(found) / len(trainings))
    return DecoderAlignment(setting, {training: found[training] for training in trainings})


def _text_of(training: AlignedTraining) -> tuple[str, str]:
    return training.subset, training.tokenizer


def _text(subset: str, tokenizer: str, shape: AlignedShape, run: Run) -> CountedText:
    run.progress(f"{subset}, {tokenizer}: encoding and counting")
    return text_of(
        subset, tokenizer, vocab=shape.vocab, frequent=shape.frequent, held_out=shape.held_out, shuffles=shape.draws,
        halvings=shape.halvings, characters=shape.characters,
    )  # fmt: skip


def _line(decoder: AlignedDecoder) -> str:
    own = ", ".join(f"{NAMES[table]} {decoder.last(f'{table} {OWN[table]}'):.3f}" for table in TABLES)
    speed = f"{float(decoder.values['tokens per second']):,.0f} tokens/s"
    return f"{decoder.training.name}: {own}; held-out loss {decoder.last('held'):.2f}, {speed}"


def tables(result: DecoderAlignment) -> tuple[Table, ...]:
    """Agreement at the end of every training; by strength of the pair; of the states at every depth."""
    quantiles = (f"> {100 * quantile:g} %" for quantile in result.setting.shape.quantiles)
    plain = [decoder for at, decoder in result.decoders.items() if not at.shuffled]
    early = "; ".join(_early_text(result, table) for table in TABLES)
    strengths = [_strength_row(decoder, table) for decoder in result.main for table in TABLES]
    layers = [row for decoder in result.main for row in _layer_rows(decoder)]
    return (
        Table("R_cos at the end", HEADER, [_row(result, decoder) for decoder in plain], early),
        Table("pairs by strength", ("decoder", "table", *quantiles, *STRENGTH_ENDS), strengths, name="strength"),
        Table("states by depth", LAYER_HEADER, layers, name="layers"),
    )


def _row(result: DecoderAlignment, decoder: AlignedDecoder) -> tuple[str, ...]:
    at, own = decoder.training, [f"{table} {OWN[table]}" for table in TABLES]
    plain, shuffled = decoder.last, result.on_shuffled(decoder).last
    return (
        at.subset, at.tokenizer, at.architecture, f"{at.seed}{', tied' if at.tied else ''}", f"{plain('held'):.2f}",
        *(f"{plain(name):.2f} / {plain(name + PLAIN):.2f}" for name in own),
        _both((plain(f"{table} {CROSS[table]}") for table in TABLES), ".2f"),
        *(_both((decoder.limit(name, null) for name in own), ".3f") for null in NULLS),
        _both((shuffled(name) for name in own), ".3f"),
        _both((result.early(table, [decoder])[0] for table in TABLES), ".2f"),
    )  # fmt: skip


def _both(values: Iterable[float], spec: str = ".2f") -> str:
    return ", ".join(format(value, spec) for value in values)


def _early_text(result: DecoderAlignment, table: str) -> str:
    """How much of the final agreement is there early in training, over decoders and over seeds of one."""
    parts = ((result.main, "decoders"), (result.seeds, "seeds of one"))
    shares = (f"{spread(result.early(table, found))} over {len(found)} {what}" for found, what in parts)
    return f"{NAMES[table]}: share of the end at {100 * EARLY:g} % of training {', '.join(shares)}"


def _strength_row(decoder: AlignedDecoder, table: str) -> tuple[str, ...]:
    tails, name = decoder.values[f"{table} tails"], f"{table} {OWN[table]}"
    half = np.mean(decoder.values[f"{OWN[table]} reliability"])
    whole = 2 * half / (1 + half)  # Spearman and Brown: the reliability of both halves together
    (shared, by_chance), (low, high) = decoder.values[f"{table} overlap"], decoder.values[f"{name} interval"]
    return (
        decoder.training.title, NAMES[table], *(f"{mean:.2f}" for mean in tails[:, 0]),
        with_span(*decoder.values[f"{table} trend"], spec=".3f"), with_span(*tails[-1, 1:], spec=".3f"),
        f"{shared:.2f} ({by_chance:.3f})",
        with_span(decoder.last(name), low, high, ".2f"),
        f"{decoder.values[f'{name} halves'].std(ddof=1):.3f}", f"{whole:.2f}",
    )  # fmt: skip


def _layer_rows(decoder: AlignedDecoder) -> list[tuple[str, ...]]:
    rows = []
    for kind, name in product(("alone", "context"), ("next", "previous")):
        course = decoder.values[f"{kind} {name}"]
        null = course[0] if kind == "context" else np.quantile(decoder.values[f"alone {name} untrained"], 0.99, axis=0)
        rows.append((decoder.training.title, kind, name, _both(course[-1]), _both(null)))
    return rows


def evidence(result: DecoderAlignment) -> tuple[Evidence, ...]:
    """Tables against their own signature, the cross one and every null; and whether strong pairs agree more.

    A rising mean follows from any positive correlation; only the excess says that strong pairs agree more.
    """
    over = [decoder.last(f"{t} {OWN[t]}") - result.limit(decoder, t) for decoder in result.main for t in TABLES]
    ends = [decoder.values[f"{table} tails"][-1, 2:] for decoder in result.main for table in TABLES]
    decided = np.mean([low > 0 or high < 0 for low, high in ends])
    return (
        control("language-nulls", "R_cos of every table above all its nulls (difference)", np.array(over),
                no_null="it is over the nulls", ceiling="1", varied="tables of decoders"),
        *(row for table in TABLES for row in _table_evidence(result, table)),
        Evidence("language-strong-pairs-decided", "tables whose excess of the strongest pairs is decided (share)",
                 np.array([decided]), Bound("expectation", least=1.0, source="interval over tokens without 0"),
                 no_null="it counts decisions", ceiling="1"),
    )  # fmt: skip


CLAIMS = {
    "embed": ("decoders: embeddings follow next-token signatures (R_cos, centred)",
              "embeddings follow next- far more than previous-token signatures (ratio of R_cos)"),
    "unembed": ("decoders: unembeddings follow previous-token signatures (R_cos, centred)",
                "unembeddings follow previous- far more than next-token signatures (ratio)"),
}  # fmt: skip
over_seeds = partial(Evidence, varied="init and data seeds")
over_decoders = partial(Evidence, varied="decoders on the first text, at their weakest seeds", every=True)


def _table_evidence(result: DecoderAlignment, table: str) -> tuple[Evidence, ...]:
    """Of the first decoder over its seeds, and of every decoder on the first text."""
    setting, first, name = result.setting, result.main[0], f"language-{table}"
    decoders = [one for one in result.main if one.training.subset == first.training.subset]
    repeats = [result.seeds if one is first else [one] for one in decoders]
    own, cross = (
        [np.array([seed.last(f"{table} {signature[table]}") for seed in seeds]) for seeds in repeats]
        for signature in (OWN, CROSS)
    )
    limits = np.array([result.limit(one, table) for one in decoders])
    excess = np.array([seed.values[f"{table} tails"][-1, 1] for seed in result.seeds])
    level, over = (
        Bound("expectation", least=least, source="expected of small decoders")
        for least in (dict(setting.least)[table], setting.times_cross)
    )
    (claim, ratio), shape, none = CLAIMS[table], "figures, no number", "the other signature is the control"
    return (
        over_seeds(name, claim, own[0], level, shape, null=limits[:1], ceiling="1"),
        over_decoders(f"{name}-decoders", f"{claim}, every one", np.array([x.min() for x in own]), level, shape,
                      null=limits, ceiling="1"),
        over_seeds(f"{name}-cross", ratio, own[0] / cross[0], over, shape, no_null=none, ceiling="none"),
        over_decoders(f"{name}-cross-decoders", f"{ratio}, every decoder",
                      np.array([x.min() / y.max() for x, y in zip(own, cross, strict=True)]), over, shape,
                      no_null=none, ceiling="none"),
        over_seeds(f"language-strong-pairs-{table}",
                   f"the strongest pairs of {table}dings agree more than one line says (excess)", excess,
                   Bound("paper", least=0.0, source="strong pairs agree most"), "strong pairs agree most",
                   no_null="0 where one correlation says it all", ceiling="none"),
    )  # fmt: skip


def caption(result: DecoderAlignment) -> str:
    """What was computed with what."""
    shape, schedule = result.setting.shape, result.setting.shape.schedule
    return (
        f"decoders of width {shape.width}, {shape.layers} layers, vocabulary {shape.vocab}, {schedule.steps} steps of "
        f"{schedule.batch} x {schedule.length} tokens, AdamW {schedule.learning_rate:g}, float32; the {shape.frequent} "
        "most frequent tokens, signatures minus the unigram distribution. Bands: smallest to largest over tokenisers "
        f"and architectures;\ngrey: 1st to 99th percentile of {shape.draws} untrained networks and of signatures of "
        "as many shuffled corpora; intervals: resampled groups of tokens."
    )


STUDY = Study(
    name="alignment",
    source="yao2025probability",
    settings=SETTINGS,
    seeds={"tiny": 3, "quick": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("language-nulls", "language-strong-pairs-decided",
         *(f"language-{table}{end}" for table in TABLES for end in ("", "-decoders", "-cross", "-cross-decoders")),
         *(f"language-strong-pairs-{table}" for table in TABLES)),
    takes={"tiny": "30 s", "quick": "40 min"},
    smaller={"tiny": "decoders of width 32 on Python's documentation", "quick": "decoders of width 128, 320 steps"},
    needs=("text", DATA),
    tiny_needs=("text",),
    ledger="tiny",
)  # fmt: skip
