"""Statistics, moments and memorised items of exchangeable settings, at size tiny."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.decoding import Decoded
from jaxembed.decoding.scores import Cell
from jaxembed.processes import GaussianGamma
from jaxembed.studies.sequences import parsimony
from jaxembed.studies.sequences import sufficient_statistics as study
from jaxembed.studies.sequences.memorisation import HEADER, ITEMS, linear_r2, memorisation

SEEDS = 2


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder that both studies take their networks from."""
    if jnp.zeros((), float).dtype == np.float32:
        pytest.skip("exact posteriors: float64")
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def result(kept):
    return study.sufficient_statistics("tiny", SEEDS, kept)


@pytest.mark.slow
def test_checks_pass_at_tiny(result):
    assert not [check for check in result.checks() if not check.passed]
    assert all(len(row) == len(study.HEADER) for row in result.rows())
    assert len(result.loss_rows()) == len(result.explained_rows()) == 1


@pytest.mark.slow
def test_the_embedding_is_explained_by_its_own_statistics(result):
    explained = result.settings[study.GAUSS].explained
    for null in (parsimony.COUNT, parsimony.PAIRED):
        assert np.all(explained[parsimony.STATISTICS] > explained[null] + 0.2)


@pytest.mark.slow
def test_the_figure_reads_what_the_scores_say(result):
    found = result.settings[study.GAUSS]
    readings = found.readings["own"]
    assert readings.truth.shape == readings.said.shape == (200, len(readings.names))
    r2 = 1 - np.sum((readings.truth - readings.said) ** 2, axis=0) / (200 * readings.truth.var(axis=0))
    score = found.own.decoded.values("statistics", "R2 mean")[0]
    assert abs(r2[readings.names.index("mean")] - score) < 0.05


@pytest.mark.slow
def test_ten_items_from_the_embedding_of_the_tenth(result, kept):
    found = memorisation("tiny", SEEDS, kept)
    assert not [check for check in found.checks() if not check.passed]
    assert len(found.rows()) == ITEMS and all(len(row) == len(HEADER) for row in found.rows())


def test_exact_nulls_against_regression():
    """The published nulls, and least squares on draws of another prior."""
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
    cells = [Cell("mean", 3, None, None, source, "rank correlation", row) for source, row in values.items()]
    texts = study._texts(Decoded(tuple(cells), {}, (0, 1)), "mean", "rank correlation")
    assert dict(zip(study.HEADER[5:], texts[1:], strict=True)) == {
        "untrained": "0.5",
        "last item": "0.000123",
        "shuffled targets": "undefined",
        "constant": "undefined",
        "ceiling": "1",
        "share closed": "0.7 [-0.571, 1.97]",
    }


def test_without_a_number_more_than_the_best_null_is_asked():
    values, null = np.array([0.9, 0.7]), np.array([0.8, 0.8])
    assert not study._least("equal means", None, values, null).passed
    assert study._least("above", None, values + 0.01, null).passed
    assert study._least("a number", 0.8, values, null + 1).passed
