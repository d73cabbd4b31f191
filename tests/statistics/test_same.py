"""Which tokens share a signature: exactly for populations, by a calibrated test for samples."""

import jax
import numpy as np
import pytest
from scipy import stats

from jaxembed import count, same, signatures
from jaxembed.base import checked_dataset
from jaxembed.tasks import Addition, LabelNeutral, Modular

SIZES = {"keys": 8, "anchors": 4}
EXACT = [
    (Addition, "label", False),
    (Addition, "context", True),
    (LabelNeutral, "label", True),
    (LabelNeutral, "context", False),
    (Modular, "label", True),
    (Modular, "context", True),
]


@pytest.mark.parametrize(("task", "kind", "expected"), EXACT)
def test_composite_tasks_say_which_signature_tells_anchors_apart(task, kind, expected):
    sig = signatures(count(task(**SIZES).dataset()))
    found = same(sig, 1, 3, kind)
    assert found.same is expected and found.p_value is None
    assert (found.difference < 1e-6) is expected


def test_trace_back_of_equal_labels():
    sig = signatures(count(checked_dataset([[0, 1], [0, 1], [2, 1]], [3, 4, 5], None, 6)))
    assert same(sig, 3, 4, "trace_back").same and not same(sig, 3, 5, "trace_back").same


def test_p_value_is_pearsons_chi_squared_by_hand():
    n = np.array([[30, 50, 20], [60, 50, 40]])
    rows = [(x, y) for x in (0, 1) for y in (0, 1, 2) for _ in range(n[x, y])]
    data = checked_dataset([[x] for x, _ in rows], [y for _, y in rows], None, 3, samples=len(rows))
    expected = n.sum(axis=1)[:, None] * n.sum(axis=0) / n.sum()
    by_hand = stats.chi2.sf(((n - expected) ** 2 / expected).sum(), df=2)
    assert same(signatures(count(data)), 0, 1).p_value == pytest.approx(by_hand, rel=1e-3)


def p_values(task, kind, draws=60, size=3000):
    keys = jax.random.split(jax.random.key(0), draws)
    return np.array([same(signatures(count(task.sample(key, size))), 1, 3, kind).p_value for key in keys])


@pytest.mark.parametrize(("task", "kind", "expected"), EXACT)
def test_samples_are_told_apart_where_the_population_is(task, kind, expected):
    found = p_values(task(**SIZES), kind)
    if expected:  # p-values are then uniform: 5 % rejected at 0.05, within 4 standard errors, and none extreme
        assert (found < 0.05).mean() <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / len(found)) and found.min() > 1e-5
        assert 0.3 < found.mean() < 0.7
    else:
        assert found.max() < 1e-6


def test_a_token_that_never_occurs_has_no_signature():
    sig = signatures(count(Addition(**SIZES).dataset()))
    with pytest.raises(ValueError, match="token 0 never occurs, so its label signature is undefined"):
        same(sig, 1, 0)
