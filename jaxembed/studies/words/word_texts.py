"""The text of the word studies: twelve domains of The Pile, cut by words drawn from all of them in proportion."""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from ...corpus import documents, python_documentation
from ...keep import write_bytes as write_whole
from ...words import WordText, word_text
from ...words.text import frequent
from ..data import DOMAINS, pile_files
from ..measured import silent

MILLION = 1_000_000
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
    found = hashlib.sha256("\n".join(text.words).encode())
    for numbers in (text.ids, text.ends):
        found.update(numbers.astype(np.int64).tobytes())
    return found.hexdigest()[:16]


def pile_domains(keep: Path | None = None, progress: Callable[[str], None] = silent) -> Domains:
    """The twelve domains, lower-cased; half a minute of reading, or a second where they were kept.

    Args:
        keep: folder in which the words are kept.
        progress: called with a line of text for every domain.

    Raises:
        ValueError: where JAXEMBED_DATA names no folder that holds them.
    """
    files = pile_files()
    kept = None if keep is None else keep / f"pile_{sum(path.stat().st_size for path in files)}.npz"
    if kept is not None and kept.exists():
        return _read(kept)
    domain: list[int] = []

    def texts() -> Iterator[str]:
        for number, path in enumerate(files):
            progress(f"reading {DOMAINS[number]}")
            for document in documents(path):
                domain.append(number)
                yield document.text

    text = word_text(texts(), min_count=1)
    found = Domains(text, np.array(domain, np.int64))
    if kept is not None:
        _write(kept, found)
    return found


def builtin_domains() -> Domains:
    """Python's own documentation as one domain, cut into pieces that stand for documents."""
    whole = python_documentation()
    pieces = [whole[at : at + PIECE] for at in range(0, len(whole), PIECE)]
    return Domains(word_text(pieces, min_count=1), np.zeros(len(pieces), np.int64))


def _write(path: Path, found: Domains) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer, text = io.BytesIO(), found.text
    words = np.frombuffer("\n".join(text.words).encode(), np.uint8)
    np.savez(buffer, ids=text.ids, ends=text.ends, words=words, domain=found.domain)
    write_whole(path, buffer.getvalue())


def _read(path: Path) -> Domains:
    with np.load(path) as kept:
        ids, ends, words, domain = (kept[name] for name in ("ids", "ends", "words", "domain"))
    names = tuple(words.tobytes().decode().split("\n"))
    facts = {"words_read": len(ids), "documents": len(ends), "min_count": 1, "lowercase": True}
    return Domains(WordText(ids, ends, names, np.bincount(ids, minlength=len(names)), facts), domain)
