"""Probability signatures: normalised low-order joint moments of (token counts, label)."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int

from ..machine import GIB
from .counts import Counts


@partial(register_dataclass, data_fields=["tokens", "targets", "weights"], meta_fields=["vocab"])
@dataclass(frozen=True)
class WeightedCells:
    """Distinct (bag, label) pairs with probabilities: expectations of any order are sums over them.

    Members of an ensemble that have cells of their own carry them with a leading axis.
    """

    tokens: Int[Array, "... example position"]
    targets: Int[Array, "... example"]
    weights: Float[Array, "... example"]
    vocab: int

    def bags(self, embed: Float[Array, "token width"]) -> Float[Array, "example width"]:
        """h(X) = sum_i E_{x_i} for every cell."""
        if self._dense:
            return _dot(self._counts(embed), embed)
        return jnp.sum(embed[self.tokens], axis=1)

    def by_token(self, values: Float[Array, "example width"]) -> Float[Array, "token width"]:
        """E[c_x f(X, y)] for cell values f."""
        weighted = values * self.weights[:, None]
        if self._dense:
            return _dot(self._counts(values).T, weighted)
        rows = jnp.repeat(weighted, self.tokens.shape[1], axis=0)
        return jax.ops.segment_sum(rows, self.tokens.ravel(), self.vocab)

    def by_label(self, values: Float[Array, "example width"]) -> Float[Array, "token width"]:
        """E[1{y=nu} f(X, y)] for cell values f."""
        weighted = values * self.weights[:, None]
        if self._dense:
            return _dot(jax.nn.one_hot(self.targets, self.vocab, dtype=values.dtype).T, weighted)
        return jax.ops.segment_sum(weighted, self.targets, self.vocab)

    @property
    def _dense(self) -> bool:
        # A scatter is many times slower on a CPU than a product with the counts, as long as these stay in memory.
        return self.tokens.shape[0] * self.vocab <= 2**22

    def _counts(self, like: Array) -> Float[Array, "example token"]:
        return jnp.sum(jax.nn.one_hot(self.tokens, self.vocab, dtype=like.dtype), axis=1)


@partial(register_dataclass, data_fields=["token", "target", "m1", "k", "cells"], meta_fields=["samples"])
@dataclass(frozen=True)
class Signatures:
    """All that theory may know of the data; a pytree of expectations under the population.

    Attributes:
        token: r_x = E[c_x], `[token]`.
        target: r_nu = P(y = nu), `[token]` (labels are tokens).
        m1: M1 = E[c_x 1{y=nu}], `[token, token]`.
        k: K = E[c_x c_x'], `[token, token]`, or None where only order 1 was counted.
        cells: what contracted higher moments are summed over, or None where only order 1 was counted.
        samples: number of draws behind the numbers, or None for an exact population.
    """

    token: Float[Array, "... token"]
    target: Float[Array, "... token"]
    m1: Float[Array, "... token token"]
    k: Float[Array, "... token token"] | None
    cells: WeightedCells | None
    samples: int | None

    @property
    def vocab(self) -> int:
        return self.token.shape[0]

    @property
    def label(self) -> Float[Array, "token token"]:
        """Label signature phi^y_x(nu) = E[c_x 1{y=nu}] / r_x; rows sum to 1, NaN for tokens that never occur."""
        return _rows_over(self.m1, self.token)

    @property
    def context(self) -> Float[Array, "token token"]:
        """Context signature phi^X_x(x') = E[c_x c_x'] / r_x; NaN for tokens that never occur."""
        return _rows_over(self.second("context signatures"), self.token)

    @property
    def trace_back(self) -> Float[Array, "token token"]:
        """Trace-back signature psi_nu(x) = E[c_x given y=nu]; NaN for labels that never occur."""
        return _rows_over(self.m1.T, self.target)

    @property
    def label_error(self) -> Float[Array, "token token"]:
        """Multinomial standard error of `label` (0 for an exact population): sqrt(phi (1 - phi) / n_x).

        It takes the n_x occurrences of a token as independent: too small where a token often repeats in a sequence.
        """
        if self.samples is None:
            return jnp.zeros_like(self.m1)
        occurrences = self.token[:, None] * self.samples
        return jnp.sqrt(self.label * (1 - self.label) / occurrences)

    def joint(self, memory_limit: float = GIB) -> Float[Array, "token token token"]:
        """Joint signature phi^{X,y}_x(x', nu) = M2 / r_x, dense: `[x, x', nu]`.

        Raises:
            ValueError: where the dense tensor would not fit; contracted forms need no such memory.
        """
        return self.m2(memory_limit) / self.token[:, None, None]

    def pair_trace_back(self, memory_limit: float = GIB) -> Float[Array, "token token token"]:
        """Pair trace-back signature Psi_nu(x, x') = E[c_x c_x' given y=nu], dense: `[nu, x, x']`."""
        return jnp.moveaxis(self.m2(memory_limit), 2, 0) / self.target[:, None, None]

    def m2(self, memory_limit: float = GIB) -> Float[Array, "token token token"]:
        """M2 = E[c_x c_x' 1{y=nu}], dense: `[x, x', nu]`."""
        cells, v = self.need_cells("the joint moment M2"), self.vocab
        need = v**3 * self.m1.dtype.itemsize
        if need > memory_limit:
            raise ValueError(
                f"vocab: dense M2 of {v} tokens needs {need / GIB:.1f} GiB, more than the limit of "
                f"{memory_limit / GIB:.1f} GiB; use the contracted moments, or fewer tokens"
            )
        first, second = cells.tokens[:, :, None], cells.tokens[:, None, :]
        mass = jnp.broadcast_to(cells.weights[:, None, None], (*first.shape[:2], second.shape[2]))
        return jnp.zeros((v, v, v), self.m1.dtype).at[first, second, cells.targets[:, None, None]].add(mass)

    def token_moment(self, embed: Float[Array, "token width"], power: int) -> Float[Array, "token width"]:
        """E[c_x h^power], elementwise in the width."""
        cells = self.need_cells("contracted moments")
        return cells.by_token(cells.bags(embed) ** power)

    def label_moment(self, embed: Float[Array, "token width"], power: int) -> Float[Array, "token width"]:
        """E[1{y=nu} h^power], elementwise in the width."""
        cells = self.need_cells("contracted moments")
        return cells.by_label(cells.bags(embed) ** power)

    def token_label_moment(
        self, embed: Float[Array, "token width"], unembed: Float[Array, "token width"], power: int
    ) -> Float[Array, "token width"]:
        """E[c_x h^power * U_y], elementwise in the width."""
        cells = self.need_cells("contracted moments")
        return cells.by_token(cells.bags(embed) ** power * unembed[cells.targets])

    def second(self, purpose: str) -> Float[Array, "token token"]:
        if self.k is None:
            raise ValueError(f"sig: {purpose} need second moments; count the data with order=2")
        return self.k

    def need_cells(self, purpose: str) -> WeightedCells:
        if self.cells is None:
            raise ValueError(f"sig: {purpose} needs the cells; count the data with order=2")
        return self.cells


def signatures(counts: Counts) -> Signatures:
    """Normalise counts to expectations, in JAX's default float dtype.

    >>> import jaxembed as je
    >>> sig = je.signatures(je.count(je.tasks.Addition(keys=4, anchors=2).dataset()))
    >>> bool(abs(sig.label[1].sum() - 1) < 1e-6)
    True
    """

    def mean(x: np.ndarray) -> Array:
        return jnp.asarray(x / counts.mass, dtype=float)

    cells = None
    if counts.cells is not None:
        tokens, targets = (jnp.asarray(x, jnp.int32) for x in (counts.cells.tokens, counts.cells.targets))
        cells = WeightedCells(tokens, targets, mean(counts.cells.mass), len(counts.token))
    k = None if counts.k is None else mean(counts.k)
    return Signatures(mean(counts.token), mean(counts.target), mean(counts.m1), k, cells, counts.samples)


def _dot(a: Array, b: Array) -> Array:
    return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)


def _rows_over(moment: Float[Array, "token token"], rate: Float[Array, " token"]) -> Float[Array, "token token"]:
    # 0 / 0 is NaN on purpose: the signature of a token that never occurs is undefined, not zero.
    return moment / rate[:, None]
