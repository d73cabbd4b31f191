"""Marked words in a model's tokens, and their states."""

import jax
import numpy as np
import pytest

from jaxembed.analysis.senses.tokens import sense_states, sense_tokens
from jaxembed.corpus import word_level
from jaxembed.corpus.senses import SenseSentences
from jaxembed.models import qwen2

TOKENIZER = word_level(["the bank of the river is by a bank where money lies"], 11)


def sentences(*texts):
    """With "bank" marked."""
    tokens = tuple(tuple(text.split(" ")) for text in texts)
    places = np.array([row.index("bank") for row in tokens])
    zeros = np.zeros(len(tokens), np.int64)
    return SenseSentences("made up", tokens, places, zeros, ("one",), zeros)


def test_the_left_context_is_kept_before_all_else():
    made = sentences("bank of the river", "the money of the river is by a bank where money lies")
    whole = sense_tokens(made, TOKENIZER, 20)
    bank = TOKENIZER.id("bank")
    assert whole.start == 1 and whole.ids.shape == (2, 13) and whole.at.tolist() == [1, 9]
    assert np.all(whole.ids[:, 0] == TOKENIZER.end_token) and np.all(whole.ids[[0, 1], whole.at] == bank)
    assert whole.ends.tolist() == [5, 13] and whole.read_at("end").tolist() == [4, 12]
    assert [len(ids) for ids in whole.context("left")] == [0, 8]
    assert [len(ids) for ids in whole.context("both")] == [3, 11] and bank not in np.concatenate(whole.context("both"))
    cut = sense_tokens(made, TOKENIZER, 5)
    assert cut.at.tolist() == [1, 4] and cut.ends.tolist() == [5, 5]
    assert TOKENIZER.decode(cut.ids[1, 1:]) == "is by a bank"


def test_a_sentence_stands_behind_the_tokenizers_own_start_token():
    tokenizer = word_level(["the bank of the river"], 6)
    tokenizer.start_token = tokenizer.id("river")  # not the end token, and not the first id
    found = sense_tokens(sentences("bank of the river"), tokenizer, 9)
    assert found.start == 1 and found.ids[0, 0] == tokenizer.start_token != tokenizer.end_token
    tokenizer.start_token = None
    assert sense_tokens(sentences("bank of the river"), tokenizer, 9).start == 0


def test_only_what_is_read_before_can_help():
    model = qwen2(8, 2, 2, 2, 12, init_scale=0.5)
    params = model.init(jax.random.key(0), TOKENIZER.vocab, 8)
    same_left = sentences("the bank of money", "the bank is by a river", "a bank is by the river")
    tokens = sense_tokens(same_left, TOKENIZER)
    at_word, at_end = (sense_states(model, params, tokens, where, batch=2) for where in ("word", "end"))
    assert at_word.shape == (4, 3, 8)
    np.testing.assert_allclose(at_word[:, 0], at_word[:, 1], rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(at_word[0, 0], at_word[0, 2])
    assert np.abs(at_word[1:, 0] - at_word[1:, 2]).max() > 1e-3
    assert np.abs(at_end[1:, 0] - at_end[1:, 1]).max() > 1e-3


def test_a_word_that_the_model_cannot_say_is_one_line():
    made = sentences("the bank of")
    other = SenseSentences("x", (("a", "rivers"),), np.array([1]), made.senses, made.names, made.lines)
    with pytest.raises(ValueError, match=r"'rivers' is not among the 11 tokens .*close spellings: river"):
        sense_tokens(other, TOKENIZER)
