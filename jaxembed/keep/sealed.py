"""JSON and arrays in files that carry a hash: what is damaged is named, and never taken for what was written."""

import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import jax
import numpy as np

from .files import whole, write_bytes, write_text
from .values import digest, to_json

SEAL, SEALED = b"sha256 ", "seal"
"""What the SHA-256 of a file stands behind: in the comment that ends an npz file, in a record of JSON."""
SUMS = "sha256.json"
"""The file in a folder that holds the hashes of the others."""
_SEAL_SIZE = len(SEAL) + 64


class Damaged(ValueError):
    """What was kept cannot be read, or is not what was written."""


def notice(text: str) -> None:
    """Say what somebody should know and nobody has to mend, such as that kept numbers are computed again."""
    logging.getLogger("jaxembed").warning(text)


def intact(read: Callable[[], Any]) -> Any:
    """What reading gives; None where there is nothing, or where it is damaged, which is said."""
    try:
        return read()
    except FileNotFoundError:
        return None
    except Damaged as error:
        notice(f"{str(error).split(';')[0]}; it is computed again")
        return None


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Write JSON whole or not at all (see `to_json`)."""
    write_text(path, json.dumps(to_json(value), indent=indent))


def read_json(path: Path) -> Any:
    """Read what `write_json` wrote, words still words (see `from_json`).

    Raises:
        ValueError: naming the file, where it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{path}: is not readable JSON ({error}); restore it, or name another") from None


def write_record(path: Path, record: Mapping[str, Any], *, new: bool = False, indent: int | None = 1) -> None:
    """Write a JSON object with a hash of its content (see `to_json` and `whole`)."""
    content = to_json(record)
    sealed = json.dumps(content | {SEALED: digest(json.dumps(content))}, indent=indent)
    write_bytes(path, sealed.encode(), new)


def read_record(path: Path) -> dict[str, Any]:
    """Read what `write_record` wrote, words still words; without a hash it is believed, as earlier versions wrote none.

    Raises:
        Damaged: naming the file, where it is no JSON object or not what was written.
    """
    record = read_json(path)
    if not isinstance(record, dict):
        raise Damaged(f"{path}: holds no JSON object; restore it, or name another")
    seal = record.pop(SEALED, None)
    if seal is not None and seal != digest(json.dumps(record)):
        raise Damaged(f"{path}: is not what was written; restore it, or name another")
    return record


def write_arrays(path: Path, arrays: Mapping[str, Any], *, compressed: bool = False, owner: str = "") -> None:
    """Write named arrays as npz, whole or not at all, with a hash.

    Args:
        path: the file.
        arrays: by name.
        compressed: take less space and more time.
        owner: what the arrays belong to; it goes into the hash.
    """
    with whole(path) as file:
        (np.savez_compressed if compressed else np.savez)(file, allow_pickle=False, **jax.device_get(dict(arrays)))
        # An archive ends with the length of its comment, none so far, and the comment, which numpy passes over.
        file.seek(-2, os.SEEK_END)
        file.write(_SEAL_SIZE.to_bytes(2, "little"))
        file.seek(0)
        file.write(SEAL + _hash_of(file, owner))


def read_arrays(path: Path, owner: str = "") -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises:
        Damaged: naming the file, where it is no such file, not what was written, or of another owner.
    """
    try:
        _check_seal(path, owner)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (FileNotFoundError, Damaged):
        raise
    except Exception as error:  # zipfile, zlib and numpy each have errors of their own
        reason = "it is no npz file" if "pickle" in str(error) else error
        raise Damaged(f"{path}: cannot be read as arrays ({reason}); remove it, or name another") from None


def _check_seal(path: Path, owner: str) -> None:
    """Compare an npz file with its hash; files of earlier versions and other programs have none."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END) - _SEAL_SIZE
        file.seek(max(0, size))
        seal = file.read()
        file.seek(0)
        if seal.startswith(SEAL) and seal != SEAL + _hash_of(file, owner, size):
            raise Damaged(f"{path}: is not what was written; remove it, or name another")


def _hash_of(file: IO[bytes], owner: str = "", size: int | None = None) -> bytes:
    """SHA-256 of the next `size` bytes of a file, of all unless given, which ends there; as hexadecimal digits."""
    sha, left = hashlib.sha256(owner.encode()), math.inf if size is None else size
    while piece := file.read(int(min(left, 2**20))):
        sha.update(piece)
        left -= len(piece)
    return sha.hexdigest().encode()


def write_sums(folder: Path) -> None:
    """Write down the SHA-256 of every file in a folder, beside them."""
    write_record(folder / SUMS, _sums(folder))


def check_sums(folder: Path) -> None:
    """Compare the files of a folder with what `write_sums` wrote down; earlier versions wrote nothing.

    Raises:
        Damaged: naming the first that is changed or gone.
    """
    sums = read_record(folder / SUMS) if (folder / SUMS).exists() else {}
    if changed := sorted(name for name, sha in sums.items() if _sum(folder / name) != sha):
        raise Damaged(f"{folder / changed[0]}: is not what was written")


def _sums(folder: Path) -> dict[str, str | None]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    return {path.relative_to(folder).as_posix(): _sum(path) for path in files}


def _sum(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return _hash_of(file).decode()
    except OSError:
        return None
