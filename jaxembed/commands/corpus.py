"""`jaxembed corpus`: text to a memory-mapped corpus of token ids."""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ..base import Progress
from ..corpus import (
    EXPANSION,
    Damage,
    Document,
    EncodedCorpus,
    Tokenizer,
    byte_bpe,
    documents,
    encode,
    first_texts,
    is_packed,
    read_tokenizer,
    word_level,
)
from ..corpus.documents import sources_of
from ..corpus.encode import check_folder
from ..corpus.formats import PARQUET, is_text
from ..corpus.hub import PREFIX
from ..machine import GIB
from .printing import check_least, check_positive, command, say, show, shown_progress

PACKED = 3.0
"""Bytes of text in a byte of a compressed file, as a rule."""
BYTES_A_TOKEN = 4.0
"""Of English text, as a rule."""
MEMORY, TRAINING, DOCUMENT = 0.5, 0.03, 6.0
"""GiB that encoding takes whatever the text, GiB for each MB that BPE is trained on, bytes for each byte
of the largest text file, which is one document; all measured."""


@dataclass(frozen=True)
class CorpusFlags:
    """Encode text as a corpus of token ids that other commands read from disk."""

    paths: tyro.conf.Positional[tuple[str, ...]]
    """Files and folders (.txt, .jsonl, .json, .csv, .tsv, .parquet; .gz, .zst, .xz, .bz2), or
    hub:OWNER/NAME[/CONFIG][:SPLIT]."""
    tokenizer: str = "bpe"
    """bpe or word (trained on this text), a tokenizer.json, or a folder that holds one."""
    vocab_size: int | None = None
    """Tokens of a trained tokenizer; 4096 unless given."""
    train_megabytes: float = 10.0
    """How much of the text BPE is trained on, from its start."""
    subset: str | None = None
    """Only documents whose meta.pile_set_name this is."""
    text_field: Annotated[str, tyro.conf.arg(aliases=["--column"])] = "text"
    """Field or column that holds the text."""
    max_expansion: float = EXPANSION
    """How many times its size a compressed file may become; 64 MiB it always may."""
    on_error: Literal["stop", "skip"] = "stop"
    """Stop at a damaged row, or skip and count it."""
    limit_tokens: int | None = None
    """Stop after the document that reaches so many tokens."""
    out: Path = Path("runs/corpus")
    """Folder to write."""
    overwrite: bool = False
    """Replace the corpus in that folder."""


@command(CorpusFlags)
def run(flags: CorpusFlags, console: Any) -> None:
    _check(flags)
    damage, began = Damage(), time.perf_counter()
    say(console, _expected(flags))
    options: dict[str, Any] = {
        "on_error": flags.on_error,
        "text_field": flags.text_field,
        "max_expansion": flags.max_expansion,
    }
    read = partial(documents, flags.paths, subset=flags.subset, **options)
    with shown_progress(console) as progress:
        progress("reading the tokenizer's part of the text")
        tokenizer = _tokenizer(flags, read, progress)
        facts = {"paths": flags.paths, "subset": flags.subset, "tokenizer": _described(flags, tokenizer)}
        options = {"overwrite": flags.overwrite, "limit_tokens": flags.limit_tokens, "damage": damage}
        texts = read(damage=damage)
        corpus = encode(texts, tokenizer, flags.out, **options, facts=facts, progress=progress)
    show(console, _lines(corpus, damage, facts["tokenizer"]))
    say(console, f"written to {flags.out}, {time.perf_counter() - began:.1f} s")


def _check(flags: CorpusFlags) -> None:
    if not flags.paths:
        raise ValueError("paths: nothing to read; name a file, a folder or hub:OWNER/NAME")
    if flags.tokenizer not in ("word", "bpe") and flags.vocab_size is not None:
        raise ValueError("--vocab-size: the tokenizer of a file has its own size; leave it out, or train word or bpe")
    check_positive(flags, "train_megabytes", "max_expansion")
    check_least(flags, limit_tokens=1)
    check_folder(flags.out.expanduser(), flags.overwrite)


def _expected(flags: CorpusFlags) -> str:
    """What will be read and what it takes, as far as the sizes of the files tell.

    Raises:
        ValueError: if the disk lacks the room.
    """
    files = sources_of(flags.paths)
    sizes = [file.stat().st_size * (PACKED if _packed(file) else 1.0) for file in files]
    size, longest = sum(sizes), max((s for s, file in zip(sizes, files, strict=True) if is_text(file)), default=0.0)
    tokens = min(size / BYTES_A_TOKEN, flags.limit_tokens or float("inf"))
    wide = flags.tokenizer not in ("word", "bpe") or (flags.vocab_size or 0) > 2**16
    disk, memory = (4.0 if wide else 2.0) * tokens / GIB, MEMORY + DOCUMENT * longest / GIB
    if flags.tokenizer == "bpe":
        memory += TRAINING * min(flags.train_megabytes, size / 1e6 if files else float("inf"))
    place = flags.out.expanduser().absolute()
    free = shutil.disk_usage(next(parent for parent in place.parents if parent.exists())).free / GIB
    if disk > free:
        raise ValueError(f"out: about {disk:.2g} GiB needed and {free:.2g} GiB free; choose another disk or less text")
    streamed = sum(path.startswith(PREFIX) for path in flags.paths)
    also = f"; {streamed} streamed, of unknown size" if streamed else ""
    return (
        f"{len(files)} file{'' if len(files) == 1 else 's'}{also}: about {size / 1e6:,.1f} MB of text; at most about "
        f"{memory:.1f} GiB of memory and {1024 * disk:,.1f} MiB on disk ({1024 * free:.0f} free)"
    )


def _packed(file: Path) -> bool:
    return is_packed(file) or file.suffix.lower() in PARQUET


def _tokenizer(flags: CorpusFlags, read: Any, progress: Progress) -> Tokenizer:
    if flags.tokenizer not in ("word", "bpe"):
        return read_tokenizer(flags.tokenizer)
    size = 4096 if flags.vocab_size is None else flags.vocab_size
    texts = _texts(read(), progress)
    if flags.tokenizer == "word":
        return word_level(texts, size)
    return byte_bpe(first_texts(texts, flags.train_megabytes), size)


def _texts(read: Iterable[Document], progress: Progress) -> Iterator[str]:
    for number, document in enumerate(read, start=1):
        if number % 1000 == 0:
            progress(f"reading the tokenizer's part of the text: {number:,} documents")
        yield document.text


def _described(flags: CorpusFlags, tokenizer: Tokenizer) -> str:
    trained = {"word": "whole words", "bpe": f"byte-level BPE of the first {flags.train_megabytes:g} MB"}
    return f"{trained.get(flags.tokenizer, flags.tokenizer)}, {tokenizer.vocab} tokens"


def _lines(corpus: EncodedCorpus, damage: Damage, tokenizer: str) -> list[str]:
    facts = corpus.facts
    unknown = "cannot occur" if facts["unknown_token"] is None else f"{facts['unknown_tokens'] / corpus.tokens:.2%}"
    limited = " (stopped at --limit-tokens)" if facts["limited"] else ""
    return [
        f"{len(corpus):,} documents, {corpus.tokens:,} tokens{limited}; {len(damage):,} damaged rows skipped",
        f"subsets: {', '.join(corpus.subsets) or 'none named'}",
        f"tokenizer: {tokenizer}, unknown tokens: {unknown}, {corpus.tokenizer_hash}",
        f"corpus: {corpus.hash}",
        *([f"cut: {facts['cuts']:,} places inside long documents, where encoding began anew"] if facts["cuts"] else []),
        *(f"skipped: {count:,} x {kind}, first {place}" for kind, count, place in damage.table()),
    ]
