"""One token of a model: its neighbours in weights and in signature, what carries them, and what stays open."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray

from ..base import SparseRows, generator
from ..corpus import EncodedCorpus
from ..observables import PairMoments, pair_moments, unit_rows
from ..observables.at_scale.blockwise import BUDGET
from ..statistics import TokenPairs, count_neighbours
from .foreign import TextSignatures, TokenTables, signature_rows

HALVES = 2


@dataclass(frozen=True)
class Neighbour:
    """Another token as seen from the one explained.

    Attributes:
        token: its id.
        weights: cosine of the two rows of the table.
        signature: cosine of the two signatures.
        residual: `weights` less the straight line through all pairs at `signature`, in standard deviations of the
            table's cosines over all pairs, which is what a pair of relabelled tokens varies by.
        reliability: cosine of the token's signatures counted on two halves of the documents; near zero, its signature
            is not known well enough to explain anything. NaN where a half lacks the token, or there is one document.
        contexts: ids of the tokens that add most to `signature`, largest part first.
        parts: what each of them adds; the parts of all tokens add up to `signature`.
    """

    token: int
    weights: float
    signature: float
    residual: float
    reliability: float
    contexts: Int[np.ndarray, " target"]
    parts: Float[np.ndarray, " target"]


@dataclass(frozen=True)
class Explanation:
    """A token in one table against that table's signature.

    Attributes:
        token: its id.
        count: its occurrences.
        reliability: as of `Neighbour`, of the token itself.
        moments: of all pairs, behind the residuals.
        score: correlation over all other tokens of the cosines with this one, of the table and of the signatures.
        by_weights: nearest in the table.
        by_signature: nearest by signature.
        unexplained: largest residuals first.
    """

    token: int
    count: int
    reliability: float
    moments: PairMoments
    score: float
    by_weights: tuple[Neighbour, ...]
    by_signature: tuple[Neighbour, ...]
    unexplained: tuple[Neighbour, ...]


def explain_token(
    tables: TokenTables,
    corpus: EncodedCorpus,
    sig: TextSignatures,
    token: int,
    *,
    top: int = 10,
    contexts: int = 5,
    key: PRNGKeyArray | int = 0,
    budget: int = BUDGET,
) -> dict[str, Explanation]:
    """Explain one token among those of `sig`, by its embedding ("next") and by its unembedding ("previous").

    Args:
        tables: of the model.
        corpus: the text; its documents are halved for the reliability of signatures.
        sig: counted on the text.
        token: id; one of `sig.tokens`.
        top: neighbours listed.
        contexts: next or previous tokens named for every pair.
        key: of the halves.
        budget: bytes of working memory.

    Raises:
        ValueError: where the token is not among those of `sig`.
    """
    if token not in sig.tokens:
        raise ValueError(f"token: {token} is not among the {len(sig.tokens)} tokens compared; take it in")
    halves = _halves(corpus, sig, key)
    return {
        kind: _explained(rows, kind, sig, halves, int(np.flatnonzero(sig.tokens == token)[0]), top, contexts, budget)
        for kind, rows in (("next", tables.embed), ("previous", tables.unembed))
    }


def shared_contexts(rows: SparseRows, one: int, other: int) -> Float[np.ndarray, " target"]:
    """What every column adds to the cosine of two rows; the parts add up to it.

    Equation: cos(S_i, S_j) = sum over nu of S_i(nu) S_j(nu) / (|S_i| |S_j|).

    >>> from scipy.sparse import csr_array
    >>> rows = SparseRows(csr_array(np.array([[1.0, 1.0], [1.0, 0.0]])), np.zeros(2))
    >>> print(shared_contexts(rows, 0, 1).round(3))
    [0.707 0.   ]
    """
    pair = rows.select(np.array([one, other])).dense()
    lengths = np.linalg.norm(pair, axis=1)
    return pair[0] * pair[1] / (lengths[0] * lengths[1])


def _explained(
    table: Float[np.ndarray, "token width"],
    kind: str,
    sig: TextSignatures,
    halves: tuple[TokenPairs, ...],
    place: int,
    top: int,
    contexts: int,
    budget: int,
) -> Explanation:
    weights, rows = table[sig.tokens], sig.rows(kind)
    moments = pair_moments(weights, rows, budget=budget)
    x, y = _cosines_with(weights, place), _cosines_with(rows, place)
    residual = (x - moments.expected(y)) / moments.spreads[0]
    others = np.flatnonzero(np.arange(len(x)) != place)

    def listed(values: Float[np.ndarray, " token"]) -> tuple[Neighbour, ...]:
        return tuple(neighbour(int(other)) for other in others[np.argsort(-values[others], kind="stable")[:top]])

    def neighbour(other: int) -> Neighbour:
        parts = shared_contexts(rows, place, other)
        most = np.argsort(-parts, kind="stable")[:contexts]
        sure = _reliability(halves, kind, int(sig.tokens[other]))
        numbers = float(x[other]), float(y[other]), float(residual[other])
        return Neighbour(int(sig.tokens[other]), *numbers, sure, most, parts[most])

    return Explanation(
        token=int(sig.tokens[place]),
        count=int(sig.counts[place]),
        reliability=_reliability(halves, kind, int(sig.tokens[place])),
        moments=moments,
        score=float(np.corrcoef(x[others], y[others])[0, 1]) if moments.r_cos == moments.r_cos else float("nan"),
        by_weights=listed(x),
        by_signature=listed(y),
        unexplained=listed(residual),
    )


def _cosines_with(rows: SparseRows | Float[np.ndarray, "token width"], place: int) -> Float[np.ndarray, " token"]:
    unit = unit_rows(rows)
    return unit.times(unit.written(np.array([place])).T)[:, 0]


def _halves(corpus: EncodedCorpus, sig: TextSignatures, key: PRNGKeyArray | int) -> tuple[TokenPairs, ...]:
    """Counts of a random half of the documents, and of the others; nothing where there is one document."""
    if len(corpus) < HALVES:
        return ()
    chosen = generator(key).permutation(len(corpus))[: len(corpus) // HALVES]
    options = {"window": sig.pairs.window, "documents": np.sort(chosen)}
    half = count_neighbours(corpus.ids, corpus.ends, corpus.vocab, **options)
    whole = replace(sig.pairs, tokenizer="")
    return half, whole - half


def _reliability(halves: tuple[TokenPairs, ...], kind: str, token: int) -> float:
    if not halves:
        return float("nan")
    one, other = (signature_rows(half, np.array([token]), kind) for half in halves)
    if not (one.matrix.nnz and other.matrix.nnz):
        return float("nan")
    a, b = one.dense()[0], other.dense()[0]
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
