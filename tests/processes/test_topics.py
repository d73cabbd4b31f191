"""Documents of topics: filters and Gibbs against sums over every assignment, and against each other."""

from functools import cache
from itertools import product
from math import lgamma

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.probes import scores
from jaxembed.processes import HmmLda, LatentDirichlet, Process
from jaxembed.processes import _topic_posterior as inner
from jaxembed.processes._topic_counts import filter_counts, one_class

PLAIN = LatentDirichlet(topics=3, vocab=4, alpha=(0.3, 0.5, 1.2))
MIXED = HmmLda(topics=2, vocab=4, alpha=0.4, share=0.6, classes=2)
PROCESSES = {"plain": PLAIN, "mixed": MIXED}


SHARES = {share: HmmLda(topics=2, vocab=4, alpha=0.4, share=share, classes=2) for share in (0.0, 1.0)}


@cache
def drawn(process):
    """A world and its documents, of one shape for all tests, so that little is compiled."""
    world = process.world(jax.random.key(0))
    return world, jax.jit(process.sample, static_argnums=(2, 3))(jax.random.key(1), world, 2000, 12)


def assignment_chance(alpha, counts):
    """Chance of one sequence of topics with these counts: the integral over mixtures in closed form."""
    log = lgamma(sum(alpha)) - lgamma(sum(alpha) + sum(counts))
    return np.exp(log + sum(lgamma(a + c) - lgamma(a) for a, c in zip(alpha, counts, strict=True)))


def enumerated(shared, words):
    """Posterior mean of the mixture and chance of the words, by every assignment of topics and classes."""
    alpha, topics, emission, transition, initial = (np.asarray(part, np.float64) for part in shared)
    options = [(0, k) for k in range(len(alpha))] + [(c, None) for c in range(1, len(initial))]
    mean, evidence = np.zeros(len(alpha)), 0.0
    for path in product(options, repeat=len(words)):
        chance, counts, before = 1.0, np.zeros(len(alpha)), None
        for (state, topic), word in zip(path, words, strict=True):
            chance *= initial[state] if before is None else transition[before, state]
            chance *= emission[state - 1, word] if topic is None else topics[topic, word]
            before = state
            if topic is not None:
                counts[topic] += 1
        chance *= assignment_chance(alpha, counts)
        mean += chance * (alpha + counts) / (alpha.sum() + counts.sum())
        evidence += chance
    return mean / evidence, np.log(evidence)


@pytest.mark.parametrize("name", PROCESSES)
def test_filter_is_a_sum_over_every_assignment(name, tolerance):
    process = PROCESSES[name]
    world, draw = drawn(process)
    means = process.exact(world, draw.items[:40])["posterior_mean"]
    logs = process.log_predictive(world, draw.items[:40])
    for i, words in enumerate(np.asarray(draw.items[:2, :4])):
        before = enumerated(process._shared(world), words[:1])[1]
        for n in range(1, 4):
            mean, log = enumerated(process._shared(world), words[: n + 1])
            np.testing.assert_allclose(means[i, n], mean, rtol=50 * tolerance)
            np.testing.assert_allclose(logs[i, n - 1], log - before, rtol=50 * tolerance)
            before = log


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSES)
def test_gibbs_and_particles_agree_with_the_filter_within_their_error(name, monkeypatch):
    process = PROCESSES[name]
    world, draw = drawn(process)
    items = draw.items[:40]
    exact = process.exact(world, items, positions=(6, 11))["posterior_mean"]
    logs = process.log_predictive(world, items)
    other = process.exact(world, draw.items[40:80], positions=(6, 11))["posterior_mean"]
    monkeypatch.setattr(inner, "COUNT_LIMIT", 0)
    found = process.exact(world, items, ("posterior_mean", "monte_carlo_error"), (6, 11), jax.random.key(5))
    off = np.asarray(found["posterior_mean"] - exact)
    z = off / np.asarray(found["monte_carlo_error"])
    # Batch means of ten batches: a t variable of nine degrees, whose variance is 9/7.
    assert 0.7 < np.mean(z**2) < 2.0
    assert abs(off).max() < 0.06 < abs(np.asarray(other - exact)).max()
    estimated = process.log_predictive(world, items)
    assert abs(float(jnp.mean(estimated - logs))) < 2e-3
    assert float(jnp.sqrt(jnp.mean((estimated - logs) ** 2))) < 0.03


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process(name):
    process = PROCESSES[name]
    world, draw = drawn(process)
    assert set(process.targets) == {"mixture", "posterior_mean"}
    assert draw.items.shape == (2000, 12) and draw.latents["mixture"].shape == (2000, process.topics)
    items = draw.items[:40]
    later = process.exact(world, items, positions=(4,))["posterior_mean"]
    np.testing.assert_array_equal(later[:, 0], process.exact(world, items)["posterior_mean"][:, 4])
    assert isinstance(process, Process) and hash(process) == hash(PROCESSES[name])


@pytest.mark.parametrize("name", PROCESSES)
def test_words_have_the_frequencies_of_the_process(name):
    process = PROCESSES[name]
    world, draw = drawn(process)
    shared = process._shared(world)
    alpha = np.asarray(shared.alpha)
    semantic = alpha / alpha.sum() @ np.asarray(shared.topics)
    expected = np.asarray(shared.initial) @ np.concatenate([semantic[None], np.asarray(shared.emission)])
    for position in (0, 11):
        found = np.bincount(np.asarray(draw.items[:, position]), minlength=4) / 2000
        assert abs(found - expected).max() < 4 * 0.5 / 2000**0.5
    np.testing.assert_allclose(draw.latents["mixture"].mean(0), alpha / alpha.sum(), atol=0.04)


@pytest.mark.parametrize("name", PROCESSES)
def test_posterior_mean_is_the_best_guess_of_the_mixture(name):
    """Among the documents whose guess is about equal, the generating mixtures average to it."""
    process = PROCESSES[name]
    world, draw = drawn(process)
    found = [
        process.exact(world, draw.items[i : i + 40], positions=(11,))["posterior_mean"] for i in range(0, 2000, 40)
    ]
    guess, truth = np.concatenate(found)[:, 0, 0], np.asarray(draw.latents["mixture"][:, 0])
    slope, offset = np.polyfit(guess, truth, 1)
    assert slope == pytest.approx(1, abs=0.12) and offset == pytest.approx(0, abs=0.05)


def test_share_of_semantic_words_is_the_one_asked(tolerance):
    for share in (0.0, 0.3, 1.0):
        process = HmmLda(topics=2, vocab=4, share=share, classes=2)
        shared = process._shared(drawn(MIXED)[0])
        assert float(shared.initial[0]) == pytest.approx(share)
        np.testing.assert_allclose(
            shared.initial @ shared.transition, shared.initial, rtol=9 * tolerance, atol=tolerance
        )
        np.testing.assert_allclose(shared.transition.sum(1), 1, rtol=9 * tolerance)


def test_all_semantic_documents_are_plain_ones_and_others_leave_the_prior(tolerance):
    world, items = drawn(MIXED)[0], drawn(MIXED)[1].items[:40]
    shared = MIXED._shared(world)
    plain, _ = filter_counts(one_class(shared.alpha, shared.topics), items)
    np.testing.assert_allclose(SHARES[1.0].exact(world, items)["posterior_mean"], plain, rtol=50 * tolerance)
    np.testing.assert_allclose(SHARES[0.0].exact(world, items)["posterior_mean"], 0.5, rtol=50 * tolerance)


def test_shifted_prior_tilts_to_the_first_topic():
    for process in PROCESSES.values():
        world = drawn(process)[0]
        tilt = process.shifted()._shared(world).alpha / process._shared(world).alpha
        np.testing.assert_allclose(tilt, [4] + [1] * (process.topics - 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (lambda: LatentDirichlet(alpha=0.0), "alpha: the Dirichlet prior is improper"),
        (lambda: LatentDirichlet(alpha=(1.0, 1.0)), "alpha: need one number, or one per topic"),
        (lambda: HmmLda(beta=-1.0), "beta: the Dirichlet prior is improper"),
        (lambda: HmmLda(share=1.5), "share: need a probability"),
        (lambda: HmmLda(renewal=0.0), "renewal: need a probability above 0"),
        (lambda: PLAIN.given(np.full((3, 4), 0.2)), "topics: row 0 sums to 0.8, not 1"),
        (lambda: PLAIN.given(np.full((3, 5), 0.2)), "topics: need 3 x 4 probabilities"),
        (lambda: MIXED.given(np.eye(4)[:2], np.eye(4)[:2], [[0.5, 0.5], [1.5, -0.5]]), "transition: .* not negative"),
        (
            lambda: MIXED.given(np.eye(4)[:2], np.eye(4)[:2], np.eye(2)),
            "transition: the classes fall apart into groups",
        ),
        (lambda: LatentDirichlet(topics=0), "topics: must be at least 1"),
        (lambda: LatentDirichlet(vocab=0), "vocab: must be at least 1"),
        (lambda: LatentDirichlet(particles=0), "particles: must be at least 1"),
        (lambda: LatentDirichlet(sweeps=9), "sweeps: must be at least 10, got 9"),
        (lambda: HmmLda(topics=0), "topics: must be at least 1"),
        (lambda: HmmLda(vocab=0), "vocab: must be at least 1"),
        (lambda: HmmLda(classes=0), "classes: must be at least 1"),
        (lambda: HmmLda(particles=0), "particles: must be at least 1"),
        (lambda: HmmLda(sweeps=9), "sweeps: must be at least 10, got 9"),
        (lambda: LatentDirichlet().exact(*many(), positions=(40,)), "positions: need -40 .. 39 .* got 40"),
        (lambda: PLAIN.exact(drawn(PLAIN)[0], drawn(PLAIN)[1].items, positions=(12,)), "positions: need -12 .. 11"),
        (lambda: PLAIN.exact(drawn(PLAIN)[0], drawn(PLAIN)[1].items, ("viterbi",)), "no exact quantity .viterbi."),
    ],
)
def test_bad_input_is_one_clear_line(wrong, line):
    with pytest.raises(ValueError, match=line) as error:
        wrong()
    assert "\n" not in str(error.value)


def test_classes_that_lead_to_a_common_one_are_a_world():
    world = MIXED.given(np.eye(4)[:2], np.eye(4)[:2], [[1.0, 0.0], [0.5, 0.5]])
    np.testing.assert_allclose(MIXED._shared(world).initial, [0.6, 0.4, 0.0], atol=1e-6)


def many():
    """Documents too long for the filter, so that positions go to Gibbs sampling."""
    return {"topics": jnp.full((5, 1000), 1e-3, float)}, jnp.zeros((1, 40), int)


@pytest.mark.slow
@pytest.mark.float64_only("a figure of the published setting, once is enough")
def test_posterior_mean_reaches_the_published_ceilings():
    """1,000 words, 5 topics, 100 words a document: accuracy of the posterior mean's top topic, and its error."""
    published = {0.5: (0.872, 0.0173), 0.8: (0.832, 0.0197), 1.0: (0.796, 0.0199)}
    for alpha, (accuracy, error) in published.items():
        process, found = LatentDirichlet(alpha=alpha, sweeps=60), []
        sample = jax.jit(process.sample, static_argnums=(2, 3))
        for seed in range(3):
            keys = jax.random.split(jax.random.key(seed))
            world = process.world(keys[0])
            draw = sample(keys[1], world, 250, 100)
            said, truth = process.exact(world, draw.items, positions=(99,)), draw.latents["mixture"]
            found.append(scores("distribution", np.asarray(said["posterior_mean"][:, 0]), np.asarray(truth)))
        # Three standard errors of 750 documents.
        off = np.mean([one["accuracy"] for one in found]) - accuracy
        assert abs(off) < 3 * (accuracy * (1 - accuracy) / 750) ** 0.5
        assert np.mean([one["L2"] for one in found]) == pytest.approx(error, rel=0.12)
