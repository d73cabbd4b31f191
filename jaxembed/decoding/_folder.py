"""The folder of a training run: what identifies it, and its newest whole state; and numbers that are computed once."""

import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._words import unworded, worded

RUN, STATE = "run.json", "state.npz"


class RunFolder:
    """Every file is written whole or not at all, so that a kill at any instant costs one piece of a run."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        """Open or make the folder.

        Raises:
            ValueError: for the folder of another run.
        """
        self.folder, identity = folder, json.loads(json.dumps(identity))
        if (folder / RUN).exists():
            other = json.loads((folder / RUN).read_text(encoding="utf-8"))
            differs = [name for name in identity if identity[name] != other.get(name)]
            if differs:
                raise ValueError(f"keep: {folder} holds a run with another {differs[0]}; name a new folder")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / RUN, json.dumps(identity, indent=2).encode())

    def save(self, step: int, params: Any) -> None:
        """Keep the parameters of a saved step."""
        self._write(f"step_{step}.npz", jax.tree.leaves(params))

    def saved(self, step: int) -> list[np.ndarray]:
        """The leaves kept at a step."""
        return self._read(f"step_{step}.npz")

    def remember(self, leaves: list[Any]) -> None:
        """Write down the whole state, in place of the one before."""
        self._write(STATE, leaves)

    def recalled(self) -> list[np.ndarray] | None:
        """The newest whole state; None where there is none yet."""
        return self._read(STATE) if (self.folder / STATE).exists() else None

    def _write(self, name: str, leaves: list[Any]) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **{f"{i:04d}": leaf for i, leaf in enumerate(jax.device_get(leaves))})
        write_whole(self.folder / name, buffer.getvalue())

    def _read(self, name: str) -> list[np.ndarray]:
        with np.load(self.folder / name) as arrays:
            return [arrays[leaf] for leaf in sorted(arrays)]


def kept_json(folder: Path | None, name: str, identity: str, compute: Callable[[], Any]) -> Any:
    """What was computed earlier, or now, as read back from JSON; undefined and infinite numbers are words in the file.

    What another version of JAX, device or float made is computed anew. A file of bare data, which does not say what
    made it, is taken as it is.

    Args:
        folder: where it is kept; None keeps nothing.
        name: with which the file's name begins.
        identity: all that the numbers depend on, as text.
        compute: gives the numbers as JSON data.
    """
    if folder is None:
        return unworded(json.loads(json.dumps(worded(compute()))))
    path = folder / f"{name}_{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
    now = made_by()
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(found, dict) and found.keys() == {"made by", "value"}):
            return unworded(found)
        if found["made by"] == now:
            return unworded(found["value"])
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"made by": now, "value": worded(compute())})
    write_whole(path, text.encode())
    return unworded(json.loads(text)["value"])


def made_by() -> dict[str, str]:
    """What decides the last bits of a number besides its settings."""
    return {"jax": jax.__version__, "device": jax.devices()[0].device_kind, "float": str(jnp.result_type(float))}


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_bytes(data)
    os.replace(new, path)
