"""theory/word_pairs.md: target, modes, sigmoids and the exact solution against the integrated flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from jaxembed import count, integrate, signatures
from jaxembed.base import checked_dataset
from jaxembed.tasks import Attributes, RandomPairs, shuffled
from jaxembed.theory import linear
from jaxembed.theory import word_pairs as wp

float64_only = pytest.mark.float64_only("needs float64 resolution")
VOCAB, WIDTH, SAVES = 30, 4, 8


def statistics(data):
    return signatures(count(data, order=1))


@pytest.fixture(scope="module")
def pairs():
    return RandomPairs(words=VOCAB, rank=WIDTH, strength=0.15, decay=0.6).dataset()


@pytest.fixture(scope="module")
def pair_sig(pairs):
    return statistics(pairs)


def start(scale, seed=0, width=WIDTH):
    return {"embed": jnp.asarray(scale * np.random.default_rng(seed).normal(size=(VOCAB, width)), dtype=float)}


def gram(state):
    return state["embed"] @ state["embed"].T


def spectrum(state):
    return jnp.linalg.svd(state["embed"], compute_uv=False)


@pytest.fixture(scope="module")
def flow():
    """`flow(state, ts, sig)`: spectra and Gram matrices of the integrated flow."""

    @jax.jit
    def solve(state, ts, sig):
        tolerances = {"rtol": 1e-10, "atol": 1e-20}
        save = lambda s: (spectrum(s), gram(s))  # noqa: E731
        return integrate(wp.field, state, ts, sig, save=save, **tolerances).ys

    return solve


def test_target_is_a_bounded_shifted_pmi(pair_sig, tolerance):
    for negatives in (1.0, 5.0):
        expected = 2 * np.tanh((np.asarray(wp.pmi(pair_sig)) - np.log(negatives)) / 2)
        np.testing.assert_allclose(wp.target(pair_sig, negatives), expected, rtol=0, atol=10 * tolerance)


def test_target_of_any_weights_is_what_they_pull_to(pair_sig, tolerance):
    joint = np.asarray(pair_sig.m1)
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    plus, minus = np.random.default_rng(0).uniform(0.5, 2, size=(2, VOCAB, VOCAB))
    x = np.asarray(wp.target_of(jnp.asarray(plus * joint), jnp.asarray(minus * independent)))
    # Stationary score of the quadratic loss of one pair: derivative of a (x^2/4 - x) + b (x^2/4 + x).
    slope = plus * joint * (x / 2 - 1) + minus * independent * (x / 2 + 1)
    assert np.abs(slope).max() < tolerance and np.abs(x).max() <= 2


def test_pairs_that_never_occur():
    data = checked_dataset([[0], [1], [0]], [0, 1, 2], [0.3, 0.5, 0.2], 3)
    with pytest.raises(ValueError, match="word 2 never occurs"):
        wp.target(statistics(data))
    sig = statistics(checked_dataset([[0], [1], [2], [0]], [0, 1, 2, 1], [0.3, 0.3, 0.2, 0.2], 3))
    assert float(wp.target(sig)[2, 0]) == -2
    assert np.asarray(wp.pmi(sig))[2, 0] == -np.inf
    np.testing.assert_allclose(wp.pmi(sig, 1e-2)[2, 0], np.log(1e-2), rtol=1e-6)


def test_longer_sequences_are_refused(data):
    with pytest.raises(ValueError, match="length 3"):
        wp.target(statistics(data))


def test_modes_rebuild_the_target(pair_sig, tolerance):
    vectors, strengths = wp.modes(wp.target(pair_sig), VOCAB)
    np.testing.assert_allclose(
        vectors * strengths[None, :] @ vectors.T, wp.target(pair_sig), rtol=0, atol=100 * tolerance
    )
    assert np.all(np.diff(strengths) <= 0)


def test_tied_weights_see_the_symmetric_part(pairs, tolerance):
    sig = statistics(shuffled(pairs, 0))
    wanted = wp.target(sig)
    assert float(jnp.max(jnp.abs(wanted - wanted.T))) > 0.1
    both = [wp.velocity(start(1.0)["embed"], m) for m in (wanted, wanted.T)]
    np.testing.assert_allclose(*both, rtol=0, atol=100 * tolerance)


@pytest.mark.slow
@float64_only
@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-6])
def test_exact_solution_is_the_integrated_flow(flow, pair_sig, scale):
    state, ts = start(scale), jnp.linspace(0.0, 30.0, SAVES)
    expected = flow(state, ts, pair_sig)[1]
    found = jax.vmap(lambda t: gram(wp.exact(t, state, pair_sig)))(ts)
    size = jnp.linalg.norm(expected, axis=(1, 2))
    assert float(jnp.max(jnp.linalg.norm(found - expected, axis=(1, 2)) / size)) < 1e-8


@float64_only
def test_exact_solution_survives_very_long_times(pair_sig):
    end = gram(wp.exact(1e6, start(1e-10), pair_sig))
    np.testing.assert_allclose(end, wp.final(pair_sig, WIDTH), rtol=0, atol=1e-12)


@float64_only
def test_end_is_the_best_approximation_of_rank_d(flow, pair_sig):
    lam = wp.modes(wp.target(pair_sig), WIDTH).strengths
    time = 3 * float(wp.half_time(jnp.array([1e-10]), lam[-1:])[0])
    final = flow(start(1e-5), jnp.linspace(0.0, time, SAVES), pair_sig)[1][-1]
    truth = wp.final(pair_sig, WIDTH)
    assert float(jnp.linalg.norm(final - truth) / jnp.linalg.norm(truth)) < 1e-6
    rest = wp.modes(wp.target(pair_sig), VOCAB).strengths[WIDTH:]
    left_over = jnp.linalg.norm(truth - wp.target(pair_sig))
    np.testing.assert_allclose(left_over, jnp.linalg.norm(rest), rtol=1e-10)  # the best of rank d leaves no less


@float64_only
def test_closed_form_of_an_aligned_start_is_exact(pair_sig, tolerance):
    vectors, strengths = wp.modes(wp.target(pair_sig), WIDTH)
    turn = jnp.asarray(scipy.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))[0])
    aligned = {"embed": vectors @ jnp.diag(jnp.array([0.1, 0.01, 0.3, 1e-4])) @ turn}
    for t in (0.0, 1.0, 20.0):
        found, expected = wp.closed_form(t, aligned, pair_sig), wp.exact(t, aligned, pair_sig)
        np.testing.assert_allclose(gram(found), gram(expected), rtol=0, atol=1e3 * tolerance * float(strengths[0]))


@float64_only
def test_the_qr_start_improves_as_the_start_shrinks_and_the_others_do_not(pair_sig):
    found = wp.modes(wp.target(pair_sig), WIDTH)

    @jax.jit
    def errors(state, ts):
        truth = jax.lax.map(lambda t: spectrum(wp.exact(t, state, pair_sig)), ts)
        starts = jnp.stack([start(state["embed"], found) for start in wp.STARTS.values()])
        powers = jax.vmap(jax.vmap(wp.power, (0, None, None)), (None, 0, None))(ts, starts, found.strengths)
        gaps = jnp.sort(jnp.sqrt(powers))[:, :, ::-1] - truth[None]
        return jnp.sqrt(jnp.mean(gaps**2, axis=(1, 2)) / found.strengths[0])

    def median(scale):
        ts = jnp.linspace(0.0, 1.5 * float(jnp.log(found.strengths[-1] / scale**2) / found.strengths[-1]), 60)
        return dict(
            zip(wp.STARTS, np.median([errors(start(scale, seed), ts) for seed in range(4)], axis=0), strict=True)
        )

    large, small = median(1e-3), median(1e-6)
    assert small["QR diagonal"] < 1e-2 * large["QR diagonal"] and small["QR diagonal"] < 1e-4
    for name in ("svd of W(0)", "sigma^2 d", "sigma^2 (d - k + 1)"):
        assert small[name] > 100 * small["QR diagonal"]


@pytest.mark.slow
@float64_only
def test_couplings_above_the_diagonal(pair_sig):
    found = wp.modes(wp.target(pair_sig), WIDTH)
    state = start(1e-8)

    def corner(t):
        matrix = wp.exact(t, state, pair_sig)["embed"].T @ found.vectors
        return jnp.abs(jnp.linalg.qr(matrix, mode="r"))

    ts = jnp.linspace(0.1, 60.0, 400)
    truth = jax.vmap(corner)(ts)
    predicted = jax.vmap(lambda t: jnp.abs(wp.couplings(t, corner(0.0), found.strengths)))(ts)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        assert abs(float(predicted[:, i, j].max() / truth[:, i, j].max()) - 1) < 1e-2
    np.testing.assert_allclose(wp.couplings(0.0, corner(0.0), found.strengths), corner(0.0), rtol=1e-12, atol=0)


def test_golden_sigmoid(tolerance):
    begin, lam = jnp.array([1e-4]), jnp.array([4.0])
    tau = wp.half_time(begin, lam)[0]
    exact = 1e-9 if tolerance < 1e-6 else 1e-4
    assert abs(float(tau) - np.log(4e4) / 4) < exact
    for t, golden in ((float(tau), 2.0000250003), (2.0, 0.2774277246), (3.0, 3.2108852866)):
        assert abs(float(wp.power(t, begin, lam)[0]) - golden) < exact
    rise = [float(tau) + np.log(x / (1 - x)) / 4.0 for x in (0.1, 0.9)]
    assert abs(rise[1] - rise[0] - 2 * np.log(9) / 4.0) < exact


@pytest.mark.parametrize("rate", [2.0, -2.0])
def test_sigmoid_solves_its_equation_and_does_not_overflow(rate, tolerance):
    begin, lam = jnp.array([0.3]), jnp.array([rate])
    value, slope = jax.jvp(lambda t: wp.power(t, begin, lam), (jnp.asarray(0.7, float),), (jnp.asarray(1.0, float),))
    np.testing.assert_allclose(slope, value * (lam - value), rtol=0, atol=10 * tolerance)
    np.testing.assert_allclose(wp.power(1e6, begin, lam), [max(rate, 0.0)], rtol=0, atol=10 * tolerance)


def test_equal_factors_of_the_untied_flow_are_the_tied_one(pair_sig, tolerance):
    state = start(0.5)
    both = wp.untied_field(0.0, {"embed": state["embed"], "unembed": state["embed"]}, pair_sig)
    for leaf in both.values():
        np.testing.assert_allclose(leaf, wp.field(0.0, state, pair_sig)["embed"], rtol=0, atol=100 * tolerance)


@pytest.mark.slow
@float64_only
def test_untied_modes_of_lopsided_pairs():
    pairs = shuffled(RandomPairs(words=12, rank=3, strength=1.0).dataset(), 1)
    sig, rng = statistics(pairs), np.random.default_rng(0)
    state = {name: jnp.asarray(1e-8 * rng.normal(size=(12, 2))) for name in ("embed", "unembed")}
    ts = jnp.linspace(0.0, 12.0, 25)
    save = lambda s: jnp.linalg.svd(s["embed"] @ s["unembed"].T, compute_uv=False)[:2]  # noqa: E731
    truth = integrate(wp.untied_field, state, ts, sig, save=save, rtol=1e-9, atol=1e-18).ys
    found = jax.vmap(lambda t: wp.untied_power(t, state, sig))(ts)
    moved = np.abs(np.asarray(truth)).max()
    assert moved > 1 and np.abs(np.sort(found)[:, ::-1] - truth).max() < 0.02 * moved


@pytest.mark.slow
@float64_only
def test_bigram_modes_are_those_of_the_second_order_cross_entropy():
    sig = statistics(uniform_bigrams(12))
    rng = np.random.default_rng(3)
    state = {name: jnp.asarray(1e-6 * rng.normal(size=(12, 3))) for name in ("embed", "unembed")}
    rates = jnp.linalg.svd(linear.drive(sig), compute_uv=False)
    ts = jnp.linspace(0.0, 1.5 * float(jnp.log(1e12) / (2 * rates[2])), 40)
    full = signatures(count(uniform_bigrams(12)))
    save = lambda s: jnp.linalg.svd(s["embed"] @ linear.centred(s["unembed"]).T, compute_uv=False)[:3]  # noqa: E731
    truth = integrate(linear.rung1, state, ts, full, save=save, rtol=1e-8, atol=1e-14).ys
    found = jax.vmap(lambda t: wp.bigram_power(t, state, sig))(ts)
    assert np.abs(np.sort(found)[:, ::-1] - truth).max() < 1e-2 * float(truth.max())
    wrong = jax.vmap(lambda t: wp.bigram_power(t / 2, state, sig))(ts)
    assert np.abs(np.sort(wrong)[:, ::-1] - truth).max() > 0.3 * float(truth.max())


def uniform_bigrams(vocab, strength=1.0):
    """Next-word tables over equally frequent words, log-linear in a few random features of both."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(vocab, 3)))[0] for _ in range(2))
    table = np.exp(left * (strength * vocab * 0.1 * 0.6 ** np.arange(3)) @ right.T)
    table /= table.sum(axis=1, keepdims=True)
    words, following = np.divmod(np.arange(vocab**2), vocab)
    return checked_dataset(words[:, None], following, table.ravel(), vocab)


@float64_only
def test_explains_the_flow_and_other_pairs_do_not(flow, pairs, pair_sig):
    state = start(1e-5)
    ts = jnp.linspace(0.0, 40.0, SAVES)
    truth = flow(state, ts, pair_sig)[1]

    def error(sig):
        found = jax.vmap(lambda t: gram(wp.closed_form(t, state, sig)))(ts)
        return float(jnp.linalg.norm(found - truth) / jnp.linalg.norm(truth - truth[:1]))

    assert error(pair_sig) < 1e-2
    assert error(statistics(shuffled(pairs, 0))) > 0.5


def test_width_sees_no_direction(pair_sig, tolerance):
    turn = jnp.asarray(scipy.linalg.qr(np.random.default_rng(3).normal(size=(WIDTH, WIDTH)))[0], dtype=float)
    state = start(0.3)
    turned = {"embed": state["embed"] @ turn}
    rate = wp.field(0.0, state, pair_sig)["embed"] @ turn
    np.testing.assert_allclose(wp.field(0.0, turned, pair_sig)["embed"], rate, rtol=0, atol=100 * tolerance)
    for solution in (wp.exact, wp.closed_form):
        grams = [gram(solution(2.0, s, pair_sig)) for s in (state, turned)]
        np.testing.assert_allclose(*grams, rtol=0, atol=1e3 * tolerance)


def test_jit_and_vmap_lanes_agree(pair_sig, tolerance):
    state = start(1e-2)
    for function in (wp.field, wp.closed_form):
        plain = function(1.0, state, pair_sig)["embed"]
        pair = {"embed": jnp.stack([state["embed"], 2 * state["embed"]])}
        lanes = jax.jit(jax.vmap(function, (None, 0, None)))(1.0, pair, pair_sig)["embed"]
        np.testing.assert_allclose(lanes[0], plain, rtol=0, atol=300 * tolerance)


def test_foreign_states_are_refused(pair_sig):
    both = {"embed": jnp.ones((VOCAB, 2)), "unembed": jnp.ones((VOCAB, 2))}
    with pytest.raises(ValueError, match="untied_field"):
        wp.field(0.0, both, pair_sig)
    with pytest.raises(ValueError, match="embed and unembed"):
        wp.untied_field(0.0, start(1.0), pair_sig)


def test_pmi_of_attributes_is_of_rank_one_more_than_they_are(tolerance):
    task = Attributes((0.6, 0.4, 0.2), (0.5, 0.4, 0.3))
    values = np.linalg.svd(np.asarray(wp.pmi(statistics(task.dataset()))), compute_uv=False)
    assert values[3] > 0.01 and values[4] < 100 * tolerance
