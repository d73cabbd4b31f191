"""Texts as words, and weighted counts of pairs beside slow loops."""

import numpy as np
import pytest

from jaxembed.words import Convention, cooccurrence, word_text
from jaxembed.words.pairs import every
from jaxembed.words.text import frequent
from tests.words._small import text

SMALL = text(7, (30, 1, 0, 2, 45), seed=0)


def slow(found, convention):
    """Every pair of places of every document, one by one."""
    counts, weights = np.zeros((found.vocab, found.vocab)), convention.weights()
    for begin, end in zip(np.concatenate([[0], found.ends[:-1]]), found.ends, strict=True):
        for i in range(begin, end):
            for j in range(i + 1, min(i + convention.window, end - 1) + 1):
                a, b = found.ids[i], found.ids[j]
                counts[a, b] += weights[j - i - 1]
                counts[b, a] += weights[j - i - 1]
    return counts


@pytest.mark.parametrize("weighting", ["flat", "dynamic", "harmonic"])
@pytest.mark.parametrize("window", [1, 4])
def test_counts_equal_a_slow_loop(weighting, window):
    convention = Convention(window, weighting)
    found = cooccurrence(SMALL, convention)
    assert np.allclose(found.matrix.toarray(), slow(SMALL, convention), rtol=1e-12)
    assert np.isclose(found.joint_total, found.matrix.sum())
    assert np.array_equal(found.unigrams, SMALL.counts)


def test_thinning_weighs_pairs_by_both_chances():
    convention = Convention(3, "dynamic", subsample=0.05)
    chance = convention.kept(SMALL.counts)
    frequency = SMALL.counts / SMALL.counts.sum()
    assert np.allclose(chance, np.minimum(1, np.sqrt(0.05 / frequency) + 0.05 / frequency))
    assert chance.min() < 1
    expected = slow(SMALL, convention) * np.outer(chance, chance)
    assert np.allclose(cooccurrence(SMALL, convention).matrix.toarray(), expected)


def test_weights_by_distance():
    assert Convention(3, "flat").weights().tolist() == [1, 1, 1]
    assert Convention(4, "harmonic").weights().tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert np.isclose(Convention(10, "dynamic").weights().mean(), 1)


def test_a_stride_keeps_every_word_and_never_crosses():
    ids, ends = every(SMALL, 3)
    assert np.array_equal(np.bincount(ids, minlength=7), SMALL.counts)
    assert len(ends) == 3 * len(SMALL.ends)
    assert ids[: ends[0]].tolist() == SMALL.ids[0:30:3].tolist()


def test_progress_is_told_of_every_distance():
    told = []
    cooccurrence(SMALL, Convention(3), progress=lambda *given: told.append(given))
    assert told == [(f"distance {done} of 3", done / 3) for done in (1, 2, 3)]


@pytest.mark.parametrize("weighting", ["flat", "dynamic", "harmonic"])
def test_a_window_beyond_the_longest_document_costs_no_more(weighting):
    told, convention, short = [], Convention(50, weighting), text(7, (5, 1, 0, 8), seed=0)
    found = cooccurrence(short, convention, progress=lambda text, share: told.append(text))
    assert told[-1] == "distance 7 of 7" and np.allclose(found.matrix.toarray(), slow(short, convention), rtol=1e-12)


@pytest.mark.parametrize(("name", "value"), [("weighting", "linear"), ("subsample", float("nan"))])
def test_conventions_without_a_meaning_are_refused(name, value):
    convention = Convention(3)
    object.__setattr__(convention, name, value)  # past the types, which tests check and programs do not
    with pytest.raises(ValueError, match=name):
        convention.__post_init__()


def test_rare_words_leave_before_windows():
    found = word_text(["the cat and the dog", "The dog ran"], min_count=2)
    assert found.words == ("the", "dog")
    assert found.ids.tolist() == [0, 0, 1, 0, 1] and found.ends.tolist() == [3, 5]
    assert found.coverage == 5 / 8 and found.facts["documents"] == 2
    assert word_text(["the The the"], min_count=1, lowercase=False).words == ("the", "The")


def test_a_budget_of_words_cuts_inside_a_document():
    found = word_text(["a b a", "b b a a", "c c c"], min_count=1, limit=5)
    assert found.facts["words_read"] == 5 and found.ends.tolist() == [3, 5]
    assert found.words == ("b", "a") and found.counts.tolist() == [3, 2]


def test_a_smaller_vocabulary_is_ranked_anew():
    few = frequent(SMALL, vocab=2)
    assert list(few.counts) == sorted(SMALL.counts)[::-1][:2]
    assert len(few.ids) == few.counts.sum() == few.ends[-1]


def test_texts_and_settings_that_give_nothing_are_refused():
    with pytest.raises(ValueError, match="no word stands 5 times in 3 words"):
        word_text(["a b c"])
    with pytest.raises(ValueError, match="min_count: need at least 1"):
        word_text(["a"], min_count=0)
    with pytest.raises(ValueError, match="no two words meet"):
        cooccurrence(word_text(["a", "a"], min_count=1))
    with pytest.raises(ValueError, match="window: need at least 1"):
        Convention(0)
    with pytest.raises(ValueError, match="subsample: need a positive"):
        Convention(2, subsample=0.0)
