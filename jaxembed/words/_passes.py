"""Passes of sampled training one after the other, each written down, so that a killed run goes on where it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ..base import Progress
from ..keep import difference, read_arrays, write_arrays


@runtime_checkable
class Steps(Protocol):
    """A start and what a pass makes of it; a pass depends on its number alone."""

    total: int

    def start(self) -> dict[str, Any]: ...

    def epoch(self, tables: dict[str, Any], epoch: int, tell: Callable[[float], None], /) -> dict[str, Any]: ...


def run_passes(steps: Steps, identity: dict[str, str], keep: Path | None, progress: Progress) -> dict[str, np.ndarray]:
    """All passes; those that `keep` holds already are not made again.

    Raises:
        ValueError: where `keep` holds another run, or is no such file; where numbers are no longer finite.
    """
    done, tables = (0, steps.start()) if keep is None or not keep.exists() else _read(keep, identity)
    for epoch in range(done, steps.total):
        text = f"pass {epoch + 1} of {steps.total}"
        tables = steps.epoch(tables, epoch, lambda part, e=epoch, t=text: progress(t, (e + part) / steps.total))
        if not all(np.isfinite(table).all() for table in tables.values()):
            raise ValueError(f"rate: numbers are no longer finite after pass {epoch + 1}; take a smaller rate or batch")
        if keep is not None:
            _write(keep, epoch + 1, tables, identity)
    return {name: np.asarray(table) for name, table in tables.items()}


def _write(keep: Path, done: int, tables: dict[str, Any], identity: dict[str, str]) -> None:
    keep.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(keep, {"done": done, "identity": json.dumps(identity)} | tables)


def _read(keep: Path, identity: dict[str, str]) -> tuple[int, dict[str, Array]]:
    try:
        arrays = read_arrays(keep)
        done, before = int(arrays.pop("done")), json.loads(str(arrays.pop("identity")))
    except (ValueError, KeyError) as error:
        raise ValueError(f"keep: {keep} cannot be read as kept training ({error}); name another file") from None
    if change := difference(before, identity):
        name, was, now = change
        raise ValueError(f"keep: {name} of the training in {keep} was {was}; it is {now} now")
    return done, {name: jnp.asarray(array) for name, array in arrays.items()}
