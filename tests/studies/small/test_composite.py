"""The composite table at size tiny, and its parts by hand."""

import numpy as np
import pytest

from jaxembed.studies.measured import UNDEFINED
from jaxembed.studies.small.composite import HEADER, MODELS, SETTINGS, TASKS, composite_table
from jaxembed.studies.small.composite_checks import UNINFORMATIVE, normal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table():
    return composite_table("tiny", seeds=2)


def test_every_task_with_every_model(table):
    assert [(cell.task, cell.model) for cell in table.cells] == [(task, model) for task in TASKS for model in MODELS]
    assert all(len(cell.row()) == len(HEADER) for cell in table.cells)


def test_numbers_and_nulls_over_all_seeds(table):
    for cell in table.cells:
        for one in (cell.accuracy, cell.order):
            assert one.values.shape == one.null.shape == (2,)
            assert np.isfinite([one.values, one.null]).all()
        anchors = SETTINGS["tiny"].anchors
        np.testing.assert_allclose(np.diagonal(cell.cosines), np.ones(anchors), rtol=1e-6)


def test_undefined_where_signatures_do_not_differ_and_only_there(table):
    for cell in table.cells:
        said = {kind for kind in ("label", "context") if str(getattr(cell, kind).r_cos) == UNDEFINED}
        assert said == UNINFORMATIVE[cell.task]


def test_checks_pass_at_tiny(table):
    failed = [check for check in table.checks() if not check.passed]
    assert not failed


def test_shuffled_labels_lose_the_order_of_addition(table):
    for model in MODELS:
        order = table.cell("addition", model).order
        assert order.mean > 0.8 > order.null_mean


def test_accuracy_stays_between_chance_and_ceiling(table):
    for cell in table.cells:
        assert np.all(cell.accuracy.values <= cell.ceiling + 1e-6)
        assert np.all(cell.accuracy.values >= 0.5 * cell.chance)


def test_published_figures_are_asked_of_every_row(table):
    names = [check.name for check in normal(table)]
    assert len(names) == len(set(names)) == 14
