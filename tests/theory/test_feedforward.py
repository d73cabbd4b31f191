"""theory/feedforward.md: F1, F2, F3 against Taylor mode, and which statistic each of them sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import count, signatures
from jaxembed.base import checked_dataset
from jaxembed.models import activation
from jaxembed.theory import feedforward, linear

SMOOTH = ("gelu", "tanh", "square", "linear")


def cubic(h):
    """Every coefficient at once: (c1, c2, c3) = (0.7, -1.3, 2.1)."""
    return 0.7 * h - 0.65 * h**2 + 0.35 * h**3


CASES = [(activation(name).apply, activation(name).taylor) for name in SMOOTH] + [(cubic, (0.7, -1.3, 2.1))]


@pytest.mark.parametrize(("sigma", "taylor"), CASES, ids=[*SMOOTH, "cubic"])
def test_terms_are_taylor_coefficients(data, sig, state, exact_flow, degree, error, tolerance, sigma, taylor):
    flow = exact_flow(data, sigma)
    for k, term in enumerate(feedforward.terms(state, sig, taylor), start=1):
        assert error(term, degree(flow, state, k)) < tolerance


def test_the_test_notices_a_missing_c3(data, sig, state, exact_flow, degree, error):
    """Control: tanh without its third coefficient."""
    third = feedforward.terms(state, sig, (1.0, 0.0, 0.0))[2]
    assert error(third, degree(exact_flow(data, jnp.tanh), state, 3)) > 0.3


@pytest.mark.parametrize("order", [1, 2, 3])
def test_field_sums_the_terms(sig, state, error, tolerance, order):
    taylor = (0.7, -1.3, 2.1)
    expected = linear.add(*feedforward.terms(state, sig, taylor)[:order])
    assert error(feedforward.field(taylor, order)(0.0, state, sig), expected) < tolerance


@pytest.mark.skipif(not jax.config.jax_enable_x64, reason="needs float64 resolution")
@pytest.mark.parametrize("order", [1, 2, 3])
def test_remainder_is_of_the_next_degree(data, sig, state, exact_flow, error, order):
    flow, field = exact_flow(data, cubic), feedforward.field((0.7, -1.3, 2.1), order)
    errors = []
    for scale in (1e-2, 1e-3):
        small = jax.tree.map(lambda leaf, s=scale: s * leaf, state)
        exact, theory = flow(small), field(0.0, small, sig)
        errors.append(max(float(jnp.max(jnp.abs(theory[name] - exact[name]))) for name in exact))
    assert abs(np.log10(errors[0] / errors[1]) - (order + 1)) < 0.1


def test_linear_is_the_special_case(sig, state, error, tolerance):
    assert error(feedforward.field((1.0, 0.0, 0.0))(0.0, state, sig), linear.rung1(0.0, state, sig)) < tolerance
    assert error(feedforward.field((1, 0, 0), 1)(0.0, state, sig), linear.rung0(0.0, state, sig)) < tolerance


def test_second_term_is_the_contraction_of_dense_joint_signatures(sig, state, error, tolerance):
    """The tensor form of (N5), J = M2 - K (x) 1/v, against the contracted form that is used."""
    m2, k = np.asarray(sig.m2()), np.asarray(sig.k)
    joint = m2 - k[:, :, None] / 7
    embed, unembed = np.asarray(state["embed"]), np.asarray(state["unembed"])
    expected = {
        "embed": jnp.asarray(1.3 * np.einsum("xyn,yd,nd->xd", joint, embed, unembed)),
        "unembed": jnp.asarray(0.65 * np.einsum("xyn,xd,yd->nd", joint, embed, embed)),
    }
    assert error(feedforward.second(state, sig, (0.5, 1.3, 0.0)), expected) < tolerance


def test_relabelling_tokens_permutes(data, sig, state, error, tolerance):
    new = np.random.default_rng(4).permutation(data.vocab)
    old = np.argsort(new)
    renamed = signatures(count(checked_dataset(new[data.tokens], new[data.targets], data.weights, data.vocab)))
    moved = jax.tree.map(lambda leaf: leaf[old], state)
    field = feedforward.field((0.7, -1.3, 2.1))
    expected = jax.tree.map(lambda leaf: leaf[old], field(0.0, state, sig))
    assert error(field(0.0, moved, renamed), expected) < tolerance
    assert error(field(0.0, state, renamed), expected) > 0.1


def test_units_permute_but_do_not_rotate(sig, state, error, tolerance):
    field, order = feedforward.field((0.7, -1.3, 2.1)), np.array([2, 0, 3, 1])
    swapped = jax.tree.map(lambda leaf: leaf[:, order], state)
    expected = jax.tree.map(lambda leaf: leaf[:, order], field(0.0, state, sig))
    assert error(field(0.0, swapped, sig), expected) < tolerance
    turn = jnp.asarray(np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0], dtype=float)
    turned = jax.tree.map(lambda leaf: leaf @ turn, state)
    expected = jax.tree.map(lambda leaf: leaf @ turn, field(0.0, state, sig))
    assert error(field(0.0, turned, sig), expected) > 0.1


@pytest.mark.parametrize(("taylor", "degree_of_sigma"), [((1.0, 0.0, 0.0), 1), ((0.0, 2.0, 0.0), 2)])
def test_each_unit_conserves_its_imbalance(sig, state, tolerance, taylor, degree_of_sigma):
    """A homogeneous sigma of degree k conserves |E_j|^2 - k |U_j|^2 of every unit j."""
    velocity = feedforward.field(taylor)(0.0, state, sig)
    embed, unembed = (2 * jnp.sum(state[name] * velocity[name], axis=0) for name in ("embed", "unembed"))
    assert float(jnp.max(jnp.abs(embed - degree_of_sigma * unembed))) < 10 * tolerance * float(jnp.max(jnp.abs(embed)))
    assert float(jnp.max(jnp.abs(embed))) > 1e-2


def test_joint_signatures_matter_to_order_2_only(state, error):
    """XOR against its mirror: equal label and context signatures, joint signatures of opposite sign."""
    tokens = [[0, 2], [0, 3], [1, 2], [1, 3]]
    xor, mirror = (signatures(count(checked_dataset(tokens, y, None, 7))) for y in ([5, 6, 6, 5], [6, 5, 5, 6]))
    taylor = (0.5, 0.8, 0.0)
    np.testing.assert_array_equal(xor.m1, mirror.m1)
    np.testing.assert_array_equal(xor.k, mirror.k)
    assert error(feedforward.field(taylor, 1)(0.0, state, xor), feedforward.field(taylor, 1)(0.0, state, mirror)) == 0
    assert error(feedforward.second(state, xor, taylor), feedforward.second(state, mirror, taylor)) > 0.3
    assert error(linear.rung1(0.0, state, xor), linear.rung1(0.0, state, mirror)) == 0


def test_shuffled_targets_give_another_field(sig, shuffled_sig, state, error):
    for ours, control in zip(
        feedforward.terms(state, sig, (0.0, 1.0, 1.0)),
        feedforward.terms(state, shuffled_sig, (0.0, 1.0, 1.0)),
        strict=True,
    ):
        size = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(ours))
        assert size == 0 or error(control, ours) > 0.3


def test_missing_moments_are_named(data, state):
    first_only = signatures(count(data, order=1))
    feedforward.field((0.5, 0.8, 0.0), 1)(0.0, state, first_only)
    for taylor, order in [((0.5, 0.8, 0.0), 2), ((0.0, 0.0, -2.0), 3), ((1.0, 0.0, 0.0), 3)]:
        with pytest.raises(ValueError, match="order=2"):
            feedforward.field(taylor, order)(0.0, state, first_only)


@pytest.mark.parametrize("order", [0, 4])
def test_order_outside_the_ladder_is_refused(order):
    with pytest.raises(ValueError, match="order"):
        feedforward.field((1.0, 0.0, 0.0), order)
