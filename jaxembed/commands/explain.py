"""`jaxembed explain`: one token, its neighbours in weights and in signature, and what carries them."""

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..machine import GIB
from .align import check_flags, counted, markdown_table, opened, print_table, say, shown_progress, write_out
from .flags import parse

if TYPE_CHECKING:
    from ..analysis.explain import Explanation, Neighbour
    from ..corpus import EncodedCorpus, Tokenizer

HEADER = ("token", "cosine of rows", "of signatures", "residual", "reliability", "carried by")
NAMES = {
    "next": ("embedding", "next-token signature", "next tokens"),
    "previous": ("unembedding", "previous-token signature", "previous tokens"),
}


@dataclass(frozen=True)
class Explain:
    """One token of a model: its neighbours, the contexts that carry them, and the pairs that theory cannot explain."""

    model: tyro.conf.Positional[str]
    """Hugging Face folder (safetensors), run folder of jaxembed pretrain, or hub:OWNER/NAME."""
    corpus: tyro.conf.Positional[Path]
    """Folder of an encoded corpus, or text (file or folder), encoded now by the model's own tokenizer."""
    token: tyro.conf.Positional[str]
    """As jaxembed prints it (" king" with its space), as tokenizer.json spells it, or id:NUMBER."""
    top: int = 10
    """Neighbours listed."""
    contexts: int = 5
    """Neighbouring tokens named for every pair."""
    tokens: int | None = 1000
    """Compared with the most frequent tokens of the corpus; None for all that occur."""
    window: int = 1
    """Neighbours up to this distance make the signatures."""
    subset: str | None = None
    """Only documents whose meta.pile_set_name this is."""
    budget: float = 0.5
    """GiB of working memory."""
    out: Path | None = None
    """Write the tables to this file too: .md or .json."""


def run(arguments: list[str]) -> None:
    """Carry out `jaxembed explain` with these arguments."""
    from rich.console import Console

    command = parse(Explain, arguments, prog="jaxembed explain")
    check_flags(command, ("window", "contexts", "top"))
    from ..analysis.explain import explain_token

    console = Console(soft_wrap=True)
    with shown_progress(console) as progress:
        tables, text, tokenizer = opened(command.model, command.corpus, command.subset, console)
        token = known_token(command.token, text, tokenizer)
        sig = counted(text, command.tokens, command.window, progress, also=token)
        if token not in sig.tokens:
            raise ValueError(f"token: {command.token!r} never has a neighbour on both sides; choose another")
        progress("neighbours and contexts", 0.0)
        options = {"top": command.top, "contexts": command.contexts, "budget": int(command.budget * GIB)}
        found = explain_token(tables, text, sig, token, **options)
    _report(command, found, tokenizer, len(sig.tokens), console)


def known_token(word: str, text: "EncodedCorpus", tokenizer: "Tokenizer") -> int:
    """The id of a token that occurs in the text.

    Raises:
        ValueError: with close matches, or where it does not occur.
    """
    number = word.removeprefix("id:")
    id = int(number) if word.startswith("id:") and number.isdigit() else tokenizer.id(word)
    if id is not None and id < text.vocab and text.unigrams[id]:
        return id
    there = [tokenizer.token(int(i)) for i in text.frequent(text.occurring)]
    spaced = [name for name in there if name.strip().lower() == word.strip().lower() and name != word]
    close = list(dict.fromkeys([*spaced, *get_close_matches(word, there, 5, 0.6)]))[:5]
    meant = f"; close ones: {', '.join(map(repr, close))}" if close else "; no token of the corpus is close"
    kind = "unknown" if id is None else "does not occur in the corpus"
    raise ValueError(f"token: {word!r} {'is ' if id is None else ''}{kind}{meant}")


def _report(
    command: Explain, found: "dict[str, Explanation]", tokenizer: "Tokenizer", tokens: int, console: Any
) -> None:
    from ..analysis.alignment import plain

    parts = [f"# {command.token!r} in {command.model} and {command.corpus}"]
    for kind, explanation in found.items():
        title, tables, notes = _side(kind, explanation, tokenizer, tokens)
        say(console, f"\n{title}")
        for name, rows in tables:
            print_table(console, name, HEADER, rows)
        for note in notes:
            say(console, note)
        parts += [f"## {title}", *(f"{name}\n\n{markdown_table(HEADER, rows)}" for name, rows in tables), *notes]
    write_out(command.out, lambda: {kind: plain(asdict(side)) for kind, side in found.items()}, parts, console)


def _side(
    kind: str, found: "Explanation", tokenizer: "Tokenizer", tokens: int
) -> tuple[str, list[tuple[str, list[tuple[str, ...]]]], list[str]]:
    from ..analysis.alignment import number

    table, signature, contexts = NAMES[kind]
    shown = repr(tokenizer.token(found.token))
    title = f"{shown} ({found.count:,} times): its {table} and its {signature}, among {tokens:,} tokens"

    def rows(neighbours: "tuple[Neighbour, ...]") -> list[tuple[str, ...]]:
        return [_row(neighbour, tokenizer) for neighbour in neighbours]

    tables = [
        (f"nearest by {table}", rows(found.by_weights)),
        (f"nearest by {signature}", rows(found.by_signature)),
        ("what the signature cannot explain: largest residuals", rows(found.unexplained)),
    ]
    notes = [
        f"All pairs: R_cos {number(found.moments.r_cos)}; this token with all others: {number(found.score)}. Residual: "
        f"cosine of rows less the straight line through all pairs, in standard deviations of the {table}'s cosines "
        f"({found.moments.spreads[0]:.3g}), as a relabelled pair varies. Reliability: cosine of a token's "
        f"signatures from two halves of the documents ({number(found.reliability)} for {shown}). Carried by: the "
        f"{contexts} that add most to the cosine of signatures, and how much."
    ]
    return title, tables, notes


def _row(neighbour: "Neighbour", tokenizer: "Tokenizer") -> tuple[str, ...]:
    from ..analysis.alignment import number

    carried = zip(neighbour.contexts, neighbour.parts, strict=True)
    return (
        repr(tokenizer.token(neighbour.token)),
        number(neighbour.weights),
        number(neighbour.signature),
        f"{neighbour.residual:+.1f}",
        number(neighbour.reliability),
        ", ".join(f"{tokenizer.token(int(context))!r} {number(float(part))}" for context, part in carried),
    )
