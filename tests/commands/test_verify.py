"""`jaxembed verify`: results made again from their own records, and what cannot be."""

import os
import subprocess
import sys
import time

import jax
import pytest

from jaxembed.__main__ import main
from jaxembed.commands.verify import repeated
from jaxembed.keep import read_arrays, read_record, write_arrays, write_record

SIZES = ["--task.keys", "4", "--task.anchors", "3", "--model.width", "4", "--seeds", "1"]
SHORT = [*SIZES, "--steps", "4", "--saves", "2", "--optimizer", "adam", "--learning-rate", "0.01"]
PROBING = ["--probing.train", "60", "--probing.validation", "20", "--probing.test", "20", "--probing.loss-draws", "4"]
HMM = ["hmm", "--size", "tiny", "--steps", "4", "--seeds", "1", "--warmup", "1", "--save-steps", "4", *PROBING]


@pytest.fixture(autouse=True)
def restored():
    wide = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", wide)


def run(capsys, *words) -> tuple[int, str, str]:
    code = 0
    try:
        main([str(word) for word in words])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def test_a_run_is_equal_to_itself_and_a_tampered_one_is_different(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(capsys, "run", "addition", *SHORT, "--out", out)[0] == 0
    code, told, error = run(capsys, "verify", out)
    assert code == 0 and "\nequal: bit for bit" in told and "jaxembed run addition" in told, error
    arrays = read_arrays(out / "trajectories.npz")
    arrays["training/embed"][0, 1, 0, 0] += 0.5
    write_arrays(out / "trajectories.npz", arrays)
    code, told, _ = run(capsys, "verify", out)
    assert code == 1 and "\ndifferent: trajectories.npz/training/embed differs most" in told
    made = read_record(out / "config.json")
    write_record(out / "config.json", made | {"folder": str(tmp_path / "gone")})
    code, _, error = run(capsys, "verify", out)
    assert code == 2 and "is gone" in error and error.count("\n") == 1
    write_record(out / "config.json", made | {"command": ["my_script.py", "3"]})
    code, _, error = run(capsys, "verify", out)
    assert code == 2 and "was made by my_script.py 3, which verify does not start" in error and error.count("\n") == 1


@pytest.mark.slow
def test_networks_on_a_process_are_made_again(tmp_path, capsys):
    assert run(capsys, "run", *HMM, "--out", tmp_path / "hmm")[0] == 0
    code, told, error = run(capsys, "verify", tmp_path / "hmm")
    assert code == 0 and "equal: bit for bit" in told, error
    arrays = read_arrays(tmp_path / "hmm" / "networks.npz")
    arrays["losses"][0, -1] += 1e-3
    write_arrays(tmp_path / "hmm" / "networks.npz", arrays)
    assert run(capsys, "verify", tmp_path / "hmm")[0] == 1


@pytest.mark.slow
def test_word_vectors_are_made_again(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("the king and the queen met the old king again and again\n" * 20)
    out, words = tmp_path / "vectors.txt", ["--width", "4", "--min-count", "1", "--window", "2"]
    assert run(capsys, "words", tmp_path / "text.txt", *words, "--out", out)[0] == 0
    made = read_record(tmp_path / "vectors.txt.json")
    assert made["settings"]["width"] == 4 and made["sha256"]["text"] and "numpy" in made["versions"]
    code, told, error = run(capsys, "verify", out)
    assert code == 0 and "equal: bit for bit" in told, error
    out.write_text(out.read_text().replace("1", "2"))
    assert run(capsys, "verify", out)[0] == 1


def test_flags_about_the_folder_are_not_repeated(tmp_path):
    command = ["jaxembed", "run", "addition", "--out=x", "--overwrite", "--steps", "3", "--animate"]
    assert repeated({"command": command}, tmp_path) == ["run", "addition", "--steps", "3"]
    for other in (None, [], ["jaxembed"], ["jaxembed", "lens", "a"]):
        with pytest.raises(ValueError, match="which verify does not start"):
            repeated({"command": other}, tmp_path)


@pytest.mark.slow
def test_two_runs_started_in_one_folder_are_never_mixed(tmp_path):
    """The second is refused in one line, whenever it starts; the first ends as if it had been alone."""

    def start(out, seed):
        words = ["run", "addition", *SHORT, "--init-seed", str(seed), "--out", str(out)]
        call = [sys.executable, "-m", "jaxembed", *words]
        return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))

    alone = {}
    for seed in (0, 1):
        start(tmp_path / str(seed), seed).communicate(timeout=300)
        alone[seed] = read_arrays(tmp_path / str(seed) / "trajectories.npz")["training/embed"]
    for i, delay in enumerate((0.0, 0.3)):
        out = tmp_path / f"both {i}"
        first = start(out, 0)
        time.sleep(delay)
        second = start(out, 1)
        ends = [process.communicate(timeout=300)[1] for process in (first, second)]
        codes = [process.returncode for process in (first, second)]
        assert sorted(codes) == [0, 2], ends
        won = codes.index(0)
        assert ends[1 - won].startswith("jaxembed: out: ") and ends[1 - won].count("\n") == 1
        assert (read_arrays(out / "trajectories.npz")["training/embed"] == alone[won]).all()
