"""Steps saved at equal loss, runs kept on disk, and the whole study at size tiny."""

import numpy as np
import pytest

from jaxembed.base import silent
from jaxembed.models import Decoder
from jaxembed.studies.language.signature_start import (
    BEST,
    SETTINGS,
    STANDARD_BEST,
    STUDY,
    Schedule,
    ScheduleCurves,
    SignatureStart,
)
from jaxembed.studies.language.start_search import SearchAxis, StartGrid, StartSearch, StartTrial, search
from jaxembed.studies.language.start_training import USUAL, Bench, BenchSetting, StartRun
from jaxembed.theory.signature_start import Form

STEPS = np.asarray([0.0, 10.0, 20.0, 40.0])


def curves(standard, other):
    held = {"standard": np.asarray(standard, float), "signatures": np.asarray(other, float)}
    return ScheduleCurves(Schedule("text", 40), 1000, 640, STEPS, held)


def test_steps_saved_are_read_off_between_saves():
    made = curves([[8, 6, 5, 4]], [[8, 5, 4.5, 4]])
    # The standard start's 6 at step 10 is reached at 20/3 on the way from 8 to 5.
    np.testing.assert_allclose(made.saved("signatures", 0.25), [1 - (20 / 3) / 10])
    np.testing.assert_allclose(made.saved("signatures", 0.5), [0.5])
    np.testing.assert_allclose(made.saved("signatures", 1.0), [0.0])
    np.testing.assert_allclose(made.gain("signatures"), [[0, 1, 0.5, 0]])


def test_a_worse_start_saves_less_than_nothing_or_never_arrives():
    made = curves([[8, 6, 5, 4]], [[8, 7, 6, 4.5]])
    np.testing.assert_allclose(made.saved("signatures", 0.25), [-1.0])
    assert np.isnan(made.saved("signatures", 1.0)).all()


def test_the_gain_ends_where_its_interval_holds_zero():
    standard = np.asarray([[8, 6, 5, 4.0]] * 3)
    noise = np.asarray([-0.1, 0.0, 0.1])[:, None]
    ahead = curves(standard, standard - np.asarray([[0, 1.0, 1.0, 1.0]]) + noise)
    fading = curves(standard, standard - np.asarray([[0, 1.0, 0.1, 0.0]]) + noise)
    never = curves(standard, standard + np.asarray([[0, 1.0, 1.0, 1.0]]) + noise)
    assert ahead.end_of_gain("signatures") == np.inf
    assert fading.end_of_gain("signatures") == 20
    assert np.isnan(never.end_of_gain("signatures"))


def test_of_two_seeds_both_have_to_be_ahead():
    standard = np.asarray([[8, 6, 5, 4.0]] * 2)
    # Student's interval of two values this far apart holds zero throughout.
    made = curves(standard, standard - np.asarray([[0, 0.1, 0.1, 0.1], [0, 2.0, 2.0, -0.1]]))
    assert made.end_of_gain("signatures") == 40


def made_result(held, name="text"):
    found = StartSearch((), Form(), {}, {})
    curves = ScheduleCurves(Schedule(name, 40), 9, 640, STEPS, held)
    return SignatureStart(SETTINGS["tiny"], found, {name: curves})


def test_a_start_at_its_best_norm_is_compared_with_the_standard_start_at_its_own():
    standard = np.asarray([[8, 6, 5, 4.0]] * 3)
    held = {"standard": standard, BEST: standard - 0.5, STANDARD_BEST: standard - 0.6}
    held |= {"standard, signatures' norm": standard, "rotation, signatures' norm": standard - 0.1}
    result = made_result(held)
    pairs = result.curves["text"].pairs()
    assert pairs[0] == (BEST, STANDARD_BEST) and (BEST, "standard") not in pairs
    np.testing.assert_allclose(result.curves["text"].gain(BEST, STANDARD_BEST), -0.1)
    table = STUDY.tables(result)[0]
    assert "never ahead" in table.note.split(";")[1]
    assert {row[1] for row in table.rows if row[2] == BEST} == {"640 / 9"}
    assert {row[1] for row in table.rows if row[2] == STANDARD_BEST} == {"640 / 0"}
    assert all(row.holds() for row in STUDY.evidence(result))  # a negative result is one, not a missed figure


def test_evidence_says_where_a_control_does_as_well():
    standard = np.asarray([[8, 6, 5, 4.0], [8, 6.1, 5.1, 4.1]])
    held = {"standard": standard, "signatures": standard - 0.5, "rotation": standard - 0.6}
    assert [row.holds() for row in STUDY.evidence(made_result(held))] == [False]
    assert [row.holds() for row in STUDY.evidence(made_result(held | {"rotation": standard}))] == [True]
    rows = {row.id: row for row in STUDY.evidence(made_result(held | {"rotation": standard}, "whole text"))}
    np.testing.assert_allclose(rows["signature-start-early"].values, 0.5)  # ahead of the better rival
    assert not STUDY.evidence(made_result(held, "whole text"))[-1].holds()


class Bowl:
    """In place of a bench: the loss is least at a learning rate of 4e-3 and the norm asked for."""

    setting = BenchSetting(saves=(0, 1))

    def __init__(self, norm):
        self.norm = norm

    def curve(self, run):
        distance = abs(np.log(run.learning_rate / 4e-3)) + abs(np.log(run.norm / self.norm))
        return np.asarray([9.0, 5 + distance + run.form.power])


@pytest.mark.parametrize(("norm", "found"), [(0.04, "inside the grid: 0.04"), (0.16, "beyond it 0.16, loss 5.000")])
def test_the_search_says_where_it_ended_at_an_edge(norm, found):
    made = search(StartGrid(), Bowl(norm), silent)
    assert made.rates == {"standard": 4e-3, "signatures": 4e-3} and made.form.power == 0
    assert made.norms["signatures"] == min(norm, 0.08)  # what lies beyond is never chosen
    beyond = [trial.run for trial in made.trials if trial.beyond]
    assert [(run.start, run.learning_rate, run.norm) for run in beyond] == [
        ("standard", 8e-3, 0.02),
        ("signatures", 8e-3, 0.02),
        ("signatures", 4e-3, 0.16),
        ("standard", 4e-3, 0.16),
    ]
    lines = [axis.line() for axis in made.axes]
    assert "at the edge: 0.004" in lines[0] and "beyond it 0.008" in lines[0] and found in lines[2]


def test_nothing_is_said_of_what_lies_below_a_grid():
    trial = StartTrial(StartRun("standard", 0, 3, 1.0, 1e-3), 6.0, 5.0)
    assert "nothing below was tried" in SearchAxis("learning_rate", (1e-3, 2e-3), trial, trial).line()


SMALL = BenchSetting("python", 60_000, 280, 2_000, Decoder(16, 1, 2, 16), 4, 16, saves=(0, 1))
RUN = StartRun("signatures", 0, 3, 1.0, 1e-3, Form(rows="equal"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    pytest.importorskip("tokenizers")
    return Bench(SMALL, tmp_path_factory.mktemp("curves"))


@pytest.mark.slow
def test_starts_differ_in_their_tables_alone_and_have_one_norm(bench):
    params = {start: bench.params(StartRun(start, 0, 3, 1.0, 1e-3)) for start in ("standard", "signatures", "rotation")}
    for start, own in params.items():
        for name in ("embed", "unembed"):
            assert own[name].dtype == np.float32
            rms = float(np.sqrt(np.mean(np.asarray(own[name]) ** 2)))
            assert abs(rms / USUAL - 1) < (0.05 if start == "standard" else 1e-5)
        np.testing.assert_array_equal(own["blocks"]["layer0"]["mlp"]["up"], _up(params["standard"]))
    assert not np.allclose(params["signatures"]["embed"], params["rotation"]["embed"])
    other = bench.params(StartRun("standard", 1, 3, 1.0, 1e-3))
    assert not np.allclose(_up(other), _up(params["standard"]))


def _up(params):
    return params["blocks"]["layer0"]["mlp"]["up"]


@pytest.mark.slow
def test_a_finished_run_is_read_and_not_trained_again(bench, monkeypatch):
    first = bench.curve(RUN)
    assert first.shape == (2,) and np.isfinite(first).all() and first[1] < first[0]
    monkeypatch.setattr(Bench, "_trained", lambda self, run: pytest.fail("trained again"))
    bench.curve.cache_clear()
    np.testing.assert_array_equal(bench.curve(RUN), first)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        bench.curve(StartRun("signatures", 1, 3, 1.0, 1e-3))


@pytest.mark.slow
def test_the_study_at_tiny(tmp_path):
    pytest.importorskip("tokenizers")
    lines = []
    result = STUDY.result("tiny", seeds=2, keep=tmp_path, progress=lambda text, share=None: lines.append(text))
    rows = {row.id: row for row in STUDY.evidence(result)}
    assert set(rows) == set(STUDY.ids)
    assert all(row.holds() for name, row in rows.items() if "signature-start" not in name)
    assert {trial.run.seed for trial in result.search.trials} == {SETTINGS["tiny"].grid.seed}
    for found in result.curves.values():
        assert set(found.held) == {"standard", *found.schedule.starts}
        for start, held in found.held.items():
            seeds = 1 if start == "permuted" else 2
            assert held.shape == (seeds, len(found.steps)) and np.isfinite(held).all()
            assert np.all(held[:, -1] < held[:, 0])
    whole, part = (result.curves[name] for name in ("whole text", "a fifth"))
    assert part.tokens < 0.5 * whole.tokens
    assert len(lines) >= 12 + len(result.search.trials)
