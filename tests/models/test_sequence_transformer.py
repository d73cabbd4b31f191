"""Transformers and recurrent networks over tokens and reals: sizes, causality, masks, dropout, bad settings."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.models import Recurrent, SequenceTransformer
from jaxembed.models import attention as room
from jaxembed.models._sequence_module import Dropout, sinusoids
from jaxembed.models.attention import attention, in_blocks

PUBLISHED = SequenceTransformer(norm="post", dropout=0.1)
SMALL = SequenceTransformer(width=8, layers=2, heads=2, mlp_width=6)
REALS = replace(SMALL, reads="reals")
IDS = jnp.array([[0, 1, 2, 1, 0], [2, 2, 0, 1, 1]])
VECTORS = jnp.sin(jnp.arange(20, dtype=float).reshape(2, 5, 2))


def drawn(model, size, outputs=3):
    """Parameters of the right shapes, drawn without compiling anything."""
    rng, shapes = np.random.default_rng(0), jax.eval_shape(lambda: model.init(jax.random.key(0), size, outputs))
    return jax.tree.map(lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), leaf.dtype), shapes)


@pytest.mark.parametrize(
    ("reads", "size", "outputs", "layers", "count"),
    [
        ("reals", 1, 1, 3, 299_137),
        ("tokens", 2, 2, 3, 299_266),
        ("tokens", 64, 64, 3, 315_200),
        ("reals", 2, 2, 3, 299_394),
        ("tokens", 1000, 1000, 4, 655_336),
    ],
)
def test_the_published_networks_have_the_published_sizes(reads, size, outputs, layers, count):
    assert replace(PUBLISHED, reads=reads, layers=layers).parameter_count(size, outputs) == count


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_one_layer_is_the_formula(norm, tolerance):
    model = replace(SMALL, layers=1, norm=norm)
    params = drawn(model, 3)
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    block = p["blocks"]["layer0"]
    x = p["embed"][np.asarray(IDS[0])] * np.sqrt(8) + sinusoids(5, 8)
    if norm == "pre":
        x = x + affine(block["out"], mixed(affine(block["mix"], normed(x, block["attention_norm"]))))
        x = x + thought(normed(x, block["mlp_norm"]), block)
        x = normed(x, p["norm"])
    else:
        x = normed(x + affine(block["out"], mixed(affine(block["mix"], x))), block["attention_norm"])
        x = normed(x + thought(x, block), block["mlp_norm"])
    answers = x @ p["head"] + p["head_bias"]
    np.testing.assert_allclose(jax.jit(model.outputs)(params, IDS)[0], answers, rtol=0, atol=100 * tolerance)


def normed(x, part):
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * part["gain"] + part["bias"]


def affine(part, x):
    return x @ part["matrix"] + part["bias"]


def thought(x, block):
    return affine(block["down"], np.maximum(affine(block["up"], x), 0))


def mixed(parts, heads=2):
    query, key, value = np.split(parts, 3, axis=1)
    out, units = np.zeros_like(query), query.shape[1] // heads
    for head in range(heads):
        columns = slice(head * units, (head + 1) * units)
        for n in range(len(query)):
            odds = np.exp(key[: n + 1, columns] @ query[n, columns] / np.sqrt(units))
            out[n, columns] = odds @ value[: n + 1, columns] / odds.sum()
    return out


@pytest.mark.parametrize("model", [replace(REALS, norm="post", positions="learned"), Recurrent(6, 2, "reals")])
def test_no_answer_depends_on_the_future(model):
    params = drawn(model, 2)
    answers = jax.jit(jax.jacobian(lambda items: jnp.sum(model.outputs(params, items[None])[0], axis=1)))
    slopes = answers(VECTORS[0])
    reach = np.abs(slopes).sum(axis=2)
    assert np.array_equal(reach[np.triu_indices(5, 1)], np.zeros(10)), (
        "a gradient from the future that is not exactly 0"
    )
    assert (reach[np.tril_indices(5)] > 0).all()


@pytest.mark.parametrize("model", [replace(SMALL, positions="learned", activation="gelu"), Recurrent(6, 2)])
def test_states_run_from_the_embedding_to_what_the_head_reads(model):
    params = drawn(model, 3)
    states, answers = jax.jit(lambda p: (model.states(p, IDS), model.outputs(p, IDS)))(params)
    assert states.shape == (model.layers + 2, 2, 5, model.width)
    head = np.asarray(states[-1]) @ np.asarray(params["head"]) + np.asarray(params["head_bias"])
    np.testing.assert_allclose(answers, head, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reads", ["tokens", "reals"])
def test_a_masked_item_is_hidden_and_the_others_are_seen(reads):
    model = replace(SMALL, causal=False, reads=reads)
    items, other = (IDS, IDS.at[0, 1].set(0)) if reads == "tokens" else (VECTORS, VECTORS.at[0, 1].add(1.0))
    size = 3 if reads == "tokens" else 2
    params = drawn(model, size)
    assert params["embed"].shape[0] == size + 1
    masked = jnp.zeros((2, 5), bool).at[0, 1].set(True)
    answers = jax.jit(lambda items, masked: model.outputs(params, items, None, masked))
    assert np.array_equal(*(answers(x, masked) for x in (items, other)))
    seen = [answers(x, jnp.roll(masked, 1, axis=1)) for x in (items, other)]
    assert (np.abs(seen[0] - seen[1])[0].sum(axis=1) > 0).all(), "positions before the change have to see it too"


def test_dropout_needs_a_key_and_keeps_the_mean():
    model = replace(SMALL, layers=1, dropout=0.5)
    params = drawn(model, 3)
    answers = jax.jit(model.outputs)
    assert str(jax.make_jaxpr(model.outputs)(params, IDS)) == str(
        jax.make_jaxpr(replace(model, dropout=0.0).outputs)(params, IDS)
    )
    first, again = (answers(params, IDS, jax.random.key(k)) for k in (1, 2))
    assert np.abs(first - again).max() > 0.01
    thinned = np.asarray(jax.jit(lambda x: Dropout(0.25, jax.random.key(0))(x))(jnp.ones(40_000)))
    np.testing.assert_allclose(np.unique(thinned), [0, 4 / 3], rtol=1e-6)
    assert abs(thinned.mean() - 1) < 0.02


def test_attention_to_all_is_the_softmax(tolerance):
    parts = tuple(jnp.asarray(np.random.default_rng(i).normal(size=(1, 70, 2, 4))) for i in range(3))

    @jax.jit
    def both(query, key, value):
        weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) / 2, axis=-1)
        return attention(query, key, value, causal=False), jnp.einsum("bhqk,bkhd->bqhd", weights, value)

    np.testing.assert_allclose(*both(*parts), rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("causal", [True, False])
def test_sequences_taken_a_few_at_a_time_give_the_same_numbers_and_gradients(causal, monkeypatch, tolerance):
    monkeypatch.setattr(room, "CACHE", 2 * 8 * 2 * 5 * 5)  # two sequences of a head each in float64
    parts = tuple(jnp.asarray(np.random.default_rng(i).normal(size=(6, 5, 2, 4))) for i in range(3))

    def squared(way):
        return jax.value_and_grad(lambda *given: jnp.sum(jnp.square(way(*given, causal=causal))), (0, 1, 2))

    grouped = squared(attention)
    assert "scan" in str(jax.make_jaxpr(grouped)(*parts)), "the sequences were taken all at once"
    for one, other in zip(
        *(jax.tree.leaves(jax.jit(way)(*parts)) for way in (grouped, squared(in_blocks))), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=1000 * tolerance)


def test_parameters_and_answers_keep_the_dtype_asked_for():
    for model, items in ((SMALL, IDS), (REALS, VECTORS), (Recurrent(6), IDS)):
        size = 3 if model.reads == "tokens" else 2
        shapes = jax.eval_shape(lambda key, m=model, n=size: m.init(key, n, 3, jnp.float32), jax.random.key(0))
        assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
        assert jax.eval_shape(model.outputs, shapes, items).dtype == jnp.float32


def test_the_recurrent_state_is_the_gated_unit(tolerance):
    model = Recurrent(3)
    params = drawn(model, 3)
    cell = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["cells"]["layer0"])
    state, squash = np.zeros(3), lambda x: 1 / (1 + np.exp(-x))
    for item in np.asarray(IDS[0]):
        x = np.asarray(params["embed"], np.float64)[item] @ cell["dense_i"]["kernel"] + cell["dense_i"]["bias"]
        reset_x, update_x, new_x = np.split(x, 3)
        reset_h, update_h, new_h = np.split(state @ cell["dense_h"]["kernel"], 3)
        update = squash(update_x + update_h)
        state = (1 - update) * np.tanh(new_x + squash(reset_x + reset_h) * new_h) + update * state
    np.testing.assert_allclose(jax.jit(model.states)(params, IDS)[-1, 0, -1], state, rtol=0, atol=100 * tolerance)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"width": 0}, "width: must be at least 1"),
        ({"heads": 3}, "heads: 3 heads cannot share width 8 evenly"),
        ({"width": 9, "heads": 3}, "width: sinusoidal positions need an even width"),
        ({"dropout": 1.0}, "dropout: must be at least 0 and below 1"),
    ],
)
def test_bad_settings_are_one_line(changes, line):
    with pytest.raises(ValueError, match=line):
        replace(SMALL, **changes)


def test_a_sequence_longer_than_the_table_of_positions_is_one_line():
    model = replace(SMALL, max_positions=4)
    params = drawn(model, 3)
    with pytest.raises(ValueError, match="length: 5 items, but max_positions is 4; cut or raise it"):
        model.outputs(params, IDS)
    with pytest.raises(ValueError, match="masked: a causal model has no mask"):
        SMALL.outputs(params, IDS[:, :4], None, jnp.zeros((2, 4), bool))
