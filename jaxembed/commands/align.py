"""`jaxembed align`: do a model's embeddings follow a text's signatures?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..machine import GIB, cores
from .printing import check_least, check_out, check_positive, command, report, say, shown_progress

if TYPE_CHECKING:
    from ..analysis.foreign import TokenTables
    from ..corpus import EncodedCorpus, Tokenizer


@dataclass(frozen=True)
class AlignFlags:
    """Agreement of a model's embeddings with next-token signatures, of its unembeddings with previous-token ones."""

    model: tyro.conf.Positional[str]
    """Hugging Face folder (safetensors), run folder of jaxembed pretrain, or hub:OWNER/NAME."""
    corpus: tyro.conf.Positional[Path]
    """Folder of an encoded corpus, or text (file or folder), encoded now by the model's own tokenizer."""
    tokens: int | None = 1000
    """The most frequent tokens of the corpus; None for all that occur."""
    window: int = 1
    """Neighbours up to this distance make the signatures."""
    subset: str | None = None
    """Only documents whose meta.pile_set_name this is."""
    permutations: int = 199
    """Relabellings behind each null; 199 resolve p = 0.005."""
    seed: int = 0
    """Of relabellings and resampling."""
    top: int = 10
    """Nearest neighbours compared for every token."""
    budget: float = 0.5
    """GiB of working memory."""
    out: Path | None = None
    """Write the tables to this file too: .md or .json."""


@command(AlignFlags)
def run(flags: AlignFlags, console: Any) -> None:
    check_out(flags.out)
    check_least(flags, window=1, permutations=1, top=1)
    check_positive(flags, "budget")
    from ..analysis.alignment import align_model
    from ..analysis.foreign import count_signatures

    with shown_progress(console) as progress:
        tables, text, _ = open_both(flags.model, flags.corpus, flags.subset, console)
        options = {"window": flags.window, "workers": cores(), "progress": progress}
        sig = count_signatures(text, flags.tokens, **options)
        budget, draws = int(flags.budget * GIB), {"permutations": flags.permutations, "key": flags.seed}
        result = align_model(tables, sig, budget=budget, top=flags.top, progress=progress, **draws)
    fewest = int(sig.counts.min())
    title = f"{result.tokens:,} tokens, each at least {fewest:,} times; neighbours up to distance {flags.window}"
    facts = {"model": flags.model, "corpus": text.hash, "window": flags.window, "seed": flags.seed}
    parts = (*result.tables(title), result.note(), *result.trends())
    heading = f"{flags.model} against {flags.corpus}"
    report(console, heading, parts, flags.out, lambda: {**facts, **result.record()})


def open_both(
    model: str, corpus: Path, subset: str | None, console: Any
) -> "tuple[TokenTables, EncodedCorpus, Tokenizer]":
    """The model's tables and the text in its tokens, described in two lines."""
    from ..analysis.foreign import read_tables, read_text

    tables = read_tables(model)
    rows, width = tables.embed.shape
    table = "one table for both" if tables.tied else "embedding and unembedding"
    say(console, f"{tables.folder}: {rows:,} tokens x {width}, {table}")
    if tables.tokenizer is None:
        say(console, f"{tables.folder} holds no tokenizer.json: that the corpus is in its tokens is taken on trust")
    text, tokenizer = read_text(tables, corpus, subset=subset)
    say(console, f"{corpus}: {text.tokens:,} tokens in {len(text):,} documents")
    return tables, text, tokenizer
