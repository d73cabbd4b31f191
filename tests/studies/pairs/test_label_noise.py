"""The label noise study at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.pairs.label_noise import SETTINGS, STUDY

SEEDS = 2


@pytest.fixture(scope="module")
def result():
    if jnp.zeros((), float).dtype == np.float32:
        pytest.skip("slopes are small differences: float64")
    return STUDY.result("tiny", seeds=SEEDS)


@pytest.mark.slow
def test_all_evidence_holds_at_tiny(result, tends):
    assert not [row.id for row in STUDY.evidence(result) if not tends(row)]


@pytest.mark.slow
def test_every_table_and_part_is_there(result):
    setting = SETTINGS["tiny"]
    assert len(result.slopes) == 2 * len(setting.noises) + len(setting.moduli)
    assert all(slope.measured.shape == (SEEDS,) and slope.error < 0.25 for slope in result.slopes)
    assert [len(losses) for _, losses in result.curves.values()] == [2, 1, 1, 1]


@pytest.mark.slow
def test_ratio_of_slopes_is_one_over_the_noise(result):
    for noise, ratio in result.ratios.items():
        assert 0.6 < ratio.mean() * noise < 1.7


@pytest.mark.slow
def test_parts_dealt_at_random_predict_less(result):
    assert result.correlation(result.noisy, "null").max() < result.correlation(result.noisy).min() - 0.1
