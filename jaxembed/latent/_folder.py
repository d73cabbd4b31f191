"""The folder of a training run: what identifies it, and its newest whole state."""

import io
import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

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
            _write(folder / RUN, json.dumps(identity, indent=2).encode())

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
        _write(self.folder / name, buffer.getvalue())

    def _read(self, name: str) -> list[np.ndarray]:
        with np.load(self.folder / name) as arrays:
            return [arrays[leaf] for leaf in sorted(arrays)]


def _write(path: Path, data: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    new.write_bytes(data)
    os.replace(new, path)
