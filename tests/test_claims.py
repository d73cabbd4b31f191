"""The committed ledger: read at once, refused where damaged, stale where the code has changed."""

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jaxembed import claims
from jaxembed.claims import LedgerRow, code_digest, merged, read_ledger, summary_of, text_of
from jaxembed.commands import claims as on_claims
from jaxembed.keep import write_json
from jaxembed.machine import commit

ROW = LedgerRow("one", "a claim", "small.ladder", "bib", ours="0.9", verdict="reproduced", size="published", code="x")


def test_a_row_is_read_as_it_was_written(tmp_path):
    write_json(tmp_path / "ledger.json", [ROW.record()])
    (row,) = read_ledger(tmp_path / "ledger.json")
    assert text_of(row) == text_of(ROW) and row.id == "one"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", "is not readable JSON"),
        ("[" * 100_000, "is not readable JSON"),
        ("{}", "is no list of claims"),
        ("[1]", "row 0 is no claim of this version"),
        ('[{"id": "a"}]', "row 0 is no claim of this version"),
        ('[{"id": "a", "claim": "", "study": "", "source": "", "more": 1}]', "row 0 is no claim of this version"),
    ],
)
def test_a_damaged_ledger_is_one_line_that_names_it(tmp_path, text, line):
    (tmp_path / "ledger.json").write_text(text)
    with pytest.raises(ValueError, match=f"ledger.json: {line}"):
        read_ledger(tmp_path / "ledger.json")


def test_the_largest_size_wins_and_the_newer_of_two():
    def row(name, size, ours, verdict="reproduced"):
        return LedgerRow(name, "", "", "", size=size, ours=ours, verdict=verdict)

    old = [row("a", "quick", "old"), row("b", "published", "old"), row("gone", "quick", "old")]
    new = [row("a", "quick", "new"), row("b", "tiny", "new"), row("c", "", "new", "not run")]
    assert [each.ours for each in merged(old, new, ["a", "b", "c"])] == ["new", "old", "new"]
    assert [each.ours for each in merged(old, [row("a", "tiny", "new", "not run")], ["a"])] == ["old"]


def test_a_row_says_what_was_smaller_and_that_it_is_stale():
    text = text_of(LedgerRow("a", "words", "small.ladder", "bib", verdict="against", size="tiny", smaller="two seeds"))
    assert "values: 0.5, undefined" in text_of(replace(ROW, values=[0.5, "undefined"]))
    assert "9 and 1 more" in text_of(replace(ROW, values=list(range(11))))
    assert text.startswith("against: a\n") and "size tiny (two seeds)" in text
    assert text_of(ROW).startswith("reproduced, stale: the code has changed since: one\n")
    assert summary_of([ROW, ROW]) == "2 claims: 2 reproduced; 2 of them stale"


def made(root, **files):
    for name, text in files.items():
        path = root / "jaxembed" / f"{name.replace('__', '/').replace('/init', '/__init__')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small library in which `studies.one` stands on `room.used`, not on `room.other`."""
    (tmp_path / "jaxembed").mkdir()
    made(tmp_path, studies__one='"""Doc."""\nfrom ..room import f\n\n# why\nx = f()\n', room__used="f = 1\n",
         room__init="from .other import g as g\nfrom .used import f as f\n", room__other="g = 1\n")  # fmt: skip
    monkeypatch.setattr(claims, "PACKAGE", tmp_path / "jaxembed")
    return tmp_path


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"room__used": "f = 2\n"}, True),
        ({"room__other": "g = 2\n"}, False),
        ({"studies__one": '"""New\ntext."""\nfrom ..room import f\nx = f()\n'}, False),
        ({"studies__one": 'from ..room import f\nx = """f()"""\n'}, True),
        ({"studies__one": "from ..room import f\nif f:\n    x = f()\n"}, True),
        ({"room__init": "from .other import f as f\n", "room__other": "f = 1\n"}, True),
        ({"studies__one": "from ..room import (\n    f,\n    g,\n)\n\nx = f()\n"}, True),
    ],
)
def test_the_digest_changes_with_the_code_a_study_stands_on(package, change, stale):
    def digest():
        for cached in (claims._file, claims._code, claims._imports, code_digest):
            cached.cache_clear()
        return code_digest("jaxembed.studies.one")

    before = digest()
    made(package, **change)
    assert (digest() != before) is stale and len(before) == 16
    for cached in (claims._file, claims._code, claims._imports, code_digest):
        cached.cache_clear()


def test_imports_are_read_as_python_reads_them():
    for path in claims.PACKAGE.rglob("*.py"):
        parts = ["jaxembed", *path.relative_to(claims.PACKAGE).with_suffix("").parts]
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        package, expected = parts if path.name == "__init__.py" else parts[:-1], set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                full = ".".join([*base, *([node.module] if node.module else [])])
                expected |= {(full, name.name, name.asname or name.name) for name in node.names}
        expected = {each for each in expected if each[0].split(".")[0] == "jaxembed"}
        assert set(claims._imports(".".join(parts))) == expected, path


def test_the_committed_ledger_is_that_of_this_version():
    rows = read_ledger(claims.committed())
    assert len({row.id for row in rows}) == len(rows) > 100
    for row in rows:
        assert row.claim and row.source and row.study and row.takes
        assert row.verdict != "reproduced" or (row.size == "published" and row.kind == "paper"), row.id
        if row.verdict != "not run":
            assert row.bound and row.asked and row.null and row.values and row.commit and row.date and row.seeds
            assert row.size == "published" or row.smaller


def test_claims_prints_the_committed_ledger_without_jax():
    code = (
        "import sys, time; began = time.process_time(); from jaxembed.__main__ import main; main(['claims']);"
        "print('jax' in sys.modules, time.process_time() - began)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    *shown, last = done.stdout.splitlines()
    loaded, seconds = last.split()
    assert loaded == "False" and float(seconds) < 2
    assert shown[-1].split(":")[0].endswith("claims")


def test_without_a_ledger_one_line_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "CHECKOUT", tmp_path / "none.json")
    monkeypatch.setattr(claims, "PACKAGE", tmp_path)
    with pytest.raises(ValueError, match=r"there is no .*none.json; `jaxembed claims --run --write` makes it"):
        on_claims.run([])


def test_flags_that_do_not_fit_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="--keep and --write belong to a run"):
        on_claims.run(["--write"])
    with pytest.raises(ValueError, match="json: the folder"):
        on_claims.run(["--json", str(tmp_path / "no" / "file.json")])


def test_the_earlier_flags_still_run(capsys):
    flags = on_claims.ClaimsFlags(id="a")
    assert on_claims._now(flags).run == ("a",) and "--id a is called --run a now" in capsys.readouterr().err
    assert on_claims._now(on_claims.ClaimsFlags(full=True)).run == () and capsys.readouterr().err
    assert on_claims._now(on_claims.ClaimsFlags()).run is None


@pytest.mark.skipif(not (Path(claims.PACKAGE).parent / ".git").exists(), reason="no checkout")
def test_the_commit_is_that_of_the_checkout():
    git = ["git", "-C", os.fspath(claims.PACKAGE.parent), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    assert head.startswith(commit().removesuffix(" and changes")) and commit()


@pytest.mark.parametrize(("verdict", "kind", "fails"), [("fails", "machinery", True), ("fails", "expectation", False)])
def test_a_run_fails_where_its_machinery_does(verdict, kind, fails, monkeypatch, capsys):
    monkeypatch.setattr(on_claims, "_run", lambda flags, console: [replace(ROW, verdict=verdict, kind=kind)])
    if fails:
        with pytest.raises(SystemExit, match="1"):
            on_claims.run(["--run"])
    else:
        on_claims.run(["--run"])
    assert ("the machinery fails: one" in capsys.readouterr().out) == fails
