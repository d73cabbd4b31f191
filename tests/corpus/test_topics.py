"""Vocabulary rules, and topics that are found again, the same ones from the same seed."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from jaxembed.corpus.topics import fit_topics, topic_words


def documents(count, seed=0):
    """Two topics of three words each; a document is mostly one of them."""
    rng, words = np.random.default_rng(seed), np.array(["moon", "orbit", "star", "car", "engine", "wheel"])
    first = rng.integers(0, 2, count)
    texts = [" ".join(rng.choice(words[3 * k : 3 * k + 3], 20)) for k in first]
    return texts, first


def test_a_vocabulary_follows_its_rules():
    texts = ["The Moon's 2 moons, X1 and orbit-3 don't don't", "the moon an orbit a rare zz zz x x"]
    known = topic_words(texts)
    assert known.words == ("moon", "orbit", "zz")  # "the", "don" stop; "moons", "rare" once; "x", "s" one letter
    assert topic_words(texts, stop=["moon"], least=1).words[:3] == ("an", "and", "don")
    np.testing.assert_array_equal(known.counts(["zz zz moon", "nothing"]).toarray(), [[1, 0, 2], [0, 0, 0]])


def test_topics_are_found_again():
    texts, first = documents(120)
    words = topic_words(texts)
    counts = words.counts(texts)
    fits = [fit_topics(words, counts, 2, key=seed, passes=15) for seed in (0, 0, 1)]
    mixtures = [fit.mixtures(texts) for fit in fits]
    np.testing.assert_array_equal(mixtures[0], mixtures[1])
    assert not np.array_equal(mixtures[0], mixtures[2])
    np.testing.assert_allclose(mixtures[0].sum(axis=1), 1, rtol=1e-12)
    right = np.mean(mixtures[0].argmax(axis=1) == first)
    assert max(right, 1 - right) == 1
    assert {frozenset(top) for top in fits[0].top_words(3)} == {
        frozenset(("moon", "orbit", "star")),
        frozenset(("car", "engine", "wheel")),
    }
    assert fits[0].size == 2 and np.allclose(fits[0].mixtures(["nothing known"]), 0.5)


def test_too_little_text_is_said_in_one_line():
    texts, _ = documents(5)
    words = topic_words(texts)
    with pytest.raises(ValueError, match="topics: 6 for 5 documents"):
        fit_topics(words, words.counts(texts), 6, key=0)
    with pytest.raises(ValueError, match="no word occurs 2 times"):
        topic_words(["each word once"])
