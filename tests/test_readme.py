"""What the README shows is run: its Python block, its commands, its picture."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jaxembed.commands.run import lookup, parsed

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_it_opens_with_a_picture_a_paragraph_and_the_two_commands():
    picture, paragraph, first, second = README.split("\n\n")[:4]
    image = ROOT / re.fullmatch(r"!\[[^\]]+\]\((.+)\)", picture)[1]
    assert image.read_bytes()[:4] == b"\x89PNG"
    assert image.stat().st_size < 300_000
    assert not paragraph.startswith(("#", "`", "|", "!", "-"))
    install = "python3 -m venv .venv && .venv/bin/pip install -e"
    assert first == f"```\n{install} . && .venv/bin/jaxembed run addition\n```"
    assert second == f'```\n{install} ".[dev]" && .venv/bin/pytest\n```'


@pytest.mark.slow
def test_its_python_runs_and_shows_what_it_says(tmp_path):
    found = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python"))],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=1200,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert found.returncode == 0, found.stderr
    assert "horizon (skill < 0.9): beyond" in found.stdout
    horizon = float(re.search(r"theory holds until t = (\S+)", found.stdout)[1])
    assert 50 < horizon < 120
    observed, predicted = (float(x) for x in re.search(r"observed (\S+) predicted (\S+)", found.stdout).groups())
    assert predicted / observed == pytest.approx(1, rel=0.25)


COMMANDS = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("jaxembed run")]


@pytest.mark.parametrize("command", [line for line in COMMANDS if "--help" not in line])
def test_its_run_commands_are_understood(command, tmp_path, monkeypatch):
    own = next(block for block in blocks("python") if "je.Experiment(" in block)
    (tmp_path / "own_question.py").write_text(own, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("own_question", None)  # of another test, from another folder
    name, *flags = shlex.split(command)[2:]
    experiment, out, _ = parsed(*lookup(name), flags)
    if "--out" in flags:
        assert str(out) in command
    if "--text" in flags:
        assert experiment.task.text == "book.txt"


def lost(pattern: str, text: str, least: int) -> list[str]:
    """Paths that a text names by this pattern and that are not there; the pattern must find some to be any proof."""
    paths = [path for path in re.findall(pattern, text) if "NAME" not in path]
    assert len(paths) >= least, f"{pattern} finds only {paths}"
    return [path for path in paths if not (ROOT / path).exists()]


LINK = r"\]\((?!https?:)([^)#]+)"
FILE = r"`(?:python )?((?:jaxembed|notebooks|benchmarks|theory|tests)/[\w./]+)`"


@pytest.mark.parametrize(("pattern", "least", "wrong"), [(LINK, 5, "[a](no.md)"), (FILE, 5, "`theory/no.md`")])
def test_links_and_named_files_are_there(pattern, least, wrong):
    assert not lost(pattern, README, least)
    assert len(lost(pattern, f"{README} {wrong}", least)) == 1
    with pytest.raises(AssertionError, match="finds only"):
        lost(pattern, "", least)
