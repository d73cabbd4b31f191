"""How fast clean and noisy labels are learned at first, from counts of coinciding examples (theory/collisions.md)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from ..statistics import PositionSignatures
from .two_position import Taylor


class Collisions(NamedTuple):
    """How much likelier than uniform labels would have it two draws agree in their labels, alone or with tokens.

    One draw is of the part whose loss is asked for, the other of the whole training population.

    Attributes:
        label: kappa_0, equal labels.
        token: kappa_1, equal labels with equal first token, plus the same with the second.
        pair: kappa_2, equal labels with both tokens equal.
    """

    label: Float[Array, ""]
    token: Float[Array, ""]
    pair: Float[Array, ""]


def collisions(part: PositionSignatures, whole: PositionSignatures | None = None) -> Collisions:
    """Count the collisions of a part of the data with all of it.

    Equation: (C1) in theory/collisions.md: kappa = E_part E_whole [(1{y=y'} - 1/v) 1{tokens agree}].
    Assumes: nothing beyond the data.
    Valid while: always; a property of the data.
    Clock: none.

    Args:
        part: signatures of the examples whose loss is asked for (the corrupted ones, say).
        whole: signatures of all that is trained on; None means the part is all.

    Raises:
        ValueError: where the two have different numbers of tokens.

    Source: wang2026modular.
    """
    whole = part if whole is None else whole
    if part.vocab != whole.vocab:
        raise ValueError(f"whole: has {whole.vocab} tokens, part {part.vocab}; take both from one task")
    chance = 1 / part.vocab
    return Collisions(
        jnp.sum(part.target * whole.target) - chance,
        _agreeing(part.m1_first, whole.m1_first, part.first, whole.first, chance)
        + _agreeing(part.m1_second, whole.m1_second, part.second, whole.second, chance),
        _agreeing(part.joint(), whole.joint(), part.pair, whole.pair, chance),
    )


def counts(sig: PositionSignatures, examples: int) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """The collision counts K0 and K1 of a table as published.

    Equation: (C2) in theory/collisions.md: K0 = sum_z n_z^2, K1 = v^2 (|phi^(a)|^2 + |phi^(b)|^2 - 2).
    Assumes: every symbol stands equally often in each position.
    Valid while: always; a property of the data.
    Clock: none.

    Args:
        sig: signatures of the table.
        examples: how many there are.

    >>> import jaxembed as je
    >>> sig = je.statistics.position_signatures(je.tasks.BinaryTable(5).dataset())
    >>> [round(float(count), 3) + 0.0 for count in counts(sig, 25)]  # a Latin square: v^3 and 0
    [125.0, 0.0]

    Source: wang2026modular.
    """
    signatures = jnp.sum(sig.label_first**2) + jnp.sum(sig.label_second**2)
    return examples**2 * jnp.sum(sig.target**2), sig.vocab**2 * (signatures - 2)


def noisy_collisions(noise: Float[ArrayLike, ""] | float, vocab: int) -> tuple[Collisions, Collisions]:
    """Expected collisions of the clean and of the corrupted examples of a full Latin square, over the noise.

    Equation: (C7) in theory/collisions.md.
    Assumes: all v^2 pairs, labels a Latin square, a share `noise` of them redrawn uniformly.
    Valid while: always; in expectation over the redrawn labels.
    Clock: none.

    Args:
        noise: share of redrawn labels.
        vocab: v.

    >>> clean, corrupted = noisy_collisions(0.25, 10)
    >>> round(float(corrupted.token / clean.token), 6)  # one over the noise
    4.0
    """
    own = jnp.asarray((1 - 1 / vocab) / vocab**2, float)
    noise = jnp.asarray(noise, float)
    return Collisions(noise * own, 2 * noise * own, own), Collisions(own, 2 * own, own)


def early_slope(
    collisions: Collisions, taylor: Taylor, width: int, init_scale: Float[ArrayLike, ""] | float
) -> Float[Array, ""]:
    """How fast the mean loss of the part falls at the start of training on the whole, in expectation over the start.

    Equation: (C6) in theory/collisions.md:
        -dl/dt = d eps^2 [2 c1^2 k1 + eps^2 (c2^2 (k0 + 3/2 k1 + 3 k2) + 4 c1 c3 k1)].
    Assumes: logits = W sigma(U_a + V_b), independent initial entries of standard deviation eps and mean 0, gradient
        flow of the population cross-entropy.
    Valid while: t is short against the growth time of the first mode, and eps small: the error is of order
        eps^6 d (1 + d/v).
    Clock: a rate per flow time.

    Args:
        collisions: of the part with the whole.
        taylor: (c1, c2, c3), as in `TwoPosition(..).taylor`.
        width: d.
        init_scale: eps.

    Source: wang2026modular; the coefficients are ours.
    """
    c1, c2, c3 = taylor
    square = jnp.asarray(init_scale, collisions.token.dtype) ** 2
    second = c2**2 * (collisions.label + 1.5 * collisions.token + 3 * collisions.pair) + 4 * c1 * c3 * collisions.token
    return width * square * (2 * c1**2 * collisions.token + square * second)


def _agreeing(
    part: Float[Array, "..."], whole: Float[Array, "..."], part_rate: Array, whole_rate: Array, chance: float
) -> Float[Array, ""]:
    """Coincidences of moments that have the label as their last index, less those that uniform labels would have."""
    return jnp.sum(part * whole) - chance * jnp.sum(part_rate * whole_rate)
