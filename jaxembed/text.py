"""Numbers and intervals as text: the one place that decides how a number is written."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from .keep import UNDEFINED as UNDEFINED

Spec = str | Callable[[float], str]
"""A format, or what chooses it by the number."""


def cosine_spec(value: float) -> str:
    """The format of cosines and correlations: two digits, three of small ones.

    >>> number(0.98, cosine_spec), number(-0.0123, cosine_spec)
    ('0.98', '-0.012')
    """
    return ".3f" if abs(value) < 0.0995 else ".2f"


def number(value: Any, spec: Spec = ".3g") -> str:
    """A number in a format, or the word undefined.

    >>> number(0.98765), number(float("nan")), number(0.25, ".0%"), number(float("inf")), number(-1e-9, ".2f")
    ('0.988', 'undefined', '25%', 'infinite', '0.00')
    """
    value = float(value)
    if np.isnan(value):
        return UNDEFINED
    if np.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    text = format(value + 0.0, spec if isinstance(spec, str) else spec(value))
    return text if text.strip("-0.%") else text.removeprefix("-")  # what reads as zero has no sign


def drawable(text: str) -> str:
    r"""A text as figures can show it: "?" for signs that their font lacks; a dollar begins no formula.

    >>> print(drawable("a $5 café"), drawable("王后"))
    a \$5 café ??
    """
    from matplotlib.font_manager import FontProperties, findfont, get_font

    signs = get_font(findfont(FontProperties())).get_charmap()
    return "".join(sign if ord(sign) in signs or sign == "\n" else "?" for sign in text).replace("$", r"\$")


def span(low: Any, high: Any, spec: Spec = ".3g") -> str:
    """ "[low, high]", or nothing where there is no interval."""
    return "" if np.isnan(low) or np.isnan(high) else f"[{number(low, spec)}, {number(high, spec)}]"


def with_span(value: Any, low: Any, high: Any, spec: Spec = ".3g") -> str:
    """ "value [low, high]", or the word undefined."""
    return f"{number(value, spec)} {span(low, high, spec)}".strip() if np.isfinite(value) else number(value, spec)


def extremes(values: Float[np.ndarray, "..."], spec: str = ".3g", between: str = " .. ") -> str:
    """ "smallest .. largest", or one number where they read the same.

    >>> extremes(np.array([0.001, 0.25])), extremes(np.array([1.0, 1.0]))
    ('0.001 .. 0.25', '1')
    """
    if np.isnan(values).any():
        return UNDEFINED
    low, high = number(np.min(values), spec), number(np.max(values), spec)
    return low if low == high else f"{low}{between}{high}"


def times(values: Float[np.ndarray, " seed"], first: float, last: float, spec: str = ".2g") -> str:
    """Smallest and largest time that was read from saves; the first save stands for all before it, infinity for later.

    >>> times(np.array([np.inf, 0.2, 0.3]), 0.2, 0.6), times(np.array([0.5]), 0.2, 0.6)
    ('by 0.2 .. beyond 0.6', '0.5')
    >>> times(np.array([0.5, np.nan]), 0.2, 0.6)
    'undefined'
    """
    if np.isnan(values).any():
        return UNDEFINED
    low, high = (
        f"beyond {number(last)}" if x > last else f"{'by ' if x <= first else ''}{number(x, spec)}"
        for x in (np.min(values), np.max(values))
    )
    return low if low == high else f"{low} .. {high}"


def middle(values: Float[np.ndarray, "..."], spec: str = ".2f") -> str:
    """ "median [smallest .. largest]", as of times.

    >>> middle(np.array([1.0, 1.5, 4.0]))
    '1.50 [1.00 .. 4.00]'
    """
    x = np.asarray(values, np.float64)
    ends = f"{number(x.min(), spec)} .. {number(x.max(), spec)}"
    return f"{number(np.median(x), spec)} [{ends}]"
