"""What a probing asks, what it is given to read, and one probe fitted on one part and tried on another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..probes import Kind, mlp_probe, ridge, softmax_probe

BATCH = 100
"""Sequences that a network reads at once while it is probed; only the positions asked for are kept."""
KNOTS = 1e-3
"""Distance from the ends of (-1, 1) that ranks are kept at."""


@dataclass(frozen=True)
class Probing:
    """What is read from a network's states, where, and by which probe.

    Attributes:
        targets: names of the process's targets.
        positions: indices n of the items after which a state is read; counted from the end where negative. The answer
            to the last item, -1, predicts nothing in a causal network, so that it is never trained: -2 is the last one.
        layers: "last" (what the head reads), "all", or depths: 0 is the embedding, k what the k-th block leaves.
        probe: "linear" (ridge for reals, softmax for distributions) or "mlp" (one hidden layer).
        train: sequences that the probe is fitted on.
        validation: sequences that choose its penalty, or its number of steps.
        test: sequences that it is scored on.
        states: "hidden" for the stream, "output" for the network's answers.
        pool: the state at the "position", or the "average" over the positions up to it.
        times: the "last" saved step of training, or "all".
        loss_draws: sequences of the test part on which losses are compared with the exact floor.
    """

    targets: tuple[str, ...]
    positions: tuple[int, ...] = (-2,)
    layers: Literal["last", "all"] | tuple[int, ...] = "last"
    probe: Literal["linear", "mlp"] = "linear"
    train: int = 2000
    validation: int = 500
    test: int = 1000
    states: Literal["hidden", "output"] = "hidden"
    pool: Literal["position", "average"] = "position"
    times: Literal["last", "all"] = "last"
    loss_draws: int = 500

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test", "loss_draws"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name}: must be at least 2, got {getattr(self, name)}")
        if not self.targets or not self.positions:
            raise ValueError("targets, positions: name at least one of each")

    @property
    def fitted(self) -> int:
        """Sequences of training and validation."""
        return self.train + self.validation

    @property
    def sequences(self) -> int:
        """Sequences of all three parts."""
        return self.fitted + self.test

    def parts(self, rows: Any) -> tuple[Any, Any, Any]:
        """The rows of training, validation and test, in this order; further rows are left out.

        >>> Probing(("mean",), train=3, validation=2, test=2).parts(np.arange(9))
        (array([0, 1, 2]), array([3, 4]), array([5, 6]))
        """
        return rows[: self.train], rows[self.train : self.fitted], rows[self.fitted : self.sequences]

    def places(self, length: int) -> tuple[int, ...]:
        """The positions counted from the start.

        Raises:
            ValueError: for one that a sequence of this length does not have.
        """
        outside = [n for n in self.positions if not -length <= n < length]
        if outside:
            raise ValueError(f"positions: {outside[0]} is outside a sequence of {length} items")
        return tuple(n % length for n in self.positions)

    def depths(self, count: int) -> tuple[int, ...]:
        """The layers, of `count` that there are, counted from the embedding; -1 stands for the answers.

        Raises:
            ValueError: for one that the network does not have.
        """
        if self.states == "output":
            return (-1,)
        if self.layers == "last":
            return (count - 1,)
        if self.layers == "all":
            return tuple(range(count))
        outside = [k for k in self.layers if not -count <= k < count]
        if outside:
            raise ValueError(f"layers: {outside[0]} is outside the {count} depths of this network")
        return tuple(k % count for k in self.layers)


def predicted(
    kind: Kind, probe: str, key: Array, parts: Sequence[Any], targets: Sequence[Any]
) -> Float[np.ndarray, "example target"]:
    """What a probe of the training part, chosen on the validation part, says about the test part.

    Args:
        kind: of the target.
        probe: "linear" or "mlp".
        key: of an MLP's start and minibatches.
        parts: what is read, `[example, dimension]`, of training, validation and test.
        targets: of training and validation, `[example, target]`.
    """
    # Lines that read reals are solved in full precision; what is fitted by steps is not worth it.
    dtype = jnp.zeros((), float).dtype if (kind, probe) == ("real", "linear") else jnp.float32
    read, asked = (tuple(jnp.asarray(part, dtype) for part in group) for group in (parts, targets))
    return np.asarray(_predicted(kind, probe, key, read, asked))


@partial(jax.jit, static_argnums=(0, 1))
def _predicted(kind: Kind, probe: str, key: Array, parts: tuple, targets: tuple) -> Array:
    (x, x_val, x_test), (y, y_val) = parts, targets
    if probe == "mlp":
        return mlp_probe(x, y, x_val, y_val, kind=kind, key=key).predict(x_test)
    return (softmax_probe if kind == "distribution" else ridge)(x, y, x_val, y_val).predict(x_test)


def last_item(
    items: Int[np.ndarray, "sequence position"] | Float[np.ndarray, "sequence position dimension"],
    position: int,
    size: int,
    train: int,
) -> Float[np.ndarray, "sequence width"]:
    """All that one item says: a one-hot token, or a real item beside polynomials of its ranks in the training part."""
    now = items[:, position]
    if now.ndim == 1:
        return np.eye(size, dtype=np.float32)[now]
    ranks = np.stack([_ranks(column, column[:train]) for column in now.T], axis=1)
    degree = {1: 9, 2: 6, 3: 4}.get(now.shape[1], 2)
    powers = [_legendre(ranks[:, i], degree) for i in range(now.shape[1])]
    columns = [now]
    for total in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(now.shape[1]), total):
            orders = np.bincount(chosen, minlength=now.shape[1])
            columns.append(np.prod([powers[i][order] for i, order in enumerate(orders)], axis=0)[:, None])
    return np.concatenate(columns, axis=1)


def _ranks(values: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Where values lie in the training part, from -1 to 1."""
    place = np.searchsorted(np.sort(train), values) / len(train)
    return np.clip(2 * place - 1, KNOTS - 1, 1 - KNOTS)


def _legendre(x: np.ndarray, degree: int) -> list[np.ndarray]:
    return [np.polynomial.legendre.legval(x, np.eye(degree + 1)[k]) for k in range(degree + 1)]
