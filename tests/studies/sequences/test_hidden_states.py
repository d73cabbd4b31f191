"""What can be known of a hidden state before and after its token, by enumeration, and the study end to end."""

import jax
import numpy as np
import pytest

from jaxembed.decoding import Decoded
from jaxembed.decoding.scores import Cell
from jaxembed.processes import HiddenMarkov, hidden_markov_world
from jaxembed.studies.sequences import hidden_states as study
from jaxembed.studies.sequences.hidden_state_cells import (
    BELIEF,
    EMBEDDINGS,
    FILTER,
    SMOOTHER,
    STATE,
    TARGETS,
    TWICE,
    VITERBI,
    Split,
    questions,
)

PROCESS = HiddenMarkov(states=2, vocab=3)
WORLD = hidden_markov_world([[0.8, 0.2], [0.3, 0.7]], [[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])
BEFORE, AFTER = EMBEDDINGS


@pytest.fixture(scope="module")
def asked():
    draw = PROCESS.sample(jax.random.key(0), WORLD, 200, 6)
    return draw, questions(PROCESS, WORLD, draw.items, draw.latents["state"], 3)


@pytest.mark.float64_only("compared to 1e-8")
def test_targets_are_those_of_the_process_at_their_positions(asked):
    draw, found = asked
    exact = PROCESS.exact(WORLD, draw.items[:, :5])
    assert tuple(found) == TARGETS
    for name, values in ((BELIEF, exact["belief"][:, 3]), (FILTER, exact["filter"][:, 4])):
        np.testing.assert_allclose(found[name].truth, values, atol=1e-8)
    np.testing.assert_allclose(found[SMOOTHER].truth, exact["smoother"][:, 3], atol=1e-8)
    np.testing.assert_array_equal(found[VITERBI].truth, exact["viterbi"][:, 4])
    np.testing.assert_array_equal(found[STATE].truth, draw.latents["state"][:, 4])


@pytest.mark.float64_only("compared to 1e-8")
def test_the_best_guess_before_a_token_is_the_mean_over_that_token(asked):
    draw, found = asked
    weights = np.exp(
        np.stack([PROCESS.log_predictive(WORLD, draw.items[:, :5].at[:, 4].set(v))[:, 3] for v in range(3)])
    )
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, atol=1e-8)
    for name, exact, at in ((FILTER, "filter", 4), (SMOOTHER, "smoother", 3), (VITERBI, "viterbi", 4)):
        every = np.stack([PROCESS.exact(WORLD, draw.items[:, :5].at[:, 4].set(v))[exact][:, at] for v in range(3)])
        np.testing.assert_allclose(found[name].guess[BEFORE], np.einsum("vi,vik->ik", weights, every), atol=1e-8)
        votes = np.einsum("vi,vik->ik", weights, np.eye(2)[every.argmax(axis=-1)])
        np.testing.assert_allclose(found[name].votes[BEFORE], votes, atol=1e-8)
        np.testing.assert_array_equal(found[name].guess[AFTER], found[name].truth)
    # The law of total probability: before its token, the filter is expected to be the belief.
    np.testing.assert_allclose(found[FILTER].guess[BEFORE], found[BELIEF].truth, atol=1e-8)
    assert not np.allclose(found[TWICE].truth, found[BELIEF].truth, atol=0.01)


def test_a_split_keeps_its_parts_apart():
    first, second, third = Split(3, 2, 1).parts(np.arange(10))
    assert [part.tolist() for part in (first, second, third)] == [[0, 1, 2], [3, 4], [5]]


@pytest.mark.slow
@pytest.mark.float64_only("the study refuses float32")
def test_the_tiny_study_passes_its_checks_and_goes_on_from_what_it_kept(tmp_path):
    found = study.hidden_states("tiny", seeds=1, keep=tmp_path)
    assert all(check.passed for check in found.checks()), found.checks()
    assert {len(row) for row in (study.HEADER, *found.rows())} == {len(study.HEADER)}
    lines: list[str] = []
    again = study.hidden_states("tiny", seeds=1, keep=tmp_path, progress=lines.append)
    assert again.rows() == found.rows() and not any("loss" in line for line in lines)
    cells = found.of(0.5)
    for target in cells.targets:
        ceiling, said = (cells.values(target, "KL", source) for source in ("ceiling", "model"))
        assert np.all(said >= ceiling - 0.05), target
    for name in study.MISMATCHED:
        assert np.all(cells.values(name, "KL", "ceiling") < 1e-12), f"{name} can be known"


def _cells_with(kl):
    """Scores of one seed: KL by target and source, and what the Viterbi check asks for."""
    found = [Cell(target, 0, None, None, source, "KL", (value,)) for (target, source), value in kl.items()]
    return Decoded(tuple(found), {}, (0,))


def test_the_matched_cell_is_held_against_the_untrained_network():
    network = study.NETWORKS[0]
    for toughest, passes in ((0.9, True), (0.7, False)):
        kl = {(name, source): 10.0 for name in study.MISMATCHED for source in ("model", "untrained")}
        kl |= {(study.MAIN, source): 1.0 for source in ("model", "untrained")}
        kl |= {(study.MISMATCHED[0], "model"): toughest, (study.MISMATCHED[0], "untrained"): 0.8}
        run = study.Run(_cells_with(kl), _cells_with(kl), (np.zeros((1, 1)), np.zeros(1)))
        result = study.HiddenStates("quick", study.setting_of("quick"), (0,), {(0.5, network): run})
        check = result._matched_check("emission 0.5", 0.5)
        assert check.passed is passes and "0.80" in check.got, check


@pytest.mark.float64_only("float32 is refused")
def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="size: hmm has no size"):
        study.setting_of("huge")  # pyright: ignore[reportArgumentType]
