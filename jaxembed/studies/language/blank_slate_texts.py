"""The yardsticks of every level for a text: published files where the data folder is there, else made from the text."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from jaxtyping import Float

from ...analysis.senses.texts import SenseTask, build_sense_task
from ...corpus import EncodedCorpus
from ...corpus.pseudowords import pseudoword_sentences
from ...corpus.senses import SenseSentences, read_sense_folder
from ...corpus.tokenizers import WordTokenizer
from ...statistics import TokenPairs, count_neighbours
from ...words.questions import Questions, read_questions
from ...words.similarity import SimilarityPairs, read_similarity
from ..data import data_path, questions_file
from .blank_slate_levels import SPECIAL, Yardsticks
from .decoders import AMBIGUOUS, Decoders


@dataclass(frozen=True)
class YardstickSetting:
    """How much levels are measured with.

    Attributes:
        published: whether similarity, analogies and senses come from the data folder.
        contexts: most frequent tokens after which the prediction is scored.
        passages: held-out sequences over which predictions are averaged.
        passage: tokens of each.
        train: sentences of an ambiguous word that fit and choose its probes, at most.
        test: sentences that score them, at most.
        sentence: tokens of each, at most.
        similar: words that made similarities are about (built-in text).
    """

    published: bool
    contexts: int
    passages: int
    passage: int
    train: int
    test: int
    sentence: int
    similar: int = 40


def yardsticks_of(shared: Decoders, setting: YardstickSetting) -> Yardsticks:
    """What the levels of the shared models are measured with.

    Raises:
        ValueError: for published yardsticks without the data folder, naming what to set.
    """
    vocab = shared.train.vocab
    words = tuple(shared.tokenizer.token(id) for id in range(SPECIAL, vocab))
    pairs = count_neighbours(shared.train.ids, shared.train.ends, vocab)
    unigrams = shared.train.unigrams / shared.train.tokens
    contexts = np.sort(np.argsort(-pairs.firsts, kind="stable")[: min(setting.contexts, vocab)]).astype(np.int32)
    joint = pairs.counts[contexts].toarray().astype(np.float64)
    found = Yardsticks(
        words, unigrams, contexts, joint / joint.sum(), shared.passages(setting.passages, setting.passage)
    )
    return published(found, shared.tokenizer, setting) if setting.published else made(found, shared, setting)


def published(found: Yardsticks, tokenizer: WordTokenizer, setting: YardstickSetting) -> Yardsticks:
    """With MEN, Google's questions and CoarseWSD-20 of the data folder."""
    senses = data_path("senses")
    tasks = tuple(_sense_task(word, *read_sense_folder(senses / word), tokenizer, setting) for word in AMBIGUOUS)
    similarity = read_similarity(data_path("similarity", "EN-MEN-TR-3k.txt"))
    questions = read_questions(questions_file())
    return replace(found, similarity=similarity, questions=questions, senses=tasks)


def made(found: Yardsticks, shared: Decoders, setting: YardstickSetting) -> Yardsticks:
    """With what the text itself offers: half of its documents as judge, plurals, and two words written as one."""
    similarity = made_similarity(shared.train, found.words, setting.similar)
    questions, task = plurals(found.words), made_senses(shared.train, shared.tokenizer, setting)
    missing = {}
    if questions is None:
        missing |= dict.fromkeys(("offsets", "analogies"), "fewer than two plurals in the vocabulary")
    if task is None:
        missing["senses"] = "no two words frequent enough to be written as one"
    senses = () if task is None else (task,)
    return replace(found, similarity=similarity, questions=questions, senses=senses, missing=missing)


def made_similarity(text: EncodedCorpus, words: tuple[str, ...], most: int, window: int = 4) -> SimilarityPairs:
    """Similarity of the most frequent words as every other document has it: cosines of their positive PMI."""
    pairs = count_neighbours(text.ids, text.ends, text.vocab, window=window, documents=np.arange(0, len(text), 2))
    rows = positive_pmi(pairs)[SPECIAL:, SPECIAL:]
    seen = [row for row in range(len(words)) if rows[row].any()][:most]
    unit = rows[seen] / np.linalg.norm(rows[seen], axis=1, keepdims=True)
    first, second = np.triu_indices(len(seen), 1)
    pairs_of_words = tuple((words[seen[i]], words[seen[j]]) for i, j in zip(first, second, strict=True))
    return SimilarityPairs("half of the documents", pairs_of_words, (unit @ unit.T)[first, second])


def positive_pmi(pairs: TokenPairs) -> Float[np.ndarray, "token token"]:
    """max(PMI, 0) of neighbours on either side; for small vocabularies."""
    both = pairs.counts.toarray().astype(np.float64)
    both += both.T
    expected = np.outer(both.sum(axis=1), both.sum(axis=0)) / both.sum()
    ratio = np.maximum(both, expected) / np.where(expected > 0, expected, 1)
    return np.log(ratio, where=expected > 0, out=np.zeros_like(both))


def plurals(words: Sequence[str]) -> Questions | None:
    """Every "word : words as other : others" that a vocabulary holds; None with fewer than two pairs."""
    known = set(words)
    pairs = [(word, f"{word}s") for word in words if len(word) > 2 and f"{word}s" in known]
    questions = tuple((*first, *second) for first, second in permutations(pairs, 2))
    return Questions("plurals of the vocabulary", {"gram-plural": questions}) if questions else None


def made_senses(text: EncodedCorpus, tokenizer: WordTokenizer, setting: YardstickSetting) -> SenseTask | None:
    """The two most frequent long words, both spelt as the first: only the sentence tells which one it was.

    A third of the documents gives the test sentences. The decoders were trained on all of them, unmerged.
    """
    order = np.argsort(-text.unigrams, kind="stable")
    long = [word for id in order if id >= SPECIAL and len(word := tokenizer.token(id)) > 4]
    texts = [tokenizer.decode(text.document(k)) for k in range(len(text))]
    if len(long) < 2:
        return None
    texts = [texts[k] for k in np.random.default_rng(0).permutation(len(texts))]
    cut, pair = 2 * len(texts) // 3, (long[0], long[1])
    try:
        train, test = (pseudoword_sentences(part, pair, name=pair[0], left=setting.sentence, right=0)
                       for part in (texts[:cut], texts[cut:]))  # fmt: skip
        return _sense_task(pair[0], train, test, tokenizer, setting)
    except ValueError:  # too few sentences
        return None


def _sense_task(
    word: str, train: SenseSentences, test: SenseSentences, tokenizer: WordTokenizer, setting: YardstickSetting
) -> SenseTask:
    limits = {"most_train": setting.train, "most_test": setting.test, "length": setting.sentence}
    return build_sense_task(word, train, test, tokenizer, **limits)
