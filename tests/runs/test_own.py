"""A researcher's own task, model, theory and observable, from a file: what a preset has, without a line in the package.

The file is the README's block; what holds for it here holds for whoever copies it.
"""

import dataclasses
import json
import re
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxembed as je
from jaxembed.__main__ import main
from jaxembed.commands.run import lookup, parsed
from jaxembed.runs import Unkept
from jaxembed.tasks import Addition

ROOT = Path(__file__).parents[2]
SOURCE = re.search(r"## Your own question.*?```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
FILES = {"config.json", "trajectories.npz", "result.json", "report.md", "figure.png"}
QUICK = {"seeds": 2, "steps": 20, "saves": 4}

pytestmark = pytest.mark.float64_only("theory at small weights needs it")


@pytest.fixture(autouse=True)
def restored():
    """The command line chooses the precision of its process; here the process is shared."""
    wide = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", wide)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The README's block as a module."""
    file = tmp_path_factory.mktemp("own") / "own_question.py"
    file.write_text(SOURCE, encoding="utf-8")
    sys.path.insert(0, str(file.parent))
    try:
        import own_question
    finally:
        sys.path.remove(str(file.parent))
    return own_question


@pytest.fixture(scope="module")
def quick(own):
    return dataclasses.replace(own.experiment, **QUICK)


@pytest.fixture(scope="module")
def finished(quick, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "straight"
    return je.runs.run(quick, out), out


def skill(result, prediction, observable="weights"):
    return np.asarray(result.comparisons["exact flow", prediction, observable].skill)[:, -1]


def test_the_block_is_short():
    assert len([line for line in SOURCE.splitlines() if line.strip()]) <= 40


def test_it_has_the_tables_controls_and_files_of_a_preset(finished):
    result, out = finished
    preset = dataclasses.replace(je.Experiment(Addition(4, 3), je.models.Linear(4)), **QUICK)
    tables, same = result.tables(), je.runs.run(preset).tables()
    assert [table.header for table in tables] == [table.header for table in same]
    predicted = [row[0].split(", by ")[1] for row in tables[0].rows if row[1] == "weights"]
    assert predicted == ["exact flow", "mine", "mine, shuffled labels (control)", "frozen (control)"]
    assert {path.name for path in out.iterdir()} == FILES
    assert (out / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "mine, shuffled labels (control)" in (out / "report.md").read_text(encoding="utf-8")
    config = json.loads((out / "config.json").read_text())["settings"]
    assert config["task"]["kind"] == "own_question:Cycle" and config["theories"]["mine"].startswith(
        "own_question:first_order "
    )


def test_its_theory_holds_where_the_control_does_not(finished):
    result, _ = finished
    assert skill(result, "mine").min() > 0.9 > 0.5 > skill(result, "mine, shuffled labels").max()
    assert result.trajectories["training"].ys["norm"].shape == (2, 5)
    assert {key[2] for key in result.comparisons} == {"cosines", "weights", "norm"}


def test_a_stopped_run_goes_on_to_the_same_numbers_and_a_finished_one_is_read(quick, finished, tmp_path):
    straight, _ = finished
    out, kept = tmp_path / "stopped", []

    def stop(text, share=None, /):
        kept.append(text)
        if len(kept) == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        je.runs.run(quick, out, progress=stop)
    with pytest.raises(ValueError, match="--resume"):
        je.runs.run(quick, out)
    with pytest.raises(ValueError, match=r"other settings \(model.init_scale\)"):
        je.runs.run(
            dataclasses.replace(quick, model=dataclasses.replace(quick.model, init_scale=0.1)), out, resume=True
        )
    seen = []
    again = je.runs.run(quick, out, resume=True, progress=lambda text, share=None, /: seen.append(text))
    assert sum("(kept)" in text for text in seen) == 6
    read = je.runs.run(quick, out, resume=True)
    for result in (again, read):
        for name, array in straight.arrays().items():
            np.testing.assert_array_equal(array, result.arrays()[name], err_msg=name)
        assert [table.rows for table in result.tables()] == [table.rows for table in straight.tables()]


def test_stages_and_memory_are_those_of_the_run(quick):
    seen = []
    quick.run(Unkept(lambda name, share=None, /: seen.append(name)))
    assert len(seen) == len(set(seen)) == quick.stages()
    assert quick.memory() > 2 * 5 * 2 * quick.task.size * quick.model.width * 8
    with pytest.raises(ValueError, match="GiB"):
        je.runs.run(dataclasses.replace(quick, seeds=10**9))


@pytest.mark.slow
def test_a_sweep_runs_every_combination_and_goes_on_where_it_was(quick, tmp_path):
    swept = dataclasses.replace(quick, sweep={"lr": [0.5, 1.0], "init_scale": [1e-3, 1e-2]}, flow_time=None)
    stopped = []

    def stop(text, share=None, /):
        stopped.append(text)
        if text.startswith("lr=0.5, init_scale=0.01: training on"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        je.runs.run(swept, tmp_path / "sweep", progress=stop)
    first = tmp_path / "sweep/points/lr=0.5, init_scale=0.001"
    written = (first / "result.json").stat().st_mtime_ns
    result = je.runs.run(swept, tmp_path / "sweep", resume=True)
    assert (first / "result.json").stat().st_mtime_ns == written
    (table,) = result.tables()
    assert [row[:2] for row in table.rows] == [("0.5", "0.001"), ("0.5", "0.01"), ("1.0", "0.001"), ("1.0", "0.01")]
    assert {path.name for path in first.iterdir()} == FILES and {
        path.name for path in (tmp_path / "sweep").iterdir()
    } == {
        *FILES,
        "points",
    }
    point = dataclasses.replace(quick, learning_rate=1.0, model=dataclasses.replace(quick.model, init_scale=1e-2))
    alone, inside = je.runs.run(point).arrays(), result.results["lr=1.0, init_scale=0.01"].arrays()
    for name, array in alone.items():
        np.testing.assert_array_equal(array, inside[name], err_msg=name)
    assert je.runs.run(swept, tmp_path / "sweep", resume=True).tables()[0].rows == table.rows


@pytest.mark.slow
def test_the_command_line_runs_it_from_its_file_with_its_fields_as_flags(own, tmp_path, capsys):
    flags = ["--seeds", "1", "--steps", "4", "--saves", "2", "--task.size", "5", "--model.width", "3"]
    out = tmp_path / "out"
    main(["run", f"{own.__file__}:experiment", *flags, "--out", str(out)])
    config = json.loads((out / "config.json").read_text())["settings"]
    assert config["task"] == {"kind": "own_question:Cycle", "size": 5} and config["model"]["width"] == 3
    assert "mine" in config["theories"] and "Cycle" in capsys.readouterr().out


def test_a_sweep_is_a_flag(own):
    words = ["--sweep", "lr=0.5,1.0", "init-scale=1e-3", "optimizer=sgd", "--seeds", "3"]
    experiment, *_ = parsed(*lookup(f"{own.__file__}:experiment"), words)
    assert experiment.sweep == {"lr": [0.5, 1.0], "init_scale": [1e-3], "optimizer": ["sgd"]} and experiment.seeds == 3
    for words, says in ((["lr"], "NAME=VALUE"), (["speed=1"], "has a field 'speed'")):
        with pytest.raises(ValueError, match=says):
            parsed(*lookup(f"{own.__file__}:experiment"), ["--sweep", *words])[0].stages()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("absent.py:experiment", "no file absent.py"),
        ("absent_module:experiment", "no module absent_module"),
        ("FILE:expriment", "has no experiment 'expriment'; it has experiment"),
    ],
)
def test_what_is_no_experiment_ends_in_one_line(word, says, own, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", word.replace("FILE", own.__file__)])
    assert stop.value.code == 2 and says in capsys.readouterr().err


@dataclasses.dataclass(frozen=True)
class NoData:
    size: int = 3


@dataclasses.dataclass
class Unhashable:
    width: int = 3

    def init(self, key, vocab, length):
        return {"embed": jnp.zeros((vocab, self.width))}

    def apply(self, params, tokens):
        return params["embed"][tokens[0]]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task": NoData()}, "task: NoData has no dataset"),
        ({"model": NoData()}, "model: NoData has no init"),
        ({"model": Unhashable()}, "frozen=True"),
        ({"optimizer": "adam", "learning_rate": 0.1}, "theories: run on the clock of gradient flow"),
        ({"theories": {"exact flow": lambda t, state, sig: state}}, "'exact flow' is taken"),
        ({"observables": {"weights": lambda state: state["embed"]}}, "'weights' is taken"),
    ],
)
def test_parts_that_cannot_be_run_are_refused(changes, says, own):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(own.experiment, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"theories": {"short": lambda t, state, sig: {"embed": state["embed"]}}}, "give the same leaves"),
        ({"observables": {"two": lambda state: state}}, "does not give one array"),
        ({"sweep": {"speed": [1.0]}}, "has a field 'speed'"),
        ({"sweep": {"lr": []}}, "needs a value or more"),
        ({"flow_time": None}, "flow_time"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(changes, says, quick, tmp_path):
    with pytest.raises(ValueError, match=says):
        je.runs.run(dataclasses.replace(quick, **changes), tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_functions_are_told_apart_by_what_they_compute():
    def made(rate):
        return lambda t, state, sig: rate * state["embed"]

    texts = [je.keep.plain(f) for f in (made(1.0), made(1.0), made(2.0), optax.sgd)]
    assert texts[0] == texts[1] != texts[2] and texts[3].startswith("optax.")
    halves = [je.keep.plain(partial(optax.sgd, learning_rate=rate)) for rate in (0.5, 0.5, 1.0)]
    assert halves[0] == halves[1] != halves[2]


def test_an_object_without_fields_is_known_by_what_it_holds():
    class Bare:
        def __init__(self, size):
            self.size = size

    assert je.keep.plain(Bare(3)) == {"kind": f"{__name__}:{Bare.__qualname__}", "size": 3}
