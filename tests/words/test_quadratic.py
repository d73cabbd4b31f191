"""The quadratic model: its loss, its clock, and where both ways of training it end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.models.word_pairs import PairLoss
from jaxembed.words import Quadratic, Recipe, quadratic_target, train_full, train_sampled
from jaxembed.words._quadratic_steps import block_gradient

from ._small import table

PAIRS = table(24, seed=0, most=400)


def truncation(width):
    values, vectors = np.linalg.eigh(quadratic_target(PAIRS).dense())
    assert values[-width] > 0
    return (vectors[:, -width:] * values[-width:]) @ vectors[:, -width:].T


def test_loss_is_that_of_all_pairs():
    target = quadratic_target(PAIRS).dense()
    whole = PairLoss(jnp.asarray((2 + target) / 4), jnp.asarray((2 - target) / 4))
    params = {"embed": jnp.asarray(np.random.default_rng(0).normal(size=(24, 3)))}
    lean = Quadratic(3).loss(PAIRS, "float64")
    (value, slope), (wanted, its_slope) = jax.jit(lambda p: tuple(jax.value_and_grad(f)(p) for f in (lean, whole)))(
        params
    )
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(slope["embed"], its_slope["embed"], rtol=1e-9, atol=1e-12)


def test_full_training_has_the_clock_of_the_theory():
    run = train_full(
        Quadratic(3, init_scale=0.3), PAIRS, key=jax.random.key(0), save_steps=[1, 3], dt=1e-3, dtype="float64"
    )
    before, after = run.ys["embed"][:2]
    target = quadratic_target(PAIRS).dense()
    np.testing.assert_allclose((after - before) / 1e-3, (target - before @ before.T) @ before / 2, rtol=1e-8)
    np.testing.assert_allclose(run.ts, [0, 1e-3, 3e-3])


def test_both_trainings_end_at_the_truncated_target():
    best = truncation(2)
    run = train_full(Quadratic(2), PAIRS, key=jax.random.key(0), save_steps=[4000], dtype="float64")
    last = run.ys["embed"][-1]
    assert np.linalg.norm(last @ last.T - best) < 1e-6 * np.linalg.norm(best)
    recipe = Recipe(epochs=60, rate=1.0, end_rate=1.0, batch=4)
    sampled = train_sampled(Quadratic(2), PAIRS, recipe, key=jax.random.key(1)).matrix
    assert np.linalg.norm(sampled @ sampled.T - best) < 1e-3 * np.linalg.norm(best)


def test_blocks_of_words_have_the_gradient_of_all_on_average():
    target = quadratic_target(PAIRS).dense()
    embed = np.random.default_rng(0).normal(size=(24, 3))
    whole = (embed @ (embed.T @ embed) - target @ embed) / 2
    mean = np.zeros((24, 3))
    for words in np.random.default_rng(0).permutation(24).reshape(-1, 4):
        mean[words] += block_gradient(embed[words], target[words] @ embed, embed.T @ embed, 24) / 6
    np.testing.assert_allclose(mean, whole, rtol=1e-9, atol=1e-12)


def test_sampled_weights_make_another_loss():
    loss = Quadratic(3, weighting="sampled", negatives=2.0).loss(PAIRS, "float64")
    share = PAIRS.marginal / PAIRS.joint_total
    np.testing.assert_allclose(loss.positive, PAIRS.matrix.toarray() / PAIRS.joint_total)
    np.testing.assert_allclose(loss.negative, 2 * np.outer(share, share))
    with pytest.raises(ValueError, match=r"weighting: .*train_full"):
        train_sampled(Quadratic(3, weighting="sampled"), PAIRS, key=jax.random.key(0))


@pytest.mark.parametrize(
    "settings", [{"width": 0}, {"negatives": -1.0}, {"weighting": "other"}, {"init_scale": 0.0}], ids=str
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises((ValueError, TypeError), match=next(iter(settings))):
        Quadratic(**settings)
