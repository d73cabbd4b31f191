"""Named settings of generated sequences, by size: a process, how networks are trained on it, what is read from them."""

import sys
from dataclasses import replace

from ...decoding import DecodingSetting
from .conjugate import CONJUGATE
from .documents import DOCUMENTS
from .hidden_chains import HIDDEN_CHAINS
from .hypotheses import HYPOTHESES

SETTINGS: dict[str, dict[str, DecodingSetting]] = {
    name: {size: replace(setting, name=f"{name} ({size})") for size, setting in sizes.items()}
    for name, sizes in (CONJUGATE | DOCUMENTS | HYPOTHESES | HIDDEN_CHAINS).items()
}
"""By name and size: "tiny" (seconds), "quick" (minutes), "published"."""


def find_setting(name: str, size: str = "quick") -> DecodingSetting:
    """A setting of the catalogue; "full", as published sizes were called before, is still taken.

    Raises:
        ValueError: naming the known ones.
    """
    if name not in SETTINGS:
        raise ValueError(f"name: unknown {name!r}; known: {', '.join(SETTINGS)}")
    if size == "full":
        print("size full is called published now", file=sys.stderr)
        size = "published"
    if size not in SETTINGS[name]:
        raise ValueError(f"size: {name} has no size {size!r}; choose {' or '.join(SETTINGS[name])}")
    return SETTINGS[name][size]
