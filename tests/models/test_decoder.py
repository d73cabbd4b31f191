"""The decoder: what its layers are, what each position sees, and its edge as a plain function of plain dicts."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxembed as je
from jaxembed.models import Decoder
from jaxembed.models.rotary import rotate

SMALL = Decoder(width=8, layers=2, heads=2, hidden=6, init_scale=0.4)
TOKENS = jnp.array([3, 0, 5, 2, 0])


@pytest.fixture(scope="module")
def params():
    return drawn(SMALL, 0)


def drawn(model, seed, vocab=7):
    return jax.jit(model.init, static_argnums=(1, 2))(jax.random.key(seed), vocab, 5)


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
    model = Decoder(8, 2, 2, 6, tied=tied, init_scale=0.4)
    params = drawn(model, 1)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(leaf), params)  # gains that differ from 1
    np.testing.assert_allclose(
        jax.jit(model.apply)(params, TOKENS), by_hand(host(params), TOKENS), rtol=0, atol=100 * tolerance
    )


def test_parameters_are_a_plain_nested_dict_of_the_asked_scale():
    model = Decoder(64, 1, 4, 96, init_scale=0.02)
    params = model.init(jax.random.key(0), 50, 9)
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


def test_no_position_sees_a_later_one(params):
    """By gradient: logits at i do not move with the embedding of the token at j > i, and do with j <= i."""

    def logits(rows):
        return SMALL.apply({**params, "embed": rows}, jnp.arange(5))  # one row for each position

    slopes = np.abs(jax.jit(jax.jacobian(logits))(params["embed"])).sum(axis=(1, 3))[:, :5]
    assert np.all(np.triu(slopes, 1) == 0)
    assert np.all(slopes[np.tril_indices(5)] > 1e-6)


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
    tied, free = (Decoder(8, 1, 2, 6, tied=t, init_scale=0.4) for t in (True, False))
    params = drawn(tied, 0)
    assert "unembed" not in params
    np.testing.assert_allclose(
        tied.apply(params, TOKENS),
        free.apply({**params, "unembed": params["embed"]}, TOKENS),
        rtol=tolerance,
        atol=tolerance,
    )
    assert np.abs(tied.apply(params, TOKENS) - free.apply(drawn(free, 1), TOKENS)).max() > 1e-2


def test_lanes_and_jit_agree_with_one_sequence(params, tolerance):
    pair = jnp.stack([TOKENS, TOKENS[::-1]])
    lanes = jax.jit(jax.vmap(SMALL.apply, (None, 0)))(params, pair)
    np.testing.assert_allclose(lanes[0], SMALL.apply(params, TOKENS), rtol=0, atol=10 * tolerance)


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


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"width": 6, "heads": 2}, "heads"),
        ({"layers": 0}, "layers"),
        ({"init_scale": 0.0}, "init_scale"),
        ({"norm_floor": float("nan")}, "norm_floor"),
    ],
)
def test_settings_that_make_no_decoder_are_refused(settings, word):
    with pytest.raises(ValueError, match=word):
        Decoder(**settings)


def test_flax_is_loaded_only_by_a_decoder_in_use():
    code = "import sys; from jaxembed.models import Decoder; Decoder(); print('flax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"
