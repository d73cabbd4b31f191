import hashlib
import unicodedata
from collections import Counter

import numpy as np
import pytest

from jaxembed.corpus import Vocabulary, vocabulary, words


@pytest.mark.parametrize(
    "text, expected",
    [
        ("The cat. The DOG!", ["the", "cat", "the", "dog"]),
        ("don't 'quoted' rock'n'roll dogs'", ["don't", "quoted", "rock'n'roll", "dogs"]),
        ("don\u2019t", ["don't"]),
        ("sys_path py3k 3.14 1,000", ["sys", "path", "py", "3", "k", "3", "14", "1", "000"]),
        ("well-known e.g. a/b", ["well", "known", "e", "g", "a", "b"]),
        ("Straße ÉCOLE дом 日本 ١٢", ["straße", "école", "дом", "日本", "١٢"]),
        ("... -- !", []),
        ("", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_composed_and_decomposed_letters_are_one_word():
    assert words(unicodedata.normalize("NFD", "café Żółw")) == words("café Żółw") == ["café", "żółw"]


def test_vowel_signs_stay_inside_their_word():
    assert words("हिन्दी भाषा, don't") == ["हिन्दी", "भाषा", "don't"]


def test_case_is_kept_on_request():
    assert words("The the", lowercase=False) == ["The", "the"]


def test_vocabulary_is_ranked_by_count_then_alphabet():
    text_words = words("pear fig apple fig pear zoo kiwi Äpfel")
    slow = sorted(set(text_words), key=lambda word: (-Counter(text_words)[word], word))
    assert vocabulary(text_words, 6).words == tuple(slow)
    assert vocabulary(text_words, 3).words == ("fig", "pear", "apple")
    assert vocabulary(text_words[::-1], 3) == vocabulary(text_words, 3)


def test_encode_marks_what_is_outside():
    known = Vocabulary(("b", "a"))
    ids = known.encode(["a", "x", "b", "a"])
    np.testing.assert_array_equal(ids, [1, -1, 0, 1])
    assert ids.dtype == np.int32 and known.encode([]).shape == (0,)


def test_hash_is_that_of_the_ordered_list():
    assert Vocabulary(("b", "ä")).hash == hashlib.sha256("b\nä".encode()).hexdigest()
    assert Vocabulary(("b", "ä")).hash != Vocabulary(("ä", "b")).hash


@pytest.mark.parametrize("size, message", [(0, "positive"), (-1, "positive"), (3, "3 words asked.*has 2 distinct")])
def test_impossible_sizes_are_refused(size, message):
    with pytest.raises(ValueError, match=message):
        vocabulary(["a", "b", "a"], size)


@pytest.mark.parametrize("bad", [(), ("a", "b", "a")])
def test_impossible_vocabularies_are_refused(bad):
    with pytest.raises(ValueError, match="words: "):
        Vocabulary(bad)
