"""The shared language models: seeds differ, folders give back what memory gives, and a changed setting is refused."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxembed.studies import Run
from jaxembed.studies.language.decoders import BUILT_IN, PILE, decoders

TRAINING = replace(BUILT_IN.training, steps=6, save_steps=(0, 3, 6), length=16, batch=4)
SHORT = replace(BUILT_IN, characters=20_000, vocab=100, training=TRAINING, also=("python", "no-such-word"))


def test_a_kept_run_is_the_run_in_memory(tmp_path):
    lines = []
    in_memory, kept = (
        decoders(SHORT, Run(2)),
        decoders(SHORT, Run(2, tmp_path, lambda text, _=None: lines.append(text))),
    )
    again = decoders(SHORT, Run(2, tmp_path))
    for step in in_memory.steps:
        for other in (kept, again):
            jax.tree.map(np.testing.assert_array_equal, in_memory.params(1, step), other.params(1, step))
    assert len(lines) == 2 and in_memory.seeds == range(2)
    assert in_memory.words_seen(6) == 6 * 4 * 16
    first, second = (in_memory.params(seed, 0)["embed"] for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert np.abs(in_memory.params(0, 6)["embed"] - first).max() > 0

    with pytest.raises(ValueError, match="learning_rate"):
        decoders(replace(SHORT, training=replace(TRAINING, learning_rate=0.5)), Run(2, tmp_path))


def test_words_that_must_be_known_are():
    shared = decoders(SHORT, Run(1))
    assert shared.tokenizer.id("python") is not None and shared.tokenizer.id("no-such-word") is None
    assert shared.tokenizer.vocab == shared.train.vocab == shared.held.vocab


def test_the_pile_is_named_where_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA"):
        decoders(PILE, Run(1))
    monkeypatch.setenv("JAXEMBED_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="enron_emails"):
        decoders(PILE, Run(1))
