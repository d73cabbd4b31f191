"""The sequence loss equals a slow loop, in one piece or many, and refuses what is no set of sequences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxembed as je

VOCAB, EXAMPLES, LENGTH = 6, 7, 5
MODEL = je.models.AttentionOnly(layers=2, init_scale=0.7)


@pytest.fixture(scope="module")
def sequences():
    return np.random.default_rng(0).integers(VOCAB, size=(EXAMPLES, LENGTH + 1))


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(1).random(EXAMPLES)


@pytest.fixture(scope="module")
def params():
    return MODEL.init(jax.random.key(0), VOCAB, LENGTH)


def slow_loss(params, sequences, weights):
    """Weighted mean over examples of the mean over positions of -log softmax(z)[next]."""
    total = 0.0
    for sequence, weight in zip(sequences, weights / weights.sum(), strict=True):
        logits = np.asarray(MODEL.apply(params, jnp.asarray(sequence[:-1])), np.float64)
        for z, following in zip(logits, sequence[1:], strict=True):
            total += weight / LENGTH * (np.log(np.exp(z - z.max()).sum()) + z.max() - z[following])
    return total


def test_it_equals_a_slow_loop(params, sequences, weights, tolerance):
    even = je.sequence_loss(MODEL, sequences, VOCAB)(params)
    uneven = je.sequence_loss(MODEL, sequences, VOCAB, weights=weights)(params)
    np.testing.assert_allclose(even, slow_loss(params, sequences, np.ones(EXAMPLES)), rtol=tolerance)
    np.testing.assert_allclose(uneven, slow_loss(params, sequences, weights), rtol=tolerance)
    assert abs(float(even - uneven)) > 1e-3


@pytest.mark.parametrize("chunk", [1, 3, 10**6])
def test_chunked_equals_unchunked_with_its_gradient(params, sequences, weights, chunk, tolerance):
    whole = jax.value_and_grad(je.sequence_loss(MODEL, sequences, VOCAB, weights=weights))(params)
    pieces = jax.value_and_grad(je.sequence_loss(MODEL, sequences, VOCAB, weights=weights, chunk=chunk))(params)
    for found, expected in zip(jax.tree.leaves(pieces), jax.tree.leaves(whole), strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_the_loss_at_zero_is_the_log_of_the_vocabulary(sequences, tolerance):
    zero = je.models.AttentionOnly(layers=3).init(jax.random.key(0), VOCAB, LENGTH)
    loss = je.sequence_loss(je.models.AttentionOnly(layers=3), sequences, VOCAB)
    np.testing.assert_allclose(loss(zero), np.log(VOCAB), rtol=tolerance)


def test_one_compiled_program_serves_every_set_of_sequences(params, sequences):
    traces = []

    @jax.jit
    def evaluate(loss, params):
        traces.append(None)
        return loss(params)

    first = evaluate(je.sequence_loss(MODEL, sequences, VOCAB), params)
    second = evaluate(je.sequence_loss(MODEL, sequences[:, ::-1], VOCAB), params)
    assert len(traces) == 1 and abs(float(first - second)) > 1e-3


BAD = [
    ({"sequences": np.zeros((3, 1), int)}, "at least 2 positions"),
    ({"sequences": np.zeros((0, 4), int)}, "sequences: need [example, position]"),
    ({"sequences": np.full((2, 4), 6)}, "id 6 is outside the vocabulary 0..5"),
    ({"sequences": np.full((2, 4), -1)}, "id -1 is outside the vocabulary"),
    ({"chunk": 0}, "chunk: must be at least 1"),
    ({"weights": np.ones(3)}, "weights: need one weight per sequence"),
    ({"weights": -np.ones(2)}, "weights: must be finite, non-negative"),
    ({"weights": np.zeros(2)}, "weights: must be finite, non-negative"),
    ({"memory_limit": 1.0}, "pass a smaller chunk="),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(arguments, message):
    arguments = {"sequences": np.zeros((2, 4), int), **arguments}
    with pytest.raises(ValueError) as error:
        je.sequence_loss(MODEL, vocab=VOCAB, **arguments)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_sequence_longer_than_the_parameters_is_refused(params):
    with pytest.raises(ValueError, match=f"init with length={LENGTH + 1}"):
        MODEL.apply(params, jnp.zeros(LENGTH + 1, jnp.int32))


@pytest.mark.parametrize(("settings", "name"), [({"layers": 0}, "layers"), ({"init_scale": -1.0}, "init_scale")])
def test_settings_that_make_no_model_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"{name}: must be"):
        je.models.AttentionOnly(**settings)
