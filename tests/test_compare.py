from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.base import Trajectory
from jaxembed.compare import above, compare, frozen

compiled = jax.jit(compare, static_argnames=("observable", "threshold"))

FIELDS = ("error", "relative_error", "displacement", "skill", "horizon")


def line(ts, values, clock="flow"):
    return Trajectory(jnp.asarray(ts, jnp.result_type(float)), jnp.asarray(values, jnp.result_type(float)), {}, clock)


def wandering(seed, seeds=()):
    """A random walk of a nested state, with a leading seed axis if asked."""
    rng = np.random.default_rng(seed)
    walk = {
        "embed": np.cumsum(rng.normal(size=(*seeds, 6, 4, 3)), axis=-3),
        "unembed": {"deep": np.cumsum(rng.normal(size=(*seeds, 6, 5)), axis=-2)},
    }
    ts = np.broadcast_to(np.linspace(0, 2, 6), (*seeds, 6))
    return Trajectory(jnp.asarray(ts), jax.tree.map(jnp.asarray, walk))


def nudged(trajectory, size=0.01, seed=9):
    rng = np.random.default_rng(seed)
    noise = jax.tree.map(lambda y: jnp.asarray(size * rng.normal(size=y.shape)), trajectory.ys)
    return replace(trajectory, ys=jax.tree.map(jnp.add, trajectory.ys, noise))


def test_every_number_equals_a_slow_loop(tolerance):
    reference, prediction = wandering(0), nudged(wandering(0), 0.3)
    got = compiled(reference, prediction)
    leaves = [np.asarray(y, np.float64) for y in jax.tree.leaves(reference.ys)]
    guesses = [np.asarray(y, np.float64) for y in jax.tree.leaves(prediction.ys)]
    for k in range(6):
        error = np.sqrt(sum(((g[k] - r[k]) ** 2).sum() for r, g in zip(leaves, guesses, strict=True)))
        moved = np.sqrt(sum(((r[k] - r[0]) ** 2).sum() for r in leaves))
        size = np.sqrt(sum((r[k] ** 2).sum() for r in leaves))
        np.testing.assert_allclose(got.error[k], error, rtol=100 * tolerance)
        np.testing.assert_allclose(got.relative_error[k], error / size, rtol=100 * tolerance)
        np.testing.assert_allclose(got.displacement[k], moved, rtol=100 * tolerance)
        np.testing.assert_allclose(got.skill[k], 1 - error / moved if moved else np.nan, rtol=100 * tolerance)


def test_the_observable_is_applied_to_both(tolerance):
    reference, prediction = wandering(0), nudged(wandering(0), 0.3)
    got = compiled(reference, prediction, lambda state: {"gram": state["embed"] @ state["embed"].T})
    grams = [np.einsum("tvd,twd->tvw", *[np.asarray(t.ys["embed"], np.float64)] * 2) for t in (reference, prediction)]
    expected = np.sqrt(((grams[1] - grams[0]) ** 2).sum(axis=(1, 2)))
    np.testing.assert_allclose(got.error, expected, rtol=100 * tolerance)


def test_horizon_by_hand(tolerance):
    """Displacement t and error (0, 0, 0.1, 0.9): skills undefined, 1, 0.95, 0.7; 0.9 is crossed at 2 + 0.05 / 0.25."""
    got = compiled(line([0, 1, 2, 3], [[0], [1], [2], [3]]), line([0, 1, 2, 3], [[0], [1], [2.1], [3.9]]))
    np.testing.assert_allclose(got.skill, [np.nan, 1, 0.95, 0.7], rtol=100 * tolerance)
    np.testing.assert_allclose(got.horizon, 2.2, rtol=100 * tolerance)
    lower = compiled(
        line([0, 1, 2, 3], [[0], [1], [2], [3]]), line([0, 1, 2, 3], [[0], [1], [2.1], [3.9]]), threshold=0.8
    )
    np.testing.assert_allclose(lower.horizon, 2.6, rtol=100 * tolerance)


def test_horizon_is_the_first_fall_even_if_the_skill_recovers(tolerance):
    reference = line(range(5), [[0], [1], [2], [3], [4]])
    got = compiled(reference, line(range(5), [[0], [1], [2.4], [3], [4]]))
    np.testing.assert_allclose(got.horizon, 1.5, rtol=100 * tolerance)


def test_horizon_is_infinite_when_the_prediction_holds():
    assert compiled(wandering(0), wandering(0)).horizon == np.inf
    assert compiled(wandering(0), nudged(wandering(0), 1e-3)).horizon == np.inf


def test_horizon_is_the_first_moved_save_when_the_prediction_never_held():
    reference = wandering(0)
    assert compiled(reference, frozen(reference)).horizon == reference.ts[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_prediction_that_is_not_finite_has_failed(bad):
    got = compiled(line(range(4), [[0], [1], [2], [3]]), line(range(4), [[0], [1], [2], [bad]]))
    assert got.skill[3] == -np.inf and got.error[3] == np.inf and got.horizon == 2
    first = compiled(line(range(3), [[1], [1], [2]]), line(range(3), [[bad], [1], [2]]))
    assert first.horizon == 0


def test_nothing_can_be_told_once_the_reference_is_not_finite():
    broken = line(range(4), [[0], [1], [np.nan], [np.nan]])
    got = compiled(broken, line(range(4), [[0], [1], [2], [3]]))
    assert np.isnan(got.horizon) and np.isnan(got.skill[2])
    early = compiled(broken, line(range(4), [[0], [2], [2], [3]]))
    assert early.horizon == 1  # it failed before that


def test_a_reference_that_never_moves_leaves_skill_and_horizon_undefined():
    still = line(range(3), [[5], [5], [5]])
    eps = float(jnp.finfo(still.ts.dtype).eps)
    for reference in (still, replace(still, ys=still.ys * (1 + eps * jnp.arange(3.0)[:, None]))):
        got = compiled(reference, line(range(3), [[5], [6], [7]]))
        assert np.isnan(got.skill).all() and np.isnan(got.horizon)


def test_a_motion_below_the_resolution_is_none():
    reference = line(range(4), [[1], [1 + 1e-5], [1.1], [1.2]])
    prediction = line(range(4), [[1], [1 - 1e-5], [1.1], [1.2]])
    assert compare(reference, prediction).horizon < 1.01  # the solver's error at the first save decides
    got = compare(reference, prediction, resolution=1e-4)
    assert np.isnan(got.skill[:2]).all() and got.horizon == np.inf


def test_a_theory_that_ties_with_its_control_tells_nothing_more(tolerance):
    reference = line(range(4), [[0], [1], [2], [2]])
    theory = compare(reference, line(range(4), [[0], [0.9], [1.6], [1.5]]))
    control = compare(reference, line(range(4), [[0], [0.5], [1.2], [1.5]]))
    over = above(theory, control)
    np.testing.assert_allclose(over.skill[1:], [0.8, 0.5, 0.0], atol=1000 * tolerance)
    assert theory.skill[3] == 0.75 and over.horizon == 2
    assert np.isnan(over.skill[0])
    same = above(theory, theory)
    np.testing.assert_array_equal(same.skill[1:], 0)
    np.testing.assert_array_equal(above(compare(reference, reference), theory).skill[1:], 1)
    assert above(compare(reference, reference), theory).horizon == np.inf


def test_small_motion_above_rounding_is_still_motion():
    ts, tiny = np.arange(3.0), 1e-25
    got = compiled(line(ts, tiny * ts[:, None]), line(ts, 1.05 * tiny * ts[:, None]))
    np.testing.assert_allclose(got.skill[1:], 0.95, rtol=1e-4)


def test_nothing_moves_has_no_skill():
    reference = wandering(0)
    control = compiled(reference, frozen(reference))
    np.testing.assert_array_equal(control.skill[1:], 0)
    assert np.isnan(control.skill[0])
    assert jax.tree.structure(frozen(reference).ys) == jax.tree.structure(reference.ys)


def test_plain_jit_and_vmap_agree(tolerance):
    reference, prediction = wandering(0, seeds=(3,)), nudged(wandering(0, seeds=(3,)), 0.1)
    lanes = jax.vmap(compare)(reference, prediction)
    jitted = jax.jit(jax.vmap(compare))(reference, prediction)
    for seed in range(3):
        one = compare(*jax.tree.map(lambda x, seed=seed: x[seed], (reference, prediction)))
        for name in FIELDS:
            np.testing.assert_allclose(getattr(lanes, name)[seed], getattr(one, name), rtol=1000 * tolerance)
            np.testing.assert_allclose(getattr(jitted, name)[seed], getattr(one, name), rtol=1000 * tolerance)
    assert len(np.unique(lanes.horizon)) > 1  # the lanes differ, so mixing them up would show


def test_one_theory_beside_many_seeds(tolerance):
    seeds, theory = wandering(0, seeds=(3,)), wandering(1)
    lanes = jax.vmap(compare, (0, None))(seeds, theory)
    one = compare(jax.tree.map(lambda x: x[2], seeds), theory)
    np.testing.assert_allclose(lanes.error[2], one.error, rtol=100 * tolerance)


def test_different_clocks_are_refused_with_what_to_do():
    with pytest.raises(
        ValueError, match=r"clock: reference runs on flow .*prediction on step .*give dt .*plain gradient"
    ):
        compare(line([0, 1], [[0], [1]]), line([0, 1], [[0], [1]], clock="step"))
    assert compare(*[line([0, 1], [[0], [1]], clock="step")] * 2).clock == "step"


def test_different_times_are_refused_or_flagged_inside_jit():
    a, b = line([0, 1, 2], [[0], [1], [2]]), line([0, 1, 2.5], [[0], [1], [2]])
    with pytest.raises(ValueError, match=r"ts: saved time 2 is 2 in reference and 2.5 in prediction"):
        compare(a, b)
    flagged = jax.jit(compare)(a, b)
    assert all(np.isnan(getattr(flagged, name)).all() for name in FIELDS)
    with pytest.raises(ValueError, match="ts: reference has 3 saved times, prediction 2"):
        compare(a, line([0, 1], [[0], [1]]))


def test_times_that_differ_by_float32_rounding_are_the_same():
    ts = np.linspace(0, 7, 5)
    prediction = line(ts.astype(np.float32).astype(np.float64), ts[:, None])
    assert compare(line(ts, ts[:, None]), prediction).horizon == np.inf


def test_float32_and_float64_states_can_be_compared():
    reference = line(range(3), [[0], [1], [2]])
    prediction = replace(reference, ys=reference.ys.astype(jnp.float32))
    assert compare(reference, prediction).horizon == np.inf


def test_other_shapes_and_trees_are_refused():
    reference = line([0, 1], [[0], [1]])
    with pytest.raises(ValueError, match="observable: gives shapes"):
        compare(reference, line([0, 1], [[0, 0], [1, 1]]))
    with pytest.raises(ValueError, match="choose one that gives the same tree"):
        compare(reference, replace(reference, ys={"embed": reference.ys}))


def test_many_seeds_without_vmap_are_refused():
    many = wandering(0, seeds=(3,))
    for call in (lambda: compare(many, many), lambda: frozen(many), lambda: jax.vmap(compare)(many, many).table()):
        with pytest.raises(ValueError, match=r"ts: need one run with ts\[time\], got shape \(3, 6\)"):
            call()


def test_table_shows_first_and_last_time_undefined_and_the_horizon():
    ts = np.arange(20.0)
    text = compiled(line(ts, ts[:, None]), line(ts, 1.05 * ts[:, None])).table(rows=5)
    lines = text.splitlines()
    assert len(lines) == 8 and len({len(row) for row in lines[:-1]}) == 1
    assert lines[2].split() == ["0", "0", "undefined", "0", "undefined"]
    assert lines[6].split() == ["19", "0.95", "0.05", "19", "0.95"]
    assert lines[-1] == "horizon (skill < 0.9): beyond t=19"
    still = line(range(3), [[5], [5], [5]])
    assert compiled(still, still).table().endswith("undefined")
    assert compiled(line(ts, ts[:, None]), frozen(line(ts, ts[:, None]))).table().endswith("t=1")
    with pytest.raises(ValueError, match="rows: need at least 1, got 0"):
        compiled(still, still).table(rows=0)
