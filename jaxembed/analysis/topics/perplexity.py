"""Are the places where a topic can be read those where the next tokens are easy? Regression within documents."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, PRNGKeyArray

from ...base import generator

Table = Float[np.ndarray, "position document"]


@dataclass(frozen=True)
class PerplexityLink:
    """Nats of loss per step from a wrong to a right topic, at the same place in the same document.

    Attributes:
        coefficient: of topic accuracy (0 or 1), with one effect for every document and a line in the position.
        low: lower end of the 95 % interval over documents, resampled.
        high: its upper end.
        flexible: the same with one effect for every position in place of the line, (value, low, high).
        null: the coefficient with accuracies permuted within each document, (value, low, high) over permutations.
        between: correlation over documents of mean accuracy and mean loss: what document effects take out.
        documents: documents.
        rows: places in them.
    """

    coefficient: float
    low: float
    high: float
    flexible: tuple[float, float, float]
    null: tuple[float, float, float]
    between: float
    documents: int
    rows: int


def perplexity_link(
    losses: Table, right: Bool[np.ndarray, "position document"], resamples: int = 1000, *, key: PRNGKeyArray | int = 0
) -> PerplexityLink:
    """Regress the log perplexity of the tokens after a place on the place and on whether the topic was read there.

    Equation: loss[n, d] = a_d + b n + c right[n, d] + error, by least squares. A document's effect a_d is taken out
    by subtracting its means: unlike a random effect it may go with the accuracy, as it does (easy documents have
    both), and it needs no further library. Log perplexity (mean -log p) in place of perplexity: the latter is ruled
    by a few rare tokens.

    Args:
        losses: `[position, document]`, nats per token; NaN where there is no token.
        right: `[position, document]`, whether the probe's top topic there is the document's.
        resamples: of documents; the null takes as many permutations, but at most 200.
        key: of both.

    Raises:
        ValueError: for fewer than two places with a loss.

    Source: zhang2024embed.
    """
    used = ~np.isnan(losses).all(axis=1)
    losses, right = losses[used], right[used].astype(float)
    if len(losses) < 2:
        raise ValueError(f"losses: need at least 2 places with a loss, got {len(losses)}; ask for more positions")
    there = ~np.isnan(losses)
    place = np.repeat(np.linspace(0.0, 1.0, len(losses))[:, None], losses.shape[1], axis=1)
    dummies = [np.repeat(row[:, None], losses.shape[1], axis=1) for row in np.eye(len(losses))[1:]]
    rng = generator(key)
    line, steps = _sums([right, place], losses, there), _sums([right, *dummies], losses, there)
    permuted = [
        _coefficient(_sums([rng.permuted(right, axis=0), place], losses, there)) for _ in range(min(resamples, 200))
    ]
    draws = rng.multinomial(losses.shape[1], np.full(losses.shape[1], 1 / losses.shape[1]), size=resamples)
    own, flexible = (_interval(sums, draws.astype(float)) for sums in (line, steps))
    low, high = np.quantile(permuted, [0.025, 0.975])
    means = [np.where(there, table, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1) for table in (right, losses)]
    return PerplexityLink(
        *own,
        flexible=flexible,
        null=(float(np.mean(permuted)), float(low), float(high)),
        between=_correlation(*means),
        documents=losses.shape[1],
        rows=int(there.sum()),
    )


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """NaN where one of them does not vary."""
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) > 0 and np.ptp(other) > 0 else float("nan")


def _sums(
    columns: list[Table], losses: Table, there: Bool[np.ndarray, "position document"]
) -> Float[np.ndarray, "document example target"]:
    """Products of centred columns, summed over each document's places: `[document, k, k + 1]`, the loss last."""
    centred = []
    for table in (*columns, losses):
        known = np.where(there, table, 0.0)
        mean = known.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        centred.append(np.where(there, known - mean[None, :], 0.0))
    whole = np.stack(centred)
    return np.einsum("knd,lnd->dkl", whole[:-1], whole)


def _coefficient(sums: np.ndarray) -> float:
    """Of the first column, by least squares from all documents together; NaN where it does not vary."""
    return float(_solved(sums.sum(axis=0)[None])[0])


def _solved(total: np.ndarray) -> np.ndarray:
    """The first coefficient of each system `[draw, k, k + 1]`."""
    varies = total[:, 0, 0] > 1e-9
    matrix = np.where(varies[:, None, None], total[:, :, :-1], np.eye(total.shape[1])[None])
    return np.where(varies, np.linalg.solve(matrix, total[:, :, -1:])[:, 0, 0], np.nan)


def _interval(sums: np.ndarray, draws: np.ndarray) -> tuple[float, float, float]:
    """The coefficient and its interval over resampled documents."""
    drawn = _solved(np.tensordot(draws, sums, axes=1))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return _coefficient(sums), float(low), float(high)
