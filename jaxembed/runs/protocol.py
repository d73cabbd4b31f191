"""What can be run, and what comes out: any object of these two kinds goes through `jaxembed run` and `je.runs.run`."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..base import Progress, silent
from ..tables import Table


class Stages(Protocol):
    """Pieces of a run: each is computed once, and read back where it was computed before the run was stopped."""

    progress: Progress
    """Takes a line on how far the run is."""

    def __call__(self, name: str, compute: Callable[[], Any], /) -> Any:
        """What `compute` gives, a tree of arrays; kept under its name."""
        ...

    def keep(self) -> Path | None:
        """A folder for work that keeps pieces of its own; None where nothing is kept."""
        ...

    def part(self, name: str, experiment: "Runnable", /) -> "Result":
        """Another run as a part of this one, in a folder of its own."""
        ...


class Unkept:
    """Stages that keep nothing."""

    def __init__(self, progress: Progress = silent) -> None:
        self.progress = progress

    def __call__(self, name: str, compute: Callable[[], Any], /) -> Any:
        self.progress(name)
        return compute()

    def keep(self) -> Path | None:
        """Nowhere."""
        return None

    def part(self, name: str, experiment: "Runnable", /) -> "Result":
        """The other run, not kept either."""
        return experiment.run(Unkept(lambda text, share=None, /: self.progress(f"{name}: {text}", share)))


@runtime_checkable
class Result(Protocol):
    """What a run gives. It may also have `animate(path)`, which writes the figure with the time running as a GIF."""

    @property
    def title(self) -> str:
        """One line that says what ran."""
        ...

    @property
    def caption(self) -> str:
        """What varied, and the sizes."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Numbers worth recording, by name; `report.md` lists them."""
        ...

    @property
    def arrays_file(self) -> str:
        """Name of the npz file of `arrays`."""
        ...

    def tables(self) -> tuple[Table, ...]:
        """Tables; `report.md` has all, a terminal shows those without a `name`."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays by name, for an npz file."""
        ...

    def record(self) -> Any:
        """All other numbers as JSON data (`keep.to_json` writes what is undefined), for `result.json`."""
        ...

    def figure(self, path: Path) -> None:
        """Write the figure as a PNG."""
        ...


@runtime_checkable
class Runnable(Protocol):
    """What can be run: a frozen dataclass. Its class and fields identify a run, and its fields are flags.

    Where other flags fit better it has `flags()`, a frozen dataclass whose fields are the flags, and
    `with_flags(flags)`, the object that they describe. Where its results have `animate`, it has `animated = True`.
    """

    @property
    def subject(self) -> tuple[str, str]:
        """What makes the data and what is trained on them, a word each, as a list shows them."""
        ...

    def data(self) -> Any:
        """A tree of arrays that tells its data from another's; () where its fields say all."""
        ...

    def memory(self) -> float:
        """Bytes that the run takes, roughly."""
        ...

    def stages(self) -> int:
        """Number of stages that `run` goes through; 0 where it is not known beforehand."""
        ...

    def run(self, stages: Stages, /) -> Result:
        """Compute everything.

        Raises:
            ValueError: where the settings do not fit together, naming the setting, before the first stage.
        """
        ...

    def read(self, record: Any, arrays: Mapping[str, np.ndarray], /) -> Result:
        """The same result from what a finished run left: its `record` as numbers again, and its `arrays`."""
        ...
