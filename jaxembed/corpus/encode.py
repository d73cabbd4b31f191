"""Documents to an encoded corpus, as a stream: memory does not grow with the text, and no half corpus stays behind."""

import hashlib
import json
import time
from array import array
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..base import Progress, silent
from ..keep import whole_folder
from .documents import Damage, Document
from .encoded import ENDS, FACTS, FILES, FORMAT, IDS, SUBSETS, EncodedCorpus, finished_hash, id_type, open_corpus
from .tokenizers import FILE, Tokenizer, Unencodable

BATCH = 2**20
"""Characters encoded at a time, as encoders need many times a text; a longer document is cut before a white space."""

Piece = tuple[Document, str, bool]
"""A document, a part of its text, and whether it is the last part."""


def encode(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    out: str | PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    limit_tokens: int | None = None,
    damage: Damage | None = None,
    facts: dict[str, Any] | None = None,
    progress: Progress = silent,
) -> EncodedCorpus:
    """Encode documents one after the other; the folder appears when it is whole.

    Args:
        documents: from `documents`, or anything else.
        tokenizer: of the corpus; its end token ends each document.
        out: folder to write; None keeps the corpus in memory.
        overwrite: replace a corpus in that folder.
        limit_tokens: stop after the document that reaches so many.
        damage: what the reader skipped; goes into the facts.
        facts: more of them.
        progress: takes documents and tokens so far, and their rates, after each batch.

    Raises:
        ValueError: if there is no document, or the folder holds anything and may not be replaced.
    """
    damage = Damage() if damage is None else damage
    if out is None:
        writer = _Writer(tokenizer, None)
        writer.take(documents, progress, limit_tokens)
        return writer.corpus(_facts(writer, damage, facts))
    out = Path(out).expanduser().resolve()  # what a link names is replaced, not the link
    check_folder(out, overwrite)
    with whole_folder(out) as part:
        part.mkdir(parents=True)
        with (part / IDS).open("wb") as file:
            writer = _Writer(tokenizer, file)
            writer.take(documents, progress, limit_tokens)
        writer.save(part, _facts(writer, damage, facts))
    return open_corpus(out)


def check_folder(out: Path, overwrite: bool) -> None:
    """Refuse a folder that holds anything, unless it is a corpus and may be replaced.

    Raises:
        ValueError: saying which.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"out: '{out}' is a file; name a folder")
    there = {path.name for path in out.iterdir()}
    if there and not overwrite:
        raise ValueError(f"out: '{out}' is not empty; choose another folder or --overwrite")
    if there and (FACTS not in there or there - set(FILES)):
        raise ValueError(f"out: '{out}' holds more than a corpus and is not replaced; choose another folder")


class _Writer:
    """What is known so far of a corpus that grows."""

    def __init__(self, tokenizer: Tokenizer, file: BinaryIO | None) -> None:
        self.tokenizer, self.file = tokenizer, file
        self.kind = np.dtype(id_type(tokenizer.vocab)).newbyteorder("<")
        self.kept: list[np.ndarray] = []
        self.ends, self.subset_of = array("q"), array("i")
        self.subsets: dict[str, int] = {}
        self.content = hashlib.sha256()
        self.tokens = self.unknown = self.cuts = self.characters = 0
        self.limited, self.began = False, time.monotonic()

    def take(self, documents: Iterable[Document], progress: Progress, limit: int | None) -> None:
        for batch in _batches(documents):
            self._add(batch, limit)
            progress(self._line())
            if self.limited:
                return
        if not self.ends:
            raise ValueError("paths: no document could be read; check the files and what was skipped")

    def _line(self) -> str:
        seconds = max(time.monotonic() - self.began, 1e-3)
        sizes = {"documents": len(self.ends), "tokens": self.tokens}
        so_far = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
        return f"{so_far}; {', '.join(f'{size / seconds:,.0f} {name}/s' for name, size in sizes.items())}"

    def _add(self, batch: list[Piece], limit: int | None) -> None:
        try:
            encoded = self.tokenizer.encode([text for _, text, _ in batch])
        except Unencodable as error:
            raise ValueError(f"{batch[error.index][0].source}: {error}") from None
        for (document, _, last), ids in zip(batch, encoded, strict=True):
            self._put(ids)
            self.cuts += not last
            if last:
                self._close(document)
                self.limited = limit is not None and self.tokens >= limit
                if self.limited:
                    return

    def _put(self, ids: np.ndarray) -> None:
        stored = ids.astype(self.kind)
        self.content.update(stored.data)
        if self.file is None:
            self.kept.append(stored)
        else:
            self.file.write(stored.data)
        if self.tokenizer.unknown_token is not None:
            self.unknown += int(np.count_nonzero(ids == self.tokenizer.unknown_token))
        self.tokens += len(ids)

    def _close(self, document: Document) -> None:
        if self.tokenizer.end_token is not None:
            self._put(np.array([self.tokenizer.end_token], np.int32))
        self.characters += len(document.text)
        self.ends.append(self.tokens)
        name = document.subset
        self.subset_of.append(-1 if name is None else self.subsets.setdefault(name, len(self.subsets)))

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array(self.ends, np.int64), np.array(self.subset_of, np.int32)

    def corpus(self, facts: dict[str, Any]) -> EncodedCorpus:
        ends, subset_of = self.arrays()
        kept = {name: facts[name] for name in ("vocab", "end_token", "hash", "tokenizer_hash")}
        ids = np.concatenate(self.kept)
        return EncodedCorpus(ids, ends, **kept, subsets=tuple(self.subsets), subset_of=subset_of, facts=facts)

    def save(self, folder: Path, facts: dict[str, Any]) -> None:
        for name, values in zip((ENDS, SUBSETS), self.arrays(), strict=True):
            np.save(folder / name, values, allow_pickle=False)
        self.tokenizer.save(folder / FILE)
        (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")


def _facts(writer: _Writer, damage: Damage, more: dict[str, Any] | None) -> dict[str, Any]:
    """All that a record needs; cuts are the places inside long documents where encoding began anew."""
    own = {"format": FORMAT, "documents": len(writer.ends), "tokens": writer.tokens, "characters": writer.characters}
    own |= {"unknown_token": writer.tokenizer.unknown_token, "unknown_tokens": writer.unknown}
    own |= {"cuts": writer.cuts, "limited": writer.limited}
    own |= {"hash": finished_hash(writer.content.copy(), *writer.arrays()), "subsets": list(writer.subsets)}
    own |= {"vocab": writer.tokenizer.vocab, "end_token": writer.tokenizer.end_token}
    own |= {"tokenizer_hash": writer.tokenizer.hash, "damage": damage.summary()}
    return {**(more or {}), **own}


def _batches(documents: Iterable[Document]) -> Iterator[list[Piece]]:
    """Pieces of documents, BATCH characters at a time or up to twice that."""
    batch: list[Piece] = []
    size = 0
    for document in documents:
        for text, last in _cut(document.text):
            batch.append((document, text, last))
            size += len(text)
            if size >= BATCH:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _cut(text: str) -> Iterator[tuple[str, bool]]:
    """Pieces of at most BATCH characters, cut before white space if there is any; and whether it is the last one."""
    at = 0
    while len(text) - at > BATCH:
        stop = max(text.rfind(" ", at + BATCH // 2, at + BATCH), text.rfind("\n", at + BATCH // 2, at + BATCH))
        stop = stop if stop > at else at + BATCH
        yield text[at:stop], False
        at = stop
    yield text[at:], True
