"""A text of the alignment study: encoded, split, and what its neighbour counts say of its frequent tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from ...corpus import (
    Document,
    EncodedCorpus,
    Tokenizer,
    byte_bpe,
    documents,
    encode,
    python_documentation,
    word_level,
)
from ...statistics import TokenPairs, count_neighbours, next_rows, previous_rows
from ..data import pile_files

BUILTIN = "python"
"""The subset that is on every machine: Python's own documentation."""

TOKENIZERS: dict[str, Callable[[list[str], int], Tokenizer]] = {"bytes": byte_bpe, "words": word_level}
ROWS = {"next": next_rows, "previous": previous_rows}
PLAIN = " plain"

Rows = Float[np.ndarray, "token target"]
Pairs = Float[np.ndarray, " example"]


@dataclass(frozen=True)
class CountedText:
    """An encoded text and the signatures of its frequent tokens, counted on the part trained on.

    Attributes:
        train: the documents to train on and to count.
        held: whole documents off the end, never trained on.
        tokens: `[token]`, the most frequent ones that have a follower and a predecessor, most frequent first.
        signatures: by name, `[token, target]`: "next" and "previous" minus the unigram distribution, and both plain.
        shuffled: by name, `[draw, example]`, `pair_scores` of the signatures of corpora shuffled within documents.
        halves: by name, `[draw, example]`, those of random halves of the documents; 2k and 2k + 1 are complements.
    """

    train: EncodedCorpus
    held: EncodedCorpus
    tokens: Int[np.ndarray, " token"]
    signatures: dict[str, Rows]
    shuffled: dict[str, Float[np.ndarray, "draw example"]]
    halves: dict[str, Float[np.ndarray, "draw example"]]

    def reliability(self, name: str) -> Float[np.ndarray, " draw"]:
        """Agreement of a signature counted on one half of the documents with that on the other, by random halving."""
        scores = self.halves[name]
        return np.sum(scores[::2] * scores[1::2], axis=1)


def text_of(
    subset: str,
    tokenizer: str,
    *,
    vocab: int,
    frequent: int,
    held_out: int,
    shuffles: int,
    halvings: int,
    characters: int | None = None,
) -> CountedText:
    """Encode a subset with a tokeniser trained on it, and count its neighbours as often as its nulls need.

    Args:
        subset: `BUILTIN`, or a file `pile/SUBSET.jsonl.gz` below the folder that JAXEMBED_DATA names.
        tokenizer: "bytes" (byte-level BPE) or "words".
        vocab: entries of the tokeniser.
        frequent: how many of the most frequent tokens are compared.
        held_out: tokens kept for the held-out loss.
        shuffles: corpora shuffled within documents, whose signatures are the null.
        halvings: random halvings of the documents, for the sampling error of the signatures.
        characters: how much of the text to take; None for all.

    Raises:
        ValueError: where the text is not there, naming what to set.
    """
    whole, trained = encoded(subset, vocab, characters, tokenizer)
    train, held = whole.split(held_out)
    counted = count_neighbours(train.ids, train.ends, train.vocab)
    tokens = neighboured(train, counted, frequent, trained.unknown_token)
    table = {name: rows(counted).select(tokens).dense().astype(np.float32) for name, rows in ROWS.items()}
    for name, rows in ROWS.items():
        table[name + PLAIN] = rows(counted, centred=False).select(tokens).dense().astype(np.float32)
    shuffled = [_scores(train.shuffled(seed), tokens) for seed in range(shuffles)]
    halves = [_scores(train.select(half), tokens) for seed in range(halvings) for half in _halves(len(train), seed)]
    return CountedText(train, held, tokens, table, _stacked(shuffled), _stacked(halves))


def encoded(
    subset: str, vocab: int, characters: int | None = None, tokenizer: str = "bytes"
) -> tuple[EncodedCorpus, Tokenizer]:
    """A subset in the tokens of a tokeniser trained on it; arguments and errors as of `text_of`."""
    found = read(subset, characters)
    trained = TOKENIZERS[tokenizer]([document.text for document in found], vocab)
    return encode(found, trained), trained


def read(subset: str, characters: int | None = None) -> list[Document]:
    """The documents of a subset, up to a number of characters.

    Raises:
        ValueError: where the subset's file is not there.
    """
    if subset == BUILTIN:
        return _up_to(_sections(python_documentation()), characters)
    return _up_to(list(documents(pile_files([subset]))), characters)


def pair_scores(rows: Float[np.ndarray, "..."]) -> Pairs:
    """Cosines of all pairs i < j of rows, minus their mean, with unit norm: R_cos is the product of two of these.

    Returns:
        `[pair]` in float32; NaN throughout where R_cos is undefined: a zero row, or cosines that do not vary.

    >>> a = pair_scores(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    >>> print(round(float(a @ a), 5))
    1.0
    """
    rows = np.asarray(rows, np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(norms > 0):
        return np.full(len(_upper(len(rows))), np.nan, np.float32)
    cosines = ((rows / norms) @ (rows / norms).T).reshape(-1)[_upper(len(rows))]
    deviation = cosines - np.float32(cosines.mean(dtype=np.float64))
    length = np.sqrt(np.sum(deviation**2, dtype=np.float64))
    resolution = 4 * np.finfo(np.float32).eps * rows.shape[1] ** 0.5
    varies = length > resolution * len(cosines) ** 0.5
    return deviation / np.float32(length if varies else np.nan)


def agreement(a: Pairs, b: Pairs) -> float:
    """R_cos of two tables from their `pair_scores`."""
    return float(np.sum(a * b, dtype=np.float64))


def neighboured(
    train: EncodedCorpus, counted: TokenPairs, frequent: int, unknown: int | None = None
) -> Int[np.ndarray, " token"]:
    """The most frequent tokens that have followers and predecessors, most frequent first.

    Args:
        train: the text.
        counted: its neighbours.
        frequent: how many.
        unknown: a token that stands for many words, and so for none; left out like the end of a document.

    Raises:
        ValueError: where there are fewer.
    """
    has_both = (counted.firsts > 0) & (counted.seconds > 0)
    has_both[[token for token in (train.end_token, unknown) if token is not None]] = False
    ranked = np.argsort(np.where(has_both, -counted.unigrams, 0), kind="stable")
    kept = ranked[has_both[ranked]][:frequent].astype(np.int32)
    if len(kept) < frequent:
        raise ValueError(f"frequent: {frequent} tokens with neighbours asked, {len(kept)} found; lower it or add text")
    return kept


def _scores(corpus: EncodedCorpus, tokens: np.ndarray) -> dict[str, Pairs]:
    """Pair scores of the centred signatures counted on a corpus."""
    counted = count_neighbours(corpus.ids, corpus.ends, corpus.vocab)
    return {name: pair_scores(rows(counted).select(tokens).dense()) for name, rows in ROWS.items()}


def _stacked(draws: list[dict[str, Pairs]]) -> dict[str, np.ndarray]:
    return {name: np.stack([draw[name] for draw in draws]) for name in ROWS} if draws else {}


def _halves(documents: int, seed: int) -> list[np.ndarray]:
    """Two complementary random halves of the documents."""
    order = np.random.default_rng(seed).permutation(documents)
    return [np.sort(order[: documents // 2]), np.sort(order[documents // 2 :])]


@lru_cache(maxsize=4)
def _upper(tokens: int) -> np.ndarray:
    """Flat positions of the pairs i < j in a square table."""
    return np.flatnonzero(np.triu(np.ones((tokens, tokens), bool), 1).reshape(-1))


def _sections(text: str, characters: int = 4000) -> list[Document]:
    """The text in documents of about so many characters, cut between paragraphs."""
    sections, held = [], ""
    for paragraph in text.split("\n\n"):
        held = f"{held}\n\n{paragraph}" if held else paragraph
        if len(held) >= characters:
            sections.append(held)
            held = ""
    sections += [held] if held else []
    return [Document(section, f"{BUILTIN}:{number}", BUILTIN) for number, section in enumerate(sections, 1)]


def _up_to(found: list[Document], characters: int | None) -> list[Document]:
    """The first documents that together hold so many characters."""
    if characters is None:
        return found
    before = np.cumsum([0, *(len(document.text) for document in found)])[:-1]
    return [document for document, start in zip(found, before, strict=True) if start < characters]
