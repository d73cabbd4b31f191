"""Word embeddings trained on pairs: word2vec's logistic loss and its quadratic expansion, from pair statistics."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, PRNGKeyArray

from ..base import Dataset
from .init import check_init, normal

Kind = Literal["quadratic", "logistic"]
Weighting = Literal["constant", "sampled"]


@dataclass(frozen=True)
class WordPairs:
    """One vector per word, or one as word and one as context; the score of a pair is their inner product.

    Attributes:
        width: embedding width d.
        init_scale: standard deviation of the initial entries.
        tied: whether a word and itself as context share one vector.
    """

    width: int = 8
    init_scale: float = 1e-3
    tied: bool = True

    def __post_init__(self) -> None:
        check_init(self.width, self.init_scale, None)

    def init(self, key: PRNGKeyArray, vocab: int) -> dict[str, Array]:
        """Initial parameters `embed [token, width]`, and `unembed [token, width]` unless tied.

        >>> import jax
        >>> WordPairs(width=4).init(jax.random.key(0), vocab=10)["embed"].shape
        (10, 4)
        """
        names = ["embed"] if self.tied else ["embed", "unembed"]
        keys = jax.random.split(key, len(names))
        return {name: normal(k, vocab, self.width, self.init_scale) for name, k in zip(names, keys, strict=True)}


def pair_scores(params: dict[str, Array]) -> Float[Array, "token token"]:
    """x_ij = <word i, context j>, of tied parameters (`embed` alone) or untied ones."""
    contexts = params.get("unembed", params["embed"])
    return jnp.matmul(params["embed"], contexts.T, precision=jax.lax.Precision.HIGHEST)


@partial(register_dataclass, data_fields=["positive", "negative"], meta_fields=["kind"])
@dataclass(frozen=True)
class PairLoss:
    """Loss over all pairs, as `loss(params)`, scaled so that its plain gradient flow has the clock of the theory.

    quadratic: sum positive (x^2/4 - x) + negative (x^2/4 + x); logistic: 2 sum positive ln(1 + e^-x) +
    negative ln(1 + e^x), of which the quadratic one is the expansion at x = 0 up to a constant. Either is divided by
    the mean g of positive + negative, and by 2 more where vectors are tied, for then x moves twice as fast.

    Attributes:
        positive: `[token, token]`, Psi+_ij P_ij: how much pair (i, j) attracts.
        negative: `[token, token]`, Psi-_ij P_i P_j: how much it repels.
        kind: "quadratic" or "logistic".
    """

    positive: Float[Array, "... token token"]
    negative: Float[Array, "... token token"]
    kind: Kind = "quadratic"

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        share = 1.0 if "unembed" in params else 0.5
        return self.sum(params) * (share / self.curvature)

    def sum(self, params: dict[str, Array]) -> Float[Array, ""]:
        """The loss before it is scaled to the clock."""
        x = pair_scores(params)
        if self.kind == "quadratic":
            return jnp.sum(self.positive * (x**2 / 4 - x) + self.negative * (x**2 / 4 + x))
        return 2 * jnp.sum(self.positive * jnp.log1p(jnp.exp(-x)) + self.negative * jnp.log1p(jnp.exp(x)))

    @property
    def curvature(self) -> Float[Array, ""]:
        """g: mean over pairs of positive + negative."""
        return jnp.mean(self.positive + self.negative)


def pair_loss(
    data: Dataset, kind: Kind = "quadratic", *, negatives: float = 1.0, weighting: Weighting = "constant"
) -> PairLoss:
    """The loss of word pairs over a population of (word, context).

    Args:
        data: sequences of length 1; the label is the context word.
        kind: "quadratic", or "logistic" for word2vec's own loss.
        negatives: k, negative pairs per positive pair.
        weighting: "constant" divides both weights of a pair by P_ij + k P_i P_j, so that all pairs have the same
            curvature; "sampled" weighs them as sampling does, P_ij and k P_i P_j.

    Raises:
        ValueError: for longer sequences, words that never occur, or settings that are unknown.

    >>> import jaxembed as je
    >>> loss = pair_loss(je.tasks.Attributes((0.5, 0.3)).dataset())
    >>> float(loss.curvature)
    1.0

    Source: karkada2025closed, mikolov2013distributed.
    """
    if data.length != 1:
        raise ValueError(f"data: need pairs (sequences of length 1), got length {data.length}; make a pair per context")
    if not negatives > 0:
        raise ValueError(f"negatives: must be a positive number, got {negatives}")
    if kind not in ("quadratic", "logistic"):
        raise ValueError(f'kind: must be "quadratic" or "logistic", got {kind!r}')
    joint = np.zeros((data.vocab, data.vocab))
    np.add.at(joint, (np.asarray(data.tokens)[:, 0], np.asarray(data.targets)), np.asarray(data.weights))
    words, contexts = joint.sum(axis=1), joint.sum(axis=0)
    absent = np.flatnonzero((words <= 0) | (contexts <= 0))
    if len(absent):
        raise ValueError(f"data: word {absent[0]} never occurs ({len(absent)} such); leave it out of the vocabulary")
    independent = negatives * words[:, None] * contexts[None, :]
    if weighting == "constant":
        total = joint + independent
    elif weighting == "sampled":
        total = np.ones_like(joint)
    else:
        raise ValueError(f'weighting: must be "constant" or "sampled", got {weighting!r}')
    return PairLoss(jnp.asarray(joint / total, dtype=float), jnp.asarray(independent / total, dtype=float), kind)
