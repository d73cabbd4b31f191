"""A generating process with exact posteriors: the vocabulary of every process here and of all that trains on one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

AnyProcess = TypeVar("AnyProcess")

World = dict[str, Array]
"""What is drawn once and shared by all sequences of a run (transition matrices, topics); empty where nothing is."""


class Draw(NamedTuple):
    """Sequences of a process and what generated them.

    Attributes:
        items: `[sequence, position]` token ids, or `[sequence, position, dimension]` reals.
        latents: named generating values, `[sequence, target]` or `[sequence, position, target]`.
    """

    items: Array
    latents: dict[str, Array]


@dataclass(frozen=True)
class Target:
    """One thing a probe may be asked for.

    Attributes:
        kind: "real" numbers, or a "distribution" that sums to one.
        size: how many numbers.
        names: what each number is; may be left empty.
        ceiling: None where the target is itself an exact quantity, in `exact(items)`; else the target is a generating
            latent in `draw.latents`, and this names its best guess in `exact(items)`.
        about: one line on what it is.
    """

    kind: Literal["real", "distribution"]
    size: int
    names: tuple[str, ...] = ()
    ceiling: str | None = None
    about: str = ""


@runtime_checkable
class Process(Protocol):
    """A named distribution over sequences whose posterior is known; a frozen dataclass of python numbers.

    Items are x_0 .. x_{T-1}. Index n of any posterior, statistic or prediction is what is known after reading
    x_0 .. x_n inclusive; the prediction at n is of x_{n+1}.
    """

    @property
    def reads(self) -> Literal["tokens", "reals"]:
        """Whether items are token ids or real vectors."""
        ...

    @property
    def size(self) -> int:
        """Vocabulary of the tokens, or dimension of the reals."""
        ...

    @property
    def targets(self) -> dict[str, Target]:
        """What a probe may be asked for, by name."""
        ...

    def world(self, key: PRNGKeyArray) -> World:
        """What is drawn once and shared by all sequences; {} where nothing is."""
        ...

    def sample(self, key: PRNGKeyArray, world: World, sequences: int, length: int) -> Draw:
        """Fresh sequences, pure and jittable."""
        ...

    def exact(
        self,
        world: World,
        items: Array,
        names: Sequence[str] | None = None,
        positions: Sequence[int] | None = None,
        key: PRNGKeyArray | None = None,
    ) -> dict[str, Array]:
        """Exact quantities after each item, `[sequence, position, target]`; all names and positions by default."""
        ...

    def log_predictive(self, world: World, items: Array) -> Float[Array, "sequence position"]:
        """Exact log p(x_{n+1} | x_0 .. x_n) in nats, n = 0 .. T-2; a log density for reals."""
        ...

    def shifted(self) -> "Process":
        """The same kind of process under another prior, for tests out of distribution."""
        ...


def collect(
    quantities: Mapping[str, Callable[[], Array]],
    names: Sequence[str] | None,
    positions: Sequence[int] | None,
    infinite: Mapping[str, str] | None = None,
) -> dict[str, Array]:
    """The named quantities at some positions; only those asked for are computed.

    Args:
        quantities: name to a function that gives it at all positions, `[sequence, position, target]`.
        names: those wanted; None takes all of finite variance.
        positions: those wanted, negative ones from the end; None takes all.
        infinite: name to why its variance is infinite; asking for one is refused.

    Raises:
        ValueError: for a name that is not there, or whose variance is infinite; for a position outside the sequence.

    >>> import jax.numpy as jnp
    >>> collect({"twice": lambda: 2 * jnp.ones((1, 3, 1))}, None, (0, 2))["twice"].shape
    (1, 2, 1)
    """
    infinite = infinite or {}
    wanted = [name for name in quantities if name not in infinite] if names is None else list(names)
    for name in wanted:
        if name not in quantities:
            raise ValueError(f"names: no exact quantity {name!r}; there are {', '.join(quantities)}")
        if name in infinite:
            raise ValueError(f"names: {name!r} has infinite variance, {infinite[name]}")
    every = {name: quantities[name]() for name in wanted}
    if positions is None:
        return every
    return {name: values[:, chosen_positions(values.shape[1], positions)] for name, values in every.items()}


def chosen_positions(length: int, positions: Sequence[int] | None) -> Int[np.ndarray, " position"]:
    """The positions to answer for: all of them by default; negative ones count from the end.

    Raises:
        ValueError: where a position is outside the sequence.

    >>> chosen_positions(3, (0, -1)).tolist()
    [0, 2]
    """
    chosen = np.arange(length) if positions is None else np.asarray(list(positions), int)
    outside = chosen[(chosen < -length) | (chosen >= length)]
    if len(outside):
        raise ValueError(f"positions: need -{length} .. {length - 1} in sequences of {length}, got {outside[0]}")
    return chosen % length


def check_squared_error(process: Any) -> None:
    """Refuse squared-error training where its risk is infinite; a process says so in `infinite["items"]`.

    Raises:
        ValueError: naming the moment that diverges.
    """
    reason = getattr(process, "infinite", {}).get("items")
    if reason:
        raise ValueError(f"process: squared error has infinite risk, {reason}; train with a likelihood head instead")


def check_positive(kind: str, **values: float) -> None:
    """Refuse an improper prior: parameters that have to be positive and finite.

    Raises:
        ValueError: naming the parameter.
    """
    for name, value in values.items():
        if not (isfinite(value) and value > 0):
            raise ValueError(f"{name}: the {kind} prior is improper at {value}; need a positive finite number")


def check_counts(least: int = 1, /, **values: int) -> None:
    """Refuse a number of things that is too small.

    Raises:
        ValueError: naming it.
    """
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name}: must be at least {least}, got {value}")


def check_rows(name: str, table: Any, *shape: int | None) -> Float[np.ndarray, "..."]:
    """Probabilities along the last axis, divided by their sum.

    Args:
        name: what to call them in an error.
        table: probabilities; their sums may be off by the rounding of float32.
        shape: the shape they need; None for any length.

    Raises:
        ValueError: for another shape, entries that are no probabilities, or a row that does not sum to one.

    >>> check_rows("start", [0.25, 0.75], 2).tolist()
    [0.25, 0.75]
    """
    values = np.asarray(table, np.float64)
    fits = values.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, values.shape, strict=True))
    if not fits or not values.size:
        need = " x ".join("n" if n is None else str(n) for n in shape)
        raise ValueError(f"{name}: need {need} probabilities, got shape {values.shape}")
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(f"{name}: probabilities must be finite and not negative; fix the entries")
    totals = values.sum(axis=-1, keepdims=True)
    worst = int(np.abs(totals - 1).argmax())
    if abs(totals.flat[worst] - 1) > 1e-5:
        which = f"row {worst} sums" if values.ndim > 1 else "probabilities sum"
        raise ValueError(f"{name}: {which} to {totals.flat[worst]:.6g}, not 1; divide by the sum")
    return values / totals


def differing(shifted: AnyProcess, own: AnyProcess, change: str) -> AnyProcess:
    """The shifted process, unless it is the very one that was to be shifted.

    Raises:
        ValueError: saying what to change.
    """
    if shifted == own:
        raise ValueError(f"shifted: the prior would stay as it is; {change}")
    return shifted
