"""Small tables of pairs and texts that the tests of word models share."""

import numpy as np
from scipy.sparse import csr_array

from jaxembed.words import Convention, Cooccurrence, WordText


def table(vocab: int, seed: int, most: int = 30) -> Cooccurrence:
    """A full symmetric table of counts, whose words stand as often as they are in pairs."""
    counts = np.random.default_rng(seed).integers(1, most, (vocab, vocab)).astype(float)
    counts += counts.T
    words = tuple(f"word{i}" for i in range(vocab))
    return Cooccurrence(csr_array(counts), words, counts.sum(axis=1), Convention())


def text(vocab: int, lengths: tuple[int, ...], seed: int) -> WordText:
    """Documents of words drawn with chances 1 / rank."""
    chance = 1 / np.arange(1, vocab + 1)
    ids = np.random.default_rng(seed).choice(vocab, sum(lengths), p=chance / chance.sum()).astype(np.int32)
    words = tuple(f"word{i}" for i in range(vocab))
    return WordText(ids, np.cumsum(lengths), words, np.bincount(ids, minlength=vocab))
