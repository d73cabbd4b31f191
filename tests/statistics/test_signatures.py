"""Signatures are normalised moments; contracted forms equal the dense ones; tokens may be renamed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import count, signatures
from jaxembed.base import checked_dataset
from jaxembed.statistics.signatures import WeightedCells
from jaxembed.tasks import Addition, shuffled

WIDTH = 4
relative = np.testing.assert_allclose


@pytest.fixture(scope="module")
def sig(data):
    return signatures(count(data))


@pytest.fixture(scope="module")
def weights(data):
    rng = np.random.default_rng(1)
    return [jnp.asarray(rng.normal(size=(data.vocab, WIDTH)), dtype=float) for _ in range(2)]


def test_signatures_equal_slow_loops(data, sig, slow, tolerance):
    exact = slow(data)
    used, seen = exact["token"] > 0, exact["target"] > 0
    close = {"rtol": tolerance, "atol": tolerance}
    relative(sig.label[used], exact["m1"][used] / exact["token"][used, None], **close)
    relative(sig.context[used], exact["k"][used] / exact["token"][used, None], **close)
    relative(sig.trace_back[seen], exact["m1"].T[seen] / exact["target"][seen, None], **close)
    relative(sig.label[used].sum(axis=1), 1, rtol=tolerance)
    relative(sig.trace_back[seen].sum(axis=1), data.length, rtol=tolerance)


def test_dense_joint_signatures_equal_slow_loops(data, sig, slow, tolerance):
    exact = slow(data)
    used, seen = exact["token"] > 0, exact["target"] > 0
    relative(sig.m2(), exact["m2"], rtol=tolerance, atol=tolerance)
    relative(sig.joint()[used], exact["m2"][used] / exact["token"][used, None, None], rtol=tolerance, atol=tolerance)
    pairs = np.moveaxis(exact["m2"], 2, 0)[seen] / exact["target"][seen, None, None]
    relative(sig.pair_trace_back()[seen], pairs, rtol=tolerance, atol=tolerance)


def test_what_never_occurs_is_undefined_not_zero(data, sig):
    assert np.isnan(sig.label[data.vocab - 1]).all() and np.isnan(sig.context[data.vocab - 1]).all()
    assert np.isnan(sig.trace_back[0]).all() and np.isnan(sig.joint()[data.vocab - 1]).all()


@pytest.mark.parametrize("dense", [True, False], ids=["products", "scatters"])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_contracted_moments_equal_slow_loops(data, sig, weights, power, dense, tolerance, monkeypatch):
    monkeypatch.setattr(WeightedCells, "_dense", dense)
    E, U = (np.asarray(w, np.float64) for w in weights)
    token, label, both = (np.zeros((data.vocab, WIDTH)) for _ in range(3))
    for row, y, w in zip(data.tokens, data.targets, data.weights, strict=True):
        h = E[row].sum(axis=0) ** power
        label[y] += w * h
        for x in row:
            token[x] += w * h
            both[x] += w * h * U[y]
    relative(sig.token_moment(weights[0], power), token, rtol=tolerance, atol=10 * tolerance)
    relative(sig.label_moment(weights[0], power), label, rtol=tolerance, atol=10 * tolerance)
    relative(sig.token_label_moment(*weights, power), both, rtol=tolerance, atol=10 * tolerance)


def test_dense_and_contracted_moments_agree(sig, weights, tolerance):
    E, U = weights
    m2 = sig.m2()
    close = {"rtol": tolerance, "atol": 10 * tolerance}
    relative(sig.token_moment(E, 1), sig.k @ E, **close)
    relative(sig.label_moment(E, 1), sig.m1.T @ E, **close)
    relative(sig.label_moment(E, 2), jnp.einsum("xzn,xd,zd->nd", m2, E, E, precision="highest"), **close)
    relative(sig.token_label_moment(E, U, 1), jnp.einsum("xzn,zd,nd->xd", m2, E, U, precision="highest"), **close)


def test_renaming_tokens_permutes_every_statistic(data, sig, weights, tolerance):
    rename = np.random.default_rng(2).permutation(data.vocab)
    renamed = signatures(count(checked_dataset(rename[data.tokens], rename[data.targets], data.weights, data.vocab)))
    for name in ("label", "context", "trace_back"):
        relative(getattr(renamed, name)[np.ix_(rename, rename)], getattr(sig, name), rtol=tolerance, err_msg=name)
    relative(renamed.m2()[np.ix_(rename, rename, rename)], sig.m2(), rtol=tolerance)
    moved = weights[0][np.argsort(rename)]
    relative(renamed.token_moment(moved, 2)[rename], sig.token_moment(weights[0], 2), rtol=tolerance, atol=tolerance)


def test_shuffled_labels_change_label_signatures_and_leave_contexts(tolerance):
    data = Addition(keys=6, anchors=4).dataset()
    sig, control = signatures(count(data)), signatures(count(shuffled(data, 0)))
    anchors = np.arange(1, 5)
    relative(control.context[anchors], sig.context[anchors], rtol=tolerance)
    assert np.abs(control.label[anchors] - sig.label[anchors]).max() > 0.05


def test_sampling_error_is_the_spread_over_samples():
    task = Addition(keys=3, anchors=2)
    keys = jax.random.split(jax.random.key(0), 60)
    sampled = [signatures(count(task.sample(key, 400))) for key in keys]
    token = int(task.key_tokens[0])  # a key occurs once in a sequence, so that its occurrences are independent
    spread = np.std([s.label[token] for s in sampled], axis=0, ddof=1)
    predicted = np.mean([s.label_error[token] for s in sampled], axis=0)
    seen = predicted > 0
    assert seen.sum() == 3 and spread[~seen].max() == 0
    np.testing.assert_allclose(spread[seen] / predicted[seen], 1, atol=5 / np.sqrt(2 * len(keys)))
    assert signatures(count(task.dataset())).label_error.max() == 0


def test_signatures_pass_through_jit(sig):
    np.testing.assert_array_equal(jax.jit(lambda s: s.label)(sig), sig.label)


BAD = [
    (lambda data: signatures(count(data, order=1)).context, "context signatures"),
    (lambda data: signatures(count(data, order=1)).m2(), "the joint moment M2"),
    (lambda data: signatures(count(data, order=1)).token_moment(jnp.ones((6, 1)), 1), "contracted moments"),
    (lambda data: signatures(count(data)).m2(memory_limit=10.0), "vocab: dense M2 of 6 tokens needs"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_clear_line(data, call, message):
    with pytest.raises(ValueError) as error:
        call(data)
    assert message in str(error.value) and "\n" not in str(error.value)
