"""Text to words, and the vocabulary of the most frequent ones."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from ..keep import digest

OUT_OF_VOCABULARY = -1


def words(text: str, lowercase: bool = True) -> list[str]:
    """Split text into words: runs of letters (with inner apostrophes) and runs of digits.

    Punctuation, symbols and underscores only separate: "end. Start" are neighbours, `sys_path` is two words, `py3k` is
    three. Text is normalised to Unicode NFC and the typographic apostrophe becomes the plain one, so that equal-looking
    words are equal. Scripts written without spaces come out as long runs; they need a tokenizer.

    Args:
        text: any text.
        lowercase: whether "The" and "the" are one word.

    >>> words("Don't read sys_path; read PEP 8!")
    ["don't", 'read', 'sys', 'path', 'read', 'pep', '8']
    """
    text = unicodedata.normalize("NFC", text.lower() if lowercase else text).replace("\u2019", "'")
    letter = _letter(text)
    return re.findall(rf"{letter}+(?:'{letter}+)*|\d+", text)


def _letter(text: str) -> str:
    # `\w` misses the combining marks that vowels are written with in many scripts; they belong to their word.
    marks = "".join(sorted(sign for sign in set(text) if unicodedata.category(sign).startswith("M")))
    return rf"(?:[^\W\d_]|[{marks}])" if marks else r"[^\W\d_]"


@dataclass(frozen=True)
class Vocabulary:
    """Distinct words; a word's id is its place.

    Attributes:
        words: as `vocabulary` makes it, most frequent first.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.words:
            raise ValueError("words: a vocabulary needs at least one word")
        if len(set(self.words)) != len(self.words):
            raise ValueError("words: a word occurs twice in the vocabulary; keep it once")

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the ordered list of words, for run records."""
        return digest("\n".join(self.words))

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of every word."""
        return {word: i for i, word in enumerate(self.words)}

    def encode(self, text_words: list[str]) -> Int[np.ndarray, " position"]:
        """Ids (int32) of a list of words; -1 for words outside the vocabulary.

        >>> Vocabulary(("the", "cat")).encode(["the", "dog", "cat"]).tolist()
        [0, -1, 1]
        """
        find = self.ids.get
        return np.fromiter((find(word, OUT_OF_VOCABULARY) for word in text_words), np.int32, len(text_words))


def vocabulary(text_words: Iterable[str], size: int) -> Vocabulary:
    """The `size` most frequent words, most frequent first; equally frequent words in alphabetical (code-point) order.

    Raises:
        ValueError: if `size` is not positive, or larger than the number of distinct words.

    >>> vocabulary(["b", "a", "c", "c"], size=2).words
    ('c', 'a')
    """
    counts = Counter(text_words)
    if size < 1:
        raise ValueError(f"vocab_size: need at least one word, got {size}; choose a positive size")
    if size > len(counts):
        raise ValueError(f"vocab_size: {size} words asked, but the text has {len(counts)} distinct ones; ask for fewer")
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return Vocabulary(tuple(word for word, _ in ranked[:size]))
