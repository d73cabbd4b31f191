"""Words of evaluation files and words of vectors, spelt the same way."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ..corpus.readers import OnError as OnError
from .vectors import WordVectors

Line = tuple[int, str | None]
"""Its number, and its text or None where it is no UTF-8."""


def spelt(word: str, cased: bool) -> str:
    """The word as it is looked up: composed characters (Unicode NFC), in lower case unless cased."""
    return unicodedata.normalize("NFC", word if cased else word.lower())


def numbered_lines(path: Path) -> Iterator[Line]:
    """Every line with its number; None for a line that is no UTF-8."""
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            yield number, line.decode("utf-8")
        except UnicodeDecodeError:
            yield number, None


def folded(vectors: WordVectors) -> WordVectors:
    """The vectors with words in lower case; of words that differ in case only, the first, most frequent one is kept."""
    places: dict[str, int] = {}
    for place, word in enumerate(vectors.words):
        places.setdefault(spelt(word, False), place)
    if len(places) == len(vectors.words) and all(
        word == given for word, given in zip(places, vectors.words, strict=True)
    ):
        return vectors
    return WordVectors(tuple(places), vectors.matrix[list(places.values())], vectors.facts)
