"""Analogies a : b as c : d, answered by vector arithmetic."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .spectra import row_norms


class AnalogyScore(NamedTuple):
    """Shares of the questions.

    Attributes:
        accuracy: the right word alone is nearest.
        tied: the right word is nearest together with another; such a question is not won.
    """

    accuracy: Float[Array, ""]
    tied: Float[Array, ""]


def analogies(
    rows: Float[Array | np.ndarray, "token width"],
    questions: Int[Array | np.ndarray, "example 4"],
    *,
    exclude: bool = True,
    normalise: bool = True,
    tie: float | None = None,
    block: int = 1024,
) -> AnalogyScore:
    """Score questions (a, b, c, d) by the word whose direction is nearest to b - a + c (3CosAdd, top 1).

    Args:
        rows: an embedding per word.
        questions: word ids; d is the answer.
        exclude: leave the three words of the question out of the answers.
        normalise: give the embeddings unit length before the arithmetic.
        tie: cosines that differ by less count as equal; None is the square root of the dtype's spacing.
        block: questions scored at once, which bounds the memory.

    Returns:
        Shares of all questions; a question that a zero vector leaves without a nearest word is lost.

    Raises:
        ValueError: where there is no question, or a word id lies outside the rows.

    >>> import jax.numpy as jnp
    >>> square = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> float(analogies(square, jnp.array([[0, 1, 2, 3]])).accuracy)
    1.0

    Source: mikolov2013linguistic.
    """
    if questions.shape[0] == 0:
        raise ValueError("questions: there is none to score; give at least one")
    _check_ids(questions, rows.shape[0])
    rows = jnp.asarray(rows)
    length = row_norms(rows)
    unit = rows / jnp.where(length > 0, length, jnp.nan)[:, None]
    terms = unit if normalise else rows
    closest = float(jnp.finfo(rows.dtype).eps) ** 0.5 if tie is None else tie

    def one(question: Int[Array, " 4"]) -> tuple[Array, Array]:
        asked = question[:3]
        arrow = terms[asked[1]] - terms[asked[0]] + terms[asked[2]]
        size = row_norms(arrow[None, :])[0]
        scores = jnp.matmul(unit, arrow, precision="highest") / jnp.where(size > 0, size, jnp.nan)
        own = scores[question[3]]
        rivals = jnp.where(jnp.isnan(scores), -jnp.inf, scores).at[question[3]].set(-jnp.inf)
        best = jnp.max(rivals.at[asked].set(-jnp.inf) if exclude else rivals)
        return own > best + closest, jnp.abs(own - best) <= closest

    won, tied = jax.lax.map(one, jnp.asarray(questions), batch_size=min(block, questions.shape[0]))
    return AnalogyScore(*(jnp.mean(share.astype(rows.dtype)) for share in (won, tied)))


def _check_ids(questions: Array | np.ndarray, vocab: int) -> None:
    try:
        ids = np.asarray(questions)
    except jax.errors.TracerArrayConversionError:
        return
    if ids.min() < 0 or ids.max() >= vocab:
        raise ValueError(f"questions: word ids must lie in 0..{vocab - 1}, got {ids.min()}..{ids.max()}")
