"""Losses equal slow loops, in one piece or many; minibatches follow the weights."""

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxembed as je
from jaxembed.base import checked_dataset
from jaxembed.losses.population import check_resolution
from jaxembed.models import Feedforward, Linear


@dataclass(frozen=True)
class Positional:
    """A model that sees the order of tokens: a position's embedding counts as often as its number."""

    order_invariant: ClassVar[bool] = False

    def init(self, key, vocab, length):
        return Linear(width=4, init_scale=1.0).init(key, vocab, length)

    def apply(self, params, tokens):
        place = jnp.arange(1, tokens.shape[0] + 1, dtype=params["embed"].dtype)
        return params["unembed"] @ (place @ params["embed"][tokens])


class WronglyInvariant(Positional):
    order_invariant: ClassVar[bool] = True


MODELS = [Linear(4, init_scale=1.0), Feedforward(4, 5, init_scale=1.0), Positional()]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    tokens = rng.integers(6, size=(25, 3))
    tokens[:6], tokens[6:12] = tokens[6:12, ::-1], tokens[6:12]
    return checked_dataset(tokens, rng.integers(6, size=25), rng.random(25), 6)


def start(model, data):
    return model.init(jax.random.key(0), data.vocab, data.length)


def slow_losses(model, data, params):
    """-log p(y) of every example, by a softmax in float64."""
    out = []
    for tokens, y in zip(data.tokens, data.targets, strict=True):
        z = np.asarray(model.apply(params, jnp.asarray(tokens)), np.float64)
        out.append(np.log(np.exp(z - z.max()).sum()) + z.max() - z[y])
    return np.array(out)


@pytest.mark.parametrize("model", MODELS)
def test_population_loss_equals_a_slow_loop(model, data, tolerance):
    params = start(model, data)
    expected = data.weights @ slow_losses(model, data, params)
    np.testing.assert_allclose(je.population_loss(model, data)(params), expected, rtol=tolerance)


def test_order_is_dropped_only_where_the_model_drops_it(data):
    params = start(Positional(), data)
    exact, wrong = je.population_loss(Positional(), data), je.population_loss(WronglyInvariant(), data)
    assert abs(float(exact(params) - wrong(params))) > 1e-2
    assert je.population_loss(MODELS[0], data).tokens.shape[0] < exact.tokens.shape[0]


@pytest.mark.parametrize("chunk", [1, 4, 7, 10**6])
@pytest.mark.parametrize("model", MODELS)
def test_chunked_equals_unchunked_with_its_gradient(model, data, chunk, tolerance):
    params = start(model, data)
    whole = jax.value_and_grad(je.population_loss(model, data))(params)
    pieces = jax.value_and_grad(je.population_loss(model, data, chunk=chunk))(params)
    for found, expected in zip(jax.tree.leaves(pieces), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_one_compiled_program_serves_every_population(data):
    traces = []

    @jax.jit
    def evaluate(loss, params):
        traces.append(None)
        return loss(params)

    params, loss = start(MODELS[0], data), je.population_loss(MODELS[0], data)
    flat = je.population_loss(MODELS[0], replace(data, weights=np.full(25, 1 / 25)))
    assert float(evaluate(loss, params)) != float(evaluate(flat, params))
    assert len(traces) == 1


@pytest.mark.parametrize("uniform", [True, False], ids=["uniform", "weighted"])
def test_minibatches_follow_the_weights(data, uniform):
    weights = np.full(25, 1 / 25) if uniform else np.where(np.arange(25) % 5 == 4, 0, data.weights)
    data, draws = replace(data, weights=weights / weights.sum()), 50_000
    loss = je.minibatch_loss(MODELS[0], data, draws)
    assert loss.uniform is uniform
    found = np.bincount(loss.draw(jax.random.key(0)), minlength=25) / draws
    error = np.sqrt(data.weights * (1 - data.weights) / draws)
    assert np.all(np.abs(found - data.weights) <= 5 * error) and np.any(found != data.weights)
    other = np.bincount(loss.draw(jax.random.key(1)), minlength=25) / draws
    assert np.any(found != other)


def test_a_minibatch_loss_is_the_mean_over_its_draw(data, tolerance):
    model, key = Positional(), jax.random.key(3)
    params, loss = start(model, data), je.minibatch_loss(model, data, 17)
    expected = slow_losses(model, data, params)[np.asarray(loss.draw(key))].mean()
    np.testing.assert_allclose(loss(params, key), expected, rtol=tolerance)


def test_accuracy_is_the_weight_of_what_is_right(data, tolerance):
    model = MODELS[1]
    params = start(model, data)
    answers = [int(np.argmax(model.apply(params, jnp.asarray(tokens)))) for tokens in data.tokens]
    expected = data.weights[np.array(answers) == data.targets].sum()
    assert 0 < expected < 1
    np.testing.assert_allclose(je.accuracy(model, data, params), expected, rtol=tolerance)


def test_the_dtype_must_carry_the_initial_scale():
    check_resolution(1e-6, 64, 3, np.float64)
    check_resolution(1e-3, 64, 3, np.float32)
    with pytest.raises(ValueError, match=r"use float64, or an init_scale of at least 2\.6e-04") as error:
        check_resolution(1e-4, 64, 3, np.float32)
    assert "\n" not in str(error.value)
    check_resolution(2.7e-4, 64, 3, np.float32)


BAD = [
    (lambda data: je.population_loss(MODELS[0], data, chunk=0), "chunk: must be at least 1"),
    (lambda data: je.population_loss(MODELS[0], data, memory_limit=1.0), "pass chunk=, use minibatch_loss, or make"),
    (lambda data: je.minibatch_loss(MODELS[0], data, 0), "batch: must be at least 1, got 0"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(data, call, message):
    with pytest.raises(ValueError) as error:
        call(data)
    assert message in str(error.value) and "\n" not in str(error.value)
