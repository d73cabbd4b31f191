"""What commands print and write: whole files, escaped cells, progress on a terminal and in a log."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tyro
from rich.console import Console

from jaxembed.commands import printing
from jaxembed.tables import Table

TABLE = Table("[bold] scores", ("token", "score"), [("'|'", "0.5"), ("[red]", "undefined")])


def console(*, terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, soft_wrap=True, width=80)


def printed(out) -> str:
    return out.file.getvalue()


def test_a_report_is_printed_and_written_whole(tmp_path):
    out, parts = console(), ("## first", TABLE, "a [note]")
    for name in ("found.md", "found.json"):
        printing.report(out, "title", parts, tmp_path / name, lambda: {"score": np.nan, "at": np.arange(2)})
    assert "\nfirst\n" in printed(out) and "[red]" in printed(out) and "a [note]\nwritten to" in printed(out)
    written = (tmp_path / "found.md").read_text()
    assert (
        written.startswith("# title\n\n## first\n\n[bold] scores\n\n| token | score |\n")
        and "| '\\|' | 0.5 |" in written
    )
    assert json.loads((tmp_path / "found.json").read_text()) == {"score": "undefined", "at": [0, 1]}
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_written_unless_a_file_is_named():
    out = console()
    printing.report(out, "title", (TABLE,), None, lambda: pytest.fail("the record was made"))
    assert "written" not in printed(out)


def test_progress_is_a_bar_on_a_terminal_and_a_line_now_and_then_in_a_log(monkeypatch):
    bar, log = console(terminal=True), console()
    for out in (bar, log):
        with printing.shown_progress(out, remaining=True) as progress:
            progress("reading [1]")
            progress("counting", 0.5)
    assert "counting" in printed(bar) and printed(log) == ""
    monkeypatch.setattr(printing, "EVERY", 0.0)
    with printing.shown_progress(log) as progress:
        progress("reading [1]")
        progress("counting", 0.5)
    assert printed(log) == "reading [1]\ncounting: 50%\n"


@dataclass(frozen=True)
class Words:
    model: tyro.conf.Positional[str]
    """Of a model."""
    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """To read."""


def test_help_and_messages_name_what_stands_without_a_flag(capsys):
    taken = []
    run = printing.command(Words)(lambda flags, console: taken.append(flags))
    with pytest.raises(SystemExit) as stop:
        run(["--help"])
    shown = capsys.readouterr().out
    assert not stop.value.code and "MODEL" in shown and "TEXTS ..." in shown and "STR" not in shown
    with pytest.raises(ValueError, match="MODEL Of a model"):
        run([])
    run(["a", "b", "c"])
    assert taken == [Words("a", ("b", "c"))]


@dataclass
class Flags:
    min_count: int | None = None
    budget: float | None = None


def test_flags_and_files_are_refused_by_name(tmp_path):
    printing.check_least(Flags(), min_count=1)
    printing.check_positive(Flags(), "budget")
    with pytest.raises(ValueError, match="--min-count: need at least 1, got 0"):
        printing.check_least(Flags(0), min_count=1)
    for budget in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="--budget: need more than 0"):
            printing.check_positive(Flags(budget=budget), "budget")
    (tmp_path / "there.md").write_text("")
    printing.check_out(tmp_path / "there.md")
    with pytest.raises(ValueError, match="exists; choose another name or --overwrite"):
        printing.check_file("out", tmp_path / "there.md", overwrite=False)
    with pytest.raises(ValueError, match="is a folder"):
        printing.check_file("out", tmp_path)
    with pytest.raises(ValueError, match="--out: there is no folder"):
        printing.check_out(tmp_path / "none" / "x.json")
    with pytest.raises(ValueError, match=r"must end in \.md or \.json"):
        printing.check_out(Path("x.txt"))


def test_square_brackets_and_colons_are_text():
    out = console()
    signs = "[/] [/INST] [bold] :cat: \\[x]"
    printing.show(out, (Table(signs, (signs,), [(signs,)], note=signs), signs, f"## {signs}"))
    assert printed(out).replace("\n", " ").count(signs) == 6


def test_a_file_that_cannot_be_written_costs_no_result(tmp_path):
    out = console()
    with pytest.raises(OSError):
        printing.report(out, "title", (TABLE,), tmp_path / "none" / "found.json", dict)
    assert "undefined" in printed(out) and "written" not in printed(out)


def test_a_terminal_that_is_gone_costs_no_file(tmp_path):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises((OSError, SystemExit)):
        printing.report(Console(file=Gone()), "title", (TABLE,), tmp_path / "o.json", lambda: {"word": "found"})
    assert json.loads((tmp_path / "o.json").read_text()) == {"word": "found"}
