"""Transformers that read sequences of tokens, reals or vectors and answer at every position."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

Items = Int[Array, "sequence position"] | Float[Array, "sequence position dimension"]
CHOICES = {
    "norm": ("post", "pre"),
    "activation": ("relu", "gelu"),
    "positions": ("sinusoidal", "learned"),
    "reads": ("tokens", "reals"),
}


@dataclass(frozen=True)
class SequenceTransformer:
    """Blocks of attention and an MLP on items embedded at sqrt(width) times a matrix, plus their positions.

    As it stands, pre-normalised with a last norm; `norm="post", dropout=0.1` is the encoder of 2017, without one. All
    matrices have biases. A causal model's answer at n has read x_0 .. x_n; one that is not causal reads all positions,
    and has one token (or coordinate) more, which stands for a masked item. Modules live in flax.nnx; at this edge
    parameters are a plain nested dict, and every number is computed in their dtype.

    Attributes:
        width: of the stream d.
        layers: number of blocks.
        heads: attention heads.
        mlp_width: units of the MLP.
        norm: "pre" (each part reads a normalised stream; a last norm) or "post" (the sum is normalised; none).
        activation: of the MLP, "relu" or "gelu" in its tanh form.
        positions: "sinusoidal", or "learned".
        max_positions: rows of the table of positions.
        causal: whether a position sees only the past and itself.
        dropout: share of numbers dropped on the input, of attention and in the MLP, where a key is given.
        reads: "tokens" (ids) or "reals" (vectors).

    Source: zhang2024embed
    """

    width: int = 128
    layers: int = 3
    heads: int = 8
    mlp_width: int = 128
    norm: Literal["post", "pre"] = "pre"
    activation: Literal["relu", "gelu"] = "relu"
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_positions: int = 512
    causal: bool = True
    dropout: float = 0.0
    reads: Literal["tokens", "reals"] = "tokens"

    def __post_init__(self) -> None:
        for name in ("width", "layers", "heads", "mlp_width", "max_positions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: must be {' or '.join(choices)}, got {getattr(self, name)!r}")
        if self.width % self.heads:
            raise ValueError(f"heads: {self.heads} heads cannot share width {self.width} evenly; change one")
        if self.positions == "sinusoidal" and self.width % 2:
            raise ValueError(f"width: sinusoidal positions need an even width, got {self.width}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: must be at least 0 and below 1, got {self.dropout}")

    def init(self, key: PRNGKeyArray, size: int, outputs: int, dtype: Any = float) -> dict[str, Any]:
        """Initial parameters.

        Args:
            key: of the draws; those of float32 and float64 differ.
            size: of the vocabulary, or dimension of the items.
            outputs: numbers answered at every position.
            dtype: of the parameters, and so of all that is computed from them.

        Returns:
            `embed [size, width]` (and its bias for reals), `positions` where learned, `blocks` by layer, `norm` before
            the head where pre-normalised, `head [width, outputs]` and its bias. Matrices act on rows from the right.

        >>> import jax
        >>> sorted(SequenceTransformer(width=8, layers=1, heads=2).init(jax.random.key(0), size=3, outputs=3))
        ['blocks', 'embed', 'head', 'head_bias', 'norm']
        """
        from flax import nnx

        from ._sequence_module import SequenceModule

        module = SequenceModule(self, size, outputs, jnp.result_type(dtype), nnx.Rngs(params=key))
        return nnx.to_pure_dict(nnx.state(module, nnx.Param))

    def outputs(
        self,
        params: dict[str, Any],
        items: Items,
        key: PRNGKeyArray | None = None,
        masked: Bool[Array, "sequence position"] | None = None,
    ) -> Float[Array, "sequence position target"]:
        """What the network answers at every position.

        Args:
            params: from `init`.
            items: ids `[sequence, position]` or vectors `[sequence, position, dimension]`.
            key: of the dropout; without one nothing is dropped.
            masked: which items are hidden from a model that is not causal.

        Raises:
            ValueError: for sequences longer than the table of positions, or masks for a causal model.

        >>> import jax, jax.numpy as jnp
        >>> model = SequenceTransformer(width=8, layers=1, heads=2)
        >>> model.outputs(model.init(jax.random.key(0), 3, 4), jnp.zeros((5, 6), int)).shape
        (5, 6, 4)
        """
        module = self._module(params, items, masked)
        answers = module.answer(module.states(items, key, masked)[-1])
        return answers.reshape(*items.shape[:2], -1)

    def states(
        self, params: dict[str, Any], items: Items, masked: Bool[Array, "sequence position"] | None = None
    ) -> Float[Array, "layer sequence position width"]:
        """The stream at every depth: embedding, after every block, what the head reads.

        Returns:
            `[layers + 2, sequence, position, width]`; the last two are the same where there is no last norm.
        """
        stream = self._module(params, items, masked).states(items, None, masked)
        return jnp.stack(stream).reshape(len(stream), *items.shape[:2], -1)

    def parameter_count(self, size: int, outputs: int) -> int:
        """Numbers in the parameters.

        >>> SequenceTransformer(norm="post").parameter_count(64, 64)
        315200
        """
        shapes = jax.eval_shape(lambda: self.init(jax.random.key(0), size, outputs))
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))

    def _module(self, params: dict[str, Any], items: Items, masked: Array | None) -> Any:
        from flax import nnx

        if items.shape[1] > self.max_positions:
            raise ValueError(
                f"length: {items.shape[1]} items, but max_positions is {self.max_positions}; cut or raise it"
            )
        if masked is not None and self.causal:
            raise ValueError("masked: a causal model has no mask to put in; set causal=False")
        rows, outputs = params["embed"].shape[0], params["head"].shape[1]
        return nnx.merge(_graph(self, rows - (not self.causal), outputs), nnx.State(params))


@cache
def _graph(settings: SequenceTransformer, size: int, outputs: int) -> Any:
    """What nnx needs besides the parameters to rebuild the module."""
    from flax import nnx

    from ._sequence_module import SequenceModule

    def build() -> SequenceModule:
        return SequenceModule(settings, size, outputs, jnp.result_type(float), nnx.Rngs(params=jax.random.key(0)))

    return nnx.graphdef(nnx.eval_shape(build))
