"""The run folder: what identifies a run, what is refused, stages that are kept, numbers that are undefined."""

import json

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
