import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxembed.observables import summary


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
