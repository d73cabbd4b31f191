"""Do the tables of a model follow a text's signatures? Own signature and the other one's, centred and plain."""

from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import PRNGKeyArray

from ..base import Progress, silent
from ..observables import Alignment, alignment
from ..observables.at_scale.blockwise import BUDGET
from ..tables import Table
from ..text import cosine_spec, number, with_span
from .foreign import TextSignatures, TokenTables

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
    def kind(self) -> str:
        return f"{self.signature}, {'centred' if self.centred else 'plain'}"

    @property
    def name(self) -> str:
        return f"{self.weights} with {self.kind}"

    @property
    def own(self) -> bool:
        """Whether theory gives this table this signature; the others are its controls."""
        return OWN[self.weights] == self.signature

    def row(self) -> tuple[str, ...]:
        """In the order of `HEADER`."""
        a, cross = self.alignment, "" if self.own else " (cross)"
        shared = f"{number(a.overlap, cosine_spec)} [{number(a.overlap_99, cosine_spec)}]"
        r_cos, null = with_span(a.r_cos, *a.interval, cosine_spec), number(a.null_99, cosine_spec)
        return self.weights, f"{self.kind}{cross}", r_cos, number(a.p_value, ".2g"), null, shared

    def band_table(self) -> Table:
        """Tenths and upper tails of embedding similarity."""
        bands = [(f"{100 * b.quantiles[0]:g}-{100 * b.quantiles[1]:g} %", b) for b in self.alignment.bands]
        bands += [(f"above {100 * b.quantiles[0]:g} %", b) for b in self.alignment.tails]
        rows = [
            (name, f"{b.pairs:,}", number(b.similarity, cosine_spec),
             with_span(b.agreement, *b.interval, cosine_spec), with_span(b.excess, *b.excess_interval, cosine_spec))
            for name, b in bands
        ]  # fmt: skip
        return Table(self.name, BAND_HEADER, rows)

    def trend(self) -> str:
        """Whether strongly similar pairs agree most, in a sentence."""
        a, tail = self.alignment, self.alignment.tails[-2]
        (low, high), (tail_low, tail_high) = a.trend_interval, tail.excess_interval
        rising = "rises" if low > 0 else "falls" if high < 0 else "has no sure trend"
        line = "more than" if tail_low > 0 else "less than" if tail_high < 0 else "no surely different from what"
        return (
            f"Over tenths of embedding similarity the cosine of signatures {rising} (Spearman "
            f"{with_span(a.trend, low, high, cosine_spec)}); the closest 1 % agree {line} a straight line through all "
            f"pairs gives ({with_span(tail.excess, tail_low, tail_high, cosine_spec)})."
        )


@dataclass(frozen=True)
class ModelAlignment:
    """A model and a text.

    Attributes:
        tokens: compared.
        tied: whether embedding and unembedding are one table.
        permutations: relabellings behind each null.
        rows: own signatures centred, plain, and the other table's, for both tables.
    """

    tokens: int
    tied: bool
    permutations: int
    rows: tuple[TableAlignment, ...]

    def row(self, weights: str, signature: str, *, centred: bool = True) -> TableAlignment:
        """One of the rows."""
        return next(r for r in self.rows if (r.weights, r.signature, r.centred) == (weights, signature, centred))

    @property
    def own(self) -> tuple[TableAlignment, ...]:
        """Both tables with their own signature, centred."""
        return tuple(row for row in self.rows if row.own and row.centred)

    def tables(self, title: str = "") -> tuple[Table, ...]:
        """All rows, then each table with its own signature by similarity of embeddings."""
        return Table(title, HEADER, [row.row() for row in self.rows]), *(row.band_table() for row in self.own)

    def note(self) -> str:
        """What intervals, nulls and shares are of."""
        first = self.rows[0].alignment
        left = max(row.alignment.left_out for row in self.rows)
        return (
            f"95 % intervals over resampled tokens; null and p from {self.permutations} relabellings of the tokens "
            f"(exact sd of the first: {first.null_sd:.3g}); chance shares {first.overlap_chance:.2%} of the "
            f"{first.top} nearest; {left} tokens left out (a row without direction)."
        )

    def trends(self) -> tuple[str, ...]:
        """Of each table with its own signature, a sentence."""
        return tuple(f"{row.name}: {row.trend()}" for row in self.own)

    def record(self) -> dict[str, Any]:
        """Everything as numbers, texts and arrays, for a file."""
        rows = [{"name": row.name, **asdict(row.alignment)} for row in self.rows]
        return {"tokens": self.tokens, "tied": self.tied, "rows": rows}


def align_model(
    tables: TokenTables,
    sig: TextSignatures,
    *,
    budget: int = BUDGET,
    permutations: int = 199,
    key: PRNGKeyArray | int = 0,
    top: int = 10,
    progress: Progress = silent,
) -> ModelAlignment:
    """Agreement of both tables with both signatures, over the tokens of the signatures.

    Args:
        tables: of the model.
        sig: of the text.
        budget: bytes of working memory.
        permutations: relabellings of the tokens behind each null.
        key: of relabellings and resampling.
        top: nearest neighbours compared.
        progress: takes a line and its share done.
    """
    weights = {EMBED: tables.embed, UNEMBED: tables.unembed}
    options: dict[str, Any] = {"budget": budget, "permutations": permutations, "key": key, "top": top}
    rows = []
    for table, own in OWN.items():
        cross = next(signature for signature in KINDS if signature != own)
        for signature, centred in ((own, True), (own, False), (cross, True)):
            name = f"{table} with {signature}, {'centred' if centred else 'plain'}"

            def show(text: str, share: float | None = None, /, name: str = name) -> None:
                progress(f"{name}: {text}", share)

            signed = sig.rows(KINDS[signature], centred=centred)
            measured = alignment(weights[table][sig.tokens], signed, progress=show, **options)
            rows.append(TableAlignment(table, signature, centred, measured))
    return ModelAlignment(len(sig.tokens), tables.tied, permutations, tuple(rows))
