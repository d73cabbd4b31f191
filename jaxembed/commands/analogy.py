"""`jaxembed analogy`: king - queen + woman in a file of word vectors, and the published tests of such vectors."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from ..tables import Table
from ..text import UNDEFINED, number
from .printing import check_least, check_out, command, report

if TYPE_CHECKING:
    from ..words import AnalogyReport, SimilarityPairs, SimilarityScore, WordVectors

NEAREST = ("word", "score")
SIMILARITY = ("file", "asked", "covered", "Spearman", "95 % interval")


@dataclass(frozen=True)
class AnalogyFlags:
    """Words A B C: which words are nearest to A - B + C, such as king - queen + woman? Or a file of questions."""

    words: tyro.conf.Positional[tuple[str, ...]] = ()
    """A B C, three words; none where only files are scored."""
    vectors: Path | None = None
    """Word vectors in word2vec's format, text or binary, or as text without its header; packed (.gz) or not."""
    questions: Path | None = None
    """Score analogy questions: a file of Google's or MSR's form (or NAME.questions), or the folder of a BATS set."""
    similarity: tuple[Path, ...] = ()
    """Score files of word pairs with human scores."""
    method: Literal["3CosAdd", "3CosMul", "PairDirection"] = "3CosAdd"
    """How a word is scored: sum of cosines, their product, or the direction from C to the word."""
    include: bool = False
    """Let the words of a question be answers too."""
    cased: bool = False
    """Keep upper and lower case apart; otherwise all is put in lower case."""
    top: int | None = 30_000
    """Read and search the first so many words of the vectors (and those of the pairs); None for all."""
    count: int = 10
    """Nearest words listed."""
    stop: bool = False
    """Stop at a malformed row of a file instead of counting and skipping it."""
    resamples: int = 1000
    """Behind every interval."""
    seed: int = 0
    """Of the resampling."""
    out: Path | None = None
    """Write the tables to this file too: .md or .json."""


@command(AnalogyFlags)
def run(flags: AnalogyFlags, console: Any) -> None:
    _check(flags)
    from ..words import read_similarity, read_vectors

    assert flags.vectors is not None
    pairs = [read_similarity(path, "stop" if flags.stop else "skip", cased=flags.cased) for path in flags.similarity]
    vectors = read_vectors(flags.vectors, flags.top, _kept(flags, pairs))
    first = "" if flags.top is None or len(vectors) < flags.top else f", of which the first {flags.top:,} are searched"
    parts: list[Table | str] = [f"{flags.vectors}: {vectors.note()}{first}"]
    record: dict[str, Any] = {"vectors": flags.vectors, "words": flags.words}
    for table, notes, numbers in _scores(flags, vectors, pairs):
        parts += [table, *notes]
        record |= numbers
    report(console, str(flags.vectors), parts, flags.out, lambda: record)


def _check(flags: AnalogyFlags) -> None:
    check_out(flags.out)
    if flags.vectors is None:
        raise ValueError("--vectors: which word vectors? name a file in word2vec's format")
    if len(flags.words) not in (0, 3):
        raise ValueError(f"words: need three, A B C, got {len(flags.words)}; king queen woman is king - queen + woman")
    if not flags.words and flags.questions is None and not flags.similarity:
        raise ValueError("words: nothing is asked; give three words, --questions FILE or --similarity FILE")
    check_least(flags, top=1, count=1, resamples=1)


Scored = tuple[Table, list[str], dict[str, Any]]
"""A table, the notes under it, and its numbers."""


def _kept(flags: AnalogyFlags, pairs: "list[SimilarityPairs]") -> "Callable[[str], bool] | None":
    """Words of the pairs are read beyond the first: their scores do not depend on what is searched for analogies."""
    from ..words import spelt
    from ..words.similarity import looked_up

    words: set[str] = set().union(*map(looked_up, pairs))
    return (lambda word: spelt(word, flags.cased) in words) if words else None


def _scores(flags: AnalogyFlags, vectors: "WordVectors", pairs: "list[SimilarityPairs]") -> Iterator[Scored]:
    """The nearest words, the questions and the pairs, as far as the flags name them."""
    from ..words import read_questions, score_analogies, score_similarity

    if flags.words:
        yield _nearest(flags, vectors)
    if flags.questions is not None:
        questions = read_questions(flags.questions, cased=flags.cased, on_error="stop" if flags.stop else "skip")
        draws: dict[str, int] = {"resamples": flags.resamples, "key": flags.seed}
        options = {"exclude": not flags.include, "top": flags.top, "method": flags.method}
        yield _analogies(score_analogies(vectors, questions, **draws, **options), questions.note())
    if pairs:
        notes = [p.note() for p in pairs if p.damaged or p.column]
        yield _similarity([score_similarity(vectors, p) for p in pairs], notes)


def _nearest(flags: AnalogyFlags, vectors: "WordVectors") -> Scored:
    from ..words import nearest, spelt
    from ..words.analogy import searched

    among = searched(vectors, flags.cased, flags.top)
    king, queen, woman = (word if flags.cased else spelt(word, False) for word in flags.words)
    exclude = not flags.include
    words = nearest(among, queen, king, woman, flags.method, flags.count, exclude=exclude)
    title = f"{king} - {queen} + {woman}: {king} is to {queen} as ? is to {woman}"
    formula = {
        "3CosAdd": f"cos(?, {king} - {queen} + {woman})",
        "3CosMul": f"s(?, {king}) s(?, {woman}) / (s(?, {queen}) + 0.001), s = (1 + cos) / 2",
        "PairDirection": f"cos(? - {woman}, {king} - {queen})",
    }[flags.method]
    note = (
        f"{flags.method}: {formula}; unit vectors, the first {len(among.words):,} words, the three words "
        f"{'left out' if exclude else 'allowed'}, {'cased' if flags.cased else 'lower-cased'}"
    )
    table = Table(title, NEAREST, [(word, number(score, ".3f")) for word, score in words])
    return table, [note], {"nearest": dict(words), "nearest_convention": note}


def _analogies(result: "AnalogyReport", note: str) -> Scored:
    from ..words.analogy import HEADER

    every = (*result.sections, *result.groups, result.total)
    scores = {score.name: {**asdict(score), "accuracy": score.accuracy} for score in every}
    record = {"analogies": scores, "analogy_convention": result.convention}
    return Table("analogies", HEADER, result.rows()), [note, result.convention], record


def _similarity(scores: "list[SimilarityScore]", notes: list[str]) -> Scored:
    rows = [(s.name, f"{s.pairs:,}", f"{s.covered:,}", number(s.rho, ".3f"), _ends(s)) for s in scores]
    record = {"similarity": {score.name: asdict(score) for score in scores}}
    return Table("similarity", SIMILARITY, rows), [*notes, *dict.fromkeys(s.convention for s in scores)], record


def _ends(score: "SimilarityScore") -> str:
    return UNDEFINED if score.low != score.low else f"{number(score.low, '.3f')} to {number(score.high, '.3f')}"
