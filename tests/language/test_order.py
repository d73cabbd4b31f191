"""The order of the data: a function of seed and step alone, every token once an epoch."""

import numpy as np
import pytest

from jaxembed.language.order import Order, cut


def test_every_token_is_predicted_once_in_an_epoch():
    order = Order(tokens=41, length=8, seed=3)
    starts = order.starts(0, order.sequences)
    labels = cut(np.arange(41), starts, 8)[:, 1:]
    np.testing.assert_array_equal(np.sort(labels.ravel()), np.arange(1, 41))


def test_where_the_length_does_not_divide_the_stream_the_cuts_move_and_nothing_is_left_out_for_good():
    order = Order(tokens=30, length=8, seed=0)
    labels = [
        cut(np.arange(30), order.starts(epoch * order.sequences, order.sequences), 8)[:, 1:] for epoch in range(40)
    ]
    for one in labels:
        assert len(np.unique(one)) == one.size == 24
    assert set(np.concatenate(labels).ravel().tolist()) == set(range(1, 30))


def test_batches_do_not_depend_on_how_the_run_got_there():
    order = Order(tokens=1000, length=7, seed=5)
    whole = order.starts(0, 600)
    pieces = [order.starts(first, 60) for first in range(0, 600, 60)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_seeds_and_epochs_order_differently():
    order = Order(tokens=1001, length=10, seed=0)
    first, second = order.starts(0, 100), order.starts(100, 100)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, Order(1001, 10, seed=1).starts(0, 100))
    assert abs(np.corrcoef(first, np.arange(100))[0, 1]) < 0.3


def test_the_order_is_the_same_on_every_machine():
    assert Order(tokens=50, length=10, seed=0).starts(0, 6).tolist() == [3, 23, 13, 33, 37, 27]


def test_a_corpus_shorter_than_a_sequence_is_refused():
    with pytest.raises(ValueError, match="length: a sequence needs 9 tokens and the corpus has 8"):
        Order(tokens=8, length=8, seed=0)
