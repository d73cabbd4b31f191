"""Signatures of a whole vocabulary from its pair counts, as sparse rows."""

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ..base import SparseRows
from .token_pairs import TokenPairs


def next_rows(pairs: TokenPairs, *, centred: bool = True) -> SparseRows:
    """Next-token signatures: row x is the distribution of what follows x, minus that of what follows any token.

    Equation: phi^next_x(nu) = n(x, nu) / sum_nu' n(x, nu') - sum_x' n(x', nu) / n.

    The baseline is the pairs' own margin: the frequency of nu *as a second token*. It differs from the unigram
    frequency by the tokens that begin documents, and makes the rows, weighted by how many pairs each begins, add up to
    zero exactly.

    Args:
        pairs: counts; with a window above 1 "follows" means at a distance of 1 .. window.
        centred: whether the baseline is subtracted; if not it is zero.

    Returns:
        `[token, target]`. The matrix row of a token that begins no pair is empty: its signature is undefined.

    >>> from jaxembed.statistics import count_neighbours
    >>> pairs = count_neighbours(np.array([0, 1, 0, 2]), np.array([4]), vocab=3)
    >>> next_rows(pairs, centred=False).dense()[0].tolist()
    [0.0, 0.5, 0.5]

    Source: yao2025probability.
    """
    return _rows(pairs.counts, pairs.seconds, centred)


def previous_rows(pairs: TokenPairs, *, centred: bool = True) -> SparseRows:
    """Previous-token signatures: row nu is the distribution of what stood before nu, minus that before any token.

    Equation: psi^prev_nu(x) = n(x, nu) / sum_x' n(x', nu) - sum_nu' n(x, nu') / n.

    The baseline is the frequency of x *as a first token*; see `next_rows`.

    Returns:
        `[token, target]`; the matrix row of a token that ends no pair is empty: its signature is undefined.

    Source: yao2025probability.
    """
    return _rows(csr_array(pairs.counts.T), pairs.firsts, centred)


def context_rows(pairs: TokenPairs, *, centred: bool = True) -> SparseRows:
    """Context signatures: row x is the distribution of the tokens within `window` of x, on either side.

    Equation: phi^X_x(x') = (n(x, x') + n(x', x)) / sum over x' of the same, minus the margin of the same counts.

    Times the mean number of neighbours of x this is the expected count of x' around x.

    Returns:
        `[token, target]`; the matrix row of a token without neighbours is empty: its signature is undefined.
    """
    both = csr_array(pairs.counts + pairs.counts.T)
    return _rows(both, pairs.firsts + pairs.seconds, centred)


def _rows(counts: Any, margin: np.ndarray, centred: bool) -> SparseRows:
    totals = np.asarray(counts.sum(axis=1)).ravel()
    shares = counts.data / np.repeat(totals, np.diff(counts.indptr))
    matrix = csr_array((shares, counts.indices, counts.indptr), shape=counts.shape)
    baseline = margin / max(int(margin.sum()), 1) if centred else np.zeros(counts.shape[1])
    return SparseRows(matrix, baseline)
