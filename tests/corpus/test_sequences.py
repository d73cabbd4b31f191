"""Sequences of one length: chains keep their transitions, text is cut in order, controls keep their tokens."""

import numpy as np
import pytest

from jaxembed.corpus.sequences import markov_sequences, sampled_sequences, shuffled_sequences, text_sequences


def test_a_chain_is_stationary_in_its_transitions():
    sequences = markov_sequences(vocab=4, length=200, examples=200, concentration=0.5, key=0)
    assert sequences.shape == (200, 200) and sequences.dtype == np.int32
    assert sequences.min() >= 0 and sequences.max() < 4

    def transitions(part):
        counts = np.zeros((4, 4))
        np.add.at(counts, (part[:, :-1].ravel(), part[:, 1:].ravel()), 1)
        return counts / counts.sum(axis=1, keepdims=True)

    early, late = transitions(sequences[:, :100]), transitions(sequences[:, 100:])
    np.testing.assert_allclose(early, late, atol=0.03)
    assert np.abs(early - early.mean(axis=0, keepdims=True)).max() > 0.1  # tokens differ in what follows them
    np.testing.assert_array_equal(sequences, markov_sequences(4, 200, 200, 0.5, key=0))
    assert np.any(sequences != markov_sequences(4, 200, 200, 0.5, key=1))


def test_a_low_concentration_makes_few_successors():
    def successors(concentration):
        sequences = markov_sequences(20, 50, 100, concentration, key=0)
        return len(np.unique(sequences[:, :-1] * 20 + sequences[:, 1:]))

    assert successors(0.02) < successors(1.0) / 2


def test_text_is_cut_in_order_and_rare_words_are_left_out():
    sequences, names, kept = text_sequences("the cat saw the dog and the cat and the owl", vocab_size=3, length=2)
    assert names == ("the", "and", "cat") and abs(kept - 8 / 11) < 1e-12
    assert sequences.tolist() == [[0, 2], [0, 1], [0, 2], [1, 0]]


def test_controls_keep_the_tokens_of_a_sequence():
    sequences = markov_sequences(30, 25, 8, key=0)
    shuffled = shuffled_sequences(sequences, key=0)
    assert np.any(shuffled != sequences)
    np.testing.assert_array_equal(np.sort(shuffled, axis=1), np.sort(sequences, axis=1))


def test_a_sample_takes_different_rows():
    rows = np.arange(20).reshape(10, 2)
    sample = sampled_sequences(rows, 6, key=0)
    assert len({tuple(row) for row in sample.tolist()}) == 6
    assert {tuple(row) for row in sample.tolist()} <= {tuple(row) for row in rows.tolist()}


BAD = [
    (lambda: markov_sequences(0, 5, 5, key=0), "must be positive"),
    (lambda: markov_sequences(5, 5, 5, 0.0, key=0), "must be positive"),
    (lambda: text_sequences("a b a", 2, 9), "3 words are kept, no sequence of 9"),
    (lambda: text_sequences("a b a", 3, 2), "ask for fewer"),
    (lambda: sampled_sequences(np.zeros((3, 2), int), 4, key=0), "4 asked of 3 sequences"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)
