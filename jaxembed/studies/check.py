"""What a study asked for and what it got."""

from dataclasses import dataclass
from typing import Literal

Size = Literal["tiny", "normal"]
"""tiny: the whole path in seconds, figures not asserted against full-size targets; normal: the published setting."""


@dataclass(frozen=True)
class Check:
    """One figure: what was asked, what came out, and whether that is enough.

    Attributes:
        name: what was measured.
        asked: the requirement, in words.
        got: the number with what varied.
        passed: whether the requirement is met.
    """

    name: str
    asked: str
    got: str
    passed: bool
