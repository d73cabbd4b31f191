"""Rectangles and the number game against slow enumeration, and against the Bayes ceilings of the published setting."""

from dataclasses import fields
from itertools import combinations
from math import comb, exp, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.processes import NumberGame, Process, Rectangles

KEY = jax.random.key(3)
SHORT = (0.5, 0.25, 0.125, 0.125, 0.0, 0.0)


def exact(process, items, names=None, positions=None):
    return jax.jit(lambda items: process.exact({}, items, names, positions))(items)


def drawn(process, sequences, length):
    return jax.jit(lambda key: process.sample(key, {}, sequences, length))(KEY)


def enumerated(hypotheses, prior, items, density):
    """p(h | first items) and p(next | items) of one sequence, by plain sums: `density(h, item)` is p(item | h)."""
    posteriors, predictive = [], []
    joint = np.array(prior, float)
    for item in items:
        likelihood = np.array([density(h, item) for h in hypotheses])
        predictive.append(log((joint / joint.sum()) @ likelihood))
        joint = joint * likelihood
        posteriors.append(joint / joint.sum())
    return np.array(posteriors), np.array(predictive[1:])


def rectangles_of(process):
    """Corners and prior of every rectangle, in plain loops."""
    edges = {"easy": range(process.grid), "hard": [0, 0.4, 2, 2.4, 4, 4.4, 6, 6.4][: process.grid]}[process.axis]
    intervals = list(combinations(edges, 2))
    prior = process.prior or [1 / len(intervals)] * len(intervals)
    weighted = list(zip(intervals, prior, strict=True))
    return [(a, b, p * q) for a, p in weighted for b, q in weighted]


def uniform_on(rectangle, point):
    (left, right), (low, high), _ = rectangle
    return (left <= point[0] <= right) * (low <= point[1] <= high) / ((right - left) * (high - low))


@pytest.mark.float64_only("agreement to 1e-8")
@pytest.mark.parametrize(
    "process",
    [
        Rectangles(),
        Rectangles("hard", 4).shifted(),
        pytest.param(Rectangles("hard"), marks=pytest.mark.slow),
        pytest.param(Rectangles("easy", 4, prior=SHORT), marks=pytest.mark.slow),
    ],
    ids=["easy", "hard-shifted", "hard", "given-prior"],
)
def test_rectangles_against_enumeration(process):
    items = drawn(process, 3, 9).items
    found = exact(process, items)
    ahead, mean = jax.jit(process.log_predictive)({}, items), jax.jit(process.predictive_mean)({}, items)
    hypotheses = rectangles_of(process)
    assert len(hypotheses) == process.hypotheses == comb(process.grid, 2) ** 2
    boxes = np.array([((a + b) / 2, (c + d) / 2, b - a, d - c) for (a, b), (c, d), _ in hypotheses])
    np.testing.assert_allclose(process.boxes, boxes)
    for s, points in enumerate(np.asarray(items)):
        posterior, predictive = enumerated(hypotheses, [p for *_, p in hypotheses], points, uniform_on)
        np.testing.assert_allclose(found["hypothesis"][s], posterior, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(found["centre"][s], posterior @ boxes[:, :2], rtol=1e-8)
        np.testing.assert_allclose(found["extent"][s], posterior @ boxes[:, 2:], rtol=1e-8)
        np.testing.assert_allclose(found["map"][s], boxes[posterior.argmax(axis=1)])
        np.testing.assert_allclose(ahead[s], predictive, rtol=1e-8)
        np.testing.assert_allclose(mean[s], (posterior @ boxes[:, :2])[:-1], rtol=1e-8)


@pytest.mark.float64_only("agreement to 1e-8")
@pytest.mark.parametrize("game", [NumberGame(), NumberGame(20, 1).shifted()], ids=["own", "every-interval-shifted"])
def test_number_game_against_enumeration(game):
    items = drawn(game, 4, 7).items
    found, ahead = exact(game, items), jax.jit(game.log_predictive)({}, items)
    sets = [{int(n) for n in np.flatnonzero(row)} for row in game.members]
    holds = np.array([[token in members for token in range(game.numbers)] for members in sets], float)
    for s, tokens in enumerate(np.asarray(items)):
        slow = enumerated(sets, game.probabilities, tokens, lambda members, item: (item in members) / len(members))
        np.testing.assert_allclose(found["hypothesis"][s], slow[0], rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(found["generalisation"][s], slow[0] @ holds, rtol=1e-8, atol=1e-12)
        next_token = slow[0] @ (holds / holds.sum(axis=1)[:, None])
        np.testing.assert_allclose(found["predictive"][s], next_token, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(ahead[s], slow[1], rtol=1e-8)


def entropy(posterior):
    return -jnp.sum(jax.scipy.special.xlogy(posterior, posterior), axis=-1).mean()


@pytest.mark.parametrize(
    ("axis", "length", "recovered", "uncertainty", "variance"),
    [
        ("easy", 20, 0.979, 0.104, 1.0),
        pytest.param("easy", 50, 0.9999, 0.001, 1.0, marks=pytest.mark.slow),
        ("hard", 20, 0.844, 0.502, 0.96),
        pytest.param("hard", 50, 0.986, 0.067, 0.96, marks=pytest.mark.slow),
    ],
)
def test_bayes_ceilings(axis, length, recovered, uncertainty, variance):
    process, sequences = Rectangles(axis), 2000

    @jax.jit
    def found(key):
        items, latents = process.sample(key, {}, sequences, length)
        posterior = process.exact({}, items, ("hypothesis",), (-1,))["hypothesis"][:, 0]
        right = jnp.argmax(posterior, axis=1) == jnp.argmax(latents["rectangle"], axis=1)
        # The spread of points inside a known rectangle is left out: it is exact, and the rest then varies less.
        centre = latents["rectangle"] @ jnp.asarray(process.boxes[:, :2], float)
        return (
            right.mean(),
            entropy(posterior),
            jnp.mean((process.predictive_mean({}, items) - centre[:, None, :]) ** 2),
        )

    right, uncertain, excess = (float(x) for x in found(KEY))
    assert abs(right - recovered) < 4 * np.sqrt(recovered * (1 - recovered) / sequences) + 1e-3
    assert uncertain == pytest.approx(uncertainty, rel=0.15, abs=2e-3)
    assert np.mean(np.diff(process.intervals) ** 2) / 12 == pytest.approx(variance)
    published = {"easy": {20: 1.122 - 1.026, 50: 1.064 - 1.026}, "hard": {20: 1.016 - 0.939, 50: 0.969 - 0.939}}
    assert excess == pytest.approx(published[axis][length], abs=0.012)


@pytest.mark.slow
def test_the_rectangle_is_certain_in_the_end_and_open_at_first():
    items = Rectangles().sample(KEY, {}, 200, 50).items
    first, last = jnp.moveaxis(exact(Rectangles(), items, ("hypothesis",), (0, 49))["hypothesis"], 1, 0)
    assert entropy(first) > 2 > 0.05 > entropy(last)


def test_the_shifted_prior_favours_small_rectangles_and_wide_intervals(tolerance):
    own, other = Rectangles(), Rectangles().shifted()
    width = np.diff(own.intervals)[:, 0]
    np.testing.assert_allclose(other.probabilities / own.probabilities * width, 28 / (1 / width).sum(), rtol=tolerance)
    game = NumberGame()
    size, rule = game.members.sum(axis=1), ~np.char.startswith(np.array(game.names), "from")
    assert game.probabilities[rule].sum() == pytest.approx(0.5)
    assert game.shifted().probabilities[rule].sum() == pytest.approx(0.25)
    means = [(size * p.probabilities)[~rule].sum() / p.probabilities[~rule].sum() for p in (game, game.shifted())]
    assert means[1] > 1.5 * means[0]


def test_the_number_game_generalises_as_people_do():
    game = NumberGame()
    seen = exact(game, jnp.array([[15, 7, 1, 63], [15, 22, 18, 19]]), ("generalisation",), (0, 3))["generalisation"]
    (after_one, after_four), (_, interval) = seen
    assert float(after_one[31]) < 0.6 < 0.9 < float(after_four[31]), "32 belongs after 16, 8, 2, 64, not yet after 16"
    assert float(after_one[17]) > float(after_four[17]), "18 is near 16, but no power of two"
    assert float(interval[17]) > 0.8 > 0.1 > float(interval[63]), "16, 23, 19, 20: around twenty"


def test_intervals_have_the_erlang_prior():
    game = NumberGame(rule_share=0.0)
    by_name = dict(zip(game.names, game.probabilities, strict=True))
    assert by_name["from 1 to 10"] / by_name["from 1 to 5"] == pytest.approx(10 * exp(-1) / (5 * exp(-0.5)))
    assert by_name["even"] == 0


def test_hypotheses_are_distinct_sets():
    game = NumberGame(20, 1)
    assert len({row.tobytes() for row in game.members}) == game.hypotheses == len(set(game.names))
    assert game.members.any(axis=1).all()
    assert "last digit 0" not in NumberGame().names, "the multiples of ten by another name"


@pytest.mark.parametrize("process", [Rectangles(grid=4), NumberGame(20)], ids=["rectangles", "number-game"])
def test_the_contract_of_a_process(process):
    assert hash(process) == hash(
        type(process)(**{field.name: getattr(process, field.name) for field in fields(process)})
    )
    assert isinstance(process, Process)
    draw = drawn(process, 5, 6)
    every, some = exact(process, draw.items), exact(process, draw.items, ("hypothesis",), (2, -1))
    for name, target in process.targets.items():
        found = draw.latents[name] if target.ceiling else every[name]
        assert found.shape == ((5, target.size) if target.ceiling else (5, 6, target.size)), name
        assert target.ceiling is None or every[target.ceiling].shape[-1] == target.size
        if target.kind == "distribution":
            np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(some["hypothesis"], every["hypothesis"][:, np.array([2, 5])], rtol=1e-6)


def test_items_that_no_hypothesis_holds_are_undefined():
    assert jnp.isnan(exact(Rectangles(), jnp.array([[[9.0, 1.0]]]), ("centre",))["centre"]).any()


@pytest.mark.parametrize(
    ("build", "line"),
    [
        (lambda: Rectangles("easy", 4, prior=(0.5,) * 6), "prior: probabilities sum to 3, not 1"),
        (lambda: Rectangles("easy", 4, prior=(1.0,)), "prior: need 6 probabilities"),
        (lambda: Rectangles("easy", 4, prior=(-0.5, 1.5, 0.0, 0.0, 0.0, 0.0)), "prior: .* not negative"),
        (lambda: Rectangles(grid=1), "grid: need at least 2"),
        (lambda: NumberGame(prior=(0.9,) + (0.0,) * 242), "prior: probabilities sum to 0.9, not 1"),
        (lambda: NumberGame(step=7), "step: need one that divides"),
        (lambda: NumberGame(rule_share=1.5), "rule_share: need a probability"),
        (lambda: NumberGame(typical_size=0.0), "typical_size: need a positive"),
        (lambda: NumberGame().exact({}, jnp.zeros((1, 3), int), ("hypothesis",), (3,)), "positions: need -3 .. 2"),
        (lambda: Rectangles().exact({}, jnp.zeros((1, 3, 2)), ("centre",), (-4,)), "positions: need -3 .. 2 .* got -4"),
    ],
)
def test_bad_settings_are_refused_in_one_line(build, line):
    with pytest.raises(ValueError, match=line) as refused:
        build()
    assert "\n" not in str(refused.value)
