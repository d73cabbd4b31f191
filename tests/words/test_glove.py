"""GloVe: it fits the logarithms of counts, and its samples add up to its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.sparse import csr_array

from jaxembed.words import Convention, Cooccurrence, Glove, Recipe, _glove_steps, train_full, train_sampled
from jaxembed.words._glove_steps import pair_gradient
from jaxembed.words._passes import run_passes

from ._small import table


def sparse_table():
    """Counts of which some are 0."""
    counts = np.triu(np.random.default_rng(0).poisson(1.2, (7, 7))) * 3.0
    counts += counts.T
    return Cooccurrence(csr_array(counts), tuple("abcdefg"), counts.sum(axis=1), Convention())


@pytest.mark.slow
def test_full_rank_fits_the_logarithm_of_every_count_met():
    pairs = sparse_table()
    met = pairs.matrix.toarray() > 0
    assert 0.2 < met.mean() < 0.9
    adam = optax.adam(optax.exponential_decay(0.05, 500, 0.2))
    run = train_full(
        Glove(7, cap=4.0), pairs, key=jax.random.key(0), save_steps=[3000], optimizer=adam, dtype="float64"
    )
    end = jax.tree.map(lambda x: x[-1], run.ys)
    fitted = end["embed"] @ end["unembed"].T + end["bias"][:, None] + end["context"][None, :]
    assert run.clock == "step"
    np.testing.assert_allclose(fitted[met], np.log(pairs.matrix.toarray()[met]), atol=1e-4)


def test_samples_add_up_to_the_gradient():
    pairs, model = sparse_table(), Glove(3, cap=5.0, power=0.5)
    params = jax.tree.map(lambda x: 20 * np.asarray(x), model.init(jax.random.key(0), 7))
    rows, columns = pairs.matrix.nonzero()
    counts = pairs.matrix[rows, columns]
    weights, logs = (x.astype(np.float32) for x in (model.weight(counts), np.log(counts)))
    given = rows, columns, weights, logs
    found, whole = jax.jit(lambda p: (pair_gradient(p, *map(jnp.asarray, given)), jax.grad(model.loss(pairs))(p)))(
        params
    )
    for name, side in {"embed": rows, "bias": rows, "unembed": columns, "context": columns}.items():
        summed = np.zeros_like(params[name])
        np.add.at(summed, side, np.asarray(found[name]))
        np.testing.assert_allclose(summed, whole[name], rtol=2e-5, atol=1e-5)


@pytest.mark.slow
def test_sampled_training_fits_what_it_can():
    pairs, model = table(12, seed=2), Glove(12)
    recipe = Recipe(epochs=300, rate=0.2, end_rate=0.2, batch=8)
    state = _glove_steps.GloveSteps(pairs, model, recipe, jax.random.key(0))
    begin = state.start()
    end = run_passes(state, {}, None, lambda done, total: None)
    loss = model.loss(pairs)
    assert loss(jax.tree.map(jnp.asarray, end)) < 0.01 * loss(begin)
    vectors = train_sampled(model, pairs, recipe, key=jax.random.key(0))
    np.testing.assert_array_equal(vectors.matrix, end["embed"] + end["unembed"])
    assert vectors.matrix.dtype == np.float32


@pytest.mark.parametrize("settings", [{"width": 0}, {"cap": 0.0}, {"power": -1.0}], ids=str)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Glove(**settings)
