"""Training: equal to a plain loop, pure, resumable, symmetric, and honest about what it lost."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxembed as je
from jaxembed.base import checked_dataset
from jaxembed.models import Feedforward, Linear
from jaxembed.observables import cosine
from jaxembed.train import advance, start

MODEL = Linear(width=4, init_scale=0.3)


@pytest.fixture(scope="module")
def data():
    return je.tasks.Addition(keys=4, anchors=2).dataset()


@pytest.fixture(scope="module")
def loss(data):
    return je.population_loss(MODEL, data)


@pytest.fixture(scope="module")
def params0(data):
    return MODEL.init(jax.random.key(0), data.vocab, data.length)


def close(found, expected, rtol, atol=0.0):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def identical(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def at(trajectory, i):
    return jax.tree.map(lambda leaf: leaf[i], trajectory.ys)


@pytest.mark.parametrize(("name", "hyper"), [("sgd", {}), ("sgd", {"momentum": 0.9}), ("adamw", {})])
def test_training_is_the_plain_loop(loss, params0, name, hyper, tolerance):
    optimizer = getattr(optax, name)(0.01, **hyper)
    found = je.train(loss, params0, optimizer, save_steps=[0, 1, 4])
    params, state, states, values = params0, optimizer.init(params0), [params0], []
    with jax.numpy_dtype_promotion("standard"):
        for _ in range(4):
            value, slope = jax.value_and_grad(loss)(params)
            updates, state = optimizer.update(slope, state, params)
            params = optax.apply_updates(params, updates)
            states.append(params)
            values.append(float(value))
    for i, step in enumerate((0, 1, 4)):
        close(at(found, i), states[step], rtol=100 * tolerance, atol=10 * tolerance)
    np.testing.assert_allclose(found.info["mean_loss"], [np.nan, values[0], np.mean(values[1:])], rtol=tolerance)
    assert (found.clock, found.ts.tolist()) == ("step", [0.0, 1.0, 4.0])


@pytest.mark.parametrize(("name", "sampled"), [("lbfgs", False), ("polyak_sgd", True)])
def test_optimisers_that_need_the_loss_get_it(name, sampled, tolerance):
    """As in a loop that passes value, gradient and the function."""
    optimizer = {"lbfgs": optax.lbfgs(), "polyak_sgd": optax.polyak_sgd(0.5)}[name]
    key, start_ = jax.random.key(0) if sampled else None, {"x": jnp.arange(3.0)}

    def quartic(p, key=None):
        return jnp.sum((p["x"] - 1.5) ** 4) * (1.0 if key is None else jax.random.uniform(key, minval=0.5))

    @jax.jit
    def step(params, state, i):
        value_fn = partial(quartic, key=jax.random.fold_in(key, i) if sampled else None)
        value, grad = jax.value_and_grad(value_fn)(params)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=value_fn)
        return optax.apply_updates(params, updates), state

    found = je.train(quartic, start_, optimizer, steps_per_save=3, num_saves=2, key=key)
    params, state = start_, optimizer.init(start_)
    for i in range(6):
        params, state = step(params, state, jnp.asarray(i))
    np.testing.assert_allclose(found.ys["x"][-1], params["x"], rtol=1e3 * tolerance)
    assert quartic(params) < 0.2 * quartic(start_)


def test_the_clock_of_plain_descent_is_flow_time(loss, params0):
    found = je.train(loss, params0, optax.sgd(0.1), dt=0.1, steps_per_save=5, num_saves=2)
    assert found.clock == "flow"
    np.testing.assert_allclose(found.ts, [0, 0.5, 1], rtol=1e-6)


def test_uneven_save_times_equal_even_ones_where_they_meet(loss, params0):
    even = je.train(loss, params0, optax.adam(1e-2), steps_per_save=2, num_saves=10)
    uneven = je.train(loss, params0, optax.adam(1e-2), save_steps=[2, 3, 8, 20])
    for i, j in ((0, 0), (1, 1), (3, 4), (4, 10)):
        assert float(uneven.ts[i]) == float(even.ts[j])
        identical(at(uneven, i), at(even, j))


def test_save_keeps_only_what_is_asked_for(loss, params0, tolerance):
    def gram(params):
        return params["embed"] @ params["embed"].T

    whole = je.train(loss, params0, optax.sgd(0.1), dt=0.1, steps_per_save=3, num_saves=2)
    small = je.train(loss, params0, optax.sgd(0.1), dt=0.1, steps_per_save=3, num_saves=2, save=gram)
    close(small.ys, whole.map(gram).ys, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("optimizer", [optax.sgd(0.05), optax.adamw(1e-2)], ids=["sgd", "adamw"])
@pytest.mark.parametrize("sampled", [False, True], ids=["population", "minibatch"])
def test_stop_and_resume_equals_the_straight_run_bit_for_bit(data, params0, loss, optimizer, sampled):
    loss, key = (je.minibatch_loss(MODEL, data, 5), jax.random.key(7)) if sampled else (loss, None)
    gaps = np.array([0, 3, 1, 6, 2])
    end, straight = advance(loss, optimizer, start(params0, optimizer, key), gaps, dt=0.05)
    middle, first = advance(loss, optimizer, start(params0, optimizer, key), gaps[:2], dt=0.05)
    resumed, second = advance(loss, optimizer, middle, gaps[2:], dt=0.05)
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), (first.ts, first.ys), (second.ts, second.ys))
    identical(joined, (straight.ts, straight.ys))
    identical((resumed.params, resumed.opt_state, resumed.step), (end.params, end.opt_state, end.step))
    np.testing.assert_array_equal(
        np.concatenate([first.info["mean_loss"], second.info["mean_loss"]]), straight.info["mean_loss"]
    )


def test_minibatches_follow_the_data_key(data, params0):
    loss = je.minibatch_loss(MODEL, data, 5)
    one, again, other = (
        je.train(loss, params0, optax.sgd(0.1), dt=0.1, steps_per_save=4, num_saves=1, key=jax.random.key(seed))
        for seed in (0, 0, 1)
    )
    identical(one.ys, again.ys)
    assert float(jnp.max(jnp.abs(one.ys["embed"] - other.ys["embed"]))) > 1e-3


def test_every_step_draws_its_own_minibatch(data, params0, tolerance):
    loss, key = je.minibatch_loss(MODEL, data, 5), jax.random.key(0)
    found = je.train(loss, params0, optax.sgd(0.1), dt=0.1, save_steps=[0, 4], key=key)
    params = params0
    for step in range(4):
        slope = jax.grad(loss)(params, jax.random.fold_in(key, step))
        params = {name: leaf - 0.1 * slope[name] for name, leaf in params.items()}
    close(at(found, -1), params, rtol=100 * tolerance, atol=10 * tolerance)
    draws = [np.asarray(loss.draw(jax.random.fold_in(key, step))).tolist() for step in range(4)]
    assert len({tuple(draw) for draw in draws}) == 4


@pytest.fixture(scope="module")
def one_run(data):
    """A run as a function of key and learning rate, which remembers how often its loss was traced."""
    traces = []

    def run(key, lr, loss):
        def traced(params):
            traces.append(None)
            return loss(params)

        init = MODEL.init(key, data.vocab, data.length)
        return je.train(traced, init, optax.sgd(lr), dt=lr, steps_per_save=5, num_saves=2).ys

    return run, traces


def test_plain_jit_and_vmap_lane_are_the_same(one_run, loss, tolerance):
    run, _ = one_run
    keys, lrs = jax.random.split(jax.random.key(0), 3), jnp.array([0.1, 0.05, 0.2])
    lanes = jax.jit(jax.vmap(run, in_axes=(0, 0, None)))(keys, lrs, loss)
    for i in range(3):
        plain = run(keys[i], lrs[i], loss)
        close(jax.jit(run)(keys[i], lrs[i], loss), plain, rtol=10 * tolerance, atol=tolerance)
        close(jax.tree.map(lambda leaf, i=i: leaf[i], lanes), plain, rtol=10 * tolerance, atol=tolerance)


def test_another_key_and_learning_rate_need_no_second_trace(one_run, loss):
    run, traces = one_run
    fast = jax.jit(run)
    traces.clear()
    first = fast(jax.random.key(0), jnp.asarray(0.1), loss)
    assert len(traces) == 1
    second = fast(jax.random.key(1), jnp.asarray(0.2), loss)
    assert len(traces) == 1 and np.any(first["embed"] != second["embed"])


@pytest.mark.parametrize("model", [MODEL, Feedforward(4, 5, init_scale=0.3)], ids=["linear", "feedforward"])
def test_renaming_tokens_renames_the_trained_weights(data, model):
    rename = np.random.default_rng(0).permutation(data.vocab)
    back = np.argsort(rename)
    renamed = checked_dataset(rename[data.tokens], rename[data.targets], data.weights, data.vocab)
    init = model.init(jax.random.key(0), data.vocab, data.length)
    other = init | {name: init[name][back] for name in ("embed", "unembed")}
    ends = []
    for population, params in ((data, init), (renamed, other)):
        loss = je.population_loss(model, population)
        ends.append(at(je.train(loss, params, optax.sgd(0.5), dt=0.5, save_steps=[0, 25]), -1))
    unnamed = ends[1] | {name: ends[1][name][rename] for name in ("embed", "unembed")}
    exact = 1e-10 if init["embed"].dtype == jnp.float64 else 1e-4
    close(unnamed, ends[0], rtol=exact, atol=exact)
    assert float(jnp.max(jnp.abs(ends[0]["embed"] - init["embed"]))) > 0.05


def test_rotating_the_width_leaves_the_cosines_of_linear_training_only(data):
    rotation = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0], dtype=float)

    def worst(model):
        init, loss = model.init(jax.random.key(0), data.vocab, data.length), je.population_loss(model, data)
        turned = {name: leaf @ rotation for name, leaf in init.items()}
        runs = [je.train(loss, p, optax.sgd(0.5), dt=0.5, steps_per_save=20, num_saves=3) for p in (init, turned)]
        one, other = (run.map(lambda p: cosine(p["embed"])).ys for run in runs)
        return float(jnp.max(jnp.abs(one - other)))

    assert worst(MODEL) < (1e-10 if rotation.dtype == jnp.float64 else 1e-4)
    assert worst(Feedforward(4, init_scale=0.3)) > 1e-3


def test_the_mean_loss_does_not_drift_in_float32():
    steps, init = 300_000, {"x": jnp.float32(0.0)}

    def loss(params):  # falls slowly from 0.1; the slope stays 1e-7
        return jnp.float32(0.1) + jnp.float32(3e-4) * params["x"]

    def step(params, _):
        value, slope = jax.value_and_grad(loss)(params)
        return {"x": params["x"] - slope["x"]}, value

    values = np.asarray(jax.jit(lambda p: jax.lax.scan(step, p, None, steps)[1])(init))
    exact = values.astype(np.float64).mean()
    found = jax.jit(lambda p: je.train(loss, p, optax.sgd(1.0), save_steps=[steps]).info["mean_loss"][-1])(init)
    naive = np.cumsum(values, dtype=np.float32)[-1] / np.float32(steps)
    assert found.dtype == jnp.float32 and values.std() > 1e-3 * exact
    assert abs(float(found) / exact - 1) < 2e-7
    assert abs(float(naive) / exact - 1) > 2e-6


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "adagrad", "lion"])
def test_optimisers_keep_the_dtype_of_the_parameters(name, dtype):
    dtype = jax.dtypes.canonicalize_dtype(dtype)
    params, optimizer = {"x": jnp.ones(3, dtype)}, getattr(optax, name)(1e-2)
    begun = start(params, optimizer)
    end, found = advance(lambda p: jnp.sum(p["x"] ** 2), optimizer, begun, np.array([3]))
    for before, after in zip(jax.tree.leaves(begun), jax.tree.leaves(end), strict=True):
        assert before.dtype == after.dtype
    assert found.ys["x"].dtype == found.ts.dtype == found.info["mean_loss"].dtype == dtype
    assert np.all(found.ys["x"] < 1)


def test_a_lost_run_is_flagged_with_its_time(loss, params0):
    def quartic(params):
        return sum(jnp.sum(leaf**4) for leaf in jax.tree.leaves(params))

    settings = {"dt": 100.0, "steps_per_save": 1, "num_saves": 12}
    lost = je.train(quartic, params0, optax.sgd(100.0), **settings)
    finite = np.isfinite(np.asarray(lost.ys["embed"])).all(axis=(1, 2))
    finite &= np.isfinite(np.asarray(lost.ys["unembed"])).all(axis=(1, 2))
    assert finite[:2].all() and not finite[-1]
    assert float(lost.info["nonfinite_time"]) == float(lost.ts[~finite][0])
    kept = je.train(loss, params0, optax.sgd(0.1), **settings)
    assert float(kept.info["nonfinite_time"]) == np.inf


def test_the_loss_before_the_first_step_is_undefined_not_zero(loss, params0):
    found = je.train(loss, params0, optax.sgd(0.1), dt=0.1, steps_per_save=1, num_saves=1).info["mean_loss"]
    assert np.isnan(found[0]) and float(found[1]) == pytest.approx(float(loss(params0)), rel=1e-5)


BOTH = "steps_per_save, num_saves: give both, at least 1, or give save_steps instead"
BAD = [
    ({}, BOTH),
    ({"steps_per_save": 3}, BOTH),
    ({"num_saves": 3}, BOTH),
    ({"steps_per_save": 0, "num_saves": 3}, BOTH),
    ({"steps_per_save": 3, "num_saves": -1}, BOTH),
    ({"steps_per_save": 3, "num_saves": 2, "save_steps": [0, 1]}, "save_steps: give either save_steps or"),
    ({"save_steps": []}, "save_steps: need increasing step numbers"),
    ({"save_steps": [3, 2]}, "save_steps: need increasing step numbers"),
    ({"save_steps": [1, 1]}, "save_steps: need increasing step numbers"),
    ({"save_steps": [-1, 2]}, "save_steps: need increasing step numbers"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[str(settings) for settings, _ in BAD])
def test_bad_input_is_one_clear_line(loss, params0, settings, message):
    with pytest.raises(ValueError) as error:
        je.train(loss, params0, optax.sgd(0.1), **settings)
    assert message in str(error.value) and "\n" not in str(error.value)
