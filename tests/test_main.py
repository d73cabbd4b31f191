"""One line for whatever goes wrong, whoever raises it; what a terminal cannot show stops nothing."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxembed import __main__
from jaxembed.keep import read_json

VECTORS = "4 2\n王 1 0\n后 0 1\n女 1 1\n男 1 0.1\n"


def ended(monkeypatch, capsys, error, *arguments) -> tuple[int, str]:
    def fail(_):
        raise error

    monkeypatch.setattr(__main__, "_dispatch", fail)
    with pytest.raises(SystemExit) as stop:
        __main__.main(["run", *arguments])
    told = capsys.readouterr().err
    assert told.startswith("jaxembed: ") and told.count("\n") == 1
    return stop.value.code, told


class Panic(BaseException):
    """As libraries in Rust raise it."""


@pytest.mark.parametrize("error", [KeyError("head_dim"), TypeError("no\nnumber"), Panic("at the third row")])
def test_what_nobody_foresaw_is_one_line_that_names_its_traceback(monkeypatch, capsys, tmp_path, error):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, told = ended(monkeypatch, capsys, error)
    (written,) = tmp_path.iterdir()
    assert code == 1 and type(error).__name__ in told and str(written) in told
    assert "Traceback" in written.read_text() and "in fail" in written.read_text()


def test_the_traceback_is_shown_where_it_is_asked_for(monkeypatch, capsys):
    def fail(arguments):
        raise KeyError(*arguments)

    monkeypatch.setattr(__main__, "_dispatch", fail)
    with pytest.raises(KeyError, match="run"):
        __main__.main(["run", "--traceback"])


def test_what_jax_says_is_told_as_what_to_do(monkeypatch, capsys):
    full = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes")
    for error, told in ((full, "memory of the device is full"), (FloatingPointError("nan in jit"), "JAX_DEBUG_NANS")):
        code, line = ended(monkeypatch, capsys, error)
        assert code == 2 and told in line

    def absent():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", absent)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    code, line = ended(monkeypatch, capsys, AssertionError())
    assert (
        code == 2 and "JAX_PLATFORMS=cuda: there is no such device here (AssertionError); set JAX_PLATFORMS=cpu" in line
    )


def command(tmp_path: Path, *arguments, **environment) -> subprocess.CompletedProcess:
    (tmp_path / "v.txt").write_text(VECTORS, encoding="utf-8")
    words = [sys.executable, "-m", "jaxembed", "analogy", "王", "后", "女", "--vectors", "v.txt", *arguments]
    place = {"PYTHONPATH": str(Path(__main__.__file__).parents[1])}
    return subprocess.run(words, cwd=tmp_path, capture_output=True, env=os.environ | place | environment, check=False)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_terminal_without_the_signs_gets_their_numbers_and_the_file_is_whole(tmp_path, encoding):
    done = command(tmp_path, "--out", "o.json", PYTHONIOENCODING=encoding)
    assert done.returncode == 0 and rb"\u7537" in done.stdout
    assert next(iter(read_json(tmp_path / "o.json")["nearest"])) == "男"


def test_a_platform_that_is_not_there_is_one_line(tmp_path):
    done = command(tmp_path, JAX_PLATFORMS="foo")
    assert done.returncode == 2 and done.stderr.startswith(b"jaxembed: JAX_PLATFORMS=foo: there is no such device")
    assert done.stderr.count(b"\n") == 1


def test_a_full_disk_names_the_file_and_leaves_none(tmp_path, monkeypatch, capsys):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "v.txt").write_text(VECTORS, encoding="utf-8")
    monkeypatch.setattr(os, "fsync", full)
    words = ["analogy", "王", "后", "女", "--vectors", str(tmp_path / "v.txt"), "--out", str(tmp_path / "o.json")]
    with pytest.raises(SystemExit) as stop:
        __main__.main(words)
    told = capsys.readouterr()
    assert stop.value.code == 2 and "No space" in told.err and "o.json'" in told.err and told.err.count("\n") == 1
    assert "男" in told.out and [path.name for path in tmp_path.iterdir()] == ["v.txt"]


def test_a_reader_who_has_enough_is_no_error():
    command = f"set -o pipefail; '{sys.executable}' -m jaxembed claims | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=240)
    assert done.stdout and not done.stderr and done.returncode in (1, 141)  # 1 is rich of what it prints itself
