"""`jaxembed topics`: do a model's states carry the topics of documents?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from ..machine import GIB
from ..tables import Table
from .printing import check_least, check_out, check_positive, command, report, say, shown_progress


@dataclass(frozen=True)
class TopicsFlags:
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


@command(TopicsFlags)
def run(flags: TopicsFlags, console: Any) -> None:
    _check(flags)
    from ..analysis.topics import TopicSizes, read_newsgroups, topics_of_model

    texts = read_newsgroups(flags.newsgroups)
    counts = f"{len(texts.train):,} training and {len(texts.test):,} test posts"
    say(console, f"{flags.newsgroups}: {counts}; {texts.damage}")
    sizes = TopicSizes(
        topics=(flags.topics,),
        fits=flags.fits,
        passes=flags.passes,
        length=flags.length,
        documents=(flags.train, flags.test),
        positions=flags.positions,
    )
    with shown_progress(console) as progress:
        options = {"keep": flags.keep, "budget": int(flags.budget * GIB), "progress": progress}
        result = topics_of_model(flags.model, texts, sizes, **options)
    words = [(str(k), " ".join(words)) for k, words in enumerate(result.words)]
    parts = (*result.tables(), Table("Topics of the first LDA fit", ("topic", "most frequent words"), words))
    record = {"model": flags.model, **result.record()}
    report(console, f"Topics in {flags.model}", (*parts, result.caption), flags.out, lambda: record)


def _check(flags: TopicsFlags) -> None:
    check_out(flags.out)
    check_least(flags, fits=1, passes=1, topics=2, length=16, train=50, test=10)
    check_positive(flags, "budget")
    if not 3 <= flags.positions <= 16:
        raise ValueError(f"--positions: need 3 to 16 places, got {flags.positions}")
