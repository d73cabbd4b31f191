"""Pseudo-words: two words merged into one spelling, so that every occurrence has a known sense, and any text serves."""

from collections.abc import Iterable

import numpy as np

from .senses import SenseSentences
from .words import words


def merged_name(pair: tuple[str, str]) -> str:
    """The spelling that stands for both words."""
    return "".join(pair)


def merged_texts(texts: Iterable[str], pair: tuple[str, str]) -> list[str]:
    """The words of every text with both words of the pair in one spelling; what is between words is lost.

    >>> merged_texts(["A cat, a dog."], ("cat", "dog"))
    ['a catdog a catdog']
    """
    one = dict.fromkeys(pair, merged_name(pair))
    return [" ".join(one.get(word, word) for word in words(text)) for text in texts]


def pseudoword_sentences(
    texts: Iterable[str], pair: tuple[str, str], *, name: str | None = None, left: int = 30, right: int = 10
) -> SenseSentences:
    """Every occurrence of the pseudo-word with the words around it; its sense is the word that it was.

    Args:
        texts: from which they are taken; no context crosses from one to the next.
        pair: two unrelated words.
        name: the pseudo-word's spelling; None takes `merged_name`.
        left: words before, at most.
        right: words after, at most.

    Raises:
        ValueError: for a pair of equal words, or a word that does not occur.

    >>> found = pseudoword_sentences(["the cat sat", "the dog ran"], ("cat", "dog"))
    >>> print(found.tokens[1], found.places[1], found.names[found.senses[1]])
    ('the', 'catdog', 'ran') 1 dog

    Source: gale1992work.
    """
    if pair[0] == pair[1]:
        raise ValueError(f"pair: needs two different words, got {pair[0]!r} twice")
    name, sentences = name or merged_name(pair), []
    for text in texts:
        there = words(text)
        merged = [name if word in pair else word for word in there]
        for at, word in enumerate(there):
            if word in pair:
                begin = max(0, at - left)
                sentences.append((tuple(merged[begin : at + right + 1]), at - begin, pair.index(word)))
    senses = np.array([sense for _, _, sense in sentences], np.int64)
    for sense, word in enumerate(pair):
        if not np.any(senses == sense):
            raise ValueError(f"pair: {word!r} does not occur in the texts; choose words that do")
    places = np.array([place for _, place, _ in sentences], np.int64)
    tokens = tuple(tokens for tokens, _, _ in sentences)
    return SenseSentences(f"pseudo-word {name}", tokens, places, senses, pair, np.arange(1, len(sentences) + 1))
