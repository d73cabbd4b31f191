"""Exact gradient flow: the limit of gradient descent, with its conservation law; fields against known solutions."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxembed as je
from jaxembed.flow import SOLVERS
from jaxembed.models import Feedforward, Linear

MODEL = Linear(width=4, init_scale=0.1)
needs_float64 = pytest.mark.float64_only("tolerances far below the resolution of float32")


@pytest.fixture(scope="module")
def data():
    return je.tasks.Addition(keys=4, anchors=2).dataset()


@pytest.fixture(scope="module")
def params0(data):
    return MODEL.init(jax.random.key(0), data.vocab, data.length)


def growth(t, state, rate):
    return jax.tree.map(lambda x: rate * x, state)


def square(t, state, args):
    return {"x": state["x"] ** 2}


def distance(a, b):
    return max(float(jnp.max(jnp.abs(x - y))) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@jax.jit
def flow(loss, params, ts):
    return je.integrate(je.gradient_flow(loss), params, ts)


def test_the_field_is_minus_the_gradient(data, params0):
    loss = je.population_loss(MODEL, data)
    slope = jax.grad(loss)(params0)
    field = je.gradient_flow(loss)(0.0, params0, None)
    for name in slope:
        np.testing.assert_array_equal(field[name], -slope[name])


@needs_float64
def test_gradient_descent_converges_to_the_flow_at_first_order(data, params0):
    loss, rates, end = je.population_loss(MODEL, data), np.array([0.08, 0.04, 0.02, 0.01]), 16.0
    ts = jnp.linspace(0, end, 5)
    exact = jax.jit(lambda p: je.integrate(je.gradient_flow(loss), p, ts, rtol=1e-10))(params0)
    errors = []
    for lr in rates:
        steps = [round(end * i / 4 / lr) for i in range(5)]
        descent = je.train(loss, params0, optax.sgd(lr), dt=lr, save_steps=steps)
        np.testing.assert_allclose(descent.ts, exact.ts, rtol=1e-12)
        errors.append(distance(descent.ys, exact.ys))
    slope = np.polyfit(np.log(rates), np.log(errors), 1)[0]
    assert abs(slope - 1) < 0.05, (slope, errors)
    moved = distance(jax.tree.map(lambda leaf: leaf[-1], exact.ys), params0)
    assert errors[-1] < 0.02 * moved


@needs_float64
def test_the_linear_flow_conserves_the_imbalance_of_its_layers(data, params0):
    def parts(params):
        return params["embed"].T @ params["embed"], params["unembed"].T @ params["unembed"]

    loss = je.population_loss(MODEL, data)
    ts = jnp.linspace(0, 30, 7)
    embed, unembed = flow(loss, params0, ts).map(parts).ys
    imbalance, scale = embed - unembed, float(jnp.max(jnp.abs(embed)))
    assert float(jnp.max(jnp.abs(imbalance - imbalance[:1]))) < 1e-6 * scale
    assert float(jnp.max(jnp.abs(embed - embed[:1]))) > 0.5 * scale

    bent = Feedforward(width=4, init_scale=0.1)  # the control: a nonlinearity breaks the law
    embed, unembed = flow(je.population_loss(bent, data), params0, ts).map(parts).ys
    imbalance = embed - unembed
    assert float(jnp.max(jnp.abs(imbalance - imbalance[:1]))) > 1e-3 * float(jnp.max(jnp.abs(embed)))


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_every_solver_solves_exponential_growth(solver):
    fixed = {"dt": 1e-3} if solver in ("euler", "heun") else {}
    ts = jnp.array([0.0, 0.3, 1.0])
    found = je.integrate(growth, {"x": jnp.ones(2)}, ts, 2.0, solver=solver, rtol=1e-5, **fixed)
    exact = np.exp(2 * np.asarray(ts))[:, None] * np.ones(2)
    np.testing.assert_allclose(found.ys["x"], exact, rtol=3e-3 if solver == "euler" else 1e-4)
    assert int(found.info["steps"]) == int(found.info["accepted"]) + int(found.info["rejected"]) > 1
    assert found.clock == "flow"


@needs_float64
def test_adaptive_steps_keep_the_relative_accuracy_of_a_tiny_start():
    found = je.integrate(growth, {"x": jnp.full(3, 1e-9), "y": jnp.full(2, 1.0)}, jnp.array([0.0, 5.0]), 1.0)
    np.testing.assert_allclose(found.ys["x"][-1], 1e-9 * np.exp(5), rtol=1e-6)
    loose = je.integrate(growth, {"x": jnp.full(3, 1e-9)}, jnp.array([0.0, 5.0]), 1.0, atol=1e-3)
    assert int(loose.info["steps"]) < int(found.info["steps"])


def test_fixed_steps_work_inside_jit_where_the_times_are_constants():
    ts = jnp.array([0.0, 1.0])
    found = jax.jit(lambda x: je.integrate(growth, x, ts, 1.0, solver="euler", dt=0.1))({"x": jnp.ones(1)})
    assert float(found.ys["x"][-1, 0]) == pytest.approx(1.1**10, rel=1e-5) and int(found.info["steps"]) == 10
    with pytest.raises(ValueError, match="dt: fixed steps need save times known when tracing"):
        jax.jit(lambda ts: je.integrate(growth, {"x": jnp.ones(1)}, ts, 1.0, dt=0.1).ys)(ts)


def test_a_leaf_that_starts_at_zero_has_the_scale_of_the_others():
    ts = jnp.array([0.0, 1.0])
    found = je.integrate(growth, {"x": jnp.zeros(1), "y": jnp.ones(1)}, ts, 1.0, rtol=1e-5)
    assert float(found.ys["y"][-1, 0]) == pytest.approx(np.e, rel=1e-4) and float(found.ys["x"][-1, 0]) == 0
    assert float(je.integrate(growth, {"x": jnp.zeros(1)}, ts, 1.0, rtol=1e-5).info["nonfinite_time"]) == np.inf


@needs_float64
def test_an_uneven_grid_and_a_reduction_save_the_same_states(data, params0):
    loss = je.population_loss(MODEL, data)
    even, grid = flow(loss, params0, jnp.linspace(0, 4, 5)), jnp.array([0.0, 1.0, 1.1, 3.0, 4.0])
    reduced = jax.jit(lambda p: je.integrate(je.gradient_flow(loss), p, grid, save=lambda p: p["embed"]))
    uneven = reduced(params0)
    np.testing.assert_allclose(uneven.ys[np.array([1, 3, 4])], even.ys["embed"][np.array([1, 3, 4])], rtol=1e-6)
    assert uneven.ys.shape == (5, data.vocab, 4)


@needs_float64
def test_a_blow_up_is_flagged_with_its_time():
    ts = jnp.array([0.0, 0.5, 0.9, 1.5, 2.0])
    lost = je.integrate(square, {"x": jnp.ones(1)}, ts)
    assert abs(float(lost.info["nonfinite_time"]) - 1) < 1e-3
    np.testing.assert_allclose(lost.ys["x"][:3, 0], 1 / (1 - ts[:3]), rtol=1e-6)
    assert not np.isfinite(lost.ys["x"][3:]).any()
    kept = je.integrate(square, {"x": jnp.ones(1)}, ts[:3])
    assert float(kept.info["nonfinite_time"]) == np.inf


@needs_float64
def test_a_blow_up_of_one_member_leaves_the_others_alone():
    ts = jnp.array([0.0, 0.5, 1.5])
    batch = jax.jit(jax.vmap(lambda x: je.integrate(square, {"x": x}, ts)))(jnp.array([[1.0], [0.5], [2.0]]))
    np.testing.assert_allclose(batch.info["nonfinite_time"], [1, np.inf, 0.5], atol=1e-3)
    np.testing.assert_allclose(batch.ys["x"][1, :, 0], 1 / (2 - ts), rtol=1e-6)


def test_running_out_of_steps_is_flagged():
    found = je.integrate(growth, {"x": jnp.ones(1)}, jnp.array([0.0, 1.0, 50.0]), 1.0, rtol=1e-5, max_steps=12)
    assert 0 < float(found.info["nonfinite_time"]) < 50
    assert not np.isfinite(found.ys["x"][-1]).any()


def test_a_batch_of_flows_equals_its_members(data, tolerance):
    loss, ts = je.population_loss(MODEL, data), jnp.linspace(0, 6, 4)
    keys = jax.random.split(jax.random.key(0), 3)
    starts = jax.vmap(lambda key: MODEL.init(key, data.vocab, data.length))(keys)

    def one(params, loss):
        return je.integrate(je.gradient_flow(loss), params, ts, rtol=1e-5)

    batch = jax.jit(jax.vmap(one, in_axes=(0, None)))(starts, loss)
    alone = jax.jit(one)
    for i in range(3):
        member, lane = (jax.tree.map(lambda leaf, i=i: leaf[i], tree) for tree in (starts, batch))
        pairs = [(lane, alone(member, loss))] + ([(one(member, loss), lane)] if i == 0 else [])
        for found, expected in pairs:
            # Rounding enters the step size control, so agreement is to rounding times the number of steps.
            assert distance(found.ys, expected.ys) < 1e3 * tolerance
            assert int(found.info["steps"]) == int(expected.info["steps"])


def test_another_start_needs_no_second_trace(data):
    traces, ts = [], jnp.linspace(0, 1, 3)

    @jax.jit
    def run(key, loss):
        traces.append(None)
        params = MODEL.init(key, data.vocab, data.length)
        return je.integrate(je.gradient_flow(loss), params, ts, rtol=1e-5).ys["embed"]

    loss = je.population_loss(MODEL, data)
    assert np.any(run(jax.random.key(0), loss) != run(jax.random.key(1), loss)) and len(traces) == 1


BAD = [
    (lambda x: je.integrate(growth, x, jnp.array([0.0, 1.0]), 1.0, solver="rk9"), "solver: unknown 'rk9'; choose one"),
    (lambda x: je.integrate(growth, x, jnp.array([0.0]), 1.0), "ts: need at least two save times"),
    (lambda x: je.integrate(growth, x, jnp.array([0.0, 2.0, 1.0]), 1.0), "ts: save times must increase"),
    (lambda x: je.integrate(growth, x, jnp.array([0.0, 1.0, 1.0]), 1.0), "ts: save times must increase"),
    (lambda x: je.integrate(growth, x, jnp.array([0.0, 1.0]), 1.0, solver="euler"), "dt: Euler has no error estimate"),
    (lambda x: je.integrate(growth, x, jnp.array([0.0, 1.0]), 1.0, dt=0.0), "dt: must be a positive step, got 0.0"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call({"x": jnp.ones(1)})
    assert message in str(error.value) and "\n" not in str(error.value)
