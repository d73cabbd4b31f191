"""The text of the word studies: twelve domains of The Pile, cut by words drawn from all of them in proportion."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from ...base import Progress, silent
from ...corpus import documents, python_documentation
from ...keep import digest, kept_arrays
from ...words import WordText, word_text
from ...words.text import frequent
from ..data import DOMAINS, pile_files

PIECE = 20_000
"""Characters of the built-in text that stand for a document."""


@dataclass(frozen=True, eq=False)
class Domains:
    """Every word of the documents of several domains.

    Attributes:
        text: all words, none left out.
        domain: `[document]`, the number of each document's domain.
    """

    text: WordText
    domain: Int[np.ndarray, " document"]

    @property
    def words(self) -> int:
        """How many words there are."""
        return len(self.text.ids)

    def cut(self, words: int | None, min_count: int = 5, vocab: int | None = None) -> WordText:
        """About so many words, the same share of every domain from its first documents on; then without rare ones.

        A smaller cut is part of a larger one. Documents differ a thousandfold in length: the last one of each domain
        is cut inside.

        Args:
            words: how many; None takes all.
            min_count: keep words that stand so often in what was taken.
            vocab: keep at most so many words.

        Raises:
            ValueError: where more words are asked than there are.
        """
        if words is not None and not 1 <= words <= self.words:
            raise ValueError(f"words: need 1..{self.words:,}, all that the domains hold, got {words:,}")
        text = self.text if words is None else _kept(self.text, self._first(words / self.words))
        return frequent(text, min_count, vocab)

    def _first(self, share: float) -> Bool[np.ndarray, " position"]:
        """Which words are in the first `share` of their domain."""
        lengths = np.diff(self.text.ends, prepend=0)
        domain = np.repeat(self.domain, lengths)
        kept = np.zeros(self.words, bool)
        for number in np.unique(self.domain):
            places = np.flatnonzero(domain == number)
            kept[places[: round(share * len(places))]] = True
        return kept


def _kept(text: WordText, kept: Bool[np.ndarray, " position"]) -> WordText:
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    ids = text.ids[kept]
    facts = {**text.facts, "words_read": len(ids)}
    return WordText(ids, before[text.ends], text.words, np.bincount(ids, minlength=text.vocab), facts)


def text_digest(text: WordText) -> str:
    """What tells one text from another: its words, in their order, and its documents."""
    return digest("\n".join(text.words), text.ids, text.ends)[:16]


def pile_domains(keep: Path | None = None, progress: Progress = silent) -> Domains:
    """The twelve domains, lower-cased; half a minute of reading, or a second where they were kept.

    Args:
        keep: folder in which the words are kept.
        progress: called with a line of text for every domain.

    Raises:
        ValueError: where JAXEMBED_DATA names no folder that holds them.
    """
    files = pile_files()

    def read() -> dict[str, np.ndarray]:
        domain: list[int] = []

        def texts() -> Iterator[str]:
            for number, path in enumerate(files):
                progress(f"reading {DOMAINS[number]}")
                for document in documents(path):
                    domain.append(number)
                    yield document.text

        text = word_text(texts(), min_count=1)
        return arrays_of(Domains(text, np.array(domain, np.int64)))

    return domains_of(kept_arrays(keep, "pile", [path.stat().st_size for path in files], read))


def builtin_domains() -> Domains:
    """Python's own documentation as one domain, cut into pieces that stand for documents."""
    whole = python_documentation()
    pieces = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
    return Domains(word_text(pieces, min_count=1), np.zeros(len(pieces), np.int64))


def arrays_of(found: Domains) -> dict[str, np.ndarray]:
    """What `domains_of` makes domains of, as a file can hold it."""
    words = np.frombuffer("\n".join(found.text.words).encode(), np.uint8)
    return {"ids": found.text.ids, "ends": found.text.ends, "words": words, "domain": found.domain}


def domains_of(arrays: dict[str, np.ndarray]) -> Domains:
    """Domains from their arrays."""
    ids, ends = arrays["ids"], arrays["ends"]
    words = tuple(arrays["words"].tobytes().decode().split("\n"))
    facts = {"words_read": len(ids), "documents": len(ends), "min_count": 1, "lowercase": True}
    return Domains(WordText(ids, ends, words, np.bincount(ids, minlength=len(words)), facts), arrays["domain"])
