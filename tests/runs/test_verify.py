"""Two results are equal bit for bit, close for a reason that is recorded, or different."""

import dataclasses

import numpy as np
import pytest

from jaxembed.keep import Damaged, read_arrays, read_record, write_arrays, write_record
from jaxembed.machine import record
from jaxembed.runs.verify import verdict

ARRAYS = {"training/ts": np.arange(3.0), "training/embed": np.linspace(-1, 1, 24).reshape(1, 3, 2, 4)}
RESULT = {"tokens": ["a", "b"], "accuracy": 0.5, "facts": {"seconds": 3.0, "horizon": float("inf")}}


def finished(folder, arrays=ARRAYS, result=RESULT, **made):
    folder.mkdir()
    write_record(folder / "config.json", {"settings": {"width": 4}, "sha256": {"x": "1"}, **record(), **made})
    write_arrays(folder / "trajectories.npz", arrays)
    write_record(folder / "result.json", result)
    return folder


def near(by, dtype=np.float64):
    embed = ARRAYS["training/embed"].copy()
    embed[0, 1, 1, 1] += by
    return ARRAYS | {"training/embed": embed.astype(dtype)}


@pytest.mark.parametrize(
    ("other", "expected", "told"),
    [
        ({}, "equal", "equal: bit for bit"),
        ({"result": RESULT | {"facts": {"seconds": 9.0, "horizon": float("inf")}}}, "equal", "bit for bit"),
        ({"arrays": near(1e-9), "cores": 64}, "close", "by 1e-09 of its largest value; made otherwise: cores"),
        ({"arrays": near(1e-9), "threads": "OMP_NUM_THREADS=64"}, "close", "threads"),
        ({"arrays": near(1e-9), "device": "1 x H200"}, "close", "device"),
        ({"arrays": near(0.0, np.float32), "dtype": "float32"}, "close", "dtype (float64 and float32)"),
        (
            {"arrays": near(0.0, np.float32), "dtype": "float32", "settings": {"width": 5}},
            "different",
            "settings.width",
        ),
        ({"arrays": near(1e-9)}, "different", "training/embed differs most"),
        ({"arrays": near(1e-3), "cores": 64}, "different", "by 0.001 of"),
        ({"arrays": near(float("nan")), "cores": 64}, "different", "training/embed"),
        ({"arrays": {"training/ts": np.arange(3.0)}, "cores": 64}, "different", "in one only"),
        ({"arrays": ARRAYS | {"training/ts": np.arange(3)}, "cores": 64}, "different", "training/ts"),
        ({"result": RESULT | {"accuracy": 0.25}}, "different", "result.json/accuracy"),
        ({"arrays": near(1e-9), "cores": 64, "sha256": {"x": "2"}}, "different", "sha256.x (1 and 2)"),
    ],
)
def test_verdicts(tmp_path, other, expected, told):
    committed = {"git": "abc"}
    found = verdict(finished(tmp_path / "a", **committed), finished(tmp_path / "b", **committed, **other))
    assert found.verdict == expected and told in str(found), found


def test_what_was_changed_after_it_was_written_is_named(tmp_path):
    one, other = finished(tmp_path / "a"), finished(tmp_path / "b")
    content = bytearray((other / "trajectories.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (other / "trajectories.npz").write_bytes(content)
    with pytest.raises(Damaged, match=r"b/trajectories.npz: is not what was written"):
        verdict(one, other)
    (other / "result.json").unlink()
    with pytest.raises(ValueError, match=r"b: holds no finished run"):
        verdict(one, other)
    (tmp_path / "vectors.txt").write_text("1 1\na 1\n")
    with pytest.raises(ValueError, match=r"there is no record vectors.txt.json beside it"):
        verdict(one, tmp_path / "vectors.txt")


def test_edits_that_no_commit_holds_are_a_reason(tmp_path):
    made = {"git": "abc and changes"}
    found = verdict(finished(tmp_path / "a", **made), finished(tmp_path / "b", arrays=near(1e-9), **made))
    assert found.verdict == "close" and "no commit holds" in str(found)
    assert dataclasses.is_dataclass(found)


def test_results_of_the_command_line_carry_what_verify_needs(tmp_path):
    made = read_record(finished(tmp_path / "a") / "config.json")
    names = {
        "command",
        "folder",
        "versions",
        "git",
        "device",
        "platform",
        "processor",
        "cores",
        "threads",
        "dtype",
        "x64",
    }
    assert names <= made.keys() and read_arrays(tmp_path / "a" / "trajectories.npz").keys() == ARRAYS.keys()
