import dataclasses
import hashlib
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jaxembed.base import Task
from jaxembed.corpus import TextBigram, words
from jaxembed.statistics import count, signatures

TEXT = "The cat saw the dog. The dog saw a cat; the cat ran, and the dog ran!\n" * 3


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return str(file)


def test_population_of_a_small_text(path):
    task = TextBigram(path, vocab_size=4)
    population = task.population()
    found = words(TEXT)
    assert isinstance(task, Task)
    assert population.vocabulary.words == ("the", "cat", "dog", "ran")  # ran and saw tie: alphabetical
    assert population.tokens == len(found)
    assert population.text_hash == hashlib.sha256(TEXT.encode()).hexdigest()
    known = set(population.vocabulary.words)
    pairs = [pair for pair in pairwise(found) if set(pair) <= known]
    assert population.coverage == len(pairs) / (len(found) - 1)
    assert population.dataset.samples == len(pairs)
    data = task.dataset()
    for (x, nu), n in Counter(pairs).items():
        ids = population.vocabulary.encode([x, nu])
        row = (data.tokens[:, 0] == ids[0]) & (data.targets == ids[1])
        assert row.sum() == 1 and data.weights[row][0] == pytest.approx(n / len(pairs), rel=1e-12)


def test_equal_settings_give_equal_data_and_other_settings_other_data(path):
    data, again = TextBigram(path, 5).dataset(), TextBigram(path, 5).dataset()
    for a, b in zip(
        (data.tokens, data.targets, data.weights), (again.tokens, again.targets, again.weights), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert TextBigram(path, 5, window=2).dataset().length == 2
    cased = TextBigram(path, 5, lowercase=False).population()
    assert cased.vocabulary.words[:2] == ("cat", "dog") and "The" in cased.vocabulary.words


def test_the_text_is_read_once(path):
    task = TextBigram(path, 4)
    before = task.dataset()
    Path(path).write_text("something else entirely", encoding="utf-8")
    assert task.dataset().samples == before.samples
    with pytest.raises(ValueError, match="3 distinct"):
        dataclasses.replace(task).dataset()


def test_the_default_text_is_the_documentation_of_python():
    population = TextBigram(vocab_size=200).population()
    assert "the" in population.vocabulary.words[:3]
    assert population.dataset.vocab == 200 and 0.2 < population.coverage < 1


def test_most_frequent_tokens_are_the_first_ids(path):
    task = TextBigram(path, 4)
    np.testing.assert_array_equal(task.most_frequent_tokens(3), [0, 1, 2])
    for n in (0, 5):
        with pytest.raises(ValueError, match="between 1 and vocab_size = 4"):
            task.most_frequent_tokens(n)


def test_shuffling_keeps_word_frequencies_and_loses_the_neighbours():
    task = TextBigram(vocab_size=50)
    text, null = (signatures(count(data)) for data in (task.dataset(), task.control(0)))

    def distance_from_independence(sig):
        return float(np.nansum(np.abs(sig.m1 - sig.token[:, None] * sig.target[None, :])))

    assert distance_from_independence(text) > 4 * distance_from_independence(null)
    frequency = np.bincount(task._encoded.ids[task._encoded.ids >= 0], minlength=50)
    np.testing.assert_allclose(null.target, frequency / frequency.sum(), atol=6 / np.sqrt(null.samples))


def test_shuffling_follows_its_seed(path):
    task = TextBigram(path, 4)
    first, same, other = (task.control(seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.weights, same.weights)
    assert first.weights.tolist() != other.weights.tolist()


@pytest.mark.parametrize("settings, message", [({"vocab_size": 1}, "vocab_size"), ({"window": 0}, "window")])
def test_impossible_settings_are_refused_at_once(settings, message):
    with pytest.raises(ValueError, match=message):
        TextBigram(**settings)


@pytest.mark.parametrize(
    "content, message",
    [("one", "has 1 words"), ("?! ... --", "has 0 words"), ("a b a", "3 words asked, but the text has 2 distinct")],
)
def test_too_short_texts_are_refused(tmp_path, content, message):
    path = tmp_path / "short.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        TextBigram(str(path), vocab_size=3).dataset()


@pytest.mark.parametrize("name", ["wikitext2/valid.txt", "tinyshakespeare.txt"])
def test_real_texts(name):
    folder = os.environ.get("JAXEMBED_DATA")
    if not folder or not (file := Path(folder, "small", name)).is_file():
        pytest.skip(f"set JAXEMBED_DATA to a folder that holds small/{name}")
    task = TextBigram(str(file))
    population, found = task.population(), words(file.read_text(encoding="utf-8"))
    assert population.vocabulary.words[0] == "the" and population.tokens == len(found)
    pairs = Counter(pairwise(found))
    x, nu = population.vocabulary.encode(["of", "the"])
    following = sum(n for (a, b), n in pairs.items() if a == "of" and b in population.vocabulary.ids)
    sig = signatures(count(population.dataset, order=1))
    assert float(sig.label[x, nu]) == pytest.approx(pairs["of", "the"] / following, rel=1e-6)
    assert 0.3 < population.coverage < 0.8
