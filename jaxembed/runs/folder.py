"""A run in its folder: what identifies it, pieces that are kept so that it can go on, and what it leaves."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import keep
from ..base import Dataset, Progress, Trajectory, silent
from ..machine import GIB, device_memory
from .protocol import Result, Runnable, Unkept

CONFIG, ARRAYS, RESULT, STAGES, PARTS = "config.json", "trajectories.npz", "result.json", "stages", "points"
NETWORKS = "networks.npz"
WRITTEN = (ARRAYS, NETWORKS, RESULT, PARTS, "report.md", "figure.png", "figure.gif")
"""What a finished run leaves beside `config.json`."""


def run(
    experiment: Runnable,
    out: Path | str | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    animate: bool = False,
    progress: Progress = silent,
) -> Result:
    """Run an experiment, a preset's or your own, and write its folder: settings, arrays, numbers, tables, figure.

    Args:
        experiment: what to run.
        out: the folder; None writes nothing.
        resume: a run that was stopped there goes on where it was, bit for bit; one that is finished is read back.
        overwrite: an earlier run there is replaced.
        animate: also write the figure with the time running, as a GIF.
        progress: takes lines on how far it is.

    Raises:
        ValueError: for settings that do not fit together, more memory than there is, or a folder of something else.
    """
    if animate and not getattr(experiment, "animated", False):
        raise ValueError(f"animate: {type(experiment).__name__} has no animation; leave it out")
    if out is None:
        if resume or overwrite or animate:
            raise ValueError("out: name the folder that resume, overwrite or animate are about")
        refuse_too_large(experiment)
        return experiment.run(Unkept(progress))
    out = Path(out)
    identity = (out, keep.plain(experiment), hashes(experiment.data()))
    check_folder(*identity, overwrite=overwrite, resume=resume)
    if resume and finished(out):
        progress(f"{out} is finished; overwrite would run it again")
        return read(experiment, out)
    progress(f"about {refuse_too_large(experiment) / GIB:.2g} GiB of memory; writing to {out}")
    stages = FolderStages(out, progress, partial(begin, *identity, resume=resume), experiment.stages())
    result = experiment.run(stages)
    write(out, result, animate)
    stages.clear()
    return result


def refuse_too_large(experiment: Runnable) -> float:
    """The bytes that a run takes, where this machine has them.

    Raises:
        ValueError: where it does not.
    """
    needed, there = experiment.memory(), device_memory()
    if needed > there:
        sizes = f"need about {needed / GIB:.3g} GiB and this machine has {there / GIB:.3g}"
        raise ValueError(f"seeds, saves, task: {sizes}; ask for less")
    return needed


def write(out: Path, result: Result, animate: bool = False) -> None:
    """Write what a result has to show."""
    keep.write_arrays(out / result.arrays_file, result.arrays(), compressed=True)
    keep.write_json(out / RESULT, result.record())
    keep.write_text(out / "report.md", report(result))
    result.figure(out / "figure.png")
    if animate:
        result.animate(out / "figure.gif")  # pyright: ignore[reportAttributeAccessIssue]


def report(result: Result) -> str:
    """All tables and facts as markdown."""
    parts = [f"# {result.title}", result.caption]
    for table in result.tables():
        parts += [f"## {table.title}", table.markdown().rstrip(), *([table.note] if table.note else [])]
    parts += ["## Facts", "\n".join(f"- {name}: {value}" for name, value in result.facts.items())]
    return "\n\n".join(parts) + "\n"


def read(experiment: Runnable, out: Path) -> Result:
    """The result of a finished run of this experiment, without running it again."""
    (arrays,) = out.glob("*.npz")
    return experiment.read(keep.from_json(keep.read_json(out / RESULT)), keep.read_arrays(arrays))


# --- what a folder belongs to ----------------------------------------------------------------------------------------


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
    present = sorted(p.name for p in out.iterdir()) if out.exists() else []
    if present and resume:
        _check_resumable(out, settings, hashes)
    elif present and not (overwrite and CONFIG in present):
        hint = "name another, or pass --resume or --overwrite" if CONFIG in present else "name an empty or new folder"
        raise ValueError(f"out: {out} is not empty ({', '.join(present[:3])}); {hint}")


def begin(out: Path, settings: dict[str, Any], hashes: dict[str, str], *, resume: bool = False) -> None:
    """Make the folder and write `config.json`, after `check_folder` let it pass; an earlier run there is removed."""
    if resume and (out / CONFIG).exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    for path in (*(out / STAGES).glob("*"), *(out / name for name in WRITTEN)):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    keep.write_json(out / CONFIG, config(settings, hashes), indent=2)


def finished(out: Path) -> bool:
    """Whether a run came to its end there."""
    return (out / RESULT).exists() and not (out / STAGES).exists()


def hashes(data: Any) -> dict[str, str]:
    """SHA-256 of an experiment's data, any tree of arrays: a text or a table that changed is another population."""
    meta = f"{data.vocab} {data.samples}" if isinstance(data, Dataset) else ""
    return {"population": keep.digest(meta, *jax.tree.leaves(data))}


def config(settings: dict[str, Any], hashes: dict[str, str]) -> dict[str, Any]:
    """What identifies a run: settings, data, command, versions, git hash, device, dtype, matmul precision, date."""
    return {
        "settings": settings,
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


def _check_resumable(out: Path, settings: dict[str, Any], hashes: dict[str, str]) -> None:
    if not (out / CONFIG).is_file():
        raise ValueError(f"resume: {out} holds no {CONFIG}; it is not a run folder")
    old = keep.read_json(out / CONFIG)
    if change := keep.difference(old.get("settings", {}), keep.to_json(settings)):
        raise ValueError(f"resume: {out} was started with other settings ({change[0]}); use the same ones")
    if old.get("sha256") != hashes:
        raise ValueError(f"resume: {out} was started with other data; restore it, or name another folder")


def _git_hash() -> str:
    try:
        git = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return git.stdout.strip() if git.returncode == 0 else "unknown"


# --- pieces of a run -------------------------------------------------------------------------------------------------


class FolderStages:
    """Stages kept in `out/stages`: each is computed once, written whole or not at all, and read back on resume.

    Every array is stored by its place in the tree; the tree itself comes from tracing `compute`.
    """

    def __init__(
        self, out: Path, progress: Progress = silent, begin: Callable[[], None] = lambda: None, total: int = 0
    ) -> None:
        """Stages in `out`; `begin` is called once before the first, when all settings have been checked."""
        self.out, self.progress = out, progress
        self._begin: Callable[[], None] | None = begin
        self._done, self._total = 0, total

    def __call__(self, name: str, compute: Callable[[], Any], /) -> Any:
        path = self.keep() / f"{name.replace('/', ' of ').replace(' ', '_').replace(',', '')}.npz"
        kept = path.exists()
        self._next(name + (" (kept)" if kept else ""))
        if kept:
            return _like(compute, [array for _, array in sorted(keep.read_arrays(path).items())])
        value = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        leaves = enumerate(keep.leaves_of(value))
        keep.write_arrays(path, {f"{i:04d}": leaf for i, leaf in leaves}, compressed=True)
        return value

    def keep(self) -> Path:
        """The folder of the pieces."""
        if self._begin is not None:
            self._begin()
            self._begin = None
        return self.out / STAGES

    def part(self, name: str, experiment: Runnable, /) -> Result:
        """Another run as a part of this one, in a folder of its own that stays."""
        self.keep().mkdir(parents=True, exist_ok=True)
        self._next(name)

        def progress(text: str, share: float | None = None, /) -> None:
            self.progress(f"{name}: {text}", (self._done - 1 + (share or 0.0)) / max(self._total, 1))

        return run(experiment, self.out / PARTS / name, resume=True, progress=progress)

    def clear(self) -> None:
        """Remove the stages once everything is written; the run then counts as finished."""
        shutil.rmtree(self.out / STAGES, ignore_errors=True)

    def _next(self, text: str) -> None:
        self.progress(text, self._done / self._total if self._total else None)
        self._done += 1


def _like(compute: Callable[[], Any], leaves: list[np.ndarray]) -> Any:
    """The stored leaves in the tree that `compute` gives; it is traced, not run."""
    trees = []

    def traced() -> list[Any]:
        leaves_now, tree = jax.tree.flatten(compute())
        trees.append(tree)
        return leaves_now

    shapes = jax.eval_shape(traced)
    return trees[-1].unflatten(keep.tree_of(leaves, shapes))


# --- finished runs ---------------------------------------------------------------------------------------------------


def read_trajectory(folder: Path, name: str = "training") -> tuple[Trajectory, tuple[str, ...]]:
    """The trajectory `name` of a finished run, `ys["embed"]` `[seed, time, token, width]`, and its token names.

    Raises:
        ValueError: naming what is missing in the folder.
    """
    for file in (CONFIG, RESULT, ARRAYS):
        if not (folder / file).is_file():
            raise ValueError(f"{folder}: no {file} there; name the folder of a finished run")
    numbers, arrays = keep.read_json(folder / RESULT), keep.read_arrays(folder / ARRAYS)
    if f"{name}/ts" not in arrays:
        known = sorted({key.split("/")[0] for key in arrays if "/" in key})
        raise ValueError(f"{folder}: has no trajectory {name!r}; choose one of {', '.join(known)}")
    ts, embed = jnp.asarray(arrays[f"{name}/ts"]), jnp.asarray(arrays[f"{name}/embed"])
    ts = jnp.broadcast_to(ts[None], (embed.shape[0], ts.shape[0]))
    return Trajectory(ts, {"embed": embed}, {}, numbers["clocks"][name]), tuple(numbers["tokens"])
