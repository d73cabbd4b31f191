"""The decoder: what its layers are, what each position sees, and its edge as a plain function of plain dicts."""

import functools
import itertools
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import jet

import jaxembed as je
from jaxembed.models import Decoder, RotaryScaling, gpt2, llama, qwen2
from jaxembed.models.rotary import rotate

SMALL = Decoder(width=8, layers=2, heads=2, mlp_width=6, init_scale=0.4)
TOKENS = jnp.array([3, 0, 5, 2, 0])
STRETCHED = RotaryScaling(4.0, 1.0, 4.0, 8)
FAMILIES = {
    "qwen2": qwen2(8, 1, 2, 1, 6),
    "llama": llama(8, 1, 4, 2, 6, rotary_scaling=STRETCHED, head_width=6),
    "gpt2": gpt2(8, 1, 2, 6, max_positions=6),
}
BATCH = jnp.stack([TOKENS, TOKENS[::-1], (TOKENS + 1) % 7])


@pytest.fixture(scope="module")
def params():
    return of_scale(SMALL)


def drawn(model, seed, vocab=7):
    return jax.jit(model.init, static_argnums=(1, 2))(jax.random.key(seed), vocab, 5)


@functools.cache
def of_scale(model, vocab=7, scale=0.4):
    """Random parameters without compiling: gains that differ from 1, biases that differ from 0."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), vocab, 5))

    def fill(path, leaf):
        ones = np.ones if "gain" in jax.tree_util.keystr(path) else np.zeros
        return jnp.asarray(ones(leaf.shape) + scale * rng.normal(size=leaf.shape), float)

    return jax.tree_util.tree_map_with_path(fill, shapes)


@functools.cache
def on_batch(model):
    return jax.jit(model.apply_batch)


def host(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def normalised(x, gain):
    return x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-6) * gain


def turned(x, base=10_000.0):
    """Rotary positions as products of complex numbers, one head `[position, width]`."""
    half = x.shape[1] // 2
    angles = np.arange(len(x))[:, None] * base ** (-np.arange(half) / half)
    z = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * angles)
    return np.concatenate([z.real, z.imag], axis=1)


def by_hand(p, tokens, heads=2):
    x = p["embed"][np.asarray(tokens)]
    for name in sorted(p["blocks"]):
        block = p["blocks"][name]
        h, weights = normalised(x, block["attention_norm"]["gain"]), block["attention"]
        parts = [np.split(h @ weights[which], heads, axis=1) for which in ("query", "key", "value")]
        mixed = []
        for query, key, value in zip(*parts, strict=True):
            scores = turned(query) @ turned(key).T / np.sqrt(query.shape[1])
            odds = np.tril(np.exp(scores))
            mixed.append(odds / odds.sum(axis=1, keepdims=True) @ value)
        x = x + np.concatenate(mixed, axis=1) @ weights["out"]
        h, mlp = normalised(x, block["mlp_norm"]["gain"]), block["mlp"]
        gate = h @ mlp["gate"]
        x = x + (gate / (1 + np.exp(-gate)) * (h @ mlp["up"])) @ mlp["down"]
    return normalised(x, p["norm"]["gain"]) @ p.get("unembed", p["embed"]).T


@pytest.mark.parametrize("tied", [False, True])
def test_logits_by_hand(tied, tolerance):
    model = Decoder(8, 2, 2, 6, tied=tied)
    params = of_scale(model)
    np.testing.assert_allclose(
        jax.jit(model.apply)(params, TOKENS), by_hand(host(params), TOKENS), rtol=0, atol=100 * tolerance
    )


def test_parameters_are_a_plain_nested_dict_of_the_asked_scale():
    model = Decoder(64, 1, 4, 96, init_scale=0.02)
    params = drawn(model, 0, vocab=50)
    assert type(params) is dict and set(params) == {"embed", "blocks", "norm", "unembed"}
    assert type(params["blocks"]["layer0"]["mlp"]) is dict
    shapes = {"embed": (50, 64), "unembed": (50, 64)}
    assert {name: params[name].shape for name in shapes} == shapes
    block = params["blocks"]["layer0"]
    assert block["mlp"]["gate"].shape == block["mlp"]["up"].shape == (64, 96) == block["mlp"]["down"].shape[::-1]
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        gain = "gain" in jax.tree_util.keystr(path)
        assert float(jnp.std(leaf)) == 0 if gain else abs(float(jnp.std(leaf)) / 0.02 - 1) < 0.1, path
        assert leaf.dtype == jnp.zeros((), float).dtype
    assert not jnp.array_equal(block["attention"]["query"], block["attention"]["key"])


@pytest.mark.parametrize("name", FAMILIES)
def test_no_position_sees_a_later_one(name):
    """By gradient: logits at i do not move with the embedding of the token at j > i, and do with j <= i."""
    model = replace(FAMILIES[name], tied=False)
    params, places = of_scale(model), jnp.arange(5)  # one row for each position

    def logits(rows):
        full = {**params, "embed": rows}
        return jnp.stack([model.apply(full, places), model.apply_batch(full, places[None])[0]])

    for jacobian in jax.jit(jax.jacrev(logits))(params["embed"]):
        slopes = np.abs(jacobian).sum(axis=(1, 3))[:, :5]
        assert np.all(np.triu(slopes, 1) == 0)
        assert np.all(slopes[np.tril_indices(5)] > 1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_one_sequence_is_a_row_of_the_batch(name, tolerance):
    model = FAMILIES[name]
    rows, apply = on_batch(model)(of_scale(model), BATCH), jax.jit(model.apply)
    for tokens, row in zip(BATCH, rows, strict=True):
        np.testing.assert_allclose(apply(of_scale(model), tokens), row, rtol=0, atol=100 * tolerance)


@pytest.mark.parametrize("name", FAMILIES)
def test_states_lead_from_the_embedding_to_what_the_head_reads(name, tolerance):
    model = FAMILIES[name]
    params = of_scale(model)
    states, hidden = jax.jit(lambda p: (model.states(p, BATCH), model.hidden(p, BATCH)))(params)
    assert states.shape == (model.layers + 2, 3, 5, 8) and hidden.shape == (3, 5, 8)
    start = params["embed"][BATCH] + (params["positions"][None, :5] if name == "gpt2" else 0.0)
    np.testing.assert_allclose(states[0], start, rtol=tolerance)
    np.testing.assert_array_equal(states[-1], hidden)
    head = params.get("unembed", params["embed"])
    np.testing.assert_allclose(hidden @ head.T, on_batch(model)(params, BATCH), rtol=0, atol=100 * tolerance)
    assert all(np.abs(one - other).max() > 0.1 for one, other in itertools.pairwise(states))


@pytest.mark.parametrize("name", FAMILIES)
def test_new_names_for_tokens_permute_the_logits(name, tolerance):
    model, renamed = FAMILIES[name], np.random.default_rng(3).permutation(7)
    params, apply = of_scale(model), on_batch(model)
    tables = {name: params[name][np.argsort(renamed)] for name in ("embed", "unembed") if name in params}
    one, other = apply(params, BATCH), apply({**params, **tables}, jnp.asarray(renamed)[BATCH])
    np.testing.assert_allclose(other[:, :, renamed], one, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize(("name", "dtype"), [("qwen2", "float32"), ("llama", "bfloat16"), ("gpt2", "bfloat16")])
def test_parameters_decide_the_dtype(name, dtype):
    """Also in a float64 process; half precision keeps means, softmax and logits in float32 and stays close."""
    model, params = FAMILIES[name], of_scale(FAMILIES[name])
    narrow = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    hidden, one = (jax.eval_shape(part, narrow, at) for part, at in ((model.hidden, BATCH), (model.apply, TOKENS)))
    assert hidden.dtype == dtype and one.dtype == "float32"
    logits, back = jax.vjp(lambda p: on_batch(model)(p, BATCH), narrow)
    assert logits.dtype == "float32"
    (slopes,) = back(jnp.ones_like(logits))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(slopes)} == {dtype}
    exact = on_batch(model)(params, BATCH)
    logits, exact = np.asarray(logits, np.float64), np.asarray(exact, np.float64)
    assert np.abs(logits - exact).max() < (1e-5 if dtype == "float32" else 0.1) * np.abs(exact).max()


@pytest.mark.parametrize("name", FAMILIES)
def test_biases_gains_and_grouped_heads_act(name):
    """Every parameter moves the logits, but for the bias of the keys, which softmax does not see unless it turns."""
    model = FAMILIES[name]
    slopes = jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(model.apply(p, TOKENS)))))(of_scale(model))
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        unseen = name == "gpt2" and "key_bias" in jax.tree_util.keystr(path)
        assert np.abs(slope).max() < 1e-5 if unseen else np.abs(slope).max() > 1e-4, jax.tree_util.keystr(path)


def test_rotary_products_see_the_distance_only(tolerance):
    rng = np.random.default_rng(0)
    query, key = (jnp.asarray(rng.normal(size=(1, 2, 6)), dtype=float) for _ in range(2))

    def product(i, j):
        return jnp.sum(rotate(query, np.array([i]), 100.0) * rotate(key, np.array([j]), 100.0), axis=(0, 2))

    np.testing.assert_allclose(product(9, 4), product(5, 0), rtol=0, atol=100 * tolerance)
    assert np.abs(product(9, 4) - product(9, 5)).max() > 1e-2
    np.testing.assert_allclose(
        jnp.sum(rotate(query, np.array([7]), 100.0) ** 2), jnp.sum(query**2), rtol=10 * tolerance
    )


def test_the_order_of_the_past_matters_to_the_last_position(params):
    apply = jax.jit(SMALL.apply)
    one, other = (apply(params, jnp.array(tokens))[-1] for tokens in ([1, 2, 3], [2, 1, 3]))
    assert np.abs(one - other).max() > 1e-3


def test_a_tied_head_is_the_embedding(tolerance):
    tied, free = (Decoder(8, 1, 2, 6, tied=t) for t in (True, False))
    params, apart = of_scale(tied), of_scale(free)
    assert "unembed" not in params and "unembed" in apart
    own, given = on_batch(tied)(params, BATCH), on_batch(free)({**params, "unembed": params["embed"]}, BATCH)
    np.testing.assert_allclose(own, given, rtol=tolerance, atol=tolerance)
    assert np.abs(own - on_batch(free)({**params, "unembed": apart["unembed"]}, BATCH)).max() > 1e-2


def test_lanes_and_jit_agree_with_one_sequence(params, tolerance):
    pair = jnp.stack([TOKENS, TOKENS[::-1]])
    lanes = jax.jit(jax.vmap(SMALL.apply, (None, 0)))(params, pair)
    np.testing.assert_allclose(lanes[0], jax.jit(SMALL.apply)(params, TOKENS), rtol=0, atol=10 * tolerance)


def test_learns_a_cycle():
    """Each token is followed by the next of five: the loss can reach 0, and a frozen embedding's start is ln 5."""
    model = Decoder(8, 1, 2, 8, init_scale=0.3)
    loss = je.sequence_loss(model, np.array([[(start + i) % 5 for i in range(5)] for start in range(5)]), 5)
    params = drawn(model, 0, vocab=5)
    step = jax.jit(lambda p: jax.tree.map(lambda x, g: x - 0.3 * g, p, jax.grad(loss)(p)))
    value = jax.jit(lambda p: loss(p))
    before = float(value(params))
    for _ in range(60):
        params = step(params)
    assert float(value(params)) < 0.2 < before


@pytest.mark.slow
@pytest.mark.float64_only("Taylor mode is compared to rounding")
def test_taylor_mode_passes_through_gpt2():
    """Second derivative along a line, of a loss: by nested jvp and by jet."""
    model = gpt2(4, 1, 2, 4, max_positions=5)
    leaves, tree = jax.tree.flatten(of_scale(model, vocab=5))
    along = tuple(jnp.sin(leaf) for leaf in leaves)

    def loss(*at):
        return jnp.sum(jax.nn.log_softmax(model.apply(tree.unflatten(at), TOKENS[:3] % 5))[:, 0])

    def nested(*at):
        return jax.jvp(lambda *near: jax.jvp(loss, near, along)[1], at, along)[1]

    series = [[way, jnp.zeros_like(way)] for way in along]
    _, (_, second) = jax.jit(lambda at, series: jet.jet(loss, at, series))(leaves, series)
    expected = float(jax.jit(nested)(*leaves))
    assert abs(expected) > 1e-3 and abs(float(second) - expected) < 1e-12 * abs(expected)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"width": 6, "heads": 2}, "heads"),
        ({"layers": 0}, "layers"),
        ({"init_scale": 0.0}, "init_scale"),
        ({"norm_floor": float("nan")}, "norm_floor"),
        ({"kv_heads": 3}, "kv_heads"),
        ({"head_width": 3}, "heads: rotary heads need an even number"),
        ({"max_positions": 0}, "max_positions"),
    ],
)
def test_settings_that_make_no_decoder_are_refused(settings, word):
    with pytest.raises(ValueError, match=word):
        Decoder(**settings)


def test_flax_and_hugging_face_folders_are_loaded_only_in_use():
    late = {"flax", "safetensors", "jaxembed.models.hugging_face"}
    code = f"import sys; from jaxembed.models import Decoder; Decoder(); print({late} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "set()"
