"""Task vectors of the families of an analogy file: consistency, spectrum and signal-to-noise in the vectors of M*."""

import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.optimize import isotonic_regression
from scipy.stats import spearmanr

from ...keep import write_bytes as write_whole
from ...theory import task_vectors as theory
from ...words import (
    Convention,
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
from ...words.questions import Questions
from ..check import Check, Size
from ..data import questions_file
from ..measured import UNDEFINED, silent
from .emergence_texts import made_language
from .word_texts import pile_domains, text_digest

HEADER = (
    "family", "pairs", "consistency", "shuffled partners", "largest SNR", "at width", "shuffled", "one peak (R2)",
    "spike / theory", "edge / theory", "cosine of spike and mean", "theory", "accuracy",
)  # fmt: skip
ORDER_HEADER = ("orders families by accuracy", "Spearman", "95 % over families")


@dataclass(frozen=True)
class Setting:
    """Words, widths and nulls.

    Attributes:
        vocab: words of the corpus; analogies are scored over all of them.
        width: columns of the vectors.
        scored: width at which analogies and the spectrum are looked at.
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


SETTINGS: dict[str, Setting] = {
    "tiny": Setting(width=20, scored=12, widths=(1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20), shuffles=20, attributes=6),
    "normal": Setting(),
}
"""By size: made words, seconds; or the twelve domains of The Pile, about four minutes on one core."""


@dataclass(frozen=True)
class Family:
    """One family of word pairs.

    Attributes:
        name: of its section.
        covered: pairs whose words are both there.
        asked: pairs of the file.
        consistency: mean cosine between offsets of unit vectors.
        shuffled: mean of the same with shuffled partners, and its 2.5 and 97.5 % points.
        p_value: share of shuffles that reach the consistency.
        snr: by width.
        snr_shuffled: by width, mean over shuffles.
        spectrum: eigenvalues of the offsets' Gram matrix at the scored width, in units of the noise, largest first.
        bulk: the same of the offsets less their mean.
        ratio: N / d, d the effective width of the noise.
        strength: of the task vector.
        overlap: |cosine| of the leading direction with the mean offset.
        overlap_shuffled: mean of the same over shuffles.
        accuracy: of the family's analogies, among covered questions; NaN where there are none.
        interval: of the accuracy, over resampled word pairs.
    """

    name: str
    covered: int
    asked: int
    consistency: float
    shuffled: tuple[float, float, float]
    p_value: float
    snr: tuple[float, ...]
    snr_shuffled: tuple[float, ...]
    spectrum: tuple[float, ...]
    bulk: tuple[float, ...]
    ratio: float
    strength: float
    overlap: float
    overlap_shuffled: float
    accuracy: float
    interval: tuple[float, float]

    @property
    def spike(self) -> float:
        """Largest eigenvalue over that of theory."""
        return self.spectrum[0] / float(theory.spike(self.strength, self.ratio))

    @property
    def edge(self) -> float:
        """Largest eigenvalue of the bulk over the edge of theory."""
        return self.bulk[0] / float(theory.bulk_edges(self.ratio)[1])

    @property
    def expected_overlap(self) -> float:
        """(T6) of theory/task_vectors.md."""
        return float(theory.mean_overlap(self.strength, self.ratio))

    @property
    def one_peak(self) -> float:
        """Share of the SNR's variance over widths that the best curve with a single peak explains."""
        return _one_peak(np.array(self.snr))

    @property
    def one_peak_shuffled(self) -> float:
        """The same of shuffled partners: the rank in the SNR's definition makes a peak near d = N by itself."""
        return _one_peak(np.array(self.snr_shuffled))


@dataclass(frozen=True)
class TaskVectorsResult:
    """All families.

    Attributes:
        size: of the study.
        setting: words, widths, nulls.
        described: the vectors, in words.
        convention: of the analogies.
        families: those with pairs enough.
        left_out: names of the others.
    """

    size: Size
    setting: Setting
    described: str
    convention: str
    families: tuple[Family, ...]
    left_out: tuple[str, ...]

    def column(self, name: str) -> Float[np.ndarray, " topic"]:
        """A number of every family."""
        of = {
            "largest SNR": lambda f: max(f.snr),
            "largest SNR, shuffled": lambda f: max(f.snr_shuffled),
            "gain": lambda f: max(f.snr) - max(f.snr_shuffled),
        }.get(name, lambda f: getattr(f, name))
        return np.array([of(family) for family in self.families], np.float64)

    def order(self, name: str) -> tuple[float, float, float]:
        """Spearman's correlation of a number with the accuracy over families, with its interval over families."""
        return rank_order(self.column(name), self.column("accuracy"))

    def rows(self) -> list[tuple[str, ...]]:
        """The families, in the order of `HEADER`."""
        return [_row(family, self.setting) for family in self.families]

    def order_rows(self) -> list[tuple[str, ...]]:
        """What orders the families by accuracy, in the order of `ORDER_HEADER`."""
        return [
            (label, *_ordering(self.order(name)))
            for label, name in (("largest SNR", "largest SNR"), ("the same less that of shuffled partners", "gain"),
                                ("offset consistency", "consistency"), ("control: number of pairs", "covered"),
                                ("control: largest SNR of shuffled partners", "largest SNR, shuffled"))
        ]  # fmt: skip

    def checks(self) -> list[Check]:
        """The figures asked."""
        peaks, overlaps = self.column("one_peak"), self.column("overlap")
        rho, low, high = self.order("largest SNR")
        spike, edge = np.abs(self.column("spike") - 1), np.abs(self.column("edge") - 1)
        count, p_values = len(self.families), self.column("p_value")
        path = [
            Check("SNR(width) has one peak in every family", "R2 of a single peak at least 0.95",
                  f"{int(np.sum(peaks >= 0.95))} of {count}, smallest {peaks.min():.3f}; shuffled partners "
                  f"{self.column('one_peak_shuffled').min():.3f}", bool(peaks.min() >= 0.95)),
            Check("cosine of spike and mean offset", "above 0.9 in every family (published)",
                  f"{int(np.sum(overlaps > 0.9))} of {count}, smallest {overlaps.min():.2f}, shuffled partners "
                  f"{self.column('overlap_shuffled').min():.2f}", bool(overlaps.min() > 0.9)),
            Check("offsets more consistent than shuffled partners'", "p <= 0.05 in every family",
                  f"{int(np.sum(p_values <= 0.05))} of {count}, largest p {p_values.max():.2g}",
                  bool(p_values.max() <= 0.05)),
        ]  # fmt: skip
        if self.setting.attributes:  # made words are all solved, and their offsets no draws of one law
            return path
        return [
            *path,
            Check("largest SNR orders families by accuracy", "Spearman's 95 % interval over families above 0",
                  " ".join(_ordering((rho, low, high))), bool(low > 0)),
            Check("spike", "within 10 % of theory in every family",
                  f"{int(np.sum(spike <= 0.1))} of {count}, largest |ratio - 1| {spike.max():.2f}",
                  bool(spike.max() <= 0.1)),
            Check("edge of the bulk", "within 20 % of theory in every family",
                  f"{int(np.sum(edge <= 0.2))} of {count}, largest |ratio - 1| {edge.max():.2f}",
                  bool(edge.max() <= 0.2)),
        ]  # fmt: skip


def task_vectors_study(
    size: Size, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> TaskVectorsResult:
    """Factorise M*, and look at the offsets of every family of analogies.

    Args:
        size: "tiny" (made words) or "normal" (Google's families in the vectors of twelve domains of The Pile).
        keep: folder in which text and eigenvectors are kept.
        progress: called with a line of text after each part.

    Raises:
        ValueError: at normal size without JAXEMBED_DATA.

    Source: karkada2025closed.
    """
    setting = SETTINGS[size]
    vectors, questions, described = _made(setting) if setting.attributes else _corpus(setting, keep, progress)
    progress(described)
    scored = WordVectors(vectors.words, np.ascontiguousarray(vectors.matrix[:, : setting.scored]))
    report = score_analogies(scored, questions, top=None)
    progress(str(report))
    families, left_out = [], []
    for name, pairs in pairs_of(questions).items():
        covered = sum(a in vectors.ids and b in vectors.ids for a, b in pairs)
        if covered < setting.least:
            left_out.append(name)
            continue
        section = report.section(name)
        outcome = {"accuracy": section.accuracy, "interval": (section.low, section.high)}
        families.append(Family(name, **_measured(vectors, scored, pairs, setting), **outcome))
    return TaskVectorsResult(size, setting, described, report.convention, tuple(families), tuple(left_out))


def _made(setting: Setting) -> tuple[WordVectors, Questions, str]:
    language = made_language(setting.attributes, 0.15)
    target = quadratic_target(language.pairs)
    values, vectors = np.linalg.eigh(target.dense())
    vectors, values = vectors[:, ::-1][:, : setting.width], values[::-1][: setting.width]
    found = factor_vectors(language.words, vectors.astype(np.float32), values.astype(np.float32))
    return found, language.questions, f"{language.description}, their M* in {found.width} columns"


def _corpus(setting: Setting, keep: Path | None, progress: Callable[[str], None]) -> tuple[WordVectors, Questions, str]:
    questions = read_questions(questions_file(), form="google")
    convention = Convention()
    described = f"M* of twelve domains of The Pile, {setting.vocab:,} words, {convention}, {setting.width} columns"
    text = pile_domains(keep, progress).cut(None, vocab=setting.vocab)
    told = sha256(f"{text_digest(text)} {convention!r}".encode()).hexdigest()[:16]
    path = None if keep is None else keep / f"eigenvectors_{setting.vocab}_{setting.width}_{told}.npz"
    if path is None or not path.exists():
        target = quadratic_target(cooccurrence(text, convention))
        progress(f"{len(text.ids):,} words: counted")
        vectors, values = eigenpairs(target, setting.width)
        found = {"vectors": vectors, "values": values, "words": np.frombuffer("\n".join(text.words).encode(), np.uint8)}
        if path is None:
            return factor_vectors(text.words, vectors, values), questions, described
        buffer = io.BytesIO()
        np.savez(buffer, **found)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
    with np.load(path) as kept:
        words = tuple(kept["words"].tobytes().decode().split("\n"))
        return factor_vectors(words, kept["vectors"], kept["values"]), questions, described


def _measured(
    vectors: WordVectors, scored: WordVectors, pairs: tuple[tuple[str, str], ...], setting: Setting
) -> dict[str, object]:
    found = offset_consistency(scored, pairs, shuffles=setting.shuffles)
    whole = task_vectors(scored, pairs)
    widths = [width for width in setting.widths if width <= vectors.width]
    few = range(min(20, setting.shuffles))
    shuffled = [task_vector_snr(vectors, pairs, widths, shuffle=seed) for seed in few]
    overlaps = [task_vectors(scored, pairs, shuffle=seed).mean_overlap for seed in few]
    low, high = np.quantile(found.null, (0.025, 0.975))
    return {
        "covered": found.covered, "asked": found.asked, "consistency": found.value,
        "shuffled": (float(np.mean(found.null)), float(low), float(high)), "p_value": found.p_value,
        "snr": tuple(task_vector_snr(vectors, pairs, widths).tolist()),
        "snr_shuffled": tuple(np.mean(shuffled, axis=0).tolist()), "overlap": whole.mean_overlap,
        "overlap_shuffled": float(np.mean(overlaps)), "strength": whole.strength, **_spectra(whole),
    }  # fmt: skip


def _spectra(whole: TaskVectors) -> dict[str, object]:
    """Eigenvalues over the noise of an offset: that of all dimensions, R R^T being divided by their number already."""
    noise = whole.noise
    return {
        "spectrum": tuple((whole.spectrum / noise).tolist()),
        "bulk": tuple((whole.bulk[:-1] / noise).tolist()),  # the last is zero: the mean is taken out
        "ratio": len(whole.offsets) / whole.dimensions,
    }


def rank_order(one: Float[np.ndarray, " topic"], other: Float[np.ndarray, " topic"]) -> tuple[float, float, float]:
    """Spearman's correlation over families, with its 95 % interval over resampled families; NaN where one is flat."""
    there = np.isfinite(one) & np.isfinite(other)
    one, other = one[there], other[there]

    def rho(rows: np.ndarray) -> float:
        varied = len(rows) > 2 and np.ptp(one[rows]) > 0 and np.ptp(other[rows]) > 0
        return float(np.asarray(spearmanr(one[rows], other[rows]))[0]) if varied else float("nan")

    drawn = np.random.default_rng(0).integers(len(one), size=(1000, len(one))) if len(one) else np.zeros((0, 0), int)
    values = np.array([rho(rows) for rows in drawn])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, (0.025, 0.975)) if len(values) else (np.nan, np.nan)
    return rho(np.arange(len(one))), float(low), float(high)


def _one_peak(values: Float[np.ndarray, " width"]) -> float:
    """1 - (squared distance to the nearest curve that rises, then falls) / variance."""
    total = float(np.sum((values - values.mean()) ** 2))
    if total == 0:
        return float("nan")
    errors = [_off(values[:top], True) + _off(values[top:], False) for top in range(len(values) + 1)]
    return float(1 - min(errors) / total)


def _off(values: Float[np.ndarray, " width"], rising: bool) -> float:
    """Squared distance to the nearest curve that only rises, or only falls."""
    if not len(values):
        return 0.0
    return float(np.sum((values - isotonic_regression(values, increasing=rising).x) ** 2))


def _row(family: Family, setting: Setting) -> tuple[str, ...]:
    mean, low, high = family.shuffled
    peak = int(np.argmax(family.snr))
    accuracy = UNDEFINED if np.isnan(family.accuracy) else (
        f"{family.accuracy:.1%} [{family.interval[0]:.1%}, {family.interval[1]:.1%}]")  # fmt: skip
    return (
        family.name, f"{family.covered} of {family.asked}", f"{family.consistency:.2f}",
        f"{mean:.2f} [{low:.2f}, {high:.2f}]", f"{family.snr[peak]:.1f}", str(setting.widths[peak]),
        f"{family.snr_shuffled[peak]:.1f}", f"{family.one_peak:.3f}", f"{family.spike:.2f}", f"{family.edge:.2f}",
        f"{family.overlap:.2f}", f"{family.expected_overlap:.2f}", accuracy,
    )  # fmt: skip


def _ordering(found: tuple[float, float, float]) -> tuple[str, str]:
    rho, low, high = found
    return (UNDEFINED, UNDEFINED) if np.isnan(rho) else (f"{rho:.2f}", f"[{low:.2f}, {high:.2f}]")


def record(result: TaskVectorsResult) -> list[dict[str, object]]:
    """The families as plain data."""
    return [asdict(family) for family in result.families]
