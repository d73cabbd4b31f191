"""Named settings of generated sequences, by size: a process, how networks are trained on it, what is read from them."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from ...decoding import DecodingSetting
from .conjugate import CONJUGATE
from .documents import DOCUMENTS
from .hidden_chains import HIDDEN_CHAINS
from .hypotheses import HYPOTHESES

S = TypeVar("S")
SETTINGS: dict[str, dict[str, DecodingSetting]] = {
    name: {size: replace(build(size), name=f"{name} ({size})") for size in ("tiny", "quick", "published")}
    for name, build in (CONJUGATE | DOCUMENTS | HYPOTHESES | HIDDEN_CHAINS).items()
}
"""By name and size: "tiny" (seconds), "quick" (minutes), "published"."""


def find_setting(name: str, size: str = "quick") -> DecodingSetting:
    """A setting of the catalogue.

    Raises:
        ValueError: naming the known ones.
    """
    if name not in SETTINGS:
        raise ValueError(f"name: unknown {name!r}; known: {', '.join(SETTINGS)}")
    return of_size(name, SETTINGS[name], size)


def of_size(name: str, sizes: Mapping[str, S], size: str) -> S:
    """The one of this size; "full", as published sizes were called before, is still taken, with a line that says so.

    Raises:
        ValueError: naming the known ones.
    """
    if size == "full" and "published" in sizes:
        print("size full is called published now", file=sys.stderr)
        size = "published"
    if size not in sizes:
        raise ValueError(f"size: {name} has no size {size!r}; choose {' or '.join(sizes)}")
    return sizes[size]
