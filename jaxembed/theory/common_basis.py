"""The basis in which a binary operation decouples, found from its joint signatures alone (theory/common_basis.md)."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, ArrayLike, Bool, Complex, Float, Int, PRNGKeyArray

from ..statistics import PositionSignatures
from . import _joint_modes as joint_modes
from .linear import dot

THRESHOLD = 0.25
"""Largest residual that counts as a basis: no non-abelian group comes below it, (B7) in theory/common_basis.md."""

_ARRAYS = ["first", "second", "label", "strength", "partner", "residual", "null_residual", "commutator", "coverage"]


@partial(register_dataclass, data_fields=_ARRAYS, meta_fields=["threshold"])
@dataclass(frozen=True)
class CommonBasis:
    """Orthonormal bases of the three alphabets in which every joint signature is diagonal, as nearly as there are any.

    Column r of `first`, `second` and `label` belong together. Column 0 is the constant, which the centred family does
    not contain; the others follow from the strongest to the weakest.

    Attributes:
        first: A `[token, token]`, columns over the symbols of the first position.
        second: B `[token, token]`, columns over the symbols of the second position.
        label: C `[token, token]`, columns over the labels.
        strength: s `[token]`, the weights of P(y given a, b) - 1/v = sum_r s_r A_ar B_br conj(C_yr), none negative.
        partner: `[token]`, the column that is the complex conjugate of this one; itself where the column is real.
        residual: share of the centred family's energy that the diagonal leaves, on the observed pairs; 0 is exact.
        null_residual: the same after the labels are dealt at random to the same pairs.
        commutator: how far the products of signatures are from commuting: 0 they do, about 0.7 for random matrices.
        coverage: share of all pairs (a, b) that occur.
        threshold: the residual up to which the basis counts as found.
    """

    first: Complex[Array, "... token token"]
    second: Complex[Array, "... token token"]
    label: Complex[Array, "... token token"]
    strength: Float[Array, "... token"]
    partner: Int[Array, "... token"]
    residual: Float[Array, "..."]
    null_residual: Float[Array, "..."]
    commutator: Float[Array, "..."]
    coverage: Float[Array, "..."]
    threshold: float

    @property
    def found(self) -> bool:
        """Whether there is such a basis: the residual is within the threshold, and at most half of its null."""
        return bool(self.residual <= min(self.threshold, float(self.null_residual) / 2))

    def __str__(self) -> str:
        numbers = f"residual {float(self.residual):.3g}, random table {float(self.null_residual):.3g}"
        if not self.found:
            return f"none ({numbers})"
        own = int(np.sum(np.asarray(self.partner) == np.arange(len(self.partner)))) - 1
        pairs = (len(self.partner) - 1 - own) // 2
        return f"found ({numbers}): the constant, {own} real modes, {pairs} conjugate pairs"

    def spectrum(self, role: str, weights: Float[ArrayLike, "token width"]) -> Float[Array, "token width"]:
        """Share of every mode in each column of `weights`, centred; a pair of conjugates shares one entry, its first.

        Equation: (B10) in theory/common_basis.md.
        Assumes: nothing beyond an orthonormal basis.
        Valid while: always; NaN for a column that is constant over the symbols.
        Clock: none.

        Args:
            role: "first", "second" or "label": whose alphabet the rows of `weights` are.
            weights: a table of the model; columns are hidden units.
        """
        columns = {"first": self.first, "second": self.second, "label": self.label}[role]
        coefficients = dot(columns.conj().T, jnp.asarray(weights).astype(columns.dtype))
        power = (jnp.abs(coefficients) ** 2).at[0].set(0)
        entry = jnp.minimum(self.partner, jnp.arange(len(self.partner), dtype=self.partner.dtype))
        shared = jax.ops.segment_sum(power, entry, len(power))
        return shared / jnp.sum(power, axis=0, keepdims=True)


def common_basis(
    signatures: PositionSignatures | Float[ArrayLike, "..."],
    key: PRNGKeyArray | None = None,
    *,
    starts: int = 2,
    sweeps: int = 100,
    threshold: float = THRESHOLD,
) -> CommonBasis:
    """Find the joint eigenbasis of the joint signatures from data alone; no Fourier, no Hadamard, no group is given.

    The three alphabets may be labelled independently of each other (an isotope of an abelian group has a basis as well
    as the group itself): the bases of the two positions and of the label are found each on its own.

    Equation: (B3) in theory/common_basis.md: P(y | a, b) - 1/v = sum_r s_r A_ar B_br conj(C_yr), found by (B5), (B6).
    Assumes: pairs (a, b) are distributed evenly over the pairs that occur; every symbol occurs in each position.
    Valid while: read with `found`: where the residual exceeds its threshold the answer is "none".
    Clock: none; a property of the data.

    Args:
        signatures: of the pairs, or the family itself as an array `[x, x', nu]`: joint signatures or probabilities.
        key: of the random combinations and of the null; a fixed one by default, so that the answer is reproducible.
        starts: random combinations tried; the best is kept, an exact one at once.
        sweeps: most improvements of each start.
        threshold: the largest residual that counts as a basis.

    Raises:
        ValueError: for a table that is not square, has fewer than 3 symbols, or lacks a symbol in a position;
            for no starts.

    >>> import jaxembed as je
    >>> xor = je.tasks.BinaryTable(4, "xor").dataset()
    >>> print(str(common_basis(je.position_signatures(xor))).split(":")[1])
     the constant, 3 real modes, 0 conjugate pairs

    Source: wang2026modular, chen2009tensors, anandkumar2014tensor; the criterion for "none" is ours.
    """
    if starts < 1 or sweeps < 1:
        raise ValueError(f"starts, sweeps: need at least 1 of each, got {starts} and {sweeps}")
    family = signatures.joint() if isinstance(signatures, PositionSignatures) else jnp.asarray(signatures, float)
    conditional, seen = _conditional(family)
    null_key, *keys = jax.random.split(jax.random.key(0) if key is None else key, starts + 2)
    modes = _best(conditional, seen, keys[:-1], sweeps)
    null = _best(_dealt(conditional, seen, null_key), seen, keys[:1], sweeps)
    first, second, label, strength = joint_modes.lifted(modes)
    overlap = jnp.abs(dot(first.T, first))
    commutator = joint_modes.commutator(conditional, keys[-1])
    return CommonBasis(
        first,
        second,
        label,
        strength,
        jnp.argmax(overlap, axis=1).astype(jnp.int32),
        modes.residual,
        null.residual,
        commutator,
        jnp.asarray(float(np.mean(np.asarray(seen))), conditional.dtype),
        threshold,
    )


def table_family(table: Any) -> Float[Array, "token token token"]:
    """Joint signatures Phi_x(x', nu) of an operation given as a table of labels, all pairs equally likely.

    Equation: (B1) in theory/common_basis.md.
    Assumes: nothing.
    Valid while: always.
    Clock: none; a property of the data.

    Args:
        table: F `[token, token]`, integers; an array or nested lists.

    Raises:
        ValueError: for a table that is not square, or a label that is not one of its symbols.

    >>> table_family([[0, 1], [1, 0]])[1].tolist()  # given a = 1, label 1 goes with b = 0 and label 0 with b = 1
    [[0.0, 0.5], [0.5, 0.0]]
    """
    table = np.asarray(table)
    if table.ndim != 2 or table.shape[0] != table.shape[1]:
        raise ValueError(f"table: must be square, one row and one column for each symbol; got shape {table.shape}")
    size = len(table)
    if table.min() < 0 or table.max() >= size:
        raise ValueError(f"table: labels must be the symbols 0..{size - 1}, got {table.min()}..{table.max()}")
    return jnp.asarray(np.eye(size)[table] / size, dtype=float)


def _conditional(family: Float[Array, "..."]) -> tuple[Float[Array, "token token token"], Bool[Array, "token token"]]:
    """P(y | a, b) - 1/v on the pairs that occur, 0 elsewhere, and which occur."""
    if family.ndim != 3 or len(set(family.shape)) != 1:
        raise ValueError(
            f"signatures: the table is not square: the family has shape {family.shape}; give the first position, the "
            "second and the labels equally many symbols"
        )
    if len(family) < 3:
        raise ValueError(f"signatures: a basis needs at least 3 symbols, got {len(family)}; enlarge the table")
    mass = jnp.sum(jnp.nan_to_num(family), axis=2)
    seen = mass > 0
    for position, axis in (("first", 1), ("second", 0)):
        missing = np.flatnonzero(~np.asarray(seen).any(axis=axis))
        if missing.size:
            raise ValueError(
                f"signatures: symbol {missing[0]} never stands {position}; leave it out, or give more data"
            )
    safe = jnp.where(seen, mass, 1)[:, :, None]
    return jnp.where(seen[:, :, None], family / safe - 1 / len(family), 0), seen


def _best(
    conditional: Float[Array, "token token token"], seen: Bool[Array, "token token"], keys: list, sweeps: int
) -> joint_modes.JointModes:
    """The start that ends with the smallest residual; the first exact one ends the search."""
    complete, best = bool(seen.all()), None
    for key in keys:
        modes = joint_modes.search(conditional, seen, key, sweeps, complete)
        if best is None or float(modes.residual) < float(best.residual):
            best = modes
        if float(best.residual) < 100 * jnp.finfo(conditional.dtype).eps:
            break
    assert best is not None
    return best


def _dealt(
    conditional: Float[Array, "token token token"], seen: Bool[Array, "token token"], key: PRNGKeyArray
) -> Float[Array, "token token token"]:
    """The same labels dealt anew to the pairs that occur: a random table."""
    cells = np.flatnonzero(np.asarray(seen).ravel())
    dealt = jax.random.permutation(key, jnp.asarray(cells, jnp.int32))
    flat = conditional.reshape(-1, conditional.shape[2])
    return flat.at[cells].set(flat[dealt]).reshape(conditional.shape)
