"""Feedforward model (Emb-MLP): logits = U sigma(h), or U sigma(W^T h) with a hidden matrix W."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .activations import activation
from .init import check_init, normal, scale
from .lookup import bag


@dataclass(frozen=True)
class Feedforward:
    """Embedding, activation, unembedding; with a hidden matrix between them if `hidden` is given.

    Attributes:
        width: embedding width d.
        hidden: hidden width m of the matrix W `[width, hidden]`, or None for no hidden matrix.
        activation: gelu (exact), tanh, square, relu or linear.
        init_scale: standard deviation of embedding and unembedding at the start.
        hidden_scale: standard deviation of W at the start; None means width^(-1/2).
        gamma: if given, every weight has standard deviation d_in^(-gamma) instead.
    """

    width: int = 64
    hidden: int | None = None
    activation: str = "gelu"
    init_scale: float = 1e-3
    hidden_scale: float | None = None
    gamma: float | None = None

    order_invariant: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_init(self.width, self.init_scale, self.gamma)
        activation(self.activation)
        if self.hidden is not None and self.hidden < 1:
            raise ValueError(f"hidden: must be at least 1, or none for no hidden matrix; got {self.hidden}")
        if self.hidden_scale is not None and not (math.isfinite(self.hidden_scale) and self.hidden_scale > 0):
            raise ValueError(f"hidden_scale: must be a positive number, got {self.hidden_scale}")

    @property
    def theory(self) -> str:
        """The module of `jaxembed.theory` that predicts its training."""
        return "feedforward" if self.hidden is None else "expansion"

    @property
    def scale(self) -> float:
        """Standard deviation of the initial weights; by gamma that of a matrix with `width` inputs."""
        return scale(self.init_scale, self.gamma, self.width)

    @property
    def taylor(self) -> tuple[float, float, float]:
        """(c1, c2, c3) of the activation at 0."""
        return activation(self.activation).taylor

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Array]:
        """Initial parameters `embed [token, width]`, `unembed [token, m]`, and `hidden [width, m]` if there is one."""
        embed_key, unembed_key, hidden_key = jax.random.split(key, 3)
        units = self.width if self.hidden is None else self.hidden
        params = {
            "embed": normal(embed_key, vocab, self.width, scale(self.init_scale, self.gamma, vocab)),
            "unembed": normal(unembed_key, vocab, units, scale(self.init_scale, self.gamma, units)),
        }
        if self.hidden is not None:
            hidden_scale = self.width**-0.5 if self.hidden_scale is None else self.hidden_scale
            params["hidden"] = normal(hidden_key, self.width, units, scale(hidden_scale, self.gamma, self.width))
        return params

    def apply(self, params: dict[str, Array], tokens: Int[Array, " position"]) -> Float[Array, " token"]:
        """Logits of one example, `[token]`."""
        h = bag(params["embed"], tokens)
        if self.hidden is not None:
            h = h @ params["hidden"]
        return params["unembed"] @ activation(self.activation).apply(h)
