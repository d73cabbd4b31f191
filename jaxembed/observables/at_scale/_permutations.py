"""What agreement is worth: the same numbers with the tokens of one side relabelled at random."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int

from ._identities import Similarity, held, pair_product


def shuffles(rng: np.random.Generator, tokens: int, permutations: int) -> list[Int[np.ndarray, " token"]]:
    return [rng.permutation(tokens) for _ in range(permutations)]


def r_cos_null(
    sides: tuple[Similarity, Similarity],
    squares: Float[np.ndarray, " 2"],
    draws: list[Int[np.ndarray, " token"]],
    budget: int,
    progress: Callable[[float], None],
) -> Float[np.ndarray, " draw"]:
    """R_cos under every relabelling: only the sum of products changes, and needs no pass over the pairs."""
    sides = held(sides[0], budget // 4), held(sides[1], budget // 4)
    products = np.zeros(len(draws))
    for number, shuffle in enumerate(draws):
        products[number] = pair_product(*sides, shuffle=shuffle, budget=budget)
        progress((number + 1) / len(draws))
    return products / math.sqrt(np.prod(squares))


def mantel_sd(row_sums: Float[np.ndarray, "token 2"], squares: Float[np.ndarray, " 2"]) -> float:
    """Exact standard deviation of R_cos over all n! relabellings of the tokens; its mean is zero.

    Equation: with Q the sum over i != j of squared deviations of a side's cosines from their mean, and R the sum over
    tokens of the squares of their rows' sums, products of pairs that are the same, share one token, or none, give

        n_(k) = n (n - 1) .. (n - k + 1)
        Var = [2 Qa Qb / n_(2) + 4 (Ra - Qa)(Rb - Qb) / n_(3) + (2 Qa - 4 Ra)(2 Qb - 4 Rb) / n_(4)] / (Qa Qb)

    Args:
        row_sums: `[token, 2]`, for both sides the sum of each token's cosines with all others, up to a constant.
        squares: Q of both sides.

    Source: mantel1967.
    """
    n = len(row_sums)
    around = row_sums - row_sums.mean(axis=0)[None, :]
    Ra, Rb = np.sum(around**2, axis=0) / squares
    variance = 2 / (n * (n - 1)) + 4 * (Ra - 1) * (Rb - 1) / (n * (n - 1) * (n - 2))
    if n > 3:
        variance += (2 - 4 * Ra) * (2 - 4 * Rb) / (n * (n - 1) * (n - 2) * (n - 3))
    return math.sqrt(max(variance, 0.0))


def overlap(first: Int[np.ndarray, "token neighbour"], second: Int[np.ndarray, "token neighbour"]) -> float:
    """Share of the neighbours in the first list that are in the second, over all tokens."""
    return float(np.mean(np.isin(_edges(first), _edges(second), assume_unique=True)))


def neighbour_null(
    first: Int[np.ndarray, "token neighbour"],
    second: Int[np.ndarray, "token neighbour"],
    draws: list[Int[np.ndarray, " token"]],
) -> Float[np.ndarray, " draw"]:
    """`overlap` with the tokens of the second list relabelled."""
    return np.array([overlap(first, relabelled) for relabelled in _relabelled(second, draws)])


def p_value(observed: float, null: Float[np.ndarray, " draw"]) -> float:
    """(1 + how many of the null reach the observed) / (1 + their number); ties up to rounding count as reached."""
    if math.isnan(observed):
        return math.nan
    return (1 + int(np.sum(null >= observed - 1e-12))) / (1 + len(null))


def _edges(neighbours: Int[np.ndarray, "token neighbour"]) -> Int[np.ndarray, " example"]:
    tokens = len(neighbours)
    return (np.arange(tokens)[:, None] * tokens + neighbours).ravel()


def _relabelled(
    neighbours: Int[np.ndarray, "token neighbour"], draws: list[Int[np.ndarray, " token"]]
) -> Iterator[Int[np.ndarray, "token neighbour"]]:
    for shuffle in draws:
        back = np.argsort(shuffle)
        yield back[neighbours[shuffle]]
