"""The study of the Kalman mean, end to end."""

import numpy as np
import pytest

from jaxembed.studies.sequences import kalman as study


@pytest.mark.slow
@pytest.mark.float64_only("the study refuses float32")
def test_the_tiny_study_passes_its_checks_and_goes_on_from_what_it_kept(tmp_path):
    found = study.kalman("tiny", seeds=1, keep=tmp_path)
    assert all(check.passed for check in found.checks()), found.checks()
    assert {len(row) for row in (study.HEADER, *found.rows())} == {len(study.HEADER)}
    assert {len(row) for row in (study.LOSS_HEADER, *found.loss_rows())} == {len(study.LOSS_HEADER)}
    # Independent normals cannot reach the exact density of correlated items, and the network is not below it.
    assert found.correlated.min() > 0 and np.all(found.results["likelihood"].decoded.excess > 0)
    lines: list[str] = []
    again = study.kalman("tiny", seeds=1, keep=tmp_path, progress=lines.append)
    assert again.rows() == found.rows() and not any("loss" in line for line in lines)
