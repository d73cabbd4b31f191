"""Documents of topics at size tiny: shares of the gap, cross-probing, topics amid grammar."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from jaxembed.runs.presets.catalogue import SETTINGS, find_setting
from jaxembed.studies.sequences import ceilings
from jaxembed.studies.sequences import cross_probing as crossed
from jaxembed.studies.sequences import semantic_share as amid
from jaxembed.studies.sequences import topics as study

pytestmark = pytest.mark.float64_only("studies compute exact posteriors in float64")


def test_settings_have_the_published_sizes():
    full = SETTINGS["topics"]["published"]
    process, recipe = full.process, full.recipe
    model: Any = recipe.model
    assert (process.vocab, process.topics, process.beta) == (1000, 5, 0.5)
    assert (model.layers, model.width, model.heads) == (4, 128, 8)
    assert full.probing.places(recipe.length) == (99,), "after 100 words"
    assert SETTINGS["hmm-topics"]["published"].probing.places(401) == (399,), "after 400 words"


@pytest.mark.parametrize("size", ["tiny", "quick", "published"])
def test_masked_networks_predict_as_many_words_in_all(size):
    setting = find_setting("topics", size)
    other = study.masked_setting(setting, study.SETTINGS[size].masks)
    forward, masked = (one.recipe.predicted * one.recipe.steps for one in (setting, other))
    assert masked == pytest.approx(forward, rel=0.01)
    assert not other.recipe.model.causal and other.probing.pool == "average"
    network: Any = other.recipe.model
    assert replace(network, causal=True) == setting.recipe.model, "the same network but for the mask"


@pytest.mark.slow
def test_word_frequencies_reach_the_mixture_of_topics_that_share_no_word():
    """Where every word names its topic, frequencies are all there is to know, and the two best guesses agree."""
    setting = find_setting("topics", "tiny")
    process = setting.process
    topics = np.kron(np.eye(3), np.full((1, 6), 1 / 6))
    process = replace(process, vocab=18, alpha=1.0)
    world = process.given(topics)
    said, truth = study.word_regression(process, setting.probing, world, jax.random.key(0), 16)
    count = setting.probing.train + setting.probing.validation + setting.probing.test
    seen = process.sample(jax.random.key(0), world, count, 16).items[-len(said) :, :15]
    counts = np.stack([np.bincount(np.asarray(row) // 6, minlength=3) for row in seen])
    exact = (counts + 1) / (15 + 3)
    errors = [np.mean(np.sum((guess - truth) ** 2, axis=1)) for guess in (said, exact, truth.mean(0)[None])]
    # A softmax of a line is not quite the line that is best here.
    assert errors[1] < errors[0] < 1.3 * errors[1] < 0.3 * errors[2]


@pytest.mark.slow
def test_topics_at_tiny():
    result = study.STUDY.result("tiny")
    assert all(row.bound.holds(row.mean) for row in study.evidence(result))
    alpha = result.setting.alphas[0]
    for metric in ("L2", "max-abs"):
        ceiling = result.values(alpha, "ceiling", metric)
        assert all(np.all(result.values(alpha, source, metric) > ceiling) for source in result.sources(alpha)[:-1])
    assert abs(result.share(alpha, "shuffled targets").mean()) > 0.2, "wrong targets are far from the best null"


@pytest.mark.slow
def test_cross_probing_at_tiny():
    (row, _) = crossed.evidence(crossed.STUDY.result("tiny", seeds=2))
    assert row.bound.holds(row.values), "every network's own documents above every other's"


@pytest.mark.slow
def test_semantic_share_at_tiny():
    result = amid.STUDY.result("tiny")
    assert all(row.bound.holds(row.mean) for row in amid.evidence(result))


@pytest.mark.slow
def test_exact_inference_tells_rectangles_and_topics():
    result = ceilings.STUDY.result("tiny")
    assert all(row.bound.holds(row.mean) for row in ceilings.evidence(result))
