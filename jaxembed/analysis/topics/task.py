"""Documents of known topics as a task for any decoder: its tokens, the parts, and targets with their references."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ...base import Progress, silent
from ...corpus import Tokenizer
from ...keep import digest, kept_arrays
from .references import Arrays, score_references
from .texts import DocumentSet, TopicTargets, TopicTexts, fit_targets, select_documents


@dataclass(frozen=True)
class TopicSizes:
    """How many documents, topics, fits and places.

    Attributes:
        topics: numbers of topics K; the first is the main one.
        fits: LDA fits of each, with a probe seed of its own each.
        passes: of each LDA fit.
        least: tokens of the shortest document.
        length: tokens of the longest document that is probed.
        longest: tokens of the longest document that LDA is fitted on.
        documents: at most so many for probes to learn from, and to score them on.
        positions: relative positions of the link to perplexity.
    """

    topics: tuple[int, ...] = (20,)
    fits: int = 3
    passes: int = 10
    least: int = 16
    length: int = 256
    longest: int = 1024
    documents: tuple[int, int] = (3000, 1500)
    positions: int = 10


@dataclass(frozen=True)
class TopicTask:
    """Texts in one tokenizer's tokens, with their targets.

    Attributes:
        name: of the texts.
        tokenizer: its end token goes before each document where it has one.
        sizes: how many documents, topics, fits and places.
        fitted_on: tokens of the training documents that are not too long, which LDA is fitted on, in random order.
        train: documents that probes learn from.
        test: documents that score them.
        targets: by number of topics, one for each LDA fit.
        references: see `score_references`.
    """

    name: str
    tokenizer: Tokenizer
    sizes: TopicSizes
    fitted_on: tuple[Int[np.ndarray, "..."], ...]
    train: DocumentSet
    test: DocumentSet
    targets: dict[int, list[TopicTargets]]
    references: Arrays


def build_topic_task(
    texts: TopicTexts, tokenizer: Tokenizer, sizes: TopicSizes, *, keep: Path | None = None, progress: Progress = silent
) -> TopicTask:
    """Tokens, parts and LDA targets of some texts.

    Args:
        texts: the documents.
        tokenizer: of the model.
        sizes: how many documents, topics, fits and places.
        keep: folder that remembers the targets.
        progress: takes a line after each part.

    Raises:
        ValueError: where no document is short enough.
    """
    ids = [tokenizer.encode([document.text for document in part]) for part in (texts.train, texts.test)]
    train, test = (
        select_documents(documents, tokens, sizes.least, sizes.length, most)
        for documents, tokens, most in zip((texts.train, texts.test), ids, sizes.documents, strict=True)
    )
    progress(f"{texts.name}: {len(train):,} documents to learn from, {len(test):,} to score")
    # In random order: posts come sorted by group.
    order = np.random.default_rng(0).permutation(len(texts.train))
    chosen = [int(k) for k in order if sizes.least <= len(ids[0][k]) <= sizes.longest]
    fitted_on = [texts.train[k].text for k in chosen]
    identity = (train.hash, test.hash, sizes.fits, sizes.passes, sizes.positions, digest("\0".join(fitted_on)))
    targets, references = {}, {}
    for size in sizes.topics:
        shares = sizes.positions if size == sizes.topics[0] else 0

        def compute(size: int = size, shares: int = shares) -> Arrays:
            fits = fit_targets(fitted_on, train, test, size, sizes.fits, sizes.passes)
            progress(f"LDA fits of {size} topics: done")
            mixtures = {part: np.stack([getattr(fit, part) for fit in fits]) for part in ("train", "test")}
            mixtures["words"] = np.array([" ".join(words) for words in fits[0].top_words])
            return mixtures | score_references(train, test, fits, tokenizer, shares)

        arrays = kept_arrays(keep, f"targets-{size}", identity, compute)
        targets[size] = [TopicTargets(*pair) for pair in zip(arrays.pop("train"), arrays.pop("test"), strict=True)]
        own = {name: arrays.pop(name) for name in ("words", "prefix") if name in arrays}
        references = own | references | {f"{size} {name}": values for name, values in arrays.items()}
        progress(f"targets and references of {size} topics: done")
    tokens = tuple(ids[0][k] for k in chosen)
    return TopicTask(texts.name, tokenizer, sizes, tokens, train, test, targets, references)
