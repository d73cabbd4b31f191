"""Skip-gram with negative sampling: a word's vector tells its contexts from words drawn at random."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..models.word_pairs import PairLoss
from .pairs import Cooccurrence


@dataclass(frozen=True)
class SkipGram:
    """word2vec's skip-gram: ln sigma(w.c) of the pairs met, ln sigma(-w.c) of k contexts drawn for each of them.

    Attributes:
        width: d, of both tables: `embed` of words and `unembed` of contexts.
        negatives: k, contexts drawn for every pair met.
        context_power: the contexts are drawn with chances proportional to frequency to this power.
        init_scale: standard deviation of both tables at the start; None is word2vec's start, words uniform within
            1 / (2 d) of 0, contexts 0.
    """

    width: int = 200
    negatives: float = 5.0
    context_power: float = 0.75
    init_scale: float | None = None

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width: must be at least 1, got {self.width}")
        if not self.negatives > 0:
            raise ValueError(f"negatives: must be a positive number, got {self.negatives}")
        if self.init_scale is not None and not self.init_scale > 0:
            raise ValueError(f"init_scale: must be a positive number or None for word2vec's start: {self.init_scale}")

    def init(self, key: PRNGKeyArray, vocab: int) -> dict[str, Float[Array, "token width"]]:
        """Initial `embed` and `unembed`, in float32."""
        shape, words, contexts = (vocab, self.width), *jax.random.split(key)
        if self.init_scale is None:
            bound = 0.5 / self.width
            embed = jax.random.uniform(words, shape, jnp.float32, -bound, bound)
            return {"embed": embed, "unembed": jnp.zeros(shape, jnp.float32)}
        drawn = [jax.random.normal(k, shape, jnp.float32) * self.init_scale for k in (words, contexts)]
        return dict(zip(("embed", "unembed"), drawn, strict=True))

    def noise(self, unigrams: Float[np.ndarray, " token"]) -> Float[np.ndarray, " token"]:
        """The chance of each word to be drawn as a negative context.

        >>> SkipGram(context_power=0.5).noise(np.array([9.0, 1.0])).tolist()
        [0.75, 0.25]
        """
        smoothed = np.asarray(unigrams, np.float64) ** self.context_power
        return smoothed / smoothed.sum()

    def loss(self, pairs: Cooccurrence, dtype: str = "float32") -> PairLoss:
        """What sampling minimises on average, over all pairs of words at once.

        A pair attracts by its share P_ij of the pairs met and repels by k P_i q_j, with q the `noise`. Where the width
        is no limit the optimum is x_ij = ln(P_ij / (P_i q_j)) - ln k: the shifted PMI, if q are the shares of the
        contexts (`context_power` 1).

        Source: mikolov2013distributed, levy2014neural.
        """
        total = pairs.joint_total
        positive = (pairs.matrix / total).astype(dtype).toarray()
        negative = self.negatives * np.outer(pairs.marginal / total, self.noise(pairs.unigrams)).astype(dtype)
        return PairLoss(jnp.asarray(positive), jnp.asarray(negative), "logistic")
