"""The loss in pieces: value and gradient of all logits at once, and nothing of their size in memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.losses.language import cross_entropy, mean_loss, pieces_for
from jaxembed.models import Decoder

VOCAB = 23


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    hidden = jnp.asarray(random.normal(size=(3, 10, 8)), float)
    head = jnp.asarray(random.normal(size=(VOCAB, 8)), float)
    labels = jnp.asarray(random.integers(0, VOCAB, (3, 10)), jnp.int32)
    weights = jnp.asarray(random.uniform(size=(3, 10)), float)
    return hidden, head, labels, weights


def plain(hidden, head, labels, weights):
    log_p = jax.nn.log_softmax(jnp.einsum("epd,vd->epv", hidden, head), axis=-1)
    return -jnp.sum(weights * jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0])


@pytest.mark.parametrize("pieces", [1, 3])
def test_pieces_give_the_value_and_the_gradient_of_all_logits_at_once(arrays, pieces, tolerance):
    hidden, head, labels, weights = arrays
    value, gradient = jax.jit(jax.value_and_grad(plain, (0, 1)))(hidden, head, labels, weights)
    scaled = lambda h, u: 2.5 * cross_entropy(h, u, labels, weights, pieces)  # noqa: E731
    ours, our_gradient = jax.jit(jax.value_and_grad(scaled, (0, 1)))(hidden, head)
    np.testing.assert_allclose(ours, 2.5 * value, rtol=tolerance)
    for one, other in zip(our_gradient, gradient, strict=True):
        np.testing.assert_allclose(one, 2.5 * other, rtol=tolerance, atol=20 * tolerance)
    value_only = jax.jit(cross_entropy, static_argnums=4)(hidden, head, labels, weights, pieces)
    np.testing.assert_allclose(value_only, value, rtol=tolerance)


def test_the_pieces_fit_their_budget_and_cover_every_position():
    for examples, positions, vocab, budget in ((16, 128, 150_000, 2**25), (1, 7, 50, 2**25), (4, 100, 1000, 2**16)):
        pieces = pieces_for(examples, positions, vocab, budget)
        run = -(-positions // pieces)
        assert run == 1 or 4 * examples * run * vocab <= budget
        assert pieces * run >= positions


def test_no_array_of_all_logits_is_ever_made():
    examples, positions, vocab = 2, 64, 4096
    hidden, head = jnp.zeros((examples, positions, 4), jnp.float32), jnp.zeros((vocab, 4), jnp.float32)
    labels, weights = jnp.zeros((examples, positions), jnp.int32), jnp.ones((examples, positions), jnp.float32)

    def bytes_of(pieces):
        slope = jax.grad(lambda h, u: cross_entropy(h, u, labels, weights, pieces), (0, 1))
        return jax.jit(slope).lower(hidden, head).compile().memory_analysis().temp_size_in_bytes

    logits = 4 * examples * positions * vocab
    assert bytes_of(1) >= logits
    assert bytes_of(16) < logits / 4


def test_the_mean_loss_of_a_tied_model_is_that_of_its_logits(tolerance):
    model = Decoder(width=16, layers=1, heads=2, mlp_width=32, tied=True)
    params = jax.jit(lambda: model.init(jax.random.key(0), VOCAB, 9))()
    sequences = jnp.asarray(np.random.default_rng(1).integers(0, VOCAB, (4, 10)), jnp.int32)

    @jax.jit
    def both(params):
        log_p = jax.nn.log_softmax(model.apply_batch(params, sequences[:, :-1]), axis=-1)
        wanted = -jnp.mean(jnp.take_along_axis(log_p, sequences[:, 1:, None], axis=-1))
        return mean_loss(model, params, sequences, pieces=3), wanted

    np.testing.assert_allclose(*both(params), rtol=100 * tolerance)
