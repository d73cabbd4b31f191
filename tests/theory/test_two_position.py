"""theory/two_position.md: F1, F2, F3 against Taylor mode, decay, and what uniform marginals silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import decayed, gradient_flow, population_loss
from jaxembed.base import checked_dataset
from jaxembed.models import TwoPosition, activation
from jaxembed.statistics import position_signatures
from jaxembed.tasks import BinaryTable, shuffled
from jaxembed.theory import two_position

SMOOTH = ("gelu", "tanh")
PARTS = (two_position.first, two_position.second, two_position.third)


@pytest.fixture(scope="module")
def pairs():
    """Ordered pairs with uneven marginals and several labels a pair."""
    rng = np.random.default_rng(5)
    tokens = rng.integers(7, size=(40, 2))
    return checked_dataset(tokens, (2 * tokens[:, 0] + tokens[:, 1] + rng.integers(2, size=40)) % 7, rng.random(40), 7)


@pytest.fixture(scope="module")
def start():
    rng = np.random.default_rng(6)
    return {name: jnp.asarray(rng.normal(size=(7, 4)), dtype=float) for name in ("embed", "second", "unembed")}


@pytest.mark.parametrize("name", SMOOTH)
def test_terms_are_taylor_coefficients(pairs, start, degree, error, tolerance, name):
    flow = gradient_flow(population_loss(TwoPosition(4, name), pairs))
    sig, taylor = position_signatures(pairs), activation(name).taylor
    for k, part in enumerate(PARTS, start=1):
        assert error(part(start, sig, taylor), degree(lambda s: flow(0.0, s), start, k)) < tolerance


def test_the_test_notices_a_missing_c3(pairs, start, degree, error):
    """Control: tanh without its third coefficient."""
    flow = gradient_flow(population_loss(TwoPosition(4, "tanh"), pairs))
    third = two_position.third(start, position_signatures(pairs), (1.0, 0.0, 0.0))
    assert error(third, degree(lambda s: flow(0.0, s), start, 3)) > 0.3


@pytest.mark.parametrize("order", [1, 2, 3])
def test_field_sums_the_terms_and_decays(pairs, start, error, tolerance, order):
    sig, taylor = position_signatures(pairs), (0.7, -1.3, 2.1)
    parts = [part(start, sig, taylor) for part in PARTS[:order]]
    expected = jax.tree.map(lambda leaf, *terms: sum(terms) - 0.2 * leaf, start, *parts)
    assert error(two_position.field(taylor, order, 0.2)(0.0, start, sig), expected) < tolerance


@pytest.mark.float64_only("the remainder drowns in rounding")
@pytest.mark.parametrize("order", [2, 3])
def test_remainder_is_of_the_next_degree(pairs, start, order):
    flow = gradient_flow(decayed(population_loss(TwoPosition(4), pairs), 0.1))
    field, errors = two_position.field(TwoPosition().taylor, order, 0.1), []
    for scale in (1e-2, 1e-3):
        small = jax.tree.map(lambda leaf, s=scale: s * leaf, start)
        gap = jax.tree.map(jnp.subtract, flow(0.0, small), field(0.0, small, position_signatures(pairs)))
        errors.append(max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(gap)))
    assert abs(np.log10(errors[0] / errors[1]) - (order + 1)) < 0.1


@pytest.mark.parametrize("operation", ["modular_addition", "xor"])
def test_uniform_marginals_silence_the_first_order(operation, tolerance):
    size = 8
    sig = position_signatures(BinaryTable(size, operation).dataset())
    state = TwoPosition(4, init_scale=1.0).init(jax.random.key(0), size, 2)
    taylor = TwoPosition().taylor
    silent, loud = (max(float(jnp.max(jnp.abs(x))) for x in jax.tree.leaves(f(state, sig, taylor))) for f in PARTS[:2])
    assert silent < 10 * tolerance < 1e-2 < loud
    assert float(two_position.growth_rate(sig, taylor)) < 10 * tolerance


def test_second_term_is_the_contraction_of_dense_joint_signatures(pairs, start, error, tolerance):
    sig = position_signatures(pairs)
    joint = np.asarray(sig.joint())
    joint = joint - joint.sum(axis=2, keepdims=True) / 7
    u, v, w = (np.asarray(start[name]) for name in ("embed", "second", "unembed"))
    h = u[:, None] + v[None]
    expected = {
        "embed": 1.3 * np.einsum("abn,abd,nd->ad", joint, h, w),
        "second": 1.3 * np.einsum("abn,abd,nd->bd", joint, h, w),
        "unembed": 0.65 * np.einsum("abn,abd->nd", joint, h * h),
    }
    expected = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=float), expected)
    assert error(two_position.second(start, sig, (0.5, 1.3, 0.0)), expected) < 10 * tolerance


def test_growth_rate_is_the_fastest_exponent_of_the_first_order(pairs, start, error, tolerance):
    """F1 as a matrix: its largest eigenvalue."""
    sig, taylor = position_signatures(pairs), (0.7, 0.0, 0.0)

    def column(unit):
        state = {name: part[:, None] for name, part in zip(start, jnp.split(unit, 3), strict=True)}
        return jnp.concatenate([leaf[:, 0] for leaf in two_position.first(state, sig, taylor).values()])

    matrix = np.asarray(jax.vmap(column)(jnp.eye(21, dtype=float)), np.float64)
    assert abs(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1] / float(two_position.growth_rate(sig, taylor)) - 1) < (
        100 * tolerance
    )


def test_shuffled_labels_give_another_field(pairs, start, error):
    ours, control = (position_signatures(data) for data in (pairs, shuffled(pairs, 0)))
    taylor = TwoPosition().taylor
    for part in PARTS[:2]:
        assert error(part(start, control, taylor), part(start, ours, taylor)) > 0.3


def test_bad_input_is_one_clear_line(pairs, start):
    with pytest.raises(ValueError, match="order: the ladder has orders 1, 2 and 3, got 4"):
        two_position.field((1.0, 0.0, 0.0), 4)
    with pytest.raises(ValueError, match="state: needs embed, second and unembed, got"):
        two_position.field((1.0, 0.0, 0.0), 1)(0.0, {"embed": start["embed"]}, position_signatures(pairs))
