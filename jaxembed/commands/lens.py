"""`jaxembed lens`: what every layer of a model says of the next token of a text."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..machine import GIB
from ..tables import Table
from ..text import number
from .printing import check_file, check_least, check_out, check_positive, command, report, say, shown_progress

if TYPE_CHECKING:
    from ..analysis.lens import Lens
    from ..base import Progress
    from ..corpus import Tokenizer
    from ..models import Decoder
    from ..observables import Readings

HEADER = ("layer", "most probable next tokens", "entropy", "KL(final || layer)", "rank of the next token")
READINGS = ("entropy", "divergence", "rank", "surprisal")
MEANS = ("layer", "entropy", "KL(final || layer)", "median rank", "surprisal")


@dataclass(frozen=True)
class LensFlags:
    """The next token as every layer sees it: its stream through the model's own last norm and unembedding."""

    model: tyro.conf.Positional[str]
    """Hugging Face folder (safetensors), run folder of jaxembed pretrain, or hub:OWNER/NAME."""
    text: tyro.conf.Positional[str]
    """What the model reads, in the tokens of its own tokenizer."""
    top: int = 3
    """Most probable tokens shown for every layer."""
    last: int | None = None
    """Show only so many last positions; None shows all."""
    learned: Path | None = None
    """A lens learned earlier for this model, which --save wrote."""
    corpus: Path | None = None
    """Learn a lens on this text first: folder of an encoded corpus, or text (file or folder)."""
    steps: int = 200
    """Updates of learning."""
    seed: int = 0
    """Of the places of the corpus that are learned from."""
    save: Path | None = None
    """Keep the learned lens in this file."""
    budget: float = 0.5
    """GiB of working memory for the tables over the vocabulary; learning takes as many sequences an update (8 at most,
    one at least) as fit."""
    out: Path | None = None
    """Write the tables to this file too: .md or .json."""


@command(LensFlags)
def run(flags: LensFlags, console: Any) -> None:
    _check(flags)
    from ..analysis.foreign import read_decoder

    model, params, tokenizer = read_decoder(flags.model)
    ids = known_ids(flags.text, tokenizer)
    if len(ids) > model.max_positions:
        raise ValueError(f"text: {len(ids)} tokens, and the model reads at most {model.max_positions}; give less text")
    say(console, f"{flags.model}: {model.layers} layers; {len(ids)} tokens read")
    with shown_progress(console) as progress:
        lens = _lens(flags, model, params, progress)
    record = _record(flags, model, params, ids, lens, tokenizer)
    title = f"{flags.text!r} through {flags.model}, layer by layer ({record['lens']} lens)"
    report(console, title, _tables(record, flags.last), flags.out, lambda: record)


def known_ids(text: str, tokenizer: "Tokenizer") -> list[int]:
    """The ids of a text that the tokenizer can say, behind the tokenizer's start token where there is one.

    Raises:
        ValueError: for a text without a token, or words that are not in the vocabulary, with close spellings.
    """
    from ..corpus import words

    ids = [int(id) for id in tokenizer.encode([text])[0]]
    if not ids:
        raise ValueError("text: holds no token; give at least one word")
    unknown = tokenizer.unknown_token
    if unknown is None or unknown not in ids:
        return ids if tokenizer.start_token is None else [tokenizer.start_token, *ids]
    strange = [word for word in dict.fromkeys(words(text)) if unknown in tokenizer.encode([word])[0]]
    known = [tokenizer.token(id) for id in range(tokenizer.vocab)] if strange else []
    close = {word: get_close_matches(word.lower(), known, 3, 0.6) for word in strange[:3]}
    meant = "; ".join(f"{word!r} is near {', '.join(map(repr, near))}" for word, near in close.items() if near)
    named = ", ".join(map(repr, strange[:5])) or "a part of it"
    raise ValueError(f"text: not in the model's vocabulary of {tokenizer.vocab}: {named}{meant and f' ({meant})'}; "
                     "write it in known words")  # fmt: skip


def _check(flags: LensFlags) -> None:
    check_out(flags.out)
    check_least(flags, top=1, steps=1, last=1)
    check_positive(flags, "budget")
    if flags.learned is not None and flags.corpus is not None:
        raise ValueError("--learned, --corpus: choose one; a lens is read or learned anew")
    if flags.save is not None and flags.corpus is None:
        raise ValueError("--save: keeps a lens that is learned now; add --corpus TEXT")
    if flags.save is not None:
        check_file("save", flags.save)


def _lens(flags: LensFlags, model: "Decoder", params: dict[str, Any], progress: "Progress") -> "Lens | None":
    """The lens of the flags; None is the plain one."""
    import jax

    from ..analysis.foreign import read_tables, read_text
    from ..analysis.lens import LensFit, fit_lens, read_lens, write_lens
    from ..observables.next_token import rows_within

    if flags.learned is not None:
        return read_lens(flags.learned.expanduser(), params)
    if flags.corpus is None:
        return None
    text, _ = read_text(read_tables(flags.model), flags.corpus, progress=progress)
    length, vocab = max(1, min(64, model.max_positions, text.tokens - 1)), params["embed"].shape[0]
    batch = min(8, max(1, rows_within(int(flags.budget * GIB), vocab, 4) // length))
    settings = LensFit(flags.steps, batch, length)
    lens, _ = fit_lens(model, params, text, settings, key=jax.random.key(flags.seed), progress=progress)
    if flags.save is not None:
        write_lens(flags.save.expanduser(), lens, params)
    return lens


def _record(
    flags: LensFlags, model: "Decoder", params: dict[str, Any], ids: list[int], lens: "Lens | None",
    tokenizer: "Tokenizer",
) -> dict[str, Any]:  # fmt: skip
    """All that is printed and written, as JSON data."""
    import jax.numpy as jnp

    from ..analysis.lens import lens_readings, lens_top

    budget = int(flags.budget * GIB)
    # What follows the last token is not known: its rank is read against a stand-in and never shown.
    readings = lens_readings(model, params, jnp.asarray([[*ids, ids[-1]]]), lens, budget=budget)
    top = lens_top(model, params, jnp.asarray([ids]), min(flags.top, params["embed"].shape[0]), lens, budget=budget)
    names = [tokenizer.token(id) for id in ids]
    followers = [*names[1:], None]
    layers = ["embedding", *(f"block {i + 1}" for i in range(model.layers))]
    positions = [
        {
            "token": names[at],
            "next": followers[at],
            "layers": [
                {"layer": layer, "top": _words(top, k, at, tokenizer), **_numbers(readings, k, at, followers[at])}
                for k, layer in enumerate(layers)
            ],
        }
        for at in range(len(ids))
    ]
    kind = "plain" if lens is None else str(flags.learned or f"learned on {flags.corpus}")
    return {"model": flags.model, "text": flags.text, "lens": kind, "tokens": names, "positions": positions}


def _words(top: Any, layer: int, at: int, tokenizer: "Tokenizer") -> list[list[Any]]:
    """The most probable tokens with their probabilities."""
    tokens, shares = (side[layer, 0, at].tolist() for side in top)
    return [[tokenizer.token(token), share] for token, share in zip(tokens, shares, strict=True)]


def _numbers(readings: "Readings", layer: int, at: int, follower: str | None) -> dict[str, float | None]:
    """Numbers of the readings; those of the next token are None where there is none."""
    numbers: dict[str, float | None] = {name: float(getattr(readings, name)[layer, 0, at]) for name in READINGS}
    return numbers if follower is not None else numbers | {"rank": None, "surprisal": None}


def _tables(record: dict[str, Any], last: int | None) -> list[Table]:
    positions = record["positions"]
    tables = []
    for at in range(max(0, len(positions) - (last or len(positions))), len(positions)):
        token, follower, layers = (positions[at][name] for name in ("token", "next", "layers"))
        followed = "the text ends here" if follower is None else f"next is {follower!r}"
        tables.append(Table(f"{at + 1}. after {token!r}: {followed}", HEADER, [_row(layer) for layer in layers]))
    means = [_mean(layers) for layers in zip(*(position["layers"] for position in positions), strict=True)]
    return [*tables, Table(f"means over {len(positions)} positions ({record['lens']} lens; nats)", MEANS, means)]


def _row(layer: dict[str, Any]) -> tuple[str, ...]:
    words = ", ".join(f"{token!r} {share:.2f}" for token, share in layer["top"])
    rank = "unknown" if layer["rank"] is None else number(layer["rank"], "g")
    return layer["layer"], words, number(layer["entropy"], ".2f"), number(layer["divergence"], ".2f"), rank


def _mean(layers: tuple[dict[str, Any], ...]) -> tuple[str, ...]:
    """One layer over all positions; the last has no next token."""
    import numpy as np

    known = {name: [layer[name] for layer in layers if layer[name] is not None] or [np.nan] for name in READINGS}
    entropy, divergence, surprisal = (
        number(np.mean(known[name]), ".2f") for name in ("entropy", "divergence", "surprisal")
    )
    return layers[0]["layer"], entropy, divergence, number(np.median(known["rank"]), "g"), surprisal
