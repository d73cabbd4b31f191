"""Task vectors of the families of an analogy file: consistency, spectrum and signal-to-noise in the vectors of M*."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression

from ...keep import UNDEFINED, kept_arrays
from ...observables import spearman
from ...tables import Table, number, span, with_span
from ...theory import task_vectors as theory
from ...words import (
    Convention,
    OffsetConsistency,
    SectionScore,
    TaskVectors,
    WordVectors,
    cooccurrence,
    eigenpairs,
    factor_vectors,
    offset_consistency,
    pairs_of,
    quadratic_target,
    read_questions,
    score_analogies,
    task_vector_snr,
    task_vectors,
)
from ...words.families import Pairs
from ...words.questions import Questions
from ..data import questions_file
from ..evidence import Bound, Evidence, Size
from ..study import DATA, Run, Study
from .emergence_texts import made_language
from .word_scores import middle_95, spearman_redrawn
from .word_texts import pile_domains, text_digest

HEADER = (
    "family", "pairs", "consistency", "shuffled partners", "largest SNR", "at width", "shuffled", "one peak (R2)",
    "spike / theory", "edge / theory", "cosine of spike and mean", "theory", "accuracy",
)  # fmt: skip
ORDER_HEADER = ("orders families by accuracy", "Spearman", "95 % over families")


@dataclass(frozen=True)
class TaskVectorsSetting:
    """Words, widths and nulls.

    Attributes:
        vocab: words of the corpus; analogies are scored over all of them.
        width: columns of the vectors.
        scored: width at which analogies and the spectrum are read.
        widths: of the smaller models.
        shuffles: of the partners.
        least: covered pairs a family needs.
        attributes: of made words instead of a corpus; 0 reads the corpus.
    """

    vocab: int = 30_000
    width: int = 400
    scored: int = 200
    widths: tuple[int, ...] = (2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 200, 226, 320, 400)
    shuffles: int = 100
    least: int = 8
    attributes: int = 0


SETTINGS: dict[Size, TaskVectorsSetting] = {
    "tiny": TaskVectorsSetting(
        width=20, scored=12, widths=(1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20), shuffles=20, attributes=6
    ),
    "quick": TaskVectorsSetting(),
}


@dataclass(frozen=True)
class Family:
    """One family of word pairs, at the scored width unless said.

    Attributes:
        score: of its analogies.
        offsets: consistency of the offsets of unit vectors, beside shuffled partners.
        vectors: offsets of the raw vectors, and their spectrum.
        snr: by width.
        snr_shuffled: by width, mean over shuffles.
        overlap_shuffled: |cosine| of the leading direction with the mean offset, mean over shuffles.
    """

    score: SectionScore
    offsets: OffsetConsistency
    vectors: TaskVectors
    snr: Float[np.ndarray, " width"]
    snr_shuffled: Float[np.ndarray, " width"]
    overlap_shuffled: float

    @property
    def spectrum(self) -> Float[np.ndarray, " example"]:
        """Eigenvalues of the Gram matrix over the noise of all dimensions, by whose number R R^T is divided already."""
        return self.vectors.spectrum / self.vectors.noise

    @property
    def bulk(self) -> Float[np.ndarray, " example"]:
        """The same of the offsets less their mean, without the zero that this leaves."""
        return self.vectors.bulk[:-1] / self.vectors.noise

    @property
    def ratio(self) -> float:
        """N / d, d the effective width of the noise."""
        return len(self.vectors.offsets) / self.vectors.dimensions

    @property
    def spike(self) -> float:
        """Largest eigenvalue over that of theory."""
        return self.spectrum[0] / float(theory.spike(self.vectors.strength, self.ratio))

    @property
    def edge(self) -> float:
        """Largest eigenvalue of the bulk over the edge of theory."""
        return self.bulk[0] / float(theory.bulk_edges(self.ratio)[1])


ORDERS: dict[str, Callable[[Family], float]] = {
    "largest SNR": lambda family: max(family.snr),
    "the same less that of shuffled partners": lambda family: max(family.snr) - max(family.snr_shuffled),
    "offset consistency": lambda family: family.offsets.value,
    "control: number of pairs": lambda family: family.offsets.covered,
    "control: largest SNR of shuffled partners": lambda family: max(family.snr_shuffled),
}
"""What may order families by accuracy."""


@dataclass(frozen=True)
class TaskVectorsResult:
    """All families.

    Attributes:
        setting: words, widths, nulls.
        description: the vectors, in words.
        convention: of the analogies.
        families: those with pairs enough.
        left_out: names of the others.
    """

    setting: TaskVectorsSetting
    description: str
    convention: str
    families: tuple[Family, ...]
    left_out: tuple[str, ...]

    def column(self, read: Callable[[Family], float]) -> Float[np.ndarray, " topic"]:
        """A number of every family."""
        return np.array([read(family) for family in self.families], np.float64)

    def order(self, label: str) -> tuple[float, float, float]:
        """Spearman's correlation of a number (`ORDERS`) with the accuracy, with its interval over families."""
        return rank_order(self.column(ORDERS[label]), self.column(lambda family: family.score.accuracy))


def run(setting: TaskVectorsSetting, run: Run) -> TaskVectorsResult:
    """Factorise M*, and read the offsets of every family of analogies; only shuffles are drawn, so one seed is all.

    Source: karkada2025closed.
    """
    vectors, questions, description = _made(setting) if setting.attributes else _corpus(setting, run)
    run.progress(description)
    scored = WordVectors(vectors.words, np.ascontiguousarray(vectors.matrix[:, : setting.scored]))
    report = score_analogies(scored, questions, top=None)
    run.progress(str(report))
    families, left_out = [], []
    for name, pairs in pairs_of(questions).items():
        if sum(a in vectors.ids and b in vectors.ids for a, b in pairs) < setting.least:
            left_out.append(name)
            continue
        families.append(_family(report.section(name), vectors, scored, pairs, setting))
    return TaskVectorsResult(setting, description, report.convention, tuple(families), tuple(left_out))


def tables(result: TaskVectorsResult) -> tuple[Table, ...]:
    """The families, and what orders them by accuracy."""
    few = f"; too few pairs: {', '.join(result.left_out)}" if result.left_out else ""
    note = (
        f"{result.description}; spectra and analogies at width {result.setting.scored}; analogies: "
        f"{result.convention}; brackets of the shuffles: 2.5 and 97.5 % of {result.setting.shuffles}; edge and spike: "
        f"ratios to theory{few}"
    )
    orders = [(label, *order_text(*result.order(label))) for label in ORDERS]
    return (
        Table("task vectors by family", HEADER, [_row(family, result.setting) for family in result.families], note),
        Table("what orders families by accuracy", ORDER_HEADER, orders, note, "order"),
    )


def _row(family: Family, setting: TaskVectorsSetting) -> tuple[str, ...]:
    offsets, vectors, score, peak = family.offsets, family.vectors, family.score, int(np.argmax(family.snr))
    low, high = np.quantile(offsets.null, (0.025, 0.975))
    overlap = float(theory.mean_overlap(vectors.strength, family.ratio))
    return (
        score.name, f"{offsets.covered} of {offsets.pairs}", f"{offsets.value:.2f}",
        with_span(np.mean(offsets.null), low, high, ".2f"), f"{family.snr[peak]:.1f}", str(setting.widths[peak]),
        f"{family.snr_shuffled[peak]:.1f}", f"{one_peak(family.snr):.3f}", f"{family.spike:.2f}", f"{family.edge:.2f}",
        f"{vectors.mean_overlap:.2f}", f"{overlap:.2f}", with_span(score.accuracy, score.low, score.high, ".1%"),
    )  # fmt: skip


def order_text(rho: float, low: float, high: float) -> tuple[str, str]:
    """Spearman's correlation and its interval."""
    return number(rho, ".2f"), span(low, high, ".2f") or UNDEFINED


def evidence(result: TaskVectorsResult) -> tuple[Evidence, ...]:
    """The spike and the mean of every family, and what orders families.

    That signal-to-noise has one peak over widths is published too, but no evidence: shuffled partners have one, near
    d = N, by the rank in its definition. The table has it.
    """
    rho, low, high = result.order("largest SNR")
    control = result.order("control: largest SNR of shuffled partners")[0]
    excess, p_values = (result.column(attrgetter(f"offsets.{name}")) for name in ("excess", "p_value"))
    overlaps = result.column(lambda f: f.vectors.mean_overlap)
    rows = (
        Evidence("task-vectors-overlap", "the offsets of a family have one large eigenvalue, along their mean (cosine)",
                 overlaps, Bound("paper", least=0.9, source="> 0.9", strict=True), published="> 0.9",
                 null=result.column(attrgetter("overlap_shuffled")), ceiling="1", varied="families", every=True),
        Evidence("task-vectors-consistency",
                 "offsets agree more than those of shuffled partners (mean cosine less theirs)", excess,
                 Bound("expectation", least=0.0, source="shuffled partners", strict=True), published="not stated",
                 no_null="shuffled partners are taken off", ceiling="1", varied="families", source="jaxembed"),
        Evidence("task-vectors-p-value", "the same in every family (share of shuffles that reach its consistency)",
                 p_values, Bound("expectation", most=0.05, source="5 %"), published="not stated",
                 no_null="shares are of the null", ceiling="0", varied="families", every=True, source="jaxembed"),
        Evidence("task-vectors-order",
                 "the largest SNR orders families by accuracy (Spearman; null: that of shuffled partners)",
                 np.array([rho]), Bound("paper", least=0.0, source="orders", strict=True), published="no number",
                 null=np.array([control]), ceiling="1", varied="families", interval=(low, high)),
        *(Evidence(f"task-vectors-{name}", f"{text}, in every family (|ratio to theory - 1|)",
                   np.abs(result.column(attrgetter(name)) - 1),
                   Bound("expectation", most=most, source=f"{most:.0%} of theory"), published="theory, no number",
                   no_null="nothing is fitted", ceiling="0", varied="families", every=True)
          for name, text, most in (("spike", "largest eigenvalue", 0.1), ("edge", "edge of the bulk", 0.2))),
    )  # fmt: skip
    # Made words are all solved, and their offsets no draws of one law: the last three say nothing there.
    return rows[:3] if result.setting.attributes else rows


def caption(result: TaskVectorsResult) -> str:
    """What was computed with what."""
    return (
        f"{result.description}; offsets of raw vectors, columns by eigenvalue; spectrum and accuracy at d = "
        f"{result.setting.scored};\nbars: 95 % over resampled word pairs; grey: partners shuffled, mean over families."
    )


STUDY = Study(
    name="task_vectors",
    source="karkada2025closed",
    settings=SETTINGS,
    seeds={"tiny": 1, "quick": 1},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("task-vectors-overlap", "task-vectors-consistency", "task-vectors-p-value", "task-vectors-order",
         "task-vectors-spike", "task-vectors-edge"),
    takes={"tiny": "5 s", "quick": "5 min"},
    smaller={"tiny": "64 made words of six attributes, no text",
             "quick": "twelve domains of The Pile in place of the published corpus, 30,000 words"},
    needs=(DATA,),
    tiny_needs=(),
    ledger="tiny",
    beyond_tiny=("task-vectors-order", "task-vectors-spike", "task-vectors-edge"),
)  # fmt: skip


def _made(setting: TaskVectorsSetting) -> tuple[WordVectors, Questions, str]:
    language = made_language(setting.attributes, 0.15)
    values, vectors = (np.flip(x, -1) for x in np.linalg.eigh(quadratic_target(language.pairs).dense()))
    vectors, values = (x[..., : setting.width].astype(np.float32) for x in (vectors, values))
    description = f"{language.description}, their M* in {len(values)} columns"
    return factor_vectors(language.words, vectors, values), language.questions, description


def _corpus(setting: TaskVectorsSetting, run: Run) -> tuple[WordVectors, Questions, str]:
    convention = Convention()
    description = f"M* of twelve domains of The Pile, {setting.vocab:,} words, {convention}, {setting.width} columns"
    text = pile_domains(run.keep, run.progress).cut(None, vocab=setting.vocab)

    def factorised() -> dict[str, np.ndarray]:
        target = quadratic_target(cooccurrence(text, convention))
        run.progress(f"{len(text.ids):,} words: counted")
        return dict(zip(("vectors", "values"), eigenpairs(target, setting.width), strict=True))

    identity = (text_digest(text), convention, setting.vocab, setting.width)
    arrays = kept_arrays(run.keep, "eigenvectors", identity, factorised)
    vectors = factor_vectors(text.words, arrays["vectors"], arrays["values"])
    return vectors, read_questions(questions_file(), form="google"), description


def _family(
    score: SectionScore, vectors: WordVectors, scored: WordVectors, pairs: Pairs, setting: TaskVectorsSetting
) -> Family:
    widths = [width for width in setting.widths if width <= vectors.width]
    few = range(min(20, setting.shuffles))
    shuffled = [task_vector_snr(vectors, pairs, widths, shuffle=seed) for seed in few]
    overlaps = [task_vectors(scored, pairs, shuffle=seed).mean_overlap for seed in few]
    offsets = offset_consistency(scored, pairs, shuffles=setting.shuffles)
    whole, snr = task_vectors(scored, pairs), task_vector_snr(vectors, pairs, widths)
    return Family(score, offsets, whole, snr, np.mean(shuffled, axis=0), float(np.mean(overlaps)))


def rank_order(first: Float[np.ndarray, " topic"], second: Float[np.ndarray, " topic"]) -> tuple[float, float, float]:
    """Spearman's correlation over families, with its 95 % interval over resampled families; NaN where one is flat."""
    both = np.isfinite(first) & np.isfinite(second)
    first, second = first[both], second[both]
    if len(first) < 3:
        return float("nan"), float("nan"), float("nan")
    return float(spearman(first, second)), *middle_95(spearman_redrawn(first, second))


def one_peak(values: Float[np.ndarray, " width"]) -> float:
    """1 - (squared distance to the nearest curve that rises, then falls) / variance."""

    def off(part: np.ndarray, rising: bool) -> float:
        return float(np.sum((part - isotonic_regression(part, increasing=rising).x) ** 2)) if len(part) else 0.0

    total = float(np.sum((values - values.mean()) ** 2))
    errors = [off(values[:top], True) + off(values[top:], False) for top in range(len(values) + 1)]
    return float(1 - min(errors) / total) if total else float("nan")
