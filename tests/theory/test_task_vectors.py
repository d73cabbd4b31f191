"""theory/task_vectors.md: bulk, spike, overlap, signal-to-noise and shuffled partners, on offsets that are drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.theory import task_vectors as tv

N, D, L, DRAWS = 60, 240, 4.0, 20


def drawn(rng, scales=None, strength=L):
    """Offsets with a task vector of a given strength, and noise whose standard deviation by column is `scales`."""
    scales = np.ones(D) if scales is None else scales
    mu = scales * rng.normal(size=len(scales))
    mu *= np.sqrt(strength * np.sum(scales**2) / N) / np.linalg.norm(mu)
    return mu[None, :] + scales[None, :] * rng.normal(size=(N, len(scales)))


def seen(offsets, trace):
    """Largest and second eigenvalue in units of the noise, overlap with the mean, SNR, mean cosine."""
    values, vectors = np.linalg.eigh(offsets @ offsets.T / trace)
    mean, leading = offsets.mean(axis=0), offsets.T @ vectors[:, -1] / np.sqrt(trace * values[-1])
    unit = offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
    cosine = (np.sum(unit.sum(axis=0) ** 2) - N) / (N * (N - 1))
    overlap = abs(leading @ mean) / np.linalg.norm(mean)
    return np.array([values[-1], values[-2], overlap, values[-1] * min(offsets.shape) / values.sum(), cosine])


@pytest.fixture(scope="module")
def families():
    return np.array([seen(drawn(np.random.default_rng(seed)), D) for seed in range(DRAWS)])


def test_spike_bulk_overlap_snr_and_consistency_of_drawn_families(families):
    g = N / D
    expected = [
        tv.spike(L, g),
        tv.bulk_edges(g)[1],
        tv.mean_overlap(L, g),
        tv.snr(L, g, float(N), float(D)),
        tv.consistency(L, float(N)),
    ]
    found = families.mean(axis=0) / np.array([float(x) for x in expected])
    assert np.all(np.abs(found - 1) < [0.04, 0.08, 0.005, 0.04, 0.05]), found


def test_below_the_threshold_nothing_leaves_the_bulk():
    g, weak = N / D, 0.1
    top = np.mean([seen(drawn(np.random.default_rng(seed), strength=weak), D) for seed in range(DRAWS)], axis=0)
    assert float(tv.spike(weak, g)) == pytest.approx(float(tv.bulk_edges(g)[1]))
    assert top[0] == pytest.approx(float(tv.spike(weak, g)), rel=0.05)
    assert float(tv.mean_overlap(weak, g)) == 0 and top[2] < 0.5


def test_uneven_noise_acts_through_its_effective_width(families):
    scales = 0.99 ** np.arange(400)
    g = float(tv.ratio(jnp.diag(jnp.asarray(scales**2)), float(N)))
    assert N / g == pytest.approx(np.sum(scales**2) ** 2 / np.sum(scales**4), rel=1e-5)
    found = np.mean([seen(drawn(np.random.default_rng(s), scales), np.sum(scales**2)) for s in range(DRAWS)], axis=0)
    assert found[0] == pytest.approx(float(tv.spike(L, g)), rel=0.06)
    assert found[1] == pytest.approx(float(tv.bulk_edges(g)[1]), rel=0.08)
    naive = float(tv.bulk_edges(N / 400)[1])
    assert abs(found[1] / naive - 1) > 0.2  # the control: the number of columns is not the width


def test_the_rank_in_the_snr_is_that_of_the_columns():
    scales = 0.9753 ** np.arange(400)
    g = float(tv.ratio(jnp.diag(jnp.asarray(scales**2)), float(N)))
    assert N / g < 0.7 * N  # more pairs than effective dimensions, fewer than columns
    found = np.mean([seen(drawn(np.random.default_rng(s), scales), np.sum(scales**2))[3] for s in range(DRAWS)])
    assert found == pytest.approx(float(tv.snr(L, g, float(N), 400.0)), rel=0.1)
    assert abs(found / float(tv.snr(L, g, float(N), N / g)) - 1) > 0.3  # the effective dimensions are not the rank


def test_shuffled_partners_keep_the_mean_and_lose_strength():
    rng, rho = np.random.default_rng(1), 0.6
    shared, own = rng.normal(size=(2, 4000, 50))
    a = shared
    b = rho * shared + np.sqrt(1 - rho**2) * own + 0.3
    mean, noise, shuffled = 50 * 0.09, [], []
    for partners, kept in ((b, noise), (b[rng.permutation(4000)], shuffled)):
        rest = partners - a - (partners - a).mean(axis=0, keepdims=True)
        kept.append(np.sum(rest**2) / 3999)
    before, after = (float(tv.strength(mean, value[0], 4000.0)) for value in (noise, shuffled))
    assert after == pytest.approx(float(tv.shuffled_strength(before, rho)), rel=0.03)


@pytest.mark.parametrize("g", [0.25, 1.0, 4.0])
def test_density_has_its_mass_and_mean_one(g):
    low, high = (float(edge) for edge in tv.bulk_edges(g))
    angles = (np.arange(20_000) + 0.5) * np.pi / 20_000
    x = (low + high) / 2 + (high - low) / 2 * np.cos(angles)
    weight = np.asarray(tv.bulk_density(jnp.asarray(x, float), g)) * (high - low) / 2 * np.sin(angles) * np.pi / 20_000
    assert weight.sum() == pytest.approx(min(1, 1 / g), rel=1e-3)
    assert (weight * x).sum() == pytest.approx(1, rel=1e-3)


def test_limits_and_tracing(tolerance):
    for g in (0.25, 4.0):
        edge = float(tv.bulk_edges(g)[1])
        assert float(tv.spike(np.sqrt(g) * (1 + 1e-6), g)) == pytest.approx(edge, rel=1e-5)
        assert float(tv.spike(1e6, g)) == pytest.approx(1e6 + 1 + g, rel=1e-5)
        assert float(tv.snr(1e9, g, 100.0, 100.0 / g)) == pytest.approx(100 * min(1, 1 / g), rel=1e-4)
    assert float(tv.mean_overlap(2.0, 0.0)) == 1 and float(tv.shuffled_strength(3.0, 0.0)) == 3
    strengths = jnp.asarray([0.1, 1.0, 5.0], float)
    for function in (tv.spike, tv.mean_overlap):
        plain = function(strengths, 0.25)
        np.testing.assert_allclose(jax.jit(function)(strengths, 0.25), plain, rtol=tolerance)
    np.testing.assert_allclose(
        tv.snr(strengths, 0.25, 20.0, 80.0), [tv.snr(x, 0.25, 20.0, 80.0) for x in strengths], rtol=tolerance
    )
