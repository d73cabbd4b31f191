"""The folder of a run: what identifies it, what it saved with its hashes, and where a killed run goes on."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ..keep import PART, difference, digest, read_arrays, read_json, sweep, whole_folder, write_arrays, write_json

RUN, MANIFEST, SAVED, KEPT, RECOVERY = "run.json", "manifest.json", "checkpoints", "kept", "recovery"
WRITTEN_AFTER = ("model", "curve.npz")
"""What the command line adds to a finished run."""


SAME_BITS = ("jax", "jaxlib", "device")
"""What a run was made by that other bits may come from."""


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
    return _read_arrays(out / SAVED / str(step))["params"]


def verify(out: Path) -> dict[int, bool]:
    """For every saved step, whether its parameters can be read and still have the hash that the manifest noted."""
    return {int(step): _holds(out / SAVED / step, entry["sha256"]) for step, entry in _manifest(out).items()}


def resumable(out: Path) -> bool:
    """Whether a run left a state in this folder to go on from."""
    return bool(_numbered(out / RECOVERY))


def _holds(path: Path, hashed: str) -> bool:
    try:
        return parameter_hash(_read_arrays(path)["params"]) == hashed
    except (OSError, ValueError, KeyError):  # gone, or so damaged that orbax refuses it
        return False


class RunFolder:
    """A run's folder, of which every part is written whole or not at all, so that a kill at any instant harms nothing.

    `run.json` says what the run is, `checkpoints/STEP` holds its parameters at the saved steps (orbax), `kept/STEP.npz`
    what `save` made of them, `manifest.json` hashes and held-out losses, and `recovery/STEP` the newest whole state.
    """

    def __init__(self, out: Path, identity: dict[str, Any], *, resume: bool = False, overwrite: bool = False) -> None:
        """Open or make the folder.

        Raises:
            ValueError: for a folder with something else in it, or with another run than the one to resume.
        """
        self.out, self.identity = Path(out).resolve(), json.loads(json.dumps(identity))
        self.writes = jax.process_index() == 0
        self._check(resume, overwrite)
        _wait_for_all("checked")  # before the first host writes, the others have looked
        if overwrite and self.writes:
            self._clear()
        if self.writes:
            sweep(self.out)
        if self.writes and not (self.out / RUN).exists():
            self.out.mkdir(parents=True, exist_ok=True)
            write_json(self.out / RUN, {"run": self.identity, "made_by": _versions()}, indent=2)
        _wait_for_all("folder")

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
            write_json(self.out / MANIFEST, _manifest(self.out) | {str(step): entry}, indent=2)

    def saved(self, tree: Any) -> dict[int, tuple[Any, float]]:
        """What was kept at the steps saved so far, with the held-out loss.

        Args:
            tree: of what `save` returns, of any leaves.

        Raises:
            ValueError: where something else was kept.
        """
        pieces = {}
        for step, entry in _manifest(self.out).items():
            leaves = [leaf for _, leaf in sorted(read_arrays(self.out / KEPT / f"{step}.npz").items())]
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
        """
        steps = _numbered(self.out / RECOVERY)
        if not steps:
            return None
        import orbax.checkpoint as ocp

        step = max(steps)
        with ocp.StandardCheckpointer() as files:
            newest = files.restore(self.out / RECOVERY / str(step), _plain(like) | {"losses": np.zeros(step)})
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
        record = read_json(self.out / RUN)
        if change := difference(record["run"], self.identity):
            name, was, now = change
            raise ValueError(f"{name}: was {was} in {self.out} and is {now} now; resume with what it was, or overwrite")
        made_by, here = record["made_by"], _versions()
        for name in SAME_BITS:
            if made_by[name] != here[name]:
                raise ValueError(
                    f"{name}: {made_by[name]} made the run in {self.out} and this is {here[name]}, which may round "
                    f"otherwise; resume with {name} {made_by[name]}, or overwrite"
                )

    def _clear(self) -> None:
        # What marks the folder as a run goes last: an overwrite that is killed can be started again.
        for name in (*WRITTEN_AFTER, RECOVERY, MANIFEST, KEPT, SAVED, RUN):
            path = self.out / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _write_arrays(self, path: Path, tree: Any) -> None:
        import orbax.checkpoint as ocp

        with whole_folder(path, self.writes) as unfinished, ocp.StandardCheckpointer() as files:
            files.save(unfinished, tree, force=True)
        _wait_for_all(str(path))


def _versions() -> dict[str, str]:
    made_by = {name: version(name) for name in ("jaxembed", "jax", "jaxlib", "optax", "orbax-checkpoint", "numpy")}
    return made_by | {"device": jax.devices()[0].device_kind}


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
    return read_json(path) if path.exists() else {}


def _numbered(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.glob("*") if path.name.isdigit()]


def _wait_for_all(name: str) -> None:
    if jax.process_count() > 1:
        from jax.experimental.multihost_utils import sync_global_devices

        sync_global_devices(name)
