"""Decoder-only transformers of the shapes of Llama, Qwen2 and GPT-2, held in flax.nnx."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from .attention import causal_attention, in_blocks
from .rotary import RotaryScaling

CHOICES = {"norm": ("rms", "layer"), "activation": ("swiglu", "gelu"), "positions": ("rotary", "learned")}


@dataclass(frozen=True)
class Decoder:
    """Pre-normalised blocks of causal attention and an MLP on one stream, logits everywhere; as it stands, Llama 2.

    `qwen2`, `llama` and `gpt2` set the switches of an architecture. The modules live in flax.nnx; at this edge
    parameters are a plain nested dict, and every number is computed in their dtype (in half precision, means, softmax
    and logits in float32).

    Attributes:
        width: of the stream d.
        layers: number of blocks.
        heads: attention heads of the queries.
        mlp_width: units of the MLP.
        tied: whether the head is the embedding's own table.
        init_scale: standard deviation of every initial matrix; gains start at 1, biases at 0.
        rotary_base: slowest wavelength of the rotary positions, over 2 pi.
        norm_floor: what the norm adds to the mean square, so that it has a value at zero.
        kv_heads: heads of keys and values, each shared by heads / kv_heads queries; None for one per query head.
        head_width: units per head; None shares out the width.
        norm: "rms" (one gain per unit) or "layer" (centred; gain and bias).
        activation: "swiglu", or "gelu" in its tanh form.
        positions: "rotary", or "learned": a table `[position, width]` added to the embedding.
        max_positions: rows of that table; rotary positions have no end and only pass this number on.
        qkv_bias: biases on queries, keys and values.
        out_bias: bias on what attention adds to the stream.
        mlp_bias: biases in the MLP.
        rotary_scaling: Llama 3's stretching of slow rotary units.
        scaled_residuals: whether matrices that write to the stream start smaller by sqrt(2 layers), as in GPT-2.
    """

    width: int = 32
    layers: int = 2
    heads: int = 4
    mlp_width: int = 64
    tied: bool = False
    init_scale: float = 0.02
    rotary_base: float = 10_000.0
    norm_floor: float = 1e-6
    kv_heads: int | None = None
    head_width: int | None = None
    norm: Literal["rms", "layer"] = "rms"
    activation: Literal["swiglu", "gelu"] = "swiglu"
    positions: Literal["rotary", "learned"] = "rotary"
    max_positions: int = 2048
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    rotary_scaling: RotaryScaling | None = None
    scaled_residuals: bool = False

    order_invariant: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "mlp_width", "kv_heads", "head_width", "max_positions"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: must be at least 1, got {value}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: must be {' or '.join(choices)}, got {getattr(self, name)!r}")
        if self.head_width is None and self.width % self.heads:
            raise ValueError(f"heads: {self.heads} heads cannot share width {self.width} evenly; change one")
        if self.positions == "rotary" and self.head_units % 2:
            raise ValueError(f"heads: rotary heads need an even number of units, got {self.head_units}; change heads")
        if self.heads % self.key_heads:
            raise ValueError(f"kv_heads: {self.heads} heads cannot share {self.kv_heads} evenly; change one")
        for name in ("init_scale", "rotary_base", "norm_floor"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name}: must be a positive number, got {getattr(self, name)}")

    @property
    def head_units(self) -> int:
        """Units of one head."""
        return self.width // self.heads if self.head_width is None else self.head_width

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.heads if self.kv_heads is None else self.kv_heads

    @property
    def query_width(self) -> int:
        """Columns of the query matrix."""
        return self.heads * self.head_units

    @property
    def key_width(self) -> int:
        """Columns of the key and of the value matrix."""
        return self.key_heads * self.head_units

    @property
    def residual_scale(self) -> float:
        """Initial standard deviation of the matrices that write to the stream."""
        return self.init_scale / math.sqrt(2 * self.layers) if self.scaled_residuals else self.init_scale

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Any]:
        """Initial parameters in JAX's default float dtype, for sequences of up to `length` tokens.

        Returns:
            `embed [token, width]`; `positions [position, width]` where they are learned; `blocks` by layer
            (`attention`: query, key, value `[width, heads x head width]`, out; `mlp`: gate, up `[width, mlp width]`,
            down; each with `NAME_bias` where the settings say so; `attention_norm`, `mlp_norm`: gain, bias `[width]`);
            `norm`; and `unembed [token, width]` unless tied. All matrices act on rows from the right.

        Raises:
            ValueError: for sequences longer than the table of learned positions.

        >>> import jax
        >>> sorted(Decoder(layers=1).init(jax.random.key(0), vocab=10, length=3))
        ['blocks', 'embed', 'norm', 'unembed']
        """
        from flax import nnx

        from ._decoder_module import DecoderModule

        self._check_length(length)
        return nnx.to_pure_dict(nnx.state(DecoderModule(self, vocab, nnx.Rngs(params=key)), nnx.Param))

    def apply(self, params: dict[str, Any], tokens: Int[Array, " position"]) -> Float[Array, "position token"]:
        """Logits of one sequence, `[position, token]`; position i sees tokens 0..i. Taylor mode passes through."""
        return self._module(params, tokens.shape[0]).logits(tokens[None], in_blocks)

    def apply_batch(
        self, params: dict[str, Any], tokens: Int[Array, "example position"]
    ) -> Float[Array, "example position token"]:
        """Logits of many sequences at once: the same numbers to rounding, by the fast path.

        >>> import jax, jax.numpy as jnp
        >>> model = Decoder(layers=1)
        >>> model.apply_batch(model.init(jax.random.key(0), 10, 3), jnp.zeros((5, 3), int)).shape
        (5, 3, 10)
        """
        logits = self._module(params, tokens.shape[1]).logits(tokens, causal_attention)
        return logits.reshape(*tokens.shape, -1)

    def hidden(
        self, params: dict[str, Any], tokens: Int[Array, "example position"]
    ) -> Float[Array, "example position width"]:
        """What the head reads, after the last norm: logits are hidden @ head.T, which a loss may take in pieces."""
        return self._module(params, tokens.shape[1]).states(tokens, causal_attention)[-1].reshape(*tokens.shape, -1)

    def states(
        self, params: dict[str, Any], tokens: Int[Array, "example position"]
    ) -> Float[Array, "layer example position width"]:
        """The stream at every depth: embedding, after every block, after the last norm.

        Returns:
            `[layers + 2, example, position, width]`.
        """
        stream = self._module(params, tokens.shape[1]).states(tokens, causal_attention)
        return jnp.stack(stream).reshape(len(stream), *tokens.shape, -1)

    def parameter_count(self, vocab: int) -> int:
        """Numbers in the parameters; a tied head counts once.

        >>> Decoder(width=4, layers=1, heads=1, mlp_width=8).parameter_count(10)  # 2 x 40 + 4 x 16 + 3 x 32 + 3 x 4
        252
        """
        shapes = jax.eval_shape(lambda: self.init(jax.random.key(0), vocab, 1))
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))

    def flops_per_token(self, vocab: int, length: int) -> float:
        """Operations of the matrix products of a forward and backward pass, per token of a sequence of `length`.

        6 (M + A): a product of one row with M matrix entries is 2 M operations, and the backward pass is twice that.
        M are the entries of all matrices of the blocks and of the head; the embedding, norms and biases are left out.
        A = layers x 2 query width x (length + 1) / 2: scores and sums over what lies in the past only, so the upper
        triangle that a kernel may compute in vain is not counted.

        >>> Decoder(width=4, layers=1, heads=1, mlp_width=8).flops_per_token(10, 3)  # 6 (64 + 96 + 40 + 16)
        1296.0
        """
        gates = 2 if self.activation == "swiglu" else 1
        block = 2 * self.width * (self.query_width + self.key_width) + (gates + 1) * self.width * self.mlp_width
        attention = 2 * self.query_width * (length + 1) / 2
        return 6.0 * (self.layers * (block + attention) + self.width * vocab)

    def _module(self, params: dict[str, Any], length: int) -> Any:
        from flax import nnx

        self._check_length(length)
        return nnx.merge(_graph(self, params["embed"].shape[0]), nnx.State(params))

    def _check_length(self, length: int) -> None:
        if self.positions == "learned" and length > self.max_positions:
            raise ValueError(f"length: {length} tokens, but max_positions is {self.max_positions}; cut or raise it")


@cache
def _graph(settings: Decoder, vocab: int) -> Any:
    """What nnx needs besides the parameters to rebuild the module."""
    from flax import nnx

    from ._decoder_module import DecoderModule

    return nnx.graphdef(nnx.eval_shape(lambda: DecoderModule(settings, vocab, nnx.Rngs(params=jax.random.key(0)))))
