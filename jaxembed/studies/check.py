"""What a study asked for and what it got."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp

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


def need_float64(study: str) -> None:
    """Refuse float32, which cannot show errors at small initial scales.

    Raises:
        ValueError: naming the study and what to switch on.
    """
    if jnp.zeros((), float).dtype != jnp.float64:
        raise ValueError(f'{study}: needs float64; call jax.config.update("jax_enable_x64", True) first')
