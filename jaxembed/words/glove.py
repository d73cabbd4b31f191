"""GloVe: word and context vectors and biases, fitted to the logarithm of the counts of pairs that meet."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, PRNGKeyArray

from .pairs import Cooccurrence


@dataclass(frozen=True)
class Glove:
    """sum f(X_ij) (w_i . c_j + a_i + b_j - ln X_ij)^2 over the pairs that meet, with f(X) = min(1, (X / cap)^power).

    Attributes:
        width: d, of both tables: `embed` of words and `unembed` of contexts.
        cap: the count from which on a pair has full weight.
        power: how the weight grows below.
    """

    width: int = 200
    cap: float = 100.0
    power: float = 0.75

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width: must be at least 1, got {self.width}")
        if not (self.cap > 0 and self.power >= 0):
            raise ValueError(f"cap, power: need a positive cap and no negative power, got {self.cap}, {self.power}")

    def init(self, key: PRNGKeyArray, vocab: int) -> dict[str, Float[Array, "token ..."]]:
        """Initial tables and biases in float32, all uniform within 1 / (2 d) of 0."""
        shapes = {"embed": (vocab, self.width), "unembed": (vocab, self.width), "bias": (vocab,), "context": (vocab,)}
        keys, bound = jax.random.split(key, len(shapes)), 0.5 / self.width
        return {
            name: jax.random.uniform(k, shape, jnp.float32, -bound, bound)
            for k, (name, shape) in zip(keys, shapes.items(), strict=True)
        }

    def weight(self, counts: Float[np.ndarray, " example"]) -> Float[np.ndarray, " example"]:
        """f of counts.

        >>> Glove(cap=16.0, power=0.5).weight(np.array([4.0, 16.0, 99.0])).tolist()
        [0.5, 1.0, 1.0]
        """
        return np.minimum(1.0, (counts / self.cap) ** self.power)

    def loss(self, pairs: Cooccurrence, dtype: str = "float32") -> "GloveLoss":
        """The whole sum.

        Source: pennington2014glove.
        """
        rows, columns = pairs.matrix.nonzero()
        counts = pairs.matrix[rows, columns]
        weights, logs = np.zeros((2, pairs.vocab, pairs.vocab), dtype)
        weights[rows, columns], logs[rows, columns] = self.weight(counts), np.log(counts)
        return GloveLoss(jnp.asarray(weights), jnp.asarray(logs))


@partial(register_dataclass, data_fields=["weights", "logs"], meta_fields=[])
@dataclass(frozen=True)
class GloveLoss:
    """The weighted squared error over all pairs.

    Attributes:
        weights: `[token, token]`, f(X); 0 for pairs that never meet.
        logs: `[token, token]`, ln X; 0 there.
    """

    weights: Float[Array, "token token"]
    logs: Float[Array, "token token"]

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        scores = jnp.matmul(params["embed"], params["unembed"].T, precision=jax.lax.Precision.HIGHEST)
        error = scores + params["bias"][:, None] + params["context"][None, :] - self.logs
        return jnp.sum(self.weights * error**2)
