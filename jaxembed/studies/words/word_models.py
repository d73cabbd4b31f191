"""Five word models on one corpus at several sizes: analogies, similarity, and how the published order stands.

Rows called `svd(..)`, as published, are eigenpairs of largest value; negative eigenvalues are dropped.
Source: karkada2025closed, levy2014neural, mikolov2013distributed.
"""

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Literal, get_args

import numpy as np

from ...keep import kept_arrays
from ...observables import summary
from ...tables import Table, number, span, with_span
from ...words import Questions, Recipe, SimilarityPairs, read_questions, read_similarity
from ..data import data_path, questions_file
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import DATA, Run, Study
from .text_vectors import (
    MODELS,
    NULLS,
    PMI_LARGE,
    PMI_SMALL,
    PPMI,
    QWEM,
    SKIP_GRAM,
    TARGET,
    TRAINED,
    TextVectors,
    VectorRecipe,
)
from .word_scores import ANALOGIES, Score, WordItems, measured, score
from .word_texts import Domains, builtin_domains, pile_domains

FILES = {"WS-353": "EN-WS-353-ALL", "MEN": "EN-MEN-TR-3k", "SimLex": "EN-SIMLEX-999", "RW": "EN-RW-STANFORD"}
EQUAL = (TARGET, QWEM)
"""About equal at 2 G words."""
ORDER = [pair for pair in combinations((SKIP_GRAM, TARGET, QWEM, PPMI, PMI_SMALL), 2) if pair != EQUAL]
"""Pairs of models, the better one first, at 2 G words."""
PUBLISHED_GAP = 0.02
"""By which the two differ at most there."""
Standing = Literal["as published", "reversed", "open"]
PLURALS = ("function", "method", "object", "argument", "class", "module", "value", "string", "file", "name", "type",
           "attribute", "line", "error", "number", "character", "option", "event", "element", "parameter")  # fmt: skip
"""Words of the built-in text whose plurals stand in it too; the stand-in for questions at size tiny."""


VECTORS = VectorRecipe()


@dataclass(frozen=True)
class WordModelsSetting:
    """Texts, models and what they are scored on.

    Attributes:
        words: sizes of the text, ascending; None is all of it.
        recipe: width, window and passes.
        pile: whether the text is The Pile, else Python's documentation.
        vocab: the most frequent words kept; None keeps all that stand 5 times.
        top: words searched for an answer; None searches all.
    """

    words: tuple[int | None, ...] = (500_000, 1_000_000, 2_000_000, 4_000_000, None)
    recipe: VectorRecipe = VECTORS
    pile: bool = True
    vocab: int | None = None
    top: int | None = 30_000

    @property
    def text(self) -> str:
        return "twelve domains of The Pile" if self.pile else "Python's documentation"


_BRIEF = VectorRecipe(16, 5, Recipe(epochs=1), Recipe(epochs=10, rate=1.0, end_rate=1.0, batch=64), "lanczos")
SETTINGS: dict[Size, WordModelsSetting] = {
    "tiny": WordModelsSetting((100_000, 200_000), _BRIEF, pile=False, vocab=300, top=None),
    "quick": WordModelsSetting(),
}


@dataclass(frozen=True, eq=False)
class TextScores:
    """The scores of every model on a text of one size.

    Attributes:
        words: of the text, rare ones included.
        vocab: words with vectors.
        coverage: by measure, covered items and all.
        scores: by (measure, model).
        seconds: by model, of one training or factorisation, the counting of pairs aside; NaN where none was timed.
    """

    words: int
    vocab: int
    coverage: dict[str, tuple[int, int]]
    scores: dict[tuple[str, str], Score]
    seconds: dict[str, float]

    def difference(self, measure: str, better: str, worse: str) -> Score:
        return self.scores[measure, better].above(self.scores[measure, worse])

    def standing(self, measure: str, better: str, worse: str) -> Standing:
        """What a difference says of the published direction: open unless it is decided."""
        found = self.difference(measure, better, worse)
        return "open" if not found.decided else "as published" if found.mean > 0 else "reversed"

    def count(self, measure: str, standing: Standing) -> int:
        """How many of the relations stand so."""
        return sum(self.standing(measure, *pair) == standing for pair in ORDER)


@dataclass(frozen=True, eq=False)
class WordModels:
    """Scores by size of the text, ascending."""

    setting: WordModelsSetting
    texts: tuple[TextScores, ...]

    @property
    def measures(self) -> tuple[str, ...]:
        return tuple(self.texts[0].coverage)


def run(setting: WordModelsSetting, run: Run) -> WordModels:
    """Make the vectors of every model at every size of the text, and score them; seeds are trainings."""
    domains, items = _pile(run) if setting.pile else _builtin()
    return WordModels(setting, tuple(_scored(setting, words, domains, items, run) for words in setting.words))


def _scored(setting: WordModelsSetting, words: int | None, domains: Domains, items: WordItems, run: Run) -> TextScores:
    text = domains.cut(words, vocab=setting.vocab)
    read = domains.words if words is None else words
    vectors = TextVectors(text, setting.recipe, None if run.keep is None else run.keep / f"{read}")
    run.progress(f"{read:,} words, {text.vocab:,} different")
    scores, seconds, coverage = {}, {}, {}
    for model in MODELS:
        repeats = range(run.seeds if model in (*TRAINED, *NULLS) else 1)
        kept = [_measured(vectors, items, model, seed, setting.top) for seed in repeats]
        seconds[model] = float(np.mean([found["seconds"] for found in kept]))
        for name in items.measures:
            scores[name, model] = score(name, kept)
            covered, total = kept[0][f"{name} coverage"].tolist()
            coverage[name] = covered, total
        parts = (f"{name} {score_text(name, scores[name, model])}" for name in items.measures)
        run.progress(f"  {model}: {', '.join(parts)}")
    return TextScores(read, text.vocab, coverage, scores, seconds)


def _measured(vectors: TextVectors, items: WordItems, model: str, seed: int, top: int | None) -> dict[str, np.ndarray]:
    """Scores of one model and seed, kept as numbers, since the vectors of all would not fit memory."""

    def compute() -> dict[str, np.ndarray]:
        found = measured(vectors.vectors(model, seed), items, top)
        return found | {"seconds": np.array(vectors.seconds.get((model, seed), np.nan))}

    identity = (vectors.digest, model, seed, top, items.digest)
    return kept_arrays(vectors.keep, f"scores_{model.split(' ')[0]}_{seed}", identity, compute)


def _pile(run: Run) -> tuple[Domains, WordItems]:
    questions = read_questions(questions_file())
    files = {name: read_similarity(data_path("similarity", f"{file}.txt")) for name, file in FILES.items()}
    return pile_domains(run.keep, run.progress), WordItems(questions, files)


def _builtin() -> tuple[Domains, WordItems]:
    """Plurals as the one family of questions; a word and its plural are more alike than it and another's."""
    pairs = [(word, f"{word}{'es' if word.endswith('s') else 's'}") for word in PLURALS]
    family = tuple((*first, *second) for first, second in permutations(pairs, 2))
    mixed = [(pairs[k][0], pairs[k - 1][1]) for k in range(len(pairs))]
    stand_in = SimilarityPairs("plurals", (*pairs, *mixed), np.repeat([1.0, 0.0], len(pairs)))
    return builtin_domains(), WordItems(Questions("plurals", {"plurals": family}), {"plurals": stand_in})


def tables(result: WordModels) -> tuple[Table, ...]:
    """Scores; every relation of the published order; how many of them stand as published, are reversed, are open."""
    measures, standings = result.measures, get_args(Standing)
    scores, relations, counts = [], [], []
    for part in result.texts:
        words = f"{part.words:,}"
        scores += _score_rows(part, measures)
        relations += [(words, name, *_relation(part, name, *pair)) for name in measures for pair in (*ORDER, EQUAL)]
        counts += [(words, name, *(str(part.count(name, standing)) for standing in standings)) for name in measures]
    title = f"word models on {result.setting.text}, d = {result.setting.recipe.width}"
    header = ("words", "measure", "relation", "difference", "95 % interval, paired", "stands")
    note = "svd(..): eigenpairs of largest value, negative ones dropped"
    return (
        Table(title, ("words", "model", "seconds", *measures), scores, note),
        Table("relations of the published order", header, relations, name="order"),
        Table(f"how the {len(ORDER)} relations stand", ("words", "measure", *standings), counts, name="summary"),
    )


def _score_rows(part: TextScores, measures: tuple[str, ...]) -> list[tuple[str, ...]]:
    coverage = (f"{covered:,} of {total:,}" for covered, total in part.coverage.values())
    rows = [(f"{part.words:,}", f"covered; {part.vocab:,} words", "", *coverage)]
    for model in MODELS:
        seconds = part.seconds[model]
        scores = (score_text(name, part.scores[name, model]) for name in measures)
        rows.append((f"{part.words:,}", model, "" if np.isnan(seconds) else f"{seconds:.0f}", *scores))
    return rows


def score_text(measure: str, found: Score) -> str:
    """Mean, interval over items, and interval over trainings."""
    scale, spec = (100, ".1f") if measure == ANALOGIES else (1, ".3f")
    low, high = found.interval
    text = with_span(scale * found.mean, scale * low, scale * high, spec)
    over = summary(scale * found.seeds)
    return text if len(found.seeds) == 1 else f"{text}, seeds {span(over.low, over.high, spec)}"


def _relation(part: TextScores, measure: str, better: str, worse: str) -> tuple[str, ...]:
    found = part.difference(measure, better, worse)
    low, high = found.interval
    equal = (better, worse) == EQUAL
    standing = _equality(low, high) if equal else part.standing(measure, better, worse)
    ends = f"{number(low, '+.3f')} to {number(high, '+.3f')}"
    return f"{better} {'~' if equal else '>'} {worse}", number(found.mean, "+.3f"), ends, standing


def _equality(low: float, high: float) -> str:
    if low >= -PUBLISHED_GAP and high <= PUBLISHED_GAP:
        return "equal within 2 points"
    return "apart" if low > 0 or high < 0 else "open"


def evidence(result: WordModels) -> tuple[Evidence, ...]:
    """Above the nulls at every size; the published relations on analogies of the largest text of The Pile."""
    last = result.texts[-1]
    ends = [max(last.scores[name, null].interval[1] for null in NULLS) for name in result.measures]
    low = [last.scores[name, TARGET].interval[0] for name in result.measures]
    above = control(
        "word-models-null", "vectors from counts score above random and shuffled ones (distance of intervals)",
        float(min(np.subtract(low, ends))), published="no null", no_null="it compares with the nulls", ceiling="1",
        varied="items",
    )  # fmt: skip
    if not result.setting.pile:
        return (above,)
    decided = len(ORDER) - last.count(ANALOGIES, "open")
    half = Bound("expectation", least=0.5, source=f"at least half of {len(ORDER)}")
    return (
        above,
        *(_order(last, *relation) for relation in RELATIONS),
        Evidence("word-models-decided", "relations of the published order that are decided either way (share)",
                 np.array([decided / len(ORDER)]), half, no_null="it counts decisions", ceiling="1", varied="items",
                 source="jaxembed"),
    )  # fmt: skip


DIRECTION = Bound("paper", least=0.0, source="the direction at 2 G words")
WITHIN = Bound("paper", least=-PUBLISHED_GAP, most=PUBLISHED_GAP, source="about equal at 2 G words")
HELPS = Bound("expectation", least=0.0, source="it decides svd(PMI)", strict=True)
RELATIONS = (
    ("word-models-trained", "word2vec solves at least as many analogies as svd(M*) (difference)", SKIP_GRAM, TARGET,
     DIRECTION, "0.017 at 2 G words", ""),
    ("word-models-quadratic", "QWEM trained solves as many as svd(M*), its closed form (difference)", QWEM, TARGET,
     WITHIN, "-0.012 at 2 G words", ""),
    ("word-models-ppmi", "svd(M*) solves more than svd(PPMI) (difference)", TARGET, PPMI, DIRECTION,
     "0.157 at 2 G words", ""),
    ("word-models-pmi", "svd(PPMI) solves more than svd(PMI), smoothing 1e-25 (difference)", PPMI, PMI_SMALL, DIRECTION,
     "0.422 at 2 G words", ""),
    ("word-models-smoothing", "a smoothing of 1e-2 helps svd(PMI) over 1e-25 (difference)", PMI_LARGE, PMI_SMALL, HELPS,
     "not stated", "jaxembed"),
)  # fmt: skip


def _order(
    part: TextScores, name: str, claim: str, better: str, worse: str, bound: Bound, published: str, source: str = ""
) -> Evidence:
    """Difference in analogies won: over trainings of the better model, or of two factorisations over the items."""
    values = part.scores[ANALOGIES, better].seeds - part.scores[ANALOGIES, worse].seeds.mean()
    trained = better in TRAINED
    interval = None if trained else part.difference(ANALOGIES, better, worse).interval
    return Evidence(name, claim, values, bound, published, no_null="a difference of two models", ceiling="none",
                    varied="init and data seeds" if trained else "items", interval=interval, source=source)  # fmt: skip


def caption(result: WordModels) -> str:
    """What was computed with what."""
    setting, trainings = result.setting, len(result.texts[-1].scores[ANALOGIES, SKIP_GRAM].seeds)
    return (
        f"{setting.text}, lower-cased words seen 5 times or more, window {setting.recipe.window}, d = "
        f"{setting.recipe.width}; bars: 95 % over redraws of word pairs, the same for all models;\ntrained models: "
        f"mean of {trainings} seeds. The order is that published at 2 G words; svd(..): eigenpairs of largest value, "
        "negative ones dropped."
    )


ON_THE_PILE = (*(name for name, *_ in RELATIONS), "word-models-decided")
"""Plurals of one small text say nothing of the published order."""
STUDY = Study(
    name="word_models",
    source="karkada2025closed",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("word-models-null", *ON_THE_PILE),
    beyond_tiny=ON_THE_PILE,
    takes={"tiny": "10 s", "quick": "30 min"},
    smaller={"tiny": "200,000 words of Python's documentation for 2 G words", "quick": "6.8 M words for 2 G"},
    needs=(DATA,),
    tiny_needs=(),
    ledger="tiny",
)  # fmt: skip
