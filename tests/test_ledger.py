"""The ledger: rows are a study's evidence, a study runs once for all its claims, unknown ids are refused."""

from dataclasses import replace

import numpy as np
import pytest

from jaxembed import ledger as room
from jaxembed.claims import read_ledger
from jaxembed.ledger import ledger, rows_of, run_claims
from jaxembed.studies import Bound, Evidence, Study
from jaxembed.tables import Table

pytestmark = pytest.mark.float64_only("the ledger runs in float64")

PAPER = Bound("paper", least=0.9, source="Table 1")


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
    ours = {"small.ladder": study_of("fast", ("first", "second", "late"), "quick", made),
            "small.horizon": replace(study_of("slow", ("third",), None, made),
                                     settings={"published": "large"})}  # fmt: skip
    monkeypatch.setattr(room, "REGISTRY", tuple(ours))
    monkeypatch.setattr(room, "study", ours.__getitem__)
    return made


def test_a_study_runs_once_for_all_its_claims(calls):
    rows = list(ledger())
    assert [row.id for row in rows] == ["first", "second", "late", "third"] and calls == [("fast", "small", 3)]
    assert [row.verdict for row in rows] == ["in the direction of"] * 2 + ["not run"] * 2
    assert rows[2].ours == "not run: size quick cannot speak to it; size published, hours"
    assert rows[3].ours == "not run: size published, hours"


def test_a_row_carries_all_that_its_verdict_is_made_of(calls):
    row = next(ledger())
    assert (row.study, row.size, row.smaller) == ("small.ladder", "quick", "small for large")
    assert row.kind == "paper" and row.asked == {"least": 0.9, "most": None, "strict": False, "source": "Table 1"}
    assert row.values == [0.95, 0.96, 0.97] and row.varied == "init seeds" and row.seeds == 3
    assert row.interval == pytest.approx([0.96 - 0.0248, 0.96 + 0.0248], abs=1e-4)
    assert row.null_values == pytest.approx([-0.05, -0.04, -0.03]) and row.null_interval[0] < -0.04
    assert row.null.startswith("-0.04") and row.takes == "seconds"
    assert row.date[:2] == "20" and row.device and row.versions["jax"] and len(row.code) == 16 and not row.stale
    assert replace(row, code="another").stale and not replace(row, code="another", verdict="not run").stale


def test_full_sizes_and_single_claims(calls):
    rows = {row.id: row for row in ledger(full=True)}
    assert [rows[name].verdict for name in ("first", "third")] == ["in the direction of", "reproduced"]
    assert calls == [("fast", "small", 3), ("slow", "large", 4)]
    assert [row.id for row in ledger(["third"])] == ["third"]
    assert {row.verdict for row in ledger(["fast"], size="published")} == {"reproduced", "not run"}
    assert [row.ours for row in ledger(size="quick")][-1].startswith("not run: size: slow has no size 'quick'")
    with pytest.raises(ValueError, match="slow has no size 'quick'; choose published"):
        list(ledger(["third"], size="quick"))
    with pytest.raises(ValueError, match="unknown claim 'fourth'; known: fast, first, second, late, slow, third"):
        list(ledger(["fourth"]))
    with pytest.raises(ValueError, match="full: is the size of each study's script"):
        list(ledger(full=True, size="quick"))


def test_a_study_that_lacks_something_does_not_end_the_others(monkeypatch):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    texts = replace(study_of("texts", ("far",), "quick", []), needs=("JAXEMBED_DATA",))
    rows = list(ledger(studies=[texts, study_of("mine", ("near",), "quick", [])]))
    assert [(row.id, row.verdict) for row in rows] == [("far", "not run"), ("near", "in the direction of")]
    assert rows[0].ours.startswith("not run: texts: needs JAXEMBED_DATA")
    assert [row.verdict for row in ledger(full=True, studies=[texts])] == ["not run"]
    with pytest.raises(ValueError, match="texts: needs JAXEMBED_DATA"):
        list(ledger(["far"], studies=[texts]))


def test_the_row_of_a_users_own_study_comes_with_it():
    mine = study_of("mine", ("my-claim",), "quick", [])
    assert [(row.id, row.study, row.stale) for row in ledger(studies=[mine])] == [("my-claim", "mine", False)]
    with pytest.raises(ValueError, match="mine does not name my-claim; add them to its ids"):
        rows_of(replace(mine, ids=("other",)), "quick")


def test_a_stopped_run_goes_on_study_by_study(calls, tmp_path):
    first = list(ledger(full=True, keep=tmp_path))
    assert len(calls) == 2 and list(ledger(full=True, keep=tmp_path)) == first and len(calls) == 2
    list(ledger(["fast"], size="published", keep=tmp_path))
    assert len(calls) == 3


def test_undefined_values_survive_the_file(calls, tmp_path, monkeypatch):
    undefined = study_of("fast", ("first",), "quick", [])
    row = Evidence("first", "a", np.array([np.nan, 1.0]), PAPER, null=np.zeros(2))
    monkeypatch.setattr(room, "study", {"small.ladder": replace(undefined, evidence=lambda _: (row,))}.__getitem__)
    monkeypatch.setattr(room, "REGISTRY", ("small.ladder",))
    kept = [run_claims(keep=tmp_path / "keep", write=tmp_path / "ledger.json")[0] for _ in range(2)]
    assert kept[0] == kept[1] == read_ledger(tmp_path / "ledger.json")[0]
    assert kept[0].ours == "undefined" and kept[0].values == ["undefined", 1.0] and kept[0].verdict == "undecided"


def test_of_every_claim_the_row_of_the_largest_size_is_written(calls, tmp_path):
    path = tmp_path / "ledger.json"
    run_claims(["fast"], size="published", write=path)
    assert [(row.id, row.size) for row in read_ledger(path)][:2] == [("first", "published"), ("second", "published")]
    assert [row.verdict for row in read_ledger(path)][2:] == ["not run", "not run"]
    shown = run_claims(["fast"], size="quick", write=path)
    assert shown[0].size == "quick" and read_ledger(path)[0].size == "published"
    run_claims(["third"], write=path)
    assert [row.verdict for row in read_ledger(path)] == ["reproduced", "reproduced", "not run", "reproduced"]
    with pytest.raises(ValueError, match="write: the folder"):
        run_claims(write=tmp_path / "missing" / "ledger.json")


def test_a_claim_that_was_not_run_is_told_in_the_words_of_an_earlier_run(calls, tmp_path):
    path = tmp_path / "ledger.json"
    run_claims(["third"], write=path)
    path.write_text(path.read_text().replace('"claim": "third"', '"claim": "what the third one says"'))
    assert run_claims(write=path)[-1].claim == "what the third one says"


def test_the_list_names_study_sizes_and_time():
    rows = {row[0]: row[1:] for row in room.listing().rows}
    assert rows["ladder-closed-form"] == ("ladder", "tiny 30 s; published 5 min") and len(rows) > 100
