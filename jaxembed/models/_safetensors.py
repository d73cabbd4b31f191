"""Named tensors of a folder: `model.safetensors`, or shards with an index."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..machine import optional

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def tensor_files(folder: Path) -> dict[str, list[str]]:
    """The safetensors files of a folder and the names of the tensors in each.

    Raises:
        ValueError: for a folder without weights, with weights of another kind, or with a shard or a tensor missing.
    """
    if (folder / INDEX).is_file():
        return _indexed(folder)
    if (folder / SINGLE).is_file():
        with _opened(folder / SINGLE) as file:
            return {SINGLE: list(file.keys())}
    if any(folder.glob("pytorch_model*.bin")):
        raise ValueError(
            f"{folder}: holds pytorch_model.bin only, a pickle, which is never opened; load it in transformers and "
            "save_pretrained it as safetensors"
        )
    raise ValueError(f"{folder}: neither {SINGLE} nor {INDEX} here; give the folder of a saved model")


def read_tensors(folder: Path, files: dict[str, list[str]]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array in the stored dtype), one at a time."""
    for name, tensors in files.items():
        with _opened(folder / name) as file:
            for tensor in tensors:
                yield tensor, file.get_tensor(tensor)


def write_tensors(folder: Path, tensors: dict[str, np.ndarray], shard_bytes: int) -> None:
    """One file, or shards of at most `shard_bytes` (one tensor at least) and their index."""
    save = optional("safetensors.numpy", "text").save_file
    shards = _shards(tensors, shard_bytes)
    files = [SINGLE] if len(shards) == 1 else [_shard_name(i, len(shards)) for i in range(len(shards))]
    for file, names in zip(files, shards, strict=True):
        # Transposed views would be written in the order of their memory.
        save({name: np.ascontiguousarray(tensors[name]) for name in names}, folder / file, metadata={"format": "pt"})
    if len(shards) > 1:
        places = {name: file for file, names in zip(files, shards, strict=True) for name in names}
        total = sum(tensor.nbytes for tensor in tensors.values())
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=2)
        (folder / INDEX).write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises:
        ValueError: naming the file where it is missing or broken.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; give the folder of a saved model") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: not valid JSON ({error}); save or download it again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must hold a JSON object, got {type(content).__name__}; save or download it again")
    return content


def _indexed(folder: Path) -> dict[str, list[str]]:
    places = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise ValueError(f"{folder / INDEX}: has no weight_map; save or download it again")
    files: dict[str, list[str]] = {}
    for tensor, file in places.items():
        files.setdefault(file, []).append(tensor)
    for file, tensors in files.items():
        if not (folder / file).is_file():
            raise ValueError(f"{folder / file}: shard is missing, though {INDEX} names it; download it again")
        with _opened(folder / file) as opened:
            absent = sorted(set(tensors) - set(opened.keys()))
        if absent:
            raise ValueError(f"{folder / file}: has no {absent[0]}, though {INDEX} says so; download it again")
    return files


def _opened(path: Path) -> Any:
    safetensors = optional("safetensors", "text")
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: not a whole safetensors file ({error}); save or download it again") from None


def _shards(tensors: dict[str, np.ndarray], shard_bytes: int) -> list[list[str]]:
    shards, room = [[]], shard_bytes
    for name, tensor in tensors.items():
        if shards[-1] and tensor.nbytes > room:
            shards.append([])
            room = shard_bytes
        shards[-1].append(name)
        room -= tensor.nbytes
    return shards


def _shard_name(i: int, shards: int) -> str:
    return f"model-{i + 1:05d}-of-{shards:05d}.safetensors"
