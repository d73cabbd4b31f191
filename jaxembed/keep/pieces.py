"""Numbers computed once, pieces of long work, and which work a folder belongs to."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .sealed import intact, read_arrays, read_record, write_arrays, write_record
from .values import check_same, digest, from_json, made_by, to_json


def claim(file: Path, identity: Mapping[str, Any]) -> None:
    """Write down what a folder belongs to, or check that it still does.

    Args:
        file: in the folder; the folder is made where it is not there.
        identity: by name, all that its content depends on, as JSON data.

    Raises:
        ValueError: for the folder of something else, naming what differs.
    """
    now = json.loads(json.dumps(to_json(identity)))
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        with suppress(FileExistsError):  # another process was faster
            write_record(file, now, new=True, indent=2)
    check_same(f"keep: {file.parent}", read_record(file), now)


def kept_json(folder: Path | None, name: str, identity: Any, compute: Callable[[], Any]) -> Any:
    """What was computed earlier, or now, as read back from JSON.

    What another version of JAX, device or float made is computed anew.

    Args:
        folder: where it is kept; None keeps nothing.
        name: with which the file's name begins.
        identity: all that the numbers depend on; its text is what counts.
        compute: gives the numbers as JSON data.
    """

    def read(path: Path) -> Any:
        record = read_record(path)
        return record["value"] if record.get("made by") == made_by() else None

    def write(path: Path, value: Any) -> None:
        write_record(path, {"made by": made_by(), "value": value}, indent=None)

    if folder is None:
        return from_json(json.loads(json.dumps(to_json(compute()))))
    return from_json(_kept(folder, f"{name}_{_short(identity)}.json", read, write, compute))


def kept_arrays(
    folder: Path | None, name: str, identity: Any, compute: Callable[[], Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Named arrays computed earlier, or now; arguments as of `kept_json`."""
    if folder is None:
        return {key: np.asarray(array) for key, array in compute().items()}
    stem = f"{name}_{_short((identity, sorted(made_by().items())))}"
    return _kept(folder, f"{stem}.npz", read_arrays, write_arrays, compute)


class Pieces:
    """Pieces of long work in a folder of their own: each is written whole, so that a kill costs one piece."""

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Open or make the folder.

        Raises:
            ValueError: for the folder of other work.
        """
        self.folder, self._owner = folder, digest(json.dumps(to_json(identity), sort_keys=True))
        claim(folder / "run.json", identity)

    def save(self, name: str, leaves: list[Any]) -> None:
        """Keep some arrays, in place of what was kept under that name."""
        numbered = {f"{i:04d}": leaf for i, leaf in enumerate(leaves)}
        write_arrays(self.folder / f"{name}.npz", numbered, owner=self._owner)

    def saved(self, name: str) -> list[np.ndarray] | None:
        """The arrays kept under a name, or None, also where they are damaged, which is said."""
        arrays = intact(lambda: read_arrays(self.folder / f"{name}.npz", self._owner))
        return None if arrays is None else [array for _, array in sorted(arrays.items())]


def _kept(folder: Path, file: str, read: Callable, write: Callable, compute: Callable[[], Any]) -> Any:
    path = folder / file
    value = intact(lambda: read(path))
    if value is None:
        folder.mkdir(parents=True, exist_ok=True)
        write(path, compute())
        value = read(path)
    return value


def _short(identity: Any) -> str:
    text = identity if isinstance(identity, str) else repr(identity)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def leaves_of(tree: Any) -> list[np.ndarray]:
    """The leaves of a tree on the host, random keys as their data."""
    return [np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for leaf in jax.tree.leaves(tree)]


def tree_of(leaves: list[np.ndarray], shapes: Any) -> Any:
    """The tree that `leaves_of` took apart, in the form of `shapes`, a tree of arrays or of their shapes."""
    like, structure = jax.tree.flatten(shapes)
    pairs = zip(leaves, like, strict=True)
    made = [jax.random.wrap_key_data(jnp.asarray(a)) if _is_key(leaf) else jnp.asarray(a) for a, leaf in pairs]
    return structure.unflatten(made)


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
