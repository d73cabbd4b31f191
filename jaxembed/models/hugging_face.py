"""Models as Hugging Face folders: `config.json` and `*.safetensors`, of Qwen2, Llama and GPT-2, read and written."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ..machine import optional
from ._hugging_face_config import Family, config_of, family_of, family_of_config
from ._hugging_face_config import decoder_of as decoder_of
from ._hugging_face_names import BUFFERS, PREFIX, Entry, entries, flat, nested, shapes_of
from ._safetensors import read_json, write_tensors
from ._safetensors import read_tensors as read_tensors
from ._safetensors import tensor_files as tensor_files
from .decoder import Decoder

HUB = "hub:"
HEAD = "lm_head.weight"
NO_TOKENS = {"bos_token_id": None, "eos_token_id": None}
"""Where nothing else is said: transformers would fill in those of other tokenizers."""
WANTED = ["config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer.json"]


def read_model(folder: str | Path, *, dtype: str | None = "float32") -> tuple[Decoder, dict[str, Any]]:
    """A decoder and its parameters from a folder with `config.json` and `*.safetensors`.

    Args:
        folder: the folder, or `hub:owner/name` (`hub:owner/name@revision`), which is downloaded first.
        dtype: of the parameters; None keeps what is stored. float64 stays so only under `jax_enable_x64`.

    Returns:
        The decoder, and parameters as `Decoder.init` names them.

    Raises:
        ValueError: in one line that names the file, for a folder that is none, an architecture or setting that this
            decoder does not have, tensors missing, unexpected or of another shape than the config says, and files
            that are not whole.
    """
    folder = model_folder(folder)
    config, place = read_json(folder / "config.json"), str(folder / "config.json")
    decoder, family = decoder_of(config, place), family_of_config(config, place)
    if not config.get("vocab_size"):
        raise ValueError(f"{place}: has no vocab_size; give the config.json of a whole model")
    shapes, files = shapes_of(decoder, config["vocab_size"]), tensor_files(folder)
    full = _full_names(files, family)
    copied = decoder.tied and HEAD in full.values()
    if copied:
        shapes["unembed"] = shapes["embed"]
    expected = {entry.name: entry for entry in entries(decoder, family, shapes)}
    _check_names(folder, set(full.values()), expected)
    leaves: dict[str, Any] = {}
    for name, tensor in read_tensors(folder, files):
        if name in full:
            leaves |= _leaves(folder, expected[full[name]], tensor, shapes, dtype)
    if copied and not jnp.array_equal(leaves["embed"], leaves.pop("unembed")):
        raise ValueError(f"{place}: says tie_word_embeddings, but {HEAD} differs from the embedding; say false")
    return decoder, nested(leaves)


def write_model(
    folder: str | Path,
    decoder: Decoder,
    params: dict[str, Any],
    *,
    tokenizer_file: str | Path | None = None,
    dtype: str | None = None,
    config: dict[str, Any] | None = None,
    shard_bytes: int = 5 * 10**9,
    overwrite: bool = False,
) -> None:
    """Write a folder that transformers and `read_model` load.

    Args:
        folder: made where it does not exist.
        decoder: must have the switches of Qwen2, Llama or GPT-2.
        params: as `decoder.init` names them.
        tokenizer_file: a `tokenizer.json` to put beside the weights.
        dtype: to store in ("float32", "bfloat16", "float16", "float64"); None keeps that of the parameters.
        config: further entries of config.json (end tokens, say); they cannot change what `decoder` says.
        shard_bytes: a larger model is cut into shards with an index.
        overwrite: whether a model in the folder may be replaced.

    Raises:
        ValueError: for a decoder that is none of these, parameters that are not its own, or a folder in use.
    """
    folder, family = Path(folder), family_of(decoder)
    leaves = flat(params)
    if "embed" not in leaves:
        raise ValueError("params: have no embed; pass what decoder.init or training returned")
    vocab = leaves["embed"].shape[0]
    _check_params(leaves, shapes_of(decoder, vocab))
    tensors = {entry.name: entry.pack(leaves, dtype) for entry in entries(decoder, family, leaves)}
    kinds = sorted({tensor.dtype.name for tensor in tensors.values()})
    if len(kinds) > 1:
        raise ValueError(f"params: are {' and '.join(kinds)} together; pass dtype= to store them in one")
    settings = NO_TOKENS | (config or {}) | config_of(decoder, vocab, kinds[0])
    _make_room(folder, overwrite)
    write_tensors(folder, tensors, shard_bytes)
    if tokenizer_file is not None:
        shutil.copyfile(tokenizer_file, folder / "tokenizer.json")
        _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    _write_json(folder / "config.json", settings)


def model_folder(place: str | Path) -> Path:
    """A local folder; `hub:owner/name` or `hub:owner/name@revision` is downloaded, and nothing else ever is.

    Raises:
        ValueError: where there is no such folder, or the download fails.
    """
    if not str(place).startswith(HUB):
        folder = Path(place)
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder; for a model of the Hugging Face Hub write {HUB}owner/name")
        return folder
    name, _, revision = str(place).removeprefix(HUB).partition("@")
    hub = optional("huggingface_hub", "text")
    try:
        return Path(hub.snapshot_download(name, revision=revision or None, allow_patterns=WANTED))
    except Exception as error:  # whatever its network library raises
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"{place}: cannot be fetched ({type(error).__name__}: {reason}); check the name and the connection, or "
            "download it elsewhere and give its folder"
        ) from None


def _full_names(files: dict[str, list[str]], family: Family) -> dict[str, str]:
    """The name in a whole model of every stored tensor, without buffers."""
    stored = [name for names in files.values() for name in names if not name.endswith(BUFFERS)]
    # A trunk that was saved alone, without its head, has no prefix.
    prefix = "" if any(name.startswith(PREFIX[family]) for name in stored) else PREFIX[family]
    return {name: name if name == HEAD else prefix + name for name in stored}


def _leaves(
    folder: Path, entry: Entry, tensor: np.ndarray, shapes: dict[str, Any], dtype: str | None
) -> dict[str, Any]:
    if tensor.shape != entry.shape(shapes):
        raise ValueError(
            f"{folder}: tensor {entry.name} has shape {tensor.shape}, but config.json asks for {entry.shape(shapes)}; "
            "it is another model's"
        )
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        raise ValueError(f"{folder}: tensor {entry.name} holds {tensor.dtype}; quantised weights are not supported")
    kept = None if dtype is None else jnp.dtype(dtype)
    return {path: jnp.asarray(leaf, kept) for path, leaf in entry.unpack(tensor, shapes).items()}


def _check_names(folder: Path, stored: set[str], expected: Iterable[str]) -> None:
    for what, names in (("missing", set(expected) - stored), ("unexpected", stored - set(expected))):
        if names:
            raise ValueError(f"{folder}: {len(names)} tensor(s) {what}: {_some(names)}; config.json is another model's")


def _check_params(leaves: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    for what, names in (("missing", set(shapes) - set(leaves)), ("not its own", set(leaves) - set(shapes))):
        if names:
            raise ValueError(f"params: of this decoder {what}: {_some(names)}; pass the decoder they were made with")
    for path, shape in shapes.items():
        if leaves[path].shape != shape:
            raise ValueError(f"params: {path} has shape {leaves[path].shape}, but this decoder's has {shape}")


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:4]) + (", .." if len(listed) > 4 else "")


def _make_room(folder: Path, overwrite: bool) -> None:
    """An empty place: shards that were there before would be read with the new ones."""
    folder.mkdir(parents=True, exist_ok=True)
    old = [*folder.glob("*.safetensors"), *folder.glob("*.safetensors.index.json"), *folder.glob("config.json")]
    if old and not overwrite:
        raise ValueError(f"{folder}: holds a model already ({old[0].name}); choose another folder or overwrite=True")
    for path in old:
        path.unlink()


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
