"""Linear model: logits = U h with h the sum of the tokens' embeddings."""

from dataclasses import dataclass
from typing import ClassVar

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .init import check_init, normal, scale
from .lookup import bag


@dataclass(frozen=True)
class Linear:
    """Embedding and unembedding with nothing between them.

    Attributes:
        width: embedding width d.
        init_scale: standard deviation of the initial weights.
        gamma: if given, every weight has standard deviation d_in^(-gamma) instead.
    """

    width: int = 64
    init_scale: float = 1e-3
    gamma: float | None = None

    order_invariant: ClassVar[bool] = True
    theory: ClassVar[str] = "linear"
    """The module of `jaxembed.theory` that predicts its training."""
    taylor: ClassVar[tuple[float, float, float]] = (1.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        check_init(self.width, self.init_scale, self.gamma)

    @property
    def scale(self) -> float:
        """Standard deviation of the initial weights; by gamma that of a matrix with `width` inputs."""
        return scale(self.init_scale, self.gamma, self.width)

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Array]:
        """Initial parameters `embed [token, width]`, `unembed [token, width]`; `length` plays no role.

        >>> import jax
        >>> sorted(Linear(width=4).init(jax.random.key(0), vocab=10, length=3))
        ['embed', 'unembed']
        """
        embed_key, unembed_key = jax.random.split(key)
        return {
            "embed": normal(embed_key, vocab, self.width, scale(self.init_scale, self.gamma, vocab)),
            "unembed": normal(unembed_key, vocab, self.width, scale(self.init_scale, self.gamma, self.width)),
        }

    def apply(self, params: dict[str, Array], tokens: Int[Array, " position"]) -> Float[Array, " token"]:
        """Logits of one example, `[token]`."""
        return params["unembed"] @ bag(params["embed"], tokens)
