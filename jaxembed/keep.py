"""Files: written whole or not at all, what identifies a folder, numbers computed once, undefined as one word.

Checkpoints of language models are orbax's; everything else that is written down and read back goes through here.
"""

import functools
import hashlib
import inspect
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any

import jax
import jax.numpy as jnp
import numpy as np

UNDEFINED = "undefined"
"""How an undefined number is written, in files and in tables."""
PART = ".part"
"""How the names of files and folders end that are not whole yet; they begin with a dot."""
_WORDS = {UNDEFINED: math.nan, "infinite": math.inf, "-infinite": -math.inf}


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name when the block ends, and not at all where the block fails."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}{PART}")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except OSError as error:
        if error.filename is None:  # a full disk does not say which file it is
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, writes: bool = True) -> Iterator[Path]:
    """A folder to make: it takes its name, from one before it too, when the block ends; a block that fails leaves none.

    Args:
        path: the name.
        writes: False in a process that fills the folder together with the one that names it.
    """
    unfinished = path.with_name(f".{path.name}{PART}")
    if not writes:
        yield unfinished
        return
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    try:
        yield unfinished
        _put_in_place(unfinished, path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _put_in_place(new: Path, path: Path) -> None:
    """The old folder is moved aside and removed only when the new one is in its place."""
    old = path.with_name(f".{path.name}.old")
    if path.exists():
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder that no other process writes to."""
    for path in list(folder.rglob(f".*{PART}")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with whole(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())


def to_json(value: Any) -> Any:
    """JSON data: arrays as lists, undefined and infinite numbers as words, anything unknown as text.

    >>> to_json({"loss": np.array([0.5, np.nan])})
    {'loss': [0.5, 'undefined']}
    """
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return to_json(np.asarray(value).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return UNDEFINED if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)


def from_json(value: Any) -> Any:
    """Back from `to_json`: the words for undefined and infinite numbers are numbers again."""
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value


def plain(settings: Any) -> Any:
    """Settings as JSON data that tell them from others.

    Dataclasses come with the name of their class, arrays as their digest, functions as module, name and a digest of
    what they compute and hold.

    >>> plain(np.arange(3.0))
    'float64 (3,) 53274b1d8c075b84'
    """
    if is_dataclass(settings) and not isinstance(settings, type):
        return {"kind": type(settings).__name__} | {f.name: plain(getattr(settings, f.name)) for f in fields(settings)}
    if isinstance(settings, Mapping):
        return {str(key): plain(item) for key, item in settings.items()}
    if isinstance(settings, (tuple, list)):
        return [plain(item) for item in settings]
    if isinstance(settings, (np.ndarray, jax.Array)):
        return f"{settings.dtype} {settings.shape} {digest(settings)[:16]}"
    if isinstance(settings, functools.partial):
        return {"partial": [plain(settings.func), plain(settings.args), plain(settings.keywords)]}
    if type(settings).__repr__ is object.__repr__ and not callable(settings):  # its text would be an address
        return plain({"kind": type(settings).__name__, **vars(settings)})
    if isinstance(settings, type) or not callable(settings):
        return to_json(settings)
    function = inspect.unwrap(settings)
    name = f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"
    return f"{name} {digest(*_parts(function))[:16]}" if inspect.isfunction(function) else name


def _parts(function: Any) -> Iterator[str | bytes]:
    """Texts that change with what a function computes: its code, constants, defaults and what it closes over."""
    codes = [function.__code__]
    for code in codes:
        yield code.co_code
        codes += [part for part in code.co_consts if inspect.iscode(part)]
        yield repr([part for part in code.co_consts if not inspect.iscode(part) and not isinstance(part, frozenset)])
    held = [*(function.__defaults__ or ()), *inspect.getclosurevars(function).nonlocals.values()]
    yield repr([part.__name__ if inspect.isfunction(part) else plain(part) for part in held])


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
        raise ValueError(f"{path}: is not readable JSON ({error}); restore it, or name another") from None


def write_arrays(path: Path, arrays: Mapping[str, Any], *, compressed: bool = False) -> None:
    """Write named arrays as npz, whole or not at all."""
    with whole(path) as file:
        (np.savez_compressed if compressed else np.savez)(file, allow_pickle=False, **jax.device_get(dict(arrays)))


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote.

    Raises:
        ValueError: naming the file, where it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, zlib and numpy each have errors of their own
        raise ValueError(f"{path}: cannot be read as arrays ({error}); remove it, or name another") from None


def digest(*parts: Any) -> str:
    """SHA-256 of arrays and texts, with shapes and types, to tell data apart."""
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, (str, bytes)):
            sha.update(part.encode(errors="surrogatepass") if isinstance(part, str) else part)
        else:
            array = np.asarray(part)
            sha.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def made_by() -> dict[str, str]:
    """What decides the last bits of a number besides its settings."""
    return {"jax": jax.__version__, "device": jax.devices()[0].device_kind, "float": str(jnp.result_type(float))}


def claim(file: Path, identity: Mapping[str, Any]) -> None:
    """Write down what a folder belongs to, or check that it still does.

    Args:
        file: in the folder; the folder is made where it is not there.
        identity: by name, all that its content depends on, as JSON data.

    Raises:
        ValueError: for the folder of something else, naming what differs.
    """
    now = json.loads(json.dumps(to_json(identity)))
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, now, indent=2)
        return
    check_same(f"keep: {file.parent}", read_json(file), now)


def check_same(where: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with what was made otherwise.

    Raises:
        ValueError: naming the first difference.
    """
    if change := difference(before, now):
        name, was, value = change
        raise ValueError(f"{where} was made with another {name} ({was}, now {value}); name a new one")


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first thing that differs in two identities, with what it was and is.

    >>> difference({"model": {"width": 4}}, {"model": {"width": 8}})
    ('model.width', 4, 8)
    """
    old, new = _flat(before), _flat(now)
    changed = [name for name in old | new if old.get(name) != new.get(name)]
    return (changed[0], old.get(changed[0]), new.get(changed[0])) if changed else None


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        return {prefix: tree}
    return {name: leaf for key in tree for name, leaf in _flat(tree[key], f"{prefix}.{key}".strip(".")).items()}


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
        record = read_json(path)
        return record["value"] if isinstance(record, dict) and record.get("made by") == made_by() else None

    def write(path: Path, value: Any) -> None:
        write_json(path, {"made by": made_by(), "value": value}, indent=None)

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
        self.folder = folder
        claim(folder / "run.json", identity)

    def save(self, name: str, leaves: list[Any]) -> None:
        """Keep some arrays, in place of what was kept under that name."""
        write_arrays(self.folder / f"{name}.npz", {f"{i:04d}": leaf for i, leaf in enumerate(leaves)})

    def saved(self, name: str) -> list[np.ndarray] | None:
        """The arrays kept under a name, or None."""
        path = self.folder / f"{name}.npz"
        return [array for _, array in sorted(read_arrays(path).items())] if path.exists() else None


def _kept(folder: Path, file: str, read: Callable, write: Callable, compute: Callable[[], Any]) -> Any:
    path = folder / file
    value = read(path) if path.exists() else None
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
