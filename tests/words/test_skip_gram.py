"""Skip-gram: its optimum is the shifted PMI, and what it samples has the gradient of the whole on average."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxembed.words import Convention, SkipGram, cooccurrence, train_full
from jaxembed.words._skip_gram_steps import sampled_gradient
from jaxembed.words._windows import OUTSIDE, PIECE, windows

from ._small import table, text


@pytest.mark.slow
def test_optimum_of_full_rank_is_pmi_less_ln_k():
    pairs = table(6, seed=0)
    model = SkipGram(6, negatives=2.0, context_power=1.0, init_scale=0.5)
    near = train_full(
        model, pairs, key=jax.random.key(0), save_steps=[300], optimizer=optax.adam(0.05), dtype="float64"
    )
    begin = jax.tree.map(lambda x: x[-1], near.ys)
    run = train_full(model, pairs, params0=begin, save_steps=[0, 1000], dt=0.3, dtype="float64")
    share = pairs.marginal / pairs.joint_total
    wanted = np.log(pairs.matrix.toarray() / pairs.joint_total / np.outer(share, share)) - np.log(2)
    scores = run.ys["embed"][-1] @ run.ys["unembed"][-1].T
    assert run.clock == "flow" and run.ts[-1] == pytest.approx(300)
    assert np.abs(scores - wanted).max() < 1e-6 < wanted.std()


def test_loss_weighs_negatives_by_the_noise():
    pairs = table(5, seed=1)
    model = SkipGram(2, negatives=3.0, context_power=0.75)
    loss = model.loss(pairs, "float64")
    np.testing.assert_allclose(np.sum(loss.positive), 1, rtol=1e-12)
    np.testing.assert_allclose(np.sum(loss.negative, axis=0), 3 * model.noise(pairs.unigrams), rtol=1e-12)


def summed_gradient(tables, ids, documents, cumulative, k, window, key):
    """The rows of a sampled gradient where they belong."""
    found = sampled_gradient(tables, ids, documents, cumulative, k, window, key)
    empty = jax.tree.map(jnp.zeros_like, tables)
    return jnp.stack(
        [empty["embed"].at[found.words].add(found.embed), empty["unembed"].at[found.contexts].add(found.unembed)]
    )


@pytest.mark.slow
def test_sampled_gradient_is_that_of_all_pairs_on_average():
    window, k, vocab, draws = 3, 2.0, 5, 400
    words, model = text(vocab, (90, 70), seed=0), SkipGram(3, negatives=k, init_scale=0.7)
    read = windows(words, Convention(window), 3, np.random.default_rng(0))
    assert read.steps == 1
    ids, documents = (jnp.asarray(x[0]) for x in read.read(0, 1))
    tables = model.init(jax.random.key(1), vocab)
    noise = model.noise(words.counts.astype(float))
    cumulative = jnp.asarray(np.cumsum(noise), jnp.float32)
    keys = jax.random.split(jax.random.key(2), draws)
    drawn = jax.jit(jax.vmap(lambda key: summed_gradient(tables, ids, documents, cumulative, k, window, key)))(keys)
    sampled = np.asarray(drawn, np.float64)

    # On average the window drawn reaches distance j with chance (L + 1 - j) / L.
    met = cooccurrence(words, Convention(window)).matrix.toarray() * (window + 1) / (2 * window)
    embed, unembed = (np.asarray(tables[name], np.float64) for name in ("embed", "unembed"))

    def deviations(k):
        chance = 1 / (1 + np.exp(-embed @ unembed.T))
        slope = met * (chance - 1) + k * np.outer(met.sum(axis=1), noise) * chance
        error = sampled.mean(axis=0) - np.stack([slope @ unembed, slope.T @ embed])
        return np.abs(error) / (sampled.std(axis=0) / np.sqrt(draws))

    assert deviations(k).max() < 4.5  # of 30 numbers, in standard errors
    assert deviations(1.3 * k).max() > 10


def test_a_pass_reads_every_word_once_within_its_document():
    words = text(7, (100, 1, 61), seed=3)
    read = windows(words, Convention(4), 2, np.random.default_rng(1))
    ids, documents = read.read(0, read.steps + 1)
    assert np.all(documents[-1] == OUTSIDE)  # past the end there is no text
    middle = ids[:, :, 4 : 4 + PIECE][documents[:, :, 4 : 4 + PIECE] != OUTSIDE]
    assert np.array_equal(np.bincount(middle), words.counts)
    assert np.array_equal(np.unique(documents), [OUTSIDE, 0, 1, 2])


def test_thinning_keeps_words_by_their_chance():
    words, convention = text(20, (40_000,), seed=4), Convention(2, subsample=0.01)
    read = windows(words, convention, 1, np.random.default_rng(2))
    kept = np.bincount(read.ids[read.documents != OUTSIDE], minlength=20)
    chance = convention.kept(words.counts)
    assert chance.min() < 0.3 < 0.6 < chance.max()
    deviation = (kept - words.counts * chance) / np.sqrt(words.counts * chance * (1 - chance) + 1e-9)
    assert np.abs(deviation).max() < 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"width": 0}, "width: "), ({"negatives": 0.0}, "negatives: "), ({"init_scale": -1.0}, "init_scale: ")],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(ValueError, match=said):
        SkipGram(**settings)
