"""Named settings, by size: a process, how networks are trained on it, and what is read from them."""

from collections.abc import Sequence
from pathlib import Path

from .conjugate import CONJUGATE
from .documents import DOCUMENTS
from .hidden_chains import HIDDEN_CHAINS
from .hypotheses import HYPOTHESES
from ...decoding.result import LatentResult
from ...decoding.setting import Setting, carried_out
from ...decoding.training import Report, silent

SETTINGS: dict[str, dict[str, Setting]] = {}
"""By name and size: "tiny" (seconds), "quick" (minutes), "full" (the published sizes)."""


def find_setting(name: str, size: str = "quick") -> Setting:
    """A setting of the catalogue.

    Raises:
        ValueError: naming the known ones.
    """
    if name not in SETTINGS:
        raise ValueError(f"name: unknown {name!r}; known: {', '.join(SETTINGS)}")
    if size not in SETTINGS[name]:
        raise ValueError(f"size: {name} has no size {size!r}; choose {' or '.join(SETTINGS[name])}")
    return SETTINGS[name][size]


def latent(
    name: str, size: str = "quick", seeds: int | Sequence[int] = 3, keep: Path | None = None, progress: Report = silent
) -> LatentResult:
    """Train, probe and score one setting of the catalogue.

    Args:
        name: of `SETTINGS`.
        size: of it.
        seeds: how many, or which; each has a network, a world and draws of its own.
        keep: a folder for training and scores, so that a killed run goes on where it was.
        progress: takes lines on how far it is.

    Raises:
        ValueError: for an unknown name or size, or a folder that holds another run.
    """
    return carried_out(find_setting(name, size), name, size, seeds, keep, progress)[0]


SETTINGS |= CONJUGATE
SETTINGS |= DOCUMENTS
SETTINGS |= HYPOTHESES
SETTINGS |= HIDDEN_CHAINS
