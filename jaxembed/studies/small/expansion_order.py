"""How fast the expansion of a flow approaches it: slope of the error in the distance from the base point."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from ...base import Loss, State
from ...losses.population import population_loss
from ...losses.sequences import sequence_loss
from ...models import AttentionOnly, Decoder, Feedforward, Linear
from ...tasks import Addition, shuffled
from ...theory import expansion
from ..check import Check, Size, need_float64
from ..measured import silent

ZERO = 1e-9
"""A degree whose part is below this share of the largest one, at displacement 1, is absent."""


@dataclass(frozen=True)
class Setting:
    """Sizes; `scales` are the displacements as multiples of a step, `degrees` how many terms are looked at."""

    keys: int = 12
    anchors: int = 4
    width: int = 16
    hidden: int = 24
    vocab: int = 12
    sequences: int = 32
    length: int = 9
    layers: int = 2
    heads: int = 2
    orders: tuple[int, ...] = (1, 2, 3, 4)
    degrees: int = 5
    scales: tuple[float, ...] = tuple(10.0 ** -np.arange(1.5, 2.51, 0.125))


SETTINGS = {
    "tiny": Setting(
        keys=4, anchors=3, width=4, hidden=6, vocab=5, sequences=4, length=5, layers=1, orders=(1, 2), degrees=4
    ),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Case:
    """A loss, the control's loss on shuffled labels, where to expand, and which way to go.

    Attributes:
        loss: of the flow and its expansion.
        null: the same model on data whose labels are dealt at random.
        base: the point expanded around.
        step: the displacement at scale 1: initial weights of standard deviation 1 around the origin, elsewhere the
            step of `_around`.
    """

    loss: Loss
    null: Loss
    base: State
    step: State


@dataclass(frozen=True)
class Slopes:
    """Errors of one case, ||exact - expansion|| over all parameters.

    Attributes:
        scales: `[scale]`, displacements.
        errors: by order, `[seed, scale]`.
        sizes: `[seed, degree]`, ||F_k|| at displacement 1 for k = 0, 1, ..
        null: `[seed, scale]`, errors of the highest order's expansion of the shuffled labels' flow.
    """

    scales: Float[np.ndarray, "..."]
    errors: dict[int, Float[np.ndarray, "seed ..."]]
    sizes: Float[np.ndarray, "seed ..."]
    null: Float[np.ndarray, "seed ..."]

    def slopes(self, order: int) -> Float[np.ndarray, " seed"]:
        """Of log error against log scale, by least squares, for each seed."""
        return _slopes(self.scales, self.errors[order])

    def null_slopes(self) -> Float[np.ndarray, " seed"]:
        return _slopes(self.scales, self.null)

    def next_degree(self, order: int) -> int:
        """The first degree above `order` whose part of the flow does not vanish."""
        present = self.sizes.max(axis=0) > ZERO * self.sizes.max()
        later = [k for k in range(order + 1, len(present)) if present[k]]
        return later[0] if later else -1


@dataclass(frozen=True)
class ExpansionOrder:
    """Slopes by case."""

    size: Size
    setting: Setting
    cases: dict[str, Slopes]

    @property
    def seeds(self) -> int:
        return len(next(iter(self.cases.values())).sizes)

    def rows(self) -> list[tuple[str, ...]]:
        """Every case and order, in the order of `HEADER`."""
        return [
            (name, str(order), str(found.next_degree(order)), _text(found.slopes(order)), _text(found.null_slopes()))
            for name, found in self.cases.items()
            for order in self.setting.orders
        ]

    def checks(self) -> list[Check]:
        """One for each case: every order and seed within 0.1 of the next degree, the control far from it."""
        return [self._check(name, found) for name, found in self.cases.items()]

    def _check(self, name: str, found: Slopes) -> Check:
        expected = {order: found.next_degree(order) for order in self.setting.orders}
        worst = max(float(np.abs(found.slopes(order) - degree).max()) for order, degree in expected.items())
        control = float(np.abs(found.null_slopes() - expected[max(expected)]).min())
        got = "; ".join(f"{order}: {_text(found.slopes(order))} ({degree})" for order, degree in expected.items())
        passed = worst <= 0.1 and control >= 0.5
        return Check(name, "slope = next degree +- 0.1", f"{got}; control off by {control:.1f}", passed)


HEADER = ("case", "order", "next degree", "slope of the error", "shuffled labels, highest order")


def expansion_order(size: Size, seeds: int = 3, progress: Callable[[str], None] = silent) -> ExpansionOrder:
    """Measure the error of the expansion against the exact flow at shrinking displacements from the base point.

    Args:
        size: "tiny" (one block, orders 1 and 2, seconds) or "normal".
        seeds: initialisations, and random directions.
        progress: called with a line of text after each case.

    Raises:
        ValueError: where JAX computes in float32, which cannot show a slope of 5.
    """
    need_float64("expansion_order")
    setting, found = SETTINGS[size], {}
    for name, case in CASES.items():
        found[name] = _measure(setting, [case(setting, key) for key in jax.random.split(jax.random.key(0), seeds)])
        orders = (f"{order}: {_text(found[name].slopes(order))}" for order in setting.orders)
        progress(f"{name}: slope by order {'; '.join(orders)}")
    return ExpansionOrder(size, setting, found)


def _measure(setting: Setting, cases: list[Case]) -> Slopes:
    every = [_errors(setting, case) for case in cases]
    errors, null = (np.stack([found[i] for found in every]) for i in (0, 1))
    by_order = {order: errors[:, :, i] for i, order in enumerate(setting.orders)}
    sizes = np.stack([np.linalg.norm(_parts(setting, case.loss, case, 1.0), axis=1) for case in cases])
    return Slopes(np.asarray(setting.scales), by_order, sizes, null)


def _errors(setting: Setting, case: Case) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Errors `[scale, order]`, and `[scale]` those of the control."""
    found, null = [], []
    for scale in setting.scales:
        exact = _vector(_exact(0.0, _state(case, scale), case.loss))
        sums, other = (np.cumsum(_parts(setting, loss, case, scale), axis=0) for loss in (case.loss, case.null))
        found.append([np.linalg.norm(exact - sums[order]) for order in setting.orders])
        null.append(np.linalg.norm(exact - other[max(setting.orders)]))
    return np.asarray(found), np.asarray(null)


_exact = jax.jit(expansion.exact)
_terms = jax.jit(expansion.terms, static_argnums=3)


def _parts(setting: Setting, loss: Loss, case: Case, scale: float) -> Float[np.ndarray, "..."]:
    """F_0, F_1, .. as rows, at `scale` times the step; more degrees than orders, to see which comes next."""
    parts = _terms(loss, case.base, _state(case, scale), setting.degrees)
    return np.stack([_vector(part) for part in parts])


def _state(case: Case, scale: float) -> State:
    return jax.tree.map(lambda base, step: base + scale * step, case.base, case.step)


def _vector(tree: State) -> Float[np.ndarray, "..."]:
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(tree)])


def _linear(setting: Setting, key: Array) -> Case:
    return _from_origin(setting, key, Linear(setting.width, init_scale=1.0))


def _feedforward(setting: Setting, key: Array) -> Case:
    return _from_origin(setting, key, Feedforward(setting.width, init_scale=1.0))


def _hidden(setting: Setting, key: Array) -> Case:
    return _from_origin(setting, key, Feedforward(setting.width, setting.hidden, init_scale=1.0, hidden_scale=1.0))


def _hidden_kept(setting: Setting, key: Array) -> Case:
    """Embedding and unembedding start from zero, the hidden matrix from its usual scale; all three move."""
    model = Feedforward(setting.width, setting.hidden, init_scale=1.0)
    loss, null, params = _population(setting, key, model)
    base = {**expansion.origin(params), "hidden": params["hidden"]}
    moved = jax.random.normal(jax.random.fold_in(key, 1), params["hidden"].shape, float)
    return Case(loss, null, base, {**params, "hidden": moved})


def _feedforward_lazy(setting: Setting, key: Array) -> Case:
    model = Feedforward(setting.width, setting.hidden, init_scale=setting.width**-0.5)
    loss, null, params = _population(setting, key, model)
    return _around(setting, loss, null, params, _random(key, params))


def _attention_only(setting: Setting, key: Array) -> Case:
    model = AttentionOnly(setting.layers, init_scale=1.0)
    loss, null, params = _text_of(setting, key, model)
    return Case(loss, null, expansion.origin(params), params)


def _decoder_random(setting: Setting, key: Array) -> Case:
    loss, null, params = _text_of(setting, key, _decoder(setting))
    return _around(setting, loss, null, params, _random(key, params))


def _decoder_gradient(setting: Setting, key: Array) -> Case:
    loss, null, params = _text_of(setting, key, _decoder(setting))
    return _around(setting, loss, null, params, _exact(0.0, params, loss))


CASES: dict[str, Callable[[Setting, Array], Case]] = {
    "linear, origin": _linear,
    "feedforward, origin": _feedforward,
    "feedforward with hidden matrix, origin": _hidden,
    "feedforward with hidden matrix, hidden at init": _hidden_kept,
    "feedforward with hidden matrix, init": _feedforward_lazy,
    "attention-only, origin": _attention_only,
    "decoder, init, random direction": _decoder_random,
    "decoder, init, gradient direction": _decoder_gradient,
}


def _from_origin(setting: Setting, key: Array, model: Any) -> Case:
    loss, null, params = _population(setting, key, model)
    return Case(loss, null, expansion.origin(params), params)


def _population(setting: Setting, key: Array, model: Any) -> tuple[Loss, Loss, State]:
    data = Addition(keys=setting.keys, anchors=setting.anchors).dataset()
    loss, null = (population_loss(model, part) for part in (data, shuffled(data, 0)))
    return loss, null, model.init(key, data.vocab, data.length)


def _decoder(setting: Setting) -> Decoder:
    return Decoder(setting.width, setting.layers, setting.heads, setting.hidden, init_scale=setting.width**-0.5)


def _text_of(setting: Setting, key: Array, model: Any) -> tuple[Loss, Loss, State]:
    """Sequences in which each token is followed by one of two; the control deals all tokens anew."""
    rng = np.random.default_rng(0)
    sequences = np.zeros((setting.sequences, setting.length), int)
    sequences[:, 0] = rng.integers(setting.vocab, size=setting.sequences)
    for i in range(1, setting.length):
        sequences[:, i] = (2 * sequences[:, i - 1] + rng.integers(2, size=setting.sequences)) % setting.vocab
    dealt = rng.permutation(sequences.ravel()).reshape(sequences.shape)
    loss, null = (sequence_loss(model, rows, setting.vocab) for rows in (sequences, dealt))
    return loss, null, model.init(key, setting.vocab, setting.length - 1)


def _random(key: Array, params: State) -> State:
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.fold_in(key, 1), len(leaves))
    return tree.unflatten([jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)])


def _around(setting: Setting, loss: Loss, null: Loss, base: State, direction: State) -> Case:
    """A step of the length at which the last term is as large as the first: the series is about to stop converging."""
    sizes = np.linalg.norm(_parts(setting, loss, Case(loss, null, base, direction), 1.0), axis=1)
    length = (sizes[0] / sizes[-1]) ** (1 / setting.degrees)
    return Case(loss, null, base, jax.tree.map(lambda leaf: length * leaf, direction))


def _slopes(scales: Float[np.ndarray, "..."], errors: Float[np.ndarray, "seed ..."]) -> Float[np.ndarray, " seed"]:
    return np.asarray([np.polyfit(np.log(scales), np.log(row), 1)[0] for row in errors])


def _text(values: Float[np.ndarray, " seed"]) -> str:
    low, high = f"{values.min():.3f}", f"{values.max():.3f}"
    return low if low == high else f"{low}..{high}"
