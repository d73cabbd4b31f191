"""The reasoning-bias study at size tiny."""

import numpy as np
import pytest

from jaxembed.studies.small.reasoning_bias import PARTS, STUDY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def watched():
    lines = []
    return STUDY.result("tiny", progress=lambda text, share=None: lines.append(text)), lines


def test_one_line_of_progress_a_chunk(watched):
    result, lines = watched
    per_chunk = result.setting.steps_per_save * result.setting.saves_per_chunk
    runs = [*result.runs.values(), result.control]
    assert len(lines) == sum(run.steps[-1] for run in runs) // per_chunk


def test_training_stops_once_all_seeds_have_learned_to_reason(watched):
    result, _ = watched
    chunk = result.setting.saves_per_chunk
    for run in result.runs.values():
        best = run.values["reasoning"].min(axis=1)
        before = run.values["reasoning"][:, :-chunk].min(axis=1)
        assert np.all(best < result.setting.target) and not np.all(before < result.setting.target)


def test_small_weights_start_at_the_uniform_prediction(watched):
    result, _ = watched
    for part in PARTS:
        start = result.runs[result.small].values[part][:, 0]
        np.testing.assert_allclose(start, np.log(result.setting.task.vocab), atol=0.05)


def test_memory_comes_later_and_the_controls_fail_at_tiny(watched, tends):
    result, _ = watched
    held = {row.id for row in STUDY.evidence(result) if tends(row)}
    assert held >= {"reasoning-memory-later", "reasoning-shuffled", "reasoning-kernel-shuffled"}


def test_the_published_figures_read_the_same_run(watched):
    result, _ = watched
    rows = {row.id: row for row in STUDY.evidence(result)}
    assert set(rows) == set(STUDY.ids)
    memory = result.runs[0.3].at("memory", result.at_target(0.3))
    assert np.array_equal(rows["memory-at-large-init"].values, memory)
    assert np.array_equal(rows["reasoning-first"].null, memory)


def test_the_control_trains_as_long_and_does_not_reason(watched):
    result, _ = watched
    assert result.control.steps[-1] == result.runs[result.small].steps[-1]
    assert result.control.values["reasoning"][:, -1].min() > result.setting.target
