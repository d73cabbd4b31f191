"""The composite table at size tiny, and its parts by hand."""

import numpy as np
import pytest

from jaxembed.studies.small.composite import MODELS, SETTINGS, STUDY, TASKS, UNINFORMATIVE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table():
    return STUDY.result("tiny")


def test_every_task_with_every_model(table):
    pairs = [(entry.task, entry.model) for entry in table.entries]
    assert pairs == [(task, model) for task in TASKS for model in MODELS]


def test_numbers_and_nulls_over_all_seeds(table):
    for entry in table.entries:
        for name in ("accuracy", "order"):
            assert entry.values[name].shape == entry.null[name].shape == (2,)
            assert np.isfinite([entry.values[name], entry.null[name]]).all()
        anchors = SETTINGS["tiny"].anchors
        np.testing.assert_allclose(np.diagonal(entry.cosines), np.ones(anchors), rtol=1e-6)


def test_undefined_where_signatures_do_not_differ_and_only_there(table):
    for entry in table.entries:
        undefined = {kind for kind in ("label", "context") if entry.text(f"{kind} r_cos") == "undefined"}
        assert undefined == UNINFORMATIVE[entry.task]


def test_the_machinery_holds_at_tiny(table, tends):
    held = {row.id for row in STUDY.evidence(table) if tends(row)}
    assert held >= {"composite-shuffled", "composite-undefined", "composite-complete"}


def test_shuffled_labels_lose_the_order_of_addition(table):
    for model in MODELS:
        entry = table.entry("addition", model)
        assert entry.values["order"].mean() > 0.8 > entry.null["order"].mean()


def test_accuracy_stays_between_chance_and_ceiling(table):
    for entry in table.entries:
        assert np.all(entry.values["accuracy"] <= entry.ceiling + 1e-6)
        assert np.all(entry.values["accuracy"] >= 0.5 * entry.chance)


def test_published_figures_are_asked_of_every_row(table):
    rows = STUDY.evidence(table)
    assert len([row for row in rows if row.bound.kind == "expectation"]) == 14
    assert {row.id for row in rows} == set(STUDY.ids)
