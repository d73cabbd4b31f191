"""The nouns every room shares. This file imports nothing of ours."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree
from scipy.sparse import csr_array

State = PyTree[Array]
"""What evolves: nested dicts of arrays; a model's parameters or a reduction of them."""

Loss = Callable[..., Array]
"""`loss(params)` for a population, `loss(params, key)` for a sampled minibatch."""


def all_finite(state: State) -> Bool[Array, ""]:
    """Whether every number of a state is finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state)]))


def add(*states: State) -> State:
    """Leafwise sum of states."""
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *states)


def at_least_single(dtype: Any) -> np.dtype:
    """The dtype itself, but float32 for half precision: what means, softmax and logits need."""
    return np.dtype(dtype) if np.dtype(dtype).itemsize >= 4 else np.dtype(np.float32)


@partial(register_dataclass, data_fields=["tokens", "targets", "weights"], meta_fields=["vocab", "samples"])
@dataclass(frozen=True)
class Dataset:
    """A weighted population over (token sequence, label).

    Attributes:
        tokens: `[example, position]`, token ids in `0 .. vocab - 1`.
        targets: `[example]`, label ids in `0 .. vocab - 1`.
        weights: `[example]`, probabilities; they sum to one.
        vocab: number of tokens v (labels are tokens).
        samples: number of independent draws behind the weights, or None where the population is exact.
    """

    tokens: Int[Array | np.ndarray, "example position"]
    targets: Int[Array | np.ndarray, " example"]
    weights: Float[Array | np.ndarray, " example"]
    vocab: int
    samples: int | None = None

    @property
    def length(self) -> int:
        return self.tokens.shape[1]

    @property
    def size(self) -> int:
        return self.tokens.shape[0]


def checked_dataset(tokens: Any, targets: Any, weights: Any, vocab: int, samples: int | None = None) -> Dataset:
    """Validate and normalise a population outside jit; every task and corpus builds its Dataset here.

    Args:
        tokens: `[example, position]` integers.
        targets: `[example]` integers.
        weights: `[example]`, non-negative, any positive sum; None means uniform.
        vocab: number of tokens.
        samples: see `Dataset`.

    Returns:
        A Dataset of numpy arrays (int32 ids, float64 weights summing to one).

    Raises:
        ValueError: naming the argument that is wrong and what to change.
    """
    tokens, targets = np.asarray(tokens, np.int32), np.asarray(targets, np.int32)
    if tokens.ndim != 2 or tokens.shape[0] == 0 or tokens.shape[1] == 0:
        raise ValueError(f"tokens: need a non-empty [example, position] table, got shape {tokens.shape}")
    if targets.shape != tokens.shape[:1]:
        raise ValueError(f"targets: need one label per example, got shape {targets.shape} for {len(tokens)} examples")
    for name, ids in (("tokens", tokens), ("targets", targets)):
        if ids.min() < 0 or ids.max() >= vocab:
            bad = ids.min() if ids.min() < 0 else ids.max()
            raise ValueError(f"{name}: id {bad} is outside the vocabulary 0..{vocab - 1}; enlarge vocab or fix the id")
    weights = np.ones(len(tokens)) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != targets.shape:
        raise ValueError(f"weights: need one weight per example, got shape {weights.shape}")
    if not np.all(np.isfinite(weights)) or weights.min() < 0:
        raise ValueError("weights: must be finite and non-negative; remove or fix the offending examples")
    if weights.sum() <= 0:
        raise ValueError("weights: must sum to a positive number; at least one example needs weight")
    return Dataset(tokens, targets, weights / weights.sum(), int(vocab), samples)


@dataclass(frozen=True)
class SparseRows:
    """Rows of a wide table that are sparse up to one common row: what a signature of a whole vocabulary is.

    Attributes:
        matrix: `[token, target]`, scipy CSR, float64.
        baseline: `[target]`, subtracted from every row (the unigram distribution for centred signatures); zeros for
            plain ones. It is never subtracted in memory.
    """

    matrix: Any
    baseline: Float[np.ndarray, " target"]

    def __post_init__(self) -> None:
        if self.baseline.shape != (self.matrix.shape[1],):
            raise ValueError(f"baseline: need {self.matrix.shape[1]} numbers, got shape {self.baseline.shape}")

    def __len__(self) -> int:
        return self.matrix.shape[0]

    def select(self, rows: Int[np.ndarray, " token"]) -> "SparseRows":
        """The rows of some tokens, in their order."""
        return SparseRows(csr_array(self.matrix[rows]), self.baseline)

    def dense(self) -> Float[np.ndarray, "token target"]:
        """The rows written out; for few tokens."""
        return self.matrix.toarray() - self.baseline[None, :]


@partial(register_dataclass, data_fields=["ts", "ys", "info"], meta_fields=["clock"])
@dataclass(frozen=True)
class Trajectory:
    """Saved states on one clock: what training and every theory produce, and `compare` consumes.

    Attributes:
        ts: `[time]`, saved times; `clock` says in which unit.
        ys: the saved states, every leaf with a leading `[time]` axis.
        info: arrays about the evolution (mean loss between saves, solver steps, `nonfinite_time`).
        clock: "flow" (gradient-flow time: learning rate x step for plain gradient descent) or "step".
    """

    ts: Float[Array, "..."]
    ys: Any
    info: dict[str, Array] = field(default_factory=dict)
    clock: str = "flow"

    def map(self, observable: Callable[[State], Array]) -> "Trajectory":
        """The same times with `observable` applied to every saved state."""
        return replace(self, ys=jax.vmap(observable)(self.ys))


@runtime_checkable
class Task(Protocol):
    """A named distribution over (tokens, label); a frozen dataclass of its sizes."""

    def dataset(self) -> Dataset: ...


@runtime_checkable
class Model(Protocol):
    """A parametrised map from one example to logits; a frozen dataclass of its settings."""

    def init(self, key: PRNGKeyArray, vocab: int, length: int) -> dict[str, Array]: ...

    def apply(self, params: dict[str, Array], tokens: Int[Array, " position"]) -> Float[Array, " token"]: ...


@runtime_checkable
class Field(Protocol):
    """The right-hand side of an evolution: `field(t, state, sig) -> d state / dt`, same tree as `state`."""

    def __call__(self, t: Any, state: Any, sig: Any, /) -> Any: ...


def generator(key: PRNGKeyArray | int) -> np.random.Generator:
    """A numpy generator from a jax key or a whole number, for draws on the host.

    Raises:
        ValueError: for a negative number.

    >>> generator(0).integers(10, size=3)
    array([8, 6, 5])
    """
    if not isinstance(key, (int, np.integer)):
        is_new = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        return np.random.default_rng(np.asarray(jax.random.key_data(key) if is_new else key).ravel())
    if key < 0:
        raise ValueError(f"key: must be a jax key or an integer of at least 0, got {key}")
    return np.random.default_rng(key)


@runtime_checkable
class Progress(Protocol):
    """Takes what long work says of itself: a line, and the share done where it is known."""

    def __call__(self, text: str, share: float | None = None, /) -> None: ...


def silent(text: str, share: float | None = None, /) -> None:
    """The progress of work that nobody watches."""
