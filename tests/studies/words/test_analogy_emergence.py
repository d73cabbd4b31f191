"""Analogies along training: what is read against slow routes, and the study at size tiny."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies import Run
from jaxembed.studies.words import analogy_emergence as emergence_module
from jaxembed.studies.words.analogy_emergence import SETTINGS, STUDY
from jaxembed.studies.words.emergence_measures import Families, drawn, half_of_maximum
from jaxembed.studies.words.emergence_texts import corpus, made_language
from jaxembed.studies.words.emergence_training import modes, segments
from jaxembed.theory import word_pairs


@pytest.fixture(scope="module")
def language():
    return made_language(3, 0.1)


def test_families_of_made_words_turn_one_attribute(language):
    assert set(map(len, language.covered.values())) == {8}
    for k, asked in enumerate(language.covered.values()):
        assert {int(a ^ b) for a, b in asked[:, :2]} == {1 << (2 - k)}


def test_modes_are_those_of_the_whole_target(language):
    joint = language.pairs.matrix.toarray() / language.pairs.joint_total
    share = joint.sum(axis=1)
    whole = word_pairs.modes(word_pairs.target_of(jnp.asarray(joint), jnp.asarray(np.outer(share, share))), 3)
    found = modes(language.pairs, 3)
    np.testing.assert_allclose(found.strengths, whole.strengths, rtol=1e-10)
    np.testing.assert_allclose(np.abs(np.sum(found.vectors * whole.vectors, axis=0)), 1, rtol=1e-8)


def test_steps_are_small_until_the_timed_modes_have_risen():
    setting = SETTINGS["tiny"]
    strengths = np.linspace(20.0, 3.0, setting.width)
    fine, coarse = segments(setting, strengths)
    left = setting.init_scale**2 * (setting.width - np.arange(setting.width))
    rises = np.log(strengths / left) / strengths
    assert fine.dt == pytest.approx(setting.step / 20) and coarse.dt == pytest.approx(3 * fine.dt)
    assert fine.dt * fine.steps[-1] >= 1.25 * rises[: setting.timed].max()
    assert fine.dt * fine.steps[-1] + coarse.dt * coarse.steps[-1] >= setting.window_end * rises.max()


def test_outcomes_are_parted_by_family(language):
    families = Families(language, 1)
    won = np.repeat([1.0, 0.0, 0.5], 8)
    assert families.names == tuple(language.covered)
    assert families.means(won).tolist() == [1.0, 0.0, 0.5] and len(families.questions) == 24
    dealt = families.dealt()
    assert 0 < len(dealt) <= 24 and not np.any(dealt[:, :3] == dealt[:, 3:])
    assert not {tuple(row) for row in dealt} <= {tuple(row) for row in families.questions}


def test_half_of_the_maximum_is_where_it_is_first_reached():
    places, curves = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0, 0, 1, 0.2], [0, 0, 0, 0], [1, 1, 1, 1]], float).T
    found = half_of_maximum(places, curves)
    assert found[0] == 1.5 and np.isnan(found[1]) and found[2] == 0


def test_pairs_are_drawn_along_their_mean_offset():
    rng = np.random.default_rng(0)
    embed = np.concatenate([rng.normal(size=(2, 3, 4)), np.zeros((2, 3, 4))], axis=1)
    embed[:, 3:] = embed[:, :3] + np.array([0, 2.0, 0, 0])
    places = drawn(embed, np.array([[0, 3], [1, 4], [2, 5]]))
    np.testing.assert_allclose(places[:, 3:] - places[:, :3], np.broadcast_to([2.0, 0.0], (2, 3, 2)), atol=1e-12)


def test_a_text_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA"):
        corpus(100, 5, Run(1))


@pytest.mark.slow
def test_emergence_at_size_tiny(tmp_path, monkeypatch, tends):
    result = STUDY.result("tiny", seeds=2, keep=tmp_path)
    rows = {row.id: row for row in STUDY.evidence(result)}
    assert all(tends(row) for row in rows.values())
    assert set(rows) == set(STUDY.ids) - {"emergence-alone", "emergence-alone-moments"}
    on_text = replace(result, setting=replace(result.setting, attributes=0))
    assert {row.id for row in STUDY.evidence(on_text)} == set(STUDY.ids)
    assert len(STUDY.tables(result)[0].rows) == 5
    assert result.off("half_rises").max() < 0.1 < result.off("wrong").max()
    monkeypatch.setattr(emergence_module, "ladders", None)  # all is read from the folder
    again = STUDY.result("tiny", seeds=2, keep=tmp_path)
    np.testing.assert_array_equal(again.trained["power"], result.trained["power"])
