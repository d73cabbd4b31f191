"""Deep linear networks: exact reduced flow, modes in closed form at any depth, tree spectra (theory/deep_linear.md)."""

from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from .linear import dot

State = dict[str, Float[Array, "..."]]
"""`{"w1": W_1, .., "wN": W_N}`, the map W_N .. W_1; each `[output, input]`."""

Values = Float[ArrayLike, "..."]
"""A number, or one per mode."""

BISECTIONS = 100


class Correlations(NamedTuple):
    """All that a deep linear network learns of its data.

    Attributes:
        yx: Sigma_yx = E[y x^T] `[target, token]`.
        xx: Sigma_xx = E[x x^T] `[token, token]`.
    """

    yx: Float[Array, "..."]
    xx: Float[Array, "..."]


class MapModes(NamedTuple):
    """Sigma_yx = U diag(s) V^T; mode k is column k, the strongest first.

    Attributes:
        output: U `[target, mode]`.
        strength: s `[mode]`.
        input: V `[token, mode]`.
    """

    output: Float[Array, "target mode"]
    strength: Float[Array, " mode"]
    input: Float[Array, "token mode"]


def field(t: Float[ArrayLike, ""], state: State, sig: Correlations) -> State:
    """The gradient flow of half the mean squared error, from second moments alone; any depth and any inputs.

    Equation: (D2) in theory/deep_linear.md: dW_i/dt = (W_N .. W_{i+1})^T (Sigma_yx - W Sigma_xx) (W_{i-1} .. W_1)^T.
    Assumes: a linear network, population squared error.
    Valid while: always; it is the exact flow.
    Clock: flow time (tau = 1).

    Source: saxe2014exact.
    """
    layers = ordered(state)
    below, above = products(layers), products([layer.T for layer in layers[::-1]])[::-1]
    gap = sig.yx - dot(below[-1], sig.xx)
    rates = []
    for i in range(len(layers)):
        rate = gap if i == len(layers) - 1 else dot(above[i + 1], gap)
        rates.append(rate if i == 0 else dot(rate, below[i - 1].T))
    return {f"w{i + 1}": rate for i, rate in enumerate(rates)}


def modes(sig: Correlations) -> MapModes:
    """The directions that the network learns independently of each other.

    Equation: (D3) in theory/deep_linear.md: Sigma_yx = U diag(s) V^T.
    Assumes: Sigma_xx commutes with the modes; the closed forms need Sigma_xx = variance x I.
    Valid while: always; where strengths coincide only the spaces are defined.
    Clock: strengths are rates per flow time.
    """
    output, strength, across = jnp.linalg.svd(sig.yx, full_matrices=False)
    return MapModes(output, strength, across.T)


def strength(t: Values, start: Values, s: Values, layers: int = 2, variance: Values = 1.0) -> Float[Array, "..."]:
    """Strength u of a mode at time t: sigmoidal from two layers on, exponential for one.

    Equation: (D5) for one and two layers, (D8) inverted by bisection for more, in theory/deep_linear.md.
    Assumes: aligned and balanced layers, Sigma_xx = variance x I.
    Valid while: always, from starts 0 < start < s / variance (one and two layers: any positive start).
    Clock: flow time since `start`.

    Raises:
        ValueError: for fewer than one layer.

    >>> round(float(strength(1.0, 1e-3, 3.0)), 4)
    0.3557

    Source: saxe2014exact.
    """
    t, start, s, variance = (jnp.asarray(x, float) for x in (t, start, s, variance))
    if _checked(layers) == 1:
        return s / variance + (start - s / variance) * jnp.exp(-variance * t)
    if layers == 2:
        return s / variance / (1 + (s / (variance * start) - 1) * jnp.exp(-2 * s * t))
    share = variance * start / s
    first = jnp.log(share) - jnp.log1p(-share)
    speed = s * (s / variance) ** (1 - 2 / layers)
    goal = _elapsed(first, layers) + speed * t

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        late = _elapsed(middle, layers) > goal
        return jnp.where(late, low, middle), jnp.where(late, middle, high)

    # The log-odds of the share learned never grow faster than N times the speed.
    ends = (first + 0 * goal, first + layers * speed * t)
    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, ends)
    return s / variance * jax.nn.sigmoid((low + high) / 2)


def reach_time(start: Values, end: Values, s: Values, layers: int = 2, variance: Values = 1.0) -> Float[Array, "..."]:
    """Flow time in which a mode goes from strength `start` to `end`, at any depth.

    Equation: (D6) for one and two layers, (D8) for more, in theory/deep_linear.md.
    Assumes: as `strength`.
    Valid while: 0 < start < end < s / variance.
    Clock: flow time.

    Raises:
        ValueError: for fewer than one layer.

    >>> round(float(reach_time(1e-3, 1.5, 3.0)), 4)
    1.3343

    Source: saxe2014exact.
    """
    start, end, s, variance = (jnp.asarray(x, float) for x in (start, end, s, variance))
    first, last = variance * start / s, variance * end / s
    if _checked(layers) == 1:
        return (jnp.log1p(-first) - jnp.log1p(-last)) / variance
    odds = [jnp.log(share) - jnp.log1p(-share) for share in (first, last)]
    if layers == 2:
        return (odds[1] - odds[0]) / (2 * s)
    speed = s * (s / variance) ** (1 - 2 / layers)
    return (_elapsed(odds[1], layers) - _elapsed(odds[0], layers)) / speed


def half_time(start: Values, s: Values, layers: int = 2, variance: Values = 1.0) -> Float[Array, "..."]:
    """Flow time at which a mode stands at half its final strength s / variance.

    Equation: (D7) in theory/deep_linear.md; two layers: ln(s / (variance start) - 1) / (2 s).
    Assumes: as `strength`.
    Valid while: 0 < start < s / (2 variance).
    Clock: flow time.

    Source: saxe2014exact.
    """
    return reach_time(start, jnp.asarray(s, float) / variance / 2, s, layers, variance)


def mode_rate(u: Values, s: Values, layers: int = 2, variance: Values = 1.0) -> Float[Array, "..."]:
    """du/dt of one mode.

    Equation: (D4) in theory/deep_linear.md: N u^(2 - 2/N) (s - variance u).
    Assumes: as `strength`.
    Valid while: always.
    Clock: flow time.

    Source: saxe2014exact.
    """
    u, s, variance = (jnp.asarray(x, float) for x in (u, s, variance))
    return _checked(layers) * u ** (2 - 2 / layers) * (s - variance * u)


def deep_limit_time(start: Values, end: Values, s: Values) -> Float[Array, "..."]:
    """N times the flow time from `start` to `end`, for N layers with N to infinity.

    Equation: (D10) in theory/deep_linear.md.
    Assumes: as `strength`, Sigma_xx = I, and strengths fixed while N grows.
    Valid while: 0 < start < end < s.
    Clock: flow time x number of layers.

    Source: saxe2014exact.
    """
    start, end, s = (jnp.asarray(x, float) for x in (start, end, s))
    odds = jnp.log(end) - jnp.log(s - end) - jnp.log(start) + jnp.log(s - start)
    return odds / s**2 + (1 / start - 1 / end) / s


def closed_form(t: Float[ArrayLike, ""], state0: State, sig: Correlations) -> State:
    """Two layers from any small start, random ones included; defined up to a rotation of the hidden axis.

    Equation: (D12) in theory/deep_linear.md; on an aligned balanced start it is (D5), early it is (D11).
    Assumes: two layers, Sigma_xx = variance x I.
    Valid while: exact for starts W_1 = R V^T, W_2 = U R^T with any R; else wrong by the order of the initial scale.
    Clock: flow time since `state0`.

    Raises:
        ValueError: for a state of another depth than two.

    Source: saxe2014exact, fukumizu1998batch.
    """
    first, second = _two(state0)
    output, s, across = modes(sig)
    variance = jnp.trace(sig.xx) / len(sig.xx)
    left, right = dot(output.T, second), dot(first, across).T
    grow, decay = (left + right) / 2, jnp.exp(-s * t)[:, None] * (right - left) / 2
    still = (first - dot(right.T, across.T), second - dot(output, left))
    grown = _grown(t, grow, s, variance)
    return {"w1": dot((grown + decay).T, across.T) + still[0], "w2": dot(output, grown - decay) + still[1]}


def mode_starts(state0: State, sig: Correlations) -> Float[Array, " mode"]:
    """Strength from which to start each mode's own sigmoid, for a small random start of two layers.

    Equation: (D13) in theory/deep_linear.md: squared diagonal of the QR factor of the growing part.
    Assumes: two layers, distinct strengths, hidden width at least the number of modes.
    Valid while: the initial scale is far below 1; modes of equal strength need `closed_form`.
    Clock: none; a property of the start.

    Source: saxe2014exact.
    """
    first, second = _two(state0)
    output, _, across = modes(sig)
    grow = (dot(output.T, second) + dot(first, across).T) / 2
    return jnp.square(jnp.diagonal(jnp.linalg.qr(grow.T)[1]))


def learned(state: State, sig: Correlations) -> Float[Array, "mode mode"]:
    """The end-to-end map in the coordinates of the modes: diagonal where modes learn independently.

    Equation: (D3) in theory/deep_linear.md: U^T W V.
    Assumes: nothing.
    Valid while: always.
    Clock: none.
    """
    output, _, across = modes(sig)
    return dot(output.T, dot(product(state), across))


def product(state: State) -> Float[Array, "target token"]:
    """The end-to-end map W_N .. W_1."""
    return products(ordered(state))[-1]


def imbalance(state: State) -> list[Float[Array, "hidden hidden"]]:
    """What the exact flow conserves, one matrix for each hidden layer.

    Equation: (D9) in theory/deep_linear.md: W_i W_i^T - W_{i+1}^T W_{i+1}.
    Assumes: any data.
    Valid while: always.
    Clock: none.
    """
    layers = ordered(state)
    return [dot(low, low.T) - dot(high.T, high) for low, high in pairwise(layers)]


def tree_spectrum(
    branching: tuple[int, ...], flip: float
) -> tuple[Float[np.ndarray, " level"], Int[np.ndarray, " level"]]:
    """Eigenvalues of the leaves' feature covariance by level, root first, and their multiplicities.

    Equation: (D15) in theory/deep_linear.md.
    Assumes: a fair +-1 at the root that flips on every edge with probability `flip`, regular branching.
    Valid while: always; a property of the data.
    Clock: none.

    >>> values, counts = tree_spectrum((2, 2, 2), 0.1)
    >>> values.round(4).tolist(), counts.tolist()
    ([3.5078, 1.4106, 0.8208, 0.36], [1, 1, 2, 4])

    Source: saxe2019mathematical.
    """
    depth = len(branching)
    nodes = np.cumprod([1, *branching])
    shared = (1 - 4 * flip * (1 - flip)) ** np.arange(depth, -1.0, -1.0)
    gains = np.diff(shared, prepend=0.0) / nodes
    return nodes[-1] * np.cumsum(gains[::-1])[::-1], np.diff(nodes, prepend=0)


def ordered(state: State) -> list[Array]:
    """W_1 .. W_N of a state, in the order in which they act; a ValueError says which names were given instead."""
    names = [f"w{i + 1}" for i in range(len(state))]
    if not names or set(state) != set(names):
        raise ValueError(f"state: needs the layers w1 .. wN, got {sorted(state)}; rename them from input to output")
    return [state[name] for name in names]


def products(layers: list[Array]) -> list[Array]:
    """W_1, W_2 W_1, .., W_N .. W_1."""
    partial = layers[:1]
    for layer in layers[1:]:
        partial.append(dot(layer, partial[-1]))
    return partial


def _grown(t: Values, grow: Array, s: Array, variance: Array) -> Array:
    """The growing part at time t, up to a rotation of its hidden axis: (D12)."""
    room = variance * jnp.where(s > 0, jnp.expm1(2 * s * t) / jnp.where(s > 0, s, 1), 2 * t)
    # Growth spans e^(2 s t) over the modes. With the hidden axis turned so that mode k meets the first k directions
    # only, and a triangular root of I + grow^T room grow that is never formed, no slow mode is lost in a fast one.
    turn, factor = jnp.linalg.qr(grow.T)
    low = factor.T
    tall = jnp.concatenate([jnp.sqrt(room)[:, None] * low, jnp.eye(low.shape[1], dtype=low.dtype)])
    upper = jnp.linalg.qr(tall, mode="r")
    root = jnp.sign(jnp.diagonal(upper))[:, None] * upper
    gain = jnp.exp(s * t)[:, None] * low
    return dot(jax.scipy.linalg.solve_triangular(root.T, gain.T, lower=True).T, turn.T)


def _elapsed(odds: Array, layers: int) -> Array:
    """The integral of (D8) at x = share^(1/N), from the log-odds of the share, precise at both ends."""
    log_x = jax.nn.log_sigmoid(odds) / layers
    x = jnp.exp(log_x)[..., None]
    angle = 2 * np.pi * np.arange(1, layers) / layers
    cosine, sine = (jnp.asarray(f(angle)).reshape((1,) * odds.ndim + (-1,)) for f in (np.cos, np.sin))
    twice = [jnp.asarray(f(2 * angle)).reshape((1,) * odds.ndim + (-1,)) for f in (np.cos, np.sin)]
    size, turn = jnp.log1p(x * x - 2 * x * cosine) / 2, jnp.arctan2(x * sine, 1 - x * cosine)
    roots = jnp.sum(twice[0] * size - twice[1] * turn, axis=-1) + jnp.log(-jnp.expm1(log_x))
    return jnp.exp((2 - layers) * log_x) / (2 - layers) - roots / layers


def _two(state: State) -> list[Array]:
    layers = ordered(state)
    if len(layers) != 2:
        raise ValueError(f"state: this closed form has two layers, got {len(layers)}; integrate `field` instead")
    return layers


def _checked(layers: int) -> int:
    if layers < 1:
        raise ValueError(f"layers: a network has at least one, got {layers}")
    return layers
