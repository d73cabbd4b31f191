"""The quadratic word model (QWEM): one vector per word, whose products are fitted to the bounded target M*."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, PRNGKeyArray

from ..models.word_pairs import PairLoss, Weighting
from .pairs import Cooccurrence
from .targets import quadratic_target


@dataclass(frozen=True)
class Quadratic:
    """word2vec's loss to second order in the score, a word and itself as context sharing one vector.

    Attributes:
        width: d.
        negatives: k, negative pairs per positive pair.
        weighting: "constant" divides both weights of a pair by P_ij + k P_i P_j, which gives every pair the same
            curvature and makes M* the target; "sampled" weighs pairs as sampling does, P_ij and k P_i P_j.
        init_scale: standard deviation of the initial entries.
    """

    width: int = 200
    negatives: float = 1.0
    weighting: Weighting = "constant"
    init_scale: float = 1e-3

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width: must be at least 1, got {self.width}")
        for name in ("negatives", "init_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: must be a positive number, got {getattr(self, name)}")
        if self.weighting not in ("constant", "sampled"):
            raise ValueError(f'weighting: must be "constant" or "sampled", got {self.weighting!r}')

    def init(self, key: PRNGKeyArray, vocab: int) -> dict[str, Float[Array, "token width"]]:
        """Initial `embed`, in float32."""
        return {"embed": jax.random.normal(key, (vocab, self.width), jnp.float32) * self.init_scale}

    def loss(self, pairs: Cooccurrence, dtype: str = "float32") -> "TargetLoss | PairLoss":
        """The population loss, scaled so that its gradient flow is dW/dt = (M* - W W^T) W / 2 (constant weights)."""
        if self.weighting == "constant":
            return TargetLoss(jnp.asarray(quadratic_target(pairs, negatives=self.negatives).dense(), dtype))
        share = pairs.marginal / pairs.joint_total
        positive = (pairs.matrix / pairs.joint_total).astype(dtype).toarray()
        negative = (self.negatives * np.outer(share, share)).astype(dtype)
        return PairLoss(jnp.asarray(positive), jnp.asarray(negative), "quadratic")


@partial(register_dataclass, data_fields=["target"], meta_fields=[])
@dataclass(frozen=True)
class TargetLoss:
    """(|W W^T - M|^2 - |M|^2) / 8, without ever writing W W^T: its square is that of the small W^T W.

    Equals `PairLoss` of constant curvature at two thirds of the products and none of the passes over all pairs.

    Attributes:
        target: `[token, token]`, M, symmetric.
    """

    target: Float[Array, "token token"]

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        embed = params["embed"]
        exact = jax.lax.Precision.HIGHEST
        gram = jnp.matmul(embed.T, embed, precision=exact)
        return jnp.sum(gram**2) / 8 - jnp.sum(embed * jnp.matmul(self.target, embed, precision=exact)) / 4
