"""Scores of word vectors against slow loops: coverage, case, several answers, intervals, and scores over nothing."""

import tracemalloc
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats

from jaxembed.words import (
    Questions,
    SimilarityPairs,
    WordVectors,
    analogy,
    nearest,
    offset_consistency,
    pairs_of,
    score_analogies,
    score_similarity,
    similarity,
    task_vector_snr,
    task_vectors,
)
from jaxembed.words.analogy import group_of

PAIRS = 12


def family(noise, seed=0, pairs=PAIRS, width=30):
    """Words a0 .. b0 .. whose offsets share a direction, amid words that belong to nothing."""
    rng = np.random.default_rng(seed)
    a, shared = rng.normal(size=(pairs, width)), rng.normal(size=width)
    b = a + shared + noise * rng.normal(size=(pairs, width))
    rows = np.concatenate([a, b, rng.normal(size=(40, width))]).astype(np.float32)
    names = [*(f"a{k}" for k in range(pairs)), *(f"b{k}" for k in range(pairs)), *(f"x{k}" for k in range(40))]
    asked = tuple((f"a{i}", f"b{i}", f"a{j}", f"b{j}") for i, j in permutations(range(pairs), 2))
    return WordVectors(tuple(names), rows), Questions("made", {"gram": asked[:60], "capital": asked[60:]})


def slow(vectors, asked, method, exclude):
    unit = vectors.matrix.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    won = 0
    for question in asked:
        a, b, c, d = (vectors.ids[word] for word in question)
        cosines = {k: unit @ unit[k] for k in (a, b, c)}
        if method == "3CosAdd":
            scores = cosines[b] - cosines[a] + cosines[c]
        elif method == "3CosMul":
            half = {k: (1 + x) / 2 for k, x in cosines.items()}
            scores = half[b] * half[c] / (half[a] + 1e-3)
        else:
            apart = unit - unit[c]
            length = np.linalg.norm(apart, axis=1)
            scores = np.where(length > 0, apart @ (unit[b] - unit[a]) / np.where(length > 0, length, 1), -np.inf)
        if exclude:
            scores[[a, b, c]] = -np.inf
        won += np.argmax(scores) == d
    return won


@pytest.mark.parametrize("method", ["3CosAdd", "3CosMul", "PairDirection"])
def test_scores_agree_with_a_slow_loop(method):
    vectors, questions = family(0.9)
    for exclude in (True, False):
        report = score_analogies(vectors, questions, method=method, exclude=exclude, resamples=20)
        for name, asked in questions.sections.items():
            score = report.section(name)
            assert (score.questions, score.covered, score.correct) == (
                len(asked), len(asked), slow(vectors, asked, method, exclude))  # fmt: skip
        assert report.total.correct == sum(score.correct for score in report.sections)
        assert [score.name for score in report.groups] == ["semantic", "syntactic"]
    assert 0 < report.total.correct < 132 or method == "PairDirection"


def test_only_covered_questions_count_and_the_report_says_how():
    vectors, questions = family(0.0)
    report = score_analogies(vectors.top(3 * PAIRS), questions, top=2 * PAIRS - 2, resamples=20)
    known = [q for asked in questions.sections.values() for q in asked if {"b10", "b11"}.isdisjoint(q)]
    assert report.total.covered == len(known) < report.total.questions == 132 and report.total.accuracy == 1
    assert "22 words" in report.convention and "lower-cased" in report.convention and "132" in str(report)
    some = Questions("x", {**questions.sections, "none": (("p", "q", "r", "s"),)})
    empty = score_analogies(vectors, some, resamples=5).section("none")
    assert np.isnan(empty.accuracy) and np.isnan(empty.low) and empty.row()[-2:] == ("undefined", "undefined")
    with pytest.raises(ValueError, match="none of its 1 questions has all its words among the 64 words"):
        score_analogies(vectors, Questions("x", {"none": (("p", "q", "r", "s"),)}))
    with pytest.raises(ValueError, match="top: need at least one word"):
        score_analogies(vectors, questions, top=0)


def test_case_several_answers_and_answers_that_are_query_words():
    vectors, questions = family(0.0)
    cased = WordVectors(tuple(word.upper() for word in vectors.words), vectors.matrix)
    assert score_analogies(cased, questions, resamples=5).total.correct == 132
    with pytest.raises(ValueError, match="check language, case"):
        score_analogies(cased, Questions("x", questions.sections, cased=True))
    several = Questions("x", {"D01": (("a0", "b0", "a1", "x0/b1/nowhere"), ("a0", "b0", "a1", "x0/x1"))}, form="bats")
    report = score_analogies(vectors, several, resamples=5)
    assert report.total.correct == 1 and report.total.covered == 2 and "any of several" in report.convention
    itself = Questions("x", {"s": (("a0", "b0", "a1", "a1"), ("a0", "b0", "a1", "b1"))})
    report = score_analogies(vectors, itself, resamples=5)
    assert report.total.correct == 1 and "1 questions whose answer is a query word count as lost" in report.convention
    assert group_of("gram3-comparative") == group_of("D01 [noun+less]") == "syntactic"
    assert group_of("Dogs") == group_of("family") == "semantic"


def test_twins_tie_and_a_tie_is_lost():
    vectors, questions = family(0.0)
    twins = WordVectors((*vectors.words, "twin"), np.concatenate([vectors.matrix, vectors.matrix[[PAIRS]]]))
    report = score_analogies(twins, questions, resamples=5)
    assert report.total.tied == PAIRS - 1 and report.total.correct == 132 - (PAIRS - 1)


def test_intervals_redraw_word_pairs():
    """One pair that spoils all its questions moves every resample by a share of 1/N, not of 1/N^2."""
    vectors, questions = family(0.0)
    rows = vectors.matrix.copy()
    rows[PAIRS + 3] = -rows[PAIRS + 3]
    whole = Questions("x", {"gram": sum(questions.sections.values(), ())})
    score = score_analogies(WordVectors(vectors.words, rows), whole, key=1).total
    rng, values = np.random.default_rng(2), []
    for _ in range(2000):
        times = rng.multinomial(PAIRS, np.full(PAIRS, 1 / PAIRS))
        apart = times[:, None] * times[None, :] * (1 - np.eye(PAIRS))
        lost = apart[3].sum() + apart[:, 3].sum()
        values.append(1 - lost / apart.sum())
    assert score.correct == 132 - 2 * (PAIRS - 1)
    assert score.low == pytest.approx(np.quantile(values, 0.025), abs=0.03) and score.high == 1
    assert score.low < score.accuracy - 3 * np.sqrt(score.accuracy * (1 - score.accuracy) / 132)
    perfect = score_analogies(vectors, whole, resamples=50).total
    assert perfect.high == 1 and perfect.low == pytest.approx(0.025 ** (1 / PAIRS))


def test_resamples_in_pieces_are_those_of_one_draw(monkeypatch):
    vectors, questions = family(0.9)
    whole = score_analogies(vectors, questions, resamples=50)
    monkeypatch.setattr(analogy, "AT_ONCE", 500)
    assert score_analogies(vectors, questions, resamples=50) == whole


def test_questions_of_which_no_two_share_a_pair_need_no_table_of_all_pairs():
    """One of 4,032 pairs by 4,032 would take 260 MB."""
    vectors, _ = family(0.0)
    pairs = list(permutations(vectors.words, 2))
    asked = tuple((*one, *other) for one, other in zip(pairs[::2], pairs[1::2], strict=True))
    tracemalloc.start()
    report = score_analogies(vectors, Questions("many", {"x": asked}), resamples=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.total.covered == 64 * 63 / 2 and peak < 2**26


def test_nearest_words_and_unknown_ones():
    vectors, _ = family(0.0)
    found = nearest(vectors, "a0", "b0", "a1", count=3)
    assert found[0][0] == "b1" and len(found) == 3 and found[0][1] > found[1][1] > found[2][1]
    assert "a1" in dict(nearest(vectors, "a0", "a0", "a1", count=3, exclude=False))
    with pytest.raises(ValueError, match="close spellings: a1"):
        nearest(vectors, "a0", "b0", "a1z")


def test_similarity_is_spearman_with_ties_over_covered_pairs():
    vectors, _ = family(0.5)
    rng = np.random.default_rng(3)
    pairs = tuple(
        (f"a{i}", f"b{j}") for i, j in zip(rng.integers(PAIRS, size=50), rng.integers(PAIRS, size=50), strict=True)
    )
    scores = rng.integers(4, size=52).astype(float)
    unit = vectors.matrix.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = [unit[vectors.ids[a]] @ unit[vectors.ids[b]] for a, b in pairs]
    asked = SimilarityPairs("made", (*pairs, ("a0", "nowhere"), ("zero", "a0")), scores)
    there = WordVectors((*vectors.words, "zero"), np.concatenate([vectors.matrix, np.zeros((1, 30), np.float32)]))
    found = score_similarity(there, asked)
    assert found.rho == pytest.approx(stats.spearmanr(cosines, scores[:50])[0])
    assert (found.covered, found.pairs) == (50, 52) and found.low < found.rho < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(50), rel=0.3) and "over words" in found.convention
    flat = score_similarity(vectors, SimilarityPairs("flat", pairs, np.ones(50)))
    assert np.isnan(flat.rho) and "undefined" in str(flat)
    with pytest.raises(ValueError, match="none of its 1 pairs"):
        score_similarity(vectors, SimilarityPairs("x", (("p", "q"),), np.ones(1)))


def test_offset_consistency_against_a_loop_and_its_shuffles():
    vectors, questions = family(0.8)
    pairs = tuple(dict.fromkeys(pair for found in pairs_of(questions).values() for pair in found))
    found = offset_consistency(vectors, (*pairs, ("a0", "nowhere")), unit=False, shuffles=99)
    rows = [vectors.matrix[vectors.ids[b]].astype(float) - vectors.matrix[vectors.ids[a]] for a, b in pairs]
    cosines = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in permutations(rows, 2)]
    assert found.value == pytest.approx(np.mean(cosines)) and (found.covered, found.pairs) == (12, 13)
    assert found.p_value == 0.01 and found.excess > 0.1 and 0.1 < found.null.mean() < found.value
    assert np.isnan(offset_consistency(vectors, pairs[:1]).value)
    with pytest.raises(ValueError, match="none of the 1 has both words"):
        offset_consistency(vectors, (("p", "q"),))


def test_task_vectors_recover_strength_width_and_noise_of_what_was_drawn():
    pairs, width, noise, strength = 60, 200, 0.5, 4.0
    rng = np.random.default_rng(4)
    shared = rng.normal(size=width)
    shared *= np.sqrt(strength * width * noise**2 / pairs) / np.linalg.norm(shared)
    a = rng.normal(size=(pairs, width))
    rows = np.concatenate([a, a + shared + noise * rng.normal(size=(pairs, width))]).astype(np.float32)
    words = tuple(f"{side}{k}" for side in "ab" for k in range(pairs))
    vectors, known = WordVectors(words, rows), tuple((f"a{k}", f"b{k}") for k in range(pairs))
    found = task_vectors(vectors, known)
    assert found.noise == pytest.approx(noise**2, rel=0.05) and found.dimensions == pytest.approx(width, rel=0.1)
    assert found.strength == pytest.approx(strength, rel=0.25) and found.mean_overlap > 0.97
    values = np.linalg.eigvalsh(found.offsets @ found.offsets.T)
    assert found.snr == pytest.approx(values[-1] * pairs / values.sum())
    narrow, whole = task_vector_snr(vectors, known, (20, width))
    assert whole == pytest.approx(found.snr) and narrow == pytest.approx(task_vectors(vectors, known, 20).snr)
    shuffled = task_vectors(vectors, known, shuffle=0)
    np.testing.assert_allclose(shuffled.offsets.mean(axis=0), found.offsets.mean(axis=0), atol=1e-6)
    assert shuffled.snr < 0.75 * found.snr and shuffled.strength < 1
    with pytest.raises(ValueError, match=r"width: need 1\.\.200"):
        task_vectors(vectors, known, 300)


def test_few_pairs_have_no_interval():
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    vectors = WordVectors(tuple("abcde"), rows)
    pairs = (("a", "b"), ("c", "d"), ("a", "e"), ("b", "c"))
    for count in (2, 3, 4):
        found = score_similarity(vectors, SimilarityPairs("few", pairs[:count], np.arange(1.0, count + 1) % 3))
        assert np.isfinite(found.rho) and np.isnan(found.low) == np.isnan(found.high) == (count < 4)
    assert "nan" not in str(score_similarity(vectors, SimilarityPairs("few", pairs[:2], np.arange(2.0))))


def test_pairs_that_agree_perfectly_have_no_interval():
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    vectors, pairs = WordVectors(tuple("abcdef"), rows), tuple(combinations("abcdef", 2))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = np.array([unit["abcdef".index(a)] @ unit["abcdef".index(b)] for a, b in pairs])
    found = score_similarity(vectors, SimilarityPairs("own", pairs, cosines))
    assert found.rho == 1 and np.isnan(found.low) and "interval undefined" in str(found)


@pytest.mark.parametrize("levels", [4, 1000])
def test_the_influence_of_a_pair_is_what_leaving_it_out_changes(levels):
    rng = np.random.default_rng(0)
    one = rng.normal(size=400)
    other = np.round((one + rng.normal(size=400)) * levels)
    rho, influence = similarity._spearman(np.round(one * levels), other)
    left = [similarity._spearman(*(np.delete(x, i) for x in (np.round(one * levels), other)))[0] for i in range(400)]
    assert rho == pytest.approx(stats.spearmanr(np.round(one * levels), other)[0])
    np.testing.assert_allclose(399 * (rho - np.array(left)), influence, atol=0.02)


@pytest.mark.parametrize(("seed", "together"), [(0, True), (1, False)])
def test_the_variance_is_the_sum_over_all_pairs_of_pairs_that_share_a_word(seed, together):
    rng = np.random.default_rng(seed)
    words = [f"w{k}" for k in range(9)]
    vectors = WordVectors(tuple(words), rng.normal(size=(9, 5)).astype(np.float32))
    pairs = (*tuple(combinations(words, 2))[::2], ("w1", "w0"), ("w0", "w1"), ("w4", "w4"))
    found = score_similarity(vectors, SimilarityPairs("x", pairs, scores := rng.normal(size=len(pairs))))
    unit = vectors.matrix / np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    cosines = [unit[vectors.ids[a]] @ unit[vectors.ids[b]] for a, b in pairs]
    rho, influence = similarity._spearman(np.array(cosines, np.float64), scores)
    sets = [set(pair) for pair in pairs]
    shared, equal = (
        sum(influence[i] * influence[j] for i, x in enumerate(sets) for j, y in enumerate(sets) if related(x, y))
        for related in (set.intersection, set.__eq__)
    )
    assert bool(shared * 9 / 8 > equal) is together  # where it is not, pairs count as independent
    reach = stats.t.ppf(0.975, 8) * np.sqrt(max(shared * 9 / 8, equal)) / len(pairs) / (1 - rho**2)
    assert (found.low, found.high) == pytest.approx(np.tanh(np.arctanh(rho) + np.array([-reach, reach])), rel=1e-4)


SIMILARITY_WIDTH = 8


def judged(rng, words, pairs, hubs):
    """Vectors and human scores that share half of what they are made of, some words being near to all others."""
    common = rng.normal(size=(words, SIMILARITY_WIDTH))
    common[:, 0] += hubs
    made = common + rng.normal(size=common.shape)
    seen = common + rng.normal(size=common.shape)
    one, other = np.triu_indices(words, 1) if words < 1e4 else np.arange(words).reshape(2, -1)
    chosen = rng.permutation(len(one))[:pairs]
    unit = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    one, other = one[chosen], other[chosen]
    return made, one, other, np.sum(unit[one] * unit[other], axis=1) + 0.2 * rng.normal(size=len(one))


@pytest.mark.slow
@pytest.mark.parametrize("hubs", [0.0, 1.5])
@pytest.mark.parametrize(("words", "pairs"), [(60, 1770), (60, 200), (600, 2400), (600, 150)])
def test_similarity_intervals_cover_the_correlation_over_all_words(words, pairs, hubs):
    rng = np.random.default_rng(0)
    made, one, other, scores = judged(rng, 800_000, 400_000, hubs)
    unit = made / np.linalg.norm(made, axis=1, keepdims=True)
    truth = stats.spearmanr(np.sum(unit[one] * unit[other], axis=1), scores)[0]
    names, covered, of_pairs = tuple(f"w{k}" for k in range(words)), [], []
    for _ in range(200):
        made, one, other, scores = judged(rng, words, pairs, hubs)
        asked = SimilarityPairs("drawn", tuple((names[a], names[b]) for a, b in zip(one, other, strict=True)), scores)
        found = score_similarity(WordVectors(names, made.astype(np.float32)), asked)
        covered.append(found.low <= truth <= found.high)
        of_pairs.append(abs(np.arctanh(found.rho) - np.arctanh(truth)) < 1.96 * np.sqrt(1.06 / (len(one) - 3)))
    print(f"{words} words, {len(one)} pairs: over words {np.mean(covered):.3f}, over pairs {np.mean(of_pairs):.3f}")
    assert 0.90 <= np.mean(covered) <= 0.98
    assert np.mean(of_pairs) < 0.88 or pairs < 10 * words  # where words stand in many pairs


def test_a_direction_from_a_word_to_itself_has_no_answer():
    vectors, _ = family(0.5)
    with pytest.raises(ValueError, match="no answer by PairDirection"):
        nearest(vectors, "a0", "a0", "a1", "PairDirection")
