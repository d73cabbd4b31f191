"""Do the tables of a model follow a text's signatures? Own signature and the other one's, centred and plain."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from ..observables import Alignment, alignment
from ..observables.at_scale.blockwise import BUDGET
from .foreign import Progress, TextSignatures, TokenTables, silent

EMBED, UNEMBED = "W^E", "W^U"
NEXT, PREVIOUS = "phi^next", "psi^prev"
KINDS = {NEXT: "next", PREVIOUS: "previous"}
OWN = {EMBED: NEXT, UNEMBED: PREVIOUS}
"""The signature that theory gives each table."""

HEADER = ("weights", "signature", "R_cos [95 %]", "Mantel p", "99 % null", "nearest shared [99 % null]")
BAND_HEADER = (
    "pairs by cosine of embeddings",
    "their number",
    "cosine there",
    "of signatures [95 %]",
    "above the line",
)


@dataclass(frozen=True)
class TableAlignment:
    """One table against one signature.

    Attributes:
        weights: "W^E" or "W^U".
        signature: "phi^next" or "psi^prev".
        centred: whether the unigram distribution was taken off.
        alignment: everything measured.
    """

    weights: str
    signature: str
    centred: bool
    alignment: Alignment

    @property
    def name(self) -> str:
        return f"{self.weights} with {self.signature}, {'centred' if self.centred else 'plain'}"

    @property
    def own(self) -> bool:
        """Whether theory gives this table this signature; the others are its controls."""
        return OWN[self.weights] == self.signature


@dataclass(frozen=True)
class ModelAlignment:
    """A model and a text.

    Attributes:
        tokens: compared.
        tied: whether embedding and unembedding are one table.
        rows: own signatures centred, plain, and the other table's, for both tables.
    """

    tokens: int
    tied: bool
    rows: tuple[TableAlignment, ...]

    def row(self, weights: str, signature: str, *, centred: bool = True) -> TableAlignment:
        """One of the rows."""
        return next(r for r in self.rows if (r.weights, r.signature, r.centred) == (weights, signature, centred))

    @property
    def own(self) -> tuple[TableAlignment, ...]:
        """Both tables with their own signature, centred."""
        return tuple(row for row in self.rows if row.own and row.centred)

    def table(self) -> list[tuple[str, ...]]:
        """Every row, in the order of `HEADER`."""
        return [_line(row) for row in self.rows]

    def record(self) -> dict[str, Any]:
        """Everything as numbers, texts and lists, for a file."""
        held = [{"name": row.name, **plain(asdict(row.alignment))} for row in self.rows]
        return {"tokens": self.tokens, "tied": self.tied, "rows": held}


def align_model(
    tables: TokenTables,
    sig: TextSignatures,
    *,
    budget: int = BUDGET,
    permutations: int = 199,
    seed: int = 0,
    top: int = 10,
    progress: Progress = silent,
) -> ModelAlignment:
    """Agreement of both tables with both signatures, over the tokens of the signatures.

    Args:
        tables: of the model.
        sig: of the text.
        budget: bytes of working memory.
        permutations: relabellings of the tokens behind each null.
        seed: of relabellings and resampling.
        top: nearest neighbours compared.
        progress: called with a stage and its share done.
    """
    weights = {EMBED: tables.embed, UNEMBED: tables.unembed}
    options: dict[str, Any] = {"budget": budget, "permutations": permutations, "seed": seed, "top": top}
    rows = []
    for table, own in OWN.items():
        other = next(signature for signature in KINDS if signature != own)
        for signature, centred in ((own, True), (own, False), (other, True)):
            show = partial(_stage, progress, f"{table} with {signature}, {'centred' if centred else 'plain'}")
            signed = sig.rows(KINDS[signature], centred=centred)
            found = alignment(weights[table][sig.tokens], signed, progress=show, **options)
            rows.append(TableAlignment(table, signature, centred, found))
    return ModelAlignment(len(sig.tokens), tables.tied, tuple(rows))


def band_table(found: Alignment) -> list[tuple[str, ...]]:
    """Tenths and upper tails of embedding similarity, in the order of `BAND_HEADER`."""
    named = [(f"{100 * b.quantiles[0]:g}-{100 * b.quantiles[1]:g} %", b) for b in found.bands]
    named += [(f"above {100 * b.quantiles[0]:g} %", b) for b in found.tails]
    return [
        (
            name,
            f"{band.pairs:,}",
            number(band.similarity),
            f"{number(band.agreement)} {span(band.interval)}",
            f"{number(band.excess)} {span(band.excess_interval)}",
        )
        for name, band in named
    ]


def describe_trend(found: Alignment) -> str:
    """Whether strongly similar pairs agree most, in a sentence."""
    trend, tail = f"{number(found.trend)} {span(found.trend_interval)}", found.tails[-2]
    rising = "rises" if found.trend_interval[0] > 0 else "falls" if found.trend_interval[1] < 0 else "has no sure trend"
    low, high = tail.excess_interval
    line = "more than" if low > 0 else "less than" if high < 0 else "no surely different from what"
    return (
        f"Over tenths of embedding similarity the cosine of signatures {rising} (Spearman {trend}); the closest 1 % "
        f"agree {line} a straight line through all pairs gives ({number(tail.excess)} {span(tail.excess_interval)})."
    )


def number(value: float) -> str:
    """Two or three digits, or "undefined"."""
    return "undefined" if np.isnan(value) else f"{value:.3f}" if abs(value) < 0.0995 else f"{value:.2f}"


def span(ends: tuple[float, float]) -> str:
    """An interval."""
    return "" if np.isnan(ends[0]) else f"[{number(ends[0])}, {number(ends[1])}]"


def _line(row: TableAlignment) -> tuple[str, ...]:
    found = row.alignment
    kind = "centred" if row.centred else "plain"
    return (
        row.weights,
        f"{row.signature}, {kind}{'' if row.own else ' (cross)'}",
        f"{number(found.r_cos)} {span(found.interval)}".strip(),
        "undefined" if np.isnan(found.p_value) else f"{found.p_value:.2g}",
        number(found.null_99),
        f"{number(found.overlap)} [{number(found.overlap_99)}]",
    )


def plain(value: Any) -> Any:
    """Arrays to lists and NaN to None, as JSON has it."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value


def _stage(progress: Progress, name: str, stage: str, share: float) -> None:
    progress(f"{name}: {stage}", share)
