"""The label noise study at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.pairs.label_noise import HEADER, SETTINGS, label_noise

SEEDS = 2


@pytest.fixture(scope="module")
def result():
    if jnp.zeros((), float).dtype == np.float32:
        pytest.skip("slopes are small differences: float64")
    return label_noise("tiny", seeds=SEEDS)


@pytest.mark.slow
def test_checks_pass_at_tiny(result):
    assert not [check for check in result.checks() if not check.passed]
    assert all(len(row) == len(HEADER) for row in result.rows())


@pytest.mark.slow
def test_every_table_and_part_is_there(result):
    setting = SETTINGS["tiny"]
    assert len(result.cells) == 2 * len(setting.noises) + len(setting.moduli)
    assert all(cell.measured.shape == (SEEDS,) and cell.error < 0.25 for cell in result.cells)
    assert [len(course.losses) for course in result.courses] == [2, 1, 1, 1]


@pytest.mark.slow
def test_ratio_of_slopes_is_one_over_the_noise(result):
    for noise, ratio in result.ratios.items():
        assert 0.6 < ratio.mean() * noise < 1.7


@pytest.mark.slow
def test_parts_dealt_at_random_predict_less(result):
    assert result.null_correlation.max() < result.parts_correlation.min() - 0.1
