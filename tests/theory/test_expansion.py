"""theory/expansion.md: degrees of any loss against hand-derived ones and in both modes, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxembed as je
from jaxembed.compare import frozen
from jaxembed.models import AttentionOnly, Decoder, Feedforward, Linear, linearised
from jaxembed.theory import expansion, feedforward, linear

MODES = ("jvp", "jet")
float64_only = pytest.mark.float64_only("differences of nearly equal flows need its resolution")
MODELS = {
    "linear": Linear(4, init_scale=1.0),
    "gelu": Feedforward(4, None, "gelu", init_scale=1.0),
    "tanh": Feedforward(4, None, "tanh", init_scale=1.0),
    "square": Feedforward(4, None, "square", init_scale=1.0),
}


def by_hand(name, state, sig):
    taylor = (1.0, 0.0, 0.0) if name == "linear" else MODELS[name].taylor
    return feedforward.terms(state, sig, taylor)


@pytest.fixture(scope="module")
def tanh(data):
    return je.population_loss(MODELS["tanh"], data)


run = jax.jit(expansion.terms, static_argnums=(3, 4))


def scaled(state, factor):
    return jax.tree.map(lambda leaf: jnp.asarray(factor, leaf.dtype) * leaf, state)


def size(tree) -> float:
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(tree))


def minus(left, right):
    return jax.tree.map(jnp.subtract, left, right)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_degrees_at_the_origin_are_the_hand_derived_ladder(data, sig, state, error, tolerance, name, mode):
    loss = je.population_loss(MODELS[name], data)
    if (name, mode) == ("gelu", "jet") and jax.__version_info__ >= (0, 12):
        with pytest.raises(ValueError, match=r'Taylor mode cannot pass .* use mode="jvp"'):
            run(loss, expansion.origin(state), state, 3, mode)
        pytest.skip("on JAX 0.12 jet cannot pass the gradient of erf; it says so")
    parts = run(loss, expansion.origin(state), state, 3, mode)
    for hand, part in zip(by_hand(name, state, sig), parts[1:], strict=True):
        assert error(part, hand) < tolerance
    assert size(parts[0]) < tolerance
    if name == "linear":
        assert size(parts[2]) < tolerance < 0.1 * size(parts[3])
        assert error(parts[1], linear.first_order(state, sig)) < tolerance


def test_the_control_of_other_data_differs(data, shuffled_sig, state, error):
    parts = run(je.population_loss(MODELS["gelu"], data), expansion.origin(state), state, 3, "jvp")
    other = by_hand("gelu", state, shuffled_sig)
    assert error(parts[1], other[0]) > 0.2 and error(parts[2], other[1]) > 0.2
    assert error(parts[3], other[2]) < 1e-4  # GELU's third degree reads context signatures only, which are the same


@pytest.mark.parametrize("mode", MODES)
def test_field_and_term_are_made_of_the_terms(tanh, state, error, tolerance, mode):
    base = expansion.origin(state)
    parts = run(tanh, base, state, 3, mode)
    total = jax.tree.map(lambda *leaves: sum(leaves), *parts[:3])
    field = expansion.expand(tanh, base, 2, mode)
    assert error(jax.jit(field)(0.0, state, None), total) < 10 * tolerance
    assert error(jax.jit(field)(0.0, state, tanh), total) < 10 * tolerance
    term = jax.jit(expansion.term, static_argnums=(3, 4))
    assert error(term(tanh, base, state, 2, mode), parts[2]) < 10 * tolerance
    assert error(jax.jit(expansion.exact)(0.0, base, tanh), parts[0]) < tolerance


def test_parts_are_homogeneous(tanh, state, error, tolerance):
    base = scaled(state, 0.3)
    near, far = (run(tanh, base, scaled(state, s), 3, "jvp") for s in (0.8, 1.3))  # steps of 0.5 and 1
    for k, (one, double) in enumerate(zip(near, far, strict=True)):
        assert error(scaled(one, 2.0**k), double) < 100 * tolerance


@float64_only
def test_field_descends_the_taylor_polynomial_of_the_loss(tanh, state, error):
    base = scaled(state, 0.3)

    def polynomial(at):
        def along(s):
            return tanh(jax.tree.map(lambda b, x: b + s * (x - b), base, at))

        slope = jax.grad(along)
        bend = jax.grad(slope)
        third = jax.jvp(bend, (0.0,), (1.0,))[1]
        return along(0.0) + slope(0.0) + bend(0.0) / 2 + third / 6

    expected = scaled(jax.jit(jax.grad(polynomial))(state), -1.0)
    assert error(jax.jit(expansion.expand(tanh, base, 2))(0.0, state, tanh), expected) < 1e-12


@pytest.mark.parametrize("mode", MODES)
def test_a_polynomial_of_ones_own_is_its_own_expansion(mode, tolerance):
    """Any function: (x . y)^2 / 2 has degrees up to 4, its flow up to 3."""
    state = {"x": jnp.array([0.3, -0.7]), "deep": {"y": jnp.array([1.1, 0.4])}}
    base = {"x": jnp.array([-0.2, 0.5]), "deep": {"y": jnp.array([0.6, -1.0])}}

    def own(p):
        return jnp.sum(p["x"] * p["deep"]["y"]) ** 2 / 2

    flow = expansion.exact(0.0, state, own)
    assert size(minus(expansion.expand(own, base, 3, mode)(0.0, state, None), flow)) < 10 * tolerance
    assert size(minus(expansion.expand(own, base, 2, mode)(0.0, state, None), flow)) > 0.1
    assert size(expansion.term(own, base, state, 4, mode)) < tolerance


@float64_only
def test_in_chunks_as_all_at_once(data, state, error):
    whole, parts = (je.population_loss(MODELS["gelu"], data, chunk=c) for c in (None, 16))
    base = scaled(state, 0.1)
    for one, other in zip(*(run(loss, base, state, 3, "jvp") for loss in (whole, parts)), strict=True):
        assert error(one, other) < 1e-12
    expansion.expand(parts, base, 3)


@pytest.mark.slow
def test_jit_lanes_and_traced_bases_agree(tanh, state, error, tolerance):
    base = scaled(state, 0.1)
    plain = expansion.expand(tanh, base, 1)(0.0, state, None)

    def whole(loss, base, state):
        return expansion.expand(loss, base, 1)(0.0, state, None)

    assert error(jax.jit(whole)(tanh, base, state), plain) < 10 * tolerance
    pairs = [jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), tree) for tree in (base, state)]
    lanes = jax.jit(jax.vmap(whole, (None, 0, 0)))(tanh, *pairs)
    assert error(jax.tree.map(lambda leaf: leaf[0], lanes), plain) < 10 * tolerance


def test_the_data_given_to_the_field_is_the_data_it_uses(data, state, error, tolerance):
    swapped = je.base.checked_dataset(data.tokens, data.targets[::-1], data.weights, data.vocab)
    mine, other = (je.population_loss(MODELS["tanh"], d) for d in (data, swapped))
    base = expansion.origin(state)
    field = jax.jit(expansion.expand(mine, base, 1))
    assert error(field(0.0, state, other), jax.jit(expansion.expand(other, base, 1))(0.0, state, None)) < 10 * tolerance
    assert error(field(0.0, state, other), field(0.0, state, mine)) > 0.1


@float64_only
def test_integrates_with_the_data_as_argument(data, sig, state, error):
    """Order 1 around the origin is the linear model's rung 0, which is known in closed form."""
    loss, start, ts = je.population_loss(Linear(4), data), scaled(state, 1e-2), jnp.linspace(0.0, 6.0, 3)
    line = jax.jit(je.integrate, static_argnums=0)(expansion.expand(loss, expansion.origin(start), 1), start, ts, loss)
    closed = jax.vmap(linear.closed_form, (0, None, None))(ts, start, sig)
    assert error(line.ys, closed) < 1e-6 < 0.1 * error(frozen(line).ys, closed)


SEQUENCES = np.random.default_rng(5).integers(5, size=(3, 5))


@float64_only
@pytest.mark.parametrize(
    ("model", "lazy"),
    [
        pytest.param(AttentionOnly(1, init_scale=0.3), False, id="attention-only"),
        pytest.param(Decoder(4, 1, 1, 4, init_scale=0.5), True, id="decoder", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_both_modes_agree_on_sequence_models(model, lazy, error):
    loss, params = je.sequence_loss(model, SEQUENCES, 5), model.init(jax.random.key(0), 5, 4)
    base = params if lazy else expansion.origin(params)
    state = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(leaf), params)
    nested, taylor = (run(loss, base, state, 2, mode) for mode in MODES)
    for one, other in zip(nested, taylor, strict=True):
        assert error(one, other) < 1e-12
    assert size(nested[2]) > 1e-5


@float64_only
def test_order_1_keeps_the_curvature_that_the_linearised_network_drops(data, error):
    """(X7): F_1 of the two differ by the residual times the model's own second derivative."""
    model = Feedforward(4, 3, "tanh", init_scale=0.5)
    base = model.init(jax.random.key(1), data.vocab, data.length)
    state = jax.tree.map(lambda leaf: leaf + 0.3 * jnp.cos(3 * leaf), base)
    loss = je.population_loss(model, data)
    tangent = je.population_loss(linearised(model, base), data)
    bent, straight = (run(part, base, state, 1, "jvp") for part in (loss, tangent))

    @jax.jit
    def residual_part(at):
        logits = jax.vmap(model.apply, (None, 0))
        residual = jax.nn.softmax(logits(base, data.tokens)) - jax.nn.one_hot(data.targets, data.vocab)
        return jnp.sum(data.weights[:, None] * residual * logits(at, data.tokens))

    curvature = jax.jvp(jax.grad(residual_part), (base,), (minus(state, base),))[1]
    assert error(straight[0], bent[0]) < 1e-12
    assert error(minus(straight[1], bent[1]), curvature) < 1e-10
    assert size(curvature) > 0.1 * size(bent[1])


# Bad input: one clear line each.


def one_line(found, *words):
    text = str(found.value)
    assert "\n" not in text and all(word in text for word in words), text


@pytest.mark.parametrize("order", [0, -1])
def test_an_order_below_1_is_refused(tanh, state, order):
    with pytest.raises(ValueError) as found:
        expansion.expand(tanh, expansion.origin(state), order)
    one_line(found, "order", "at least 1")


def test_unknown_modes_and_foreign_data_are_refused(tanh, sig, state):
    base = expansion.origin(state)
    with pytest.raises(ValueError) as found:
        expansion.expand(tanh, base, 1, "forward")
    one_line(found, "mode", "jvp, jet")
    with pytest.raises(ValueError) as found:
        expansion.expand(tanh, base, 1)(0.0, state, sig)
    one_line(found, "sig", "Signatures")


def test_trees_that_do_not_match_name_the_leaf(tanh, state):
    field = jax.jit(expansion.expand(tanh, expansion.origin(state), 1))
    wrong = {
        "['unembed'] is in base only": {"embed": state["embed"]},
        "['hidden'] is in state only": {**state, "hidden": state["embed"]},
        "['embed'] is": {**state, "embed": state["embed"][:3]},
        "['unembed'] is": {**state, "unembed": state["unembed"].astype(jnp.float16)},
    }
    for words, bad in wrong.items():
        with pytest.raises(ValueError) as found:
            field(0.0, bad, None)
        one_line(found, "state", words)


def relu_loss(data, **settings):
    return je.population_loss(Feedforward(4, activation="relu", **settings), data)


NOT_DIFFERENTIABLE = {
    "a ratio": (lambda p: jnp.sum(p["embed"]) / jnp.linalg.norm(p["embed"]), "nan at base"),
    "a norm": (lambda p: jnp.linalg.norm(p["unembed"]), "leaf ['unembed']"),
    "a corner": (lambda p: jnp.sum(jnp.abs(p["embed"])), "kink"),
    "a cusp": (lambda p: jnp.sum(jnp.abs(p["embed"]) ** 1.5), "kink"),
}


@pytest.mark.parametrize("name", NOT_DIFFERENTIABLE)
def test_a_base_without_a_series_is_refused_with_a_way_out(state, name):
    loss, words = NOT_DIFFERENTIABLE[name]
    with pytest.raises(ValueError) as found:
        expansion.expand(loss, expansion.origin(state), 1)
    one_line(found, "loss", words, "initial parameters")


def test_relu_has_a_kink_at_the_origin_and_none_where_it_starts(data, state):
    with pytest.raises(ValueError) as found:
        expansion.expand(relu_loss(data), expansion.origin(state), 1)
    one_line(found, "kink", "ReLU", "initial parameters")
    expansion.expand(relu_loss(data), state, 1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("place", [0.0, 1.0, 30.0])
def test_smooth_models_have_no_kink_anywhere(data, state, name, place):
    expansion.expand(je.population_loss(MODELS[name], data), scaled(state, place), 1)


def test_a_kink_beside_a_kept_matrix_is_found(data, state):
    hidden = jnp.asarray(np.random.default_rng(6).normal(size=(4, 4)), dtype=float)
    with pytest.raises(ValueError, match="kink"):
        expansion.expand(relu_loss(data, hidden=4), {**expansion.origin(state), "hidden": hidden}, 1)


def test_a_loss_of_many_numbers_is_refused(state):
    with pytest.raises(ValueError) as found:
        expansion.expand(lambda p: p["embed"], state, 1)
    one_line(found, "one real number")


BLOCKED = {
    "scan": lambda x: jax.lax.scan(lambda c, y: (c + y**2, None), jnp.zeros((), x.dtype), x)[0],
    "remat2": lambda x: jnp.sum(jax.checkpoint(jnp.sin)(x)),
    "cond": lambda x: jax.lax.cond(x[0] > 0, lambda y: jnp.sum(y**2), jnp.sum, x),
    "sort": lambda x: jnp.sum(jnp.sort(x)[:2] ** 2),
    "custom_jvp_call": lambda x: jnp.sum(jax.nn.softplus(x)),
}


@pytest.mark.parametrize("primitive", BLOCKED)
def test_taylor_mode_names_what_it_cannot_pass_and_jvp_passes_it(primitive):
    base, state = {"x": jnp.array([0.3, 0.7, 1.1])}, {"x": jnp.array([0.5, 0.2, 1.0])}

    def loss(p):
        return BLOCKED[primitive](p["x"] ** 2)

    with pytest.raises(ValueError) as found:
        expansion.expand(loss, base, 2, "jet")
    one_line(found, "mode", primitive.rstrip("2"), 'mode="jvp"')
    assert size(expansion.expand(loss, base, 1)(0.0, state, None)) > 1e-3


def test_chunks_stop_taylor_mode_at_the_scan(data, state):
    with pytest.raises(ValueError) as found:
        expansion.expand(je.population_loss(MODELS["gelu"], data, chunk=8), expansion.origin(state), 2, "jet")
    one_line(found, "'scan'", 'mode="jvp"')
