"""Scores by hand and by scipy; the share of a gap."""

import numpy as np
import pytest
from scipy.stats import entropy, spearmanr

from jaxembed.probes import best, gap_closed, scores
from jaxembed.probes.scores import higher_is_better


def test_scores_of_reals():
    target = np.array([[0.0, 10.0], [1.0, 10.0], [2.0, 40.0]])
    said = np.array([[0.5, 20.0], [1.0, 20.0], [1.5, 20.0]])
    found = scores("real", said, target, ("a", "b"))
    assert found["R2 a"] == pytest.approx(1 - 0.5 / 2)
    assert found["R2 b"] == pytest.approx(1 - 600 / 600)
    assert found["R2"] == pytest.approx((0.75 + 0.0) / 2)
    assert found["R2 weighted"] == pytest.approx(1 - 600.5 / 602)
    assert found["relative error"] == pytest.approx(np.sqrt(600.5 / (target**2).sum()))
    assert found["rank correlation a"] == pytest.approx(1.0)
    assert np.isnan(found["rank correlation b"]) and np.isnan(found["rank correlation"])  # a constant has no ranks


def test_rank_correlation_takes_ties_as_scipy_does():
    generator = np.random.default_rng(0)
    one, other = generator.integers(0, 4, (50, 1)) + 0.0, generator.integers(0, 4, (50, 1)) + 0.0
    found = scores("real", one, other)["rank correlation"]
    assert found == pytest.approx(spearmanr(one[:, 0], other[:, 0]).statistic, abs=1e-12)


def test_a_constant_target_has_no_r2():
    assert np.isnan(scores("real", np.array([[1.0], [2.0]]), np.array([[0.1], [0.1]]))["R2"])


def test_scores_of_distributions():
    p, q = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7]]), np.array([[0.4, 0.4, 0.2], [0.5, 0.2, 0.3]])
    found = scores("distribution", q, p)
    assert found["accuracy"] == 0.5
    assert found["L2"] == pytest.approx((0.06 + 0.32) / 2)
    assert found["KL"] == pytest.approx(np.mean([entropy(a, b) for a, b in zip(p, q, strict=True)]))
    assert found["max-abs"] == pytest.approx((0.2 + 0.4) / 2)
    own = scores("distribution", p, p)
    assert (own["accuracy"], own["L2"], own["KL"], own["max-abs"]) == (1.0, 0.0, 0.0, 0.0)


def test_tables_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        scores("real", np.zeros((3, 1)), np.zeros((3, 2)))


def test_the_share_of_a_gap_goes_either_way_and_may_be_undefined():
    assert gap_closed(0.02, 0.1, 0.0) == pytest.approx(0.8)
    assert gap_closed(0.2, 0.1, 0.0) == pytest.approx(-1.0)
    assert np.isnan(gap_closed(0.3, 0.3, 0.3))
    assert np.isnan(gap_closed(np.nan, 0.1, 0.3))


def test_the_best_null_depends_on_the_metric():
    nulls = np.array([[0.1, np.nan], [0.3, np.nan], [np.nan, np.nan]])
    assert best("R2", nulls)[0] == 0.3 and best("KL", nulls)[0] == 0.1
    assert np.isnan(best("L2", nulls)[1])
    assert higher_is_better("R2 mean") and not higher_is_better("relative error")
    with pytest.raises(ValueError, match="unknown 'loss'"):
        higher_is_better("loss")
