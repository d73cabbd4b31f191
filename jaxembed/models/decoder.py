"""Decoder-only transformer (RMSNorm, rotary positions, causal attention, SwiGLU), held in flax.nnx."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray


@dataclass(frozen=True)
class Decoder:
    """The shape of Llama and Qwen2: pre-normalised blocks of attention and SwiGLU on one stream, logits everywhere.

    The modules live in flax.nnx; at this edge parameters are a plain nested dict.

    Attributes:
        width: of the stream d.
        layers: number of blocks.
        heads: attention heads; they share out the width, an even number of units each.
        hidden: units of the SwiGLU.
        tied: whether the head is the embedding's own table.
        init_scale: standard deviation of every initial matrix; gains start at 1.
        rotary_base: slowest wavelength of the rotary positions, over 2 pi.
        norm_floor: what RMSNorm adds to the mean square, so that it has a value at zero.
    """

    width: int = 32
    layers: int = 2
    heads: int = 4
    hidden: int = 64
    tied: bool = False
    init_scale: float = 0.02
    rotary_base: float = 10_000.0
    norm_floor: float = 1e-6

    order_invariant: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.width % (2 * self.heads):
            raise ValueError(f"heads: {self.heads} heads cannot share width {self.width} in even parts; change one")
        for name in ("init_scale", "rotary_base", "norm_floor"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name}: must be a positive number, got {getattr(self, name)}")

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Any]:
        """Initial parameters; `length` plays no role, since rotary positions have no table.

        Returns:
            `embed [token, width]`, `blocks` by layer (`attention`: query, key, value, out `[width, width]`; `mlp`:
            gate, up `[width, hidden]`, down; `attention_norm`, `mlp_norm`: gain `[width]`), `norm`, and
            `unembed [token, width]` unless tied.

        >>> import jax
        >>> sorted(Decoder(layers=1).init(jax.random.key(0), vocab=10, length=3))
        ['blocks', 'embed', 'norm', 'unembed']
        """
        from flax import nnx

        from ._decoder_module import DecoderModule

        return nnx.to_pure_dict(nnx.state(DecoderModule(self, vocab, nnx.Rngs(params=key)), nnx.Param))

    def apply(self, params: dict[str, Any], tokens: Int[Array, " position"]) -> Float[Array, "position token"]:
        """Logits of one sequence, `[position, token]`; position i sees tokens 0..i."""
        from flax import nnx

        return nnx.merge(_graph(self, params["embed"].shape[0]), nnx.State(params))(tokens)


@cache
def _graph(settings: Decoder, vocab: int) -> Any:
    """What nnx needs besides the parameters to rebuild the module."""
    from flax import nnx

    from ._decoder_module import DecoderModule

    return nnx.graphdef(nnx.eval_shape(lambda: DecoderModule(settings, vocab, nnx.Rngs(params=jax.random.key(0)))))
