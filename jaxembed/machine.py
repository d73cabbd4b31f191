"""The machine: cores, memory, optional packages, quiet loggers. This file imports nothing of ours."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import jax

GIB = 2.0**30
"""Bytes in a GiB, the unit of memory limits."""

_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""What a container may take, on Linux."""


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
