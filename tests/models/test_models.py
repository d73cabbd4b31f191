"""Models equal their formulas, start at the scale they are asked for, and know their Taylor coefficients."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from jaxembed.models import ACTIVATIONS, Feedforward, Linear, activation
from jaxembed.models.lookup import bag

BY_HAND = {
    "gelu": lambda h: h * (1 + erf(h / np.sqrt(2))) / 2,
    "tanh": np.tanh,
    "square": lambda h: h * h,
    "relu": lambda h: np.where(h > 0, h, 0),
    "linear": lambda h: h,
}
TOKENS = jnp.array([3, 0, 3])


def host(params):
    return {name: np.asarray(leaf, np.float64) for name, leaf in params.items()}


def test_linear_logits_by_hand(tolerance):
    model = Linear(width=5, init_scale=1.0)
    params = model.init(jax.random.key(0), 7, 3)
    p = host(params)
    logits = np.array([sum(p["unembed"][nu] @ p["embed"][x] for x in (3, 0, 3)) for nu in range(7)])
    np.testing.assert_allclose(model.apply(params, TOKENS), logits, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("hidden", [None, 6])
@pytest.mark.parametrize("name", BY_HAND)
def test_feedforward_logits_by_hand(name, hidden, tolerance):
    model = Feedforward(width=5, hidden=hidden, activation=name, init_scale=1.0, hidden_scale=1.0)
    params = model.init(jax.random.key(0), 7, 3)
    p = host(params)
    h = p["embed"][3] + p["embed"][0] + p["embed"][3]
    h = h if hidden is None else np.array([p["hidden"][:, m] @ h for m in range(hidden)])
    logits = [np.sum(row * BY_HAND[name](h)) for row in p["unembed"]]
    np.testing.assert_allclose(model.apply(params, TOKENS), logits, rtol=10 * tolerance, atol=100 * tolerance)


def test_the_activation_table_is_covered():
    assert set(ACTIVATIONS) == set(BY_HAND)


@pytest.mark.parametrize("vocab", [512, 513], ids=["product", "lookup"])
def test_the_bag_and_its_gradient_are_sums_over_positions(vocab, tolerance):
    embed = jnp.asarray(np.random.default_rng(0).normal(size=(vocab, 4)), dtype=float)
    tokens = jnp.array([1, vocab - 1, 1])
    np.testing.assert_allclose(bag(embed, tokens), 2 * embed[1] + embed[-1], rtol=tolerance, atol=tolerance)
    slope = jax.grad(lambda e: bag(e, tokens)[0])(embed)
    assert (float(slope[1, 0]), float(slope[-1, 0]), float(jnp.sum(jnp.abs(slope)))) == (2.0, 1.0, 3.0)


@pytest.mark.parametrize("name", [name for name in BY_HAND if name != "relu"])
def test_taylor_coefficients_are_derivatives_at_zero(name, tolerance):
    derivative, found = activation(name).apply, []
    assert float(derivative(jnp.zeros(()))) == 0
    for _ in range(3):
        derivative = jax.grad(derivative)
        found.append(float(derivative(jnp.zeros(()))))
    np.testing.assert_allclose(activation(name).taylor, found, atol=tolerance)
    assert Feedforward(activation=name).taylor == activation(name).taylor


def test_relu_says_that_it_has_no_taylor_coefficients():
    with pytest.raises(ValueError, match="relu has no Taylor coefficients at 0"):
        _ = Feedforward(activation="relu").taylor


LARGE = 2000
SCALES = [
    (Linear(50, init_scale=0.1), {"embed": 0.1, "unembed": 0.1}),
    (Linear(50, gamma=0.8), {"embed": LARGE**-0.8, "unembed": 50**-0.8}),
    (Feedforward(50, init_scale=0.1), {"embed": 0.1, "unembed": 0.1}),
    (Feedforward(50, 80, init_scale=0.1), {"embed": 0.1, "unembed": 0.1, "hidden": 50**-0.5}),
    (Feedforward(50, 80, hidden_scale=2.0), {"embed": 1e-3, "unembed": 1e-3, "hidden": 2.0}),
    (Feedforward(50, 80, gamma=0.3), {"embed": LARGE**-0.3, "unembed": 80**-0.3, "hidden": 50**-0.3}),
]


@pytest.mark.parametrize(("model", "scales"), SCALES)
def test_initial_weights_are_independent_normals_of_the_scale_asked_for(model, scales):
    params = host(model.init(jax.random.key(0), LARGE, 3))
    assert list(params) == list(scales)
    for name, scale in scales.items():
        n = params[name].size
        assert abs(params[name].std() / scale - 1) < 5 / math.sqrt(2 * n), name
        assert abs(params[name].mean() / scale) < 5 / math.sqrt(n), name
    assert np.max(np.abs(np.corrcoef(params["embed"].T) - np.eye(50))) < 6 / math.sqrt(LARGE)
    again, other = host(model.init(jax.random.key(0), LARGE, 9)), host(model.init(jax.random.key(1), LARGE, 3))
    np.testing.assert_array_equal(again["embed"], params["embed"])
    assert np.all(other["embed"] != params["embed"])


BAD = [
    (lambda: Linear(width=0), "width: must be at least 1, got 0"),
    (lambda: Linear(init_scale=0.0), "init_scale: must be a positive number, got 0.0"),
    (lambda: Linear(init_scale=-1.0), "init_scale: must be a positive number, got -1.0"),
    (lambda: Linear(init_scale=math.nan), "init_scale: must be a positive number, got nan"),
    (lambda: Linear(gamma=math.inf), "gamma: must be finite, got inf"),
    (lambda: Feedforward(width=-3), "width: must be at least 1, got -3"),
    (lambda: Feedforward(hidden=0), "hidden: must be at least 1"),
    (lambda: Feedforward(hidden_scale=0.0), "hidden_scale: must be a positive number, got 0.0"),
    (lambda: Feedforward(activation="gelo"), "unknown 'gelo'; choose one of gelu, tanh, square, relu, linear"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)
