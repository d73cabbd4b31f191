"""Training of word models: keys, precision, stopping and going on, and what is refused."""

import jax
import numpy as np
import pytest

from jaxembed.words import Convention, Glove, Quadratic, Recipe, SkipGram, train_full, train_sampled, training
from jaxembed.words import _skip_gram_steps as steps

from ._small import table, text

WORDS = text(9, (300, 200), seed=0)
MODEL, RECIPE = SkipGram(4), Recipe(epochs=3, batch=64, rate=0.005, convention=Convention(3, subsample=0.05))
KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def vectors():
    return train_sampled(MODEL, WORDS, RECIPE, key=KEY)


def test_the_key_fixes_the_result_bit_for_bit(vectors):
    again = train_sampled(MODEL, WORDS, RECIPE, key=KEY)
    other = train_sampled(MODEL, WORDS, RECIPE, key=jax.random.key(6))
    assert np.array_equal(vectors.matrix, again.matrix)
    assert not np.array_equal(vectors.matrix, other.matrix)
    assert vectors.matrix.dtype == np.float32 and vectors.words == WORDS.words


def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path, vectors):
    keep = tmp_path / "kept" / "training.npz"

    def stop(text, share):
        if share > 1 / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sampled(MODEL, WORDS, RECIPE, key=KEY, keep=keep, progress=stop)
    told = []
    resumed = train_sampled(MODEL, WORDS, RECIPE, key=KEY, keep=keep, progress=lambda *at: told.append(at))
    assert np.array_equal(resumed.matrix, vectors.matrix)
    assert told[0][1] > 1 / 3 and told[-1] == ("pass 3 of 3", 1)  # the first pass was not made again
    with pytest.raises(ValueError, match=r"keep: key of the training in .* now"):
        train_sampled(MODEL, WORDS, RECIPE, key=jax.random.key(6), keep=keep)
    keep.write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"keep: .* cannot be read"):
        train_sampled(MODEL, WORDS, RECIPE, key=KEY, keep=keep)


@pytest.mark.slow
def test_steps_are_traced_once(monkeypatch):
    traced = []
    monkeypatch.setattr(steps, "sampled_gradient", lambda *given: traced.append(1) or steps_gradient(*given))
    model = SkipGram(5)
    train_sampled(model, WORDS, RECIPE, key=KEY)
    train_sampled(model, WORDS, Recipe(**{**vars(RECIPE), "rate": 0.002}), key=jax.random.key(1))
    assert len(traced) == 1


steps_gradient = steps.sampled_gradient


def test_full_training_traces_once_and_saves_where_asked():
    traced, told = [], []
    run = train_full(
        Quadratic(2),
        table(5, seed=0),
        key=KEY,
        save_steps=[1, 10, 12],
        save=lambda params: traced.append(1) or params["embed"],
        progress=lambda *at: told.append(at),
    )
    assert run.ys.shape == (4, 5, 2) and len(traced) == 1
    assert run.ys.dtype == np.float32  # whatever JAX's default is
    ts = np.asarray(run.ts)
    np.testing.assert_allclose(np.diff(ts), np.array([1, 9, 2]) * ts[1], rtol=1e-5)
    assert told == [(f"{done} of 12 updates", done / 12) for done in (0, 1, 10, 12)]


def test_numbers_without_bound_are_an_error():
    wild = Recipe(epochs=2, batch=64, rate=1e30, end_rate=1e30, convention=RECIPE.convention)
    with pytest.raises(ValueError, match="rate: numbers are no longer finite after pass 1"):
        train_sampled(MODEL, WORDS, wild, key=KEY)


def test_what_is_refused(monkeypatch):
    pairs = table(5, seed=0)
    with pytest.raises(ValueError, match="source: SkipGram is trained on a WordText"):
        train_sampled(MODEL, pairs, key=KEY)
    with pytest.raises(ValueError, match="source: Glove is trained on a Cooccurrence"):
        train_sampled(Glove(2), WORDS, key=KEY)
    with pytest.raises(ValueError, match="dt: "):
        train_full(MODEL, pairs, key=KEY, save_steps=[1])
    with pytest.raises(ValueError, match="save_steps: "):
        train_full(MODEL, pairs, key=KEY, save_steps=[3, 1], dt=0.1)
    with pytest.raises(ValueError, match="key, params0: "):
        train_full(MODEL, pairs, save_steps=[1], dt=0.1)
    with pytest.raises(ValueError, match='convention: windows are drawn, which is "dynamic"'):
        train_sampled(MODEL, WORDS, Recipe(convention=Convention(2, "flat")), key=KEY)
    with pytest.raises(ValueError, match="epochs: "):
        Recipe(epochs=0)
    monkeypatch.setattr(training, "device_memory", lambda: 100.0)
    with pytest.raises(ValueError, match=r"pairs: 5 words need about .* GiB"):
        train_full(MODEL, pairs, key=KEY, save_steps=[1], dt=0.1)
