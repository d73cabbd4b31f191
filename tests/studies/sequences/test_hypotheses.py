"""Discrete hypotheses: scores of known predictions, and the study at size tiny."""

from typing import Any

import jax
import numpy as np
import pytest

from jaxembed.decoding import Decoded, DecodingScore, Probing
from jaxembed.processes import NumberGame, Rectangles
from jaxembed.runs.presets.catalogue import SETTINGS
from jaxembed.studies.sequences import hypotheses as study
from jaxembed.studies.sequences import hypothesis_map as mapped
from jaxembed.studies.sequences import hypothesis_scores as scores

pytestmark = pytest.mark.float64_only("studies compute exact posteriors in float64")

POSTERIOR = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.0, 1.0, 0.0], [0.4, 0.35, 0.25]])
GENERATING = np.array([1, 2, 1, 0])


def test_scores_of_the_exact_posterior_are_the_ceiling():
    found = scores.hypothesis_scores(POSTERIOR, POSTERIOR, GENERATING)
    assert found["agreement"] == 1 and found["L2"] == 0
    assert found["generating"] == 0.75, "the first sequence's likeliest hypothesis is not the one behind it"
    positive = POSTERIOR[POSTERIOR > 0]
    assert found["cross-entropy"] == pytest.approx(-np.sum(positive * np.log(positive)) / 4)


def test_scores_of_another_distribution():
    said = np.roll(POSTERIOR, 1, axis=1)
    found = scores.hypothesis_scores(said, POSTERIOR, GENERATING)
    assert found["agreement"] == 0 and found["generating"] == 0.25
    assert found["L2"] == pytest.approx(np.mean(np.sum((said - POSTERIOR) ** 2, axis=1)))


def test_majority_is_the_hypothesis_most_often_likeliest():
    probing = Probing(("hypothesis",), train=4, validation=2, test=2)
    posterior = np.concatenate([POSTERIOR[[0, 0, 3, 1]], POSTERIOR[[1, 1]], POSTERIOR[[0, 2]]]).astype(np.float32)
    said = scores._majority(posterior, probing)
    assert said.shape == (2, 3) and (said.argmax(axis=1) == 0).all()
    np.testing.assert_allclose(said[0, 1:], posterior[:4].mean(axis=0)[1:], rtol=1e-6)


def test_a_probe_that_is_carried_over_is_fitted_on_one_prior_and_scored_on_the_other():
    probing = Probing(("hypothesis",), train=3, validation=2, test=2)
    own, other = (scores.draw_hypotheses(Rectangles(grid=3), jax.random.key(seed), 7, 4, (3,)) for seed in (0, 1))
    both = scores.fitted_on(own, other, probing)
    np.testing.assert_array_equal(both.items, np.concatenate([own.items[:5], other.items[5:]]))
    np.testing.assert_array_equal(both.generating, np.concatenate([own.generating[:5], other.generating[5:]]))


def test_a_line_reads_what_is_linear():
    x = np.random.default_rng(0).normal(size=(400, 2))
    found = mapped.on_line(x, np.c_[x @ [1.0, 2.0], x[:, 0] * x[:, 1]])
    assert found[0] == pytest.approx(1) and abs(found[1]) < 0.1


def test_settings_have_the_published_sizes():
    full: Any = SETTINGS["rectangles"]["published"]
    model = full.recipe.model
    assert full.process == Rectangles("easy") and full.process.hypotheses == 784
    assert (model.layers, model.width, model.heads, model.mlp_width) == (3, 128, 8, 128)
    assert full.probing.places(full.recipe.length) == tuple(count - 1 for count in study.PUBLISHED)
    assert full.recipe.length > max(study.PUBLISHED), "what has read all points predicts one more"
    assert (model.norm, model.dropout) == ("post", 0.1)
    assert full.probing.train + full.probing.validation == 19_000
    assert SETTINGS["rectangles-hard"]["published"].process == Rectangles("hard")
    assert SETTINGS["number-game"]["published"].process == NumberGame()


def _agreeing(size, agreement):
    """A study of one seed in which the model agrees so often, its nulls never, and always in the shifted prior."""
    agreed = dict.fromkeys(scores.NULLS, 0.0) | {scores.MODEL: agreement, scores.CEILING: 1.0}
    rows = [
        DecodingScore(prior, place, None, None, source, metric, (value,))
        for prior in study.PRIORS
        for place in (19, 49)
        for source in agreed
        for metric, value in (("agreement", agreed[source]), ("generating", 0.5))
    ]
    decoded, setting = Decoded(tuple(rows), {}, (0,)), study.SETTINGS[size]
    curve = {"exact": np.zeros(3), scores.MODEL: np.ones((1, 3)), scores.UNTRAINED: np.full((1, 3), 2.0)}
    return study.Hypotheses(setting, dict.fromkeys(setting.runs, decoded), {"1, 2": curve})


def test_every_run_is_asked_for_its_share_and_published_numbers_of_published_sizes_alone():
    quick, full = (study.evidence(_agreeing(size, 0.6)) for size in ("quick", "published"))
    shares = [row for row in quick if row.id.endswith("posterior")]
    assert len(shares) == len(study.EVERY) and not any(row.holds() for row in shares)
    assert any(row.id == study.SHARES[study.DENSITY][0] for row in shares)
    assert not any("agreement" in row.id for row in quick)
    asked = [row for row in full if row.id.startswith("rectangles-agreement")]
    assert len(asked) == len(study.PUBLISHED) and not any(row.holds() for row in asked)


@pytest.mark.slow
def test_tiny_study(tmp_path, tends):
    result = study.STUDY.result("tiny", keep=tmp_path)
    assert all(tends(row) for row in study.evidence(result)), study.evidence(result)
    for run in result.decoded:
        for position in result.places(run):
            ceiling = result.values(run, position, scores.CEILING, "cross-entropy")
            for source in scores.SOURCES:
                assert np.all(result.values(run, position, source, "cross-entropy") >= ceiling - 1e-6), (run, source)
            assert np.all(result.null(run, position) < 1)
    assert all(min(decoded.losses["excess"]) > 0 for decoded in result.decoded.values())
    exact = result.curves["12, 18, 3, 9"]["exact"]
    assert exact.min() >= 0 and exact.max() == pytest.approx(1)
    again = study.STUDY.result("tiny", keep=tmp_path)
    assert study.tables(again) == study.tables(result), "what was kept is what was computed"


@pytest.mark.slow
def test_tiny_map(tends):
    result = mapped.STUDY.result("tiny")
    assert all(tends(row) for row in mapped.evidence(result))
    assert np.all(result.position(scores.MODEL) > result.position(scores.UNTRAINED))


def test_the_extent_of_mirrored_rectangles_is_read_by_curves_alone():
    """Where wide rectangles lie in the middle: no line says how wide, a curve does."""
    generator = np.random.default_rng(1)
    centre = generator.uniform(-1, 1, (600, 2))
    box = np.c_[centre, 1 - np.abs(centre) ** 2]
    line, curve = np.split(mapped.read_off(centre, box), [4])
    assert line[:2] == pytest.approx(1) and np.all(np.abs(line[2:]) < 0.1) and curve == pytest.approx(1)
