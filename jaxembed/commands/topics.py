"""`jaxembed topics`: do a model's states carry the topics of documents?"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from ..machine import GIB
from .align import check_flags, say, write_out
from .flags import parse

if TYPE_CHECKING:
    from ..analysis.topics.result import TopicScores
    from ..analysis.topics.task import TopicSizes


@dataclass(frozen=True)
class Topics:
    """Linear probes from a decoder's states to the topic mixtures of 20 Newsgroups posts, with their nulls."""

    model: tyro.conf.Positional[str]
    """Hugging Face folder of a decoder with its tokenizer.json, run folder of jaxembed pretrain, or hub:OWNER/NAME."""
    newsgroups: Path
    """The by-date archive (20news_bydate.tar.gz); headers, footers and quotes are dropped."""
    topics: int = 20
    """Topics K of the LDA fits that give the targets."""
    fits: int = 3
    """LDA fits, each with a probe seed of its own."""
    passes: int = 10
    """Of each LDA fit over the documents."""
    length: int = 256
    """Tokens of the longest post that is read; longer ones are left out, not cut."""
    train: int = 4000
    """At most so many training posts for the probes to learn from."""
    test: int = 2000
    """At most so many test posts to score them on."""
    positions: int = 10
    """Relative places in a post at which topic accuracy is set against perplexity."""
    budget: float = 0.25
    """GiB that the states of one batch may take; those of all posts are kept besides."""
    keep: Path | None = None
    """Folder that remembers the targets, so that another model of the same tokenizer is quicker."""
    out: Path | None = None
    """Write the tables to this file too: .md or .json."""


def run(arguments: list[str]) -> None:
    """Carry out `jaxembed topics` with these arguments."""
    from rich.console import Console

    command = parse(Topics, arguments, prog="jaxembed topics")
    _check(command)
    from ..analysis.topics.result import topics_of_model
    from ..analysis.topics.texts import read_newsgroups

    console = Console(soft_wrap=True)
    texts = read_newsgroups(command.newsgroups)
    say(
        console,
        f"{command.newsgroups}: {len(texts.train):,} training and {len(texts.test):,} test posts; {texts.damage}",
    )
    with console.status("reading the model") as status:
        options = {
            "keep": command.keep,
            "budget": int(command.budget * GIB),
            "progress": lambda text, share=None: status.update(text),
        }
        found = topics_of_model(command.model, texts, _sizes(command), **options)
    _report(command, found, console)


def _check(command: Topics) -> None:
    check_flags(command, ("fits", "passes"))
    for name, least in (("topics", 2), ("length", 16), ("train", 50), ("test", 10)):
        if getattr(command, name) < least:
            raise ValueError(f"--{name}: need at least {least}, got {getattr(command, name)}")
    if not 3 <= command.positions <= 16:
        raise ValueError(f"--positions: need 3 to 16 places, got {command.positions}")


def _sizes(command: Topics) -> "TopicSizes":
    from ..analysis.topics.task import TopicSizes

    return TopicSizes(
        topics=(command.topics,),
        fits=command.fits,
        passes=command.passes,
        length=command.length,
        documents=(command.train, command.test),
        positions=command.positions,
    )


def _report(command: Topics, found: "TopicScores", console: Any) -> None:
    tables = found.tables()
    for table in tables:
        console.print(table.rich())
    notes = [f"topic {k}: {' '.join(words)}" for k, words in enumerate(found.words)]
    for note in (*notes, found.caption):
        say(console, note)
    parts = [
        f"# Topics in {command.model}",
        *(f"{table.title}\n\n{table.markdown()}" for table in tables),
    ]
    parts += ["\n".join(f"- {note}" for note in notes), found.caption]
    write_out(command.out, lambda: {"model": command.model, **found.record()}, parts, console)
