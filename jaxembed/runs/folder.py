"""The run folder: settings, versions, seeds, dtype and arrays; resume a stopped run; read a finished one."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..base import Dataset, Trajectory
from .results import Result

CONFIG, ARRAYS, RESULT, STAGES = "config.json", "trajectories.npz", "result.json", "stages"
NETWORKS, TABLE = "networks.npz", "table.md"
WRITTEN = (ARRAYS, NETWORKS, RESULT, TABLE, "report.md", "figure.png", "figure.gif")
"""What a finished run leaves beside `config.json`."""


def check_folder(
    out: Path, settings: dict[str, Any], hashes: dict[str, str], *, overwrite: bool = False, resume: bool = False
) -> None:
    """Refuse a folder that this run must not write to; reads only.

    Args:
        out: the folder.
        settings: the experiment as plain data.
        hashes: of the data, by name (see `hashes`).
        overwrite: an earlier run there may be replaced.
        resume: a stopped run there, of the same settings and data, may be continued.

    Raises:
        ValueError: for a folder with other content, or with another run than the one to resume.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: {out} is a file; name a folder")
    if overwrite and resume:
        raise ValueError("overwrite, resume: choose one; --resume keeps what a stopped run computed")
    found = sorted(p.name for p in out.iterdir()) if out.exists() else []
    if found and resume:
        _check_resumable(out, settings, hashes)
    elif found and not (overwrite and CONFIG in found):
        hint = "name another, or pass --resume or --overwrite" if CONFIG in found else "name an empty or new folder"
        raise ValueError(f"out: {out} is not empty ({', '.join(found[:3])}); {hint}")


def begin(out: Path, settings: dict[str, Any], hashes: dict[str, str], *, resume: bool = False) -> None:
    """Make the folder and write `config.json`, after `check_folder` let it pass; an earlier run there is removed."""
    if resume and (out / CONFIG).exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    for path in (*(out / STAGES).glob("*"), *(out / name for name in WRITTEN)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    _write(out / CONFIG, json.dumps(config(settings, hashes), indent=2).encode())


def finished(out: Path) -> bool:
    """Whether a run came to its end there."""
    return (out / RESULT).exists() and not (out / STAGES).exists()


def hashes(data: Any) -> dict[str, str]:
    """SHA-256 of an experiment's data, any tree of arrays: a text or a table that changed is another population."""
    meta = f"{data.vocab} {data.samples}" if isinstance(data, Dataset) else ""
    digest = hashlib.sha256(meta.encode())
    for array in map(np.asarray, jax.tree.leaves(data)):
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return {"population": digest.hexdigest()}


def config(settings: dict[str, Any], hashes: dict[str, str]) -> dict[str, Any]:
    """What identifies a run: settings, data, command, versions, git hash, device, dtype, matmul precision, date."""
    return {
        "settings": _plain(settings),
        "sha256": hashes,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": {name: version(name) for name in ("jaxembed", "jax", "jaxlib", "optax", "diffrax", "numpy")},
        "python": sys.version.split()[0],
        "git": _git_hash(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "dtype": jnp.zeros((), float).dtype.name,
        "matmul_precision": getattr(jax.config, "jax_default_matmul_precision", None) or "default",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class FolderStages:
    """Stages kept in `out/stages`: each is computed once, written whole or not at all, and read back on resume.

    Every array is stored by its place in the tree; the tree itself comes from tracing `compute`.
    """

    def __init__(
        self,
        out: Path,
        on_stage: Callable[[str, bool], None] = lambda name, cached: None,
        begin: Callable[[], None] = lambda: None,
    ):
        """Stages in `out`; `begin` is called once before the first, when all settings have been found to fit."""
        self.folder = out / STAGES
        self.on_stage = on_stage
        self.begin: Callable[[], None] | None = begin

    def __call__(self, name: str, compute: Callable[[], Any]) -> Any:
        if self.begin is not None:
            self.begin()
            self.begin = None
        path = self.folder / f"{name.replace('/', ' of ').replace(' ', '_').replace(',', '')}.npz"
        if path.exists():
            self.on_stage(name, True)
            with np.load(path) as arrays:
                return _unpack(arrays, compute)
        self.on_stage(name, False)
        value = compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_npz(path, {f"{i:04d}": leaf for i, leaf in enumerate(_host(jax.tree.leaves(value)))})
        return value

    def clear(self) -> None:
        """Remove the stages once everything is written; the run then counts as finished."""
        for path in self.folder.glob("*"):
            path.unlink()
        if self.folder.exists():
            self.folder.rmdir()


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays as npz, whole or not at all."""
    _write_npz(path, arrays)


def write_result(out: Path, result: Result) -> None:
    """Write the shown trajectories as npz and the numbers as json (undefined numbers as the word)."""
    arrays = {"signature": result.signature[1]}
    for name, line in result.trajectories.items():
        arrays |= {f"{name}/ts": line.ts[0], f"{name}/embed": line.ys["embed"]}
    _write_npz(out / ARRAYS, {key: np.asarray(value) for key, value in arrays.items()})
    numbers = {
        "title": result.title,
        "caption": result.caption,
        "tokens": result.tokens,
        "plateau": result.plateau,
        "facts": result.facts,
        "clocks": {name: line.clock for name, line in result.trajectories.items()},
        "comparisons": [
            {
                "reference": row.reference,
                "prediction": row.prediction,
                "observable": row.observable,
                "control": row.control,
                **{
                    name: getattr(row.comparison, name)
                    for name in ("ts", "error", "relative_error", "skill", "horizon")
                },
            }
            for row in result.comparisons
        ],
        "agreements": [
            {"name": row.name, "values": row.values, "null": row.null, "p_values": row.p_values}
            for row in result.agreements
        ],
    }
    _write(out / RESULT, json.dumps(_plain(numbers), indent=1).encode())


def read_trajectory(folder: Path, name: str = "training") -> tuple[Trajectory, tuple[str, ...]]:
    """The trajectory `name` of a finished run, `ys["embed"]` `[seed, time, token, width]`, and its token names.

    Raises:
        ValueError: naming what is missing in the folder.
    """
    for file in (CONFIG, RESULT, ARRAYS):
        if not (folder / file).is_file():
            raise ValueError(f"{folder}: no {file} there; name the folder of a finished run")
    numbers = _read_json(folder / RESULT)
    with np.load(folder / ARRAYS) as arrays:
        if f"{name}/ts" not in arrays:
            known = sorted({key.split("/")[0] for key in arrays if "/" in key})
            raise ValueError(f"{folder}: has no trajectory {name!r}; choose one of {', '.join(known)}")
        ts, embed = jnp.asarray(arrays[f"{name}/ts"]), jnp.asarray(arrays[f"{name}/embed"])
    ts = jnp.broadcast_to(ts[None], (embed.shape[0], ts.shape[0]))
    return Trajectory(ts, {"embed": embed}, {}, numbers["clocks"][name]), tuple(numbers["tokens"])


def _check_resumable(out: Path, settings: dict[str, Any], hashes: dict[str, str]) -> None:
    if not (out / CONFIG).is_file():
        raise ValueError(f"resume: {out} holds no {CONFIG}; it is not a run folder")
    old, new = _read_json(out / CONFIG), _plain(settings)
    kept = old.get("settings", {})
    if kept != new:
        changed = [key for key in {**kept, **new} if kept.get(key) != new.get(key)]
        raise ValueError(f"resume: {out} was started with other settings ({', '.join(changed)}); use the same ones")
    if old.get("sha256") != hashes:
        raise ValueError(f"resume: {out} was started with other data; restore it, or name another folder")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not readable JSON ({error}); name the folder of another run") from None


def _plain(value: Any) -> Any:
    """JSON data: arrays as lists, NaN as "undefined", infinities as words."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.ndarray, jax.Array)):
        return _plain(np.asarray(value).tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return "undefined" if np.isnan(value) else "infinite" if value > 0 else "-infinite"
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


def _host(leaves: list[Any]) -> list[np.ndarray]:
    typed = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    return [np.asarray(jax.random.key_data(leaf) if key else leaf) for leaf, key in zip(leaves, typed, strict=True)]


def _unpack(arrays: Any, compute: Callable[[], Any]) -> Any:
    """The stored leaves in the tree that `compute` gives; it is traced, not run."""
    trees = []

    def leaves() -> list[Any]:
        found, tree = jax.tree.flatten(compute())
        trees.append(tree)
        return found

    stored = [
        jax.random.wrap_key_data(arrays[f"{i:04d}"])
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        else jnp.asarray(arrays[f"{i:04d}"])
        for i, leaf in enumerate(jax.eval_shape(leaves))
    ]
    return trees[-1].unflatten(stored)


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    os.replace(partial, path)


def _write(path: Path, content: bytes) -> None:
    # Written beside and moved into place: a killed run leaves the old file or the new one, never half of one.
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _git_hash() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() if found.returncode == 0 else "unknown"
