"""The command line end to end: a tiny run, a stopped and resumed one, and one clear line for every bad input."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jaxembed.__main__ import main
from jaxembed.base import checked_dataset
from jaxembed.runs import folder as record
from jaxembed.tasks import Addition

SIZES = ["--task.keys", "4", "--task.anchors", "3", "--model.width", "4"]
TINY = [*SIZES, "--seeds", "2", "--steps", "20", "--saves", "4"]
QUICK = [*SIZES, "--seeds", "1", "--steps", "4", "--saves", "2", "--optimizer", "adam", "--learning-rate", "0.01"]


@pytest.fixture(autouse=True)
def restored():
    """The command line chooses the precision of its process; here the process is shared."""
    wide = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", wide)


def run(*arguments) -> int:
    try:
        main([str(word) for word in arguments])
    except SystemExit as stop:
        return stop.code
    return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "straight"
    assert run("run", "addition", *TINY, "--animate", "--out", out) == 0
    return out


def arrays(folder):
    with np.load(folder / record.ARRAYS) as found:
        return dict(found)


def test_a_run_leaves_settings_arrays_numbers_report_figure_and_animation(finished):
    names = {"config.json", "trajectories.npz", "result.json", "report.md", "figure.png", "figure.gif"}
    assert {path.name for path in finished.iterdir()} == names
    assert (finished / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (finished / "figure.gif").read_bytes()[:6] == b"GIF89a"
    config = json.loads((finished / "config.json").read_text())
    assert config["settings"]["task"]["keys"] == 4
    assert config["dtype"] == "float64"
    assert {"jax", "jaxembed", "numpy"} <= set(config["versions"])
    saved = arrays(finished)
    assert saved["training/embed"].shape == (2, 5, 3, 4)
    assert np.all(np.isfinite(saved["exact flow/embed"]))
    report = (finished / "report.md").read_text(encoding="utf-8")
    assert "exact flow" in report
    assert "| R_cos(embed, context) | undefined | undefined | undefined |" in report


@pytest.mark.parametrize(("command", "resumes"), [("run", True), ("pretrain", True), ("count", False), ("list", False)])
def test_only_commands_that_resume_say_so_when_stopped(command, resumes, monkeypatch, capsys):
    def stopped(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxembed.__main__._dispatch", stopped)
    assert run(command) == 130
    assert ("--resume" in capsys.readouterr().err) == resumes


def test_a_stopped_run_resumes_to_the_same_numbers(finished, tmp_path, monkeypatch, capsys):
    out, computed = tmp_path / "stopped", []
    whole = record.FolderStages.__call__

    def counting(self, name, compute):
        if len(computed) == stop_after:
            raise KeyboardInterrupt

        def counted():
            computed.append(name)
            return compute()

        return whole(self, name, counted)

    monkeypatch.setattr(record.FolderStages, "__call__", counting)
    stop_after = 7
    assert run("run", "addition", *TINY, "--out", out) == 130
    assert capsys.readouterr().err.count("\n") == 1
    before = list(computed)
    assert len(before) == 7
    assert not (out / "result.json").exists()

    assert run("run", "addition", *TINY, "--out", out) == 2  # neither lost nor silently taken up
    assert run("run", "addition", *TINY, "--seeds", "3", "--out", out, "--resume") == 2
    assert "seeds" in capsys.readouterr().err
    assert len(list((out / "stages").iterdir())) == 7

    stop_after = -1
    assert run("run", "addition", *TINY, "--out", out, "--resume") == 0
    straight, resumed = arrays(finished), arrays(out)
    assert straight.keys() == resumed.keys()
    for name, value in straight.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
    assert not (out / "stages").exists()

    monkeypatch.undo()
    written = (out / "result.json").stat().st_mtime_ns
    assert run("run", "addition", *TINY, "--out", out, "--resume") == 0
    assert "is finished" in " ".join(capsys.readouterr().out.split())
    assert (out / "result.json").stat().st_mtime_ns == written


def test_comparing_a_run_with_itself_finds_no_error(finished, capsys):
    assert run("compare", finished, finished) == 0
    assert capsys.readouterr().out.count("horizon (skill < 0.9): beyond") == 2
    assert run("compare", finished, finished, "--trajectory", "exact flow") == 0
    assert capsys.readouterr().out.count("horizon (skill < 0.9): beyond") == 2


def test_comparing_two_runs_finds_how_far_they_are_apart(finished, tmp_path, capsys):
    for seed in (0, 1):
        assert run("run", "addition", *QUICK, "--init-seed", seed, "--out", tmp_path / str(seed)) == 0
    assert run("run", "addition", *QUICK, "--seeds", "2", "--out", tmp_path / "two") == 0
    capsys.readouterr()
    assert run("compare", tmp_path / "0", tmp_path / "1") == 0
    told = capsys.readouterr().out
    assert "horizon (skill < 0.9): t=" in told and "seeds:" not in told
    assert f"settings.init_seed: 0 in {tmp_path / '0'}, 1 in {tmp_path / '1'}" in told
    assert run("compare", tmp_path / "0", tmp_path / "two") == 0
    assert "seeds: 1 and 2; the first 1 of each are compared, the others are not" in capsys.readouterr().out
    assert_refused(["compare", tmp_path / "0", finished], "clock", capsys)


def test_comparing_names_what_is_missing(finished, tmp_path, capsys):
    assert_refused(["compare", finished, tmp_path], "no config.json", capsys)
    assert_refused(["compare", finished, finished, "--trajectory", "rung 7"], "rung 1", capsys)
    assert_refused(["compare", finished], "prediction", capsys)


def test_training_that_is_no_longer_finite_stops_with_the_step(tmp_path, capsys):
    for rate in ("1e10", "1e308"):
        said = [*SIZES, "--seeds", "1", "--steps", "20", "--saves", "4", "--learning-rate", rate]
        assert_refused(["run", "addition", *said, "--out", tmp_path / rate], "no longer finite by step", capsys)


def test_overwriting_replaces_an_earlier_run_and_keeps_foreign_files(finished, tmp_path):
    out = tmp_path / "again"
    out.mkdir()
    for name, content in (("config.json", "{}"), ("result.json", "old"), ("notes.txt", "mine")):
        (out / name).write_text(content)
    assert run("run", "addition", *QUICK, "--out", out, "--overwrite") == 0
    assert (out / "notes.txt").read_text() == "mine"
    assert json.loads((out / "result.json").read_text())["title"] == "Addition / Linear"
    assert arrays(out)["training/embed"].shape[:2] == (1, 3)


def assert_refused(arguments, said, capsys, untouched=None):
    """Exit code 2, one line on stderr that says what to change, and nothing written."""
    capsys.readouterr()
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxembed: ")
    assert error.count("\n") == 1
    assert said in error
    if untouched is not None:
        assert not untouched.exists()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["addition", "--task.keys", "0"], "keys"),
        (["addition", "--task.anchors", "-3"], "anchors"),
        (["addition", "--task.keys", "1000000"], "GiB"),
        (["addition", "--model.width", "0"], "width: must be at least 1"),
        (["addition", "--seeds", "0"], "seeds: must be at least 1"),
        (["addition", *SIZES, "--seeds", "1000000000"], "GiB"),
        (["addition", "--steps", "5", "--saves", "6"], "saves"),
        (["addition", "--learning-rate", "nan"], "learning_rate: must be a positive number"),
        (["addition", "--optimizer", "adam"], "learning_rate"),
        (["addition", "--model.init-scale", "0"], "init_scale: must be a positive number"),
        (["addition", "--dtype", "float32", "--model.init-scale", "1e-6"], "use float64"),
        (["addition-feedforward", "--model.activation", "gelo"], "choose one of gelu"),
        (["anchors", "--task.keys", "5", "30"], "overlap"),
        (["modular-feedforward", "--optimizer", "sgd", "--learning-rate", "None"], "flow_time"),
        (["adition"], "did you mean addition?"),
        (["addition", "--model.widht", "3"], "--model.width"),
        (["addition", "--seeds", "two"], "--seeds"),
        (["text-bigram", "--text", "absent.txt"], "does not exist"),
        (["text-bigram", "--task.vocab-size", "1"], "vocab_size"),
        (["addition", "--overwrite", "--resume"], "choose one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_settings_are_refused_with_one_line(arguments, said, tmp_path, capsys):
    out = tmp_path / "out"
    assert_refused(["run", *arguments, "--out", out], said, capsys, untouched=out)


@pytest.mark.parametrize(
    "content, said",
    [(b"", "is empty"), (b" \n\t\n", "is empty"), (b"\x7fELF\0\0", "binary"), (b"caf\xe9 au lait", "not UTF-8")],
)
def test_files_that_are_no_text_are_refused(content, said, tmp_path, capsys):
    file, out = tmp_path / "text.txt", tmp_path / "out"
    file.write_bytes(content)
    assert_refused(["run", "text-bigram", f"--text={file}", "--out", out], said, capsys, untouched=out)


@pytest.mark.parametrize(
    "weights, label, said",
    [(None, 7, "outside the vocabulary"), ([1.0, -1.0], 1, "non-negative"), ([0.0, 0.0], 1, "positive number")],
)
def test_bad_populations_are_refused(weights, label, said, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Addition, "dataset", lambda self: checked_dataset([[0], [1]], [0, label], weights, vocab=3))
    out = tmp_path / "out"
    assert_refused(["run", "addition", "--out", out], said, capsys, untouched=out)


def test_a_folder_with_other_content_is_refused_and_untouched(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("mine")
    for flags in ([], ["--overwrite"], ["--resume"]):
        assert_refused(["run", "addition", "--out", tmp_path, *flags], str(tmp_path), capsys)
    assert_refused(["run", "addition", "--out", tmp_path / "thesis.tex"], "is a file", capsys)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_the_commands_explain_themselves(capsys):
    for arguments in ([], ["--help"], ["run", "--help"], ["list"], ["run", "text-bigram", "--help"]):
        assert run(*arguments) == 0
        assert capsys.readouterr().out
    assert_refused(["runn"], "did you mean run?", capsys)
    assert_refused(["run"], "addition", capsys)
    assert_refused(["list", "all"], "all", capsys)


def test_a_shell_sees_the_exit_code_and_one_line_without_a_traceback(tmp_path):
    command = [sys.executable, "-m", "jaxembed", "run", "addition", "--model.width", "0", "--out", tmp_path / "out"]
    found = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"}, timeout=120)
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert "width: must be at least 1" in found.stderr
    assert list(tmp_path.iterdir()) == []


QUICK_SOLVED = ["--seeds", "1", "--steps", "40", "--saves", "2", "--rtol", "1e-4"]
SOLVED = {
    "deep-linear": "",
    "word-pairs": "--setting.strengths 0.6 0.4 --setting.probabilities 0.5 0.4 --setting.width 2",
    "attention-only": "--setting.vocab 12 --setting.positions 5 --setting.examples 8 --setting.length 2",
    "soft-label": "--setting.repeats 1",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVED)
def test_a_closed_form_runs_with_its_controls(name, tmp_path):
    assert run("run", name, *SOLVED[name].split(), *QUICK_SOLVED, "--out", tmp_path / name) == 0
    found = json.loads((tmp_path / name / "result.json").read_text())
    skills = {
        row["prediction"]: row["skill"][0][-1] for row in found["comparisons"] if row["observable"] == "Gram matrix"
    }
    controls = {row["prediction"] for row in found["comparisons"] if row["control"]} - {"frozen"}
    best = max(skill for name, skill in skills.items() if name not in controls | {"exact flow"})
    assert controls and best > 0.9 and all(skills[name] < best for name in controls)
    assert all(np.all(np.isfinite(values)) for values in arrays(tmp_path / name).values())


def test_a_closed_form_refuses_settings_in_one_line(tmp_path, capsys):
    assert run("run", "deep-linear", "--setting.init-scale", "-1", "--out", tmp_path / "never") == 2
    assert "init_scale" in capsys.readouterr().err and not (tmp_path / "never").exists()
