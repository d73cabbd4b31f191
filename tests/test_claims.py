"""The ledger: verdicts follow intervals, a study runs once for all its claims, unknown ids are refused."""

import json

import numpy as np
import pytest

from jaxembed import claims
from jaxembed.claims import CLAIMS, STUDIES, Claim, Evidence, ledger, print_ledger, verdict


@pytest.mark.parametrize(
    ("values", "bounds", "expected"),
    [
        ([0.95, 0.96, 0.97], {"least": 0.9}, "reproduced"),
        ([0.50, 0.51, 0.52], {"least": 0.9}, "contradicted"),
        ([0.50, 0.90, 0.99], {"least": 0.9}, "undecided"),
        ([0.1, 0.11, 0.12], {"least": -0.3, "most": 0.3}, "reproduced"),
        ([0.5, 0.51, 0.52], {"least": -0.3, "most": 0.3}, "contradicted"),
        ([np.nan, 1.0, 1.0], {"least": 0.9}, "undecided"),
    ],
)
def test_verdict_is_that_of_the_interval(values, bounds, expected):
    assert verdict(Evidence(np.array(values), None, "1", **bounds)) == expected


def test_claims_name_known_studies_and_have_ids_of_their_own():
    assert {claim.study for claim in CLAIMS} == set(STUDIES)
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)


def test_sources_are_in_the_bibliography():
    from pathlib import Path

    bibliography = (Path(__file__).parents[1] / "theory" / "references.bib").read_text()
    for source in {claim.source for claim in CLAIMS}:
        assert f"{{{source}," in bibliography


@pytest.fixture
def counted_study(monkeypatch):
    calls = []

    def study(full):
        calls.append(full)
        return np.array([0.95, 0.96, 0.97])

    rows = tuple(
        Claim(name, name, "source", "0.9", "fake", lambda values: Evidence(values, values - 1, "1", least=0.9), full)
        for name, full in (("first", False), ("second", False), ("slow", True))
    )
    monkeypatch.setattr(claims, "STUDIES", {"fake": study})
    monkeypatch.setattr(claims, "CLAIMS", rows)
    return calls


def test_a_study_runs_once_for_all_its_claims(counted_study):
    rows = list(ledger())
    assert [row.id for row in rows] == ["first", "second"] and counted_study == [False]
    assert rows[0].verdict == "reproduced" and "3 init seeds" in rows[0].ours and rows[0].null.startswith("-0.04")


def test_full_and_single_claims(counted_study):
    assert [row.id for row in ledger(full=True)] == ["first", "second", "slow"]
    assert [row.id for row in ledger(only="slow")] == ["slow"]
    with pytest.raises(ValueError, match="unknown claim 'third'; known: first, second, slow"):
        list(ledger(only="third"))


def test_the_ledger_is_printed_and_written(counted_study, tmp_path, capsys):
    print_ledger(json_file=tmp_path / "ledger.json")
    assert "reproduced" in capsys.readouterr().out
    assert [row["id"] for row in json.loads((tmp_path / "ledger.json").read_text())] == ["first", "second"]
    with pytest.raises(ValueError, match="does not exist"):
        print_ledger(json_file=tmp_path / "missing" / "ledger.json")
