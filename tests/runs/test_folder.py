"""The run folder: what identifies a run, what is refused, stages that are kept, numbers that are undefined."""

import json
import shutil
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import keep
from jaxembed.base import checked_dataset
from jaxembed.runs import folder as record
from jaxembed.train import TrainingState

SETTINGS = {"task": {"keys": 4}, "seeds": 2}
HASHES = {"population": "abc"}


def test_beginning_writes_what_identifies_the_run(tmp_path):
    out = tmp_path / "deep" / "run"
    record.check_folder(out, SETTINGS, HASHES)
    assert not out.exists()  # checking alone writes nothing
    record.begin(out, SETTINGS, HASHES)
    config = json.loads((out / "config.json").read_text())
    assert config["settings"] == SETTINGS
    assert config["sha256"] == HASHES
    assert config["dtype"] == jnp.zeros((), float).dtype.name
    assert config["versions"]["jax"] == jax.__version__
    assert {"command", "python", "git", "device", "matmul_precision", "date"} <= config.keys()


@pytest.mark.parametrize(
    "settings, hashes, flags, said",
    [
        (SETTINGS, HASHES, {}, "--resume or --overwrite"),
        ({**SETTINGS, "seeds": 3}, HASHES, {"resume": True}, "other settings (seeds)"),
        ({**SETTINGS, "width": 3}, HASHES, {"resume": True}, "other settings (width)"),
        ({"task": {"keys": 5}, "seeds": 2}, HASHES, {"resume": True}, "other settings (task.keys)"),
        (SETTINGS, {"population": "def"}, {"resume": True}, "other data"),
        (SETTINGS, HASHES, {"resume": True, "overwrite": True}, "choose one"),
    ],
)
def test_another_run_is_not_taken_for_this_one(settings, hashes, flags, said, tmp_path):
    record.begin(tmp_path, SETTINGS, HASHES)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(ValueError, match=said.replace("(", r"\(").replace(")", r"\)")):
        record.check_folder(tmp_path, settings, hashes, **flags)
    assert (tmp_path / "config.json").read_bytes() == before


def test_the_same_run_may_be_resumed_and_another_overwritten(tmp_path):
    record.begin(tmp_path, SETTINGS, HASHES)
    record.check_folder(tmp_path, SETTINGS, HASHES, resume=True)
    record.check_folder(tmp_path, {"seeds": 9}, {}, overwrite=True)
    (tmp_path / "config.json").write_text("{half")
    with pytest.raises(ValueError, match="not readable JSON"):
        record.check_folder(tmp_path, SETTINGS, HASHES, resume=True)


def test_overwriting_removes_what_the_earlier_run_left_and_nothing_else(tmp_path):
    record.begin(tmp_path, SETTINGS, HASHES)
    (tmp_path / "stages").mkdir()
    for name in (*record.WRITTEN, "stages/a.npz", "notes.txt"):
        (tmp_path / name).write_text("old")
    record.begin(tmp_path, {"seeds": 3}, HASHES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "notes.txt", "stages"]
    assert not list((tmp_path / "stages").iterdir())
    assert json.loads((tmp_path / "config.json").read_text())["settings"] == {"seeds": 3}


def test_a_population_is_known_by_its_hash():
    base = checked_dataset([[0], [1]], [1, 0], None, vocab=2)
    same = checked_dataset([[0], [1]], [1, 0], [3.0, 3.0], vocab=2)
    others = [
        checked_dataset([[0], [1]], [1, 1], None, vocab=2),
        checked_dataset([[0], [1]], [1, 0], None, vocab=3),
        checked_dataset([[0], [1]], [1, 0], [1.0, 2.0], vocab=2),
        checked_dataset([[0], [1]], [1, 0], None, vocab=2, samples=2),
    ]
    assert record.hashes(base) == record.hashes(same)
    assert len({record.hashes(data)["population"] for data in [base, *others]}) == 5


def progress(seed: int) -> TrainingState:
    keys = jax.random.split(jax.random.key(seed), 2)
    return TrainingState({"embed": jax.random.normal(keys[0], (2, 3))}, (), jnp.arange(2, dtype=jnp.int32), keys)


def test_a_stage_is_computed_once_and_read_back_bit_for_bit_with_its_keys(tmp_path):
    calls, seen, begun = [], [], []

    def compute() -> TrainingState:
        calls.append(1)
        return progress(0)

    for _ in range(2):
        stages = record.FolderStages(tmp_path, lambda text, share=None, /: seen.append(text), lambda: begun.append(1))
        found = stages("training 1/2", compute)
    assert seen == ["training 1/2", "training 1/2 (kept)"]
    assert len(begun) == 2
    expected = progress(0)
    np.testing.assert_array_equal(found.params["embed"], expected.params["embed"])
    np.testing.assert_array_equal(jax.random.key_data(found.key), jax.random.key_data(expected.key))
    np.testing.assert_array_equal(jax.random.normal(found.key[1], (3,)), jax.random.normal(expected.key[1], (3,)))
    assert not record.finished(tmp_path)
    (tmp_path / "stages" / "killed.partial").write_bytes(b"half")
    stages.clear()
    assert not (tmp_path / "stages").exists()


def test_what_a_kept_stage_holds_is_what_counts_not_what_compute_would_give(tmp_path):
    record.FolderStages(tmp_path)("flow", lambda: {"x": jnp.ones(2)})
    kept = record.FolderStages(tmp_path)("flow", lambda: {"x": jnp.zeros(2)})
    np.testing.assert_array_equal(kept["x"], np.ones(2))


def test_undefined_and_infinite_numbers_are_words_in_json():
    plain = keep.to_json({"a": np.array([1.0, np.nan]), "b": (np.inf, -np.inf), "c": None, "d": jnp.ones(())})
    assert plain == {"a": [1.0, "undefined"], "b": ["infinite", "-infinite"], "c": None, "d": 1.0}
    json.dumps(plain, allow_nan=False)


def test_reading_a_run_names_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match=r"no config\.json there"):
        record.read_trajectory(tmp_path)
    for name in ("config.json", "result.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"no trajectories\.npz there"):
        record.read_trajectory(tmp_path)
    np.savez(tmp_path / "trajectories.npz", **{"training/ts": np.zeros(1), "training/embed": np.zeros((1, 1, 2, 3))})
    with pytest.raises(ValueError, match="choose one of training"):
        record.read_trajectory(tmp_path, "flow")


class Counted:
    """A run of one stage."""

    subject = ("counting", "nothing")

    def data(self):
        return ()

    def memory(self):
        return 0.0

    def stages(self):
        return 2

    def run(self, stages):
        first = stages("first", lambda: {"x": jnp.arange(5.0), "key": jax.random.key(1)})
        return Shown(np.asarray(stages("second", lambda: first["x"] + 1)))

    def read(self, record, arrays):
        return Shown(arrays["x"], **record)


class Shown:
    title = caption = "counted"
    facts: ClassVar[dict] = {}
    arrays_file = "trajectories.npz"

    def __init__(self, x, n=2):
        self.x, self.n = x, n

    def tables(self):
        return ()

    def arrays(self):
        return {"x": self.x}

    def record(self):
        return {"n": self.n}

    def figure(self, path):
        path.write_bytes(b"drawn")


def test_damaged_pieces_of_a_run_are_computed_again_and_its_results_refused(tmp_path, monkeypatch, caplog):
    stopped, done, draws = tmp_path / "stopped", tmp_path / "done", np.random.default_rng(0)
    monkeypatch.setattr(record, "write", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        record.run(Counted(), stopped)
    monkeypatch.undo()
    record.run(Counted(), done)
    silent = 0
    for folder in (stopped, done):
        for file in [path.relative_to(folder) for path in folder.rglob("*") if path.suffix in (".npz", ".json")]:
            for how in ["flip"] * 3 + ["cut", "empty"]:
                out = tmp_path / "damaged"
                shutil.rmtree(out, ignore_errors=True)
                shutil.copytree(folder, out)
                content = bytearray((out / file).read_bytes())
                if how == "flip":
                    content[draws.integers(len(content))] ^= 1 << int(draws.integers(8))
                end = {"flip": len(content), "cut": int(draws.integers(len(content))), "empty": 0}[how]
                (out / file).write_bytes(content[:end])
                try:
                    found = record.run(Counted(), out, resume=True)
                except ValueError as error:
                    assert "\n" not in str(error) and str(out) in str(error), (file, how, error)
                else:
                    silent += (found.x.tolist(), found.n) != ([1.0, 2.0, 3.0, 4.0, 5.0], 2)
    assert silent == 0 and "it is computed again" in caplog.text


def test_pieces_of_another_run_are_not_taken(tmp_path, caplog):
    record.FolderStages(tmp_path, owner="one")("flow", lambda: {"x": jnp.ones(2)})
    found = record.FolderStages(tmp_path, owner="other")("flow", lambda: {"x": jnp.zeros(2)})
    np.testing.assert_array_equal(found["x"], np.zeros(2))
    assert "flow.npz" in caplog.text


def test_a_folder_that_a_kill_left_before_it_was_a_run_s_is_begun_anew(tmp_path):
    (tmp_path / ".config.json.12.ab.part").write_text("{")
    for flags in ({"resume": True}, {"overwrite": True}, {}):
        record.check_folder(tmp_path, SETTINGS, HASHES, **flags)
    record.begin(tmp_path, SETTINGS, HASHES, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_run_made_otherwise_is_refused_or_said(tmp_path, caplog):
    record.begin(tmp_path, SETTINGS, HASHES)
    made = keep.read_record(tmp_path / "config.json")
    for name, value in (("cores", 99), ("threads", "OMP_NUM_THREADS=99")):
        keep.write_record(tmp_path / "config.json", made | {name: value})
        record.check_folder(tmp_path, SETTINGS, HASHES, resume=True)
        assert f"another {name}" in caplog.messages[-1]
    for name, value in (("dtype", "float16"), ("device", "9 x cpu"), ("x64", None), ("matmul_precision", "highest")):
        if value is not None:
            keep.write_record(tmp_path / "config.json", made | {name: value})
            with pytest.raises(ValueError, match=rf"^{name}: {value} made the run in"):
                record.check_folder(tmp_path, SETTINGS, HASHES, resume=True)


def test_another_process_in_the_folder_is_noticed_before_any_stage(tmp_path, monkeypatch):
    other, computed = keep.Lock(tmp_path / "run"), []
    other.take()
    with pytest.raises(ValueError, match="another process is writing to"):
        record.run(Counted(), tmp_path / "run", progress=lambda *given: computed.append(given))
    assert computed == [] and not list((tmp_path / "run").iterdir())
    other.release()
    begin = record.begin
    monkeypatch.setattr(record, "begin", lambda *given, **flags: (begin(*given, **flags), pytest.fail("begun"))[1])
    whole = record.keep.Lock.take

    def beaten(self):  # between the look and the lock another run begins and ends
        whole(self)
        begin(self.folder, {"other": 1}, {})

    monkeypatch.setattr(record.keep.Lock, "take", beaten)
    with pytest.raises(ValueError, match="is not empty"):
        record.run(Counted(), tmp_path / "new")


def test_a_resumed_run_says_once_what_was_made_otherwise(tmp_path, caplog):
    out = tmp_path / "run"
    record.run(Counted(), out)
    (out / "result.json").unlink()
    made = keep.read_record(out / "config.json")
    keep.write_record(out / "config.json", made | {"cores": 99})
    caplog.clear()
    record.run(Counted(), out, resume=True)
    assert sum("another cores" in message for message in caplog.messages) == 1
