"""Named tensors of a folder: `model.safetensors`, or shards with an index."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..machine import optional
from ..records import TEXT, check_record, object_of, read_object

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
FLOATS = ("F64", "F32", "F16", "BF16")
"""Types of whole weights, as safetensors calls them."""
AGAIN = "save or download it again"


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


def tensor_shapes(folder: Path, files: dict[str, list[str]]) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, without reading the numbers.

    Raises:
        ValueError: naming a tensor that holds anything but whole floating point numbers.
    """
    shapes = {}
    for name, tensors in files.items():
        with _opened(folder / name) as file:
            for tensor in tensors:
                part = file.get_slice(tensor)
                kind, shapes[tensor] = part.get_dtype(), tuple(part.get_shape())
                if kind not in FLOATS:
                    raise ValueError(
                        f"{folder}: tensor {tensor} holds {kind}; quantised or packed weights are not supported, give "
                        f"a model saved in {', '.join(FLOATS)}"
                    )
    return shapes


def read_tensors(folder: Path, files: dict[str, list[str]]) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array in the stored dtype), one at a time.

    Raises:
        ValueError: naming a tensor that holds anything but whole floating point numbers, or a number not finite.
    """
    tensor_shapes(folder, files)
    for name, tensors in files.items():
        with _opened(folder / name) as file:
            for tensor in tensors:
                array = file.get_tensor(tensor)
                if bad := int(array.size - np.count_nonzero(np.isfinite(array))):
                    raise ValueError(f"{folder}: tensor {tensor} holds {bad:,} number(s) that are not finite; {AGAIN}")
                yield tensor, array


def write_tensors(folder: Path, tensors: dict[str, np.ndarray], shard_bytes: int) -> None:
    """One file, or shards of at most `shard_bytes` (one tensor at least) and their index."""
    save = optional("safetensors.numpy", "text").save_file
    shards = _shards(tensors, shard_bytes)
    files = [SINGLE] if len(shards) == 1 else [_shard_name(i, len(shards)) for i in range(len(shards))]
    for file, names in zip(files, shards, strict=True):
        path = folder / file
        path.touch()
        mode = path.stat().st_mode  # that of every new file; safetensors writes for the owner alone
        # Transposed views would be written in the order of their memory.
        save({name: np.ascontiguousarray(tensors[name]) for name in names}, path, metadata={"format": "pt"})
        path.chmod(mode)
    if len(shards) > 1:
        places = {name: file for file, names in zip(files, shards, strict=True) for name in names}
        total = sum(tensor.nbytes for tensor in tensors.values())
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": places}, indent=2)
        (folder / INDEX).write_text(text + "\n", encoding="utf-8")


def _indexed(folder: Path) -> dict[str, list[str]]:
    record, place = read_object(folder / INDEX, AGAIN), str(folder / INDEX)
    check_record(record, {"weight_map": object_of(TEXT)}, place, needed=("weight_map",), advice=AGAIN)
    files: dict[str, list[str]] = {}
    for tensor, file in record["weight_map"].items():
        files.setdefault(file, []).append(tensor)
    if not files:
        raise ValueError(f"{place}: weight_map is empty; {AGAIN}")
    for file, tensors in files.items():
        _check_inside(folder, file)
        if not (folder / file).is_file():
            raise ValueError(f"{folder / file}: shard is missing, though {INDEX} names it; download it again")
        with _opened(folder / file) as opened:
            absent = sorted(set(tensors) - set(opened.keys()))
        if absent:
            raise ValueError(f"{folder / file}: has no {absent[0]}, though {INDEX} says so; download it again")
    return files


def _check_inside(folder: Path, file: str) -> None:
    """Refuse a shard that lies elsewhere, before it is opened: an index comes with the model and is not trusted."""
    place = Path(file)
    home = folder.resolve()
    # In the cache of the Hugging Face Hub the files of a snapshot are links into one folder beside all snapshots.
    rooms = [home, home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [home]
    inside = not place.is_absolute() and ".." not in place.parts and "\0" not in file
    if not inside or not any((folder / place).resolve().is_relative_to(room) for room in rooms):
        raise ValueError(
            f"{folder / INDEX}: names a file outside the folder ({file!r}), which is not opened; put every shard there"
        )


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
