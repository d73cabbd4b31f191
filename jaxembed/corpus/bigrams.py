"""Token ids of a text to the weighted population of (previous tokens, next token)."""

import numpy as np
from jaxtyping import Int

from ..base import Dataset, checked_dataset


def next_token_dataset(ids: Int[np.ndarray, " position"], vocab: int, window: int = 1) -> tuple[Dataset, float]:
    """Every position's token as the target of its `window` previous tokens, equal cells merged.

    Positions that touch an out-of-vocabulary token (-1) are dropped, never bridged. With window 1 the label signature
    of this population is phi^next_x(nu) = P(next = nu given token x) and its trace-back signature is
    psi^prev_nu(x) = P(previous = x given token nu), both among the kept pairs.

    Args:
        ids: token ids `0 .. vocab - 1` in the order of the text, -1 for out-of-vocabulary tokens.
        vocab: number of tokens.
        window: number of previous tokens; they keep the order of the text.

    Returns:
        The dataset (weights proportional to counts, `samples` = number of kept positions, which a text does not draw
        independently) and the coverage: kept positions over all positions with `window` predecessors.

    Raises:
        ValueError: on ids outside the vocabulary, a window or text too short, or no position left.

    >>> data, coverage = next_token_dataset(np.array([0, 1, 0, 1, -1, 0]), vocab=2)
    >>> data.tokens.tolist(), data.targets.tolist(), data.samples, coverage
    ([[0], [1]], [1, 0], 3, 0.6)
    """
    _check(ids, vocab, window)
    columns = [ids[i : len(ids) - window + i] for i in range(window + 1)]
    kept = np.logical_and.reduce([column >= 0 for column in columns])
    if not kept.any():
        raise ValueError(f"vocab: no {window + 1} neighbouring words are all in the vocabulary of {vocab}; enlarge it")
    cells, counts = _merged([column[kept] for column in columns], vocab)
    dataset = checked_dataset(cells[:, :-1], cells[:, -1], counts, vocab, samples=int(counts.sum()))
    return dataset, float(kept.mean())


def _check(ids: np.ndarray, vocab: int, window: int) -> None:
    if window < 1:
        raise ValueError(f"window: need at least one previous token, got {window}; choose 1 or more")
    if len(ids) < 2:
        raise ValueError(f"ids: a pair needs at least 2 tokens, got {len(ids)}; give a longer text")
    if window >= len(ids):
        raise ValueError(f"window: {window} previous tokens asked of a text of {len(ids)}; choose a smaller window")
    if ids.min() < -1 or ids.max() >= vocab:
        bad = ids.min() if ids.min() < -1 else ids.max()
        raise ValueError(
            f"ids: id {bad} is outside 0..{vocab - 1} (or -1 for out-of-vocabulary); encode with one vocab"
        )


def _merged(columns: list[np.ndarray], vocab: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows in lexicographic order, and how often each occurs."""
    key, span = columns[0].astype(np.int64), vocab
    for column in columns[1:]:
        if span > np.iinfo(np.int64).max // vocab:  # a longer key would overflow: renumber the rows seen so far
            distinct, key = np.unique(key, return_inverse=True)
            span = len(distinct)
        key, span = key * vocab + column, span * vocab
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    return np.stack([column[first] for column in columns], axis=1), counts
