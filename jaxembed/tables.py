"""Tables as text, and what stands in them: numbers, intervals, spreads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from .observables.summary import Summary, summary
from .text import UNDEFINED, number, with_span
from .text import extremes as extremes
from .text import middle as middle
from .text import span as span
from .text import times as times

BAR = r"\|"
"""A bar that ends no cell."""


def interval(
    values: Float[np.ndarray, "..."] | Summary, spec: str = ".3g", within: tuple[float, float] | None = None
) -> str:
    """ "mean [low, high]" with the 95 % interval over the leading axis (see `summary`); one value has none.

    >>> interval(np.array([1.0, 1.2]), ".2f"), interval(np.array([1.0])), interval(np.array([np.nan, 1.0]))
    ('1.10 [-0.17, 2.37]', '1', 'undefined')
    >>> interval(np.array([0.97, 0.99, 1.0]), ".3f"), interval(np.array([0.97, 0.99, 1.0]), ".3f", within=(0, 1))
    ('0.987 [0.949, 1.025]', '0.987 [0.805, 0.999]')
    """
    summed = values if isinstance(values, Summary) else summary(np.asarray(values, np.float64), within=within)
    return with_span(float(summed.mean), float(summed.low), float(summed.high), spec)


def spread(values: Float[np.ndarray, "..."], spec: str = ".2f") -> str:
    """ "mean ± sd", with what is undefined said.

    >>> spread(np.array([0.9, 1.0])), spread(np.array([0.9]))
    ('0.95 ± 0.07', '0.90 ± undefined')
    """
    summed = summary(np.asarray(values, np.float64))
    mean = number(summed.mean, spec)
    return mean if mean == UNDEFINED else f"{mean} ± {number(summed.sd, spec)}"


def margin(values: Float[np.ndarray, " seed"]) -> str:
    """ "mean ± half of the 95 % Student interval", with what is undefined said.

    >>> margin(np.array([0.8, 0.9])), margin(np.array([0.8])), margin(np.array([np.nan, 1.0]))
    ('0.85 ± 0.64', '0.8 (1 seed)', 'undefined')
    """
    if np.isnan(values).any():
        return UNDEFINED
    if not np.isfinite(values).all():
        return "not finite"
    summed = summary(np.asarray(values, np.float64))
    mean = number(summed.mean)
    return f"{mean} (1 seed)" if len(values) == 1 else f"{mean} ± {number((summed.high - summed.low) / 2, '.2g')}"


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
        r"""The table alone, as any forge renders it.

        >>> print(Table("", ("bar",), [("|x|",)]).markdown(), end="")
        | bar |
        | --- |
        | \|x\| |
        """
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "".join(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |\n" for cells in lines)

    def rich(self) -> Any:
        """The table for a terminal; what stands in a cell is text, never markup."""
        from rich.table import Table as RichTable
        from rich.text import Text

        made = RichTable(title=Text(self.title) if self.title else None, caption=Text(self.note) if self.note else None)
        for column in self.header:
            made.add_column(Text(column), overflow="fold")
        for row in self.rows:
            made.add_row(*(Text(cell) for cell in row))
        return made
