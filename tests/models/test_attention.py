"""Causal attention: every way to compute it gives the textbook formula's numbers, and none looks ahead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.models.attention import MOST_BLOCKS, causal_attention, in_blocks


def drawn(length, heads=4, key_heads=2, width=6, examples=2, dtype=float):
    rng = np.random.default_rng(length)
    shapes = [(examples, length, count, width) for count in (heads, key_heads, key_heads)]
    return tuple(jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)


def by_hand(query, key, value):
    """One example, head and position after the other, in float64."""
    query, key, value = (np.asarray(part, np.float64) for part in (query, key, value))
    group = query.shape[2] // key.shape[2]
    mixed = np.zeros_like(query)
    for example, position, head in np.ndindex(query.shape[:3]):
        keys, values = (part[example, : position + 1, head // group] for part in (key, value))
        odds = np.exp(keys @ query[example, position, head] / np.sqrt(query.shape[3]))
        mixed[example, position, head] = odds @ values / odds.sum()
    return mixed


@pytest.mark.parametrize(("block", "key_heads"), [(None, 2), (1, 2), (3, 1), (3, 2), (3, 4), (7, 2), (20, 2)])
def test_blocks_of_any_size_give_the_formula(block, key_heads, tolerance):
    parts = drawn(7, key_heads=key_heads)
    mixed = jax.jit(in_blocks, static_argnames="block")(*parts, block=block)
    np.testing.assert_allclose(mixed, by_hand(*parts), rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("length", [1, 65, 130])
def test_the_chosen_way_gives_the_formula(length, tolerance):
    parts = drawn(length, examples=1)
    np.testing.assert_allclose(jax.jit(causal_attention)(*parts), by_hand(*parts), rtol=0, atol=10 * tolerance)


def test_agrees_with_the_fused_kernel():
    parts = drawn(80, dtype=np.float32)
    fused = jax.nn.dot_product_attention(*parts, is_causal=True)
    np.testing.assert_allclose(jax.jit(causal_attention)(*parts), fused, rtol=0, atol=3e-6)


def test_gradients_do_not_depend_on_the_block(tolerance):
    parts = drawn(7)
    weights = jnp.cos(jnp.arange(parts[0].size, dtype=parts[0].dtype)).reshape(parts[0].shape)

    def slopes(block):
        return jax.jit(jax.grad(lambda *given: jnp.sum(weights * in_blocks(*given, block=block)), (0, 1, 2)))(*parts)

    for one, other in zip(slopes(None), slopes(4), strict=True):
        assert np.abs(one).max() > 0.1
        np.testing.assert_allclose(one, other, rtol=0, atol=30 * tolerance)


def test_no_query_sees_a_later_key_or_value():
    """Exactly zero, across block borders and inside a block; what lies in the past does move the result."""
    query, key, value = drawn(11, examples=1)

    def last_of_seven(key, value):
        return jnp.sum(jnp.sin(in_blocks(query, key, value, block=4)[:, 6]))

    for slope in jax.jit(jax.grad(last_of_seven, (0, 1)))(key, value):
        by_position = np.abs(slope).sum(axis=(0, 2, 3))
        assert np.all(by_position[7:] == 0) and np.all(by_position[:7] > 1e-6)


def test_large_scores_do_not_overflow():
    query, key, value = drawn(9)
    assert np.all(np.isfinite(jax.jit(causal_attention)(1e4 * query, 1e4 * key, value)))


def test_half_precision_keeps_its_dtype_and_a_wide_softmax():
    parts = drawn(70, dtype=jnp.bfloat16)
    mixed = in_blocks(*parts, block=64)
    assert mixed.dtype == jnp.bfloat16
    np.testing.assert_allclose(mixed.astype(float), by_hand(*parts), rtol=0, atol=0.05)


def test_a_long_sequence_is_taken_in_a_bounded_number_of_blocks():
    shape = jax.ShapeDtypeStruct((1, 64 * MOST_BLOCKS * 3 + 1, 1, 2), jnp.float32)
    text = jax.jit(causal_attention).lower(shape, shape, shape).as_text()
    assert 1 < text.count("stablehlo.dot_general") <= 2 * MOST_BLOCKS


def test_the_upper_triangle_is_skipped():
    shape = jax.ShapeDtypeStruct((1, 512, 2, 16), jnp.float32)

    def operations(block):
        done = jax.jit(lambda *parts: in_blocks(*parts, block=block)).lower(shape, shape, shape).cost_analysis()
        return done["flops"]

    assert operations(64) < 0.65 * operations(None)


def test_taylor_mode_passes(tolerance):
    from jax.experimental import jet

    parts = drawn(6, examples=1)
    steps = tuple(jnp.cos(part) for part in parts)

    def moved(t):
        return in_blocks(*(part + t * step for part, step in zip(parts, steps, strict=True)))

    def second_term():
        series = [[step, jnp.zeros_like(step)] for step in steps]
        return jet.jet(in_blocks, parts, series)[1][1]

    np.testing.assert_allclose(
        jax.jit(second_term)(),
        jax.jit(jax.jacfwd(jax.jacfwd(moved)))(jnp.zeros(())),
        rtol=0,
        atol=100 * tolerance,
    )
