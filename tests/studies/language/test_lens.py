"""What the study of lenses measures, against slow references; the study itself is a slow test."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.corpus import corpus_of
from jaxembed.models import qwen2
from jaxembed.observables import divergence
from jaxembed.studies.language.lens import COUNTS, SETTINGS, STUDY, LensResult
from jaxembed.studies.language.lens_early import SHUFFLED, directions, motion
from jaxembed.studies.language.lens_scores import (
    REFERENCES,
    bigrams,
    count_spearman,
    layer_values,
    logits_alone,
    token_values,
    witten_bell_at,
)
from jaxembed.theory import next_token
from jaxembed.train import single_precision

VOCAB, LENGTH = 20, 6
MODEL = qwen2(16, 1, 2, 2, 16, tied=False, init_scale=0.3)


@pytest.fixture(scope="module")
def case():
    """A chain: mostly the next few of 1 .. 18 follow each, 0 ends documents, 19 is never followed by another."""
    steps = np.minimum(np.random.default_rng(0).geometric(0.4, 3_000), 15)
    ids = 1 + np.cumsum(steps) % 18
    ids[99::100], ids[98::100] = 0, 19
    text = corpus_of(ids, np.arange(100, 3_001, 100), VOCAB, 0)
    params = single_precision(MODEL.init(jax.random.key(0), VOCAB, LENGTH))
    return text, bigrams(text, 12, VOCAB), params, np.asarray(ids[: 4 * 7], np.int32).reshape(4, 7)


def test_smoothed_counts_are_distributions_and_follow_the_text(case):
    _, found, _, sequences = case
    for rows in found.rows.values():
        np.testing.assert_allclose(rows.sum(axis=1), 1)
        assert rows.min() > 0
    pairs = found.pairs["bigram"]
    before, after = np.array([3, 3, 19]), np.array([5, 9, 4])
    dense = pairs.counts.toarray().astype(float)
    different = np.maximum((dense > 0).sum(axis=1), 1)
    slow = (dense + different[:, None] * found.unigram[None, :]) / (dense.sum(axis=1) + different)[:, None]
    np.testing.assert_allclose(witten_bell_at(pairs, found.unigram, before, after), slow[before, after])
    np.testing.assert_allclose(found.rows["bigram"], slow[found.tokens])
    losses = [found.held_loss(name, sequences) for name in ("bigram", "unigram", "shuffled bigram")]
    assert losses[0] < losses[1] - 0.5 < losses[2]
    assert found.divergence("bigram") == 0 < found.divergence("unigram") < found.divergence("uniform") + 1
    assert found.half_r_cos > 0.9 > abs(found.agreement("shuffled bigram")) + 0.3
    assert count_spearman(found, "bigram") == pytest.approx(1)


def test_single_tokens_are_held_against_every_reference(case):
    _, found, params, sequences = case
    logits = logits_alone(MODEL, params, jnp.asarray(found.tokens))
    values = token_values(MODEL, params, params, sequences, found, directions(MODEL, params, found))
    for name in REFERENCES:
        table = np.log(found.table(name)).astype(np.float32)
        expected = found.weights @ np.asarray(divergence(jnp.asarray(table), logits), float)
        assert values["alone"][name] == pytest.approx(expected, rel=1e-4)
    assert all(np.isnan(value) for value in values["motion"].values())  # nothing has moved
    assert np.isfinite(values["loss"]) and np.isfinite(values["context"]["bigram"])


def test_the_first_motion_is_that_of_the_theory_of_pairs(case):
    _, found, params, _ = case
    pairs, start = found.pairs["bigram"], {name: params[name] for name in ("embed", "unembed")}
    sig = next_token.next_token(pairs, floor=MODEL.norm_floor, dtype=jnp.float32)

    def logits(state):
        return next_token.normalised(state["embed"], sig) @ state["unembed"].T

    flow = next_token.rung0(0.0, start, sig)
    slow = jax.jvp(logits, (start,), (jax.tree.map(jnp.sign, flow),))[1]
    asked = np.array([4, 1, 7]), np.arange(VOCAB)
    np.testing.assert_allclose(motion(MODEL, params, pairs, *asked, sign=True), slow[asked[0]], atol=2e-4)
    made = directions(MODEL, params, found)
    assert {name for name in made if not name.endswith(SHUFFLED)} == {name.removesuffix(SHUFFLED) for name in made}
    # Around the unigrams the motion is the same but for what all tokens share, r_x times one vector each.
    whole = np.asarray(jax.jvp(logits, (start,), (flow,))[1], float)[asked[0]]
    part = motion(MODEL, params, pairs, *asked, sign=False)
    assert np.corrcoef(whole.ravel(), part.ravel())[0, 1] > 0.5


def test_layers_end_in_the_model_and_random_directions_tell_nothing(case):
    _, found, params, sequences = case
    values = layer_values(MODEL, params, sequences, found)
    assert values["divergence"][-1] == pytest.approx(0, abs=1e-6) and values["cosine"][-1] == pytest.approx(1, abs=1e-5)
    assert values["divergence"][0] > 0 and values["random"] > values["divergence"][0]
    assert values["swapped"][-1] > 0.1
    assert values["uniform"] == pytest.approx(np.log(VOCAB) - values["entropy"][-1])


def test_marks_are_passed_straight_in_log_words():
    """Of two seeds one falls below the unigram counts between the last two saves, and one does not."""
    setting = SETTINGS["tiny"]
    saves = setting.decoders.training.saves

    def seed(losses):
        far = dict.fromkeys(REFERENCES, 9.0)
        return tuple({"loss": loss, "alone": far} for loss in losses)

    late = [6.0] * (len(saves) - 2)
    tokens = (seed([*late, 6.0, 4.0]), seed([*late, 6.0, 5.5]))
    plain = tuple(tuple({"loss": [9.0]} for _ in saves) for _ in tokens)
    counts = dict.fromkeys(COUNTS, dict.fromkeys(REFERENCES, 5.0))
    result = LensResult(setting, plain, (), tokens, counts)
    passed = result.events()["one word: held-out loss below unigram counts"]
    before, after = result.words[-2:]
    assert passed[0] == pytest.approx(np.sqrt((1 + before) * (1 + after)) - 1) and np.isnan(passed[1])


@pytest.mark.slow
def test_the_tiny_study_holds_and_is_kept(tmp_path, tends):
    result = STUDY.result("tiny", keep=tmp_path)
    rows = STUDY.evidence(result)
    assert not [row.id for row in rows if not row.bound.holds(row.mean) or row.null_passes]
    every = {"lens-untrained", "lens-learned-layers"}  # two seeds decide only what is asked of each of them
    assert {row.id for row in rows if tends(row)} >= every
    assert np.all(result.layers("divergence")[:, :, -1] < 1e-5)
    kept = sorted(path.name for path in (tmp_path / "lens").iterdir())
    again = STUDY.result("tiny", keep=tmp_path)
    assert sorted(path.name for path in (tmp_path / "lens").iterdir()) == kept
    np.testing.assert_array_equal(again.single("loss"), result.single("loss"))
    assert len(STUDY.tables(result)[1].rows) == len(result.steps)
