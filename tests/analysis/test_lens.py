"""The lens ends in the model itself, begins at the identity, and learns on one text what holds on another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.analysis.lens import (
    LensFit,
    fit_lens,
    lens_logits,
    lens_readings,
    lens_states,
    plain_lens,
    read_lens,
    write_lens,
)
from jaxembed.corpus import corpus_of
from jaxembed.models import Decoder, gpt2
from jaxembed.observables import divergence, entropy, rank, surprisal
from jaxembed.train import single_precision

VOCAB, LENGTH = 50, 8
MODELS = {
    "rms": Decoder(width=16, layers=2, heads=2, mlp_width=32, init_scale=0.3),
    "layer, tied": gpt2(width=16, layers=2, heads=2, mlp_width=32, max_positions=16, init_scale=0.3),
}


@pytest.fixture(scope="module", params=list(MODELS))
def case(request):
    model = MODELS[request.param]
    params = single_precision(model.init(jax.random.key(0), VOCAB, LENGTH))
    return model, params, jax.random.randint(jax.random.key(1), (3, LENGTH + 1), 0, VOCAB)


def test_the_last_layer_of_the_plain_lens_is_the_model_to_the_bit(case):
    model, params, sequences = case
    tokens = sequences[:, :-1]
    logits = lens_logits(model, params, tokens)
    assert logits.shape == (model.layers + 1, 3, LENGTH, VOCAB)
    np.testing.assert_array_equal(logits[-1], model.apply_batch(params, tokens))
    np.testing.assert_array_equal(lens_states(model, params, tokens)[-1], model.hidden(params, tokens))


def test_the_first_layer_is_the_embedding_alone(case):
    model, params, sequences = case
    logits = np.asarray(lens_logits(model, params, sequences))
    if model.positions == "rotary":  # the same token reads the same wherever it stands
        same = np.asarray(sequences) == int(sequences[0, 0])
        assert np.allclose(logits[0][same], logits[0][0, 0], atol=1e-5)
    changed = np.asarray(lens_logits(model, params, sequences.at[:, -1].set(0)))
    np.testing.assert_allclose(changed[:, :, :-1], logits[:, :, :-1], atol=1e-5)  # no layer sees what comes


def test_a_learned_lens_starts_as_the_plain_one(case):
    model, params, sequences = case
    plain = lens_logits(model, params, sequences)
    np.testing.assert_allclose(lens_logits(model, params, sequences, plain_lens(model)), plain, atol=1e-5)


def test_readings_are_those_of_the_logits(case):
    model, params, sequences = case
    logits, targets = lens_logits(model, params, sequences[:, :-1]), sequences[:, 1:]
    found = lens_readings(model, params, sequences)
    for layer in range(model.layers + 1):
        expected = {
            "entropy": entropy(logits[layer]),
            "divergence": divergence(logits[-1], logits[layer]),
            "rank": rank(logits[layer], targets),
            "surprisal": surprisal(logits[layer], targets),
        }
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(found, name)[layer], values, atol=2e-5, err_msg=name)
    assert np.all(np.asarray(found.divergence[-1]) == 0)


@pytest.fixture(scope="module")
def corpora():
    """Two texts of one Markov chain."""
    steps = np.random.default_rng(0).integers(0, 3, 4_000)
    ids = (np.cumsum(steps) % VOCAB).astype(np.uint16)
    return corpus_of(ids[:3_000], np.array([3_000]), VOCAB), corpus_of(ids[3_000:], np.array([1_000]), VOCAB)


def test_learning_brings_held_out_layers_closer_and_leaves_the_last_alone(corpora):
    model = MODELS["rms"]
    params = single_precision(model.init(jax.random.key(0), VOCAB, LENGTH))
    seen = []
    lens, losses = fit_lens(
        model, params, corpora[0], LensFit(60, 8, LENGTH, 1e-2), key=jax.random.key(2),
        progress=lambda text, share=None: seen.append(share),
    )  # fmt: skip
    assert losses.shape == (60, model.layers) and seen == [step / 60 for step in range(1, 61)]
    sequences = jnp.asarray(np.asarray(corpora[1].ids[: 12 * 9], np.int32).reshape(12, 9))
    plain, learned = (lens_readings(model, params, sequences, x).divergence.mean((1, 2)) for x in (None, lens))
    assert np.all(np.asarray(learned[:-1]) < 0.8 * np.asarray(plain[:-1])), (plain, learned)
    np.testing.assert_array_equal(lens.weights[-1], np.eye(model.width))
    np.testing.assert_allclose(losses[0], plain[:-1], rtol=0.5)  # the first update saw the identity


def test_a_lens_is_kept_for_its_own_model(case, tmp_path):
    model, params, _ = case
    lens = plain_lens(model)
    write_lens(tmp_path / "lens", lens, params)
    found = read_lens(tmp_path / "lens", params)
    np.testing.assert_array_equal(found.weights, lens.weights)
    other = model.init(jax.random.key(5), VOCAB, LENGTH)
    with pytest.raises(ValueError, match="lens of another model"):
        read_lens(tmp_path / "lens", single_precision(other))
    (tmp_path / "text").write_text("no lens")
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", rows=np.zeros(3))
    for name in ("text", "one.npy", "other.npz"):
        with pytest.raises(ValueError, match=r"holds no lens; learn one with"):
            read_lens(tmp_path / name, params)
    with pytest.raises(ValueError, match="no file"):
        read_lens(tmp_path / "missing", params)


def test_what_cannot_be_learned_is_refused(corpora):
    model = MODELS["rms"]
    params = single_precision(model.init(jax.random.key(0), VOCAB, LENGTH))
    with pytest.raises(ValueError, match="corpus: 5 tokens are fewer than a sequence of 8"):
        fit_lens(model, params, corpus_of(np.arange(5), np.array([5]), VOCAB), LensFit(length=8), key=jax.random.key(0))
    with pytest.raises(ValueError, match="steps: must be at least 1"):
        LensFit(steps=0)
