"""The three families: published sizes, initial scales, and operations counted against XLA."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.models import Decoder, RotaryScaling, gpt2, llama, qwen2
from jaxembed.models.rotary import frequencies

KEY = jax.random.key(0)
SMALL = {"qwen2": qwen2(16, 2, 4, 2, 24), "llama": llama(16, 2, 4, None, 24), "gpt2": gpt2(16, 2, 4, max_positions=32)}


@pytest.mark.parametrize(
    ("model", "vocab", "published"),
    [
        (qwen2(), 151_936, 494_032_768),  # Qwen2.5-0.5B
        (llama(), 32_000, 6_738_415_616),  # Llama 2 7B
        (llama(kv_heads=8, mlp_width=14_336), 128_256, 8_030_261_248),  # Llama 3 8B
        (gpt2(), 50_257, 124_439_808),  # GPT-2
    ],
)
def test_sizes_are_the_published_ones(model, vocab, published):
    assert model.parameter_count(vocab) == published


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_is_counted_once(name):
    for tied in (True, False):
        model = replace(SMALL[name], tied=tied)
        params = jax.eval_shape(lambda model=model: model.init(KEY, 11, 5))
        assert model.parameter_count(11) == sum(leaf.size for leaf in jax.tree.leaves(params))
        assert ("unembed" in params) != tied


@pytest.mark.parametrize("name", SMALL)
def test_operations_per_token_are_three_forward_passes(name):
    """XLA counts the whole square of attention and what is no matrix product: a little more than a third of ours."""
    model, vocab, length, batch = SMALL[name], 64, 32, 2
    params = jax.eval_shape(lambda: model.init(KEY, vocab, length))
    tokens = jax.ShapeDtypeStruct((batch, length), jnp.int32)
    analysis = jax.jit(model.apply_batch).lower(params, tokens).compile().cost_analysis()
    assert analysis is not None
    counted = analysis["flops"] / (batch * length)
    square = model.layers * 2 * model.query_width * (length - 1)  # the half that is not needed
    ours = model.flops_per_token(vocab, length) / 3 + square
    assert ours < counted < 1.35 * ours
    assert model.flops_per_token(vocab, 33) - model.flops_per_token(vocab, 32) == 6 * model.layers * model.query_width


def test_what_writes_to_the_stream_starts_smaller_in_gpt2():
    params = gpt2(64, 8, 4, max_positions=64).init(KEY, 200, 5)
    block = params["blocks"]["layer3"]
    for table in (params["embed"], params["positions"], block["attention"]["query"], block["mlp"]["up"]):
        assert abs(float(jnp.std(table)) / 0.02 - 1) < 0.05
    for table in (block["attention"]["out"], block["mlp"]["down"]):
        assert abs(float(jnp.std(table)) / (0.02 / 4) - 1) < 0.05
    for name, part in (("attention", "out_bias"), ("mlp", "up_bias"), ("mlp_norm", "bias"), ("attention", "key_bias")):
        assert not np.any(block[name][part])
    assert np.all(np.asarray(block["mlp_norm"]["gain"]) == 1)


def test_a_table_of_positions_ends():
    model = gpt2(8, 1, 2, max_positions=4)
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), jax.eval_shape(lambda: model.init(KEY, 5, 4)))
    for call in (
        lambda: model.apply(params, jnp.zeros(5, int)),
        lambda: model.apply_batch(params, jnp.zeros((1, 5), int)),
        lambda: model.init(KEY, 5, 5),
    ):
        with pytest.raises(ValueError, match="length: 5 tokens, but max_positions is 4"):
            call()


def test_scaling_leaves_fast_units_and_slows_slow_ones():
    scaling = RotaryScaling(8.0, 1.0, 4.0, 8192)
    plain, scaled = frequencies(64, 500_000.0), frequencies(64, 500_000.0, scaling)
    turns = 8192 * plain / (2 * np.pi)
    np.testing.assert_array_equal(scaled[turns > 4], plain[turns > 4])
    np.testing.assert_allclose(scaled[turns < 1], plain[turns < 1] / 8, rtol=1e-15)
    between = (turns > 1) & (turns < 4)
    assert (
        between.sum() > 1 and np.all(scaled[between] < plain[between]) and np.all(scaled[between] > plain[between] / 8)
    )
    assert np.all(np.diff(scaled) < 0)


def test_scalings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="rotary_scaling"):
        RotaryScaling(low=4.0, high=1.0)


def test_a_family_is_a_decoder_with_its_switches():
    assert llama(32, 2, 4, None, 64, max_positions=2048, norm_floor=1e-6) == Decoder()
