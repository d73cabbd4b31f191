"""The shared language models: seeds differ, folders give back what memory gives, and a changed setting is refused."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxembed.studies.language import decoders as module
from jaxembed.studies.language.decoders import SETTINGS, Setting, decoders

SHORT = replace(SETTINGS["tiny"].training, steps=6, save_steps=(0, 3, 6), length=16, batch=4)


@pytest.fixture
def short(monkeypatch) -> Setting:
    setting = replace(SETTINGS["tiny"], characters=20_000, vocab=100, training=SHORT, also=("python", "no-such-word"))
    monkeypatch.setitem(SETTINGS, "tiny", setting)
    return setting


def test_a_kept_run_is_the_run_in_memory(short, tmp_path):
    said = []
    in_memory, kept = decoders("tiny"), decoders("tiny", keep=tmp_path, progress=said.append)
    again = decoders("tiny", keep=tmp_path)
    for step in in_memory.steps:
        for other in (kept, again):
            jax.tree.map(np.testing.assert_array_equal, in_memory.params(1, step), other.params(1, step))
    assert len(said) == short.seeds and in_memory.seeds == (0, 1)
    assert in_memory.words_seen(6) == 6 * 4 * 16
    first, second = (in_memory.params(seed, 0)["embed"] for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert np.abs(in_memory.params(0, 6)["embed"] - first).max() > 0

    module.SETTINGS["tiny"] = replace(short, training=replace(SHORT, learning_rate=0.5))
    with pytest.raises(ValueError, match="learning_rate"):
        decoders("tiny", keep=tmp_path)


def test_words_that_must_be_known_are(short):
    found = decoders("tiny", seeds=1)
    assert found.tokenizer.id("python") is not None and found.tokenizer.id("no-such-word") is None
    assert found.tokenizer.vocab == found.train.vocab == found.held.vocab


def test_the_pile_is_named_where_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA"):
        decoders("normal")
    monkeypatch.setenv("JAXEMBED_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="enron_emails"):
        decoders("normal")
