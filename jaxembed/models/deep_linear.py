"""Deep linear network: outputs = W_N .. W_1 x, trained on squared error; no tokens, so none of the Model protocol."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, PRNGKeyArray

from .init import check_init, normal


@dataclass(frozen=True)
class DeepLinear:
    """Settings of a deep linear network.

    Attributes:
        width: of every hidden layer.
        layers: number N of weight matrices; 1 is the shallow network.
        init_scale: standard deviation of every weight.
    """

    width: int = 16
    layers: int = 2
    init_scale: float = 1e-3

    def __post_init__(self) -> None:
        check_init(self.width, self.init_scale, None)
        if self.layers < 1:
            raise ValueError(f"layers: must be at least 1, got {self.layers}")

    def init(self, key: PRNGKeyArray, inputs: int, outputs: int) -> dict[str, Array]:
        """Initial parameters `w1 [hidden, token] .. wN [target, hidden]`.

        >>> import jax
        >>> params = DeepLinear(width=4, layers=3).init(jax.random.key(0), inputs=8, outputs=5)
        >>> {name: weight.shape for name, weight in params.items()}
        {'w1': (4, 8), 'w2': (4, 4), 'w3': (5, 4)}
        """
        sizes = [inputs, *[self.width] * (self.layers - 1), outputs]
        keys = jax.random.split(key, self.layers)
        shapes = zip(keys, sizes[1:], sizes, strict=False)
        return {f"w{i + 1}": normal(k, rows, columns, self.init_scale) for i, (k, rows, columns) in enumerate(shapes)}


@partial(register_dataclass, data_fields=["inputs", "outputs"], meta_fields=[])
@dataclass(frozen=True)
class SquaredLoss:
    """Half the squared error of a deep linear network, averaged over examples: `loss(params)`.

    Attributes:
        inputs: `[example, token]`.
        outputs: `[example, target]`.
    """

    inputs: Float[Array, "... example token"]
    outputs: Float[Array, "... example target"]

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        values = self.inputs
        for i in range(len(params)):
            values = values @ params[f"w{i + 1}"].T
        return jnp.sum(jnp.square(self.outputs - values)) / (2 * len(values))
