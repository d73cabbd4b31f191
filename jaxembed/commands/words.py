"""`jaxembed words`: word vectors of a text, by counts or by training, in a word2vec file; and their scores."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from ..corpus import EXPANSION
from ..keep import digest, plain, write_record
from ..machine import GIB, cores, device_memory, record
from ..tables import Table
from .printing import check_file, check_least, check_positive, command, say, show, shown_progress

if TYPE_CHECKING:
    from ..base import Progress
    from ..words import Convention, Cooccurrence, WordText, WordVectors

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
    """Files or folders of text, jsonl, csv, tsv or parquet (.gz, .zst, .xz, .bz2), or hub:OWNER/NAME; documents stay
    apart."""
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
    text_field: Annotated[str, tyro.conf.arg(aliases=["--column"])] = "text"
    """Field or column that holds the text."""
    max_expansion: float = EXPANSION
    """How many times its size a compressed file may become; 64 MiB it always may."""
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


@command(WordsFlags)
def run(flags: WordsFlags, console: Any) -> None:
    _check(flags)
    from ..words import read_questions, read_similarity, write_vectors

    began = time.perf_counter()
    questions = [read_questions(path, cased=flags.cased) for path in flags.analogies]
    pairs = [read_similarity(path, cased=flags.cased) for path in flags.similarity]
    with shown_progress(console) as progress:
        text = _text(flags, console, progress)
        show(console, _lines(flags, text))
        vectors = _vectors(flags, text, progress)
    write_vectors(flags.out, vectors, binary=flags.out.suffix == ".bin")
    _write_record(flags, text)
    made = f"{len(vectors):,} words x {vectors.width}, {time.perf_counter() - began:.1f} s"
    say(console, f"{flags.model}: {made}; written to {flags.out}")
    show(console, _scores(vectors, questions, pairs, flags.top))


def _write_record(flags: WordsFlags, text: "WordText") -> None:
    """What made the vectors, beside them: `jaxembed verify` makes them again."""
    settings = plain(flags)
    for name in ("out", "overwrite"):  # about the file alone
        del settings[name]
    made = {"settings": settings, "sha256": {"text": digest(*text.words, text.ids, text.ends)}}
    write_record(flags.out.with_name(f"{flags.out.name}.json"), made | record(), indent=2)


def _check(flags: WordsFlags) -> None:
    if not flags.text:
        raise ValueError("text: nothing to read; name a file, a folder or hub:OWNER/NAME")
    check_least(flags, width=1, window=1, min_count=1, vocab=1, limit=1, epochs=1, top=1)
    check_positive(flags, "subsample", "negatives", "smoothing", "max_expansion")
    _check_model(flags)
    if flags.model == "skip-gram" and flags.weighting not in (None, "dynamic"):
        raise ValueError("--weighting: skip-gram draws its windows, whose weights are dynamic; leave it out")
    check_file("out", flags.out, overwrite=flags.overwrite)


def _check_model(flags: WordsFlags) -> None:
    """Refuse flags that the model does not have."""
    trained, others = flags.model in TRAINED, "leave it out, or choose"
    refused = {
        "epochs": not trained and f"is not trained; {others} {', '.join(TRAINED)}",
        "method": trained and "is trained, without an eigendecomposition; leave it out",
        "negatives": flags.model not in NEGATIVES and f"has none; {others} {', '.join(NEGATIVES)}",
        "smoothing": flags.model != "pmi" and f"has none; {others} pmi",
    }
    for name, why in refused.items():
        if why and getattr(flags, name) is not None:
            raise ValueError(f"--{name}: {flags.model} {why}")


def _text(flags: WordsFlags, console: Any, progress: "Progress") -> "WordText":
    """The words of the documents; what was skipped is printed."""
    from ..corpus import Damage, documents
    from ..words import word_text

    damage = Damage()
    options = {"subset": flags.subset, "on_error": flags.on_error, "text_field": flags.text_field}
    options |= {"max_expansion": flags.max_expansion}

    def texts() -> Iterator[str]:
        for number, document in enumerate(documents(flags.text, damage=damage, **options), start=1):
            if number % 100 == 0:
                progress(f"reading: {number:,} documents")
            yield document.text

    sizes = {"min_count": flags.min_count, "vocab": flags.vocab, "limit": flags.limit}
    text = word_text(texts(), lowercase=not flags.cased, **sizes)
    if len(damage):
        say(console, str(damage))
    return text


def _lines(flags: WordsFlags, text: "WordText") -> Iterator[str]:
    """Vocabulary, convention, and the memory that the rest will take, before it is taken."""
    read, case = text.facts, "cased" if flags.cased else "lower-cased"
    yield (
        f"{read['words_read']:,} words in {read['documents']:,} documents, {case}; {text.vocab:,} different ones that "
        f"stand {flags.min_count} times or more cover {text.coverage:.1%}"
    )
    negatives = f", {_negatives(flags):g} negatives" if flags.model in NEGATIVES else ""
    smoothing = f", smoothing {_smoothing(flags):g}" if flags.model == "pmi" else ""
    yield f"{flags.model}, width {flags.width}, {_convention(flags)}{negatives}{smoothing}"
    need, there = memory(flags, text) / GIB, device_memory() / GIB
    yield f"memory: at most {need:.2g} GiB of {there:.2g}"
    if need > there:
        smaller = "take a smaller --vocab, --width or --window"
        raise ValueError(f"text: needs up to {need:.2g} GiB, there are {there:.2g}; {smaller}")


def memory(flags: WordsFlags, text: "WordText") -> float:
    """Bytes that counts and vectors take at most: tables of pairs, and columns as long as the vocabulary."""
    tables = 8 * 4 * text.vocab * flags.width
    if flags.model == "skip-gram":
        return 16 * len(text.ids) + tables
    from ..words.pairs import reach

    far = reach(text, flags.window)
    pairs = min(2 * len(text.ids) * far, text.vocab**2)
    strides = 8 * 3 * len(text.ends) * far + 8 * 5 * len(text.ids)  # tables [document, distance], and the words moved
    return 12.0 * 5 * pairs + 2 * tables + strides  # counts, both orders, target and its copy in single precision


def _convention(flags: WordsFlags) -> "Convention":
    from ..words import Convention

    weighting = flags.weighting or ("harmonic" if flags.model == "glove" else "dynamic")
    thinned = flags.subsample or (1e-3 if flags.model == "skip-gram" else None)
    return Convention(flags.window, weighting, thinned)


def _negatives(flags: WordsFlags) -> float:
    return flags.negatives if flags.negatives is not None else NEGATIVES.get(flags.model, 1.0)


def _smoothing(flags: WordsFlags) -> float:
    return SMOOTHING if flags.smoothing is None else flags.smoothing


def _vectors(flags: WordsFlags, text: "WordText", progress: "Progress") -> "WordVectors":
    """By training or by eigendecomposition."""
    import jax

    from ..words import cooccurrence, eigenpairs, factor_vectors, pmi, ppmi, quadratic_target

    if flags.model == "skip-gram":
        return _trained(flags, text, progress)
    convention, key = _convention(flags), jax.random.key(flags.seed)
    pairs = cooccurrence(text, convention, workers=cores(), progress=progress)
    if flags.model in TRAINED:
        return _trained(flags, pairs, progress)
    if flags.model == "pmi":
        target = pmi(pairs, smoothing=_smoothing(flags))
    else:
        target = (quadratic_target if flags.model == "mstar" else ppmi)(pairs, negatives=_negatives(flags))
    progress(f"eigenvectors of {target.name}")
    factors = eigenpairs(target, flags.width, method=flags.method or "randomised", key=key, workers=cores())
    return factor_vectors(text.words, *factors, facts={"target": target.name, "convention": str(convention)})


def _trained(flags: WordsFlags, source: "WordText | Cooccurrence", progress: "Progress") -> "WordVectors":
    from dataclasses import replace

    import jax

    from ..words import Glove, Quadratic, SkipGram, train_sampled
    from ..words.recipe import GLOVE, QUADRATIC, SKIP_GRAM

    width, negatives = flags.width, _negatives(flags)
    model, recipe = {
        "skip-gram": (SkipGram(width, negatives=negatives), SKIP_GRAM),
        "qwem": (Quadratic(width, negatives=negatives), QUADRATIC),
        "glove": (Glove(width), GLOVE),
    }[flags.model]
    if flags.model == "skip-gram":
        recipe = replace(recipe, convention=_convention(flags))
    if flags.epochs is not None:
        recipe = replace(recipe, epochs=flags.epochs)
    return train_sampled(model, source, recipe, key=jax.random.key(flags.seed), progress=progress)


def _scores(vectors: "WordVectors", questions: list[Any], pairs: list[Any], top: int) -> Iterator[Table | str]:
    """What the vectors reach on every file."""
    from ..words import score_analogies, score_similarity
    from ..words.analogy import HEADER

    for asked in questions:
        result = score_analogies(vectors, asked, top=top)
        yield asked.note()
        yield Table(f"analogies: {asked.name}", HEADER, result.rows())
        yield result.convention
    for judged in pairs:
        if judged.damaged or judged.column:
            yield judged.note()
        score = score_similarity(vectors, judged)
        yield f"{score}; {score.convention}"
