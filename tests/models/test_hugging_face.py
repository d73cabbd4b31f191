"""Hugging Face folders: the same logits and the same bits as the reference, and errors that say what to do."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.models import Decoder, RotaryScaling, _safetensors, gpt2, llama, qwen2
from jaxembed.models._hugging_face_config import FIELDS, ROPE
from jaxembed.models.hugging_face import decoder_of, read_model, write_model

pytest.importorskip("safetensors")

VOCAB = 37
TOKENS = np.random.default_rng(0).integers(VOCAB, size=(3, 24))
STRETCHED = RotaryScaling(8.0, 1.0, 4.0, 16)
MODELS = {
    "qwen2": qwen2(16, 2, 4, 2, 24, tied=False, max_positions=64),
    "qwen2, tied": qwen2(16, 2, 4, 2, 24, max_positions=64),
    "llama 2": llama(16, 2, 4, None, 24, max_positions=64),
    "llama 2, tied": llama(16, 2, 4, None, 24, tied=True, max_positions=64),
    "llama 3": llama(16, 2, 4, 2, 24, rotary_base=5e3, rotary_scaling=STRETCHED, head_width=6, max_positions=64),
    "llama 3, tied": llama(16, 2, 4, 1, 24, tied=True, rotary_base=5e3, rotary_scaling=STRETCHED, max_positions=64),
    "gpt2": gpt2(16, 2, 4, max_positions=64),
    "gpt2, untied": gpt2(16, 2, 4, 20, tied=False, max_positions=64),
}
SHAPE = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24)
GPT2_SHAPE = dict(n_embd=16, n_layer=2, n_head=4, n_positions=64)
QWEN2_ROPE, LLAMA_ROPE = ({"rope_type": "default", "rope_theta": base} for base in (1e6, 1e4))
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 5e3,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
PEERS = {
    "qwen2": ("Qwen2", SHAPE | dict(num_key_value_heads=2, rope_parameters=QWEN2_ROPE)),
    "llama 2": ("Llama", SHAPE | dict(rms_norm_eps=1e-5, rope_parameters=LLAMA_ROPE)),
    "llama 3": (
        "Llama",
        SHAPE | dict(rms_norm_eps=1e-5, num_key_value_heads=2, head_dim=6, rope_parameters=LLAMA3_ROPE),
    ),
    "llama 3, tied": ("Llama", SHAPE | dict(rms_norm_eps=1e-5, num_key_value_heads=1, rope_parameters=LLAMA3_ROPE)),
    "gpt2": ("GPT2", GPT2_SHAPE),
    "gpt2, untied": ("GPT2", GPT2_SHAPE | dict(n_inner=20)),
}
GOLDEN = {
    "qwen2": [-0.8459898, -0.6170909, 0.7668326, 0.3660585],
    "llama 3": [-0.4935352, -0.1090220, -0.1814052, 0.1232077],
    "gpt2": [-0.5310619, 0.0770912, 0.2807720, -0.5865472],
}
"""Logits of tokens 0 to 3 behind the first row of TOKENS, with the parameters of `filled`."""
float64_only = pytest.mark.float64_only("parity with the reference is measured in float64")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def transformers(torch):
    module = pytest.importorskip("transformers")
    module.utils.logging.disable_progress_bar()
    return module


@pytest.fixture(scope="module")
def peer(torch, transformers):
    """A model of the reference by name, in float64, every parameter (biases and gains too) moved at random."""

    @functools.cache
    def build(name):
        family, settings = PEERS.get(name, PEERS[name.split(",")[0]])
        config = getattr(transformers, f"{family}Config")(
            vocab_size=VOCAB,
            max_position_embeddings=64,
            tie_word_embeddings=MODELS[name].tied,
            bos_token_id=None,
            eos_token_id=None,
            **settings,
        )
        torch.manual_seed(0)
        head = "GPT2LMHeadModel" if family == "GPT2" else f"{family}ForCausalLM"
        model = getattr(transformers, head)(config).to(torch.float64).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
            # Gains of either sign, or a tied head would name the last token again for ever.
            last = model.transformer.ln_f if family == "GPT2" else model.model.norm
            last.weight.mul_(torch.sign(torch.randn_like(last.weight)))
        return model

    return build


def their_logits(torch, model, tokens):
    with torch.no_grad():
        return model(torch.as_tensor(np.asarray(tokens))).logits.numpy()


def stored(folder):
    """Every tensor by name: dtype, shape and bytes."""
    from safetensors import safe_open

    found = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118, a handle, not a dict
                tensor = file.get_tensor(name)
                found[name] = (tensor.dtype.name, tensor.shape, tensor.tobytes())
    return found


def quick(*names):
    """All models, those not named as slow tests: each costs seconds of compilation."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


@float64_only
@pytest.mark.parametrize("name", quick("qwen2, tied", "gpt2"))
def test_logits_and_greedy_tokens_of_the_reference(name, torch, peer, tmp_path):
    """The reference has norms and rotary angles of Qwen2 and Llama in float32; without that both agree to 1e-14."""
    peer(name).save_pretrained(tmp_path)
    model, params = read_model(tmp_path, dtype=None)
    assert model == MODELS[name]
    theirs = their_logits(torch, peer(name), TOKENS)
    apply = jax.jit(model.apply_batch)
    ours = np.asarray(apply(params, jnp.asarray(TOKENS)))
    assert ours.dtype == np.float64 and theirs.std() > 0.1
    assert np.abs(ours - theirs).max() < (1e-12 if "gpt2" in name else 1e-6)
    chosen = greedy(lambda tokens: np.asarray(apply(params, jnp.asarray(tokens))))
    np.testing.assert_array_equal(chosen, greedy(lambda tokens: their_logits(torch, peer(name), tokens)))
    assert all(len(np.unique(row)) > 1 for row in chosen[:, 4:])


def greedy(logits, start=4):
    """20 tokens after the first 4, on a table of fixed size: later places hold zeros, which no logits may see."""
    tokens = np.zeros_like(TOKENS)
    tokens[:, :start] = TOKENS[:, :start]
    for i in range(start, tokens.shape[1]):
        tokens[:, i] = logits(tokens)[:, i - 1].argmax(axis=-1)
    return tokens


@float64_only
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", quick("qwen2", "llama 3, tied", "gpt2"))
def test_a_folder_of_the_reference_comes_back_bit_for_bit(name, dtype, torch, peer, tmp_path):
    copy = type(peer(name))(peer(name).config).to(getattr(torch, dtype))
    copy.load_state_dict(peer(name).state_dict())
    copy.save_pretrained(tmp_path / "theirs")
    model, params = read_model(tmp_path / "theirs", dtype=None)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {dtype}
    write_model(tmp_path / "ours", model, params)
    assert stored(tmp_path / "ours") == stored(tmp_path / "theirs")
    theirs, ours = (json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("theirs", "ours"))
    assert ours["dtype"] == dtype and ours["architectures"] == theirs["architectures"]
    assert {key: ours[key] for key in theirs if key in ours} == {key: theirs[key] for key in theirs if key in ours}


@float64_only
@pytest.mark.parametrize("name", quick("llama 3, tied"))
def test_the_reference_loads_our_folder(name, torch, transformers, tmp_path):
    model, params = MODELS[name], filled(MODELS[name])
    write_model(tmp_path, model, params)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert theirs.dtype == torch.float64 and type(theirs).__name__.startswith(PEERS[name.split(",")[0]][0])
    ours = jax.jit(model.apply_batch)(params, jnp.asarray(TOKENS))
    assert np.abs(their_logits(torch, theirs, TOKENS) - ours).max() < 1e-6
    assert model.parameter_count(VOCAB) == theirs.num_parameters()


def filled(model, vocab=VOCAB):
    """Parameters from a formula, the same on every machine: gains near 1, all else of scale 0.2."""
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), vocab, 1))
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)

    def fill(i, path, leaf):
        waves = 0.2 * np.sin(1.0 + i + 1.7 * np.arange(leaf.size) ** 1.3).reshape(leaf.shape)
        return jnp.asarray(1 + waves if "gain" in jax.tree_util.keystr(path) else waves, float)

    return tree.unflatten([fill(i, path, leaf) for i, (path, leaf) in enumerate(leaves)])


@pytest.mark.parametrize("name", GOLDEN)
def test_the_recorded_logits_of_the_reference(name, tolerance):
    """Written down from transformers 5.23 in float64: what holds where it is not installed."""
    logits = jax.jit(MODELS[name].apply_batch)(filled(MODELS[name]), jnp.asarray(TOKENS[:1]))
    np.testing.assert_allclose(logits[0, -1, :4], GOLDEN[name], rtol=0, atol=max(1e-6, 30 * tolerance))


@pytest.mark.parametrize("name", ["qwen2", "llama 3"])
def test_old_config_names_say_the_same(name, tmp_path):
    write_model(tmp_path, MODELS[name], filled(MODELS[name]))
    config = json.loads((tmp_path / "config.json").read_text())
    old = {key: value for key, value in config.items() if key not in ("rope_parameters", "dtype")}
    new = {key: value for key, value in config.items() if key not in ("rope_scaling", "rope_theta", "torch_dtype")}
    assert decoder_of(old) == decoder_of(new) == decoder_of(config) == MODELS[name]
    if name == "llama 3":
        older = old["rope_scaling"] | {"type": old["rope_scaling"]["rope_type"]}
        del older["rope_type"]
        assert decoder_of(old | {"rope_scaling": older}) == MODELS[name]


def test_gpt2_may_use_the_names_of_the_others():
    ours = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64)
    assert (
        decoder_of({"model_type": "gpt2"} | ours) == decoder_of({"model_type": "gpt2"} | GPT2_SHAPE) == MODELS["gpt2"]
    )


def test_a_published_config_is_read():
    """Llama 3.2 1B and Qwen2.5 0.5B, as their config.json gives them (transformers 4 names)."""
    shape = dict(hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, intermediate_size=8192, head_dim=64)
    rope = {key: value for key, value in LLAMA3_ROPE.items() if key != "rope_theta"}
    rope |= {"factor": 32.0, "original_max_position_embeddings": 8192}
    settings = dict(num_key_value_heads=8, rope_theta=5e5, rope_scaling=rope, tie_word_embeddings=True)
    llama3 = decoder_of({"architectures": ["LlamaForCausalLM"]} | shape | settings)
    assert llama3.parameter_count(128_256) == 1_235_814_400 and llama3.head_width is None
    qwen = dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14, intermediate_size=4864)
    qwen |= dict(num_key_value_heads=2, rope_theta=1e6, tie_word_embeddings=True, sliding_window=32768)
    qwen |= dict(use_sliding_window=False, max_position_embeddings=32768, rms_norm_eps=1e-6, model_type="qwen2")
    assert decoder_of(qwen) == qwen2()


@pytest.fixture
def saved(tmp_path):
    """A folder of ours, small, in float32, and its parameters."""
    model = MODELS["llama 2, tied"]
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), filled(model))
    write_model(tmp_path / "model", model, params)
    return tmp_path / "model", model, params


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_shards_hold_the_same_numbers(saved, tmp_path):
    folder, model, params = saved
    write_model(tmp_path / "shards", model, params, shard_bytes=4000)
    index = json.loads((tmp_path / "shards" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) == len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 3
    assert index["metadata"]["total_size"] == sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    assert stored(tmp_path / "shards") == stored(folder)
    again, back = read_model(tmp_path / "shards")
    assert again == model
    same(back, params)


def test_half_precision_is_read_as_asked(saved, tmp_path):
    _, model, params = saved
    write_model(tmp_path / "half", model, params, dtype="bfloat16")
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    _, wide = read_model(tmp_path / "half")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(wide)} == {"float32"}
    same(wide, jax.tree.map(lambda leaf: leaf.astype(np.float32), half))
    same(read_model(tmp_path / "half", dtype=None)[1], half)


def test_what_goes_with_the_weights(saved, tmp_path):
    folder, model, params = saved
    (tmp_path / "mine.json").write_text("{}")
    more = {"eos_token_id": 7, "hidden_size": 1, "rope_scaling": {"rope_type": "yarn"}}
    write_model(folder, model, params, tokenizer_file=tmp_path / "mine.json", config=more, overwrite=True)
    config = json.loads((folder / "config.json").read_text())
    assert config["eos_token_id"] == 7 and config["bos_token_id"] is None
    assert decoder_of(config) == model
    assert (folder / "tokenizer.json").read_text() == "{}"


def test_buffers_trunks_and_copies_of_a_tied_head_are_understood(saved):
    folder, _, params = saved
    rewrite(folder, lambda t: t | {"lm_head.weight": t["model.embed_tokens.weight"].copy()})
    same(read_model(folder)[1], params)
    rewrite(folder, lambda t: {name.removeprefix("model."): x for name, x in t.items() if "lm_head" not in name})
    rewrite(folder, lambda t: t | {"layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32)})
    same(read_model(folder)[1], params)


def rewrite(folder, change):
    from safetensors.numpy import load_file, save_file

    save_file(change(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def reconfigure(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def unset(folder, name):
    path = folder / "config.json"
    path.write_text(json.dumps({key: x for key, x in json.loads(path.read_text()).items() if key != name}))


def drop(name):
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


NORM = "model.norm.weight"
SIZES = ("hidden_size", "num_hidden_layers", "n_embd", "n_layer", "vocab_size", "num_attention_heads", "n_head")
DAMAGE = {
    "no config": (lambda f: (f / "config.json").unlink(), r"config\.json: no such file"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), r"config\.json: not valid JSON"),
    "a list": (lambda f: (f / "config.json").write_text("[]"), "JSON object"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "neither model.safetensors nor"),
    "pickle": (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), "pytorch_model.bin only"),
    "architecture": (
        lambda f: reconfigure(f, model_type="mamba"),
        "'mamba' cannot be read; supported: Qwen2ForCausalLM, LlamaForCausalLM, GPT2LMHeadModel",
    ),
    "no width": (lambda f: unset(f, "hidden_size"), "has no hidden_size"),
    "no vocabulary": (lambda f: unset(f, "vocab_size"), "has no vocab_size"),
    "null": (lambda f: reconfigure(f, hidden_size=None), "hidden_size must be an integer from 1 to .*, got null"),
    "as text": (lambda f: reconfigure(f, num_attention_heads="4"), "num_attention_heads must be .*, got '4'"),
    "not finite": (lambda f: reconfigure(f, rms_norm_eps=float("nan")), "rms_norm_eps must be a number .*, got NaN"),
    "in a rope": (
        lambda f: reconfigure(f, rope_parameters={"rope_theta": [1]}),
        "rope_parameters: rope_theta must be a number from .*, got a list",
    ),
    "of no heads": (
        lambda f: reconfigure(f, head_dim=None, hidden_size=18),
        r"config\.json: heads: 4 heads cannot share",
    ),
    "not causal": (lambda f: reconfigure(f, is_causal=False), "is_causal False is not supported"),
    "many layers": (
        lambda f: reconfigure(f, num_hidden_layers=9_999),
        "num_hidden_layers is 9999, more than there are",
    ),
    "deep": (
        lambda f: (f / "model.safetensors.index.json").write_text("[" * 50_000 + "]" * 50_000),
        r"index\.json: not valid JSON .nested too deeply",
    ),
    "packed": (lambda f: reconfigure(f, quantization={"bits": 8}), "quantization: quantised weights"),
    "not a number": (
        lambda f: rewrite(f, lambda t: t | {NORM: np.where(np.arange(16) == 3, np.nan, t[NORM])}),
        f"{NORM} holds 1 number.s. that are not finite",
    ),
    "twice": (lambda f: rewrite(f, lambda t: t | {f"_orig_mod.{NORM}": t[NORM]}), f"{NORM} is stored twice"),
    "rope type": (lambda f: reconfigure(f, rope_parameters={"rope_type": "yarn"}), "rope type 'yarn'"),
    "partial rope": (
        lambda f: reconfigure(f, rope_parameters={"rope_type": "default", "partial_rotary_factor": 0.5}),
        "partial_rotary_factor",
    ),
    "window": (lambda f: reconfigure(f, use_sliding_window=True), "sliding-window"),
    "activation": (lambda f: reconfigure(f, hidden_act="relu"), "hidden_act 'relu'"),
    "quantised": (lambda f: reconfigure(f, quantization_config={"bits": 4}), "quantization_config"),
    "integers": (lambda f: rewrite(f, lambda t: t | {NORM: t[NORM].astype(np.int8)}), f"{NORM} holds I8"),
    "missing": (lambda f: rewrite(f, drop(NORM)), f"1 tensor.s. missing: {NORM}"),
    "untied": (lambda f: reconfigure(f, tie_word_embeddings=False), "missing: lm_head.weight"),
    "unexpected": (lambda f: rewrite(f, lambda t: t | {"score.weight": t[NORM]}), "unexpected: .*score.weight"),
    "layers": (lambda f: reconfigure(f, num_hidden_layers=1), "9 tensor.s. unexpected: model.layers.1"),
    "shape": (lambda f: reconfigure(f, vocab_size=40), r"embed_tokens.weight has shape \(37, 16\).*\(40, 16\)"),
    "another head": (
        lambda f: rewrite(f, lambda t: t | {"lm_head.weight": -t["model.embed_tokens.weight"]}),
        "lm_head.weight differs",
    ),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-8]),
        r"model\.safetensors: not a whole safetensors file",
    ),
    "empty": (lambda f: (f / "model.safetensors").write_bytes(b""), "not a whole safetensors file"),
    "no map": (lambda f: (f / "model.safetensors.index.json").write_text("{}"), "no weight_map"),
    "an empty map": (lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {}}'), "map is empty"),
    "a map of numbers": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": 3}}'),
        "weight_map must be an object, each value a text, got an object",
    ),
    "no shard": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "b.safetensors"}}'),
        "b.safetensors: shard is missing",
    ),
    "not in its shard": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model.safetensors"}}'),
        "has no a, though",
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_folder_that_cannot_be_read_is_named_in_one_line(what, saved):
    folder, _, _ = saved
    damage, message = DAMAGE[what]
    damage(folder)
    with pytest.raises(ValueError, match=message) as error:
        read_model(folder)
    assert "\n" not in str(error.value) and str(folder) in str(error.value)


WRONG = [
    None,
    "12",
    "x" * 99,
    [],
    [[1]],
    {},
    {"a": None},
    True,
    float("nan"),
    float("inf"),
    1e30,
    -1,
    0,
    0.5,
    10**400,
    1e9,
]
NESTED = {"rope_parameters": LLAMA3_ROPE, "rope_scaling": LLAMA3_ROPE}


@pytest.mark.parametrize("name", ["qwen2", "llama 3", "gpt2"])
def test_every_field_of_a_config_with_every_wrong_value_is_read_or_one_line(name, tmp_path):
    """Every key that is read, also those that the folder leaves out, and those inside the rope."""
    model = MODELS[name]
    write_model(tmp_path, model, jax.tree.map(lambda leaf: leaf.astype(np.float32), filled(model)))
    config, refused, tried = json.loads((tmp_path / "config.json").read_text()), 0, 0
    changes = [{field: value} for field in {**FIELDS, **config} for value in WRONG]
    changes += [{outer: rope | {field: x}} for outer, rope in NESTED.items() for field in ROPE for x in WRONG]
    for change in changes:
        changed = {**config, **change}
        (field,) = change
        try:
            decoder_of(changed, "config.json")
        except ValueError as error:
            assert str(error).startswith("config.json: ") and "\n" not in str(error), change
            refused += 1
        if field in FIELDS and field in SIZES and change[field] in (10**9, -1, 0.5):
            (tmp_path / "config.json").write_text(json.dumps(changed))
            with pytest.raises(ValueError, match=r"config\.json"):
                read_model(tmp_path)
        tried += 1
    assert tried > 700 and refused > 300


def test_a_number_far_too_large_for_a_config_is_one_line(saved):
    """It is read by no JSON reader of Python either: thousands of digits."""
    folder, _, _ = saved
    (folder / "config.json").write_text('{"model_type": "llama", "hidden_size": ' + "9" * 5000 + "}")
    with pytest.raises(ValueError, match=r"config\.json: not valid JSON"):
        read_model(folder)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod.", "model.model."])
@pytest.mark.parametrize("name", ["llama 2, tied", "llama 2", "gpt2"])
def test_what_a_training_loop_puts_before_names_is_taken_off(name, prefix, tmp_path):
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32), filled(MODELS[name]))
    write_model(tmp_path, MODELS[name], params)
    rewrite(tmp_path, lambda t: {prefix + key: x for key, x in t.items()})
    same(read_model(tmp_path)[1], params)
    rewrite(tmp_path, lambda t: {key.replace(".0.", ".0._orig_mod."): x for key, x in t.items()})
    same(read_model(tmp_path)[1], params)


def test_the_one_table_may_be_stored_as_the_head(saved):
    folder, _, params = saved
    rewrite(folder, lambda t: {"lm_head.weight" if "embed_tokens" in key else key: x for key, x in t.items()})
    same(read_model(folder)[1], params)


def test_a_byte_order_mark_and_a_tilde_are_understood(saved, monkeypatch):
    folder, _, params = saved
    path = folder / "config.json"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    monkeypatch.setenv("HOME", str(folder.parent))
    same(read_model("~/model")[1], params)
    with pytest.raises(ValueError, match="no such folder"):
        read_model("~nobody-of-that-name/model")


def test_written_weights_have_the_mode_of_every_new_file(saved):
    folder, _, _ = saved
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes["model.safetensors"] == modes["config.json"]


def test_float8_is_named(saved):
    import ml_dtypes

    folder, _, _ = saved
    rewrite(folder, lambda t: t | {NORM: t[NORM].astype(ml_dtypes.float8_e4m3fn)})
    with pytest.raises(ValueError, match=f"tensor {NORM} holds F8_E4M3; quantised or packed"):
        read_model(folder)


def sharded(saved, folder):
    """The model in shards, and their names."""
    _, model, params = saved
    write_model(folder, model, params, shard_bytes=4000)
    return params, sorted(path.name for path in folder.glob("model-*.safetensors"))


def rename_shard(folder, old, new):
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace(old, new))


@pytest.mark.parametrize("kind", ["above", "absolute", "through a folder", "link"])
def test_a_shard_outside_the_folder_is_never_opened(kind, saved, tmp_path, monkeypatch):
    folder = tmp_path / "shards"
    _, (first, *_) = sharded(saved, folder)
    outside = tmp_path / "outside.safetensors"
    (folder / first).rename(outside)
    if kind == "link":
        (folder / first).symlink_to(outside)
    else:
        new = {"above": "../outside.safetensors", "absolute": str(outside)}
        rename_shard(folder, first, new.get(kind, "./../shards/../outside.safetensors"))
    opened = []
    monkeypatch.setattr(_safetensors, "_opened", opened.append)
    with pytest.raises(ValueError, match="names a file outside the folder"):
        _safetensors.tensor_files(folder)
    assert outside not in opened


def test_the_cache_of_the_hub_is_read_through_its_links(saved, tmp_path):
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "1", tmp_path / "models--a--b" / "blobs"
    params, shards = sharded(saved, snapshot)
    blobs.mkdir()
    for k, shard in enumerate(shards):
        (snapshot / shard).rename(blobs / str(k))
        (snapshot / shard).symlink_to(f"../../blobs/{k}")
    same(read_model(snapshot)[1], params)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation_function": "relu"}, "activation_function 'relu'.*'gelu_new'"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ],
)
def test_a_gpt2_of_another_kind_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        decoder_of({"model_type": "gpt2"} | GPT2_SHAPE | settings)


def test_what_cannot_be_written_is_refused(saved, tmp_path):
    folder, model, params = saved
    before = stored(folder)
    with pytest.raises(ValueError, match="holds a model already"):
        write_model(folder, model, params)
    assert stored(folder) == before
    mixed = params | {"norm": {"gain": params["norm"]["gain"].astype(jnp.bfloat16)}}
    cases = {
        "is none of Qwen2ForCausalLM": (Decoder(norm="layer"), params),
        "missing: unembed": (MODELS["llama 2"], params),
        "not its own: embed2": (model, params | {"embed2": params["embed"]}),
        "norm/gain has shape": (model, params | {"norm": {"gain": jnp.ones(3)}}),
        "no embed": (model, {}),
        "bfloat16 and float32": (model, mixed),
    }
    for message, (other, numbers) in cases.items():
        with pytest.raises(ValueError, match=message):
            write_model(tmp_path / "new", other, numbers)
        assert not (tmp_path / "new").exists()


def test_a_name_is_fetched_only_when_it_says_so(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def offline(name, **settings):
        asked.append((name, settings["revision"]))
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(hub, "snapshot_download", offline)
    with pytest.raises(ValueError, match=r"no such folder; .* write hub:owner/name"):
        read_model("owner/name")
    assert not asked
    with pytest.raises(ValueError, match=r"hub:owner/name@v1: cannot be fetched .ConnectionError: no route.;") as error:
        read_model("hub:owner/name@v1")
    assert asked == [("owner/name", "v1")] and "\n" not in str(error.value)
