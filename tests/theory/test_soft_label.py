"""theory/soft_label.md: concepts of the centred support, their steps, and random starts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import integrate
from jaxembed.theory import soft_label

float64_only = pytest.mark.float64_only("needs float64 resolution")
TOKENS, CONTEXTS = 9, 6


@pytest.fixture(scope="module")
def support():
    return jnp.asarray(np.random.default_rng(0).random((TOKENS, CONTEXTS)) < 0.4, float)


@pytest.fixture(scope="module")
def sig(support):
    return soft_label.centred_support(support)


@jax.jit
def exact(state, ts, sig):
    return integrate(soft_label.field, state, ts, sig, rtol=1e-12, atol=1e-16).ys


def logits(state):
    return state["unembed"] @ state["embed"].T


def drawn(scale, width=8):
    rng = np.random.default_rng(1)
    sizes = {"embed": CONTEXTS, "unembed": TOKENS}
    return {name: jnp.asarray(scale * rng.normal(size=(n, width)), float) for name, n in sizes.items()}


def test_centring_takes_each_context_s_mean(support, sig, tolerance):
    np.testing.assert_allclose(sig, np.asarray(support) - np.asarray(support).mean(axis=0)[None, :], atol=tolerance)
    output, sigma, contexts = soft_label.modes(sig)
    np.testing.assert_allclose(output * sigma[None, :] @ contexts.T, sig, rtol=0, atol=10 * tolerance)


def test_the_field_is_the_gradient_flow_of_the_squared_error(sig, tolerance):
    state = drawn(0.5)
    expected = jax.grad(lambda s: jnp.sum((sig - logits(s)) ** 2) / 2)(state)
    for name, rate in soft_label.field(0.0, state, sig).items():
        np.testing.assert_allclose(rate, -expected[name], rtol=0, atol=10 * tolerance)


@float64_only
@pytest.mark.parametrize("delta", [2.0, 6.0])
def test_concepts_of_an_aligned_start_against_the_flow(sig, delta):
    output, sigma, contexts = soft_label.modes(sig)
    ts = delta * jnp.linspace(0.0, 2.0 / sigma[-1], 14)
    ys = exact(soft_label.aligned_start(sig, delta, 8), ts, sig)
    found = jnp.einsum("ik,tij,jl->tkl", output, jax.vmap(logits)(ys), contexts) / sigma[None, :, None]
    expected = soft_label.share(ts[:, None], sigma[None, :], delta)
    assert np.abs(np.diagonal(found, axis1=1, axis2=2) - expected).max() < 1e-10
    assert np.abs(found * (1 - np.eye(len(sigma)))[None]).max() < 1e-10
    assert expected[-1].min() > 0.9 and expected[0].max() < 0.1


@float64_only
def test_steps_approach_one_over_sigma_as_the_start_vanishes(sig):
    sigma = soft_label.modes(sig).strength
    errors = [np.abs(soft_label.step_time(sigma, d) * sigma - 1).max() for d in (10.0, 100.0, 1000.0)]
    assert errors[2] < 1e-3
    assert np.allclose(np.log10(errors[:-1]) - np.log10(errors[1:]), 1, atol=1e-3)
    times = 10.0 * soft_label.step_time(sigma, 10.0)
    np.testing.assert_allclose(soft_label.share(times, sigma, 10.0), 0.5, rtol=1e-9)
    assert np.all(np.diff(times) > 0)  # broad concepts first


@pytest.mark.slow  # test_deep_linear has it by default
@float64_only
def test_a_random_start_in_closed_form(sig):
    sigma = soft_label.modes(sig).strength
    errors = []
    for scale in (1e-2, 1e-4):
        ts = jnp.linspace(0.0, -1.5 * np.log(scale) / sigma[-1], 14)
        truth = jax.vmap(logits)(exact(drawn(scale), ts, sig))
        closed = jax.vmap(soft_label.closed_form, (0, None, None))(ts, drawn(scale), sig)
        gap = jnp.linalg.norm(jax.vmap(logits)(closed) - truth, axis=(1, 2)) / jnp.linalg.norm(truth, axis=(1, 2))
        errors.append(float(gap.max()))
    assert errors[1] < 2e-4
    assert abs(np.log10(errors[0] / errors[1]) / 2 - 1) < 0.25


@float64_only
def test_another_support_is_another_theory(sig):
    state, ts = drawn(1e-3), jnp.linspace(0.0, 10.0, 14)
    truth = logits(jax.tree.map(lambda y: y[-1], exact(state, ts, sig)))
    right, wrong = (logits(soft_label.closed_form(10.0, state, s)) for s in (sig, sig[:, ::-1]))
    assert jnp.linalg.norm(right - truth) < 0.01 * jnp.linalg.norm(wrong - truth)


def test_a_narrow_aligned_start_is_refused(sig):
    with pytest.raises(ValueError, match="width: "):
        soft_label.aligned_start(sig, 3.0, 2)
