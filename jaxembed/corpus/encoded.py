"""Encoded corpora: token ids on disk, memory-mapped, with where every document ends."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer

from ..base import Progress, silent
from ..keep import digest
from .tokenizers import FILE, Tokenizer, read_tokenizer

FORMAT = 1
IDS, ENDS, SUBSETS, FACTS = "ids.bin", "ends.npy", "subset_of.npy", "corpus.json"
KNOWN = ("format", "documents", "tokens", "vocab", "end_token", "hash", "tokenizer_hash", "subsets")
FILES = (IDS, ENDS, SUBSETS, FACTS, FILE)
PIECE = 2**22
"""Tokens that are worked on at a time."""


@dataclass(frozen=True)
class EncodedCorpus:
    """Token ids of many documents, one document after the other.

    Attributes:
        ids: `[position]`, uint16 or uint32, memory-mapped where it was opened from a folder; each document ends with
            the end token where there is one.
        ends: `[document]`, cumulative: document k is `ids[ends[k - 1]:ends[k]]`.
        vocab: number of tokens of the tokenizer.
        end_token: id that ends every document, or None.
        hash: SHA-256 of ids, ends and subsets; of a part, of the hash it is a part of and of what was taken.
        tokenizer_hash: of the tokenizer; empty for ids that came from elsewhere.
        subsets: names of the subsets that occur.
        subset_of: `[document]`, place of its subset among `subsets`, -1 for none.
        facts: sources, damage, counts: what a record needs.
    """

    ids: Integer[np.ndarray, " position"]
    ends: Int[np.ndarray, " document"]
    vocab: int
    end_token: int | None
    hash: str
    tokenizer_hash: str
    subsets: tuple[str, ...]
    subset_of: Int[np.ndarray, " document"]
    facts: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def tokens(self) -> int:
        """Number of tokens, end tokens included."""
        return len(self.ids)

    @cached_property
    def starts(self) -> Int[np.ndarray, " document"]:
        """`[document]`, where each begins."""
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])

    @cached_property
    def unigrams(self) -> Int[np.ndarray, " token"]:
        """`[token]`, how often each occurs."""
        counts = np.zeros(self.vocab, np.int64)
        for at in range(0, self.tokens, PIECE):
            counts += np.bincount(self.ids[at : at + PIECE], minlength=self.vocab)
        return counts

    def document(self, k: int | np.integer) -> Integer[np.ndarray, " position"]:
        """The ids of one document."""
        return self.ids[self.starts[k] : self.ends[k]]

    def select(self, documents: Sequence[int] | Int[np.ndarray, " document"]) -> "EncodedCorpus":
        """Some documents, in the order given; neighbours are a view, others are copied, all are this corpus itself.

        Raises:
            ValueError: for a document that is not there.
        """
        chosen = np.asarray(documents, np.int64).reshape(-1)
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(self):
            bad = chosen.min() if chosen.min() < 0 else chosen.max()
            raise ValueError(f"documents: {bad} is not among 0..{len(self) - 1}; choose documents of this corpus")
        if np.array_equal(chosen, np.arange(len(self))):
            return self
        lengths = (self.ends - self.starts)[chosen]
        if len(chosen) and np.array_equal(chosen, np.arange(chosen[0], chosen[0] + len(chosen))):
            ids = self.ids[self.starts[chosen[0]] : self.ends[chosen[-1]]]
        else:
            ids = np.concatenate([self.ids[:0], *(self.document(k) for k in chosen)])
        taken = "documents", digest(chosen.astype("<i8").tobytes())
        return self._with(taken, ids, np.cumsum(lengths, dtype=np.int64), self.subset_of[chosen])

    def subset(self, name: str) -> "EncodedCorpus":
        """The documents of one subset.

        Raises:
            ValueError: naming those there are.
        """
        if name not in self.subsets:
            raise ValueError(f"subset: no document of '{name}'; found: {', '.join(self.subsets) or 'none'}")
        return self.select(np.flatnonzero(self.subset_of == self.subsets.index(name)))

    def split(self, held_out_tokens: int) -> "tuple[EncodedCorpus, EncodedCorpus]":
        """The corpus less its last documents, and those: as few whole ones as hold `held_out_tokens`.

        A corpus of few long documents is cut inside one: where whole documents would leave nothing to train on, or
        be more than a tenth of the corpus and more than twice the tokens asked, the last `held_out_tokens` are held
        out, and the document that is cut counts in both parts (in the first without its end token).

        Raises:
            ValueError: if one of the two would be empty.
        """
        if not 0 < held_out_tokens < self.tokens:
            raise ValueError(
                f"held_out_tokens: {held_out_tokens} of {self.tokens} tokens leave none to train on or none to hold "
                "out; choose fewer, give more text, or train without a held-out part (0 held-out tokens)"
            )
        at = self.tokens - held_out_tokens
        first = int(np.searchsorted(self.ends, at, side="right"))
        if first and self.tokens - self.starts[first] <= max(2 * held_out_tokens, self.tokens // 10):
            return self.select(np.arange(first)), self.select(np.arange(first, len(self)))
        ends, subset_of = np.append(self.ends[:first], at), self.subset_of[: first + 1]
        train = self._with(("until", at), self.ids[:at], ends, subset_of)
        return train, self._with(("from", at), self.ids[at:], self.ends[first:] - at, self.subset_of[first:])

    def shuffled(self, seed: int) -> "EncodedCorpus":
        """The null corpus: every document keeps its tokens, in random order; its end token stays last."""
        rng, shuffled = np.random.default_rng(seed), np.empty_like(self.ids, subok=False)
        for first, last in self._pieces():
            at, end = self.starts[first], self.ends[last - 1]
            ids = self.ids[at:end]
            shuffled[at:end] = ids[self._order(rng, first, last)]
        return self._with(("shuffled", seed), shuffled, self.ends, self.subset_of, shuffled_seed=seed)

    def frequent(self, n: int) -> Int[np.ndarray, " token"]:
        """The `n` most frequent tokens, equally frequent ones by id, less the end token, which stands for no text.

        Raises:
            ValueError: if fewer tokens occur.
        """
        if not 1 <= n <= self.occurring:
            raise ValueError(f"n: {n} tokens asked, {self.occurring} different ones occur; choose 1 to that many")
        return np.argsort(-self._text_unigrams, kind="stable")[:n].astype(np.int32)

    @property
    def occurring(self) -> int:
        """How many different tokens occur, less the end token."""
        return int(np.count_nonzero(self._text_unigrams))

    @property
    def _text_unigrams(self) -> Int[np.ndarray, " token"]:
        counts = self.unigrams.copy()
        if self.end_token is not None:
            counts[self.end_token] = 0
        return counts

    def verify(self, progress: Progress = silent) -> None:
        """Read everything and compare with the hash, about a gigabyte a second.

        Args:
            progress: takes the share read.

        Raises:
            ValueError: if a bit differs, or for a part, whose hash is not of its content.
        """
        if "part_of" in self.facts:
            raise ValueError("corpus: the hash of a part is not of its content; verify the corpus it was taken from")
        if _hash(self.ids, self.ends, self.subset_of, progress) != self.hash:
            raise ValueError("corpus: its content is not what was written; encode it again")

    def _pieces(self) -> Iterator[tuple[int, int]]:
        """Runs of whole documents of about PIECE tokens."""
        first = 0
        while first < len(self):
            last = max(first + 1, int(np.searchsorted(self.ends, self.starts[first] + PIECE, side="right")))
            yield first, last
            first = last

    def _order(self, rng: np.random.Generator, first: int, last: int) -> np.ndarray:
        """Positions of some documents sorted by (document, random number); end tokens have the highest number."""
        lengths = self.ends[first:last] - self.starts[first:last]
        if last - first == 1 and lengths[0]:  # a long document: sorting would take several times as long
            kept = int(self.end_token is not None and self.ids[self.ends[first] - 1] == self.end_token)
            moved = int(lengths[0]) - kept
            return np.concatenate([rng.permutation(moved), np.arange(moved, moved + kept)])
        key = rng.random(int(lengths.sum()))
        if self.end_token is not None:
            last_of = np.cumsum(lengths)[lengths > 0] - 1
            ended = self.ids[self.starts[first] + last_of] == self.end_token
            key[last_of[ended]] = 1.0
        key += np.repeat(2.0 * np.arange(last - first), lengths)
        return np.argsort(key, kind="stable")

    def _with(
        self, taken: tuple[str, str | int], ids: np.ndarray, ends: np.ndarray, subset_of: np.ndarray, **facts: Any
    ) -> "EncodedCorpus":
        """A part, whose hash is found without reading its ids: they may be many gigabytes."""
        content = digest(f"{self.hash} {taken[0]} {taken[1]}")
        facts = {**self.facts, **facts, "part_of": self.hash, "documents": len(ends), "tokens": len(ids)}
        return replace(self, ids=ids, ends=ends, subset_of=subset_of, hash=content, facts=facts)


def corpus_of(
    ids: Integer[np.ndarray, " position"],
    ends: Int[np.ndarray, " document"],
    vocab: int,
    end_token: int | None = None,
    *,
    tokenizer_hash: str = "",
    subsets: tuple[str, ...] = (),
    subset_of: Int[np.ndarray, " document"] | None = None,
    facts: dict[str, Any] | None = None,
) -> EncodedCorpus:
    """A corpus in memory.

    Raises:
        ValueError: for ids outside the vocabulary, or ends that do not divide them.

    >>> corpus = corpus_of(np.array([1, 2, 0, 2, 0]), np.array([3, 5]), vocab=3, end_token=0)
    >>> corpus.document(1).tolist(), corpus.frequent(2).tolist()
    ([2, 0], [2, 1])
    """
    ids, ends = np.asarray(ids), np.asarray(ends, np.int64)
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocab:
        bad = ids.min() if ids.min() < 0 else ids.max()
        raise ValueError(f"ids: id {bad} is outside 0..{vocab - 1}; encode with the tokenizer of this vocab")
    if (np.diff(ends, prepend=0) < 0).any() or (ends[-1] if len(ends) else 0) != len(ids):
        raise ValueError(f"ends: must ascend to the {len(ids)} ids; give where each document ends")
    ids = ids.astype(id_type(vocab))
    subset_of = np.full(len(ends), -1, np.int32) if subset_of is None else np.asarray(subset_of, np.int32)
    content = _hash(ids, ends, subset_of)
    return EncodedCorpus(ids, ends, vocab, end_token, content, tokenizer_hash, subsets, subset_of, facts or {})


def open_corpus(folder: str | PathLike[str]) -> EncodedCorpus:
    """A corpus that `encode` wrote; its ids stay on disk.

    Raises:
        ValueError: if the folder holds none, or only part of one.
    """
    folder = Path(folder).expanduser()
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        ends, subset_of = (np.load(folder / name, allow_pickle=False) for name in (ENDS, SUBSETS))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"corpus: '{folder}' holds no encoded corpus; make one with jaxembed corpus") from None
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"corpus: '{folder}' cannot be read ({error}); encode it again") from None
    missing = [name for name in KNOWN if not isinstance(facts, dict) or name not in facts]
    if missing or facts["format"] != FORMAT or [len(ends), len(subset_of)] != [facts["documents"]] * 2:
        fault = f"lacks {', '.join(missing)}" if missing else f"is of format {facts['format']} or cut short"
        raise ValueError(f"corpus: '{folder}' {fault} (this reads format {FORMAT}); encode it again")
    ids = _mapped(folder / IDS, facts["vocab"], facts["tokens"])
    kept = {name: facts[name] for name in ("vocab", "end_token", "hash", "tokenizer_hash")}
    return EncodedCorpus(ids, ends, **kept, subsets=tuple(facts["subsets"]), subset_of=subset_of, facts=facts)


def open_tokenizer(folder: str | PathLike[str]) -> Tokenizer:
    """The tokenizer that a corpus was encoded with."""
    return read_tokenizer(Path(folder) / FILE)


def id_type(vocab: int) -> type[np.unsignedinteger]:
    """The smallest type that holds the ids."""
    return np.uint16 if vocab <= 2**16 else np.uint32


def _mapped(path: Path, vocab: int, tokens: int) -> np.ndarray:
    kind = np.dtype(id_type(vocab)).newbyteorder("<")
    there = path.stat().st_size if path.exists() else 0
    if there != tokens * kind.itemsize:
        raise ValueError(f"corpus: '{path}' has {there} bytes, not {tokens * kind.itemsize}; encode it again")
    return np.memmap(path, kind, "r", shape=(tokens,)) if tokens else np.zeros(0, kind)


def _hash(ids: np.ndarray, ends: np.ndarray, subset_of: np.ndarray, progress: Progress = silent) -> str:
    content = hashlib.sha256()
    for at in range(0, len(ids), PIECE):
        progress("checking the corpus", at / len(ids))
        content.update(np.ascontiguousarray(ids[at : at + PIECE]).data)
    return finished_hash(content, ends, subset_of)


def finished_hash(ids: Any, ends: np.ndarray, subset_of: np.ndarray) -> str:
    """The hash of a corpus from the running hash of its ids."""
    ids.update(np.ascontiguousarray(ends, "<i8").data)
    ids.update(np.ascontiguousarray(subset_of, "<i4").data)
    return ids.hexdigest()
