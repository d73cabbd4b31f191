"""Cross-entropy of a model over a population or over sampled minibatches, and accuracy.

A loss carries its data as leaves of a pytree, so that a jitted function that takes it as an argument does not bake the
data into the compiled program.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray

from ..base import Dataset, Model
from ..machine import GIB


def _logits(model: Model, params: Any, tokens: Int[Array, "example position"]) -> Float[Array, "example token"]:
    return jax.vmap(model.apply, in_axes=(None, 0))(params, tokens)


@partial(register_dataclass, data_fields=["tokens", "joint"], meta_fields=["model", "chunks"])
@dataclass(frozen=True)
class PopulationLoss:
    """Exact population cross-entropy: `loss(params)`; examples with the same tokens share one row of `joint`.

    Attributes:
        tokens: `[example, position]`, the distinct sequences (padded to a multiple of `chunks`).
        joint: `[example, token]`, probability of (sequence, label).
        model: the model.
        chunks: number of pieces the sum is taken in.
    """

    tokens: Int[Array, "... example position"]
    joint: Float[Array, "... example token"]
    model: Model
    chunks: int

    def __call__(self, params: Any) -> Float[Array, ""]:
        if self.chunks == 1:
            return self._part(params, self.tokens, self.joint)
        pieces = jax.tree.map(lambda x: x.reshape(self.chunks, -1, x.shape[-1]), (self.tokens, self.joint))

        @jax.checkpoint
        def add(total: Array, piece: tuple[Array, Array]) -> tuple[Array, None]:
            return total + self._part(params, *piece), None

        return jax.lax.scan(add, jnp.zeros((), self.joint.dtype), pieces)[0]

    def _part(self, params: Any, tokens: Array, joint: Array) -> Array:
        logits = _logits(self.model, params, tokens)
        joint = joint.astype(logits.dtype)
        normaliser = jax.nn.logsumexp(logits, axis=1)
        return jnp.sum(jnp.sum(joint, axis=1) * normaliser) - jnp.sum(joint * logits)


def population_loss(
    model: Model, data: Dataset, *, chunk: int | None = None, memory_limit: float = 8 * GIB
) -> PopulationLoss:
    """The cross-entropy of `model` over every (tokens, label) of `data` with its weight, as `loss(params)`.

    Args:
        model: the model; examples go through `model.apply` one by one under vmap.
        data: the population.
        chunk: sequences evaluated at once (the gradient recomputes them); None takes all.
        memory_limit: bytes that the tables and one evaluation with its gradient may take.

    Raises:
        ValueError: if `chunk` is below 1, or the estimate exceeds `memory_limit`: it says what to change.

    >>> import jax, jaxembed as je
    >>> model, data = je.models.Linear(width=4), je.tasks.Addition(keys=4, anchors=2).dataset()
    >>> loss = je.population_loss(model, data)
    >>> params = model.init(jax.random.key(0), data.vocab, data.length)
    >>> bool(abs(loss(params) - jax.numpy.log(data.vocab)) < 1e-4)  # small weights predict uniformly
    True
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: must be at least 1, or None for all sequences at once; got {chunk}")
    tokens = np.asarray(data.tokens)
    if getattr(model, "order_invariant", False):
        tokens = np.sort(tokens, axis=1)  # sequences that are the same bag of tokens then share one row
    tokens, inverse = np.unique(tokens, axis=0, return_inverse=True)
    itemsize = np.dtype(jnp.zeros((), float).dtype).itemsize
    at_once = len(tokens) if chunk is None else min(chunk, len(tokens))
    need = itemsize * data.vocab * (len(tokens) + 4 * at_once)
    if need > memory_limit:
        raise ValueError(
            f"data: {len(tokens)} distinct sequences x {data.vocab} labels need about {need / GIB:.1f} GiB, more than "
            f"memory_limit {memory_limit / GIB:.1f} GiB; pass chunk=, use minibatch_loss, or make the task smaller"
        )
    chunks = -(-len(tokens) // at_once)
    padding = chunks * at_once - len(tokens)
    joint = np.zeros((len(tokens) + padding, data.vocab))
    np.add.at(joint, (inverse.ravel(), np.asarray(data.targets)), np.asarray(data.weights))
    tokens = np.concatenate([tokens, np.zeros((padding, data.length), tokens.dtype)])
    return PopulationLoss(jnp.asarray(tokens), jnp.asarray(joint, dtype=float), model, chunks)


@partial(register_dataclass, data_fields=["tokens", "targets", "cumulative"], meta_fields=["model", "batch", "uniform"])
@dataclass(frozen=True)
class MinibatchLoss:
    """Cross-entropy of a fresh minibatch drawn with replacement by weight: `loss(params, key)`."""

    tokens: Int[Array, "... example position"]
    targets: Int[Array, "... example"]
    cumulative: Float[Array, "... example"]
    model: Model
    batch: int
    uniform: bool

    def __call__(self, params: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        rows = self.draw(key)
        logits = _logits(self.model, params, self.tokens[rows])
        picked = jax.nn.one_hot(self.targets[rows], logits.shape[1], dtype=logits.dtype)
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - jnp.sum(picked * logits, axis=1))

    def draw(self, key: PRNGKeyArray) -> Int[Array, " example"]:
        """Rows of one minibatch."""
        if self.uniform:
            return jax.random.randint(key, (self.batch,), 0, self.tokens.shape[0])
        uniform = jax.random.uniform(key, (self.batch,), self.cumulative.dtype)
        return jnp.searchsorted(self.cumulative, uniform * self.cumulative[-1], side="right")


def minibatch_loss(model: Model, data: Dataset, batch: int) -> MinibatchLoss:
    """Cross-entropy of `batch` examples drawn independently by weight, as `loss(params, key)`.

    Raises:
        ValueError: if `batch` is below 1.
    """
    if batch < 1:
        raise ValueError(f"batch: must be at least 1, got {batch}")
    weights = np.asarray(data.weights)
    return MinibatchLoss(
        jnp.asarray(data.tokens),
        jnp.asarray(data.targets),
        jnp.asarray(np.cumsum(weights), dtype=float),
        model,
        batch,
        bool(np.ptp(weights) <= 1e-12 * weights.max()),
    )


def accuracy(model: Model, data: Dataset, params: Any) -> Float[Array, ""]:
    """Weighted share of examples whose most likely label is the target.

    Args:
        model: the model.
        data: the population to score.
        params: the model's parameters.
    """
    answers = jnp.argmax(_logits(model, params, jnp.asarray(data.tokens)), axis=1).astype(jnp.int32)
    hit = answers == jnp.asarray(data.targets, jnp.int32)
    return jnp.sum(jnp.where(hit, jnp.asarray(data.weights, dtype=float), 0.0))


def check_resolution(init_scale: float, width: int, length: int, dtype: Any) -> None:
    """Refuse a float dtype that cannot carry the softmax signal of a small initial scale.

    At scale s the first logits are about s^2 sqrt(width length); probabilities are 1/v times one plus that, so below
    the spacing of 1 in the dtype the model's own predictions round away.

    Raises:
        ValueError: naming the smallest scale the dtype can carry.
    """
    floor = 8 * float(jnp.finfo(dtype).eps)
    signal = init_scale**2 * (width * length) ** 0.5
    if signal < floor:
        smallest = (floor / (width * length) ** 0.5) ** 0.5
        raise ValueError(
            f"init_scale: {init_scale:g} is below what {jnp.dtype(dtype).name} resolves at width {width} "
            f"(logits {signal:.1e} against 1); use float64, or an init_scale of at least {smallest:.1e}"
        )


@partial(register_dataclass, data_fields=["loss", "weight_decay"], meta_fields=[])
@dataclass(frozen=True)
class DecayedLoss:
    """A loss plus lambda / 2 times the squared norm of all parameters; lambda may be traced or mapped."""

    loss: Any
    weight_decay: Any  # a scalar, or the placeholder of a tree transformation

    def __call__(self, params: Any, *key: PRNGKeyArray) -> Float[Array, ""]:
        value = self.loss(params, *key)
        squares = sum(jnp.sum(jnp.square(leaf)).astype(value.dtype) for leaf in jax.tree.leaves(params))
        return value + jnp.asarray(self.weight_decay, value.dtype) / 2 * squares


def decayed(loss: Any, weight_decay: Float[ArrayLike, ""] | float) -> DecayedLoss:
    """Add weight decay to a loss: its gradient flow is that of `loss`, less lambda times the parameters.

    Args:
        loss: `loss(params)` or `loss(params, key)`, a pytree such as `population_loss` returns; a plain function
            works where the result is not passed into a jitted function.
        weight_decay: lambda, in 1 / flow time.

    Raises:
        ValueError: for a negative `weight_decay`.

    >>> import jax, jax.numpy as jnp, jaxembed as je
    >>> loss = je.decayed(lambda p: jnp.sum(p["x"]), 0.5)
    >>> float(loss({"x": jnp.ones(2)}))
    2.5
    """
    if isinstance(weight_decay, (int, float)) and not weight_decay >= 0:
        raise ValueError(f"weight_decay: must be 0 or positive, got {weight_decay}; it shrinks the parameters")
    return DecayedLoss(loss, weight_decay)
