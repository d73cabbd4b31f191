"""`jaxembed analogy`: king - queen + woman in a file of word vectors, and the published tests of such vectors."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from .align import check_out, markdown_table, print_table, say, write_out
from .flags import parse

if TYPE_CHECKING:
    from ..words import AnalogyReport, SimilarityScore, WordVectors

NEAREST = ("word", "score")
SIMILARITY = ("file", "asked", "covered", "Spearman", "95 % interval")


@dataclass(frozen=True)
class Analogy:
    """Words A B C: which words are nearest to A - B + C, such as king - queen + woman? Or a file of questions."""

    words: tyro.conf.Positional[tuple[str, ...]] = ()
    """A B C, three words; none where only files are scored."""
    vectors: Path | None = None
    """Word vectors in word2vec's format, text or binary."""
    questions: Path | None = None
    """Score analogy questions: a file of Google's or MSR's form, or the folder of a BATS set."""
    similarity: tuple[Path, ...] = ()
    """Score files of word pairs with human scores."""
    method: Literal["3CosAdd", "3CosMul", "PairDirection"] = "3CosAdd"
    """How a word is scored: sum of cosines, their product, or the direction from C to the word."""
    include: bool = False
    """Let the words of a question be answers too."""
    cased: bool = False
    """Keep upper and lower case apart; otherwise all is put in lower case."""
    top: int | None = 30_000
    """Look among the first so many words of the vectors; None for all."""
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


def run(arguments: list[str]) -> None:
    """Carry out `jaxembed analogy` with these arguments."""
    from rich.console import Console

    command = parse(Analogy, arguments, prog="jaxembed analogy")
    _check(command)
    from ..analysis.alignment import plain
    from ..words import read_vectors

    console = Console(soft_wrap=True)
    vectors = read_vectors(command.vectors)
    say(console, f"{command.vectors}: {len(vectors.words):,} words x {vectors.width}")
    parts, record = [f"# {command.vectors}"], {"vectors": str(command.vectors), "words": list(command.words)}
    for title, header, rows, note, found in _tables(command, vectors):
        print_table(console, title, header, rows)
        for line in note:
            say(console, line)
        parts += [f"{title}\n\n{markdown_table(header, rows)}", *note]
        record |= found
    write_out(command.out, lambda: plain(record), parts, console)


def _check(command: Analogy) -> None:
    check_out(command.out)
    if command.vectors is None:
        raise ValueError("--vectors: which word vectors? name a file in word2vec's format")
    if len(command.words) not in (0, 3):
        raise ValueError(
            f"words: need three, A B C, got {len(command.words)}; king queen woman is king - queen + woman"
        )
    if not command.words and command.questions is None and not command.similarity:
        raise ValueError("words: nothing is asked; give three words, --questions FILE or --similarity FILE")
    for name, value in (("top", command.top), ("count", command.count), ("resamples", command.resamples)):
        if value is not None and value < 1:
            raise ValueError(f"--{name}: need at least 1, got {value}")


Table = tuple[str, tuple[str, ...], list[tuple[str, ...]], list[str], dict[str, Any]]


def _tables(command: Analogy, vectors: "WordVectors") -> list[Table]:
    """Title, header, rows, notes and record of everything asked."""
    from ..words import read_questions, read_similarity, score_analogies, score_similarity

    on_error = "stop" if command.stop else "skip"
    tables = [_nearest(command, vectors)] if command.words else []
    if command.questions is not None:
        questions = read_questions(command.questions, cased=command.cased, on_error=on_error)
        options = {"exclude": not command.include, "top": command.top, "method": command.method}
        report = score_analogies(vectors, questions, resamples=command.resamples, seed=command.seed, **options)
        tables.append(_scored(report, questions.note()))
    if command.similarity:
        pairs = [read_similarity(path, on_error, cased=command.cased) for path in command.similarity]
        found = [score_similarity(vectors, p, resamples=command.resamples, seed=command.seed) for p in pairs]
        damaged = [p.note() for p in pairs if p.damaged]
        tables.append(_similar(found, damaged))
    return tables


def _nearest(command: Analogy, vectors: "WordVectors") -> Table:
    from ..words import nearest
    from ..words._spelling import spelt
    from ..words.analogy import searched

    there = searched(vectors, command.cased, command.top)
    king, queen, woman = (word if command.cased else spelt(word, False) for word in command.words)
    exclude = not command.include
    found = nearest(there, queen, king, woman, command.method, command.count, exclude=exclude)
    title = f"{king} - {queen} + {woman}: {king} is to {queen} as ? is to {woman}"
    formula = {
        "3CosAdd": f"cos(?, {king} - {queen} + {woman})",
        "3CosMul": f"s(?, {king}) s(?, {woman}) / (s(?, {queen}) + 0.001), s = (1 + cos) / 2",
        "PairDirection": f"cos(? - {woman}, {king} - {queen})",
    }[command.method]
    note = (
        f"{command.method}: {formula}; unit vectors, the first {len(there.words):,} words, the three words "
        f"{'left out' if exclude else 'allowed'}, {'cased' if command.cased else 'lower-cased'}"
    )
    rows = [(word, f"{score:.3f}") for word, score in found]
    return title, NEAREST, rows, [note], {"nearest": dict(found), "nearest_convention": note}


def _scored(report: "AnalogyReport", note: str) -> Table:
    from ..words.analogy import HEADER

    scores = {score.name: {**asdict(score), "accuracy": score.accuracy} for score in (
        *report.sections, *report.groups, report.total)}  # fmt: skip
    found = {"analogies": scores, "analogy_convention": report.convention}
    return "analogies", HEADER, report.rows(), [note, report.convention], found


def _similar(scores: "list[SimilarityScore]", damaged: list[str]) -> Table:
    rows = [
        (s.name, f"{s.asked:,}", f"{s.covered:,}", *(("undefined", "undefined") if s.rho != s.rho else (
            f"{s.rho:.3f}", "undefined" if s.low != s.low else f"{s.low:.3f} to {s.high:.3f}"))) for s in scores
    ]  # fmt: skip
    found = {"similarity": {score.name: asdict(score) for score in scores}}
    return "similarity", SIMILARITY, rows, [*damaged, scores[0].convention], found
