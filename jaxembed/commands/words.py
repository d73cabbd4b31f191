"""`jaxembed words`: word vectors of a text, by counts or by training, in a word2vec file; and their scores."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from ..machine import GIB, cores, device_memory
from ..tables import Table
from .flags import parse
from .printing import check_file, check_least, check_positive, say, show, shown_progress

if TYPE_CHECKING:
    from ..base import Progress
    from ..corpus import Damage
    from ..words import Convention, Cooccurrence, SparsePlusConstant, WordText, WordVectors

Model = Literal["mstar", "ppmi", "sppmi", "pmi", "skip-gram", "qwem", "glove"]
Method = Literal["randomised", "lanczos", "lobpcg"]
TRAINED = ("skip-gram", "qwem", "glove")
NEGATIVES = {"mstar": 1.0, "sppmi": 5.0, "skip-gram": 5.0, "qwem": 1.0}
"""Of the models that have them."""
SMOOTHING = 1e-2


@dataclass(frozen=True)
class WordsFlags:
    """Word vectors of a text, from the counts of its pairs of words."""

    text: tyro.conf.Positional[tuple[str, ...]]
    """Files or folders of text, jsonl or parquet (.gz, .zst), or hub:OWNER/NAME; documents stay apart."""
    out: Path = Path("vectors.txt")
    """Word2vec file to write: .bin is binary, all else text."""
    model: Model = "mstar"
    """Leading eigenvectors of M*, PPMI, SPPMI or PMI, which takes no training; or skip-gram, QWEM, GloVe, trained."""
    width: int = 200
    """Dimensions of a vector."""
    window: int = 10
    """Neighbours on each side."""
    weighting: Literal["flat", "dynamic", "harmonic"] | None = None
    """Weight of a pair by distance; None is dynamic (word2vec's), for GloVe harmonic (its own)."""
    subsample: float | None = None
    """Threshold of word2vec by which frequent words are thinned, such as 1e-3; None keeps all, skip-gram takes 1e-3."""
    negatives: float | None = None
    """Negative pairs for each pair met; None is 5 for SPPMI and skip-gram, 1 for M* and QWEM; others have none."""
    smoothing: float | None = None
    """Added to P_ij / (P_i P_j) before the logarithm of PMI: what pairs that never meet are worth; None is 1e-2."""
    min_count: int = 5
    """Keep words that stand so often."""
    vocab: int | None = None
    """Keep at most so many, the most frequent."""
    limit: int | None = None
    """Read so many words of text only."""
    cased: bool = False
    """Keep upper and lower case apart."""
    subset: str | None = None
    """Only documents whose meta.pile_set_name this is."""
    text_field: str = "text"
    """Field or column that holds the text."""
    on_error: Literal["stop", "skip"] = "stop"
    """Stop at a damaged row of text, or skip and count it. Rows of evaluation files are always skipped and counted."""
    epochs: int | None = None
    """Passes of training; None is the model's own."""
    seed: int = 0
    """Of training, or of the start of the eigendecomposition."""
    method: Method | None = None
    """Of the eigendecomposition; None is randomised. Trained models have none."""
    analogies: tuple[Path, ...] = ()
    """Files of analogy questions (Google, MSR) or folders (BATS) to score the vectors on."""
    similarity: tuple[Path, ...] = ()
    """Files of word pairs with human scores to score the vectors on."""
    top: int = 30_000
    """The most frequent words, among which the answer of an analogy is searched."""
    overwrite: bool = False
    """Replace the file."""


def run(arguments: list[str]) -> None:
    """Do `jaxembed words` with these arguments."""
    from rich.console import Console

    command = parse(WordsFlags, arguments, prog="jaxembed words")
    _check(command)
    evaluations = _evaluations(command)
    console, began = Console(soft_wrap=True), time.perf_counter()
    from ..words import write_vectors

    with shown_progress(console) as progress:
        text = _text(command, console, progress)
        _say_text(command, text, console)
        vectors = _vectors(command, text, progress)
    write_vectors(command.out, vectors, binary=command.out.suffix == ".bin")
    made = f"{len(vectors):,} words x {vectors.width}, {time.perf_counter() - began:.1f} s"
    say(console, f"{command.model}: {made}; written to {command.out}")
    for score in evaluations:
        show(console, score(vectors))


def _check(command: WordsFlags) -> None:
    if not command.text:
        raise ValueError("text: nothing to read; name a file, a folder or hub:OWNER/NAME")
    check_least(command, width=1, window=1, min_count=1, vocab=1, limit=1, epochs=1, top=1)
    check_positive(command, "subsample", "negatives", "smoothing")
    _check_model(command)
    if command.model == "skip-gram" and command.weighting not in (None, "dynamic"):
        raise ValueError("--weighting: skip-gram draws its windows, whose weights are dynamic; leave it out")
    check_file("out", command.out, overwrite=command.overwrite)


def _check_model(command: WordsFlags) -> None:
    """Refuse flags that the model does not have."""
    if command.epochs is not None and command.model not in TRAINED:
        raise ValueError(f"--epochs: {command.model} is not trained; leave it out, or choose {', '.join(TRAINED)}")
    if command.method is not None and command.model in TRAINED:
        raise ValueError(f"--method: {command.model} is trained, without an eigendecomposition; leave it out")
    if command.negatives is not None and command.model not in NEGATIVES:
        raise ValueError(f"--negatives: {command.model} has none; leave it out, or choose {', '.join(NEGATIVES)}")
    if command.smoothing is not None and command.model != "pmi":
        raise ValueError(f"--smoothing: {command.model} has none; leave it out, or choose pmi")


def _text(command: WordsFlags, console: Any, progress: "Progress") -> "WordText":
    """The words of the documents; what was skipped is said."""
    from ..corpus import Damage
    from ..words import word_text

    damage = Damage()
    texts = _documents(command, damage, progress)
    sizes = {"min_count": command.min_count, "vocab": command.vocab, "limit": command.limit}
    text = word_text(texts, lowercase=not command.cased, **sizes)
    if len(damage):
        say(console, str(damage))
    return text


def _documents(command: WordsFlags, damage: "Damage", progress: "Progress") -> Iterator[str]:
    from ..corpus import documents

    options = {"subset": command.subset, "on_error": command.on_error, "text_field": command.text_field}
    for number, document in enumerate(documents(command.text, damage=damage, **options), start=1):
        if number % 100 == 0:
            progress(f"reading: {number:,} documents")
        yield document.text


def _say_text(command: WordsFlags, text: "WordText", console: Any) -> None:
    """Vocabulary, convention, and the memory that the rest will take, before it is taken."""
    facts, convention = text.facts, _convention(command)
    say(
        console,
        f"{facts['words_read']:,} words in {facts['documents']:,} documents, "
        f"{'cased' if command.cased else 'lower-cased'}; {text.vocab:,} different ones that stand {command.min_count} "
        f"times or more cover {text.coverage:.1%}",
    )
    say(console, f"{command.model}, width {command.width}, {convention}{_negatives_said(command)}")
    need, there = memory(command, text), device_memory()
    say(console, f"memory: at most {need / GIB:.2g} GiB of {there / GIB:.2g}")
    if need > there:
        raise ValueError(
            f"text: needs up to {need / GIB:.2g} GiB, there are {there / GIB:.2g}; take a smaller --vocab, --width or "
            "--window"
        )


def memory(command: WordsFlags, text: "WordText") -> float:
    """Bytes that counts and vectors take at most: tables of pairs, and columns as long as the vocabulary."""
    tables = 8 * 4 * text.vocab * command.width
    if command.model == "skip-gram":
        return 16 * len(text.ids) + tables
    from ..words.pairs import reach

    far = reach(text, command.window)
    pairs = min(2 * len(text.ids) * far, text.vocab**2)
    strides = 8 * 3 * len(text.ends) * far + 8 * 5 * len(text.ids)  # tables [document, distance], and the words moved
    return 12.0 * 5 * pairs + 2 * tables + strides  # counts, both orders, target and its copy in single precision


def _convention(command: WordsFlags) -> "Convention":
    from ..words import Convention

    weighting = command.weighting or ("harmonic" if command.model == "glove" else "dynamic")
    thinned = command.subsample or (1e-3 if command.model == "skip-gram" else None)
    return Convention(command.window, weighting, thinned)


def _negatives(command: WordsFlags) -> float:
    return command.negatives if command.negatives is not None else NEGATIVES.get(command.model, 1.0)


def _smoothing(command: WordsFlags) -> float:
    return SMOOTHING if command.smoothing is None else command.smoothing


def _negatives_said(command: WordsFlags) -> str:
    if command.model == "pmi":
        return f", smoothing {_smoothing(command):g}"
    return f", {_negatives(command):g} negatives" if command.model in NEGATIVES else ""


def _vectors(command: WordsFlags, text: "WordText", progress: "Progress") -> "WordVectors":
    """By training or by eigendecomposition."""
    import jax

    from ..words import cooccurrence, eigenpairs, factor_vectors

    key, convention = jax.random.key(command.seed), _convention(command)
    if command.model == "skip-gram":
        return _trained(command, text, progress)
    pairs = cooccurrence(text, convention, workers=cores(), progress=progress)
    if command.model in TRAINED:
        return _trained(command, pairs, progress)
    target = _target(command, pairs)
    progress(f"eigenvectors of {target.name}")
    pairs = eigenpairs(target, command.width, method=command.method or "randomised", key=key, workers=cores())
    return factor_vectors(text.words, *pairs, facts={"target": target.name, "convention": str(convention)})


def _target(command: WordsFlags, pairs: "Cooccurrence") -> "SparsePlusConstant":
    from ..words import pmi, ppmi, quadratic_target

    if command.model == "pmi":
        return pmi(pairs, smoothing=_smoothing(command))
    return (quadratic_target if command.model == "mstar" else ppmi)(pairs, negatives=_negatives(command))


def _trained(command: WordsFlags, source: "WordText | Cooccurrence", progress: "Progress") -> "WordVectors":
    from dataclasses import replace

    import jax

    from ..words import Glove, Quadratic, SkipGram, train_sampled
    from ..words.recipe import GLOVE, QUADRATIC, SKIP_GRAM

    width, negatives = command.width, _negatives(command)
    model, recipe = {
        "skip-gram": (SkipGram(width, negatives=negatives), SKIP_GRAM),
        "qwem": (Quadratic(width, negatives=negatives), QUADRATIC),
        "glove": (Glove(width), GLOVE),
    }[command.model]
    if command.model == "skip-gram":
        recipe = replace(recipe, convention=_convention(command))
    if command.epochs is not None:
        recipe = replace(recipe, epochs=command.epochs)
    return train_sampled(source, model, recipe, key=jax.random.key(command.seed), progress=progress)


def _evaluations(command: WordsFlags) -> "list[Callable[[WordVectors], list[Table | str]]]":
    """Scores of the vectors on every file, which is read before any work."""
    from ..words import read_questions, read_similarity

    scores = [_analogies(read_questions(path, cased=command.cased), command.top) for path in command.analogies]
    return scores + [_similarity(read_similarity(path, cased=command.cased)) for path in command.similarity]


def _analogies(questions: Any, top: int) -> "Callable[[WordVectors], list[Table | str]]":
    from ..words import score_analogies
    from ..words.analogy import HEADER

    def score(vectors: "WordVectors") -> list[Table | str]:
        result = score_analogies(vectors, questions, top=top)
        return [questions.note(), Table(f"analogies: {questions.name}", HEADER, result.rows()), result.convention]

    return score


def _similarity(pairs: Any) -> "Callable[[WordVectors], list[Table | str]]":
    from ..words import score_similarity

    def score(vectors: "WordVectors") -> list[Table | str]:
        result = score_similarity(vectors, pairs)
        return [*([pairs.note()] if pairs.damaged else []), f"{result}; {result.convention}"]

    return score
