"""Documents and their topics: texts, the documents that fit a model's positions, and LDA mixtures as targets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ...base import generator
from ...corpus import Damage, Document
from ...corpus.newsgroups import newsgroups
from ...corpus.topics import Topics, fit_topics, topic_words
from ...keep import digest

DROPPED = ("footers", "quotes")
"""Besides headers, as in the published runs."""


@dataclass(frozen=True)
class TopicTexts:
    """A training and a test part.

    Attributes:
        name: what they are.
        train: documents.
        test: documents.
        damage: what the reader left out.
    """

    name: str
    train: tuple[Document, ...]
    test: tuple[Document, ...]
    damage: Damage


def read_newsgroups(archive: Path) -> TopicTexts:
    """20 Newsgroups by date, without headers, footers and quotes.

    Raises:
        ValueError: where there is no such archive.
    """
    damage = Damage()
    train, test = (tuple(newsgroups(archive, part, drop=DROPPED, damage=damage)) for part in ("train", "test"))
    return TopicTexts("20 Newsgroups", train, test, damage)


def draw_texts(documents: int, topics: int = 5, words: int = 150, *, key: PRNGKeyArray | int = 0) -> TopicTexts:
    """Documents drawn from a topic model and written in made-up words: no data needed, and no natural language.

    Args:
        documents: of the training part; the test part has half as many.
        topics: behind the words.
        words: of the vocabulary, two or three syllables each.
        key: of everything.
    """
    rng = generator(key)
    syllables = [a + b for a in "bdfgklmnprstv" for b in "aeiou"]
    spelled = np.array(["".join(rng.choice(syllables, 2 + k % 2)) for k in range(words)])
    beta, drawn = rng.dirichlet(np.full(words, 0.05), topics), []
    for k in range(documents + documents // 2):
        theta = rng.dirichlet(np.full(topics, 0.3))
        chosen = rng.choice(words, rng.integers(14, 26), p=theta @ beta)
        drawn.append(Document(" ".join(spelled[chosen]), f"stand-in:{k}", f"topic {theta.argmax()}"))
    return TopicTexts("stand-in", tuple(drawn[:documents]), tuple(drawn[documents:]), Damage())


@dataclass(frozen=True)
class DocumentSet:
    """Documents that fit a model's positions.

    Attributes:
        documents: those kept.
        ids: token ids of each, without the start token.
    """

    documents: tuple[Document, ...]
    ids: tuple[Int[np.ndarray, "..."], ...]

    def __len__(self) -> int:
        return len(self.documents)

    @property
    def texts(self) -> list[str]:
        return [document.text for document in self.documents]

    @property
    def lengths(self) -> Int[np.ndarray, " document"]:
        return np.array([len(ids) for ids in self.ids])

    @property
    def hash(self) -> str:
        """Of the tokens."""
        return digest(*self.ids)


def select_documents(
    documents: tuple[Document, ...], ids: list[np.ndarray], least: int, length: int, most: int | None = None
) -> DocumentSet:
    """The documents of at least `least` and at most `length` tokens; longer ones are left out, not cut.

    Args:
        documents: to choose from.
        ids: tokens of each.
        least: tokens of the shortest.
        length: tokens of the longest.
        most: at most so many, drawn at random; None for all.

    Raises:
        ValueError: where none is left.
    """
    fitting = [k for k, tokens in enumerate(ids) if least <= len(tokens) <= length]
    if not fitting:
        raise ValueError(f"length: none of {len(documents)} documents has {least} to {length} tokens; raise --length")
    drawn = np.sort(np.random.default_rng(1).permutation(len(fitting))[:most])
    chosen = [fitting[k] for k in drawn]
    return DocumentSet(tuple(documents[k] for k in chosen), tuple(ids[k] for k in chosen))


@dataclass(frozen=True)
class TopicTargets:
    """Topic mixtures of one LDA fit.

    Attributes:
        train: `[document, topic]`.
        test: `[document, topic]`.
        model: the fitted model, where it was fitted now.
    """

    train: Float[np.ndarray, "document topic"]
    test: Float[np.ndarray, "document2 topic"]
    model: Topics | None = None

    @property
    def top_words(self) -> list[tuple[str, ...]]:
        """The most frequent words of every topic."""
        return [] if self.model is None else self.model.top_words()


def fit_targets(
    fitted_on: list[str], train: DocumentSet, test: DocumentSet, size: int, fits: int, passes: int
) -> list[TopicTargets]:
    """The mixtures of both parts by several fits, which differ in their seed.

    Args:
        fitted_on: training texts that topics and vocabulary come from.
        train: documents that probes are trained on.
        test: documents they are scored on.
        size: number of topics K.
        fits: how many.
        passes: of each fit over the documents.
    """
    words = topic_words(fitted_on)
    counts = words.counts(fitted_on)
    seen, unseen = words.counts(train.texts), words.counts(test.texts)
    models = [fit_topics(words, counts, size, key=seed, passes=passes) for seed in range(fits)]
    return [TopicTargets(model.of_counts(seen), model.of_counts(unseen), model) for model in models]
