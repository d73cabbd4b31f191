"""Files and folders that are whole or not there, and one writer for a folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None

PART = ".part"
"""How the names of files and folders end that are not whole yet; they begin with a dot."""


@contextmanager
def whole(path: Path, new: bool = False) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name when the block ends, and not at all where the block fails.

    Args:
        path: the name.
        new: raise FileExistsError where the name is taken by then.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}{PART}")
    try:
        with unfinished.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if new:
            _name_new(unfinished, path)
        else:
            os.replace(unfinished, path)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # of a write, as on a full disk: name the file
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def _name_new(unfinished: Path, path: Path) -> None:
    try:
        os.link(unfinished, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names
        os.replace(unfinished, path)


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


class Lock:
    """A folder that one process alone writes to: until it lets go, or dies."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._held = folder, -1

    def take(self) -> None:
        """Make the folder where it is not there, and lock it.

        Raises:
            ValueError: where another process has it.
        """
        if self._held >= 0 or fcntl is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        held = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            raise ValueError(
                f"out: another process is writing to {self.folder}; wait for it, or name another folder"
            ) from None
        except OSError:  # a file system without locks
            os.close(held)
            return
        self._held = held

    def release(self) -> None:
        """Let others have it."""
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    __del__ = release


def write_bytes(path: Path, data: bytes, new: bool = False) -> None:
    """Write a file whole or not at all; see `whole`."""
    with whole(path, new) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())
