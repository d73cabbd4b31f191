"""Which tensor of a Hugging Face folder is which parameter, and how it lies there."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._hugging_face_config import Family
from .decoder import Decoder

LLAMA_BLOCK = {
    "input_layernorm.weight": "attention_norm/gain",
    **{
        f"self_attn.{short}_proj.{kind}": f"attention/{name}{suffix}"
        for short, name in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "out"))
        for kind, suffix in (("weight", ""), ("bias", "_bias"))
    },
    "post_attention_layernorm.weight": "mlp_norm/gain",
    **{
        f"mlp.{name}_proj.{kind}": f"mlp/{name}{suffix}"
        for name in ("gate", "up", "down")
        for kind, suffix in (("weight", ""), ("bias", "_bias"))
    },
}
GPT2_BLOCK = {
    **{
        f"{norm}.{kind}": f"{name}_norm/{ours}"
        for norm, name in (("ln_1", "attention"), ("ln_2", "mlp"))
        for kind, ours in (("weight", "gain"), ("bias", "bias"))
    },
    "attn.c_attn.weight": "attention/query attention/key attention/value",
    "attn.c_attn.bias": "attention/query_bias attention/key_bias attention/value_bias",
    "attn.c_proj.weight": "attention/out",
    "attn.c_proj.bias": "attention/out_bias",
    "mlp.c_fc.weight": "mlp/up",
    "mlp.c_fc.bias": "mlp/up_bias",
    "mlp.c_proj.weight": "mlp/down",
    "mlp.c_proj.bias": "mlp/down_bias",
}
LLAMA_ENDS = {"model.embed_tokens.weight": "embed", "model.norm.weight": "norm/gain", "lm_head.weight": "unembed"}
GPT2_ENDS = {
    "transformer.wte.weight": "embed",
    "transformer.wpe.weight": "positions",
    "transformer.ln_f.weight": "norm/gain",
    "transformer.ln_f.bias": "norm/bias",
    "lm_head.weight": "unembed",
}
PREFIX: dict[Family, str] = {"qwen2": "model.", "llama": "model.", "gpt2": "transformer."}
HEAD = "lm_head.weight"
WRAPPERS = ("module.", "model.", "transformer.")
"""What training loops put before the names of a whole model, once or more."""
COMPILED = "_orig_mod."
"""What torch.compile puts before the names of what it compiled, a whole model or parts."""
BUFFERS = (".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq")
"""Constants that older versions saved beside the parameters."""


@dataclass(frozen=True)
class Entry:
    """One stored tensor: the parameters that lie side by side in it, and whether it is their transpose."""

    name: str
    paths: tuple[str, ...]
    transposed: bool

    def pack(self, leaves: dict[str, Any], dtype: str | None) -> np.ndarray:
        """The tensor as it is stored."""
        parts = [np.asarray(leaves[path]) for path in self.paths]
        tensor = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        tensor = tensor.T if self.transposed else tensor
        return tensor if dtype is None else tensor.astype(jnp.dtype(dtype))

    def unpack(self, tensor: np.ndarray, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
        """The parameters in a stored tensor."""
        tensor = tensor.T if self.transposed else tensor
        ends = np.cumsum([shapes[path][-1] for path in self.paths])[:-1]
        return dict(zip(self.paths, np.split(tensor, ends, axis=-1), strict=True))

    def shape(self, shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
        """Of the tensor as it is stored."""
        first = shapes[self.paths[0]]
        whole = (*first[:-1], sum(shapes[path][-1] for path in self.paths))
        return whole[::-1] if self.transposed else whole


def shapes_of(decoder: Decoder, vocab: int) -> dict[str, tuple[int, ...]]:
    """Every parameter's path and shape."""
    tree = jax.eval_shape(lambda: decoder.init(jax.random.key(0), vocab, 1))
    return {path: leaf.shape for path, leaf in flat(tree).items()}


def full_names(files: dict[str, list[str]], family: Family, tied: bool) -> dict[str, str]:
    """The name in a whole model of every stored tensor, without buffers.

    >>> full_names({"a": ["module.model.norm.weight", "module.lm_head.weight"]}, "llama", False)
    {'module.model.norm.weight': 'model.norm.weight', 'module.lm_head.weight': 'lm_head.weight'}
    """
    stored = [name for names in files.values() for name in names if not name.endswith(BUFFERS)]
    bare = {name: name.replace(COMPILED, "") for name in stored}
    while wrapper := next((w for w in WRAPPERS if all(name.startswith(w) for name in bare.values()) and bare), None):
        bare = {name: short.removeprefix(wrapper) for name, short in bare.items()}
    # A trunk that was saved alone, without its head, or tied, has no prefix left.
    prefix = "" if any(short.startswith(PREFIX[family]) for short in bare.values()) else PREFIX[family]
    full = {name: short if short == HEAD else prefix + short for name, short in bare.items()}
    table = next(iter(GPT2_ENDS if family == "gpt2" else LLAMA_ENDS))
    if tied and table not in full.values():  # the one table may be stored as the head
        return {name: table if whole == HEAD else whole for name, whole in full.items()}
    return full


def entries(decoder: Decoder, family: Family, paths: Any) -> list[Entry]:
    """The stored tensors that hold the parameters `paths`, each once."""
    ends, block = (GPT2_ENDS, GPT2_BLOCK) if family == "gpt2" else (LLAMA_ENDS, LLAMA_BLOCK)
    stem = "transformer.h" if family == "gpt2" else "model.layers"
    names = dict(ends)
    for i in range(decoder.layers):
        for name, ours in block.items():
            names[f"{stem}.{i}.{name}"] = " ".join(f"blocks/layer{i}/{path}" for path in ours.split())
    every = [
        Entry(name, tuple(ours.split()), name.endswith("_proj.weight") and family != "gpt2")
        for name, ours in names.items()
    ]
    return [entry for entry in every if entry.paths[0] in paths]


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of a nested dict by path, `blocks/layer0/mlp/up`."""
    leaves = {}
    for name, value in tree.items():
        leaves |= flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {prefix + name: value}
    return leaves


def nested(leaves: dict[str, Any]) -> dict[str, Any]:
    """Back from paths to nested dicts."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        *folders, name = path.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = leaf
    return tree
