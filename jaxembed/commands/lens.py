"""`jaxembed lens`: what every layer of a model says of the next token of a text."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..machine import GIB
from .align import check_flags, markdown_table, print_table, say, shown_progress, write_out
from .flags import parse

if TYPE_CHECKING:
    from ..analysis.foreign import Progress
    from ..analysis.lens import Lens as LearnedLens
    from ..corpus import Tokenizer
    from ..models import Decoder
    from ..observables import Readings

HEADER = ("layer", "most probable next tokens", "entropy", "KL(final || layer)", "rank of the next token")
MEANS = ("layer", "entropy", "KL(final || layer)", "median rank", "surprisal")


@dataclass(frozen=True)
class Lens:
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


def run(arguments: list[str]) -> None:
    """Carry out `jaxembed lens` with these arguments."""
    from rich.console import Console

    command = parse(Lens, arguments, prog="jaxembed lens")
    _check(command)
    from ..analysis.foreign import read_decoder

    console = Console(soft_wrap=True)
    model, params, tokenizer = read_decoder(command.model)
    ids = known_ids(command.text, tokenizer)
    if len(ids) > model.max_positions:
        raise ValueError(f"text: {len(ids)} tokens, and the model reads at most {model.max_positions}; give less text")
    say(console, f"{command.model}: {model.layers} layers; {len(ids)} tokens read")
    with shown_progress(console) as progress:
        lens = _lens(command, model, params, progress)
    found = _found(command, model, params, ids, lens, tokenizer)
    _report(command, found, console)


def known_ids(text: str, tokenizer: "Tokenizer") -> list[int]:
    """The ids of a text that the tokenizer can say.

    Raises:
        ValueError: for a text without a token, or words that are not in the vocabulary, with close spellings.
    """
    from ..corpus import words

    ids = [int(id) for id in tokenizer.encode([text])[0]]
    if not ids:
        raise ValueError("text: holds no token; give at least one word")
    unknown = tokenizer.unknown_token
    if unknown is None or unknown not in ids:
        return ids
    strange = [word for word in dict.fromkeys(words(text)) if unknown in tokenizer.encode([word])[0]]
    known = [tokenizer.token(id) for id in range(tokenizer.vocab)] if strange else []
    close = {word: get_close_matches(word.lower(), known, 3, 0.6) for word in strange[:3]}
    meant = "; ".join(f"{word!r} is near {', '.join(map(repr, near))}" for word, near in close.items() if near)
    named = ", ".join(map(repr, strange[:5])) or "a part of it"
    raise ValueError(f"text: not in the model's vocabulary of {tokenizer.vocab}: {named}{meant and f' ({meant})'}; "
                     "write it in known words")  # fmt: skip


def _check(command: Lens) -> None:
    check_flags(command, ("top", "steps"))
    if command.last is not None and command.last < 1:
        raise ValueError(f"--last: need at least 1, got {command.last}")
    if command.learned is not None and command.corpus is not None:
        raise ValueError("--learned, --corpus: choose one; a lens is read or learned anew")
    if command.save is not None and command.corpus is None:
        raise ValueError("--save: keeps a lens that is learned now; add --corpus TEXT")
    if command.save is not None and not command.save.expanduser().absolute().parent.is_dir():
        raise ValueError(f"--save: no folder {command.save.parent}; make it first")
    if command.save is not None and command.save.expanduser().is_dir():
        raise ValueError(f"--save: '{command.save}' is a folder; name a file in it")


def _lens(command: Lens, model: "Decoder", params: dict[str, Any], progress: "Progress") -> "LearnedLens | None":
    """The lens that was asked for; None is the plain one."""
    import jax

    from ..analysis.foreign import read_tables, read_text
    from ..analysis.lens import LensFit, fit_lens, read_lens, write_lens
    from ..observables.next_token import rows_within

    if command.learned is not None:
        return read_lens(command.learned.expanduser(), params)
    if command.corpus is None:
        return None
    text, _ = read_text(read_tables(command.model), command.corpus)
    length, vocab = max(1, min(64, model.max_positions, text.tokens - 1)), params["embed"].shape[0]
    batch = min(8, max(1, rows_within(int(command.budget * GIB), vocab, 4) // length))
    settings = LensFit(command.steps, batch, length)
    lens, _ = fit_lens(
        model,
        params,
        text,
        settings,
        key=jax.random.key(command.seed),
        progress=lambda step, loss: progress(f"learning a lens: KL {loss:.3f}", step / command.steps),
    )
    if command.save is not None:
        write_lens(command.save.expanduser(), lens, params)
    return lens


def _found(
    command: Lens, model: "Decoder", params: dict[str, Any], ids: list[int], lens: "LearnedLens | None",
    tokenizer: "Tokenizer",
) -> dict[str, Any]:  # fmt: skip
    """All that is printed and written, as JSON data."""
    import jax.numpy as jnp

    from ..analysis.lens.lens import lens_readings, lens_top

    budget = int(command.budget * GIB)
    text = jnp.asarray([ids])
    # What follows the last token is not known: its rank is read against a stand-in and never shown.
    readings = lens_readings(model, params, jnp.asarray([[*ids, ids[-1]]]), lens, budget=budget)
    top = lens_top(model, params, text, min(command.top, tokenizer.vocab), lens, budget=budget)
    names = [tokenizer.token(id) for id in ids]
    layers = ["embedding", *(f"block {i + 1}" for i in range(model.layers))]
    positions = [
        {
            "token": name,
            "next": names[at + 1] if at + 1 < len(names) else None,
            "layers": [
                _cell(layers[k], readings, top, k, at, tokenizer, at + 1 < len(ids)) for k in range(len(layers))
            ],
        }
        for at, name in enumerate(names)
    ]
    kind = "plain" if lens is None else str(command.learned or f"learned on {command.corpus}")
    return {"model": command.model, "text": command.text, "lens": kind, "tokens": names, "positions": positions}


def _cell(
    layer: str, readings: "Readings", top: Any, k: int, at: int, tokenizer: "Tokenizer", known: bool
) -> dict[str, Any]:
    tokens, shares = top[0][k, 0, at].tolist(), top[1][k, 0, at].tolist()
    return {
        "layer": layer,
        "top": [[tokenizer.token(token), share] for token, share in zip(tokens, shares, strict=True)],
        "entropy": float(readings.entropy[k, 0, at]),
        "divergence": float(readings.divergence[k, 0, at]),
        "rank": float(readings.rank[k, 0, at]) if known else None,
        "surprisal": float(readings.surprisal[k, 0, at]) if known else None,
    }


def _report(command: Lens, found: dict[str, Any], console: Any) -> None:
    parts = [f"# {found['text']!r} through {found['model']}, layer by layer ({found['lens']} lens)"]
    count = len(found["positions"])
    for at in range(max(0, count - (command.last or count)), count):
        position = found["positions"][at]
        followed = "the text ends here" if position["next"] is None else f"next is {position['next']!r}"
        title, rows = f"{at + 1}. after {position['token']!r}: {followed}", [_row(cell) for cell in position["layers"]]
        print_table(console, title, HEADER, rows)
        parts.append(f"{title}\n\n{markdown_table(HEADER, rows)}")
    means = [_mean(cells) for cells in zip(*(position["layers"] for position in found["positions"]), strict=True)]
    title = f"means over {count} positions ({found['lens']} lens; nats)"
    print_table(console, title, MEANS, means)
    parts.append(f"{title}\n\n{markdown_table(MEANS, means)}")
    write_out(command.out, lambda: found, parts, console)


def _row(cell: dict[str, Any]) -> tuple[str, ...]:
    words = ", ".join(f"{token!r} {share:.2f}" for token, share in cell["top"])
    rank = "unknown" if cell["rank"] is None else f"{cell['rank']:g}"
    return cell["layer"], words, f"{cell['entropy']:.2f}", f"{cell['divergence']:.2f}", rank


def _mean(cells: tuple[dict[str, Any], ...]) -> tuple[str, ...]:
    """One layer over all positions; the last has no next token."""
    import numpy as np

    def of(name: str) -> list[float]:
        return [cell[name] for cell in cells if cell[name] is not None]

    known = [f"{np.median(of('rank')):g}", f"{np.mean(of('surprisal')):.2f}"] if of("rank") else ["undefined"] * 2
    return cells[0]["layer"], f"{np.mean(of('entropy')):.2f}", f"{np.mean(of('divergence')):.2f}", *known
