"""A study in one shape: settings by size, one run, tables, evidence, and perhaps a picture."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import jax.numpy as jnp

from ..base import Progress, silent
from ..machine import optional
from ..tables import Table
from .evidence import SIZES, Evidence, Size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

S = TypeVar("S")
R = TypeVar("R")
DATA = "JAXEMBED_DATA"
MODULES = {"text": "tokenizers", "topics": "sklearn", "scale": "distributed", "peers": "gensim", "filters": "dynamax"}
"""A module of each extra that a study may need."""


@dataclass(frozen=True)
class Run:
    """How a setting is run.

    Attributes:
        seeds: how many independent repetitions; what a seed varies, the study says.
        keep: a folder for finished pieces, so that a killed run goes on where it was; None keeps nothing.
        progress: takes a line, and the share done where it is known.
    """

    seeds: int
    keep: Path | None = None
    progress: Progress = silent


@dataclass(frozen=True)
class Study(Generic[S, R]):
    """A published setting, or one of a user's own, carried from settings to evidence.

    Attributes:
        name: how it is called, and how its files are named.
        source: key of `theory/references.bib`.
        settings: by size; a size that is not there cannot be run.
        seeds: by size, how many unless another number is asked for.
        run: `run(setting, run) -> result`.
        tables: of a result.
        evidence: of a result; its ids are among `ids`.
        ids: of every claim that the study can speak to at some size.
        beyond_tiny: those of them that a tiny result cannot speak to, such as a number at a setting it leaves out.
        needs: "float64", "JAXEMBED_DATA" or an extra ("text"), checked before anything is computed; `tiny_needs` where
            the smallest size needs less.
        takes: by size, about how long on two cores.
        smaller: by size, what is smaller than published; needed for every size but "published".
        caption: of a result, what was computed with what.
        draw: onto a figure.
        ledger: the size at which `jaxembed claims` runs it; None where only `--full` does.
    """

    name: str
    source: str
    settings: Mapping[Size, S]
    seeds: Mapping[Size, int]
    run: Callable[[S, Run], R]
    tables: Callable[[R], tuple[Table, ...]]
    evidence: Callable[[R], tuple[Evidence, ...]]
    ids: tuple[str, ...]
    takes: Mapping[Size, str]
    smaller: Mapping[Size, str]
    needs: tuple[str, ...] = ()
    tiny_needs: tuple[str, ...] | None = None
    caption: Callable[[R], str] = field(default=lambda result: "")
    draw: "Callable[[R, Figure], None] | None" = None
    ledger: Size | None = None
    beyond_tiny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for size in self.settings:
            if size not in SIZES:
                raise ValueError(f"settings: unknown size {size!r}; known: {', '.join(SIZES)}")
            for name in ("seeds", "takes", *(["smaller"] if size != "published" else [])):
                if size not in getattr(self, name):
                    raise ValueError(f"{name}: nothing for size {size!r}")

    @property
    def default(self) -> Size:
        """The size that a script runs unless told otherwise: quick where there is one."""
        return "quick" if "quick" in self.settings else self.largest

    @property
    def largest(self) -> Size:
        """The largest size there is."""
        return next(size for size in reversed(SIZES) if size in self.settings)

    def result(
        self, size: Size = "tiny", *, seeds: int | None = None, keep: Path | None = None, progress: Progress = silent
    ) -> R:
        """Run the study at a size.

        Args:
            size: of `settings`.
            seeds: how many; None takes the study's own number.
            keep: a folder for finished pieces, so that a killed run goes on where it was.
            progress: takes lines on how far it is.

        Raises:
            ValueError: for a size that the study does not have, fewer than one seed, or a need that is not met.
        """
        self.check_size(size)
        seeds = self.seeds[size] if seeds is None else seeds
        if seeds < 1:
            raise ValueError(f"seeds: must be at least 1, got {seeds}")
        self.check_needs(size)
        return self.run(self.settings[size], Run(seeds, keep, progress))

    def check_size(self, size: Size) -> None:
        """Refuse a size that the study does not have.

        Raises:
            ValueError: naming those it has.
        """
        if size not in self.settings:
            raise ValueError(f"size: {self.name} has no size {size!r}; choose {' or '.join(self.settings)}")

    def check_needs(self, size: Size) -> None:
        """Refuse to run without what the study needs.

        Raises:
            ValueError: naming the study and what is missing.
        """
        needs = self.tiny_needs if size == "tiny" and self.tiny_needs is not None else self.needs
        for need in needs:
            if need == "float64":
                if jnp.zeros((), float).dtype != jnp.float64:
                    advice = 'call jax.config.update("jax_enable_x64", True) first'
                    raise ValueError(f"{self.name}: needs float64; {advice}")
            elif need == DATA:
                if not os.environ.get(DATA):
                    raise ValueError(f"{self.name}: needs {DATA}, the folder of its texts; set it, or use size tiny")
            else:
                optional(MODULES[need], need)
