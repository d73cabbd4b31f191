"""Task vectors of families: one peak or two, order over families, and the study on made words."""

import numpy as np
import pytest

from jaxembed.studies import verdict
from jaxembed.studies.words.task_vectors import STUDY, one_peak, rank_order


def test_one_peak_is_told_from_two():
    x = np.linspace(0, 1, 30)
    assert one_peak(np.exp(-((x - 0.3) ** 2) / 0.02)) == pytest.approx(1)
    assert one_peak(x) == one_peak(-x) == pytest.approx(1)
    assert one_peak(np.sin(4 * np.pi * x) ** 2) < 0.6
    assert np.isnan(one_peak(np.ones(5)))


def test_order_over_families_has_an_interval_or_is_undefined():
    rng = np.random.default_rng(0)
    one = rng.normal(size=13)
    rho, low, high = rank_order(one, np.exp(one))
    assert rho == pytest.approx(1) and low == pytest.approx(1) and high == pytest.approx(1)
    rho, low, high = rank_order(one, rng.normal(size=13))
    assert low < rho < high and high - low > 0.5
    assert all(np.isnan(x) for x in rank_order(one, np.ones(13)))
    assert rank_order(np.append(one, 5.0), np.append(one, np.nan))[0] == pytest.approx(1)


@pytest.mark.slow
def test_made_words_have_task_vectors():
    result = STUDY.result("tiny")
    rows = STUDY.evidence(result)
    verdicts = {row.id.removeprefix("task-vectors-"): verdict(row, "tiny") for row in rows}
    assert len(verdicts) == 3 and set(verdicts.values()) <= {"holds", "in the direction of"}
    assert len(result.families) == 6 and not result.left_out
    for family in result.families:
        assert family.offsets.value > np.quantile(family.offsets.null, 0.975)
        assert max(family.snr) > 1.5 * max(family.snr_shuffled)
        assert family.score.accuracy == 1 and family.spike == pytest.approx(1, abs=0.25)
    assert STUDY.tables(result)[1].rows[0][1] == "undefined"  # all are solved: there is nothing to order


def test_a_corpus_needs_its_folder(monkeypatch):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="needs JAXEMBED_DATA"):
        STUDY.result("quick")
