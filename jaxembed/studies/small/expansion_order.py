"""How fast the expansion of a flow approaches it: slope of the error in the distance from the base point.

Linear, feedforward, attention-only models and a decoder, expanded around the origin or around initial parameters, in
float64. A seed is an initialisation, and a random direction. The control expands the flow of shuffled labels.

Source: yao2025probability; the orders are those of Taylor's theorem.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from ...base import Loss, State
from ...losses.population import population_loss
from ...losses.sequences import sequence_loss
from ...models import AttentionOnly, Decoder, Feedforward, Linear
from ...tables import Table, extremes
from ...tasks import Addition, shuffled
from ...theory import expansion
from ..evidence import Evidence, Size
from ..rows import control, described, exact
from ..study import Run, Study

ZERO = 1e-9
"""A degree whose part is below this share of the largest one, at displacement 1, is absent."""


@dataclass(frozen=True)
class ExpansionSetting:
    """Sizes; `scales` are the displacements as multiples of a step, `degrees` how many terms are computed."""

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


SETTINGS: dict[Size, ExpansionSetting] = {
    "tiny": ExpansionSetting(
        keys=4, anchors=3, width=4, hidden=6, vocab=5, sequences=4, length=5, layers=1, orders=(1, 2), degrees=4
    ),
    "quick": ExpansionSetting(),
}


@dataclass(frozen=True)
class ExpansionCase:
    """A loss, the control's loss on shuffled labels, where to expand, and which way to go.

    Attributes:
        loss: of the flow and its expansion.
        null: the same model on data whose labels are dealt at random.
        base: the point expanded around.
        step: the displacement at scale 1: initial weights of standard deviation 1 around the origin, elsewhere the
            step of `_from_init`.
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

    def slopes(self, order: int | None = None) -> Float[np.ndarray, " seed"]:
        """Of log error against log scale, by least squares, for each seed; without an order, the control's."""
        errors = self.null if order is None else self.errors[order]
        return np.asarray([np.polyfit(np.log(self.scales), np.log(row), 1)[0] for row in errors])

    def next_degree(self, order: int) -> int:
        """The first degree above `order` whose part of the flow does not vanish."""
        present = self.sizes.max(axis=0) > ZERO * self.sizes.max()
        later = [k for k in range(order + 1, len(present)) if present[k]]
        return later[0] if later else -1


@dataclass(frozen=True)
class ExpansionOrder:
    """Slopes by case."""

    setting: ExpansionSetting
    cases: dict[str, Slopes]


def run(setting: ExpansionSetting, run: Run) -> ExpansionOrder:
    """Measure the error of the expansion against the exact flow at shrinking displacements from the base point."""
    found = {}
    for name, case in CASES.items():
        found[name] = _measured(setting, [case(setting, key) for key in jax.random.split(jax.random.key(0), run.seeds)])
        orders = (f"{order}: {_text(found[name].slopes(order))}" for order in setting.orders)
        run.progress(f"{name}: slope by order {'; '.join(orders)}")
    return ExpansionOrder(setting, found)


def tables(result: ExpansionOrder) -> tuple[Table, ...]:
    """Every case and order."""
    header = ("case", "order", "next degree", "slope of the error", "shuffled labels, highest order")
    rows = [
        (name, str(order), str(found.next_degree(order)), _text(found.slopes(order)), _text(found.slopes()))
        for name, found in result.cases.items()
        for order in result.setting.orders
    ]
    return (Table("slope of the error in the displacement, float64", header, rows),)


def evidence(result: ExpansionOrder) -> tuple[Evidence, ...]:
    """Every order and seed of a case within 0.1 of the next degree, the control far from it."""
    rows, controls = [], []
    for name, found in result.cases.items():
        degrees = {order: found.next_degree(order) for order in result.setting.orders}
        off = np.max([np.abs(found.slopes(order) - degree) for order, degree in degrees.items()], axis=0)
        controls.append(np.abs(found.slopes() - degrees[max(degrees)]))
        claim = f"{name}: slope of the error is the next degree (distance, largest of the orders)"
        rows.append(exact(_id(name), claim, off, 0.1, published="", null=controls[-1]))
    claim = "slope of the error of shuffled labels: distance from the next degree, smallest over cases"
    return (*rows, control("expansion-order-shuffled", claim, np.min(controls, axis=0), 0.5))


def _measured(setting: ExpansionSetting, cases: list[ExpansionCase]) -> Slopes:
    """Errors of every order, of the control at the highest one, and sizes of the parts."""
    errors, null = [], []
    for case in cases:
        flows = np.stack([_vector(_exact(0.0, _state(case, scale), case.loss)) for scale in setting.scales])
        gaps = [
            [
                np.cumsum(_parts(setting, loss, case, scale), axis=0) - flow
                for scale, flow in zip(setting.scales, flows, strict=True)
            ]
            for loss in (case.loss, case.null)
        ]
        own, other = np.linalg.norm(np.array(gaps), axis=-1)
        errors.append(own)
        null.append(other[:, max(setting.orders)])
    by_order = {order: np.stack(errors)[:, :, order] for order in setting.orders}
    sizes = np.stack([np.linalg.norm(_parts(setting, case.loss, case, 1.0), axis=1) for case in cases])
    return Slopes(np.asarray(setting.scales), by_order, sizes, np.stack(null))


_exact = jax.jit(expansion.exact)
_terms = jax.jit(expansion.terms, static_argnums=3)


def _parts(setting: ExpansionSetting, loss: Loss, case: ExpansionCase, scale: float) -> Float[np.ndarray, "..."]:
    """F_0, F_1, .. as rows, at `scale` times the step; more degrees than orders, to see which comes next."""
    parts = _terms(loss, case.base, _state(case, scale), setting.degrees)
    return np.stack([_vector(part) for part in parts])


def _state(case: ExpansionCase, scale: float) -> State:
    return jax.tree.map(lambda base, step: base + scale * step, case.base, case.step)


def _vector(tree: State) -> Float[np.ndarray, "..."]:
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(tree)])


def _population(setting: ExpansionSetting, key: Array, model: Any) -> tuple[Loss, Loss, State]:
    data = Addition(keys=setting.keys, anchors=setting.anchors).dataset()
    loss, null = (population_loss(model, part) for part in (data, shuffled(data, 0)))
    return loss, null, model.init(key, data.vocab, data.length)


def _sequences(setting: ExpansionSetting, key: Array, model: Any) -> tuple[Loss, Loss, State]:
    """Sequences in which each token is followed by one of two; the control deals all tokens anew."""
    rng = np.random.default_rng(0)
    sequences = np.zeros((setting.sequences, setting.length), int)
    sequences[:, 0] = rng.integers(setting.vocab, size=setting.sequences)
    for i in range(1, setting.length):
        sequences[:, i] = (2 * sequences[:, i - 1] + rng.integers(2, size=setting.sequences)) % setting.vocab
    dealt = rng.permutation(sequences.ravel()).reshape(sequences.shape)
    loss, null = (sequence_loss(model, rows, setting.vocab) for rows in (sequences, dealt))
    return loss, null, model.init(key, setting.vocab, setting.length - 1)


def _from_origin(setting: ExpansionSetting, key: Array, model: Any, data: Callable = _population) -> ExpansionCase:
    loss, null, params = data(setting, key, model)
    return ExpansionCase(loss, null, expansion.origin(params), params)


def _from_init(
    setting: ExpansionSetting, key: Array, model: Any, data: Callable = _population, *, gradient: bool = False
) -> ExpansionCase:
    """A random direction, or the gradient's, of the length at which the last term is as large as the first.

    There the series is about to stop converging.
    """
    loss, null, params = data(setting, key, model)
    towards = _exact(0.0, params, loss) if gradient else _random(key, params)
    sizes = np.linalg.norm(_parts(setting, loss, ExpansionCase(loss, null, params, towards), 1.0), axis=1)
    length = (sizes[0] / sizes[-1]) ** (1 / setting.degrees)
    return ExpansionCase(loss, null, params, jax.tree.map(lambda leaf: length * leaf, towards))


def _random(key: Array, params: State) -> State:
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.fold_in(key, 1), len(leaves))
    return tree.unflatten([jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)])


def _hidden_kept(setting: ExpansionSetting, key: Array) -> ExpansionCase:
    """Embedding and unembedding start from zero, the hidden matrix from its usual scale; all three move."""
    loss, null, params = _population(setting, key, Feedforward(setting.width, setting.hidden, init_scale=1.0))
    base = {**expansion.origin(params), "hidden": params["hidden"]}
    moved = jax.random.normal(jax.random.fold_in(key, 1), params["hidden"].shape, float)
    return ExpansionCase(loss, null, base, {**params, "hidden": moved})


def _decoder(setting: ExpansionSetting, key: Array, *, gradient: bool = False) -> ExpansionCase:
    model = Decoder(setting.width, setting.layers, setting.heads, setting.hidden, init_scale=setting.width**-0.5)
    return _from_init(setting, key, model, _sequences, gradient=gradient)


CASES: dict[str, Callable[[ExpansionSetting, Array], ExpansionCase]] = {
    "linear, origin": lambda s, key: _from_origin(s, key, Linear(s.width, init_scale=1.0)),
    "feedforward, origin": lambda s, key: _from_origin(s, key, Feedforward(s.width, init_scale=1.0)),
    "feedforward with hidden matrix, origin": lambda s, key: _from_origin(
        s, key, Feedforward(s.width, s.hidden, init_scale=1.0, hidden_scale=1.0)
    ),
    "feedforward with hidden matrix, hidden at init": _hidden_kept,
    "feedforward with hidden matrix, init": lambda s, key: _from_init(
        s, key, Feedforward(s.width, s.hidden, init_scale=s.width**-0.5)
    ),
    "attention-only, origin": lambda s, key: _from_origin(s, key, AttentionOnly(s.layers, init_scale=1.0), _sequences),
    "decoder, init, random direction": _decoder,
    "decoder, init, gradient direction": partial(_decoder, gradient=True),
}


def _id(case: str) -> str:
    return f"expansion-order-{case.replace(',', '').replace(' ', '-')}"


def _text(values: Float[np.ndarray, " seed"]) -> str:
    return extremes(values, ".3f", "..")


STUDY = Study(
    name="expansion_order",
    source="yao2025probability",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=described(
        "Error of the expanded flow, norm over all parameters; dotted: the power of the next degree that does not "
        "vanish. Addition with {keys} keys, {anchors} anchors; sequence models: {sequences} sequences of {length} over "
        "{vocab} tokens;\nwidth {width}, init seeds (band: smallest to largest), float64. Around the origin the scale "
        "is the initial standard deviation, around an init the share of the distance at which the terms stop shrinking."
    ),
    ids=(*(_id(name) for name in CASES), "expansion-order-shuffled"),
    takes={"tiny": "15 s", "quick": "1 min"},
    smaller={"tiny": "orders 1 and 2, width 4, one block", "quick": "no published setting: 12 keys, width 16"},
    needs=("float64",),
    ledger="quick",
)
