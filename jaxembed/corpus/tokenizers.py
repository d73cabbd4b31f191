"""Text to token ids and back: any tokenizer.json, whole words, and byte-level BPE trained here."""

import json
import os
import re
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Integer

from ..keep import digest
from ..machine import optional
from ..records import FLAG, TEXT, check_record, list_of
from .readers import read_text
from .words import Vocabulary, words

END = "<|endoftext|>"
UNKNOWN = "<unk>"
STARTS = ("<s>", "<|begin_of_text|>", "<bos>", "<|bos|>")
"""What the start of a text is called where the file adds no token before one: Llama 2, Llama 3, Gemma."""
ENDS = (END, "<|end_of_text|>", "</s>", "<eos>", "<|eos|>")
"""What the end of a document is called: Qwen and GPT-2, Llama 3, Llama 2, Gemma."""

LONG_RUN = re.compile(r"\S{1000}|\s{1000}")
WORD_LEVEL = "jaxembed words"
FILE = "tokenizer.json"


class Tokenizer(ABC):
    """Text to ids and back.

    Attributes:
        vocab: number of ids; every id is below it.
        start_token: id that stands before a text when a model reads it: what the tokenizer itself puts there, or its
            start token by name, or else the end token, behind which documents begin in training; None without these.
        end_token: id that ends a document, or None.
        unknown_token: id of what the vocabulary cannot say, or None.
        unseen: special tokens that were added beside the model's own; no text is encoded to them.
        hash: SHA-256 of the content, the same however the file is laid out.
    """

    vocab: int
    start_token: int | None
    end_token: int | None
    unknown_token: int | None
    unseen: frozenset[int] = frozenset()
    content: str

    @abstractmethod
    def encode(self, texts: list[str]) -> list[Int[np.ndarray, " position"]]:
        """The ids (int32) of each text; nothing is added, and special tokens written out in a text are plain text."""

    @abstractmethod
    def decode(self, ids: Sequence[int] | Integer[np.ndarray, " position"]) -> str:
        """The text of some ids."""

    @abstractmethod
    def token(self, id: int | np.integer) -> str:
        """A token as a person reads it: " the" with its space, line breaks as \\n, part of a character as <0xE6>."""

    @abstractmethod
    def id(self, token: str) -> int | None:
        """The id of a token, as `token` shows it or as the file spells it; None if there is none."""

    @cached_property
    def hash(self) -> str:
        return digest(_canonical(json.loads(self.content)))

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as a file that `read_tokenizer` reads."""
        Path(path).write_text(self.content, encoding="utf-8")


class Unencodable(ValueError):
    """A text on which the library gave up: a pattern that does not come to an end, say.

    Attributes:
        index: its place among the texts that were to be encoded.
    """

    def __init__(self, texts: list[str], index: int, reason: Exception) -> None:
        self.index, self.start = index, texts[index][:40]
        super().__init__(
            f"tokenizer: its library gave up ({reason}) on the text that begins {self.start!r}; leave that text out, "
            "or take a tokenizer with a simpler pattern"
        )


_STDERR = threading.Lock()


@contextmanager
def _panics() -> Iterator[None]:
    """A panic of the library, which no `except Exception` catches, as a RuntimeError without the trace it prints.

    The library writes that to the process's standard error before Python hears of it, so what is written there
    meanwhile is held back; without a panic all of it comes out afterwards.
    """
    with _STDERR, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        own, panic = os.dup(2), None
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            panic = RuntimeError(" ".join(str(error).split()))
        finally:
            os.dup2(own, 2)
            os.close(own)
            held.seek(0)
            if panic is None and (written := held.read()):
                os.write(2, written)
    if panic is not None:
        raise panic


class JsonTokenizer(Tokenizer):
    """What a tokenizer.json of the `tokenizers` library says."""

    def __init__(self, content: str) -> None:
        self.content = content
        library = optional("tokenizers", "text")
        with _panics():
            self._tokenizer = library.Tokenizer.from_str(content)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # "<|endoftext|>" written in a text must not end a document
        self._ids: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        self.vocab = max(self._ids.values(), default=-1) + 1
        self.end_token = next((self._ids[name] for name in ENDS if name in self._ids), None)
        with _panics():
            self.start_token = self._start()
        self.unknown_token = self._unknown()
        own = set(self._tokenizer.get_vocab(with_added_tokens=False).values())
        added = self._tokenizer.get_added_tokens_decoder()
        self.unseen = frozenset(id for id, token in added.items() if token.special and id not in own)

    def _start(self) -> int | None:
        encoding = self._tokenizer.encode("a", add_special_tokens=True)
        if encoding.ids and encoding.special_tokens_mask[0]:
            return encoding.ids[0]
        return next((self._ids[name] for name in STARTS if name in self._ids), self.end_token)

    def _unknown(self) -> int | None:
        """By name, or by number in a unigram model."""
        model = self._parts["model"]
        return model["unk_id"] if "unk_id" in model else self._ids.get(model.get("unk_token") or "")

    def encode(self, texts: list[str]) -> list[Int[np.ndarray, " position"]]:
        try:
            with _panics():
                encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        except RuntimeError as error:
            raise Unencodable(texts, next(k for k in range(len(texts)) if self._fails(texts[k])), error) from None
        return [np.array(encoding.ids, np.int32) for encoding in encoded]

    def _fails(self, text: str) -> bool:
        try:
            with _panics():
                self._tokenizer.encode(text, add_special_tokens=False)
        except RuntimeError:
            return True
        return False

    def decode(self, ids: Sequence[int] | Integer[np.ndarray, " position"]) -> str:
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)

    def token(self, id: int | np.integer) -> str:
        piece = self._tokenizer.id_to_token(int(id))
        if piece is None:
            return f"<id {int(id)}>"
        return _shown(_bytes_of(piece) if self._byte_level else piece.replace("\u2581", " ").encode())

    def id(self, token: str) -> int | None:
        exact = self._ids.get(token)
        return self._readable.get(token) if exact is None else exact

    @cached_property
    def _parts(self) -> dict[str, Any]:
        return json.loads(self.content)

    @cached_property
    def _byte_level(self) -> bool:
        return any('"ByteLevel"' in json.dumps(self._parts.get(part)) for part in ("pre_tokenizer", "decoder"))

    @cached_property
    def _readable(self) -> dict[str, int]:
        return {self.token(id): id for id in sorted(self._ids.values(), reverse=True)}


class WordTokenizer(Tokenizer):
    """The most frequent words; everything else is one unknown token, and what is between words is lost.

    Ids: 0 ends a document, 1 is unknown, then words, most frequent first.
    """

    def __init__(self, known: Sequence[str], lowercase: bool = True) -> None:
        self._words = Vocabulary((END, UNKNOWN, *known))
        self._lowercase = lowercase
        self.vocab, self.start_token, self.end_token, self.unknown_token = len(self._words), 0, 0, 1
        self.content = json.dumps(
            {"type": WORD_LEVEL, "lowercase": lowercase, "words": list(known)}, ensure_ascii=False
        )

    def encode(self, texts: list[str]) -> list[Int[np.ndarray, " position"]]:
        ids = [self._words.encode(words(text, self._lowercase)) for text in texts]
        return [np.where(known < 0, np.int32(1), known) for known in ids]

    def decode(self, ids: Sequence[int] | Integer[np.ndarray, " position"]) -> str:
        return " ".join(self._words.words[int(i)] for i in ids)

    def token(self, id: int | np.integer) -> str:
        return self._words.words[int(id)] if 0 <= id < self.vocab else f"<id {int(id)}>"

    def id(self, token: str) -> int | None:
        place = self._words.ids.get(token)
        return self._words.ids.get(token.lower()) if place is None and self._lowercase else place


def read_tokenizer(path: str | PathLike[str]) -> Tokenizer:
    """The tokenizer of a `tokenizer.json`, or of a folder that holds one.

    The end token is the first of `ENDS` that the file knows.

    Raises:
        ValueError: if there is none, or it is none, or of a version the installed `tokenizers` does not read.
    """
    path = Path(path).expanduser()
    path = path / FILE if path.is_dir() else path
    if not path.exists():
        raise ValueError(f"tokenizer: '{path}' does not exist; give a tokenizer.json or a folder that holds one")
    content = read_text(path)
    try:
        parts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"tokenizer: '{path}' is not JSON ({error}); give a tokenizer.json") from None
    if isinstance(parts, dict) and parts.get("type") == WORD_LEVEL:
        return _word_tokenizer(parts, path)
    if not isinstance(parts, dict) or not isinstance(parts.get("model"), dict):
        raise ValueError(f"tokenizer: '{path}' describes no tokenizer model; give a tokenizer.json")
    return _json_tokenizer(content, path)


def _word_tokenizer(parts: dict[str, Any], path: Path) -> WordTokenizer:
    kinds = {"words": list_of(TEXT), "lowercase": FLAG}
    advice = "make it again with --tokenizer word"
    check_record(parts, kinds, f"tokenizer: '{path}'", needed=("words", "lowercase"), advice=advice)
    return WordTokenizer(parts["words"], parts["lowercase"])


def _json_tokenizer(content: str, path: Path) -> JsonTokenizer:
    version = optional("tokenizers", "text").__version__
    try:
        return JsonTokenizer(content)
    except ValueError:  # the extra is missing
        raise
    except Exception as error:  # the library raises the bare class
        raise ValueError(
            f"tokenizer: '{path}' is not one that tokenizers {version} reads ({error}); use the version that wrote it"
        ) from None


def word_level(texts: Iterable[str], vocab: int, lowercase: bool = True) -> WordTokenizer:
    """The `vocab` - 2 most frequent words, equally frequent ones in alphabetical order, an end and an unknown token.

    Raises:
        ValueError: if the texts have fewer words.

    >>> tokenizer = word_level(["the cat and the dog"], vocab=4)
    >>> tokenizer.encode(["The dog and a cat"])[0].tolist()
    [2, 1, 3, 1, 1]
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words(text, lowercase))
    if not 3 <= vocab <= len(counts) + 2:
        raise ValueError(
            f"vocab: {vocab} asked; {len(counts)} distinct words, an end and an unknown token allow 3 to "
            f"{len(counts) + 2}; choose among them or give more text"
        )
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return WordTokenizer([word for word, _ in ranked[: vocab - 2]], lowercase)


def byte_bpe(texts: Iterable[str], vocab: int) -> JsonTokenizer:
    """Byte-level byte-pair encoding of some texts: an end token, the 256 bytes, then the merges.

    Equally frequent pairs merge in the order of their ids, so the same texts always give the same tokenizer. Runs of
    more than 1,000 characters without white space are cut for training, whose time is quadratic in them. About 9 s for
    10 MB; more text changes few merges, so train on a part (`first_texts`).

    Raises:
        ValueError: for fewer than 257 tokens, or more than the texts can give.
    """
    if vocab < 257:
        raise ValueError(f"vocab: 256 bytes and an end token need at least 257, got {vocab}; choose more")
    library = optional("tokenizers", "text")
    level = library.pre_tokenizers.ByteLevel
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = level(add_prefix_space=False), library.decoders.ByteLevel()
    alphabet = sorted(level.alphabet())  # in a fixed order: it comes as a set
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((part for text in texts for part in _parts(text)), trainer)
    if tokenizer.get_vocab_size() < vocab:
        most = tokenizer.get_vocab_size()
        raise ValueError(f"vocab: {vocab} asked, but the texts give only {most}; ask for fewer or give more text")
    return JsonTokenizer(tokenizer.to_str())


def _parts(text: str) -> Iterator[str]:
    at = 0
    for run in LONG_RUN.finditer(text):
        yield text[at : run.end()]
        at = run.end()
    yield text[at:]


def first_texts(texts: Iterable[str], megabytes: float) -> Iterator[str]:
    """Texts from the start until they are this many million bytes of UTF-8; the last one is cut."""
    left = int(megabytes * 1e6)
    for text in texts:
        if left <= 0:
            return
        content = text.encode()
        yield text if len(content) <= left else content[:left].decode(errors="ignore")
        left -= len(content)


def _canonical(parts: dict[str, Any]) -> str:
    """Without what a library rewrites: the layout, merges as "a b" or as pairs, and settings that are switched off."""
    model = parts.get("model")
    if isinstance(model, dict):
        model = {name: value for name, value in model.items() if value is not None and value is not False}
        if isinstance(model.get("merges"), list):
            model["merges"] = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
        parts = {**parts, "model": model}
    kept = {name: value for name, value in parts.items() if name not in ("truncation", "padding")}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _byte_alphabet() -> dict[str, int]:
    """The character that byte-level tokenizers write for each byte."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printed)]
    return {chr(byte): byte for byte in printed} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTES = _byte_alphabet()


def _bytes_of(piece: str) -> bytes:
    if all(sign in _BYTES for sign in piece):
        return bytes(_BYTES[sign] for sign in piece)
    return piece.encode()  # an added token is plain text


def _shown(content: bytes) -> str:
    text = content.decode(errors="surrogateescape")
    parts = (f"<0x{ord(s) - 0xDC00:02X}>" if "\udc80" <= s <= "\udcff" else s for s in text)
    return "".join(part if part.isprintable() else repr(part)[1:-1] for part in parts)
