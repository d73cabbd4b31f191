"""Analogy scores with everything that decides them: coverage, convention, and an interval over word pairs."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, PRNGKeyArray

from ..base import generator
from ..observables.analogies import Method, analogy_scores, answer_analogies, known_method
from ..text import UNDEFINED, number
from ._spelling import folded
from .questions import Question, Questions
from .vectors import WordVectors

HEADER = ("section", "asked", "covered", "correct", "accuracy", "95 % interval")
TIE = 2e-6
"""Scores of float32 unit vectors that differ by less may be equal."""
AT_ONCE = 1 << 20
"""Resampled questions and pairs that are held together."""


@dataclass(frozen=True)
class SectionScore:
    """Score of some questions.

    Attributes:
        name: of the section or the group of sections.
        questions: in the file.
        covered: those whose words all have a vector; only they count.
        correct: covered ones whose answer alone is nearest.
        tied: covered ones whose answer is nearest together with another word; not correct.
        low: lower end of the 95 % interval of the accuracy; NaN where it is undefined.
        high: upper end.
        draws: accuracy in every redraw of the word pairs, the same redraws for all vectors of the same words; NaN where
            no question is drawn.
    """

    name: str
    questions: int
    covered: int
    correct: int
    tied: int
    low: float
    high: float
    draws: Float[np.ndarray, " draw"] = field(compare=False, repr=False)

    @property
    def accuracy(self) -> float:
        """Correct over covered; NaN where nothing is covered."""
        return self.correct / self.covered if self.covered else float("nan")

    def row(self) -> tuple[str, ...]:
        """In the order of `HEADER`."""
        counts = tuple(f"{count:,}" for count in (self.questions, self.covered, self.correct))
        low, high = number(self.low, ".1%"), number(self.high, ".1%")
        ends = UNDEFINED if np.isnan(self.low) else f"{low} to {high}"
        return (self.name, *counts, number(self.accuracy, ".1%"), ends)


@dataclass(frozen=True)
class AnalogyReport:
    """Analogies scored.

    Attributes:
        sections: in the file's order.
        groups: "semantic" and "syntactic" where the sections' names say which they are.
        total: all questions.
        convention: how they were scored, in a sentence.
    """

    sections: tuple[SectionScore, ...]
    groups: tuple[SectionScore, ...]
    total: SectionScore
    convention: str

    def section(self, name: str) -> SectionScore:
        """The score of a section, a group, or "total"."""
        return next(score for score in (*self.sections, *self.groups, self.total) if score.name == name)

    def rows(self) -> list[tuple[str, ...]]:
        """A table in the order of `HEADER`."""
        return [score.row() for score in (*self.sections, *self.groups, self.total)]

    def __str__(self) -> str:
        total = self.total
        return f"{' '.join(total.row()[4:])}, {total.covered:,} of {total.questions:,} questions; {self.convention}"


@dataclass(frozen=True, eq=False)
class _Outcome:
    """Covered questions of a section, each by the numbers of its two word pairs."""

    name: str
    questions: int
    ends: Int[np.ndarray, "example 2"]
    won: Bool[np.ndarray, " example"]
    tied: int

    @property
    def pairs(self) -> int:
        """Word pairs that stand in a covered question."""
        return int(self.ends.max()) + 1 if len(self.ends) else 0

    def resampled(self, resamples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Covered and won questions in every resample of the pairs: a question stands there as often as both pairs."""
        counts = np.zeros((2, resamples))
        at_once = max(1, AT_ONCE // (self.pairs + len(self.ends) + 1))
        for begin in range(0, resamples if self.pairs else 0, at_once):
            drawn = min(at_once, resamples - begin)
            times = rng.multinomial(self.pairs, np.full(self.pairs, 1 / self.pairs), size=drawn).astype(np.float64)
            there = times[:, self.ends[:, 0]] * times[:, self.ends[:, 1]]
            counts[:, begin : begin + drawn] = np.sum(there, axis=1), there @ self.won.astype(np.float64)
        return counts[0], counts[1]


def score_analogies(
    vectors: WordVectors,
    questions: Questions,
    *,
    method: Method = "3CosAdd",
    exclude: bool = True,
    top: int | None = 30_000,
    resamples: int = 1000,
    key: PRNGKeyArray | int = 0,
    unit: bool = True,
) -> AnalogyReport:
    """Score analogy questions section by section.

    A question counts where all its words have a vector (of several right answers, one). It is won where a right answer
    alone scores highest among the words; a tie is lost, and so is, when query words are excluded, a question whose only
    answers are query words. Questions of a section share word pairs, so that they are no independent draws: the
    interval redraws the word pairs of every section, and a question then counts as often as both its pairs were drawn
    together. Where all of a section's questions are won, or none, redrawing shows no spread, and the interval is that
    of as many independent trials as there are word pairs.

    Args:
        vectors: a vector for every word, the most frequent first; where the questions are uncased, words that differ in
            case only are one, the first of them.
        questions: as read.
        method: see `observables.analogies.Method`.
        exclude: leave the words of the question out of the answers.
        top: only the first so many words have a vector; None for all.
        resamples: of the word pairs.
        key: of the resampling.
        unit: give vectors unit length before the arithmetic.

    Raises:
        ValueError: where no question is covered: a score over nothing is none.

    >>> rows = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
    >>> vectors = WordVectors(("king", "queen", "man", "woman"), rows)
    >>> family = Questions("few", {"family": (("king", "queen", "man", "woman"), ("man", "woman", "king", "queen"))})
    >>> report = score_analogies(vectors, family)
    >>> report.total.accuracy, report.total.covered
    (1.0, 2)

    Source: mikolov2013efficient, levy2014linguistic.
    """
    known_method(method)
    if top is not None and top < 1:
        raise ValueError(f"top: need at least one word, got {top}; None for all")
    there = searched(vectors, questions.cased, top)
    covered = {name: _ids(there, section, questions) for name, section in questions.sections.items()}
    _refuse_nothing(covered, questions, there)
    columns = max(ids.shape[1] for ids, _ in covered.values())
    table = np.concatenate([_padded(ids, columns) for ids, _ in covered.values()])
    searchable = without_query_words(table) if exclude else table
    answers = answer_analogies(there.matrix, searchable, exclude=exclude, normalise=unit, tie=TIE, method=method)
    ends = np.cumsum([len(ids) for ids, _ in covered.values()])[:-1]
    shares = (np.split(np.asarray(share), ends) for share in (answers.won, answers.tied))
    outcomes = [
        _outcome(name, questions.sections[name], places, won, tied)
        for (name, (_, places)), won, tied in zip(covered.items(), *shares, strict=True)
    ]
    return _report(outcomes, _convention(questions, there, method, exclude, unit, resamples, table), resamples, key)


def nearest(
    vectors: WordVectors,
    a: str,
    b: str,
    c: str,
    method: Method = "3CosAdd",
    count: int = 10,
    *,
    exclude: bool = True,
    unit: bool = True,
) -> tuple[tuple[str, float], ...]:
    """The words that come nearest to d in a : b as c : d, with their scores.

    Args:
        vectors: a vector for every word.
        a: what is taken away.
        b: what a becomes.
        c: what becomes d.
        method: see `observables.analogies.Method`.
        count: words to give.
        exclude: leave a, b and c out.
        unit: give vectors unit length first.

    Raises:
        ValueError: for a word without a vector, offering those spelt alike; where no word has a score, as for a
            direction from a to b that are equal.

    >>> rows = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
    >>> nearest(WordVectors(("king", "queen", "man", "woman"), rows), "queen", "king", "woman", count=1)[0][0]
    'man'
    """
    query = np.array([vectors.id(word) for word in (a, b, c)])
    scores = np.array(analogy_scores(vectors.matrix, query, method=method, normalise=unit), np.float64)
    scores[np.isnan(scores)] = -np.inf
    if exclude:
        scores[query] = -np.inf
    if not np.any(scores > -np.inf):
        raise ValueError(f"words: {a} : {b} as {c} : ? has no answer by {method}; choose a and b that differ")
    order = np.argsort(-scores, kind="stable")[:count]
    return tuple((vectors.words[place], float(scores[place])) for place in order if scores[place] > -np.inf)


def searched(vectors: WordVectors, cased: bool, top: int | None) -> WordVectors:
    """The words among which answers are looked for: the first `top`, in lower case unless cased."""
    there = vectors if top is None else vectors.top(top)
    return there if cased else folded(there)


def _ids(
    vectors: WordVectors, section: tuple[Question, ...], questions: Questions
) -> tuple[Int[np.ndarray, "example ..."], Int[np.ndarray, " example"]]:
    """Ids of the covered questions (a, b, c, answers .., filled up with -1), and where they stand in the section."""
    several = "/" if questions.form == "bats" else None
    known, rows, places = vectors.ids, [], []
    for place, (a, b, c, d) in enumerate(section):
        answers = [known[word] for word in d.split(several) if word in known]
        if answers and a in known and b in known and c in known:
            rows.append([known[a], known[b], known[c], *answers])
            places.append(place)
    columns = max(map(len, rows), default=4)
    filled = [row + [-1] * (columns - len(row)) for row in rows]
    return np.array(filled, np.int64).reshape(-1, columns), np.array(places, np.int64)


def _refuse_nothing(
    covered: dict[str, tuple[np.ndarray, np.ndarray]], questions: Questions, vectors: WordVectors
) -> None:
    if any(len(ids) for ids, _ in covered.values()):
        return
    raise ValueError(
        f"{questions.name}: none of its {len(questions):,} questions has all its words among the "
        f"{len(vectors.words):,} words searched; a score needs at least one, check language, case and --top"
    )


def _padded(ids: Int[np.ndarray, "example ..."], columns: int) -> Int[np.ndarray, "example ..."]:
    return np.pad(ids, ((0, 0), (0, columns - ids.shape[1])), constant_values=-1)


def without_query_words(table: Int[np.ndarray, "example ..."]) -> Int[np.ndarray, "example ..."]:
    """The questions without answers that are words of the question: they are not among what is searched."""
    answers = table[:, 3:]
    repeated = np.any(answers[:, :, None] == table[:, None, :3], axis=2)
    return np.concatenate([table[:, :3], np.where(repeated, -1, answers)], axis=1)


def _outcome(
    name: str,
    section: tuple[Question, ...],
    places: Int[np.ndarray, " example"],
    won: Bool[np.ndarray, " example"],
    tied: Bool[np.ndarray, " example"],
) -> _Outcome:
    """Questions as (pair a b) and (pair c d): what resampling word pairs needs."""
    ends = [((a, b), (c, d)) for a, b, c, d in (section[place] for place in places)]
    # Pairs that share the first word are one pair, so that several right answers do not split it.
    number = {pair: k for k, pair in enumerate(dict.fromkeys(_key(pair) for end in ends for pair in end))}
    at = np.array([[number[_key(pair)] for pair in end] for end in ends], np.int64).reshape(-1, 2)
    return _Outcome(name, len(section), at, won, int(np.sum(tied)))


def _key(pair: tuple[str, str]) -> tuple[str, str]:
    return pair[0], pair[1].split("/")[0]


def _report(outcomes: list[_Outcome], convention: str, resamples: int, key: PRNGKeyArray | int) -> AnalogyReport:
    rng = generator(key)
    drawn = [outcome.resampled(resamples, rng) for outcome in outcomes]
    sections = tuple(_scored(o.name, [o], [d]) for o, d in zip(outcomes, drawn, strict=True))
    kinds = [group_of(outcome.name) for outcome in outcomes]
    groups = tuple(
        _scored(group, *zip(*((o, d) for o, d, kind in zip(outcomes, drawn, kinds, strict=True) if kind == group),
                            strict=True))
        for group in ("semantic", "syntactic") if "syntactic" in kinds and group in kinds
    )  # fmt: skip
    return AnalogyReport(sections, groups, _scored("total", outcomes, drawn), convention)


def group_of(section: str) -> str:
    """ "syntactic" for sections on forms of words (Google's gram.., BATS' I.. and D..), else "semantic"."""
    name = section.removeprefix("gram")
    bats = section[:1] in ("I", "D") and section[1:3].isdigit()
    return "syntactic" if name != section or bats else "semantic"


def _scored(name: str, outcomes: Iterable[_Outcome], drawn: Iterable[tuple[np.ndarray, np.ndarray]]) -> SectionScore:
    outcomes = list(outcomes)
    covered, correct = sum(len(o.ends) for o in outcomes), int(sum(np.sum(o.won) for o in outcomes))
    there, won = np.sum(list(drawn), axis=0)
    draws = np.divide(won, there, out=np.full(len(won), np.nan), where=there > 0)
    low, high = _interval(correct, covered, sum(o.pairs for o in outcomes), draws)
    return SectionScore(
        name, sum(o.questions for o in outcomes), covered, correct, sum(o.tied for o in outcomes), low, high, draws
    )


def _interval(correct: int, covered: int, pairs: int, draws: Float[np.ndarray, " draw"]) -> tuple[float, float]:
    if not covered:
        return float("nan"), float("nan")
    if correct in (0, covered):
        reach = 1 - 0.025 ** (1 / pairs)
        return (0.0, reach) if correct == 0 else (1 - reach, 1.0)
    if np.isnan(draws).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return float(low), float(high)


def _convention(
    questions: Questions,
    vectors: WordVectors,
    method: Method,
    exclude: bool,
    unit: bool,
    resamples: int,
    table: Int[np.ndarray, "example ..."],
) -> str:
    answers = table[:, 3:] >= 0
    hopeless = int(np.sum(~np.any(without_query_words(table)[:, 3:] >= 0, axis=1) & answers.any(axis=1)))
    parts = [
        f"{method} over {len(vectors.words):,} words",
        "unit vectors" if unit else "vectors as they are",
        "query words left out" if exclude else "query words allowed as answers",
        "cased" if questions.cased else "lower-cased",
        "any of several answers is right" if questions.form == "bats" else "",
        f"{hopeless:,} questions whose answer is a query word count as lost" if hopeless and exclude else "",
        "ties lost",
        "questions with any other word not counted",
        f"interval: word pairs redrawn within each section, {resamples:,} times",
    ]
    return ", ".join(part for part in parts if part)
