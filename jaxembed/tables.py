"""Numbers, intervals and tables as text: the one place that decides how a number is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from .keep import UNDEFINED
from .observables.summary import Summary, summary


def number(value: Any, spec: str = ".3g") -> str:
    """A number in a format, or the word undefined.

    >>> number(0.98765), number(float("nan")), number(0.25, ".0%"), number(float("inf"))
    ('0.988', 'undefined', '25%', 'infinite')
    """
    value = float(value)
    if np.isnan(value):
        return UNDEFINED
    if np.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return format(value + 0.0, spec)  # + 0.0 takes the sign off a zero


def span(low: Any, high: Any, spec: str = ".3g") -> str:
    """ "[low, high]", or nothing where there is no interval."""
    return "" if np.isnan(low) or np.isnan(high) else f"[{number(low, spec)}, {number(high, spec)}]"


def with_span(value: Any, low: Any, high: Any, spec: str = ".3g") -> str:
    """ "value [low, high]", or the word undefined."""
    return f"{number(value, spec)} {span(low, high, spec)}".strip() if np.isfinite(value) else number(value, spec)


def interval(values: Float[np.ndarray, "..."] | Summary, spec: str = ".3g") -> str:
    """ "mean [low, high]" with the 95 % Student interval over the leading axis; one value has none.

    >>> interval(np.array([1.0, 1.2]), ".2f"), interval(np.array([1.0])), interval(np.array([np.nan, 1.0]))
    ('1.10 [-0.17, 2.37]', '1', 'undefined')
    """
    found = values if isinstance(values, Summary) else summary(np.asarray(values, np.float64))
    return with_span(float(found.mean), float(found.low), float(found.high), spec)


def spread(values: Float[np.ndarray, "..."], spec: str = ".2f") -> str:
    """ "mean ± sd", with what is undefined said.

    >>> spread(np.array([0.9, 1.0])), spread(np.array([0.9]))
    ('0.95 ± 0.07', '0.90 ± undefined')
    """
    found = summary(np.asarray(values, np.float64))
    mean = number(found.mean, spec)
    return mean if mean == UNDEFINED else f"{mean} ± {number(found.sd, spec)}"


def extremes(values: Float[np.ndarray, "..."], spec: str = ".3g", between: str = " .. ") -> str:
    """ "smallest .. largest", or one number where they read the same.

    >>> extremes(np.array([0.001, 0.25])), extremes(np.array([1.0, 1.0]))
    ('0.001 .. 0.25', '1')
    """
    if np.isnan(values).any():
        return UNDEFINED
    low, high = number(np.min(values), spec), number(np.max(values), spec)
    return low if low == high else f"{low}{between}{high}"


def middle(values: Float[np.ndarray, "..."], spec: str = ".2f") -> str:
    """ "median [smallest .. largest]", as of times.

    >>> middle(np.array([1.0, 1.5, 4.0]))
    '1.50 [1.00 .. 4.00]'
    """
    x = np.asarray(values, np.float64)
    ends = f"{number(x.min(), spec)} .. {number(x.max(), spec)}"
    return f"{number(np.median(x), spec)} [{ends}]"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: one line.
        header: names of the columns.
        rows: of text, each as long as the header.
        note: what belongs under it: what varied, sizes.
        name: what distinguishes its file from the study's other tables, "" for the main one.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"rows: {len(row)} cells under {len(self.header)} columns of {self.title!r}: {row}")

    def markdown(self) -> str:
        """The table alone, as any forge renders it."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)

    def rich(self) -> Any:
        """The table for a terminal; what stands in a cell is text, never markup."""
        from rich.table import Table as RichTable
        from rich.text import Text

        made = RichTable(title=Text(self.title) if self.title else None, caption=self.note or None)
        for column in self.header:
            made.add_column(Text(column), overflow="fold")
        for row in self.rows:
            made.add_row(*(Text(cell) for cell in row))
        return made
