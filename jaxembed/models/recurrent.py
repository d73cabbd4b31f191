"""A recurrent network that reads sequences: the baseline whose memory is one state of fixed size."""

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .sequence_transformer import Items


@dataclass(frozen=True)
class Recurrent:
    """Layers of gated recurrent units, one above the other, with the verbs of `SequenceTransformer`.

    Attributes:
        width: of the embedding and of every layer's state.
        layers: number of layers.
        reads: "tokens" (ids) or "reals" (vectors).
    """

    width: int = 128
    layers: int = 1
    reads: Literal["tokens", "reals"] = "tokens"

    def __post_init__(self) -> None:
        for name in ("width", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if self.reads not in ("tokens", "reals"):
            raise ValueError(f"reads: must be tokens or reals, got {self.reads!r}")

    @property
    def causal(self) -> bool:
        """A state knows only the past."""
        return True

    def init(self, key: PRNGKeyArray, size: int, outputs: int, dtype: Any = float) -> dict[str, Any]:
        """Initial parameters; arguments as in `SequenceTransformer.init`.

        >>> import jax
        >>> sorted(Recurrent(width=4).init(jax.random.key(0), size=3, outputs=3))
        ['cells', 'embed', 'head', 'head_bias']
        """
        from flax import nnx

        return nnx.to_pure_dict(nnx.state(_module(self, size, outputs, jnp.result_type(dtype), key), nnx.Param))

    def outputs(
        self, params: dict[str, Any], items: Items, key: PRNGKeyArray | None = None, masked: None = None
    ) -> Float[Array, "sequence position target"]:
        """What the network answers at every position; there is no dropout, so that `key` is not used."""
        rows = self._stream(params, items)[-1].reshape(-1, self.width)
        return (rows @ params["head"] + params["head_bias"][None, :]).reshape(*items.shape[:2], -1)

    def states(
        self, params: dict[str, Any], items: Items, masked: None = None
    ) -> Float[Array, "layer sequence position width"]:
        """Embedding, the state of every layer, what the head reads (the last layer's state once more)."""
        stream = self._stream(params, items)
        return jnp.stack([*stream, stream[-1]])

    def _stream(self, params: dict[str, Any], items: Items) -> list[Float[Array, "sequence position width"]]:
        from flax import nnx

        table = params["embed"]
        module = nnx.merge(_graph(self, table.shape[0], params["head"].shape[1], table.dtype), nnx.State(params))
        if self.reads == "tokens":
            stream = [table[items]]
        else:
            flat = items.reshape(-1, items.shape[2]).astype(table.dtype) @ table
            stream = [flat.reshape(*items.shape[:2], -1)]
        for i in range(self.layers):
            stream.append(_run(module.cells[f"layer{i}"], stream[-1]))
        return stream


def _run(cell: Any, inputs: Float[Array, "sequence position width"]) -> Float[Array, "sequence position width"]:
    """The cell's state after every input, in one scan."""

    def step(state: Array, now: Array) -> tuple[Array, Array]:
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return cell(state, now)

    start = jnp.zeros((inputs.shape[0], inputs.shape[2]), inputs.dtype)
    return jnp.moveaxis(jax.lax.scan(step, start, jnp.moveaxis(inputs, 1, 0))[1], 0, 1)


def _module(settings: Recurrent, size: int, outputs: int, dtype: Any, key: Array) -> Any:
    from flax import nnx

    width, rngs = settings.width, nnx.Rngs(params=key)

    def matrix(rows: int, columns: int, scale: float) -> Any:
        return nnx.Param(jax.random.normal(rngs.params(), (rows, columns), dtype) * jnp.asarray(scale, dtype))

    def cell() -> Any:
        return nnx.GRUCell(width, width, dtype=dtype, param_dtype=dtype, rngs=rngs)

    return nnx.Dict(
        embed=matrix(size, width, 1.0),
        cells=nnx.Dict({f"layer{i}": cell() for i in range(settings.layers)}),
        head=matrix(width, outputs, width**-0.5),
        head_bias=nnx.Param(jnp.zeros(outputs, dtype)),
    )


@cache
def _graph(settings: Recurrent, size: int, outputs: int, dtype: Any) -> Any:
    """What nnx needs besides the parameters to rebuild the module."""
    from flax import nnx

    return nnx.graphdef(nnx.eval_shape(lambda: _module(settings, size, outputs, dtype, jax.random.key(0))))
