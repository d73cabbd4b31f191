"""One side of word_vectors.py: makes word vectors of a text whose words are in memory, once, and writes them.

Arguments: a JSON object with `side` (a name of `SIDES`), `cores`, `corpus` (a document a line, words with spaces
between), `out` (a file of vectors in word2vec's binary format) and `options` of that side. It answers by a JSON line.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LONGEST = 10_000
"""Words of a document that gensim reads at most: longer ones are handed over in pieces."""

Documents = list[list[str]]
Make = Callable[[], Callable[[], None]]
"""Makes the vectors, against the clock; what it returns writes them."""


def gensim(documents: Documents, out: Path, workers: int, **options: Any) -> Make:
    """`gensim.models.Word2Vec`, with its own defaults where `options` say nothing."""
    from gensim.models import Word2Vec  # pyright: ignore[reportMissingImports]

    pieces = [document[at : at + LONGEST] for document in documents for at in range(0, len(document), LONGEST)]

    def make() -> Callable[[], None]:
        model = Word2Vec(pieces, workers=workers, **options)
        return lambda: model.wv.save_word2vec_format(str(out), binary=True)

    return make


def counts(
    documents: Documents,
    out: Path,
    workers: int,
    *,
    width: int,
    window: int,
    weighting: Any,
    vocab: int | None,
    method: Any = "lanczos",
) -> Make:
    """Counts of pairs and the leading eigenvectors of M*; nothing is trained."""
    from jaxembed.words import Convention, cooccurrence, eigenpairs, factor_vectors, quadratic_target, write_vectors

    def make() -> Callable[[], None]:
        text = encoded(documents, vocab)
        pairs = cooccurrence(text, Convention(window, weighting), workers=workers)
        vectors, values = eigenpairs(quadratic_target(pairs), width, method=method, workers=workers)
        found = factor_vectors(text.words, vectors, values)
        return lambda: write_vectors(out, found, binary=True)

    warm = [["one", "two"] * 500] * 5
    cooccurrence(encoded(warm, None), Convention(window, weighting), workers=workers)  # compiles
    return make


def skip_gram(
    documents: Documents, out: Path, workers: int, *, width: int, window: int, seed: int, epochs: int = 5
) -> Make:
    """Our skip-gram with negative sampling; what it compiles is in its time."""
    import jax

    from jaxembed.words import Convention, Recipe, SkipGram, train_sampled, write_vectors

    def make() -> Callable[[], None]:
        recipe = Recipe(epochs=epochs, convention=Convention(window, "dynamic", 1e-3))
        found = train_sampled(SkipGram(width), encoded(documents, None), recipe, key=jax.random.key(seed))
        return lambda: write_vectors(out, found, binary=True)

    return make


SIDES: dict[str, Callable[..., Make]] = {"gensim": gensim, "counts": counts, "skip_gram": skip_gram}


def encoded(documents: Documents, vocab: int | None) -> Any:
    """Words as ids; those that stand less than 5 times leave the text."""
    from array import array
    from itertools import accumulate

    import numpy as np

    from jaxembed.words import WordText
    from jaxembed.words.text import frequent

    numbers: dict[str, int] = {}
    ids = array("i")
    for document in documents:
        ids.extend([numbers.setdefault(word, len(numbers)) for word in document])
    found = np.frombuffer(ids, np.int32)
    ends = np.array(list(accumulate(map(len, documents))), np.int64)
    return frequent(WordText(found, ends, tuple(numbers), np.bincount(found)), 5, vocab)


def version(side: str) -> str:
    from importlib.metadata import version

    names = ("gensim", "numpy") if side == "gensim" else ("jax", "numba", "scipy", "numpy")
    return ", ".join(f"{name} {version(name)}" for name in names)


def main() -> None:
    asked = json.loads(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):  # Linux only
        os.sched_setaffinity(0, asked["cores"])
    lines = Path(asked["corpus"]).read_text(encoding="utf-8").splitlines()
    documents = [line.split(" ") for line in lines]
    try:
        make = SIDES[asked["side"]](documents, Path(asked["out"]), len(asked["cores"]), **asked["options"])
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name}))
        return
    wall, cpu = time.perf_counter(), time.process_time()
    write = make()
    answer = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    write()
    print(json.dumps(answer | {"version": version(asked["side"]), "cores": len(asked["cores"])}))


if __name__ == "__main__":
    main()
