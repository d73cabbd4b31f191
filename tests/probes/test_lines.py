"""Linear probes against closed forms and other libraries; what is planted is found, what is shuffled is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.probes import mlp_probe, ridge, scores, softmax_probe
from jaxembed.probes.ridge import PENALTIES

CUTS = (120, 180)


def parts(values):
    return np.split(np.asarray(values), CUTS)


@pytest.fixture(scope="module")
def inputs():
    mixing = jax.random.normal(jax.random.key(1), (5, 5))
    return np.asarray(jax.random.normal(jax.random.key(0), (400, 5)) @ mixing + 3)


@pytest.fixture(scope="module")
def line():
    return np.asarray(jax.random.normal(jax.random.key(2), (5, 3)))


def closed_form(x, y, x_new, penalty):
    """Ridge regression by the normal equations, in numpy."""
    z, u = (x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0)
    weights = np.linalg.solve(z.T @ z / len(z) + penalty * np.eye(x.shape[1]), z.T @ u / len(z))
    return (x_new - x.mean(0)) / x.std(0) @ weights * y.std(0) + y.mean(0)


@pytest.fixture(scope="module")
def fit():
    """One compilation for all tests of ridge."""
    return jax.jit(lambda x, y, x_val, y_val, x_test: (found := ridge(x, y, x_val, y_val), found.predict(x_test)))


def test_ridge_is_the_closed_form_at_the_penalty_that_validation_asks_for(inputs, line, fit, tolerance):
    noise = np.asarray(jax.random.normal(jax.random.key(3), (400, 3))) * np.array([0.0, 10.0, 40.0])
    (x, x_val, x_test), (y, y_val, _) = parts(inputs), parts(inputs @ line[:, :1] + noise)
    probe, said = fit(x, y, x_val, y_val, x_test)
    errors = np.array([np.mean((closed_form(x, y, x_val, penalty) - y_val) ** 2, axis=0) for penalty in PENALTIES])
    chosen = np.array(PENALTIES)[errors.argmin(axis=0)]
    np.testing.assert_allclose(probe.chosen[1:], chosen[1:], rtol=1e-6)  # rounding decides where there is no noise
    assert chosen[0] < 1e-5 < chosen[2]
    expected = np.stack([closed_form(x, y, x_test, float(p))[:, i] for i, p in enumerate(probe.chosen)], axis=1)
    np.testing.assert_allclose(said, expected, rtol=1000 * tolerance, atol=1000 * tolerance)


def test_a_constant_input_and_a_constant_target_do_no_harm(inputs, line, fit):
    x, x_val, x_test = parts(np.concatenate([inputs[:, :4], np.full((400, 1), 0.1)], axis=1))
    y, y_val, y_test = parts(np.concatenate([inputs[:, :4] @ line[:4, :2], np.full((400, 1), 7.0)], axis=1))
    np.testing.assert_allclose(fit(x, y, x_val, y_val, x_test)[1], y_test, rtol=1e-3, atol=1e-3)


def test_a_planted_line_is_found_and_shuffled_targets_are_not(inputs, line, fit):
    (x, x_val, x_test), (y, y_val, y_test) = parts(inputs), parts(inputs @ line)
    found = scores("real", np.asarray(fit(x, y, x_val, y_val, x_test)[1]), y_test)
    order = np.asarray(jax.random.permutation(jax.random.key(5), len(y)))
    none = scores("real", np.asarray(fit(x, y[order], x_val, np.roll(y_val, 1, 0), x_test)[1]), y_test)
    assert found["R2"] > 0.999 and abs(none["R2"]) < 0.15


@pytest.mark.slow
def test_planted_probabilities_are_found_and_shuffled_ones_are_not(inputs, line):
    truth = np.asarray(jax.nn.softmax(jnp.asarray(inputs @ line)))
    (x, x_val, x_test), (y, y_val, y_test) = parts(inputs), parts(truth)
    fit = jax.jit(softmax_probe)
    found = scores("distribution", np.asarray(fit(x, y, x_val, y_val).predict(jnp.asarray(x_test))), y_test)
    order = np.asarray(jax.random.permutation(jax.random.key(5), len(y)))
    shuffled = fit(x, y[order], x_val, np.roll(y_val, 1, 0)).predict(jnp.asarray(x_test))
    constant = scores("distribution", np.broadcast_to(y.mean(0), y_test.shape), y_test)
    assert found["KL"] < 1e-3 and found["accuracy"] > 0.97
    assert scores("distribution", np.asarray(shuffled), y_test)["KL"] > 0.8 * constant["KL"]


@pytest.mark.slow
@pytest.mark.float64_only("gradients of a minimum")
def test_softmax_probe_stands_at_the_minimum_of_its_objective(inputs, line):
    x, x_val, _ = parts(inputs)
    draws = jax.random.categorical(jax.random.key(6), jnp.asarray(inputs @ line) / 3)
    p, p_val, _ = parts(jax.nn.one_hot(draws, 3))
    probe = softmax_probe(x, p, x_val, p_val, penalties=(1e-12,), iterations=60)
    missed = np.asarray(probe.predict(jnp.asarray(x))) - p
    # Without a penalty the likelihood equations say that predicted and actual moments of the inputs agree.
    np.testing.assert_allclose(missed.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose((x - x.mean(0)).T @ missed / len(x), 0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.float64_only("compared to four digits")
def test_linear_probes_agree_with_scikit_learn(inputs, line):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, x_val, x_test = parts(inputs)
    y, y_val, _ = parts(inputs @ line + np.asarray(jax.random.normal(jax.random.key(3), (400, 3))))
    z, z_test = (x - x.mean(0)) / x.std(0), (x_test - x.mean(0)) / x.std(0)
    theirs = linear_model.Ridge(0.1 * len(x)).fit(z, y).predict(z_test)
    ours = ridge(x, y, x_val, y_val, penalties=(0.1,)).predict(jnp.asarray(x_test))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    labels = np.asarray(jax.random.categorical(jax.random.key(6), jnp.asarray(inputs @ line) / 3))
    p, p_val, _ = parts(np.eye(3)[labels])
    theirs = linear_model.LogisticRegression(C=1e8, max_iter=5000, tol=1e-10).fit(z, labels[:120]).predict_proba(z_test)
    ours = softmax_probe(x, p, x_val, p_val, penalties=(1e-12,), iterations=80).predict(jnp.asarray(x_test))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["real", "distribution"])
def test_an_mlp_finds_what_no_line_can(kind):
    x = np.asarray(jax.random.normal(jax.random.key(0), (1500, 2)))
    real = np.sin(2 * x[:, :1]) * x[:, 1:]
    truth = real if kind == "real" else np.asarray(jax.nn.softmax(jnp.asarray(4 * np.concatenate([real, -real], 1))))
    (x, x_val, x_test), (y, y_val, y_test) = (np.split(a, (900, 1200)) for a in (x, truth))
    curved = mlp_probe(x, y, x_val, y_val, kind=kind, key=jax.random.key(1), learning_rate=1e-2)
    line = (ridge if kind == "real" else softmax_probe)(x, y, x_val, y_val)
    found, none = (scores(kind, np.asarray(p.predict(jnp.asarray(x_test))), y_test) for p in (curved, line))
    if kind == "real":
        assert found["R2"] > 0.9 and none["R2"] < 0.1
    else:
        assert found["KL"] < 0.1 * none["KL"]


@pytest.mark.slow
def test_many_probes_are_fitted_by_one_vmap(inputs, line, tolerance):
    x, x_val, x_test = (jnp.asarray(part) for part in parts(inputs))
    y, y_val, _ = (jnp.asarray(part) for part in parts(inputs @ line))
    scaled = jnp.stack([y, -2 * y]), jnp.stack([y_val, -2 * y_val])
    probes = jax.jit(jax.vmap(lambda y, y_val: ridge(x, y, x_val, y_val)))(*scaled)
    said = jax.vmap(lambda probe: probe.predict(x_test))(probes)
    np.testing.assert_allclose(said[1], -2 * said[0], rtol=1000 * tolerance, atol=1000 * tolerance)


@pytest.mark.parametrize("probe", [ridge, softmax_probe])
def test_more_targets_than_samples_are_refused_in_one_line(probe):
    x, y = jnp.ones((4, 3)), jnp.ones((4, 5)) / 5
    with pytest.raises(ValueError, match=r"^y: 5 probe targets need at least as many training samples, got 4") as error:
        probe(x, y, x, y)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="equally many rows"):
        probe(x, y[:3], x, y)
