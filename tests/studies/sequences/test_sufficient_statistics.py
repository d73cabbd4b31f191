"""Statistics, moments and memorised items of exchangeable settings, at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.decoding import Decoded, DecodingScore
from jaxembed.processes import GaussianGamma
from jaxembed.studies.sequences import memorisation, parsimony
from jaxembed.studies.sequences import sufficient_statistics as study
from jaxembed.studies.sequences._shared import score_evidence


def met(rows):
    """Ids whose mean over seeds lies inside the bound."""
    return {row.id for row in rows if row.bound.holds(row.mean)}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder that both studies take their networks from."""
    if jnp.zeros((), float).dtype == np.float32:
        pytest.skip("exact posteriors: float64")
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def result(kept):
    return study.STUDY.result("tiny", keep=kept)


@pytest.mark.slow
def test_what_is_expected_holds_at_tiny(result):
    names = ("mean", "sd", "gap", "parsimony", f"explained-{study.GAUSS}")
    assert met(study.evidence(result)) >= {f"statistics-{name}" for name in names}


@pytest.mark.slow
def test_the_embedding_is_explained_by_its_own_statistics(result):
    explained = result.processes[study.GAUSS].explained
    for null in (parsimony.COUNT, parsimony.PAIRED):
        assert np.all(explained[parsimony.STATISTICS] > explained[null] + 0.2)


@pytest.mark.slow
def test_the_figure_reads_what_the_scores_say(result):
    process = result.processes[study.GAUSS]
    readings = process.readings["own"]
    assert readings.truth.shape == readings.answers.shape == (200, len(readings.names))
    r2 = 1 - np.sum((readings.truth - readings.answers) ** 2, axis=0) / (200 * readings.truth.var(axis=0))
    score = process.own.decoded.values("statistics", "R2 mean")[0]
    assert abs(r2[readings.names.index("mean")] - score) < 0.05


@pytest.mark.slow
def test_ten_items_from_the_embedding_of_the_tenth(result, kept):
    found = memorisation.STUDY.result("tiny", keep=kept)
    assert met(memorisation.evidence(found)) >= {"memorisation-last", "memorisation-added"}
    assert found.items(study.GAUSS)[:, -1].mean() >= 0.9
    assert len(memorisation.tables(found)[0].rows) == memorisation.ITEMS


def test_exact_nulls_against_regression():
    """The published nulls, and least squares on draws of another prior."""
    linear_r2 = memorisation.linear_r2
    last, mean = np.eye(10)[-1:], np.full((1, 10), 0.1)
    both = np.concatenate([mean, last])
    np.testing.assert_allclose([linear_r2(GaussianGamma(), x)[0] for x in (last, mean)], [0.25, 0.55], rtol=1e-12)
    assert linear_r2(GaussianGamma(), both)[0] == pytest.approx(0.556, abs=5e-4)
    process = GaussianGamma(0.5, 2.0, 6.0, 1.0)
    rng = np.random.default_rng(0)
    tau = rng.gamma(process.shape, 1 / process.rate, (20_000, 1))
    mu = rng.normal(process.mean, (process.strength * tau) ** -0.5)
    items = rng.normal(mu, tau**-0.5, (20_000, 10))
    # Normal equations: a product of 20,000 rows is cheaper than their decomposition.
    covariance = np.cov(items.T, bias=True)
    weights = np.linalg.solve(both @ covariance @ both.T, both @ covariance)
    left = covariance - covariance @ both.T @ weights
    r2 = 1 - np.diag(left) / np.diag(covariance)
    np.testing.assert_allclose(linear_r2(process, both), r2, atol=0.02)


def test_what_is_undefined_is_printed_as_the_word_and_small_numbers_keep_their_digits():
    """A probe of shuffled targets may say a constant, which has no rank correlation."""
    values = {"model": (0.9, 0.8), "untrained": (0.5, 0.5), "ceiling": (1.0, 1.0), "shuffled targets": (np.nan, 0.1)}
    values |= {"last item": (0.0001234, 0.0001234), "constant": (np.nan, np.nan)}
    scores = [DecodingScore("mean", 3, None, None, source, "rank correlation", row) for source, row in values.items()]
    texts = Decoded(tuple(scores), {}, (0, 1)).texts("mean", "rank correlation")
    sources = ("untrained", "last item", "shuffled targets", "constant", "ceiling", "share closed")
    assert dict(zip(sources, texts[1:], strict=True)) == {
        "untrained": "0.5",
        "last item": "0.000123",
        "shuffled targets": "undefined",
        "constant": "undefined",
        "ceiling": "1",
        "share closed": "0.7 [-0.571, 1.97]",
    }


def test_without_a_number_more_than_the_best_null_is_asked():
    values, null = np.array([0.9, 0.7]), np.array([0.8, 0.8])
    assert not met([score_evidence("equal", "equal means", values, null, None)])
    assert met([score_evidence("above", "above", values + 0.01, null, None)])
    number = study.Bound("expectation", least=0.8)
    assert met([score_evidence("number", "a number", values, null + 1, number)])
