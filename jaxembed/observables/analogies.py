"""Analogies a : b as c : d, answered by vector arithmetic."""

from functools import partial, reduce
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .spectra import row_norms

Method = Literal["3CosAdd", "3CosMul", "PairDirection"]
"""3CosAdd: cos(w, b - a + c). 3CosMul: s(w, b) s(w, c) / (s(w, a) + 0.001) with s = (1 + cos) / 2. PairDirection:
cos(w - c, b - a)."""
FLOOR = 1e-3
"""Keeps 3CosMul finite where a word points away from a."""

Rows = Float[Array | np.ndarray, "token width"]
Questions = Int[Array | np.ndarray, "example ..."]


class AnalogyScore(NamedTuple):
    """Shares of the questions.

    Attributes:
        accuracy: the right word alone is nearest.
        tied: the right word is nearest together with another; such a question is not won.
    """

    accuracy: Float[Array, ""]
    tied: Float[Array, ""]


class AnalogyAnswers(NamedTuple):
    """What became of every question.

    Attributes:
        won: a right word is nearest, and no wrong one comes as close.
        tied: a right word is nearest together with a wrong one.
        nearest: the word of the highest score; -1 where no word has one.
    """

    won: Bool[Array, " example"]
    tied: Bool[Array, " example"]
    nearest: Int[Array, " example"]


def analogies(
    rows: Rows,
    questions: Questions,
    *,
    exclude: bool = True,
    normalise: bool = True,
    tie: float | None = None,
    block: int = 1024,
    method: Method = "3CosAdd",
) -> AnalogyScore:
    """Score questions (a, b, c, d): is d the word nearest to b - a + c? (3CosAdd, top 1, unless `method` differs.)

    Args:
        rows: an embedding per word.
        questions: word ids; d is the answer, further columns are other right answers; -1 stands for no answer.
        exclude: leave the three words of the question out of the wrong answers.
        normalise: give the embeddings unit length before the arithmetic.
        tie: scores that differ by less count as equal; None is the square root of the dtype's spacing.
        block: questions scored at once, which bounds the memory.
        method: see `Method`.

    Returns:
        Shares of all questions; a question that a zero vector leaves without a nearest word is lost.

    Raises:
        ValueError: where there is no question, a word id lies outside the rows, or the method is unknown.

    >>> import jax.numpy as jnp
    >>> square = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> float(analogies(square, jnp.array([[0, 1, 2, 3]])).accuracy)
    1.0

    Source: mikolov2013linguistic, levy2014linguistic.
    """
    answers = answer_analogies(
        rows, questions, exclude=exclude, normalise=normalise, tie=tie, block=block, method=method
    )
    return AnalogyScore(*(jnp.mean(share.astype(rows.dtype)) for share in (answers.won, answers.tied)))


def answer_analogies(
    rows: Rows,
    questions: Questions,
    *,
    exclude: bool = True,
    normalise: bool = True,
    tie: float | None = None,
    block: int = 1024,
    method: Method = "3CosAdd",
) -> AnalogyAnswers:
    """The same question by question: which were won, which tied, and what was answered.

    Args:
        rows: as for `analogies`, like all that follow.
        questions: word ids.
        exclude: leave the words of the question out.
        normalise: unit length first.
        tie: when scores are equal.
        block: questions at once.
        method: see `Method`.

    Raises:
        ValueError: as `analogies`.
    """
    if questions.shape[0] == 0:
        raise ValueError("questions: there is none to score; give at least one")
    _check_ids(questions, rows.shape[0])
    rows = jnp.asarray(rows)
    closest = float(jnp.finfo(rows.dtype).eps) ** 0.5 if tie is None else tie
    unit, terms = _unit_and_terms(rows, normalise)
    size = min(block, questions.shape[0])
    asked = jnp.asarray(questions)
    return AnalogyAnswers(*_answers(unit, terms, asked, closest, known_method(method), exclude, size))


def analogy_scores(
    rows: Rows, question: Int[Array | np.ndarray, " example"], *, method: Method = "3CosAdd", normalise: bool = True
) -> Float[Array, " token"]:
    """The score of every word as d in a : b as c : d; NaN where a vector is zero.

    Args:
        rows: an embedding per word.
        question: the three word ids a, b, c.
        method: see `Method`.
        normalise: unit length first.

    >>> square = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> int(jnp.argmax(analogy_scores(square, jnp.array([0, 1, 2]))))
    3
    """
    unit, terms = _unit_and_terms(jnp.asarray(rows), normalise)
    return _scores(unit, terms, jnp.asarray(question), known_method(method))


def known_method(method: str) -> Method:
    """The method, if there is one of that name.

    Raises:
        ValueError: naming the known ones.
    """
    if method not in get_args(Method):
        raise ValueError(f"method: unknown {method!r}; choose {', '.join(get_args(Method))}")
    return method  # pyright: ignore[reportReturnType]


def _unit_and_terms(rows: Array, normalise: bool) -> tuple[Array, Array]:
    length = row_norms(rows)
    unit = rows / jnp.where(length > 0, length, jnp.nan)[:, None]
    return unit, unit if normalise else rows


@partial(jax.jit, static_argnums=(4, 5, 6))
def _answers(
    unit: Array, terms: Array, questions: Array, tie: Array | float, method: Method, exclude: bool, block: int
) -> tuple[Array, Array, Array]:
    words = jnp.arange(unit.shape[0], dtype=questions.dtype)

    def one(question: Array) -> tuple[Array, Array, Array]:
        asked, right = question[:3], question[3:]
        scores = _scores(unit, terms, asked, method)
        scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)
        own = jnp.max(jnp.where(right >= 0, scores[right], -jnp.inf))
        left = scores if not exclude else jnp.where(_among(words, asked), -jnp.inf, scores)
        best = jnp.max(jnp.where(_among(words, right), -jnp.inf, left))
        peak = jnp.max(left)
        first = jnp.min(jnp.where(left == peak, words, len(words)))  # argmax, but vectorised
        return own > best + tie, jnp.isfinite(own) & (jnp.abs(own - best) <= tie), jnp.where(peak > -jnp.inf, first, -1)

    return jax.lax.map(one, questions, batch_size=block)


def _among(words: Array, few: Array) -> Array:
    """Compared one by one: a scatter into as many places as there are scores would cost another pass over memory."""
    return reduce(jnp.logical_or, (words == one for one in few))


def _scores(unit: Array, terms: Array, asked: Array, method: Method) -> Array:
    if method == "3CosMul":
        a, b, c = ((1 + _dot(unit, unit[word])) / 2 for word in asked)
        return b * c / (a + FLOOR)
    a, b, c = (terms[word] for word in asked)
    if method == "3CosAdd":
        arrow = b - a + c
        return _dot(unit, arrow) / _size(arrow)
    # |w - c|^2 from three products: w - c for every w would be a second table of vectors.
    squares = jnp.sum(terms * terms, axis=1)
    apart = squares - 2 * _dot(terms, c) + squares[asked[2]]
    rounding = 8 * jnp.finfo(terms.dtype).eps * (squares + squares[asked[2]])
    along = _dot(terms, b - a) - jnp.sum((b - a) * c)
    return jnp.where(apart > rounding, along / jnp.sqrt(jnp.maximum(apart, rounding)), jnp.nan) / _size(b - a)


def _dot(rows: Array, vector: Array) -> Array:
    return jnp.matmul(rows, vector, precision="highest")


def _size(vector: Array) -> Array:
    size = row_norms(vector[None, :])[0]
    return jnp.where(size > 0, size, jnp.nan)


def _check_ids(questions: Array | np.ndarray, vocab: int) -> None:
    if questions.shape[1:] and questions.shape[1] < 4:
        raise ValueError(f"questions: need the words a, b, c and the answer, got {questions.shape[1]} columns")
    try:
        ids = np.asarray(questions)
    except jax.errors.TracerArrayConversionError:
        return
    answers = ids[:, 3:]
    named = np.concatenate([ids[:, :3].ravel(), answers[answers != -1]])
    if named.min() < 0 or named.max() >= vocab:
        raise ValueError(f"questions: word ids must lie in 0..{vocab - 1}, got {named.min()}..{named.max()}")
