"""Steps saved at equal loss, cells kept on disk, and the whole study at size tiny."""

import numpy as np
import pytest

from jaxembed.models import Decoder
from jaxembed.studies import start_cells
from jaxembed.studies.signature_start import (
    HEADER,
    SEARCH_HEADER,
    SETTINGS,
    Curves,
    Schedule,
    SignatureStart,
    signature_start,
)
from jaxembed.studies.start_cells import Bench, Cell, Setting
from jaxembed.theory.signature_start import Form

STEPS = np.asarray([0.0, 10.0, 20.0, 40.0])


def curves(standard, other):
    held = {"standard": np.asarray(standard, float), "signatures": np.asarray(other, float)}
    return Curves(Schedule("text", 40), 1000, STEPS, held)


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
    assert ahead.end_of_gain("signatures") is None
    assert fading.end_of_gain("signatures") == 20
    assert never.end_of_gain("signatures") == 10


def test_checks_say_where_a_control_does_as_well():
    standard = np.asarray([[8, 6, 5, 4.0], [8, 6.1, 5.1, 4.1]])
    held = {"standard": standard, "signatures": standard - 0.5, "rotation": standard - 0.6}
    schedule = Schedule("text", 40)
    result = SignatureStart("tiny", SETTINGS["tiny"], (), Form(), 1.0, {}, {"text": Curves(schedule, 9, STEPS, held)})
    assert [check.passed for check in result.checks()] == [True, False, True]


SMALL = Setting("python", 60_000, 280, 2_000, Decoder(16, 1, 2, 16), 4, 16, saves=(0, 1))
CELL = Cell("signatures", 0, 3, 1.0, 1e-3, Form(rows="equal"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    pytest.importorskip("tokenizers")
    return Bench(SMALL, tmp_path_factory.mktemp("cells"))


@pytest.mark.slow
def test_starts_differ_in_their_tables_alone_and_have_one_norm(bench):
    params = {start: bench.params(Cell(start, 0, 3, 1.0, 1e-3)) for start in ("standard", "signatures", "rotation")}
    for start, own in params.items():
        for name in ("embed", "unembed"):
            assert own[name].dtype == np.float32
            rms = float(np.sqrt(np.mean(np.asarray(own[name]) ** 2)))
            assert abs(rms / start_cells.USUAL - 1) < (0.05 if start == "standard" else 1e-5)
        np.testing.assert_array_equal(own["blocks"]["layer0"]["mlp"]["up"], _up(params["standard"]))
    assert not np.allclose(params["signatures"]["embed"], params["rotation"]["embed"])
    other = bench.params(Cell("standard", 1, 3, 1.0, 1e-3))
    assert not np.allclose(_up(other), _up(params["standard"]))


def _up(params):
    return params["blocks"]["layer0"]["mlp"]["up"]


@pytest.mark.slow
def test_a_finished_cell_is_read_and_not_trained_again(bench, monkeypatch):
    first = bench.curve(CELL)
    assert first.shape == (2,) and np.isfinite(first).all() and first[1] < first[0]
    monkeypatch.setattr(Bench, "_trained", lambda self, cell: pytest.fail("trained again"))
    bench._curves.clear()
    np.testing.assert_array_equal(bench.curve(CELL), first)
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        bench.curve(Cell("signatures", 1, 3, 1.0, 1e-3))


@pytest.mark.slow
def test_the_study_at_tiny(tmp_path):
    pytest.importorskip("tokenizers")
    lines = []
    result = signature_start("tiny", seeds=2, progress=lines.append, cells=tmp_path)
    assert not [check for check in result.checks() if not check.passed]
    assert all(len(row) == len(HEADER) for row in result.rows()) and result.rows()
    assert all(len(trial.row()) == len(SEARCH_HEADER) for trial in result.trials)
    assert {trial.cell.seed for trial in result.trials} == {SETTINGS["tiny"].search_seed}
    for found in result.curves.values():
        assert set(found.held) == {"standard", *found.schedule.starts}
        for start, held in found.held.items():
            seeds = 1 if start == "permuted" else 2
            assert held.shape == (seeds, len(found.steps)) and np.isfinite(held).all()
            assert np.all(held[:, -1] < held[:, 0])
    whole, part = (result.curves[name] for name in ("whole text", "a fifth"))
    assert part.tokens < 0.5 * whole.tokens
    assert len(lines) >= 12 + len(result.trials)
