"""The study of the Kalman mean, end to end."""

import numpy as np
import pytest

from jaxembed.studies.sequences.kalman import STUDY


@pytest.mark.slow
@pytest.mark.float64_only("the study refuses float32")
def test_what_is_expected_holds_at_tiny_and_the_study_goes_on_from_what_it_kept(tmp_path, tends):
    result = STUDY.result("tiny", keep=tmp_path)
    assert all(tends(row) for row in STUDY.evidence(result)), STUDY.evidence(result)
    # Independent normals cannot reach the exact density of correlated items, and the network is not below it.
    assert result.correlated.min() > 0 and np.all(result.results["likelihood"].decoded.excess > 0)
    lines: list[str] = []
    again = STUDY.result("tiny", keep=tmp_path, progress=lambda text, share=None, /: lines.append(text))
    assert STUDY.tables(again) == STUDY.tables(result) and not any("loss" in line for line in lines)
