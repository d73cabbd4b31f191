"""Analogies along training: what is read against slow routes, and both studies at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.studies.words import analogy_emergence as emergence_module
from jaxembed.studies.words.analogy_emergence import HEADER, analogy_emergence
from jaxembed.studies.words.analogy_moment import HEADER as MOMENT_HEADER
from jaxembed.studies.words.analogy_moment import analogy_moment
from jaxembed.studies.words.emergence_cells import SETTINGS, kept_arrays, modes, stages
from jaxembed.studies.words.emergence_measures import by_family, drawn, half_of_maximum, questions_of, strangers
from jaxembed.studies.words.emergence_texts import corpus, made_language
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
    fine, coarse = stages(setting, strengths)
    left = setting.init_scale**2 * (setting.width - np.arange(setting.width))
    rises = np.log(strengths / left) / strengths
    assert fine.dt == pytest.approx(setting.step / 20) and coarse.dt == pytest.approx(3 * fine.dt)
    assert fine.dt * fine.steps[-1] >= 1.25 * rises[: setting.timed].max()
    assert fine.dt * fine.steps[-1] + coarse.dt * coarse.steps[-1] >= setting.window_end * rises.max()


def test_outcomes_are_parted_by_family(language):
    names = tuple(language.covered)
    asked = questions_of(language, names)
    won = np.repeat([1.0, 0.0, 0.5], 8)
    assert by_family(won, language, names).tolist() == [1.0, 0.0, 0.5] and len(asked) == 24
    dealt = strangers(asked, language, names)
    assert 0 < len(dealt) <= len(asked) and not np.any(dealt[:, :3] == dealt[:, 3:])
    assert not {tuple(row) for row in dealt} <= {tuple(row) for row in asked}


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


def test_arrays_are_computed_once(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.arange(3)}

    first, again = (kept_arrays(tmp_path, "cell", "same", compute) for _ in range(2))
    kept_arrays(tmp_path, "cell", "another", compute)
    assert len(calls) == 2 and again["x"].tolist() == first["x"].tolist() == [0, 1, 2]


def test_a_text_that_is_not_there_is_named(monkeypatch):
    monkeypatch.delenv("JAXEMBED_DATA", raising=False)
    with pytest.raises(ValueError, match="JAXEMBED_DATA"):
        corpus(100, 5, None)


@pytest.mark.slow
def test_emergence_at_size_tiny(tmp_path, monkeypatch):
    result = analogy_emergence("tiny", 2, tmp_path)
    assert {check.name: check.passed for check in result.checks()} == {c.name: True for c in result.checks()}
    assert all(len(row) == len(HEADER) for row in result.rows()) and len(result.rows()) == 5
    assert np.abs(result.ratios("half_rises") - 1).max() < 0.1 < np.abs(result.ratios("wrong") - 1).max()
    monkeypatch.setattr(emergence_module, "ladders", None)  # all is read from the folder
    again = analogy_emergence("tiny", 2, tmp_path)
    np.testing.assert_array_equal(again.seen["power"], result.seen["power"])


@pytest.mark.slow
def test_moment_at_size_tiny():
    result = analogy_moment("tiny", 2)
    assert all(check.passed for check in result.checks())
    assert all(len(row) == len(MOMENT_HEADER) for row in result.rows())
    assert [row[4] for row in result.rows() if row[1] == "shuffled pairs"] == ["undefined", "undefined"]
