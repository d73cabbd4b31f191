"""What most small studies have: evidence of a few kinds, every value inside its bound, and a caption of settings."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import ArrayLike

from .evidence import Bound, Evidence


def exact(name: str, claim: str, values: ArrayLike, most: float, **more: Any) -> Evidence:
    """A closed form met: an error that stays below `most`."""
    return _row(name, claim, values, Bound("machinery", most=most, source="closed form"),
                {"published": "exact", "ceiling": "0", "no_null": "two exact routes"} | more)  # fmt: skip


def control(name: str, claim: str, values: ArrayLike, least: float = 0.0, **more: Any) -> Evidence:
    """A control that must fail: an error, or a distance to it, above `least`."""
    bound = Bound("machinery", least=least, source="a control that must fail", strict=True)
    return _row(name, claim, values, bound, {"no_null": "it is the control"} | more)


def direction(name: str, claim: str, values: ArrayLike, least: float = 0.0, **more: Any) -> Evidence:
    """A direction that is published, without a number: a difference above 0, or a ratio above 1."""
    bound = Bound("paper", least=least, source="the published direction", strict=True)
    return _row(name, claim, values, bound, {"published": "no number", "no_null": "it compares two"} | more)


def expected(
    name: str, claim: str, values: ArrayLike, *, least: float | None = None, most: float | None = None, **more: Any
) -> Evidence:
    """A bound of our own, with a null or why there is none."""
    return _row(name, claim, values, Bound("expectation", least, most, "ours", strict=True), more)


def _row(name: str, claim: str, values: ArrayLike, bound: Bound, more: dict[str, Any]) -> Evidence:
    return Evidence(name, claim, np.atleast_1d(np.asarray(values, np.float64)), bound, every=True, **more)


def described(text: str) -> Callable[[Any], str]:
    """A caption with the fields of the result's setting filled in: "width {width}"."""
    return lambda result: text.format(**vars(result.setting))
