"""Next-token prediction with free context vectors: the centred support, learned mode by mode (theory/soft_label.md)."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from . import deep_linear
from .linear import centred, dot

State = dict[str, Float[Array, "..."]]
"""`{"embed": H^T [sequence, width], "unembed": W [token, width]}`: logits of context j are W h_j."""

Support = Float[Array, "token sequence"]
"""S~ = (I - 1 1^T / V) S, of a support S that is 1 where a token may follow a context."""


def field(t: Float[ArrayLike, ""], state: State, sig: Support) -> State:
    """Gradient flow of ||S~ - W H||^2 / 2: logits fitted to the centred support.

    Equation: (S2) in theory/soft_label.md: dW/dt = (S~ - W H) H^T, dH/dt = W^T (S~ - W H).
    Assumes: free context vectors; squared error on logits stands in for cross-entropy.
    Valid while: always; exact for this loss.
    Clock: flow time.

    Source: zhao2025geometry.
    """
    embed, unembed = _tables(state)
    gap = sig - dot(unembed, embed.T)
    return {"embed": dot(gap.T, unembed), "unembed": dot(gap, embed)}


def centred_support(support: Float[ArrayLike, "token sequence"]) -> Support:
    """S~: a support without each context's mean over tokens, which no softmax sees.

    Equation: (S1) in theory/soft_label.md.
    Assumes: nothing beyond the data.
    Valid while: always.
    Clock: none.

    >>> centred_support(jnp.array([[1.0, 0.0], [1.0, 1.0]])).tolist()
    [[0.0, -0.5], [0.0, 0.5]]
    """
    return centred(jnp.asarray(support, float))


def modes(sig: Support) -> deep_linear.MapModes:
    """The concepts: S~ = U diag(sigma) Z^T, the broadest (largest sigma) first.

    Equation: (S1) in theory/soft_label.md; `output` is U, `input` is Z.
    Assumes: nothing beyond the data.
    Valid while: always; where values coincide only the spaces are defined.
    Clock: sigma is a rate per flow time.
    """
    return deep_linear.modes(_correlations(sig))


def aligned_start(sig: Support, delta: Float[ArrayLike, ""], width: int) -> State:
    """The start that excites every concept equally: W = e^-delta U R^T, H = e^-delta R Z^T, with R = I.

    Equation: (S3) in theory/soft_label.md.
    Assumes: a width of at least the number of concepts.
    Valid while: always.
    Clock: none.

    Raises:
        ValueError: for a width below the number of modes.
    """
    output, sigma, contexts = modes(sig)
    if width < len(sigma):
        raise ValueError(f"width: an aligned start needs one dimension per mode, {len(sigma)}, got {width}; widen it")
    turn = jnp.exp(-jnp.asarray(delta, sig.dtype)) * jnp.eye(len(sigma), width, dtype=sig.dtype)
    return {"embed": dot(contexts, turn), "unembed": dot(output, turn)}


def share(
    t: Float[ArrayLike, "..."], sigma: Float[ArrayLike, "..."], delta: Float[ArrayLike, "..."]
) -> Float[Array, "..."]:
    """How much of a concept is learned, a_k: the logits are U diag(sigma a) Z^T.

    Equation: (S4) in theory/soft_label.md: a = 1 / (1 + (sigma e^(2 delta) - 1) e^(-2 sigma t)).
    Assumes: the start of `aligned_start`.
    Valid while: always; needs sigma > 0.
    Clock: flow time.

    Source: zhao2025geometry.
    """
    t, sigma, delta = (jnp.asarray(x, float) for x in (t, sigma, delta))
    return 1 / (1 + (sigma * jnp.exp(2 * delta) - 1) * jnp.exp(-2 * sigma * t))


def step_time(sigma: Float[ArrayLike, "..."], delta: Float[ArrayLike, "..."] = jnp.inf) -> Float[Array, "..."]:
    """Time at which a concept is half learned, in units of delta; 1 / sigma in the limit of a vanishing start.

    Equation: (S5) in theory/soft_label.md: t'_k = (1 + ln(sigma - e^(-2 delta)) / (2 delta)) / sigma.
    Assumes: the start of `aligned_start`.
    Valid while: sigma > 2 e^(-2 delta): the concept is less than half learned at the start.
    Clock: flow time / delta.

    >>> step_time(2.0).item(), round(step_time(2.0, 100.0).item(), 4)
    (0.5, 0.5017)

    Source: zhao2025geometry.
    """
    sigma, delta = jnp.asarray(sigma, float), jnp.asarray(delta, float)
    return (1 + jnp.log(sigma - jnp.exp(-2 * delta)) / (2 * delta)) / sigma


def closed_form(t: Float[ArrayLike, ""], state0: State, sig: Support) -> State:
    """The flow from any small start, random ones included; up to a rotation of the width.

    Equation: (S6) in theory/soft_label.md, which is (D12) in theory/deep_linear.md.
    Assumes: as `field`.
    Valid while: exact from aligned balanced starts; else the error is of relative order (initial scale).
    Clock: flow time since `state0`.

    Source: fukumizu1998batch, zhao2025geometry.
    """
    embed, unembed = _tables(state0)
    layers = {"w1": embed.T, "w2": unembed}
    grown = deep_linear.closed_form(t, layers, _correlations(sig))
    return {"embed": grown["w1"].T, "unembed": grown["w2"]}


def _tables(state: State) -> tuple[Float[Array, "sequence width"], Float[Array, "token width"]]:
    if set(state) != {"embed", "unembed"}:
        raise ValueError(f"state: needs exactly embed and unembed, got {sorted(state)}; use models.FreeContexts")
    return state["embed"], state["unembed"]


def _correlations(sig: Support) -> deep_linear.Correlations:
    return deep_linear.Correlations(sig, jnp.eye(sig.shape[1], dtype=sig.dtype))
