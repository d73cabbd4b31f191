"""`jaxembed run` of a setting of generated sequences: tiny, stopped and resumed, and one line for what does not fit."""

import json

import jax
import numpy as np
import pytest

from jaxembed.__main__ import main
from jaxembed.decoding import DecodingResult
from jaxembed.keep import from_json, read_record
from jaxembed.runs import folder as record
from jaxembed.runs.presets.catalogue import SETTINGS, find_setting
from jaxembed.runs.presets.named import PRESETS

NETWORK = ["--model.layers", "1", "--model.width", "8", "--model.heads", "2", "--length", "8", "--batch", "4"]
PARTS = ["--probing.train", "40", "--probing.validation", "10", "--probing.test", "20", "--probing.loss-draws", "20"]
TINY = ["gaussian-gamma", "--size", "tiny", "--seeds", "2", "--steps", "6", "--probing.targets", "statistics"]
TINY += [*NETWORK, *PARTS]


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
    assert run("run", *TINY, "--out", out) == 0
    return out


@pytest.mark.slow
def test_a_run_leaves_settings_networks_scores_table_and_figure(finished, capsys):
    assert {path.name for path in finished.iterdir()} == {
        "config.json",
        "networks.npz",
        "result.json",
        "report.md",
        "figure.png",
    }
    assert (finished / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    config = json.loads((finished / "config.json").read_text())
    assert config["settings"]["recipe"]["steps"] == 6 and config["dtype"] == "float64"
    assert config["settings"]["process"]["kind"] == "jaxembed.processes.gaussian_gamma:GaussianGamma"
    with np.load(finished / record.NETWORKS) as arrays:
        assert arrays["params/embed"].shape == (2, 2, 1, 8) and arrays["steps"].tolist() == [0, 6]
    table = (finished / "report.md").read_text(encoding="utf-8")
    for word in ("untrained", "last item", "shuffled targets", "constant", "ceiling", "share of the gap", "excess"):
        assert word in table
    result = DecodingResult.of_record(from_json(read_record(finished / record.RESULT)))
    assert result.decoded.seeds == (0, 1) and len(result.score) == 2
    written = (finished / "result.json").stat().st_mtime_ns
    assert run("run", *TINY, "--out", finished, "--resume") == 0
    assert "is finished" in " ".join(capsys.readouterr().out.split())
    assert (finished / "result.json").stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_stopped_run_resumes_to_the_same_numbers(finished, tmp_path, monkeypatch, capsys):
    out = tmp_path / "stopped"

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxembed.decoding.setting.decode", stop)
    assert run("run", *TINY, "--out", out) == 130
    assert "--resume" in capsys.readouterr().err
    assert not (out / "result.json").exists() and (out / "stages" / "training").exists()
    monkeypatch.undo()
    assert run("run", *TINY, "--out", out) == 2  # neither lost nor silently taken up
    assert run("run", *TINY, "--batch", "5", "--out", out, "--resume") == 2
    assert "other settings" in capsys.readouterr().err
    assert run("run", *TINY, "--out", out, "--resume") == 0
    with np.load(finished / record.NETWORKS) as straight, np.load(out / record.NETWORKS) as resumed:
        for name in straight:
            np.testing.assert_array_equal(straight[name], resumed[name], err_msg=name)
    assert not (out / "stages").exists()
    assert run("run", *TINY, "--head", "squared-error", "--out", out, "--overwrite") == 0
    assert (
        json.loads((out / "config.json").read_text())["settings"]["recipe"]["head"]["kind"]
        == "jaxembed.models.heads:SquaredError"
    )


def test_every_setting_of_the_catalogue_is_listed_with_what_to_expect(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")  # names stay whole where the terminal is narrow
    assert run("list") == 0
    shown = capsys.readouterr().out.split()
    for name, sizes in SETTINGS.items():
        assert name in shown and PRESETS[name].expect and {"tiny", "quick"} <= set(sizes)
    assert set(PRESETS) <= set(shown)


def test_the_old_name_of_the_published_size_is_taken_and_said(capsys):
    assert find_setting("hmm", "full") == SETTINGS["hmm"]["published"]
    assert capsys.readouterr().err == "size full is called published now\n"
    with pytest.raises(ValueError, match="size: hmm has no size 'big'; choose tiny or quick or published"):
        find_setting("hmm", "big")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--size", "huge"], "size: gaussian-gamma has no size 'huge'; choose tiny or quick"),
        (["--animate"], "animate: DecodingSetting has no animation"),
        (["--probing.targets", "moments"], "main: 'statistics' is not among the probed targets"),
        (["--seeds", "0"], "seeds: must be at least 1"),
        (["--seed", "3"], "--seeds"),
        (["--process.shape", "-1"], "improper"),
    ],
)
def test_what_does_not_fit_ends_in_one_line(arguments, says, tmp_path, capsys):
    assert run("run", "gaussian-gamma", *arguments, "--out", tmp_path / "new") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and says in error
    assert not (tmp_path / "new").exists()
