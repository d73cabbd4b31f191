"""Models as Hugging Face folders: `config.json` and `*.safetensors`, of Qwen2, Llama and GPT-2, read and written."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from ..machine import optional
from ..records import read_object
from ._hugging_face_config import FIELDS, WHOLE, config_of, family_of, family_of_config
from ._hugging_face_config import decoder_of as decoder_of
from ._hugging_face_config import tied_of as tied_of
from ._hugging_face_names import HEAD, entries, flat, full_names, nested, shapes_of
from ._safetensors import read_tensors as read_tensors
from ._safetensors import tensor_files as tensor_files
from ._safetensors import tensor_shapes, write_tensors
from .decoder import Decoder

CONFIG_FIELDS = FIELDS
"""What `config.json` may hold, and of which kind."""
HUB = "hub:"
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
    place = str(folder / "config.json")
    config = read_object(folder / "config.json", "give the folder of a saved model")
    decoder, family = decoder_of(config, place), family_of_config(config, place)
    if "vocab_size" not in config:
        raise ValueError(f"{place}: has no vocab_size; {WHOLE}")
    files = tensor_files(folder)
    if decoder.layers > sum(map(len, files.values())):  # before a table of so many layers is made
        raise ValueError(f"{place}: num_hidden_layers is {decoder.layers}, more than there are tensors; {WHOLE}")
    shapes, full = shapes_of(decoder, config["vocab_size"]), full_names(files, family, decoder.tied)
    copied = decoder.tied and HEAD in full.values()
    if copied:
        shapes["unembed"] = shapes["embed"]
    expected = {entry.name: entry for entry in entries(decoder, family, shapes)}
    _check_names(folder, list(full.values()), expected)
    files = {file: [name for name in names if name in full] for file, names in files.items()}
    for name, shape in tensor_shapes(folder, files).items():
        if shape != (wanted := expected[full[name]].shape(shapes)):
            raise ValueError(
                f"{folder}: tensor {name} has shape {shape}, but config.json asks for {wanted}; it is another model's"
            )
    leaves: dict[str, Any] = {}
    kept = None if dtype is None else jnp.dtype(dtype)
    for name, tensor in read_tensors(folder, files):
        leaves |= {path: jnp.asarray(leaf, kept) for path, leaf in expected[full[name]].unpack(tensor, shapes).items()}
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
        folder = Path(os.path.expanduser(place))
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


def _check_names(folder: Path, stored: list[str], expected: Iterable[str]) -> None:
    if repeated := {name for name in stored if stored.count(name) > 1}:
        raise ValueError(f"{folder}: {_some(repeated)} is stored twice, under two prefixes; save the model again")
    for what, names in (("missing", set(expected) - set(stored)), ("unexpected", set(stored) - set(expected))):
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
