"""The moment of analogies at size tiny."""

import pytest

from jaxembed.studies.words.analogy_moment import STUDY


@pytest.mark.slow
@pytest.mark.float64_only("words differ by less than float32 shows")
def test_moment_at_size_tiny(tends):
    result = STUDY.result("tiny", seeds=2)
    assert not [row.id for row in STUDY.evidence(result) if not tends(row)]
    rows = STUDY.tables(result)[0].rows
    assert [row[4] for row in rows if row[1] == "shuffled pairs"] == ["undefined", "undefined"]
