"""Training: it learns, keeps what was asked for, and its variants agree with each other."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.corpus import corpus_of
from jaxembed.language import Pace, Pretraining, held_out_loss, memory_estimate, pretrain
from jaxembed.language import run as running
from jaxembed.language.order import Order, cut
from jaxembed.losses.language import mean_loss

SHORT = Pretraining(steps=12, batch=8, length=16, learning_rate=1e-2, warmup=3, save_steps=(0, 1, 5, 12))
FLOW = dict(optimizer="sgd", weight_decay=0.0, clip=0.0, final_ratio=1.0, warmup=0)


def the_embed(params):
    return {"embed": params["embed"]}


@pytest.fixture(scope="module")
def run(model, corpus):
    return pretrain(model, corpus, SHORT, held=corpus.select([0]), save=the_embed)


def largest(one, other):
    return max(
        jax.tree.leaves(jax.tree.map(lambda a, b: float(np.max(np.abs(np.asarray(a) - np.asarray(b)))), one, other))
    )


def test_it_learns_and_keeps_what_was_asked_for(run, model):
    assert run.trajectory.clock == "step"
    np.testing.assert_array_equal(run.trajectory.ts, [0, 1, 5, 12])
    assert run.trajectory.ys["embed"].shape == (4, 50, 16)
    assert list(run.trajectory.ys) == ["embed"]
    np.testing.assert_array_equal(run.trajectory.ys["embed"][-1], run.params["embed"])
    assert run.losses.shape == (12,) and run.losses.dtype == np.float64
    np.testing.assert_allclose(run.losses[0], np.log(50), rtol=2e-3)
    assert run.losses[-1] < run.losses[0] - 0.3
    assert run.held_losses[-1] < run.held_losses[0] - 0.3
    assert run.tokens_per_second > 0


@pytest.mark.slow
def test_parameters_and_start_are_float32_and_the_same_whatever_the_default(run, model, corpus):
    assert {leaf.dtype for leaf in jax.tree.leaves(run.params)} == {np.dtype(np.float32)}
    with jax.enable_x64(not jax.config.jax_enable_x64):
        other = pretrain(model, corpus, SHORT, save=the_embed)
    np.testing.assert_array_equal(run.trajectory.ys["embed"][0], other.trajectory.ys["embed"][0])
    np.testing.assert_allclose(run.losses, other.losses, rtol=1e-5)


def test_the_same_settings_give_the_same_bits_and_each_seed_its_own(run, model, corpus):
    again = pretrain(model, corpus, SHORT)
    assert largest(run.params, again.params) == 0
    other_data = pretrain(model, corpus, replace(SHORT, data_seed=1), save=the_embed)
    np.testing.assert_array_equal(other_data.trajectory.ys["embed"][0], run.trajectory.ys["embed"][0])
    assert np.all(other_data.losses != run.losses)
    other_start = pretrain(model, corpus, replace(SHORT, init_seed=1), save=the_embed)
    assert largest(other_start.trajectory.ys["embed"][0], run.trajectory.ys["embed"][0]) > 0.01


def test_the_steps_that_are_saved_do_not_change_the_run(run, model, corpus):
    only_end = pretrain(model, corpus, replace(SHORT, save_steps=()))
    np.testing.assert_array_equal(only_end.trajectory.ts, [12])
    assert largest(only_end.params, run.params) == 0


def test_accumulated_pieces_equal_the_big_batch(model, corpus):
    flow = replace(SHORT, **FLOW)
    whole, pieces = (pretrain(model, corpus, replace(flow, accumulate=pieces)) for pieces in (1, 4))
    np.testing.assert_allclose(pieces.losses, whole.losses, rtol=1e-6)
    moved = largest(whole.params, jax.tree.map(lambda leaf: leaf[0], whole.trajectory.ys))
    assert 0 < largest(pieces.params, whole.params) < 1e-4 * moved


def test_given_parameters_start_the_run_and_are_left_alone(run, model, corpus):
    before = jax.tree.map(np.array, run.params)
    other = pretrain(model, corpus, SHORT, params0=run.params)
    assert largest(jax.tree.map(lambda leaf: leaf[0], other.trajectory.ys), before) == 0
    assert largest(run.params, before) == 0
    assert other.losses[0] < run.losses[0] - 0.3


def test_gradient_descent_is_what_its_name_says(model, corpus):
    settings = replace(SHORT, steps=1, save_steps=(0, 1), learning_rate=0.5, **FLOW)
    run = pretrain(model, corpus, settings)
    assert run.trajectory.clock == "flow"
    np.testing.assert_allclose(run.trajectory.ts, [0.0, 0.5])
    tokens = jnp.asarray(cut(corpus.ids, Order(len(corpus.ids), 16, 0).starts(0, 8), 16))
    start = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), run.trajectory.ys)
    gradient = jax.jit(jax.grad(lambda params: mean_loss(model, params, tokens)))(start)
    by_hand = jax.tree.map(lambda p, g: np.asarray(p) - np.float32(0.5) * np.asarray(g), start, gradient)
    assert largest(by_hand, run.params) < 1e-7


@pytest.mark.slow
def test_half_precision_computes_in_half_and_keeps_its_parameters_whole(run, model, corpus):
    half = pretrain(model, corpus, replace(SHORT, compute_dtype="bfloat16"))
    assert {leaf.dtype for leaf in jax.tree.leaves(half.params)} == {np.dtype(np.float32)}
    assert 0 < np.max(np.abs(half.losses - run.losses)) < 0.02


@pytest.fixture
def told(monkeypatch):
    """The paces of which lines of progress are made."""
    paces = []
    monkeypatch.setattr(running, "Pace", lambda *given: paces.append(Pace(*given)) or paces[-1])
    return paces


def test_progress_is_told_with_its_share_of_the_device(model, corpus, told):
    lines = []
    settings = replace(SHORT, steps=25, save_steps=())
    pretrain(model, corpus, settings, progress=lambda *given: lines.append(given), peak=1e9)
    assert [line.step for line in told] == [1, 10, 20, 25]
    assert lines == [(f"{line.step} of 25 updates, {line}", line.step / 25) for line in told]
    assert np.isnan(told[0].tokens_per_second)
    per_token = model.flops_per_token(50, 16)
    for line in told[1:]:
        np.testing.assert_allclose(line.utilisation, line.tokens_per_second * per_token / 1e9)
        assert line.steps == 25 and 0 < line.loss < 4


def test_what_is_told_goes_by_the_rows_of_the_given_tables(run, model, corpus, told):
    wider = {name: np.pad(run.params[name], ((0, 30), (0, 0))) for name in ("embed", "unembed")}
    params = run.params | wider
    pretrain(model, corpus, SHORT, params0=params, progress=lambda text, share: None, peak=1e9)
    last = told[-1]
    np.testing.assert_allclose(last.utilisation, last.tokens_per_second * model.flops_per_token(80, 16) / 1e9)
    between = (memory_estimate(model, SHORT, 50) + memory_estimate(model, SHORT, 80)) / 2
    with pytest.raises(ValueError, match="batch: needs about"):
        pretrain(model, corpus, SHORT, params0=params, memory_limit=between)


def test_the_held_out_loss_counts_every_token_once(run, model, corpus):
    ids = np.zeros(19 * 16 + 1, np.int32)
    ids[:300] = corpus.ids[:300]
    rows = ids[np.arange(0, 19 * 16, 16)[:, None] + np.arange(17)[None, :]]
    log_p = jax.nn.log_softmax(jax.jit(model.apply_batch)(run.params, rows[:, :-1]), axis=-1)
    losses = -np.take_along_axis(np.asarray(log_p), rows[:, 1:, None], axis=-1).ravel()[:299]
    found = held_out_loss(model, run.params, corpus_of(ids[:300], np.array([300]), 50), 16, 8)
    np.testing.assert_allclose(found, np.mean(losses, dtype=np.float64), rtol=1e-5)


def test_what_does_not_fit_is_refused(run, model, corpus):
    with pytest.raises(ValueError, match="params0: tables of 20 tokens for a corpus of 50"):
        pretrain(model, corpus, SHORT, params0=run.params | {"embed": run.params["embed"][:20]})
    with pytest.raises(ValueError, match="learning_rate: the loss of update"):
        pretrain(model, corpus, replace(SHORT, learning_rate=1e30, warmup=0))
    with pytest.raises(ValueError, match="corpus: needs at least two tokens"):
        held_out_loss(model, run.params, corpus_of(corpus.ids[:1], np.array([1]), 50), 16, 8)
