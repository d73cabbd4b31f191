"""The table of word models: its text, its paired scores, its order, and the tiny study."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from jaxembed.studies.words import word_cells, word_texts
from jaxembed.studies.words.word_models import ORDER, SizeResult, shown, word_models
from jaxembed.studies.words.word_scores import ANALOGIES, Score, answers, bounds, items, score
from jaxembed.studies.words.word_texts import Domains, pile_domains
from jaxembed.words import Questions, SimilarityPairs, WordVectors, score_analogies, score_similarity, word_text

RNG = np.random.default_rng(0)
WORDS = tuple(f"w{k}" for k in range(16))
VECTORS = WordVectors(WORDS, RNG.normal(size=(16, 3)).astype(np.float32))


def questions():
    """Two families of pairs, of which one holds a word without a vector."""
    families = {
        "one": [(f"w{k}", f"w{k + 1}") for k in range(0, 8, 2)],
        "two": [("w8", "w9"), ("w10", "w11"), ("w12", "x")],
    }
    return Questions("made up", {name: tuple((*p, *q) for p in f for q in f if p != q) for name, f in families.items()})


def similarity():
    pairs = (*((f"w{k}", f"w{k + 1}") for k in range(12)), ("w1", "unknown"))
    return SimilarityPairs("made up", pairs, np.random.default_rng(1).normal(size=13))


ASKED = items(WORDS, questions(), {"made up": similarity()})


def test_scores_are_those_of_the_evaluation():
    found = answers(VECTORS, ASKED)
    report, pairs = score_analogies(VECTORS, questions()), score_similarity(VECTORS, similarity())
    assert found[ANALOGIES].mean() == report.total.accuracy
    assert ASKED.covered(ANALOGIES) == report.total.covered and ASKED.asked[ANALOGIES] == report.total.asked
    own = score("made up", [found["made up"]], ASKED)
    assert np.isclose(own.mean, pairs.rho) and ASKED.covered("made up") == pairs.covered
    assert own.mean == pytest.approx(float(np.asarray(spearmanr(found["made up"], ASKED.human["made up"]))[0]))
    assert np.allclose(own.interval, (pairs.low, pairs.high), atol=0.15)


def test_a_question_whose_answer_is_a_query_word_is_lost():
    asked = Questions("made up", {"one": (("w0", "w1", "w2", "w2"), *questions().sections["one"])})
    found = answers(VECTORS, items(WORDS, asked, {"made up": similarity()}))[ANALOGIES]
    assert found[0] == 0 and found.mean() == score_analogies(VECTORS, asked).total.accuracy


def test_cells_of_another_text_or_making_have_other_files(tmp_path):
    texts = (word_text([line], min_count=1) for line in ("a b a b", "b a b a", "a b a b"))
    cells = [
        word_cells.Cells(text, word_cells.Making(width), tmp_path) for text, width in zip(texts, (2, 2, 3), strict=True)
    ]
    assert len({one._file("QWEM", 0, ".bin") for one in cells}) == 3
    again = word_cells.Cells(cells[0].text, word_cells.Making(2), tmp_path)
    assert again._file("QWEM", 0, ".bin") == cells[0]._file("QWEM", 0, ".bin")


def test_a_redrawn_question_needs_both_its_pairs():
    sections = ASKED.sections
    assert ASKED.weights.shape == (1000, 14)
    counts = [np.sum(sections == k) for k in range(2)]
    assert counts == [12, 2]
    # Redraws of n pairs: two different ones stand together n (n - 1) / n^2 times on average.
    for k, pairs in enumerate((4, 2)):
        assert np.isclose(ASKED.weights[:, sections == k].mean(), (pairs - 1) / pairs, atol=0.1)


def test_equal_answers_differ_by_nothing_and_better_ones_are_decided():
    low, high = np.zeros(14), np.ones(14)
    poor, rich = score(ANALOGIES, [low], ASKED), score(ANALOGIES, [high], ASKED)
    mixed = score(ANALOGIES, [low, high], ASKED)
    assert poor.mean == 0 and rich.interval == (1, 1) and mixed.mean == 0.5
    scores = {(ANALOGIES, model): poor for model in word_cells.MODELS} | {(ANALOGIES, "skip-gram"): rich}
    part = SizeResult(10, 16, {ANALOGIES: (14, 18)}, scores, {})
    assert part.standing(ANALOGIES, "skip-gram", "svd(M*)")[3] == "as published"
    assert part.standing(ANALOGIES, "svd(M*)", "skip-gram")[3] == "reversed"
    assert part.standing(ANALOGIES, "svd(M*)", "QWEM")[3] == "open"
    assert [part.count(ANALOGIES, s) for s in ("as published", "reversed", "open")] == [4, 0, len(ORDER) - 4]
    part.scores[ANALOGIES, "skip-gram"] = mixed  # trainings disagree
    assert part.standing(ANALOGIES, "skip-gram", "svd(M*)")[3] == "open"


def test_an_undefined_score_has_no_interval():
    constant = score("made up", [np.ones(12)], ASKED)
    assert np.isnan(constant.mean) and all(np.isnan(constant.interval))
    assert bounds(np.array([0.0, np.nan]))[0] != 0
    assert "seeds" in shown("MEN", Score(np.array([0.1, 0.2]), np.array([0.1, 0.2])))


def test_nothing_covered_is_refused():
    with pytest.raises(ValueError, match="none of its 18 questions"):
        items(("a", "b"), questions(), {})
    with pytest.raises(ValueError, match="0 of its 13 pairs"):
        items(WORDS[8:], questions(), {"made up": SimilarityPairs("x", (("w1", "w2"),) * 13, np.ones(13))})


def test_a_cut_takes_the_same_share_of_every_domain():
    """The first domain is one long document, the second many short ones."""
    texts = ["a b " * 50, *["c d"] * 50]
    found = Domains(word_text(texts, min_count=1), np.array([0, *[1] * 50]))
    half = found.cut(100, min_count=1)
    named = dict(zip(half.words, half.counts.tolist(), strict=True))
    assert named == {"a": 25, "b": 25, "c": 25, "d": 25}
    assert half.ends[0] == 50 and half.facts["words_read"] == 100
    whole = found.cut(None, min_count=1)
    assert len(whole.ids) == 200
    with pytest.raises(ValueError, match=r"words: need 1..200"):
        found.cut(201)


def test_words_of_the_domains_are_kept(tmp_path):
    found = Domains(word_text(["naïve b", "b c"], min_count=1), np.array([0, 1]))
    word_texts._write(tmp_path / "x.npz", found)
    again = word_texts._read(tmp_path / "x.npz")
    assert again.text.words == found.text.words and np.array_equal(again.text.ids, found.text.ids)
    assert np.array_equal(again.text.ends, found.text.ends) and again.domain.tolist() == [0, 1]


def test_missing_data_is_one_line(monkeypatch, tmp_path):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA: not set"):
        pile_domains()
    monkeypatch.setenv("JAXEMBED_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="JAXEMBED_DATA: there is no"):
        pile_domains()


@pytest.mark.slow
def test_the_tiny_study_resumes_to_the_same_table(tmp_path, monkeypatch):
    first = word_models("tiny", keep=tmp_path)
    assert all(check.passed for check in first.checks())
    assert len(first.rows()) == 2 * (1 + len(word_cells.MODELS))
    assert {row[5] for row in first.order_rows()} <= {
        "as published",
        "reversed",
        "open",
        "apart",
        "equal within 2 points",
    }
    monkeypatch.setattr(word_cells.Cells, "vectors", None)  # whatever is made again fails
    again = word_models("tiny", keep=tmp_path)
    assert again.rows() == first.rows()
    for part, other in zip(first.found, again.found, strict=True):
        assert all(np.array_equal(part.scores[name].draws, other.scores[name].draws) for name in part.scores)
