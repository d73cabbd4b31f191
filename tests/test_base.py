"""Populations are checked where they are built: one clear line for whatever is wrong."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.base import Trajectory, checked_dataset

GOOD = {"tokens": [[0, 1], [2, 0]], "targets": [1, 2], "weights": [1.0, 3.0], "vocab": 3}


def test_weights_are_normalised_and_ids_are_int32():
    data = checked_dataset(**GOOD)
    np.testing.assert_allclose(data.weights, [0.25, 0.75], rtol=1e-15)
    assert (data.tokens.dtype, data.targets.dtype, data.weights.dtype) == (np.int32, np.int32, np.float64)
    assert (data.size, data.length, data.samples) == (2, 2, None)
    np.testing.assert_array_equal(checked_dataset(**GOOD | {"weights": None}).weights, [0.5, 0.5])


BAD = [
    ({"tokens": []}, "tokens: need a non-empty [example, position] table, got shape (0,)"),
    ({"tokens": [0, 1]}, "tokens: need a non-empty [example, position] table, got shape (2,)"),
    ({"tokens": [[], []]}, "tokens: need a non-empty [example, position] table, got shape (2, 0)"),
    ({"targets": [1]}, "targets: need one label per example, got shape (1,) for 2 examples"),
    ({"targets": [1, 3]}, "targets: id 3 is outside the vocabulary 0..2; enlarge vocab or fix the id"),
    ({"tokens": [[0, 1], [-2, 5]]}, "tokens: id -2 is outside the vocabulary 0..2"),
    ({"weights": [1.0]}, "weights: need one weight per example, got shape (1,)"),
    ({"weights": [1.0, -0.5]}, "weights: must be finite and non-negative"),
    ({"weights": [1.0, np.nan]}, "weights: must be finite and non-negative"),
    ({"weights": [0.0, 0.0]}, "weights: must sum to a positive number"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(change, message):
    with pytest.raises(ValueError) as error:
        checked_dataset(**GOOD | change)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_trajectory_maps_an_observable_over_its_times():
    line = Trajectory(jnp.arange(3.0), {"x": jnp.arange(6.0).reshape(3, 2)}, {}, "step")
    mapped = line.map(lambda state: jnp.sum(state["x"]))
    assert mapped.ys.tolist() == [1.0, 5.0, 9.0] and mapped.clock == "step"
