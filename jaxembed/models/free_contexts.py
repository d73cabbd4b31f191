"""Next-token prediction with a free vector for every context: logits W H, by cross-entropy or squared error."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, PRNGKeyArray

from .init import check_init, normal


@dataclass(frozen=True)
class FreeContexts:
    """Settings of the unconstrained model.

    Attributes:
        width: of context vectors and of the decoder's rows.
        init_scale: standard deviation of every weight.
    """

    width: int = 16
    init_scale: float = 1e-3

    def __post_init__(self) -> None:
        check_init(self.width, self.init_scale, None)

    def init(self, key: PRNGKeyArray, tokens: int, contexts: int) -> dict[str, Array]:
        """Initial parameters `embed [sequence, width]` (one row for each context) and `unembed [token, width]`.

        >>> import jax
        >>> {k: v.shape for k, v in FreeContexts(4).init(jax.random.key(0), tokens=8, contexts=5).items()}
        {'embed': (5, 4), 'unembed': (8, 4)}
        """
        context_key, token_key = jax.random.split(key)
        return {
            "embed": normal(context_key, contexts, self.width, self.init_scale),
            "unembed": normal(token_key, tokens, self.width, self.init_scale),
        }


def logits(params: dict[str, Array]) -> Float[Array, "token sequence"]:
    """W H."""
    return params["unembed"] @ params["embed"].T


@partial(register_dataclass, data_fields=["target"], meta_fields=[])
@dataclass(frozen=True)
class LogitLoss:
    """Half the squared distance of the logits from a target, summed over contexts: `loss(params)`.

    Attributes:
        target: `[token, sequence]`, the centred support, say.
    """

    target: Float[Array, "... token sequence"]

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        return jnp.sum(jnp.square(self.target - logits(params))) / 2


@partial(register_dataclass, data_fields=["probabilities", "decay"], meta_fields=[])
@dataclass(frozen=True)
class SoftLabelLoss:
    """Cross-entropy with every context's next-token distribution, summed over contexts, and weight decay.

    Attributes:
        probabilities: `[token, sequence]`, columns sum to one.
        decay: the loss gains decay / 2 times the squared size of all parameters.
    """

    probabilities: Float[Array, "... token sequence"]
    decay: Float[Array, "..."]

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        scores = logits(params)
        size = sum(jnp.sum(jnp.square(leaf)) for leaf in params.values())
        fit = jnp.sum(jax.nn.logsumexp(scores, axis=0)) - jnp.sum(self.probabilities * scores)
        return fit + self.decay * size / 2
