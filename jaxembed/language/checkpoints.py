"""The folder of a run: what identifies it, what it saved with its hashes, and where a killed run goes on."""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ..keep import (
    PART,
    Damaged,
    Lock,
    check_made_alike,
    check_sums,
    difference,
    digest,
    notice,
    read_arrays,
    read_record,
    sweep,
    whole_folder,
    write_arrays,
    write_record,
    write_sums,
)
from ..machine import MAY_ROUND, SAME_BITS, record

RUN, MANIFEST, SAVED, KEPT, RECOVERY = "run.json", "manifest.json", "checkpoints", "kept", "recovery"
WRITTEN_AFTER = ("model", "curve.npz")
"""What the command line adds to a finished run."""


def parameter_hash(params: Any) -> str:
    """SHA-256 over the names, shapes, dtypes and bytes of a tree of arrays on the host."""
    named = sorted((jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree.leaves_with_path(params))
    return digest(*(part for path, leaf in named for part in (f"{path} ", leaf)))


def saved_steps(out: Path) -> tuple[int, ...]:
    """The steps whose parameters a run saved, in order."""
    return tuple(sorted(int(step) for step in _manifest(out)))


def read_params(out: Path, step: int) -> Any:
    """The parameters that a run saved at a step, as numpy arrays, whatever devices they were saved from.

    Raises:
        ValueError: for a step that was not saved.
    """
    if step not in saved_steps(out):
        raise ValueError(f"step: {out} saved the steps {', '.join(map(str, saved_steps(out)))}, not {step}")
    try:
        check_sums(out / SAVED / str(step))
        return _read_arrays(out / SAVED / str(step))["params"]
    except Exception as error:
        fault = error if isinstance(error, Damaged) else type(error).__name__
        raise ValueError(
            f"step: {out / SAVED / str(step)} cannot be read ({fault}); overwrite trains it again"
        ) from None


def verify(out: Path) -> dict[int, bool]:
    """For every saved step, whether its parameters can be read and still have the hash that the manifest noted."""
    return {int(step): _holds(out / SAVED / step, entry["sha256"]) for step, entry in _manifest(out).items()}


def resumable(out: Path) -> bool:
    """Whether a run left a state in this folder to go on from."""
    return bool(_numbered(out / RECOVERY))


def _holds(path: Path, hashed: str) -> bool:
    try:
        return parameter_hash(_read_arrays(path)["params"]) == hashed
    except Exception:  # gone, or so damaged that orbax refuses it, with errors of its own and of what it reads with
        return False


class RunFolder:
    """A run's folder, of which every part is written whole or not at all, so that a kill at any instant harms nothing.

    `run.json` says what the run is, `checkpoints/STEP` holds its parameters at the saved steps (orbax), `kept/STEP.npz`
    what `save` made of them, `manifest.json` hashes and held-out losses, and `recovery/STEP` the newest whole state.
    """

    def __init__(
        self,
        out: Path,
        identity: dict[str, Any],
        *,
        resume: bool = False,
        overwrite: bool = False,
        facts: dict[str, Any] | None = None,
    ) -> None:
        """Open or make the folder, which this process alone writes to until it is closed.

        Raises:
            ValueError: for a folder with something else in it, with another run than the one to resume, or that
                another process writes to.
        """
        self.out, self.identity = Path(out).resolve(), json.loads(json.dumps(identity))
        self.writes, self._lock = jax.process_index() == 0, Lock(self.out)
        self._differs = ""
        self._check(resume, overwrite)
        _wait_for_all("checked")  # before the first host writes, the others have looked
        if self.writes:
            self._lock.take()
            self._check(resume, overwrite)  # another run may have begun there since
        if self.writes and self._differs:
            notice(self._differs)
        if overwrite and self.writes:
            self._clear()
        if self.writes:
            sweep(self.out)
        if self.writes and not (self.out / RUN).exists():
            self.out.mkdir(parents=True, exist_ok=True)
            made = {"run": self.identity, "made_by": record(), **(facts or {})}
            write_record(self.out / RUN, made, indent=2)
        _wait_for_all("folder")

    def close(self) -> None:
        """Let other processes write to it."""
        self._lock.release()

    def save(self, step: int, params: Any, kept: Any, held_loss: float, hashed: str) -> None:
        """Write what belongs to a saved step; the manifest comes last and makes it count."""
        arrays, path = self.out / SAVED / str(step), self.out / KEPT / f"{step}.npz"
        if arrays.exists() and _manifest(self.out).get(str(step), {}).get("sha256") == hashed:
            return  # a resumed run comes by the same bits again
        self._write_arrays(arrays, {"params": params})
        if self.writes:
            leaves = {f"{i:04d}": leaf for i, leaf in enumerate(jax.tree.leaves(kept))}
            path.parent.mkdir(exist_ok=True)
            write_arrays(path, leaves)
            entry = {"sha256": hashed, "held_loss": None if np.isnan(held_loss) else held_loss}
            write_record(self.out / MANIFEST, _manifest(self.out) | {str(step): entry}, indent=2)

    def saved(self, tree: Any) -> dict[int, tuple[Any, float]]:
        """What was kept at the steps saved so far, with the held-out loss.

        Args:
            tree: of what `save` returns, of any leaves.

        Raises:
            ValueError: where something else was kept.
        """
        pieces = {}
        for step, entry in _manifest(self.out).items():
            path = self.out / KEPT / f"{step}.npz"
            try:
                leaves = [leaf for _, leaf in sorted(read_arrays(path).items())]
            except (OSError, Damaged):
                raise ValueError(f"resume: {path} is gone or damaged; overwrite trains it again") from None
            if len(leaves) != jax.tree.structure(tree).num_leaves:
                raise ValueError(
                    f"save: {self.out} kept something else at step {step}; pass the same save or overwrite"
                )
            held_loss = float("nan") if entry["held_loss"] is None else entry["held_loss"]
            pieces[int(step)] = jax.tree.unflatten(jax.tree.structure(tree), leaves), held_loss
        return pieces

    def remember(self, step: int, state: Any, losses: Float[np.ndarray, " time"]) -> None:
        """Write the whole state, from which the run goes on after a kill; the one before it is then removed."""
        self._write_arrays(self.out / RECOVERY / str(step), _plain(state) | {"losses": losses})
        if self.writes:
            for other in set(_numbered(self.out / RECOVERY)) - {step}:
                shutil.rmtree(self.out / RECOVERY / str(other))

    def recalled(self, like: Any) -> tuple[Any, Float[np.ndarray, " time"]] | None:
        """The newest whole state and the losses up to it; None where there is none yet.

        Args:
            like: shapes, dtypes and shardings of the state.

        Raises:
            Damaged: where there are states, and all of them are.
        """
        faults = []
        for step in sorted(_numbered(self.out / RECOVERY), reverse=True):
            try:
                return self._state(step, like)
            except Damaged as error:
                faults.append(error)
                notice(f"{_fault(error)}; an older state is looked for")
        if faults:
            fault = _fault(faults[0])
            raise Damaged(f"resume: {fault}, and there is no other state to go on from; overwrite trains it again")
        return None

    def _state(self, step: int, like: Any) -> tuple[Any, Float[np.ndarray, " time"]]:
        import orbax.checkpoint as ocp

        path = self.out / RECOVERY / str(step)
        check_sums(path)
        try:
            with ocp.StandardCheckpointer() as files:
                newest = files.restore(path, _plain(like) | {"losses": np.zeros(step)})
        except Exception as error:  # orbax and what it reads with have errors of their own
            raise Damaged(f"{path}: cannot be read ({type(error).__name__})") from None
        leaves = [newest["moments"][name] for name in sorted(newest["moments"])]
        return (newest["params"], jax.tree.unflatten(jax.tree.structure(like[1]), leaves)), np.asarray(newest["losses"])

    def _check(self, resume: bool, overwrite: bool) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"out: {self.out} is a file; name a folder")
        if resume and overwrite:
            raise ValueError("overwrite, resume: choose one; resuming keeps what a stopped run computed")
        content = sorted(p.name for p in self.out.iterdir() if p.suffix != PART) if self.out.exists() else []
        if content and resume:
            self._check_same()
        elif content and not (overwrite and RUN in content):
            hint = "name another, resume or overwrite it" if RUN in content else "name an empty or new folder"
            raise ValueError(f"out: {self.out} is not empty ({', '.join(content[:3])}); {hint}")

    def _check_same(self) -> None:
        if not (self.out / RUN).exists():
            raise ValueError(f"out: {self.out} holds no run to resume; name its folder or an empty one")
        made = read_record(self.out / RUN)
        if change := difference(made.get("run", {}), self.identity):
            name, was, now = change
            raise ValueError(f"{name}: was {was} in {self.out} and is {now} now; resume with what it was, or overwrite")
        self._differs = check_made_alike(str(self.out), made.get("made_by"), record(), SAME_BITS, MAY_ROUND)

    def _clear(self) -> None:
        # What marks the folder as a run goes last: an overwrite that is killed can be started again.
        for name in (*WRITTEN_AFTER, RECOVERY, MANIFEST, KEPT, SAVED, RUN):
            path = self.out / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _write_arrays(self, path: Path, tree: Any) -> None:
        import orbax.checkpoint as ocp

        with whole_folder(path, self.writes) as unfinished, ocp.StandardCheckpointer() as files:
            files.save(unfinished, tree, force=True)
            files.wait_until_finished()
            if self.writes:
                write_sums(unfinished)
        _wait_for_all(str(path))


def _fault(error: Damaged) -> str:
    return str(error).split("; ")[0]


def _plain(state: Any) -> dict[str, Any]:
    """Parameters by name and moments by number: the types of an optimiser's state are not for files."""
    return {"params": state[0], "moments": {f"{i:04d}": leaf for i, leaf in enumerate(jax.tree.leaves(state[1]))}}


def _read_arrays(path: Path) -> Any:
    import orbax.checkpoint as ocp

    path = path.resolve()
    with ocp.PyTreeCheckpointer() as files:
        metadata = files.metadata(path).item_metadata
        if metadata is None:
            raise ValueError(f"{path}: holds no arrays that can be read; overwrite the run to train them again")
        return files.restore(
            path, restore_args=jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), metadata.tree)
        )


def _manifest(out: Path) -> dict[str, Any]:
    path = out / MANIFEST
    return read_record(path) if path.exists() else {}


def _numbered(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.glob("*") if path.name.isdigit()]


def _wait_for_all(name: str) -> None:
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import sync_global_devices

        sync_global_devices(name)
