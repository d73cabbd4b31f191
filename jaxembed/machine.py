"""The machine: cores, memory, optional packages, quiet loggers, records. Nothing of ours is imported, JAX late."""

import logging
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

GIB = 2.0**30
"""Bytes in a GiB, the unit of memory limits."""

_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""What a container may take, on Linux."""
PACKAGES = ("jaxembed", "jax", "jaxlib", "optax", "diffrax", "orbax-checkpoint", "numpy", "scipy")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS", "NPROC", "JAX_PLATFORMS")
"""Environment variables that decide how many threads compute, and in which order they add up."""
SAME_BITS = ("versions.jax", "versions.jaxlib", "device", "platform", "dtype", "x64", "matmul_precision")
"""Of a record: where these differ, a run that goes on would not be the run that was begun."""
MAY_ROUND = ("versions.numpy", "versions.optax", "versions.diffrax", "python", "processor", "cores", "threads", "git")
"""Of a record: where these differ, its last bits may."""
COMMAND: ContextVar[tuple[str, ...]] = ContextVar("COMMAND", default=())
"""The words of the command line that is at work; () in a program of one's own."""


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def quiet(logger: str, level: int) -> Iterator[None]:
    """Hold back what a library logs below a level: its failures raise anyway."""
    log = logging.getLogger(logger)
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)


def optional(module: str, extra: str) -> Any:
    """A module that only an extra installs.

    Raises:
        ValueError: where it is missing, naming the extra.
    """
    try:
        return import_module(module)
    except ImportError:
        raise ValueError(f"{module}: not installed; pip install 'jaxembed[{extra}]'") from None


def device_memory() -> float:
    """Bytes of the default device, or of this machine and what its container leaves of it; infinite where unknown."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return float(stats["bytes_limit"])
    limits = [float(text) for path in _CGROUP if (text := _content(path)).isdigit()]
    with suppress(AttributeError, OSError, ValueError):  # not every system tells
        limits.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    return min(limits, default=float("inf"))


def _content(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def record() -> dict[str, Any]:
    """What made a result besides its settings and data: enough to run it again, and to see why bits may differ."""
    import jax
    import jax.numpy as jnp

    devices = jax.devices()
    return {
        "command": ["jaxembed", *COMMAND.get()] if COMMAND.get() else list(sys.argv),
        "folder": os.getcwd(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "git": commit(),
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "platform": devices[0].platform,
        "processor": _processor(),
        "cores": cores(),
        "threads": " ".join(f"{name}={os.environ[name]}" for name in THREADS if name in os.environ),
        "dtype": jnp.zeros((), float).dtype.name,
        "x64": bool(jax.config.jax_enable_x64),  # pyright: ignore[reportAttributeAccessIssue]
        "matmul_precision": getattr(jax.config, "jax_default_matmul_precision", None) or "default",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def commit() -> str:
    """The git commit of the package's own files, with " and changes" where they were edited since.

    "unknown" where git does not keep these files: an installed package is no part of the project around it.
    """
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return "unknown"
    changed = _git("status", "--porcelain", "--", ".")
    return f"{_git('rev-parse', 'HEAD')}{' and changes' if changed else ''}"


def _git(*words: str) -> str | None:
    try:
        git = ["git", *words]
        told = subprocess.run(git, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() if told.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _processor() -> str:
    lines = [line.partition(":") for line in _content(Path("/proc/cpuinfo")).splitlines()]
    named = (value.strip() for name, _, value in lines if name.strip() == "model name")
    return next(named, "") or platform.processor() or platform.machine()
