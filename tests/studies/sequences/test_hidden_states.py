"""What can be known of a hidden state before and after its token, by enumeration, and the study end to end."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxembed.decoding import Decoded, DecodingScore
from jaxembed.processes import HiddenMarkov, hidden_markov_world
from jaxembed.studies.sequences import hidden_states as study
from jaxembed.studies.sequences.hidden_state_scores import (
    BELIEF,
    EMBEDDINGS,
    FILTER,
    SMOOTHER,
    STATE,
    TARGETS,
    TWICE,
    VITERBI,
    state_targets,
)

PROCESS = HiddenMarkov(states=2, vocab=3)
WORLD = hidden_markov_world([[0.8, 0.2], [0.3, 0.7]], [[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])
BEFORE, AFTER = EMBEDDINGS


@pytest.fixture(scope="module")
def targets():
    draw = PROCESS.sample(jax.random.key(0), WORLD, 200, 6)
    return draw, state_targets(PROCESS, WORLD, draw.items, draw.latents["state"], 3)


@pytest.mark.float64_only("compared to 1e-8")
def test_targets_are_those_of_the_process_at_their_positions(targets):
    draw, found = targets
    exact = PROCESS.exact(WORLD, draw.items[:, :5])
    assert tuple(found) == TARGETS
    for name, values in ((BELIEF, exact["belief"][:, 3]), (FILTER, exact["filter"][:, 4])):
        np.testing.assert_allclose(found[name].truth, values, atol=1e-8)
    np.testing.assert_allclose(found[SMOOTHER].truth, exact["smoother"][:, 3], atol=1e-8)
    np.testing.assert_array_equal(found[VITERBI].truth, exact["viterbi"][:, 4])
    np.testing.assert_array_equal(found[STATE].truth, draw.latents["state"][:, 4])


@pytest.mark.float64_only("compared to 1e-8")
def test_the_best_guess_before_a_token_is_the_mean_over_that_token(targets):
    draw, found = targets
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


@pytest.mark.slow
@pytest.mark.float64_only("the study refuses float32")
def test_what_is_expected_holds_at_tiny_and_the_study_goes_on_from_what_it_kept(tmp_path, tends):
    result = study.STUDY.result("tiny", keep=tmp_path)
    held = {row.id for row in study.evidence(result) if tends(row)}
    assert held >= {f"hidden-markov-{kind}" for kind in study.KINDS} - {"hidden-markov-matched"}
    lines: list[str] = []
    again = study.STUDY.result("tiny", keep=tmp_path, progress=lambda text, share=None, /: lines.append(text))
    assert study.tables(again) == study.tables(result) and not any("loss" in line for line in lines)
    scores = result.of(0.5)
    for target in scores.targets:
        ceiling, model = (scores.values(target, "KL", source) for source in ("ceiling", "model"))
        assert np.all(model >= ceiling - 0.05), target
    for name in study.MISMATCHED:
        assert np.all(scores.values(name, "KL", "ceiling") < 1e-12), f"{name} can be known"


def test_the_matched_pair_is_held_against_the_untrained_network():
    sources = ("model", "untrained", "last item", "shuffled targets", "constant", "ceiling")
    for toughest, holds in ((0.9, True), (0.7, False)):
        kl = {(name, source): 10.0 for name in study.MISMATCHED for source in sources}
        kl |= {(study.MAIN, source): 1.0 for source in sources}
        kl |= {(study.MISMATCHED[0], "model"): toughest, (study.MISMATCHED[0], "untrained"): 0.8}
        pairs = [(*pair, "KL", value) for pair, value in kl.items()]
        pairs += [(study.MAIN, source, "L2", 1.0) for source in sources]
        pairs += [(study.VITERBI_BEFORE, source, "accuracy", 1.0) for source in sources]
        scores = tuple(
            DecodingScore(name, 0, None, None, source, of, (value, value)) for name, source, of, value in pairs
        )
        network = study.HiddenStateRun(Decoded(scores, {}, (0, 1)), Decoded(scores, {}, (0, 1)))
        setting = replace(study.SETTINGS["quick"], emissions=(0.5,))
        rows = study.evidence(study.HiddenStates(setting, {(0.5, study.NETWORKS[0]): network}))
        (row,) = (row for row in rows if row.id == "hidden-markov-matched-trained")
        assert row.holds() is holds
        (row,) = (row for row in rows if row.id == "hidden-markov-matched")
        assert row.null is not None and row.null.tolist() == [0.8, 0.8]


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="size: hidden_states has no size"):
        study.STUDY.result("huge")  # pyright: ignore[reportArgumentType]
