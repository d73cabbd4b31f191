"""theory/analogy_modes.md: modes with and without their start against the integrated flow; leads, ladder, moments."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import count, gradient_flow, integrate, signatures
from jaxembed.models import WordPairs, pair_loss
from jaxembed.tasks import Attributes
from jaxembed.theory import analogy_modes as am
from jaxembed.theory import word_pairs as wp

float64_only = pytest.mark.float64_only("needs float64 resolution")
STRENGTHS = (0.6, 0.45, 0.3)
D, WORDS = len(STRENGTHS), 2 ** len(STRENGTHS)


@pytest.fixture(scope="module")
def task():
    return Attributes(STRENGTHS)


@pytest.fixture(scope="module")
def full(task):
    """The modes of all words."""
    return wp.modes(wp.target(signatures(count(task.dataset(), order=1))), task.vocab)


@pytest.fixture(scope="module")
def found(full):
    return wp.WordModes(full.vectors[:, :D], full.strengths[:D])


@pytest.fixture(scope="module")
def asked(task):
    return jnp.asarray(task.analogies())


def begin(scale, seed=0):
    return WordPairs(D, scale).init(jax.random.key(seed), WORDS)["embed"]


def gram_error(rows, wanted):
    return float(jnp.linalg.norm(rows @ rows.T - wanted @ wanted.T) / jnp.linalg.norm(wanted @ wanted.T))


def test_the_start_is_what_it_was(full, tolerance):
    start = begin(0.1)
    assert gram_error(am.with_start(0.0, start, full), start) < 10 * tolerance


@float64_only
def test_modes_with_start_follow_the_integrated_flow_and_better_so_from_a_smaller_start(task, full):
    ts, small = jnp.array([0.0, 0.3, 1.0, 2.0, 4.0]), begin(1e-5)
    flow = integrate(gradient_flow(pair_loss(task.dataset())), {"embed": small}, ts, rtol=1e-8, atol=1e-13)
    rows = jax.jit(jax.vmap(am.with_start, (0, None, None)))
    error = max(gram_error(*pair) for pair in zip(rows(ts, small, full), flow.ys["embed"], strict=True))
    large = begin(1e-2)
    exact = jax.jit(jax.vmap(wp.exact_rows, (0, None, None)))(ts, large, full)
    assert error < 1e-3
    assert max(gram_error(*pair) for pair in zip(rows(ts, large, full), exact, strict=True)) > 10 * error


def test_aligned_starts_leave_the_modes_alone(found, full):
    start = 1e-3 * found.vectors
    alone = am.alone(1.0, wp.qr_start(start, found), found)
    assert gram_error(am.with_start(1.0, start, full), alone) < 1e-4


@float64_only
def test_the_moment_is_told_by_modes_and_start_and_does_not_depend_on_the_scale(full, found, asked):
    ts = jnp.linspace(0.0, 2.0, 201)

    def accuracies(start):
        return jax.lax.map(
            lambda t: jnp.stack(
                [jnp.mean(am.solved(f(t, start, full), asked)) for f in (am.with_start, wp.exact_rows)]
            ),
            ts,
        )

    moments, rises = [], []
    for scale in (1e-4, 1e-7):
        start = begin(scale, 1)
        found_at = [float(ts[np.argmax(curve >= 0.75)]) for curve in np.asarray(jax.jit(accuracies)(start)).T]
        assert found_at[0] == pytest.approx(found_at[1], abs=0.02) and found_at[0] > 0.05
        moments.append(found_at[0])
        rises.append(float(am.half_rises(start, found)[-1]))
    assert moments[0] == pytest.approx(moments[1], rel=0.05)
    assert rises[0] > 2 * moments[0] and rises[1] > 1.4 * rises[0]


def test_modes_alone_solve_exact_parallelograms_at_any_time(found, asked):
    curve = am.accuracy_curve(jnp.array([0.2, 1.0, 9.0]), wp.qr_start(begin(1e-2), found), found, asked)
    assert np.asarray(curve).tolist() == [1.0, 1.0, 1.0]


def test_the_lead_is_linear_in_the_powers(found, asked, tolerance):
    powers = jnp.array([3.0, 0.2, 1.0])
    rows = found.vectors * jnp.sqrt(powers)[None, :]
    rivals = (asked[:, 3] + 1) % WORDS
    arrows = rows[asked[:, 1]] - rows[asked[:, 0]] + rows[asked[:, 2]]
    lead = jnp.sum((rows[asked[:, 3]] - rows[rivals]) * arrows, axis=1)
    gains = am.gains(found.vectors, asked, rivals) @ powers
    np.testing.assert_allclose(gains, lead, rtol=0, atol=10 * tolerance)
    single = np.array([bin(int(d) ^ int(e)).count("1") == 1 for d, e in zip(asked[:, 3], rivals, strict=True)])
    gained = np.asarray(am.gains(found.vectors, asked, rivals))[single]
    assert len(gained) and (np.sort(gained, axis=1)[:, -1] > 0.2).all()  # the one attribute that differs helps


def test_leads_against_a_slow_route():
    rng = np.random.default_rng(0)
    rows, asked = rng.normal(size=(9, 4)), rng.permuted(np.tile(np.arange(9), (20, 1)), axis=1)[:, :4]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for row, margin in zip(asked, am.margins(jnp.asarray(rows), jnp.asarray(asked)), strict=True):
        a, b, c, d = row
        arrow = unit[b] - unit[a] + unit[c]
        cosines = unit @ arrow / np.linalg.norm(arrow)
        others = [cosines[e] for e in range(9) if e not in row]
        assert float(margin) == pytest.approx(cosines[d] - max(others), abs=1e-5)


def test_words_without_a_vector_are_undefined_and_not_solved(asked):
    rows = jnp.ones((WORDS, 2)).at[0].set(0.0)
    margins = np.asarray(am.margins(rows, asked))
    touched = np.any(np.asarray(asked) == 0, axis=1)
    assert np.isnan(margins[touched]).all() and not np.isnan(margins[~touched]).any()
    assert not np.asarray(am.solved(rows, asked)).any()  # all others tie


def test_the_ladder_needs_all_attributes(found, asked):
    accuracy = np.asarray(jnp.mean(am.ladder(found, asked, jnp.arange(1, D + 1)), axis=1))
    assert accuracy[-1] == 1 and (accuracy[:-1] < 1).all()


def test_one_slow_attribute_delays_the_questions_that_must_tell_its_values(asked):
    slow = Attributes((0.6, 0.45, 0.02))
    found = wp.modes(wp.target(signatures(count(slow.dataset(), order=1))), D)
    short = np.asarray(am.ladder(found, asked, jnp.array([D - 1])))[0]
    turned = np.any(
        (np.asarray(asked[:, 1:3]) ^ np.asarray(asked[:, :1])) == 1, axis=1
    )  # its values are excluded words
    assert short[turned].all() and not short[~turned].any()


def test_equal_strengths_part_half_rises_by_the_start_alone(found):
    equal = wp.WordModes(found.vectors, jnp.full(D, 4.0))
    start = begin(1e-3)
    parted = np.log(np.asarray(wp.qr_start(start, equal))) / 4
    rises = np.asarray(am.half_rises(start, equal))
    np.testing.assert_allclose(rises - rises[0], parted[0] - parted, rtol=1e-4)


def test_a_share_of_the_power_is_reached_when_told(tolerance):
    start, strengths = jnp.array([1e-3, 2e-4]), jnp.array([4.0, 1.5])
    for share in (0.1, 0.5, 0.9):
        reached = wp.power(am.threshold_time(share, start, strengths)[0], start, strengths)[0] / strengths[0]
        assert float(reached) == pytest.approx(share, rel=30 * tolerance)


def test_an_offset_is_carried_by_its_attribute(found):
    pairs = jnp.array([[0, 4], [1, 5], [2, 6], [3, 7]])  # all turn the first attribute
    shares = np.asarray(am.offset_shares(found.vectors, found.strengths, pairs))
    assert shares[0] > 0.999 and shares.sum() == pytest.approx(1, rel=1e-5)
    assert jax.jit(partial(am.offset_shares, pairs=pairs))(found.vectors, found.strengths).shape == (D,)
