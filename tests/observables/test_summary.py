import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxembed.observables import summary
from jaxembed.observables.summary import ends_within


def test_summary_equals_scipy(tolerance):
    values = np.random.default_rng(0).normal(size=(6, 2))
    got = summary(jnp.asarray(values), level=0.9)
    np.testing.assert_allclose(got.mean, values.mean(axis=0), rtol=10 * tolerance)
    np.testing.assert_allclose(got.sd, values.std(axis=0, ddof=1), rtol=10 * tolerance)
    ends = stats.t.interval(0.9, 5, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose((got.low, got.high), ends, rtol=100 * tolerance)


def test_the_interval_covers_as_often_as_it_says():
    values = jnp.asarray(np.random.default_rng(0).normal(loc=2, size=(5, 4000)))
    got = summary(values)
    assert np.mean((got.low < 2) & (got.high > 2)) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(("mean", "size"), [(0.5, 20), (0.9, 20), (0.98, 50)])
@pytest.mark.parametrize("count", [3, 5, 20])
def test_an_interval_of_shares_covers_and_stays_in_its_range(mean, size, count):
    values = np.random.default_rng(0).beta(mean * size, (1 - mean) * size, (count, 4000))
    got, plain = summary(jnp.asarray(values), within=(0, 1)), summary(jnp.asarray(values))
    covered = [float(np.mean((x.low <= mean) & (x.high >= mean))) for x in (got, plain)]
    assert got.low.min() > 0 and got.high.max() < 1 and 0.93 < covered[0] < 0.97
    if mean > 0.9 and count <= 5:  # where the plain one is too narrow, and leaves the range
        assert covered[1] < 0.9 and plain.high.max() > 1


def test_an_interval_of_distances_covers_and_stays_above_nothing():
    values = np.random.default_rng(0).gamma(2.0, 0.5, (5, 4000))
    got, mirrored = (summary(jnp.asarray(x), within=r) for x, r in ((values, (0, np.inf)), (-values, (-np.inf, 0))))
    assert got.low.min() > 0 and 0.92 < np.mean((got.low <= 1) & (got.high >= 1)) < 0.97
    np.testing.assert_allclose(mirrored.high, -got.low, rtol=1e-5)


def test_the_interval_of_a_correlation_is_fishers(tolerance):
    low, high = ends_within(0.8, 0.1, (-1, 1))
    reach = 0.1 / (1 - 0.8**2)
    np.testing.assert_allclose((low, high), np.tanh(np.arctanh(0.8) + np.array([-reach, reach])), rtol=10 * tolerance)


def test_values_that_all_lie_at_the_end_of_the_range_have_no_spread():
    got = summary(jnp.ones(3), within=(0, 1))
    assert got.low == got.high == 1
    assert np.isnan(summary(jnp.array([1.0, jnp.nan]), within=(0, 1)).low)


def test_text_says_what_varied():
    assert str(summary(jnp.array([0.9, 1.0, 1.1]), "data orders")) == (
        "1 [0.752, 1.25] (95 % interval over 3 data orders)"
    )
    assert str(summary(jnp.array([0.5]))) == "0.5, interval undefined (1 init seeds)"
    assert str(summary(jnp.array([0.5, jnp.nan]))) == "undefined (2 init seeds)"


def test_one_seed_has_no_interval_and_an_undefined_seed_no_mean():
    one = summary(jnp.array([0.5]))
    assert one.mean == 0.5 and np.isnan([one.sd, one.low, one.high]).all()
    assert np.isnan(summary(jnp.array([0.5, jnp.nan, 0.7])).mean)


def test_plain_equals_jit(tolerance):
    values = jnp.asarray(np.random.default_rng(0).normal(size=(6, 2)))
    np.testing.assert_allclose(jax.jit(summary)(values).high, summary(values).high, rtol=tolerance)
    assert jax.jit(summary)(values).varied == "init seeds"


def test_refusals():
    with pytest.raises(ValueError, match="values: need at least one value"):
        summary(jnp.zeros(0))
    with pytest.raises(ValueError, match="level: need a confidence level between 0 and 1"):
        summary(jnp.ones(3), level=95.0)
