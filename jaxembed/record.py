"""The run folder: settings, versions, seeds, dtype and arrays; resume a stopped run; read a finished one."""

import json
import os
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

from .base import Trajectory
from .results import Result

CONFIG, ARRAYS, RESULT, STAGES = "config.json", "trajectories.npz", "result.json", "stages"


def prepare(out: Path, settings: dict[str, Any], *, overwrite: bool = False, resume: bool = False) -> None:
    """Make the run folder and write `config.json`, or check that the one there can be resumed.

    Args:
        out: the folder.
        settings: the experiment as plain data.
        overwrite: replace what an earlier run wrote there.
        resume: go on where a stopped run with the same settings was.

    Raises:
        ValueError: for a folder with other content, or other settings to resume; nothing is written then.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: {out} is a file; name a folder")
    found = sorted(p.name for p in out.iterdir()) if out.exists() else []
    if resume and found:
        _check_resumable(out, settings)
        return
    if found and not (overwrite and CONFIG in found):
        hint = "name another, or pass --resume or --overwrite" if CONFIG in found else "name an empty or new folder"
        raise ValueError(f"out: {out} is not empty ({', '.join(found[:3])}); {hint}")
    for stage in (out / STAGES).glob("*.npz") if found else ():
        stage.unlink()
    out.mkdir(parents=True, exist_ok=True)
    _write(out / CONFIG, json.dumps(config(settings), indent=2).encode())


def config(settings: dict[str, Any]) -> dict[str, Any]:
    """What identifies a run: settings, command, versions, git hash, device, dtype, matmul precision, date."""
    return {
        "settings": _plain(settings),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "versions": {name: version(name) for name in ("jaxembed", "jax", "jaxlib", "optax", "diffrax", "numpy")},
        "python": sys.version.split()[0],
        "git": _git_hash(),
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "dtype": jnp.zeros((), float).dtype.name,
        "matmul_precision": jax.config.jax_default_matmul_precision or "default",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class FolderStages:
    """Stages kept in `out/stages`: each is computed once, written whole or not at all, and read back on resume.

    Every array is stored by its place in the tree; the tree itself comes from the abstract result of `compute`.
    """

    def __init__(self, out: Path, on_stage: Callable[[str, bool], None] = lambda name, cached: None):
        self.folder = out / STAGES
        self.on_stage = on_stage

    def __call__(self, name: str, compute: Callable[[], Any]) -> Any:
        path = self.folder / f"{name.replace('/', ' of ').replace(' ', '_').replace(',', '')}.npz"
        if path.exists():
            self.on_stage(name, True)
            return _unpack(np.load(path), jax.eval_shape(compute))
        self.on_stage(name, False)
        value = compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_npz(path, {f"{i:04d}": leaf for i, leaf in enumerate(_host(jax.tree.leaves(value)))})
        return value

    def clear(self) -> None:
        """Remove the stages once the result is written."""
        for path in self.folder.glob("*.npz"):
            path.unlink()
        if self.folder.exists():
            self.folder.rmdir()


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
                **{name: getattr(row.comparison, name) for name in ("ts", "error", "relative_error", "skill", "horizon")},
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
    numbers = json.loads((folder / RESULT).read_text())
    with np.load(folder / ARRAYS) as arrays:
        if f"{name}/ts" not in arrays:
            known = sorted({key.split("/")[0] for key in arrays if "/" in key})
            raise ValueError(f"{folder}: has no trajectory {name!r}; choose one of {', '.join(known)}")
        ts, embed = jnp.asarray(arrays[f"{name}/ts"]), jnp.asarray(arrays[f"{name}/embed"])
    ts = jnp.broadcast_to(ts[None], (embed.shape[0], ts.shape[0]))
    return Trajectory(ts, {"embed": embed}, {}, numbers["clocks"][name]), tuple(numbers["tokens"])


def _check_resumable(out: Path, settings: dict[str, Any]) -> None:
    path = out / CONFIG
    if not path.is_file():
        raise ValueError(f"resume: {out} holds no {CONFIG}; it is not a run folder")
    old, new = json.loads(path.read_text())["settings"], _plain(settings)
    if old != new:
        changed = [key for key in new if old.get(key) != new[key]]
        raise ValueError(f"resume: {out} was started with other settings ({', '.join(changed)}); use the same ones")


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
    return [
        np.asarray(jax.random.key_data(leaf) if key else leaf) for leaf, key in zip(leaves, typed, strict=True)
    ]


def _unpack(arrays: Any, shape: Any) -> Any:
    leaves, tree = jax.tree.flatten(shape)
    stored = [arrays[f"{i:04d}"] for i in range(len(leaves))]
    is_key = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    wrap = [jax.random.wrap_key_data if key else jnp.asarray for key in is_key]
    return tree.unflatten([make(value) for make, value in zip(wrap, stored, strict=True)])


def _write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
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
