"""`jaxembed explain`: one token, its neighbours in weights and in signature, and what carries them."""

from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..machine import GIB, cores
from ..tables import Table
from ..text import cosine_spec, number
from .align import open_both
from .printing import check_least, check_out, check_positive, command, report, shown_progress

if TYPE_CHECKING:
    from ..analysis.explain import Explanation, Neighbour
    from ..corpus import EncodedCorpus, Tokenizer

HEADER = ("token", "cosine of rows", "of signatures", "residual", "reliability", "carried by")
NAMES = {
    "next": ("embedding", "next-token signature", "next tokens"),
    "previous": ("unembedding", "previous-token signature", "previous tokens"),
}


@dataclass(frozen=True)
class ExplainFlags:
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


@command(ExplainFlags)
def run(flags: ExplainFlags, console: Any) -> None:
    check_out(flags.out)
    check_least(flags, window=1, contexts=1, top=1)
    check_positive(flags, "budget")
    from ..analysis.explain import explain_token
    from ..analysis.foreign import count_signatures

    with shown_progress(console) as progress:
        tables, text, tokenizer = open_both(flags.model, flags.corpus, flags.subset, console)
        token = known_token(flags.token, text, tokenizer)
        options = {"window": flags.window, "workers": cores(), "progress": progress}
        sig = count_signatures(text, flags.tokens, also=token, **options)
        if token not in sig.tokens:
            raise ValueError(f"token: {flags.token!r} never has a neighbour on both sides; choose another")
        progress("neighbours and contexts")
        budget = int(flags.budget * GIB)
        sides = explain_token(tables, text, sig, token, top=flags.top, contexts=flags.contexts, budget=budget)
    parts = [part for kind, side in sides.items() for part in _parts(kind, side, tokenizer, len(sig.tokens))]
    title = f"{flags.token!r} in {flags.model} and {flags.corpus}"
    report(console, title, parts, flags.out, lambda: {kind: asdict(side) for kind, side in sides.items()})


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


def _parts(kind: str, side: "Explanation", tokenizer: "Tokenizer", tokens: int) -> list[Table | str]:
    """A heading, the neighbours by weights, by signature and by residual, and how to read them."""
    table, signature, contexts = NAMES[kind]
    shown = repr(tokenizer.token(side.token))
    listed = {
        f"nearest by {table}": side.by_weights,
        f"nearest by {signature}": side.by_signature,
        "what the signature cannot explain: largest residuals": side.unexplained,
    }
    tables = [Table(name, HEADER, [_row(n, tokenizer) for n in neighbours]) for name, neighbours in listed.items()]
    r_cos, score, sure = (number(x, cosine_spec) for x in (side.moments.r_cos, side.score, side.reliability))
    note = (
        f"All pairs: R_cos {r_cos}; this token with all others: {score}. Residual: "
        f"cosine of rows less the straight line through all pairs, in standard deviations of the {table}'s cosines "
        f"({side.moments.spreads[0]:.3g}), as a relabelled pair varies. Reliability: cosine of a token's "
        f"signatures from two halves of the documents ({sure} for {shown}). Carried by: the "
        f"{contexts} that add most to the cosine of signatures, and how much."
    )
    heading = f"## {shown} ({side.count:,} times): its {table} and its {signature}, among {tokens:,} tokens"
    return [heading, *tables, note]


def _row(neighbour: "Neighbour", tokenizer: "Tokenizer") -> tuple[str, ...]:
    carried = zip(neighbour.contexts, neighbour.parts, strict=True)
    weights, signature, sure = (
        number(x, cosine_spec) for x in (neighbour.weights, neighbour.signature, neighbour.reliability)
    )
    words = ", ".join(f"{tokenizer.token(int(id))!r} {number(part, cosine_spec)}" for id, part in carried)
    return repr(tokenizer.token(neighbour.token)), weights, signature, f"{neighbour.residual:+.1f}", sure, words
