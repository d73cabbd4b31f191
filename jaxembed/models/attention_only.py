"""Attention-only transformer on one-hot tokens: no embedding, no MLP, one head per layer."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray


@dataclass(frozen=True)
class AttentionOnly:
    """h_0 = one-hot tokens; h_l = h_(l-1) + A_l h_(l-1) V_l; logits h_L W_O at every position.

    A_l is the causal softmax of h W_l h^T + P_l[distance]. All matrices are `[token, token]`: this is the model whose
    first steps from zero weights are known in closed form.

    Attributes:
        layers: number of attention layers L.
        init_scale: standard deviation of every initial weight; 0 starts exactly at zero.
    """

    layers: int = 3
    init_scale: float = 0.0

    order_invariant: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"layers: must be at least 1, got {self.layers}")
        if not (math.isfinite(self.init_scale) and self.init_scale >= 0):
            raise ValueError(
                f"init_scale: must be zero or a positive number, got {self.init_scale}; 0 is the zero start"
            )

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Array]:
        """Initial parameters for inputs of up to `length` tokens.

        Returns:
            `attention [layer, token, token]` (W_l, rows are queries), `value [layer, token, token]` (V_l),
            `position [layer, position]` (P_l, by distance from the query back to the key) and
            `output [token, token]` (W_O).

        >>> import jax
        >>> params = AttentionOnly(layers=2).init(jax.random.key(0), vocab=5, length=3)
        >>> params["attention"].shape, params["position"].shape, float(abs(params["output"]).max())
        ((2, 5, 5), (2, 3), 0.0)
        """
        shapes = {
            "attention": (self.layers, vocab, vocab),
            "value": (self.layers, vocab, vocab),
            "position": (self.layers, length),
            "output": (vocab, vocab),
        }
        keys = jax.random.split(key, len(shapes))
        draws = {
            name: jax.random.normal(k, shape, float) for (name, shape), k in zip(shapes.items(), keys, strict=True)
        }
        return {name: jnp.asarray(self.init_scale, x.dtype) * x for name, x in draws.items()}

    def apply(self, params: dict[str, Array], tokens: Int[Array, " position"]) -> Float[Array, "position token"]:
        """Logits of one sequence, `[position, token]`; position i sees tokens 0..i.

        Raises:
            ValueError: for a sequence longer than the `length` the parameters were made for.
        """
        length, longest = tokens.shape[0], params["position"].shape[1]
        if length > longest:
            raise ValueError(
                f"tokens: {length} positions, but the parameters know {longest}; init with length={length}"
            )
        distance = np.arange(length)[:, None] - np.arange(length)[None, :]
        past = jnp.asarray(distance >= 0)
        h = jax.nn.one_hot(tokens, params["output"].shape[0], dtype=params["output"].dtype)
        # A Python loop: Taylor mode (jet) cannot pass a scan.
        for layer in range(self.layers):
            scores = h @ params["attention"][layer] @ h.T + params["position"][layer][np.maximum(distance, 0)]
            h = h + jax.nn.softmax(jnp.where(past, scores, -jnp.inf), axis=1) @ h @ params["value"][layer]
        return h @ params["output"]
