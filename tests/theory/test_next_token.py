"""theory/next_token.md: the flow of the pair counts, against gradients of one-token models and of decoders."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

from jaxembed import Trajectory, compare, gradient_flow, integrate
from jaxembed.models import Decoder
from jaxembed.statistics import count_neighbours
from jaxembed.theory import next_token as theory

VOCAB, WIDTH, LENGTH, SEQUENCES = 9, 8, 12, 20
NORMS = ("rms", "layer")


@pytest.fixture(scope="module")
def sequences():
    """Sequences of a Markov chain, each with one token more than is read."""
    rng = np.random.default_rng(0)
    chain = rng.dirichlet(np.full(VOCAB, 0.3), size=VOCAB)
    rows = np.zeros((SEQUENCES, LENGTH + 1), np.int32)
    rows[:, 0] = rng.integers(VOCAB, size=SEQUENCES)
    for i in range(LENGTH):
        rows[:, i + 1] = [rng.choice(VOCAB, p=chain[x]) for x in rows[:, i]]
    return rows


def counted(sequences):
    return count_neighbours(sequences.ravel(), np.arange(1, len(sequences) + 1) * sequences.shape[1], VOCAB)


@pytest.fixture(scope="module")
def sig(sequences):
    return theory.next_token(counted(sequences))


@pytest.fixture(scope="module")
def shuffled_sig(sequences):
    """The control: the same tokens in random order."""
    ids = np.random.default_rng(5).permutation(sequences.ravel())
    return theory.next_token(counted(ids.reshape(sequences.shape)))


@pytest.fixture(scope="module")
def state():
    return start(WIDTH, 0.3)


def start(width, scale, names=("embed", "unembed"), seed=2):
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(scale * rng.normal(size=(VOCAB, width)), dtype=float) for name in names}


def with_norm(sig, norm, floor=1e-6):
    return theory.NextToken(sig.joint, norm, floor)


def one_token_loss(state, joint, norm, floor):
    """Cross-entropy of softmax(norm(E_x) U^T), written out on its own."""
    rows = state["embed"] - (jnp.mean(state["embed"], axis=1, keepdims=True) if norm == "layer" else 0)
    rows = rows / jnp.sqrt(jnp.mean(rows**2, axis=1, keepdims=True) + floor)
    logits = rows @ state.get("unembed", state["embed"]).T
    return jnp.sum(joint * (jnp.log(jnp.sum(jnp.exp(logits), axis=1, keepdims=True)) - logits))


def decoder_flow(model, params, sequences):
    """Minus the gradient of the decoder's mean loss, of its embedding and unembedding."""

    def loss(params):
        logits = model.apply_batch(params, jnp.asarray(sequences[:, :-1]))
        own = jnp.take_along_axis(logits, jnp.asarray(sequences[:, 1:, None]), axis=2)[..., 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=2) - own)

    gradient = jax.jit(jax.grad(loss))(params)
    return {name: -gradient[name] for name in ("embed", "unembed") if name in gradient}


def small_blocks(model, scale, seed=0):
    """Initial parameters with every matrix of the blocks times `scale`; the tables alone."""
    params = model.init(jax.random.key(seed), VOCAB, LENGTH)
    shrunk = jax.tree.map(lambda leaf: leaf * (scale if leaf.ndim == 2 else 1), params["blocks"])
    params = params | {"blocks": shrunk}
    return params, {name: params[name] for name in ("embed", "unembed") if name in params}


def distance(actual, expected):
    flat = [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(tree)]) for tree in (actual, expected)]
    return float(jnp.linalg.norm(flat[0] - flat[1]) / jnp.linalg.norm(flat[1]))


@pytest.mark.parametrize(("norm", "names"), [("rms", ("embed", "unembed")), ("layer", ("embed",))])
def test_the_flow_is_the_gradient_of_the_one_token_loss(sig, error, tolerance, norm, names):
    state = start(WIDTH, 0.3, names)
    flow = theory.bigram(0.0, state, with_norm(sig, norm))
    exact = gradient_flow(lambda s: one_token_loss(s, sig.joint, norm, 1e-6))(0.0, state)
    assert error(flow, exact) < 10 * tolerance


@pytest.mark.float64_only("slopes need resolution")
@pytest.mark.parametrize(
    ("norm", "tied", "activation"),
    [
        ("rms", False, "swiglu"),
        pytest.param("rms", True, "gelu", marks=pytest.mark.slow),
        pytest.param("layer", False, "gelu", marks=pytest.mark.slow),
    ],
)
def test_a_decoder_departs_from_it_like_the_square_of_its_blocks(sequences, norm, tied, activation):
    model = Decoder(WIDTH, 1, 2, 16, tied=tied, init_scale=0.3, norm=norm, activation=activation)
    errors = []
    for scale in (1e-1, 1e-2):
        params, tables = small_blocks(model, scale)
        flow = theory.bigram(0.0, tables, within(sequences, norm))
        errors.append(distance(decoder_flow(model, params, sequences), flow))
    assert errors[-1] < 1e-2
    assert abs(np.log10(errors[0] / errors[1]) - 2) < 0.1


def within(sequences, norm):
    """What the theory needs of exactly these sequences."""
    return theory.next_token(counted(sequences), norm=norm)


@pytest.mark.float64_only("slopes need resolution")
def test_rung_0_departs_from_it_like_the_scale_of_the_unembedding(sig, state):
    errors = []
    for scale in (1e-2, 1e-3):
        small = state | {"unembed": scale * state["unembed"]}
        errors.append(distance(theory.rung0(0.0, small, sig), theory.bigram(0.0, small, sig)))
    assert abs(np.log10(errors[0] / errors[1]) - 1) < 0.05


def test_drive_is_what_a_uniform_model_does_not_expect(sig, tolerance):
    joint = np.asarray(sig.joint)
    assert abs(joint.sum() - 1) < tolerance
    expected = joint - np.outer(joint.sum(axis=1), np.full(VOCAB, 1 / VOCAB))
    np.testing.assert_allclose(theory.drive(sig), expected, rtol=0, atol=tolerance)


def test_closed_form_is_the_matrix_exponential(sig, state, error, tolerance):
    root = np.sqrt(np.mean(np.asarray(state["embed"], np.float64) ** 2) + sig.floor)
    drive, time = np.asarray(theory.drive(sig), np.float64) / root, 5.0
    block = np.block([[np.zeros((VOCAB, VOCAB)), drive], [drive.T, np.zeros((VOCAB, VOCAB))]])
    end = scipy.linalg.expm(block * time) @ np.concatenate([state["embed"], state["unembed"]])
    expected = {"embed": jnp.asarray(end[:VOCAB], dtype=float), "unembed": jnp.asarray(end[VOCAB:], dtype=float)}
    assert error(theory.closed_form(time, state, sig), expected) < 20 * tolerance


@pytest.mark.slow
@pytest.mark.float64_only("slopes need resolution")
def test_closed_form_leaves_rung_0_like_the_root_of_the_width(sig):
    """Rows of a random start are equally long and orthogonal to their motion up to 1 / sqrt(width)."""
    errors = []
    for width in (40, 4000):
        small = start(width, 1e-3)
        free = with_norm(sig, "rms", 0.0)
        closed = jax.jvp(lambda t, y=small, sig=free: theory.closed_form(t, y, sig), (0.0,), (1.0,))[1]
        errors.append(distance(closed, theory.rung0(0.0, small, free)))
    assert errors[1] < 0.03
    assert abs(np.log10(errors[0] / errors[1]) - 1) < 0.15


@pytest.mark.parametrize("sign", [False, True], ids=["gradient", "sign"])
def test_the_first_motion_of_a_wide_model_knows_nothing_of_its_start(sig, shuffled_sig, sign):
    field, width = (theory.sign_flow if sign else theory.rung0), 20_000
    motion = field(0.0, start(width, 1e-5), with_norm(sig, "rms", 0.0))
    expected, control = (theory.motion_gram(one, sign=sign) for one in (sig, shuffled_sig))
    for name, rows in motion.items():
        gram = rows @ rows.T / width
        assert distance(gram, expected[name]) < 0.05, name
        assert distance(gram, control[name]) > 0.3, name


@pytest.mark.parametrize("norm", NORMS)
def test_rows_of_the_embedding_keep_their_length(sig, state, tolerance, norm):
    free = with_norm(sig, norm, 0.0)
    flow = theory.bigram(0.0, state, free)["embed"]
    centred = state["embed"] - (jnp.mean(state["embed"], axis=1, keepdims=True) if norm == "layer" else 0)
    drift, size = jnp.sum(centred * flow, axis=1), jnp.linalg.norm(centred, axis=1) * jnp.linalg.norm(flow, axis=1)
    assert float(jnp.max(jnp.abs(drift) / size)) < 10 * tolerance


def test_a_shared_direction_is_removed_and_the_rest_stays(sig, state, error, tolerance):
    rng = np.random.default_rng(7)
    sides = {"embed": jnp.sum(sig.joint, axis=1), "unembed": jnp.sum(theory.drive(sig), axis=0)}
    shared = {name: side[:, None] * jnp.asarray(rng.normal(size=(1, WIDTH)), float) for name, side in sides.items()}
    left = theory.unshared(jax.tree.map(jnp.add, state, shared), sig)
    assert error(left, theory.unshared(state, sig)) < 10 * tolerance
    assert error(theory.unshared(left, sig), left) < 10 * tolerance
    assert distance(left, state) < 1


@pytest.mark.slow
@pytest.mark.float64_only("signs of exact gradients")
def test_a_step_of_adam_is_a_step_of_the_sign_flow(sequences):
    model, rate = Decoder(WIDTH, 1, 2, 16, init_scale=0.3), 1e-3
    params, tables = small_blocks(model, 0.0)
    gradient = jax.tree.map(jnp.negative, decoder_flow(model, params, sequences))
    rule = optax.scale_by_adam(eps=1e-12)
    with jax.numpy_dtype_promotion("standard"):
        update, _ = rule.update(gradient, rule.init(gradient))
    sign = theory.sign_flow(0.0, tables, within(sequences, "rms"))
    for name, moved in update.items():
        np.testing.assert_allclose(-rate * moved, rate * sign[name], rtol=1e-6)


@pytest.mark.slow
@pytest.mark.float64_only("training over many steps")
def test_training_with_small_blocks_is_foretold_and_other_counts_fail(sequences, sig, shuffled_sig):
    """Gradient descent on all sequences; blocks at 3 % of their usual start."""
    model, rate, steps = Decoder(32, 1, 2, 32, init_scale=0.1), 0.01, 40
    params, tables = small_blocks(model, 0.03)

    def loss(params):
        logits = model.apply_batch(params, jnp.asarray(sequences[:, :-1]))
        own = jnp.take_along_axis(logits, jnp.asarray(sequences[:, 1:, None]), axis=2)[..., 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=2) - own)

    step = jax.jit(lambda p: jax.tree.map(lambda leaf, g: leaf - rate * g, p, jax.grad(loss)(p)))
    saved = [tables]
    for i in range(steps):
        params = step(params)
        if (i + 1) % 10 == 0:
            saved.append({name: params[name] for name in tables})
    ts = jnp.arange(5.0) * 10 * rate
    trained = Trajectory(ts, jax.tree.map(lambda *leaves: jnp.stack(leaves), *saved))

    def skill(statistics):
        predicted = integrate(theory.field, tables, ts, statistics, rtol=1e-6)
        return np.asarray(compare(trained, predicted, gram_of_motion(tables)).skill)[1:]

    assert skill(sig).min() > 0.9
    assert skill(shuffled_sig).max() < 0.6


def gram_of_motion(tables):
    def observable(state):
        moved = state["embed"] - tables["embed"]
        return moved @ moved.T

    return observable


def test_relabelling_tokens_permutes(sig, state, error, tolerance):
    order = np.random.default_rng(4).permutation(VOCAB)
    renamed = theory.NextToken(sig.joint[np.ix_(order, order)], sig.norm, sig.floor)
    moved = jax.tree.map(lambda leaf: leaf[order], state)
    expected = jax.tree.map(lambda leaf: leaf[order], theory.bigram(0.0, state, sig))
    assert error(theory.bigram(0.0, moved, renamed), expected) < 10 * tolerance
    assert error(theory.bigram(0.0, moved, sig), expected) > 0.1


def test_width_sees_no_direction(sig, state, error, tolerance):
    turn = jnp.asarray(scipy.linalg.qr(np.random.default_rng(3).normal(size=(WIDTH, WIDTH)))[0], dtype=float)
    turned = jax.tree.map(lambda leaf: leaf @ turn, state)
    expected = jax.tree.map(lambda leaf: leaf @ turn, theory.bigram(0.0, state, sig))
    assert error(theory.bigram(0.0, turned, sig), expected) < 10 * tolerance


def test_jit_and_vmap_lanes_agree(sig, state, error, tolerance):
    plain = theory.field(0.0, state, sig)
    assert error(jax.jit(theory.field)(0.0, state, sig), plain) < 10 * tolerance
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), state)
    lanes = jax.vmap(theory.field, (None, 0, None))(0.0, pair, sig)
    assert error(jax.tree.map(lambda leaf: leaf[0], lanes), plain) < 10 * tolerance


def test_what_the_theory_does_not_cover_is_refused(sequences, state, sig):
    wide = count_neighbours(sequences.ravel(), np.asarray([sequences.size]), VOCAB, window=2)
    with pytest.raises(ValueError, match="window 1"):
        theory.next_token(wide)
    with pytest.raises(ValueError, match="no token has a neighbour"):
        theory.next_token(count_neighbours(np.asarray([1, 2]), np.asarray([1, 2]), VOCAB))
    with pytest.raises(ValueError, match="dense table"):
        theory.next_token(count_neighbours(np.asarray([1, 2]), np.asarray([2]), theory.LARGEST + 1))
    with pytest.raises(ValueError, match="tied"):
        theory.closed_form(1.0, {"embed": state["embed"]}, sig)
