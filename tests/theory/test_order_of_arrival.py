"""theory/order_of_arrival.md: modes of pair counts, their heights and times, against the integrated flow."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxembed import count, signatures, train
from jaxembed.base import checked_dataset
from jaxembed.theory import order_of_arrival as theory
from jaxembed.theory.word_pairs import bigram_power

float64_only = pytest.mark.float64_only("needs float64 resolution")
VOCAB, WIDTH = 16, 3


def uneven(seed=0):
    """A text with frequent and rare words, whose next words depend on the word."""
    rng = np.random.default_rng(seed)
    rates = 1 / np.arange(1, VOCAB + 1)
    table = rates[:, None] * rates[None, :] * np.exp(0.5 * rng.normal(size=(VOCAB, VOCAB)))
    return table / table.sum()


def even(strength):
    """All words equally frequent; the one mode of what follows what has singular value strength / v."""
    side = np.where(np.arange(VOCAB) % 2, 1.0, -1.0)
    return (1 + strength * np.outer(side, np.roll(side, 1))) / VOCAB**2


def begin(scale, seed=0):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(scale * rng.normal(size=(VOCAB, WIDTH)), float) for name in ("embed", "unembed")}


def test_modes_add_up_to_the_text(tolerance):
    joint = uneven()
    rates, frequencies = joint.sum(axis=1), joint.sum(axis=0)
    first, rest = theory.unigram_mode(joint), theory.modes(joint, frequencies, VOCAB)
    parts = [(each.left * each.rate[None, :]) @ each.right.T for each in (first, rest)]
    np.testing.assert_allclose(sum(parts), joint - rates[:, None] / VOCAB, rtol=0, atol=tolerance)
    assert np.all(np.diff(rest.rate) <= 0)


def test_shuffled_text_has_the_unigram_mode_alone(tolerance):
    joint = uneven()
    product = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    whole, first = theory.modes(product, np.full(VOCAB, 1 / VOCAB), 2), theory.unigram_mode(joint)
    np.testing.assert_allclose(whole.rate[0], first.rate[0], rtol=100 * tolerance)
    np.testing.assert_allclose(whole.height[0], first.height[0], rtol=1000 * tolerance)
    assert float(whole.rate[1]) < 10 * tolerance


def test_uniform_frequencies_give_the_known_heights(tolerance):
    joint = even(0.3)
    found = theory.modes(joint, np.full(VOCAB, 1 / VOCAB), 1)
    np.testing.assert_allclose(found.rate[0], 0.3 / VOCAB, rtol=100 * tolerance)
    np.testing.assert_allclose(found.height[0], 0.3 * VOCAB, rtol=1000 * tolerance)


def test_sigmoids_are_those_of_uniform_frequencies():
    """The same numbers as (Q15) by another route."""
    x, y = np.divmod(np.arange(VOCAB**2), VOCAB)
    sig = signatures(count(checked_dataset(x[:, None], y, even(0.3).ravel(), VOCAB), order=1))
    found = theory.modes(even(0.3), np.full(VOCAB, 1 / VOCAB), 1)
    started = theory.start(begin(1e-2), found)
    for t in (50.0, 150.0, 250.0):
        power = float(bigram_power(t, begin(1e-2), sig)[0])
        ours = float((theory.share(t, started, found) * found.height)[0])
        # Singular vectors are fixed up to a joint sign, which changes neither.
        assert abs(ours - power) < 1e-3 * float(found.height[0])


@float64_only
def test_the_flow_learns_the_mode_at_its_time():
    joint = jnp.asarray(even(0.3))
    found = theory.modes(joint, np.full(VOCAB, 1 / VOCAB), 1)
    state = begin(1e-3)
    predicted = float(theory.arrival_time(theory.start(state, found), found)[0])
    loss = lambda s: -jnp.sum(joint * jax.nn.log_softmax(s["embed"] @ s["unembed"].T, axis=1))  # noqa: E731
    run = train(loss, state, optax.sgd(0.5), dt=0.5, steps_per_save=int(1.5 * predicted / 30), num_saves=60)
    line, times = run.ys, run.ts
    held = jax.nn.softmax(line["embed"] @ jnp.swapaxes(line["unembed"], 1, 2), axis=2) / VOCAB
    shares = np.asarray(found.left[:, 0] @ (held - 1 / VOCAB**2) @ found.right[:, 0] / found.rate[0])
    observed = float(np.interp(0.5, shares, np.asarray(times)))
    assert abs(observed / predicted - 1) < 0.02
    assert abs(predicted - np.log(1e3) / float(found.rate[0])) < 0.5 * predicted
    wrong = theory.arrival_time(theory.start(state, found), found._replace(rate=2 * found.rate))
    assert abs(observed / float(wrong[0]) - 1) > 0.5


def test_a_smaller_start_delays_by_the_rate():
    found = theory.modes(uneven(), uneven().sum(axis=0), 2)
    times = [theory.arrival_time(theory.start(begin(scale), found), found) for scale in (1e-3, 1e-4)]
    expected = np.log(100) / (2 * np.asarray(found.rate))
    np.testing.assert_allclose(np.asarray(times[1] - times[0]), expected, rtol=1e-3)


def test_which_comes_first_depends_on_the_text():
    """(O10): with hardly any bigrams the unigram is faster, with equally frequent words there is none."""
    mixed = 0.02 * even(0.5) + 0.98 * np.outer(uneven().sum(axis=1), uneven().sum(axis=0))
    for joint, unigram_first in ((mixed, True), (even(0.3), False)):
        first, rest = theory.unigram_mode(joint + 1e-12), theory.modes(joint, joint.sum(axis=0), 1)
        assert (float(first.rate[0]) > float(rest.rate[0])) == unigram_first


def test_relabelling_leaves_the_times():
    joint, order = uneven(), np.random.default_rng(1).permutation(VOCAB)
    state = begin(1e-3)
    moved = {name: leaf[order] for name, leaf in state.items()}
    times = []
    for table, started in ((joint, state), (joint[order][:, order], moved)):
        found = theory.modes(table, table.sum(axis=0), 2)
        times.append(np.asarray(theory.arrival_time(theory.start(started, found), found)))
    np.testing.assert_allclose(times[0], times[1], rtol=1e-3)


def test_gain_ends_at_half_of_rate_times_height():
    found = theory.modes(uneven(), uneven().sum(axis=0), 2)
    begun = theory.start(begin(1e-3), found)
    assert abs(float(theory.gain(0.0, begun, found))) < 1e-4
    whole = float(jnp.sum(found.rate * found.height) / 2)
    assert abs(float(theory.gain(1e6, begun, found)) / whole - 1) < 1e-4
