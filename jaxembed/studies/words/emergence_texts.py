"""What word vectors are trained on and asked while analogies emerge: a corpus, or made words with families."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array

from ...keep import digest, kept_arrays
from ...tasks import Attributes
from ...words import Convention, Cooccurrence, cooccurrence
from ...words.families import pairs_of
from ...words.questions import Questions, read_questions
from ...words.similarity import SimilarityPairs, read_similarity
from ...words.text import WordText
from ..data import data_path, questions_file
from ..study import Run
from .word_texts import pile_domains, text_digest

FILES = {"MEN": "EN-MEN-TR-3k.txt", "WS-353": "EN-WS-353-ALL.txt"}


@dataclass(frozen=True, eq=False)
class Language:
    """Pair counts of a text and of the same text shuffled, with questions about its words.

    Attributes:
        pairs: counts of pairs.
        shuffled: those of the text with its words in random order: frequencies without meetings.
        questions: analogies by family.
        similarity: pairs of words with scores, by the name of their file.
        description: the text in words.
    """

    pairs: Cooccurrence
    shuffled: Cooccurrence
    questions: Questions
    similarity: dict[str, SimilarityPairs]
    description: str

    @property
    def words(self) -> tuple[str, ...]:
        return self.pairs.words

    @cached_property
    def digest(self) -> str:
        """What tells these words, questions and word pairs with their scores from others."""
        files = [(name, file.pairs, file.scores.tolist()) for name, file in self.similarity.items()]
        return digest(f"{self.words} {self.questions.sections} {files}")[:16]

    @cached_property
    def covered(self) -> dict[str, Int[np.ndarray, "example 4"]]:
        """By family the ids of the questions whose four words are known; a family without any has no row."""
        return {name: self._ids(questions, 4) for name, questions in self.questions.sections.items()}

    @cached_property
    def word_pairs(self) -> dict[str, Int[np.ndarray, "example 2"]]:
        """By family the ids of its covered word pairs."""
        return {name: self._ids(pairs, 2) for name, pairs in pairs_of(self.questions).items()}

    def _ids(self, groups: Sequence[tuple[str, ...]], size: int) -> Int[np.ndarray, "example columns"]:
        """Ids of the groups of words that are all known."""
        ids = {word: i for i, word in enumerate(self.words)}
        known = [[ids[word] for word in group] for group in groups if all(word in ids for word in group)]
        return np.array(known, np.int32).reshape(-1, size)


def corpus(vocab: int, window: int, run: Run) -> Language:
    """The twelve domains of The Pile, Google's analogies, MEN and WordSim-353.

    Raises:
        ValueError: where JAXEMBED_DATA names no folder that holds them.
    """
    text = pile_domains(run.keep, run.progress).cut(None, vocab=vocab)
    convention = Convention(window)
    run.progress(f"{len(text.ids):,} words of {text.vocab:,}: counting pairs")
    order = np.random.default_rng(0).permutation(len(text.ids))
    mixed = WordText(text.ids[order], text.ends, text.words, text.counts, text.facts)
    return Language(
        _kept_pairs(text, convention, run), _kept_pairs(mixed, convention, run),
        read_questions(questions_file(), form="google"),
        {name: read_similarity(data_path("similarity", file)) for name, file in FILES.items()},
        f"twelve domains of The Pile, {len(text.ids):,} words of the {text.vocab:,} most frequent, {convention}",
    )  # fmt: skip


def _kept_pairs(text: WordText, convention: Convention, run: Run) -> Cooccurrence:
    """Counts of pairs, made once."""

    def count() -> dict[str, np.ndarray]:
        matrix = cooccurrence(text, convention).matrix
        return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}

    found = kept_arrays(run.keep, "pairs", (text_digest(text), convention), count)
    parts = (found["data"], found["indices"], found["indptr"])
    matrix = csr_array(parts, shape=(text.vocab, text.vocab))
    return Cooccurrence(matrix, text.words, text.counts.astype(np.float64), convention)


def made_language(attributes: int, noise: float) -> Language:
    """Words made of attributes whose pair counts are disturbed, so that no parallelogram is exact."""
    task = Attributes(tuple(0.75 * 0.8**k for k in range(attributes)))
    rng = np.random.default_rng(0)
    frequencies = task.frequencies()
    independent = np.outer(frequencies, frequencies)
    joint, mixed = (
        independent * meeting * np.exp(disturbed + disturbed.T)
        for meeting in (task.ratio(), 1.0)
        for disturbed in (noise * rng.normal(size=(task.vocab, task.vocab)),)
    )
    words = task.names()
    families = {f"attribute {k + 1}": _flips(task, k) for k in range(attributes)}
    once = np.triu_indices(task.vocab, 1)
    alike = tuple((words[i], words[j]) for i, j in zip(*once, strict=True))
    shared = SimilarityPairs("shared attributes", alike, (task.signs @ task.signs.T)[once].astype(float))
    return Language(
        _counted(joint, words), _counted(mixed, words), Questions("attributes", families, cased=True),
        {"shared attributes": shared}, f"{task.vocab} made words of {attributes} attributes",
    )  # fmt: skip


def _flips(task: Attributes, attribute: int) -> tuple[tuple[str, str, str, str], ...]:
    """Questions in which a : b flips this attribute and c another one."""
    bit, words = 1 << (len(task.strengths) - 1 - attribute), task.names()
    rows = task.analogies()
    return tuple(tuple(words[i] for i in row) for row in rows if row[0] ^ row[1] == bit and not row[0] & bit)


def _counted(joint: np.ndarray, words: tuple[str, ...]) -> Cooccurrence:
    counts = 1e6 * joint / joint.sum()
    return Cooccurrence(csr_array(counts), words, counts.sum(axis=1), Convention(1))
