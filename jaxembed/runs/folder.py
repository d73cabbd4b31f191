"""A run in its folder: what identifies it, pieces that are kept so that it can go on, and what it leaves."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import keep
from ..base import Dataset, Progress, Trajectory, silent
from ..machine import GIB, MAY_ROUND, SAME_BITS, device_memory, record
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
    lock, there = keep.Lock(out), out.is_dir()
    if there and not (resume and finished(out)):
        lock.take()

    def started() -> None:
        if not there:  # another run may have begun there since
            lock.take()
            check_folder(*identity, overwrite=overwrite, resume=resume)
        begin(*identity, resume=resume)

    try:
        check_folder(*identity, overwrite=overwrite, resume=resume)
        if resume and finished(out):
            progress(f"{out} is finished; overwrite would run it again")
            return read(experiment, out)
        progress(f"about {refuse_too_large(experiment) / GIB:.2g} GiB of memory; writing to {out}")
        stages = FolderStages(out, progress, started, experiment.stages(), owner_of(*identity[1:]))
        result = experiment.run(stages)
        write(out, result, animate)
        stages.clear()
        return result
    finally:
        lock.release()


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
    keep.write_record(out / RESULT, result.record())
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
    """The result of a finished run of this experiment, without running it again.

    Raises:
        ValueError: naming the file that is damaged or holds something else.
    """
    numbers, files = keep.from_json(keep.read_record(out / RESULT)), sorted(out.glob("*.npz"))
    if len(files) != 1:
        raise ValueError(f"{out}: holds {len(files)} files of arrays, not one; run it again with --overwrite")
    try:
        return experiment.read(numbers, keep.read_arrays(files[0]))
    except (LookupError, TypeError, AttributeError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise ValueError(
            f"{out / RESULT}: holds no result of this run ({fault}); run it again with --overwrite"
        ) from None


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
    # What a process was killed at, before the folder was a run's, is nothing.
    present = sorted(p.name for p in out.iterdir() if p.suffix != keep.PART) if out.exists() else []
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
    keep.sweep(out)
    for path in (*(out / STAGES).glob("*"), *(out / name for name in WRITTEN)):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    keep.write_record(out / CONFIG, {"settings": settings, "sha256": hashes, **record()}, indent=2)


def finished(out: Path) -> bool:
    """Whether a run came to its end there."""
    return (out / RESULT).exists() and not (out / STAGES).exists()


def hashes(data: Any) -> dict[str, str]:
    """SHA-256 of an experiment's data, any tree of arrays: a text or a table that changed is another population."""
    meta = f"{data.vocab} {data.samples}" if isinstance(data, Dataset) else ""
    return {"population": keep.digest(meta, *jax.tree.leaves(data))}


def owner_of(settings: dict[str, Any], hashes: dict[str, str]) -> str:
    """What marks the pieces of a run as its own."""
    return keep.digest(json.dumps(keep.to_json([settings, hashes]), sort_keys=True))


def _check_resumable(out: Path, settings: dict[str, Any], hashes: dict[str, str]) -> None:
    if not (out / CONFIG).is_file():
        raise ValueError(f"resume: {out} holds no {CONFIG}; it is not a run folder")
    old = keep.read_record(out / CONFIG)
    if change := keep.difference(old.get("settings", {}), keep.to_json(settings)):
        raise ValueError(f"resume: {out} was started with other settings ({change[0]}); use the same ones")
    if old.get("sha256") != hashes:
        raise ValueError(f"resume: {out} was started with other data; restore it, or name another folder")
    if not finished(out) and (line := keep.check_made_alike(str(out), old, record(), SAME_BITS, MAY_ROUND)):
        keep.notice(line)


# --- pieces of a run -------------------------------------------------------------------------------------------------


class FolderStages:
    """Stages kept in `out/stages`: each is computed once, written whole or not at all, and read back on resume.

    Every array is stored by its place in the tree; the tree itself comes from tracing `compute`.
    """

    def __init__(
        self,
        out: Path,
        progress: Progress = silent,
        begin: Callable[[], None] = lambda: None,
        total: int = 0,
        owner: str = "",
    ) -> None:
        """Stages in `out`; `begin` is called once before the first, when all settings have been checked.

        A stage that is damaged, or of another `owner`, is computed again.
        """
        self.out, self.progress, self.owner = out, progress, owner
        self._begin: Callable[[], None] | None = begin
        self._done, self._total = 0, total

    def __call__(self, name: str, compute: Callable[[], Any], /) -> Any:
        path = self.keep() / f"{name.replace('/', ' of ').replace(' ', '_').replace(',', '')}.npz"
        kept = keep.intact(lambda: keep.read_arrays(path, self.owner))
        self._next(name + (" (kept)" if kept is not None else ""))
        if kept is not None:
            return _like(compute, [array for _, array in sorted(kept.items())])
        value = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        leaves = enumerate(keep.leaves_of(value))
        keep.write_arrays(path, {f"{i:04d}": leaf for i, leaf in leaves}, compressed=True, owner=self.owner)
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
    numbers, arrays = keep.read_record(folder / RESULT), keep.read_arrays(folder / ARRAYS)
    if f"{name}/ts" not in arrays:
        known = sorted({key.split("/")[0] for key in arrays if "/" in key})
        raise ValueError(f"{folder}: has no trajectory {name!r}; choose one of {', '.join(known)}")
    clocks, tokens = numbers.get("clocks"), numbers.get("tokens")
    if not isinstance(clocks, dict) or not isinstance(clocks.get(name), str) or not isinstance(tokens, list):
        raise ValueError(
            f"{folder / RESULT}: 'clocks' must name a clock for {name!r} and 'tokens' be a list; restore it"
        )
    ts, embed = arrays[f"{name}/ts"], arrays.get(f"{name}/embed", np.zeros(0))
    if embed.shape[1:3] != (len(ts), len(tokens)) or embed.ndim != 4 or embed.dtype.kind != "f":
        raise ValueError(f"{folder / ARRAYS}: '{name}/embed' is no table [seed, time, token, width]; restore it")
    ts = jnp.broadcast_to(jnp.asarray(ts)[None], (embed.shape[0], ts.shape[0]))
    return Trajectory(ts, {"embed": jnp.asarray(embed)}, {}, clocks[name]), tuple(map(str, tokens))
