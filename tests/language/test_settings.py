"""Schedule, clock and refusals."""

import jax
import numpy as np
import pytest

from jaxembed.language import Pretraining
from jaxembed.language.settings import decayed

FLOW = dict(optimizer="sgd", weight_decay=0.0, clip=0.0)


def test_the_rate_rises_linearly_and_falls_as_half_a_cosine():
    rates = Pretraining(steps=110, warmup=10, learning_rate=2.0, final_ratio=0.1).rates()
    np.testing.assert_allclose(rates[:10], 0.2 * np.arange(1, 11))
    np.testing.assert_allclose(rates[60], 2.0 * 0.55)
    assert np.all(np.diff(rates[10:]) <= 0)
    np.testing.assert_allclose(rates[-1], 0.2, rtol=0.01)


def test_the_clock_of_gradient_descent_is_flow_time():
    constant = Pretraining(steps=10, learning_rate=0.5, final_ratio=1.0, save_steps=(0, 3, 10), **FLOW)
    assert constant.clock == "flow"
    np.testing.assert_allclose(constant.times(), [0.0, 1.5, 5.0])
    warmed = Pretraining(steps=10, learning_rate=0.5, final_ratio=1.0, warmup=2, save_steps=(0, 3), **FLOW)
    np.testing.assert_allclose(warmed.times(), [0.0, 1.25])
    adam = Pretraining(steps=10, save_steps=(0, 3, 10))
    assert adam.clock == "step"
    np.testing.assert_array_equal(adam.times(), [0, 3, 10])


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"steps": 0}, "steps: must be at least 1"),
        ({"batch": 6, "accumulate": 4}, "accumulate: 4 pieces do not share out 6 sequences"),
        ({"learning_rate": float("nan")}, "learning_rate: must be a finite number"),
        ({"data_seed": -1}, "data_seed: must not be negative"),
        ({"steps": 5, "warmup": 5}, "warmup: must be fewer than the 5 steps, got 5"),
        ({"beta2": 1.0}, "beta2: must be at least 0 and below 1"),
        ({"steps": 5, "save_steps": (0, 6)}, "save_steps: need increasing step numbers from 0 to 5"),
        ({"save_steps": (3, 3)}, "save_steps: need increasing"),
        ({"optimizer": "sgd"}, "optimizer: plain sgd follows gradient flow only with weight_decay=0 and clip=0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong, line):
    with pytest.raises(ValueError, match=line):
        Pretraining(**wrong)


def test_decay_pulls_matrices_of_the_blocks_only(model):
    marked = decayed(jax.eval_shape(lambda: model.init(jax.random.key(0), 10, 4)))
    flat = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(marked)}
    assert {name for name, leaf in flat.items() if leaf} == {
        f"['blocks']['layer0']['{part}']['{matrix}']"
        for part, matrices in (("attention", ("query", "key", "value", "out")), ("mlp", ("gate", "up", "down")))
        for matrix in matrices
    }
    assert not (flat["['embed']"] or flat["['unembed']"])
