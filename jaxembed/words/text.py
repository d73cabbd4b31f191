"""A text as ids of its words: what pair counts and word models read."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from jaxtyping import Int

from ..corpus import words as split_words


@dataclass(frozen=True, eq=False)
class WordText:
    """Words of documents, one after the other; rare words are gone before any window is laid.

    Attributes:
        ids: `[position]`, int32, the word at every place.
        ends: `[document]`, where each document ends.
        words: most frequent first, equally frequent ones in alphabetical order.
        counts: `[token]`, how often each word stands.
        facts: how the text was read: words read and kept, least count, whether lower-cased.
    """

    ids: Int[np.ndarray, " position"]
    ends: Int[np.ndarray, " document"]
    words: tuple[str, ...]
    counts: Int[np.ndarray, " token"]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def vocab(self) -> int:
        return len(self.words)

    @property
    def coverage(self) -> float:
        """Share of the words read that are in the vocabulary."""
        return len(self.ids) / self.facts.get("words_read", len(self.ids))


def word_text(
    texts: Iterable[str],
    *,
    min_count: int = 5,
    vocab: int | None = None,
    lowercase: bool = True,
    limit: int | None = None,
) -> WordText:
    """Split texts into words (`corpus.words`), and keep those that are frequent enough.

    A rare word leaves the text, so that its neighbours become neighbours of each other, as in word2vec.

    Args:
        texts: one document each.
        min_count: keep words that stand at least so often.
        vocab: keep at most so many, the most frequent.
        lowercase: whether "The" and "the" are one word.
        limit: read so many words of text only; the last document is cut.

    Raises:
        ValueError: where no word is left, or a setting asks for none.

    >>> text = word_text(["The cat saw the dog.", "The dog slept."], min_count=2)
    >>> text.words, text.ids.tolist(), text.ends.tolist()
    (('the', 'dog'), [0, 0, 1, 0, 1], [3, 5])
    """
    for name, value in (("min_count", min_count), ("vocab", vocab), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"{name}: need at least 1, got {value}")
    ids, ends, words = _all_words(texts, lowercase, limit)
    facts = {"words_read": len(ids), "documents": len(ends), "min_count": min_count, "lowercase": lowercase}
    return frequent(WordText(ids, ends, tuple(words), np.bincount(ids, minlength=len(words)), facts), min_count, vocab)


def frequent(text: WordText, min_count: int = 1, vocab: int | None = None) -> WordText:
    """The text without its rarer words; those left are ranked anew.

    Args:
        text: any, its words in any order.
        min_count: keep words that stand at least so often.
        vocab: keep at most so many, the most frequent.

    Raises:
        ValueError: where no word is left.
    """
    counts = np.bincount(text.ids, minlength=text.vocab)
    enough = np.flatnonzero(counts >= min_count).tolist()
    order = np.array(sorted(enough, key=lambda i: (-counts[i], text.words[i]))[:vocab], np.int64)
    if len(order) == 0:
        raise ValueError(
            f"texts: no word stands {min_count} times in {len(text.ids):,} words; give more text or a lower min_count"
        )
    renamed = np.full(text.vocab, -1, np.int32)
    renamed[order] = np.arange(len(order), dtype=np.int32)
    ids = renamed[text.ids]
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(ids >= 0)])
    facts = {**text.facts, "min_count": min_count}
    return WordText(ids[ids >= 0], before[text.ends], tuple(text.words[i] for i in order), counts[order], facts)


def _all_words(texts: Iterable[str], lowercase: bool, limit: int | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Every word by the order of first appearance."""
    numbers: dict[str, int] = {}
    fresh = count()
    ids, ends = array("i"), []
    for text in texts:
        room = None if limit is None else limit - len(ids)
        for word in split_words(text, lowercase)[:room]:
            number = numbers.get(word)
            if number is None:
                number = numbers[word] = next(fresh)
            ids.append(number)
        ends.append(len(ids))
        if limit is not None and len(ids) >= limit:
            break
    return np.frombuffer(ids, np.int32) if ids else np.empty(0, np.int32), np.array(ends, np.int64), list(numbers)
