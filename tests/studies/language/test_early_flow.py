"""The first steps beside the pair flow, at size tiny."""

from dataclasses import replace

import numpy as np
import pytest

from jaxembed.studies.language.early_flow import (
    CONTROLS,
    OBSERVED,
    SETTINGS,
    SIDES,
    STUDY,
    THEORIES,
    _within_bands,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def result():
    pytest.importorskip("tokenizers")
    return STUDY.result("tiny", seeds=1)


def test_every_combination_once(result):
    setting = SETTINGS["tiny"]
    names = sum((len(THEORIES[rule]) + len(CONTROLS)) * len(setting.training(rule)[1]) for rule in THEORIES)
    assert len(result.skills) == names * len(SIDES) * len(OBSERVED)
    for (rule, *_), found in result.skills.items():
        assert found.skill.shape == (1, len(result.times[rule])) and np.isfinite(found.skill).all()
    assert np.allclose(result.times["sgd"], np.asarray(setting.sgd.save_steps[1:]) * setting.sgd.learning_rate)
    assert np.allclose(result.times["adamw"], setting.adamw.save_steps[1:])


def test_horizons_and_effective_numbers_name_every_prediction_and_run(result):
    setting, (_, horizons, effective) = SETTINGS["tiny"], (table.rows for table in STUDY.tables(result))
    assert {row[3] for row in horizons} == {*THEORIES["sgd"], *CONTROLS}
    assert len(horizons) == len(setting.scales[0]) * len(SIDES) * 2 * (len(THEORIES["sgd"]) + len(CONTROLS))
    assert len(effective) == sum(map(len, setting.scales)) * len(SIDES)
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


def test_a_usual_start_no_better_than_the_shuffled_corpus_falls_short(result, tends):
    names = {"pair flow": "shuffled corpus", "shuffled corpus": "pair flow"}
    swapped = {(*key[:-1], names.get(key[-1], key[-1])): found for key, found in result.skills.items()}
    worse = STUDY.evidence(replace(result, skills=swapped))
    assert {row.id for row in worse if not tends(row)} >= {"pair-flow-usual-start", "pair-flow-usual-start-unembed"}


def test_all_evidence_holds_at_tiny(result, tends):
    rows = STUDY.evidence(result)
    assert all(tends(row) for row in rows) and {row.id for row in rows} == set(STUDY.ids)


def test_blocks_cost_skill_and_a_part_of_it_is_the_shared_direction(result):
    for side in SIDES:
        without, usual = (result.skill(scale, side, "pair flow")[:, -1] for scale in (0.0, 1.0))
        assert np.all(without > usual + 0.2)
        unshared = result.skill(1.0, side, "pair flow", "unshared")[:, -1]
        assert np.all(unshared > usual)


def test_signs_foretell_more_of_adam_than_other_counts_do(result):
    for side in SIDES:
        sign, other = (result.skills["adamw", 0.0, side, "whole", x].skill for x in ("sign flow", "shuffled corpus"))
        assert np.all(sign > other)
