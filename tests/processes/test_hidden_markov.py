"""Filter, belief, smoother and Viterbi against all state paths written out, and against dynamax."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.processes import HiddenMarkov, Process, hidden_markov_world

PROCESSES = (
    HiddenMarkov(states=3, vocab=5, emission=1.0),
    HiddenMarkov(states=3, vocab=5, linger=0.6, start=(0.7, 0.2, 0.1)),
)
LENGTH = 6


def given(process, seed=0, sequences=3, length=LENGTH):
    """A world and tokens, by numpy: nothing to compile."""
    random = np.random.default_rng(seed)
    counts = (process.states, process.vocab)
    world = hidden_markov_world(*(random.dirichlet(np.ones(size), process.states) for size in counts))
    return world, jnp.asarray(random.integers(0, process.vocab, (sequences, length)))


@pytest.fixture(scope="module")
def sampled():
    process = HiddenMarkov(states=3, vocab=5, linger=0.3, start=(0.6, 0.3, 0.1))
    world, _ = given(process)
    return process, world, process.sample(jax.random.key(1), world, 4000, 4)


def joint_of_paths(parts, tokens):
    """p(path, tokens) for every path, `[path]`, and the paths, `[path, position]`."""
    start, chain, emission = parts
    paths = np.array(list(product(range(len(start)), repeat=len(tokens))))
    joint = start[paths[:, 0]] * emission[paths, np.asarray(tokens)[None, :]].prod(axis=1)
    for before, after in zip(paths.T[:-1], paths.T[1:], strict=True):
        joint = joint * chain[before, after]
    return joint, paths


def marginal(joint, states, count):
    return np.array([joint[states == k].sum() for k in range(count)]) / joint.sum()


@pytest.mark.parametrize("process", PROCESSES)
def test_every_exact_quantity_agrees_with_all_state_paths_written_out(process, tolerance):
    world, items = given(process)
    found = {name: np.asarray(values) for name, values in process.exact(world, items).items()}
    predictive = np.asarray(process.log_predictive(world, items))
    parts = [np.asarray(part) for part in process.parts(world)]
    found_paths = np.asarray(process.viterbi_path(world, items))
    limit = max(1e-8, 10 * tolerance)
    for i, tokens in enumerate(np.asarray(items)):
        whole, paths = joint_of_paths(parts, tokens)
        totals = []
        for n in range(LENGTH):
            joint, short = joint_of_paths(parts, tokens[: n + 1])
            now = marginal(joint, short[:, -1], process.states)
            totals.append(joint.sum())
            np.testing.assert_allclose(found["filter"][i, n], now, atol=limit)
            np.testing.assert_allclose(found["belief"][i, n], now @ parts[1], atol=limit)
            assert found["viterbi"][i, n].argmax() == short[joint.argmax(), -1]
            np.testing.assert_allclose(
                found["smoother"][i, n], marginal(whole, paths[:, n], process.states), atol=limit
            )
        np.testing.assert_allclose(predictive[i], np.diff(np.log(totals)), atol=limit)
        np.testing.assert_array_equal(found_paths[i], paths[whole.argmax()])


def test_it_is_a_process_whose_targets_have_the_sizes_they_say():
    process = PROCESSES[0]
    world, items = given(process)
    assert isinstance(process, Process) and process.reads == "tokens" and process.size == 5
    for name, target in process.targets.items():
        values = process.exact(world, items, [target.ceiling or name], positions=(0, 4))[target.ceiling or name]
        assert values.shape == (3, 2, target.size)
        np.testing.assert_allclose(values.sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.float64_only("underflow is met at another length in float32")
def test_ten_thousand_tokens_neither_vanish_nor_drift():
    process = PROCESSES[0]
    world, _ = given(process)
    items = jnp.asarray(np.random.default_rng(1).integers(0, process.vocab, (1, 10_000)))
    found = process.exact(world, items, ["filter", "smoother"])
    for values in found.values():
        np.testing.assert_allclose(values.sum(axis=-1), 1.0, atol=1e-10)
    assert np.isfinite(process.log_predictive(world, items)).all()


def test_a_drawn_world_has_rows_of_probabilities_as_concentrated_as_asked():
    world = HiddenMarkov(states=4, vocab=6, transition=0.01, emission=100.0).world(jax.random.key(0))
    assert {name: rows.shape for name, rows in world.items()} == {"transition": (4, 4), "emission": (4, 6)}
    for rows in world.values():
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-5)
    assert world["transition"].max(axis=1).mean() > 0.9 and world["emission"].max() < 0.3


def test_sampled_states_and_tokens_follow_the_world(sampled):
    process, world, draw = sampled
    start, chain, emission = (np.asarray(part) for part in process.parts(world))
    states, items = np.asarray(draw.latents["state"]).argmax(-1), np.asarray(draw.items)
    np.testing.assert_array_equal(draw.latents["state"].sum(axis=-1), 1.0)
    np.testing.assert_allclose(np.bincount(states[:, 0], minlength=3) / 4000, start, atol=0.03)
    for k in range(3):
        of_tokens = np.bincount(items[states == k], minlength=5) / (states == k).sum()
        moved = np.bincount(states[:, 1:][states[:, :-1] == k], minlength=3) / (states[:, :-1] == k).sum()
        np.testing.assert_allclose(of_tokens, emission[k], atol=0.03)
        np.testing.assert_allclose(moved, chain[k], atol=0.03)


def test_the_filter_is_calibrated_and_beats_the_shifted_prior_on_own_data(sampled):
    process, world, draw = sampled
    other = process.shifted()
    assert other.start is not None and other.start[0] > 0.8 and other.linger == 0.65
    own = process.log_predictive(world, draw.items)
    assert float(own.mean()) > float(other.log_predictive(world, draw.items).mean())
    believed = process.exact(world, draw.items, ["filter"])["filter"]
    np.testing.assert_allclose(believed.mean(axis=0), draw.latents["state"].mean(axis=0), atol=0.03)


def test_the_best_path_of_an_impossible_sequence_is_undefined_and_no_state():
    """Token 2 is emitted by no state; token 0 behind 1 is emitted by a state that cannot be reached."""
    process = HiddenMarkov(states=2, vocab=3)
    world = hidden_markov_world([[0.5, 0.5], [0.0, 1.0]], [[1.0, 0, 0], [0, 1.0, 0]])
    items = jnp.array([[1, 1, 2, 1], [1, 0, 1, 1], [0, 1, 1, 1]])
    found = process.exact(world, items, ["viterbi", "filter"])
    last = np.asarray(found["viterbi"])
    np.testing.assert_array_equal(np.isnan(last), np.isnan(found["filter"]))
    assert np.isnan(last[0, 2:]).all() and np.isnan(last[1, 1:]).all() and not np.isnan(last[2]).any()
    path = np.asarray(process.viterbi_path(world, items))
    assert path.tolist() == [[-1] * 4, [-1] * 4, [0, 1, 1, 1]] and path.dtype.kind == "i"


def test_a_token_that_no_state_emits_is_undefined_and_not_zero():
    world = hidden_markov_world([[0.5, 0.5], [0.5, 0.5]], [[1.0, 0.0], [1.0, 0.0]])
    found = HiddenMarkov(states=2, vocab=2).exact(world, jnp.array([[0, 1]]), ["filter"])["filter"]
    assert np.isfinite(found[0, 0]).all() and np.isnan(found[0, 1]).all()


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: hidden_markov_world([[0.5, 0.6], [0.5, 0.5]], [[1.0], [1.0]]), "transition: row 0 sums to 1.1, not 1"),
        (
            lambda: hidden_markov_world(np.eye(3), [[1.0], [1.0]]),
            "transition: need 2 x 2 probabilities, got shape .3, 3.",
        ),
        (lambda: hidden_markov_world([[1.0]], [[0.5, 0.4]]), "emission: row 0 sums to 0.9"),
        (lambda: hidden_markov_world([[1.0]], [[1.5, -0.5]]), "emission: probabilities must be finite and not neg"),
        (lambda: HiddenMarkov(states=2, start=(0.5, 0.6)), "start: probabilities sum to 1.1"),
        (lambda: HiddenMarkov(states=3, start=(0.5, 0.5)), "start: need 3 probabilities"),
        (lambda: HiddenMarkov(emission=0.0), "emission: the Dirichlet prior is improper"),
        (lambda: HiddenMarkov(linger=1.0), "linger: must be a probability below 1"),
        (lambda: HiddenMarkov(states=0), "states: must be at least 1"),
        (lambda: PROCESSES[0].exact(given(PROCESSES[0])[0], jnp.zeros((1, 2), int), ["mood"]), "names: no exact"),
        (
            lambda: HiddenMarkov(3, 4).log_predictive(given(PROCESSES[0])[0], jnp.zeros((1, 2), int)),
            "world: need 3 .* transition .3, 3. and em",
        ),
        (lambda: PROCESSES[0].exact(*given(PROCESSES[0]), ["filter"], (LENGTH,)), "positions: need -6 .. 5 .* got 6"),
    ],
)
def test_bad_input_is_refused_in_one_line(make, line):
    with pytest.raises(ValueError, match=line) as error:
        make()
    assert "\n" not in str(error.value)


def test_rows_that_do_not_sum_to_one_are_refused_where_they_are_used():
    world = {"transition": jnp.eye(2), "emission": jnp.full((2, 3), 0.5)}
    with pytest.raises(ValueError, match=r"emission: row 0 sums to 1\.5"):
        HiddenMarkov(states=2, vocab=3).exact(world, jnp.zeros((1, 2), int))


def test_filter_and_smoother_agree_with_dynamax():
    hmm = pytest.importorskip("dynamax.hidden_markov_model")
    process = HiddenMarkov(states=4, vocab=6)
    world, items = given(process, sequences=1, length=40)
    start, chain, emission = process.parts(world)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        seen = jnp.log(emission.T[items[0]])
        theirs = hmm.hmm_smoother(start, chain, seen)
        path = hmm.hmm_posterior_mode(start, chain, seen)
    ours = process.exact(world, items)
    np.testing.assert_allclose(ours["filter"][0], theirs.filtered_probs, atol=1e-8)
    np.testing.assert_allclose(ours["belief"][0, :-1], theirs.predicted_probs[1:], atol=1e-8)
    np.testing.assert_allclose(ours["smoother"][0], theirs.smoothed_probs, atol=1e-8)
    np.testing.assert_array_equal(process.viterbi_path(world, items)[0], path)
