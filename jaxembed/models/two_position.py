"""Two-position model: logits = W sigma(U_a + V_b) of a pair (a, b), each position with its own table."""

from dataclasses import dataclass
from typing import ClassVar

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .activations import activation
from .init import check_init, normal


@dataclass(frozen=True)
class TwoPosition:
    """The first token's row of one table plus the second token's row of another, an activation, the unembedding.

    Unlike a bag of tokens it tells (a, b) from (b, a). Reads sequences of length 2.

    Attributes:
        width: width d of the tables.
        activation: gelu (exact), tanh, square, relu or linear.
        init_scale: standard deviation of the initial weights; None means width^(-1/2).
    """

    width: int = 64
    activation: str = "gelu"
    init_scale: float | None = None

    theory: ClassVar[str] = "two_position"
    """The module of `jaxembed.theory` that predicts its training."""

    def __post_init__(self) -> None:
        check_init(self.width, 1.0 if self.init_scale is None else self.init_scale, None)
        activation(self.activation)

    @property
    def scale(self) -> float:
        """Standard deviation of the initial weights."""
        return self.width**-0.5 if self.init_scale is None else self.init_scale

    @property
    def taylor(self) -> tuple[float, float, float]:
        """(c1, c2, c3) of the activation at 0."""
        return activation(self.activation).taylor

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Array]:
        """Initial parameters `embed`, `second`, `unembed`, each `[token, width]`: the tables of a, of b, of the label.

        Raises:
            ValueError: for sequences that are no pairs.

        >>> import jax
        >>> list(TwoPosition(width=4).init(jax.random.key(0), vocab=10, length=2))
        ['embed', 'second', 'unembed']
        """
        if length != 2:
            raise ValueError(f"length: this model reads pairs of tokens, got sequences of {length}; use Feedforward")
        keys = jax.random.split(key, 3)
        names = ("embed", "second", "unembed")
        return {name: normal(key, vocab, self.width, self.scale) for name, key in zip(names, keys, strict=True)}

    def apply(self, params: dict[str, Array], tokens: Int[Array, " position"]) -> Float[Array, " token"]:
        """Logits of one pair, `[token]`."""
        h = params["embed"][tokens[0]] + params["second"][tokens[1]]
        return params["unembed"] @ activation(self.activation).apply(h)
