"""The first steps beside the pair flow, at size tiny."""

from dataclasses import replace

import numpy as np
import pytest

from jaxembed.studies.language.early_flow import (
    CONTROLS,
    EFFECTIVE,
    HEADER,
    HORIZONS,
    OBSERVED,
    SETTINGS,
    SIDES,
    THEORIES,
    _within_bands,
    early_flow,
)

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
        (len(THEORIES[rule]) + len(CONTROLS)) * len(setting.scales if rule == "sgd" else setting.adam_scales)
        for rule in THEORIES
    )
    assert len(lines) == len(result.lines) == names * len(SIDES) * len(OBSERVED)
    for line in result.lines:
        assert line.skill.shape == (1, len(result.times[line.rule])) and np.isfinite(line.skill).all()
    assert np.allclose(result.times["sgd"], np.asarray(setting.steps[1:]) * setting.rate)
    assert np.allclose(result.times["adamw"], setting.adam_steps[1:])


def test_horizons_and_effective_numbers_name_every_prediction_and_run(result):
    setting, horizons, effective = SETTINGS["tiny"], result.horizons(), result.effective_rows()
    assert {row[3] for row in horizons} == {*THEORIES["sgd"], *CONTROLS}
    assert len(horizons) == len(setting.scales) * len(SIDES) * 2 * (len(THEORIES["sgd"]) + len(CONTROLS))
    assert all(len(row) == len(HORIZONS) for row in horizons) and all(len(row) == len(EFFECTIVE) for row in effective)
    assert len(effective) == (len(setting.scales) + len(setting.adam_scales)) * len(SIDES)
    assert all(np.all((x >= 1) & (x <= setting.frequent)) for x in result.effective.values())
    # under Adam every token moves equally far, under gradient descent at its rate
    assert np.all(result.effective["adamw", 0.0, "embed"][:, 0] > 2 * result.effective["sgd", 0.0, "embed"][:, 0])


@pytest.mark.parametrize("tokens", [1, 4, 5, 100])
def test_permutation_keeps_to_bands_of_one_doubling(tokens):
    order = _within_bands(tokens)
    assert np.array_equal(np.sort(order), np.arange(tokens))
    band = np.maximum(np.arange(tokens) // 4, 0.5)
    assert np.array_equal(np.floor(np.log2(band)), np.floor(np.log2(band[order])))
    assert tokens < 8 or np.any(order != np.arange(tokens))


def test_a_usual_start_no_better_than_the_shuffled_corpus_falls_short(result):
    def swapped(line):
        names = {"pair flow": "shuffled corpus", "shuffled corpus": "pair flow"}
        return replace(line, prediction=names.get(line.prediction, line.prediction))

    worse = replace(result, lines=tuple(map(swapped, result.lines)))
    assert {check.name for check in worse.checks() if not check.passed} >= {
        f"pair flow, usual start, {side}" for side in SIDES
    }


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
