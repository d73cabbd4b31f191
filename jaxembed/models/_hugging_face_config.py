"""The config.json of Hugging Face's Qwen2, Llama and GPT-2, old names and new, and the decoder it describes."""

from typing import Any, Literal

from ..records import FLAG, OBJECT, TEXT, Kind, check_record, integer, list_of, optional_of, real
from .decoder import Decoder
from .rotary import RotaryScaling

Family = Literal["qwen2", "llama", "gpt2"]
ARCHITECTURES: dict[str, Family] = {
    "Qwen2ForCausalLM": "qwen2",
    "LlamaForCausalLM": "llama",
    "GPT2LMHeadModel": "gpt2",
}
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")
WIDTH, COUNT, LENGTH, LAYERS = integer(1, 2**20), integer(1, 2**16), integer(1, 2**31 - 1), integer(1, 10_000)
POSITIVE = real(1e-30, 1e30)
FIELDS: dict[str, Kind] = {
    "model_type": optional_of(TEXT),
    "architectures": optional_of(list_of(TEXT)),
    "vocab_size": integer(1, 2**24),
    "tie_word_embeddings": FLAG,
    "is_causal": FLAG,
    "initializer_range": POSITIVE,
    "quantization_config": optional_of(OBJECT),
    "quantization": optional_of(OBJECT),
    **dict.fromkeys(("hidden_size", "n_embd"), WIDTH),
    **dict.fromkeys(("num_hidden_layers", "n_layer"), LAYERS),
    **dict.fromkeys(("num_attention_heads", "n_head"), COUNT),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), LENGTH),
    **dict.fromkeys(("num_key_value_heads", "head_dim"), optional_of(COUNT)),
    "intermediate_size": integer(1, 2**24),
    "n_inner": optional_of(integer(1, 2**24)),
    **dict.fromkeys(("rms_norm_eps", "layer_norm_epsilon"), real(1e-30, 1)),
    **dict.fromkeys(("hidden_act", "activation_function"), TEXT),
    **dict.fromkeys(("attention_bias", "mlp_bias", "use_sliding_window"), FLAG),
    **dict.fromkeys(("scale_attn_weights", "scale_attn_by_inverse_layer_idx"), FLAG),
    "layer_types": optional_of(list_of(TEXT)),
    **dict.fromkeys(("rope_parameters", "rope_scaling"), optional_of(OBJECT)),
    "rope_theta": POSITIVE,
    "partial_rotary_factor": optional_of(POSITIVE),
}
"""What config.json may hold, for all three families; what it holds besides is not read."""
ROPE: dict[str, Kind] = {
    **dict.fromkeys(("rope_type", "type"), TEXT),
    **dict.fromkeys(("rope_theta", "factor", "low_freq_factor", "high_freq_factor"), POSITIVE),
    "partial_rotary_factor": optional_of(POSITIVE),
    "original_max_position_embeddings": LENGTH,
}
UNTIED = ("llama", "qwen2")
"""Families whose embedding and head are two tables where config.json does not say; all others tie them."""
WHOLE = "give the config.json of a whole model"


def check_config(config: dict[str, Any], place: str) -> None:
    """Refuse a config.json with a value of another type or range than it must have.

    Raises:
        ValueError: naming the field.
    """
    check_record(config, FIELDS, place)
    for name in ("rope_parameters", "rope_scaling"):
        check_record(config.get(name) or {}, ROPE, f"{place}: {name}")


def tied_of(config: dict[str, Any]) -> bool:
    """Whether a checked config.json says that one table is both embedding and head."""
    named = _named(config)
    return config.get("tie_word_embeddings", ARCHITECTURES.get(named, named) not in UNTIED)


def _named(config: dict[str, Any]) -> str:
    return config.get("model_type") or next(iter(config.get("architectures") or ["nothing"]))


def family_of_config(config: dict[str, Any], place: str) -> Family:
    """The family that `model_type`, or else `architectures`, names.

    Raises:
        ValueError: for any other, listing what can be read.
    """
    named = _named(config)
    for architecture, family in ARCHITECTURES.items():
        if named in (architecture, family):
            return family
    raise ValueError(f"{place}: architecture {named!r} cannot be read; supported: {', '.join(ARCHITECTURES)}")


def decoder_of(config: dict[str, Any], place: str = "config.json") -> Decoder:
    """The decoder that a config.json describes.

    Args:
        config: its contents, with the names of transformers 4 or 5.
        place: what errors call it.

    Raises:
        ValueError: for another architecture, or a setting that this decoder does not have, saying which.

    >>> decoder_of({"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 5}).mlp_width
    32
    """
    check_config(config, place)
    family = family_of_config(config, place)
    for name in ("quantization_config", "quantization"):
        if config.get(name):
            raise ValueError(f"{place}: {name}: quantised weights are not supported; take the whole ones")
    _only(config, "is_causal", (True,), place)
    try:
        return _gpt2(config, place) if family == "gpt2" else _llama(config, family, place)
    except ValueError as error:  # sizes that do not go together are found by the decoder, which knows no file
        told = str(error)
        raise ValueError(told if told.startswith(place) else f"{place}: {told}; {WHOLE}") from None


def config_of(decoder: Decoder, vocab: int, dtype: str) -> dict[str, Any]:
    """The config.json of a decoder, with the names of both transformers 4 and 5.

    Raises:
        ValueError: for a mixture of switches that no supported architecture has.
    """
    family = family_of(decoder)
    architecture = next(name for name, known in ARCHITECTURES.items() if known == family)
    shared = {
        "architectures": [architecture],
        "model_type": family,
        "vocab_size": vocab,
        "tie_word_embeddings": decoder.tied,
        "initializer_range": decoder.init_scale,
        "torch_dtype": dtype,
        "dtype": dtype,
    }
    return shared | (_gpt2_config(decoder) if family == "gpt2" else _llama_config(decoder, family))


def family_of(decoder: Decoder) -> Family:
    """The architecture whose switches a decoder has.

    Raises:
        ValueError: where none has them.

    >>> family_of(Decoder())
    'llama'
    """
    parts = (decoder.norm, decoder.activation, decoder.positions)
    biases = (decoder.qkv_bias, decoder.out_bias, decoder.mlp_bias)
    if parts == ("rms", "swiglu", "rotary"):
        if biases == (True, False, False):
            return "qwen2"
        if decoder.qkv_bias == decoder.out_bias:
            return "llama"
    one_width = decoder.query_width == decoder.key_width == decoder.width
    if parts == ("layer", "gelu", "learned") and all(biases) and one_width:
        return "gpt2"
    raise ValueError(
        f"decoder: {', '.join(parts)} with qkv, out and mlp biases {biases} is none of {', '.join(ARCHITECTURES)}; "
        "only those can be written"
    )


def _llama(config: dict[str, Any], family: Family, place: str) -> Decoder:
    needed = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    width, layers, heads, mlp_width = (_required(config, name, place) for name in needed)
    _only(config, "hidden_act", ("silu",), place)
    if config.get("use_sliding_window") or "sliding_attention" in (config.get("layer_types") or ()):
        raise ValueError(f"{place}: sliding-window attention is not supported; only models that attend everywhere")
    base, scaling = _rotary(config, place)
    kv_heads, head_width = config.get("num_key_value_heads"), config.get("head_dim")
    biased = bool(config.get("attention_bias"))
    return Decoder(
        width=width,
        layers=layers,
        heads=heads,
        mlp_width=mlp_width,
        tied=bool(config.get("tie_word_embeddings", False)),
        init_scale=float(config.get("initializer_range", 0.02)),
        rotary_base=base,
        norm_floor=float(config.get("rms_norm_eps", 1e-6)),
        kv_heads=None if kv_heads == heads else kv_heads,
        head_width=None if head_width is not None and head_width * heads == width else head_width,
        max_positions=config.get("max_position_embeddings", 32_768 if family == "qwen2" else 2048),
        qkv_bias=family == "qwen2" or biased,
        out_bias=family == "llama" and biased,
        mlp_bias=family == "llama" and bool(config.get("mlp_bias")),
        rotary_scaling=scaling,
    )


def _gpt2(config: dict[str, Any], place: str) -> Decoder:
    old_and_new = (("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"), ("n_head", "num_attention_heads"))
    width, layers, heads = (_required(config, old, place, new) for old, new in old_and_new)
    _only(config, "activation_function", TANH_GELU, place)
    for name, usual in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False)):
        _only(config, name, (usual,), place)
    return Decoder(
        width=width,
        layers=layers,
        heads=heads,
        mlp_width=config.get("n_inner") or 4 * width,
        tied=bool(config.get("tie_word_embeddings", True)),
        init_scale=float(config.get("initializer_range", 0.02)),
        norm_floor=float(config.get("layer_norm_epsilon", 1e-5)),
        norm="layer",
        activation="gelu",
        positions="learned",
        max_positions=config.get("n_positions") or config.get("max_position_embeddings", 1024),
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        scaled_residuals=True,
    )


def _rotary(config: dict[str, Any], place: str) -> tuple[float, RotaryScaling | None]:
    """Base and scaling: `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (4)."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    base = float(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)) not in (1, None):
        raise ValueError(f"{place}: partial_rotary_factor is not supported; rotary positions turn whole heads here")
    if kind == "default":
        return base, None
    if kind != "llama3":
        raise ValueError(f"{place}: rope type {kind!r} is not supported; choose a model with default or llama3")
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    factor, low, high, positions = (_required(rope, name, f"{place}: rope") for name in names)
    return base, RotaryScaling(float(factor), float(low), float(high), int(positions))


def _llama_config(decoder: Decoder, family: Family) -> dict[str, Any]:
    scaling = _scaling_config(decoder.rotary_scaling)
    config = {
        "hidden_size": decoder.width,
        "num_hidden_layers": decoder.layers,
        "num_attention_heads": decoder.heads,
        "num_key_value_heads": decoder.key_heads,
        "head_dim": decoder.head_units,
        "intermediate_size": decoder.mlp_width,
        "hidden_act": "silu",
        "rms_norm_eps": decoder.norm_floor,
        "max_position_embeddings": decoder.max_positions,
        "rope_theta": decoder.rotary_base,
        "rope_scaling": scaling,
        "rope_parameters": {"rope_type": "default"} | (scaling or {}) | {"rope_theta": decoder.rotary_base},
    }
    if family == "llama":
        return config | {"attention_bias": decoder.qkv_bias, "mlp_bias": decoder.mlp_bias}
    return config | {"use_sliding_window": False}


def _scaling_config(scaling: RotaryScaling | None) -> dict[str, Any] | None:
    if scaling is None:
        return None
    return {
        "rope_type": "llama3",
        "factor": scaling.factor,
        "low_freq_factor": scaling.low,
        "high_freq_factor": scaling.high,
        "original_max_position_embeddings": scaling.original_positions,
    }


def _gpt2_config(decoder: Decoder) -> dict[str, Any]:
    return {
        "n_embd": decoder.width,
        "n_layer": decoder.layers,
        "n_head": decoder.heads,
        "n_inner": None if decoder.mlp_width == 4 * decoder.width else decoder.mlp_width,
        "n_positions": decoder.max_positions,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": decoder.norm_floor,
    }


def _required(config: dict[str, Any], name: str, place: str, other: str | None = None) -> Any:
    value = config.get(name, config.get(other) if other else None)
    if value is None:
        raise ValueError(f"{place}: has no {name}; {WHOLE}")
    return value


def _only(config: dict[str, Any], name: str, known: tuple[Any, ...], place: str) -> None:
    if config.get(name, known[0]) not in known:
        wanted = " or ".join(map(repr, known))
        raise ValueError(f"{place}: {name} {config[name]!r} is not supported; choose a model with {wanted}")
