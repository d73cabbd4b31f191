"""The ledger: rows are a study's evidence, a study runs once for all its claims, unknown ids are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from jaxembed import ledger as room
from jaxembed.keep import read_json
from jaxembed.ledger import ledger, print_ledger, rows_of
from jaxembed.studies import Bound, Evidence, Study, verdict
from jaxembed.tables import Table

pytestmark = pytest.mark.float64_only("the ledger runs in float64")

PAPER = Bound("paper", least=0.9, source="Table 1")


def row(values, bound=PAPER, null=0.0, **more):
    return Evidence("a", "a claim", np.array(values), bound, null=np.array([null]), **more)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (row([0.95, 0.96, 0.97]), ("in the direction of", "in the direction of", "reproduced")),
        (row([0.50, 0.51, 0.52]), ("against", "against", "contradicted")),
        (row([0.50, 0.90, 0.99]), ("undecided",) * 3),
        (row([0.95, 0.96, 0.97], null=0.93), ("no evidence",) * 3),
        (row([np.nan, 1.0, 1.0]), ("undecided",) * 3),
        (row([0.95, 0.96, 0.97], null=np.nan), ("undecided",) * 3),
        (row([0.1, 0.11, 0.12], Bound("expectation", -0.3, 0.3), null=1.0), ("holds",) * 3),
        (row([0.5, 0.51, 0.52], Bound("machinery", -0.3, 0.3), null=1.0), ("fails",) * 3),
        (row([0.95, 0.80], every=True), ("undecided",) * 3),
        (row([0.95, 0.96], interval=(0.85, 0.99)), ("undecided",) * 3),
        (row([0.9, 0.9, 0.9], Bound("paper", least=0.9, strict=True)), ("against", "against", "contradicted")),
    ],
)
def test_a_verdict_is_that_of_interval_bound_null_and_size(evidence, expected):
    assert tuple(verdict(evidence, size) for size in ("tiny", "quick", "published")) == expected


def test_evidence_without_a_null_says_why():
    with pytest.raises(ValueError, match="no_null: a has no null; say why"):
        Evidence("a", "a claim", np.ones(2), PAPER)


def study_of(name, ids, ledger_size, calls):
    """A study whose values are all 0.95 or more; it writes down every run."""

    def run(setting, run):
        calls.append((name, setting, run.seeds))
        return np.linspace(0.95, 0.97, run.seeds)

    def evidence(values):
        return tuple(
            Evidence(one, one, values, PAPER, published="0.9", null=values - 1) for one in ids if one != "late"
        )

    return Study(
        name, "levy2014neural", {"quick": "small", "published": "large"}, {"quick": 3, "published": 4}, run,
        lambda values: (Table("", ("x",), [(str(x),) for x in values]),), evidence, ids,
        takes={"quick": "seconds", "published": "hours"}, smaller={"quick": "small for large"}, ledger=ledger_size,
    )  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    made: list = []
    ours = {"fast": study_of("fast", ("first", "second", "late"), "quick", made),
            "slow": replace(study_of("slow", ("third",), None, made), settings={"published": "large"})}  # fmt: skip
    monkeypatch.setattr(room, "REGISTRY", tuple(ours))
    monkeypatch.setattr(room, "study", ours.__getitem__)
    return made


def test_a_study_runs_once_for_all_its_claims(calls):
    rows = list(ledger())
    assert [row.id for row in rows] == ["first", "second", "late"] and calls == [("fast", "small", 3)]
    assert rows[0].verdict == "in the direction of" and rows[0].smaller == "small for large"
    assert "3 init seeds" in rows[0].ours and rows[0].null.startswith("-0.04") and rows[0].kind == "paper"
    assert rows[2].verdict == "not run" and rows[2].ours == "not run; size published, hours"


def test_full_and_single_claims(calls):
    rows = {row.id: row for row in ledger(full=True)}
    assert [rows[name].verdict for name in ("first", "third")] == ["in the direction of", "reproduced"]
    assert calls == [("fast", "small", 3), ("slow", "large", 4)]
    assert [row.id for row in ledger(only="third")] == ["third"]
    with pytest.raises(ValueError, match="unknown claim 'fourth'; known: first, second, late, third"):
        list(ledger(only="fourth"))


def test_a_study_that_lacks_something_does_not_end_the_others(monkeypatch):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    texts = replace(study_of("texts", ("far",), "quick", []), needs=("JAXEMBED_DATA",))
    rows = list(ledger(studies=[texts, study_of("mine", ("near",), "quick", [])]))
    assert [(row.id, row.verdict) for row in rows] == [("far", "not run"), ("near", "in the direction of")]
    assert rows[0].ours.startswith("not run; texts: needs JAXEMBED_DATA")
    with pytest.raises(ValueError, match="texts: needs JAXEMBED_DATA"):
        list(ledger(only="far", studies=[texts]))


def test_the_row_of_a_users_own_study_comes_with_it():
    mine = study_of("mine", ("my-claim",), "quick", [])
    assert [row.id for row in ledger(studies=[mine])] == ["my-claim"]
    with pytest.raises(ValueError, match="mine does not name my-claim; add them to its ids"):
        rows_of(replace(mine, ids=("other",)), "quick")


def test_the_ledger_is_printed_and_written(calls, tmp_path, capsys):
    print_ledger(json_file=tmp_path / "ledger.json")
    shown = capsys.readouterr().out
    assert "in the direction of" in shown and "asked: >= 0.9 (paper: Table 1)" in " ".join(shown.split())
    written = read_json(tmp_path / "ledger.json")
    assert [row["id"] for row in written] == ["first", "second", "late"] and written[0]["values"] == [0.95, 0.96, 0.97]
    assert json.loads((tmp_path / "ledger.json").read_text())[0]["size"] == "quick"
    with pytest.raises(ValueError, match="does not exist"):
        print_ledger(json_file=tmp_path / "missing" / "ledger.json")
