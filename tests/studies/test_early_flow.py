"""The first steps beside the pair flow, at size tiny."""

import numpy as np
import pytest

from jaxembed.studies.early_flow import CONTROLS, HEADER, SETTINGS, SIDES, THEORIES, early_flow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result():
    pytest.importorskip("tokenizers")
    return early_flow("tiny", seeds=1)


def test_every_combination_once(result):
    setting = SETTINGS["tiny"]
    assert all(len(row) == len(HEADER) for row in result.rows())
    lines = {(x.rule, x.scale, x.side, x.observed, x.prediction) for x in result.lines}
    names = sum(
        (len(THEORIES[rule]) + len(CONTROLS)) * len(scales)
        for rule, scales in (("sgd", setting.scales), ("adamw", setting.adam_scales))
    )
    assert len(lines) == len(result.lines) == names * len(SIDES) * 2
    for line in result.lines:
        assert line.skill.shape == (1, len(result.times[line.rule])) and np.isfinite(line.skill).all()
    assert np.allclose(result.times["sgd"], np.asarray(setting.steps[1:]) * setting.rate)
    assert np.allclose(result.times["adamw"], setting.adam_steps[1:])


def test_checks_pass_at_tiny(result):
    assert not [check for check in result.checks() if not check.passed]


def test_blocks_cost_skill_and_a_part_of_it_is_the_shared_direction(result):
    for side in SIDES:
        without, usual = (result.line("sgd", scale, side, "whole", "pair flow").skill[:, -1] for scale in (0.0, 1.0))
        assert np.all(without > usual + 0.2)
        unshared = result.line("sgd", 1.0, side, "unshared", "pair flow").skill[:, -1]
        assert np.all(unshared > usual)


def test_signs_foretell_more_of_adam_than_other_counts_do(result):
    for side in SIDES:
        sign, other = (result.line("adamw", 0.0, side, "whole", x).skill for x in ("sign flow", "shuffled corpus"))
        assert np.all(sign > other)
