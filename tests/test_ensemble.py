"""One call, many runs: side by side, one after the other, or spread over devices, with the same numbers."""

import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxembed as je
from jaxembed.ensemble import VMAP_LIMIT, choose_mapping, ensemble, stacked
from jaxembed.models import Linear

MODEL = Linear(width=4, init_scale=0.3)


def run(member, loss):
    params = MODEL.init(member["key"], 11, 3)
    params = jax.tree.map(lambda p: p * member["scale"], params)
    return je.train(loss, params, optax.sgd(member["lr"]), dt=member["lr"], save_steps=[0, 5])


@pytest.fixture(scope="module")
def loss():
    return je.population_loss(MODEL, je.tasks.Addition(keys=4, anchors=2).dataset())


@pytest.fixture(scope="module")
def members():
    keys = jax.random.split(jax.random.key(0), 5)
    return {"key": keys, "scale": jnp.linspace(0.5, 2, 5), "lr": jnp.linspace(0.1, 0.3, 5)}


@pytest.mark.parametrize("mapping", ["vmap", "loop", "auto"])
def test_seeds_rates_and_scales_in_one_call_equal_a_plain_loop(loss, members, mapping, tolerance):
    found = je.ensemble(run, members, loss, mapping=mapping)
    assert found.ys["embed"].shape == (5, 2, 11, 4)
    for i in range(5):
        alone = run(jax.tree.map(lambda leaf, i=i: leaf[i], members), loss)
        np.testing.assert_allclose(found.ts[i], alone.ts, rtol=1e-6)
        for name in ("embed", "unembed"):
            np.testing.assert_allclose(found.ys[name][i], alone.ys[name], rtol=10 * tolerance, atol=tolerance)


def test_another_call_with_other_members_is_not_compiled_again(loss, members):
    traces = []

    def counted(member, loss):
        traces.append(None)
        return run(member, loss).ys["embed"]

    first = je.ensemble(counted, members, loss, mapping="vmap")
    other = members | {"lr": 2 * members["lr"]}
    assert np.any(first != je.ensemble(counted, other, loss, mapping="vmap")) and len(traces) == 1


def test_small_members_run_side_by_side_and_large_ones_in_turn(loss, members):
    member = jax.tree.map(lambda leaf: leaf[0], members)
    assert choose_mapping(run, member, loss) == "vmap"
    itemsize = jnp.zeros((), float).dtype.itemsize
    for side, expected in ((int((VMAP_LIMIT / itemsize) ** 0.5), "vmap"), (400, "loop")):

        def product(x, side=side):
            return jax.lax.fori_loop(0, 3, lambda _, y: y @ y, jnp.full((side, side), x)).sum()

        assert choose_mapping(product, jnp.asarray(0.1)) == expected


ON_EIGHT_DEVICES = """
    import jax, numpy as np, jax.numpy as jnp, optax
    jax.config.update("jax_enable_x64", True)
    import jaxembed as je

    assert len(jax.devices()) == 8
    model = je.models.Linear(width=4, init_scale=0.3)
    data = je.tasks.Addition(keys=4, anchors=2).dataset()
    loss = je.population_loss(model, data)

    def run(member, loss):
        params = model.init(member["key"], data.vocab, data.length)
        return je.train(loss, params, optax.adam(member["lr"]), save_steps=[0, 5]).ys["embed"]

    plain = jax.jit(run)
    for count, mapping in ((5, "vmap"), (16, "vmap"), (16, "loop")):
        members = {"key": jax.random.split(jax.random.key(0), count), "lr": jnp.linspace(0.01, 0.1, count)}
        spread = je.ensemble(run, members, loss, mapping=mapping)
        single = je.ensemble(run, members, loss, mapping=mapping, devices=jax.devices()[:1])
        alone = [plain(jax.tree.map(lambda leaf: leaf[i], members), loss) for i in range(count)]
        assert spread.shape == single.shape == (count, 2, data.vocab, 4)
        assert count < 16 or len(spread.devices()) == 8
        np.testing.assert_allclose(spread, single, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(spread, np.stack(alone), rtol=1e-11, atol=1e-13)
        assert np.abs(np.asarray(spread[0] - spread[1])).max() > 1e-3
    print("same numbers")
"""


@pytest.mark.slow
@pytest.mark.float64_only("the subprocess chooses its own dtype; once is enough")
def test_eight_devices_give_the_same_numbers():
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", textwrap.dedent(ON_EIGHT_DEVICES)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0 and "same numbers" in done.stdout, done.stderr[-2000:]


UNEVEN = "members: every leaf needs the same leading [seed] axis"
BAD = [
    (lambda: je.ensemble(lambda m: m["a"], {"a": jnp.ones(3), "b": jnp.ones(2)}), UNEVEN),
    (lambda: je.ensemble(lambda m: m["a"], {"a": jnp.ones(3), "b": jnp.asarray(1.0)}), UNEVEN),
    (lambda: je.ensemble(lambda m: m, jnp.ones((0, 2))), UNEVEN),
    (lambda: je.ensemble(lambda m: 1.0, {}), UNEVEN),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert message in str(error.value) and "\n" not in str(error.value)


def test_stacked_members_have_data_of_their_own():
    tables = [{"weights": np.array([0.5, 0.5]), "decay": 0.1}, {"weights": np.array([1.0]), "decay": 0.1}]
    joined = stacked(tables)
    assert joined["weights"].shape == (2, 2) and joined["weights"][1].tolist() == [1.0, 0.0]
    assert joined["decay"].shape == (2,)
    totals = ensemble(lambda member, x: member["weights"].sum() * x, joined, jnp.asarray(3.0, joined["weights"].dtype))
    assert totals.tolist() == [3.0, 3.0]
