"""Senses of a word: scores that treat senses alike, intervals, and the whole path at size tiny."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jaxembed.analysis.senses import probes as probes
from jaxembed.analysis.senses import texts as texts
from jaxembed.analysis.senses.result import WordResult
from jaxembed.analysis.senses.scores import SenseScores
from jaxembed.analysis.senses.tokens import SenseTokens
from jaxembed.studies.language.senses import STUDY

pytestmark = pytest.mark.float64_only("studies compute in float64")


def task(senses_of, fit, validation):
    rows, size = np.arange(len(senses_of)), np.ones(len(senses_of), np.int64)
    tokens = SenseTokens(np.ones((len(rows), 3), np.int32), size, size, 3 * size, 1)
    names = tuple("abc"[: senses_of.max() + 1])
    return texts.SenseTask("x", names, tokens, senses_of, rows[:fit], rows[fit : fit + validation],
                           rows[fit + validation :])  # fmt: skip


def test_probes_score_senses_alike_and_the_null_is_chance():
    rng = np.random.default_rng(0)
    which = (rng.random(900) < 0.1).astype(np.int64)
    x = np.stack([np.ones((900, 4)), rng.normal(size=(900, 4)) + 3 * which[:, None]])
    made = task(which, 300, 100)
    found, test = probes.read_senses_from(x, made), which[made.test]
    scores = probes.balanced_mean(found.right, test)
    assert scores[0] == 0.5 and scores[1] > 0.95 and found.best() == 1 and found.best(0) == 0
    null = [probes.balanced_mean(probes.read_senses_from(x[1:], made, shuffled=k).right, test)[0] for k in range(8)]
    assert abs(np.mean(null) - 0.5) < 0.2


def test_separation_is_nothing_where_senses_are_shuffled():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 40, 5))
    x[0] = 1.0
    found = [probes.separation(x, rng.permutation(np.repeat([0, 1], 20))) for _ in range(200)]
    assert np.isnan([one[0] for one in found]).all()
    values = np.array([one[1] for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(200)
    far = np.repeat([0, 1], 20)
    x[1] += 2 * far[:, None]
    assert probes.separation(x, far)[1] == pytest.approx(4.0, rel=0.5), "|2 (1, .., 1)|^2 / 5"


def test_the_interval_is_that_of_a_mean_of_senses():
    rng = np.random.default_rng(0)
    which = np.repeat([0, 1], [300, 30])
    hits = (rng.random((1, 330)) < np.where(which == 0, 0.9, 0.6)).astype(float)
    low, high = probes.bootstrap_interval(hits, which)
    p = [hits[0, which == k].mean() for k in (0, 1)]
    sd = 0.5 * np.sqrt(sum(a * (1 - a) / n for a, n in zip(p, (300, 30), strict=True)))
    assert high - low == pytest.approx(2 * 1.96 * sd, rel=0.15)
    assert low < np.mean(p) < high


def test_thinning_keeps_rare_senses_whole():
    which = np.repeat([0, 1, 2], [100, 5, 60])
    rows = texts._thinned(which, [0, 1, 2], 65, np.random.default_rng(0))
    assert np.bincount(which[rows]).tolist() == [30, 5, 30]
    first, second = texts._split(which, np.random.default_rng(0), 1 / 3)
    assert np.bincount(which[second]).tolist() == [33, 2, 20] and len(np.union1d(first, second)) == 165


def test_a_task_is_known_by_its_parts():
    """The same sentences with another split, or another marked place, are another task."""
    one = task(np.arange(40) % 2, 20, 8)
    moved = replace(one, fit=one.fit[:-1], test=np.append(one.fit[-1:], one.test))
    placed = replace(one, tokens=replace(one.tokens, at=one.tokens.at + 1))
    assert len({one.hash, moved.hash, placed.hash}) == 3
    assert one.hash == task(np.arange(40) % 2, 20, 8).hash


def test_the_static_null_is_measured():
    """Where the embedding itself differs between sentences, the gain is over what it tells."""
    made = task(np.arange(40) % 2, 20, 8)
    which = made.senses[made.test]
    right = np.stack([np.where(which == 0, 1.0, 0.5), np.ones(12)])
    one = SenseScores({"word": np.array([0.5, 0.9])}, {"word": right}, np.zeros((1, 12)), {}, {}, {}, 1)
    found = WordResult(made, {}, (one,), (one,))
    assert found.static().tolist() == [0.75] and found.gain("static").mean() == pytest.approx(0.25)


def test_a_file_is_found_from_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for part in ("train", "test"):
        (tmp_path / f"{part}.data.txt").write_text("0\tbank is\n0\tbank was\n")
        (tmp_path / f"{part}.gold.txt").write_text("0\n1\n")
    (tmp_path / "classes_map.txt").write_text('{"0": "money", "1": "water"}')
    train, test = texts.read_sense_parts(Path("~/train.data.txt"))
    assert len(train) == len(test) == 2


@pytest.mark.slow
def test_the_tiny_study_takes_the_whole_path(tmp_path, tends):
    result = STUDY.result("tiny", seeds=1, keep=tmp_path)
    (word,) = result.words
    held = {row.id for row in STUDY.evidence(result) if tends(row)}
    assert held >= {"senses-static", "senses-sums"}
    assert word.accuracy("trained").shape == (1, 4) and word.accuracy("trained")[0, 0] == 0.5
    first = word.trained[0].attention["first layer"]["by attention"]
    assert first[0][0] == pytest.approx(1, abs=1e-4) and first[0][1] < 1e-3, "exact in the first layer"
    assert first[1][1] > 0.05 and first[2][1] > 0.05
    assert word.trained[0].attention["ablation"]["none"] == 0.5, "without any head all sentences look the same"
    assert [len(table.rows) for table in STUDY.tables(result)] == [1, 4, 2]
    assert len(list((tmp_path / "senses").iterdir())) == 2
