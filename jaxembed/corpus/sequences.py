"""Sequences of one length: from a random Markov chain, from text, and shuffled as a control."""

import numpy as np
from jaxtyping import Int, PRNGKeyArray

from ..base import generator
from .words import vocabulary, words


def markov_sequences(
    vocab: int, length: int, examples: int, concentration: float = 0.1, *, key: PRNGKeyArray | int
) -> Int[np.ndarray, "example position"]:
    """Sequences of a Markov chain whose transition rows are drawn from a symmetric Dirichlet distribution.

    Args:
        vocab: number of tokens; the first token of a sequence is uniform.
        length: tokens of a sequence.
        examples: number of sequences.
        concentration: of the Dirichlet distribution; small means few likely successors.
        key: of the chain and of the draws.

    Raises:
        ValueError: for sizes below 1 or a concentration that is not positive.

    >>> markov_sequences(vocab=5, length=4, examples=2, key=0).shape
    (2, 4)
    """
    if min(vocab, length, examples) < 1 or not concentration > 0:
        sizes = f"{vocab}, {length}, {examples}, {concentration}"
        raise ValueError(f"vocab, length, examples, concentration: must be positive, got {sizes}")
    rng = generator(key)
    cumulative = np.cumsum(rng.dirichlet(np.full(vocab, concentration), size=vocab), axis=1)
    columns = [rng.integers(vocab, size=examples)]
    for _ in range(length - 1):
        below = cumulative[columns[-1]] < rng.random(examples)[:, None]
        columns.append(np.minimum(below.sum(axis=1), vocab - 1))
    return np.stack(columns, axis=1).astype(np.int32)


def text_sequences(
    text: str, vocab_size: int, length: int
) -> tuple[Int[np.ndarray, "example position"], tuple[str, ...], float]:
    """The most frequent words of a text, cut into consecutive sequences.

    All other words are left out and what is left closes up. One token for all of them would be the most frequent token
    by far, and statistics would be about little else.

    Args:
        text: any text.
        vocab_size: number of words kept.
        length: tokens of a sequence; what is left at the end is dropped.

    Returns:
        `[example, position]` ids, the word of every id (most frequent first), and the share of the text that was kept.

    Raises:
        ValueError: if fewer words than one sequence are kept, or the text has fewer distinct words than `vocab_size`.

    >>> text_sequences("a b a c a b", vocab_size=2, length=2)[0].tolist()
    [[0, 1], [0, 0]]
    """
    split = words(text)
    known = vocabulary(split, vocab_size)
    ids = known.encode(split)
    kept = ids[ids >= 0]
    if not 1 <= length <= len(kept):
        raise ValueError(f"length: {len(kept)} words are kept, no sequence of {length}; choose 1 to that many")
    examples = len(kept) // length
    return kept[: examples * length].reshape(examples, length), known.words, len(kept) / len(ids)


def shuffled_sequences(
    sequences: Int[np.ndarray, "example position"], *, key: PRNGKeyArray | int
) -> Int[np.ndarray, "example position"]:
    """The control: every sequence keeps its tokens, in random order; only what shares a sequence is left."""
    return generator(key).permuted(np.asarray(sequences), axis=1)


def sampled_sequences(
    sequences: Int[np.ndarray, "example position"], examples: int, *, key: PRNGKeyArray | int
) -> Int[np.ndarray, "example position"]:
    """`examples` different rows, drawn at random.

    Raises:
        ValueError: if there are fewer.
    """
    if not 1 <= examples <= len(sequences):
        raise ValueError(f"examples: {examples} asked of {len(sequences)} sequences; ask for 1 to that many")
    return np.asarray(sequences)[generator(key).permutation(len(sequences))[:examples]]
