"""Five word models on one corpus at several sizes: analogies, similarity, and how the published order stands."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ...keep import kept_json
from ...observables import summary
from ...words import Questions, Recipe, SimilarityPairs, read_questions, read_similarity
from ..check import Check, Size
from ..data import data_path, questions_file
from ..measured import silent
from .word_cells import MODELS, NULLS, PMI_LARGE, PMI_SMALL, PPMI, QWEM, SKIP_GRAM, TARGET, TRAINED, Making
from .word_cells import Cells as Cells
from .word_scores import ANALOGIES, Items, Score, answers, items, redrawn_difference, score
from .word_texts import Domains, builtin_domains, pile_domains

FILES = {"WS-353": "EN-WS-353-ALL", "MEN": "EN-MEN-TR-3k", "SimLex": "EN-SIMLEX-999", "RW": "EN-RW-STANFORD"}
HEADER = ("words", "model", "seconds")
ORDER_HEADER = ("words", "measure", "relation", "difference", "95 % interval, paired", "stands")
ORDER = ((SKIP_GRAM, TARGET), (SKIP_GRAM, QWEM), (SKIP_GRAM, PPMI), (SKIP_GRAM, PMI_SMALL), (TARGET, PPMI),
         (TARGET, PMI_SMALL), (QWEM, PPMI), (QWEM, PMI_SMALL), (PPMI, PMI_SMALL))  # fmt: skip
"""Pairs of models, the better one first, at 2 G words; svd(M*) and QWEM are about equal there."""
EQUAL = (TARGET, QWEM)
PUBLISHED_GAP = 0.02
"""By which the two differ at most there."""
Standing = Literal["as published", "reversed", "open"]
PLURALS = ("function", "method", "object", "argument", "class", "module", "value", "string", "file", "name", "type",
           "attribute", "line", "error", "number", "character", "option", "event", "element", "parameter")  # fmt: skip
"""Words of the built-in text whose plurals stand in it too; the stand-in for questions at size tiny."""


@dataclass(frozen=True)
class Setting:
    """Texts, models and what they are asked.

    Attributes:
        words: sizes of the text; None is all of it.
        seeds: trainings of each trained model.
        making: width, window and passes.
        vocab: the most frequent words kept; None keeps all that stand 5 times.
        top: words searched for an answer; None searches all.
    """

    words: tuple[int | None, ...]
    seeds: int
    making: Making
    vocab: int | None = None
    top: int | None = 30_000


_BRIEF = Making(16, 5, Recipe(epochs=1), Recipe(epochs=10, rate=1.0, end_rate=1.0, batch=64), "lanczos")
SETTINGS: dict[Size, Setting] = {
    "tiny": Setting((100_000, 200_000), 2, _BRIEF, vocab=300, top=None),
    "normal": Setting((500_000, 1_000_000, 2_000_000, 4_000_000, None), 3, Making()),
}


@dataclass(frozen=True, eq=False)
class SizeResult:
    """What was found on a text of one size.

    Attributes:
        words: of the text, rare ones included.
        vocab: words with vectors.
        asked: by measure, covered and all.
        scores: by (measure, model).
        seconds: by model, of one training or factorisation, the counting of pairs aside; NaN where none was timed.
    """

    words: int
    vocab: int
    asked: dict[str, tuple[int, int]]
    scores: dict[tuple[str, str], Score]
    seconds: dict[str, float]

    def score(self, measure: str, model: str) -> Score:
        return self.scores[measure, model]

    def standing(self, measure: str, better: str, worse: str) -> tuple[float, float, float, Standing]:
        """Difference, its interval, and what it says of the published direction.

        It is decided where the interval over the same redraws of the items excludes 0 and all trainings agree.
        """
        difference, low, high, agree = redrawn_difference(self.score(measure, better), self.score(measure, worse))
        decided = bool(agree) and (low > 0 or high < 0)
        stands: Standing = "open" if not decided else "as published" if difference > 0 else "reversed"
        return difference, low, high, stands

    def count(self, measure: str, standing: Standing) -> int:
        """How many of the relations stand so."""
        return sum(self.standing(measure, *pair)[3] == standing for pair in ORDER)


@dataclass(frozen=True, eq=False)
class WordModels:
    """The table of word models.

    Attributes:
        size: of the study.
        setting: texts and models.
        text: what was read.
        found: by size of the text, ascending.
    """

    size: Size
    setting: Setting
    text: str
    found: tuple[SizeResult, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.found[0].asked)

    @property
    def header(self) -> tuple[str, ...]:
        return *HEADER, *self.measures

    def rows(self) -> list[tuple[str, ...]]:
        """Every score with its interval over items, and over trainings where there are several.

        `svd(..)` are eigenpairs of largest value, without negative eigenvalues, as published for M*.
        """
        rows = []
        for part in self.found:
            coverage = (f"{covered:,} of {asked:,}" for covered, asked in part.asked.values())
            rows.append((f"{part.words:,}", f"covered; {part.vocab:,} words", "", *coverage))
            for model in MODELS:
                cells = (shown(measure, part.score(measure, model)) for measure in self.measures)
                seconds = part.seconds[model]
                rows.append((f"{part.words:,}", model, "" if np.isnan(seconds) else f"{seconds:.0f}", *cells))
        return rows

    def order_rows(self) -> list[tuple[str, ...]]:
        """Every relation of the published order, at every size and measure."""
        rows = []
        for part in self.found:
            for measure in self.measures:
                for better, worse in (*ORDER, EQUAL):
                    difference, low, high, stands = part.standing(measure, better, worse)
                    sign = "~" if (better, worse) == EQUAL else ">"
                    said = _tie(low, high) if sign == "~" else stands
                    interval = f"{low:+.3f} to {high:+.3f}"
                    rows.append(
                        (f"{part.words:,}", measure, f"{better} {sign} {worse}", f"{difference:+.3f}", interval, said)
                    )
        return rows

    def summary_rows(self) -> list[tuple[str, ...]]:
        """How many of the nine relations stand as published, are reversed, are open: by size and measure."""
        return [
            (f"{part.words:,}", measure, *(str(part.count(measure, standing)) for standing in get_args(Standing)))
            for part in self.found
            for measure in self.measures
        ]

    def checks(self) -> list[Check]:
        """What can be asked whatever the order turns out to be."""
        last = self.found[-1]
        above = [last.score(m, TARGET).interval[0] - self._highest_null(last, m) for m in self.measures]
        null = Check(
            "svd(M*) above random and shuffled vectors", "lower end above their upper ends, every measure",
            f"smallest distance {min(above):.3f}", min(above) > 0,
        )  # fmt: skip
        if self.size == "tiny":
            return [null]
        decided = len(ORDER) - last.count(ANALOGIES, "open")
        counts = ", ".join(f"{last.count(ANALOGIES, standing)} {standing}" for standing in get_args(Standing))
        gap, low, high, _ = last.standing(ANALOGIES, *EQUAL)
        apart = redrawn_difference(last.score(ANALOGIES, PMI_LARGE), last.score(ANALOGIES, PMI_SMALL))
        return [
            null,
            Check("relations of the published order that are decided either way, analogies, largest text",
                  f"at least half of {len(ORDER)}", counts,
                  2 * decided >= len(ORDER)),
            Check("svd(M*) and QWEM trained are equal on analogies", f"differ by at most {PUBLISHED_GAP:.0%}",
                  f"{gap:+.3f} [{low:+.3f}, {high:+.3f}]", abs(gap) <= PUBLISHED_GAP),
            Check("the smoothing decides svd(PMI)", "1e-2 and 1e-25 apart, interval without 0",
                  f"{apart[0]:+.3f} [{apart[1]:+.3f}, {apart[2]:+.3f}]", apart[1] > 0 or apart[2] < 0),
        ]  # fmt: skip

    def _highest_null(self, part: SizeResult, measure: str) -> float:
        return max(part.score(measure, null).interval[1] for null in NULLS)


def shown(measure: str, found: Score) -> str:
    """Mean, interval over items, and interval over trainings."""
    scale, digits = (100, 1) if measure == ANALOGIES else (1, 3)
    low, high = found.interval
    text = f"{scale * found.mean:.{digits}f} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"
    if len(found.seeds) == 1:
        return text
    over = summary(scale * found.seeds)
    return f"{text}, seeds [{float(over.low):.{digits}f}, {float(over.high):.{digits}f}]"


def _tie(low: float, high: float) -> str:
    return (
        "equal within 2 points"
        if low >= -PUBLISHED_GAP and high <= PUBLISHED_GAP
        else "apart"
        if low > 0 or high < 0
        else "open"
    )


def word_models(
    size: Size,
    *,
    seeds: int | None = None,
    words: tuple[int | None, ...] | None = None,
    keep: Path | None = None,
    progress: Callable[[str], None] = silent,
) -> WordModels:
    """Make the vectors of every model at every size of the text, and score them.

    Args:
        size: "tiny" (Python's documentation, seconds) or "normal" (twelve domains of The Pile, 6.8 M words; needs
            JAXEMBED_DATA; about half an hour on two cores).
        seeds: trainings of each trained model; None takes those of the setting.
        words: sizes of the text, ascending, None in it for all; None takes those of the setting.
        keep: folder of the vectors and of their answers: a killed run goes on.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAXEMBED_DATA is not set, or names no folder with the data.

    Source: karkada2025closed, levy2014neural, mikolov2013distributed.
    """
    setting = SETTINGS[size]
    setting = replace(setting, words=words or setting.words, seeds=seeds or setting.seeds)
    domains, questions, files = _tiny() if size == "tiny" else _normal(keep, progress)
    found = [_one_size(setting, count, domains, questions, files, keep, progress) for count in setting.words]
    text = "Python's documentation" if size == "tiny" else "twelve domains of The Pile"
    return WordModels(size, setting, text, tuple(found))


def _one_size(
    setting: Setting, words: int | None, domains: Domains, questions: Questions,
    files: dict[str, SimilarityPairs], keep: Path | None, progress: Callable[[str], None],
) -> SizeResult:  # fmt: skip
    text = domains.cut(words, vocab=setting.vocab)
    read = domains.words if words is None else words
    folder = None if keep is None else keep / f"{read}"
    cells, asked = Cells(text, setting.making, folder), items(text.words, questions, files, setting.top)
    progress(f"{read:,} words, {text.vocab:,} different: {asked.covered(ANALOGIES):,} of {len(questions):,} questions")
    scores, seconds = {}, {}
    for model in MODELS:
        several = range(setting.seeds if model in (*TRAINED, *NULLS) else 1)
        kept = [_answered(cells, asked, model, seed, setting.top, folder) for seed in several]
        seconds[model] = float(np.mean([found["seconds"] for found in kept]))
        for measure in asked.measures:
            scores[measure, model] = score(measure, [np.array(found["answers"][measure]) for found in kept], asked)
        progress(
            f"  {model}: "
            + ", ".join(f"{measure} {shown(measure, scores[measure, model])}" for measure in asked.measures)
        )
    covered = {measure: (asked.covered(measure), asked.asked[measure]) for measure in asked.measures}
    return SizeResult(read, text.vocab, covered, scores, seconds)


def _answered(
    cells: Cells, asked: Items, model: str, seed: int, top: int | None, folder: Path | None
) -> dict[str, Any]:
    """Answers of one cell, kept as numbers, since vectors of many cells would not fit memory."""

    def compute() -> dict[str, Any]:
        found = answers(cells.vectors(model, seed), asked, top)
        seconds = cells.seconds.get((model, seed), float("nan"))
        return {"seconds": seconds, "answers": {name: np.round(x, 7).tolist() for name, x in found.items()}}

    identity = f"{cells.making} {model} {seed} {top} {cells.digest} {asked.digest}"
    return kept_json(folder, f"answers_{model.split(' ')[0]}_{seed}", identity, compute)


def _normal(
    keep: Path | None, progress: Callable[[str], None]
) -> tuple[Domains, Questions, dict[str, SimilarityPairs]]:
    questions = read_questions(questions_file())
    files = {name: read_similarity(data_path("similarity", f"{file}.txt")) for name, file in FILES.items()}
    return pile_domains(keep, progress), questions, files


def _tiny() -> tuple[Domains, Questions, dict[str, SimilarityPairs]]:
    """Plurals as the one family of questions; a word and its plural are more alike than it and another's."""
    pairs = [(word, f"{word}{'es' if word.endswith('s') else 's'}") for word in PLURALS]
    asked = tuple((*one, *other) for one, other in permutations(pairs, 2))
    mixed = [(pairs[k][0], pairs[k - 1][1]) for k in range(len(pairs))]
    human = np.repeat([1.0, 0.0], len(pairs))
    stand_in = SimilarityPairs("plurals", (*pairs, *mixed), human)
    return builtin_domains(), Questions("plurals", {"plurals": asked}), {"plurals": stand_in}
