"""The basis that training finds, named beforehand from the table alone: XOR, modular addition, and a random table."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from ...base import Dataset
from ...ensemble import ensemble
from ...losses.population import decayed, population_loss
from ...models import TwoPosition
from ...statistics import position_signatures
from ...tables import Table, extremes, number
from ...tasks import BinaryTable
from ...theory.binary_modes import Bases, fourier, hadamard
from ...theory.common_basis import CommonBasis, common_basis
from ...train import single_precision, train
from ..evidence import Bound, Evidence, Size
from ..rows import control
from ..study import Run, Study

TABLES = {"embed": "first", "second": "second", "unembed": "label"}
"""The model's tables and whose alphabet their rows are."""
SPARSE = 0.7
"""A neuron has a dominant index where one mode holds more than this share of its spectrum, in all three tables."""
HEADER = (
    "operation", "basis from data", "worst overlap", "accuracy", "units over 0.7", "of these agree in U, V, W",
    "chance", "untrained: over 0.7, agree", "random bases: over 0.7, agree",
)  # fmt: skip


@dataclass(frozen=True)
class XorBasisSetting:
    """Full tables, float32, full-batch Adam on the cross-entropy with weight decay (lambda / 2 |theta|^2)."""

    xor: int = 64
    addition: int = 13
    width: int = 128
    init_scale: float = 0.05
    learning_rate: float = 3e-3
    weight_decay: float = 1e-5
    steps: int = 1500
    null_bases: int = 5


SETTINGS: dict[Size, XorBasisSetting] = {
    "tiny": XorBasisSetting(xor=16, addition=7, width=48, steps=600),
    "quick": XorBasisSetting(),
}


@dataclass(frozen=True)
class Neurons:
    """What the hidden units of one training look like in a basis.

    Attributes:
        sparsity: `[seed, 3, unit]`, largest share of the spectrum in U, V and W.
        index: `[seed, 3, unit]`, the mode that holds it.
    """

    sparsity: Float[np.ndarray, "seed 3 width"]
    index: Int[np.ndarray, "seed 3 width"]

    @property
    def sparse(self) -> Bool[np.ndarray, "seed width"]:
        """Which units have a dominant index in all three tables, `[seed, unit]`."""
        return np.all(self.sparsity > SPARSE, axis=1)

    @property
    def agree(self) -> Bool[np.ndarray, "seed width"]:
        """Which units have the same one in all three, `[seed, unit]`."""
        return np.all(self.index == self.index[:, :1], axis=1)

    @property
    def sparse_share(self) -> Float[np.ndarray, " seed"]:
        """Of all units."""
        return self.sparse.mean(axis=1)

    @property
    def agreement(self) -> Float[np.ndarray, " seed"]:
        """Share of the sparse units that agree; NaN, undefined, where there is none."""
        sparse = self.sparse.sum(axis=1)
        return np.where(sparse, (self.sparse & self.agree).sum(axis=1), np.nan) / np.maximum(sparse, 1)

    @property
    def agreement_of_all(self) -> Float[np.ndarray, " seed"]:
        """Share of all units that agree."""
        return self.agree.mean(axis=1)


@dataclass(frozen=True)
class Operation:
    """One table: what its data say beforehand, and what training made of it.

    Attributes:
        name: of the operation.
        size: number of symbols.
        basis: found from the data alone.
        overlap: worst overlap of a column with its match among Walsh-Hadamard or Fourier, over the three bases, or NaN
            where no reference is known.
        modes: number of modes that an index can take; one over it squared is the chance of agreement.
        accuracy: `[seed]`, on the whole table, after training.
        trained: in the basis.
        untrained: the initial parameters, in the basis.
        random: the trained units in random orthogonal bases.
    """

    name: str
    size: int
    basis: CommonBasis
    overlap: float
    modes: int
    accuracy: Float[np.ndarray, " seed"]
    trained: Neurons
    untrained: Neurons
    random: Neurons


@dataclass(frozen=True)
class XorBasis:
    """XOR, modular addition, and a random table of the size of XOR, whose units are read in the basis of XOR."""

    setting: XorBasisSetting
    xor: Operation
    addition: Operation
    random: Operation

    @property
    def operations(self) -> tuple[Operation, ...]:
        return self.xor, self.addition, self.random


def run(setting: XorBasisSetting, run: Run) -> XorBasis:
    """Find the bases from the data, train, and read the trained units in them; seeds are initialisations.

    Source: wang2026modular.
    """
    size = setting.xor
    xor = _operation(setting, run, "XOR", BinaryTable(size, "xor"), hadamard(size))
    modular = BinaryTable(setting.addition)
    addition = _operation(setting, run, "modular addition", modular, fourier(setting.addition))
    noise = BinaryTable(size, "xor", label_noise=1.0)
    return XorBasis(setting, xor, addition, _operation(setting, run, "random table", noise, frame=xor.basis))


def tables(result: XorBasis) -> tuple[Table, ...]:
    """Every operation: its basis, and its units with their controls."""

    def shares(units: Neurons) -> str:
        return f"{extremes(units.sparse_share)}, {extremes(units.agreement_of_all)}"

    rows = [
        (f"{o.name}, {o.size} symbols", str(o.basis), number(o.overlap, ".6f"), extremes(o.accuracy),
         f"{o.trained.sparse.sum()} of {o.trained.sparse.size}", extremes(o.trained.agreement),
         f"{1 / o.modes**2:.1e}", shares(o.untrained), shares(o.random))
        for o in result.operations
    ]  # fmt: skip
    return (Table(f"full tables, {len(result.xor.accuracy)} init seeds, Adam, float32", HEADER, rows),)


def evidence(result: XorBasis) -> tuple[Evidence, ...]:
    """Bases from the data alone, what training makes of them, and controls that must show none of it."""
    xor, addition, random = result.operations
    agree = Bound("expectation", least=0.99, source="published: agree for sparsity > 0.7; 0.99 is ours")
    fifth = Bound("expectation", least=0.2, source="a fifth of the units", strict=True)
    rows = [
        _overlap("basis-xor", xor, "Walsh-Hadamard", fourier(xor.size).first),
        _overlap("basis-addition", addition, "Fourier",
                 np.linalg.qr(np.random.default_rng(0).normal(size=(addition.size, addition.size)))[0]),
        control("basis-none", "a random table has no such basis (residual; null: XOR's)", random.basis.residual,
                random.basis.threshold, published="not covered", null=np.array([float(xor.basis.residual)]),
                ceiling="1"),
    ]  # fmt: skip
    for name, operation, text in (("xor", xor, "XOR"), ("addition", addition, "modular addition")):
        trained, null = operation.trained, operation.random
        # The null of the agreement takes all units, for in random bases next to none is sparse.
        rows += [
            Evidence(f"basis-{name}-neurons",
                     f"{text}: trained units with sparsity > {SPARSE} have one dominant index in all three matrices",
                     trained.agreement, agree, published="agree for sparsity > 0.7, no number",
                     null=null.agreement_of_all, ceiling="1"),
            Evidence(f"basis-{name}-sparse", f"{text}: share of the trained units with sparsity > {SPARSE}",
                     trained.sparse_share, fifth, published="no number", null=null.sparse_share, ceiling="1"),
        ]  # fmt: skip
    # Few modes leave room for chance: what a dominant index is worth in addition is in the table, not here.
    controls = [part.sparse_share for part in (random.trained, xor.untrained, xor.random)]
    rows.append(Evidence("basis-controls",
                         f"XOR: share of units over {SPARSE} on a random table, untrained, in random bases "
                         "(largest, every seed)",
                         np.max(controls, axis=0),
                         Bound("machinery", most=0.1, source="controls that must fail", strict=True),
                         no_null="these are the controls", ceiling="0", every=True))  # fmt: skip
    return tuple(rows)


def _overlap(name: str, operation: Operation, reference: str, wrong: Array | np.ndarray) -> Evidence:
    """Overlap with the basis that the operation has; the null is the overlap with another one."""
    text = f"{operation.name} on {operation.size} symbols: data alone give the {reference} basis (worst overlap)"
    overlap = operation.overlap if operation.basis.found else 0.0
    return Evidence(name, text, np.array([overlap]),
                    Bound("expectation", least=0.999, source=f"{reference} is published, 0.999 is ours"),
                    published=f"{reference}, no number", null=np.array([worst_overlap(operation.basis, wrong)]),
                    ceiling="1", varied="tables (exact)", interval=(overlap, overlap))  # fmt: skip


def caption(result: XorBasis) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"two-position GELU model, width {setting.width}, init scale {setting.init_scale:g}, Adam "
        f"{setting.learning_rate:g}, weight decay {setting.weight_decay:g}, {setting.steps} full-batch steps, "
        f"float32;\nunits of the random table are read in the basis of XOR. Blue in the lower row: units with more "
        f"than {SPARSE:g} in one mode of each matrix."
    )


STUDY = Study(
    name="xor_basis",
    source="wang2026modular",
    settings=SETTINGS,
    seeds={"tiny": 3, "quick": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("basis-xor", "basis-addition", "basis-none", "basis-xor-neurons", "basis-xor-sparse", "basis-addition-neurons",
         "basis-addition-sparse", "basis-controls"),
    takes={"tiny": "30 s", "quick": "2 min"},
    smaller={"tiny": "16 symbols of XOR, 7 of addition, width 48 (source: 113 symbols, width 2,000)",
             "quick": "64 symbols of XOR, 13 of addition, width 128 (source: 113 symbols, width 2,000)"},
    ledger="tiny",
)  # fmt: skip


def worst_overlap(basis: CommonBasis, reference: Array | np.ndarray) -> float:
    """Least |<b_i, h_pi(i)>| over columns and bases, pi the matching; 0 where the matches are not one to one."""
    worst = []
    for columns in (basis.first, basis.second, basis.label):
        table = np.abs(np.asarray(reference).conj().T @ np.asarray(columns))
        matched = len(set(table.argmax(axis=0))) == len(table)
        worst.append(table.max(axis=0).min() if matched else 0.0)
    return float(min(worst))


def _operation(
    setting: XorBasisSetting,
    run: Run,
    name: str,
    task: BinaryTable,
    reference: Bases | None = None,
    frame: CommonBasis | None = None,
) -> Operation:
    """One table; its units are read in `frame`, or in the basis of its own data."""
    data = task.dataset()
    basis = common_basis(position_signatures(data))
    run.progress(f"{name}: {basis}")
    starts, ends = trained_tables(setting, data, run.seeds)
    frame = basis if frame is None else frame
    modes = len(np.unique(np.minimum(np.asarray(frame.partner), np.arange(data.vocab)))) - 1
    overlap = float("nan") if reference is None else worst_overlap(basis, reference.first)
    trained, untrained = (neurons(frame, tables) for tables in (ends, starts))
    random = neurons(frame, ends, np.random.default_rng(0), setting.null_bases)
    run.progress(f"{name}: {trained.sparse.sum()} units over {SPARSE}, agreement {extremes(trained.agreement)}")
    accuracy = _accuracy(setting, data, ends)
    return Operation(name, data.vocab, basis, overlap, modes, accuracy, trained, untrained, random)


def trained_tables(
    setting: XorBasisSetting, data: Dataset, seeds: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Tables before and after training, each `[seed, token, unit]`."""
    keys = jax.random.split(jax.random.key(0), seeds)
    loss = population_loss(_model(setting), data)
    loss = single_precision(decayed(loss, jnp.asarray(setting.weight_decay)))
    return ensemble(_trainer(setting, data.vocab), keys, loss, mapping="loop")


@cache
def _trainer(setting: XorBasisSetting, vocab: int) -> Callable[[Array, Any], Any]:
    def member(key: Array, loss: Any) -> Any:
        start = single_precision(_model(setting).init(key, vocab, 2))
        line = train(loss, start, optax.adam(setting.learning_rate), save_steps=[0, setting.steps])
        return start, jax.tree.map(lambda leaf: leaf[-1], line.ys)

    return member


def neurons(
    basis: CommonBasis, tables: dict[str, Any], rng: np.random.Generator | None = None, draws: int = 1
) -> Neurons:
    """Sparsity and dominant index of every unit; with `rng` in random orthogonal bases instead, `draws` of them."""
    parts = []
    for _ in range(draws if rng is not None else 1):
        frame = basis if rng is None else _random(basis, rng)
        spectra = [[frame.spectrum(role, w) for w in np.asarray(tables[name])] for name, role in TABLES.items()]
        parts.append(np.array(spectra).swapaxes(0, 1))
    spectra = np.concatenate(parts, axis=3)
    return Neurons(spectra.max(axis=2), spectra.argmax(axis=2))


def _random(basis: CommonBasis, rng: np.random.Generator) -> CommonBasis:
    """Each alphabet's columns turned at random about the constant; a real rotation keeps conjugate pairs."""
    size = len(basis.partner)

    def frame() -> np.ndarray:
        columns = rng.normal(size=(size, size))
        columns[:, 0] = 1
        return np.linalg.qr(columns)[0]

    def turned(columns: Array) -> Array:
        return jnp.asarray(frame() @ frame().T @ np.asarray(columns))

    return replace(basis, first=turned(basis.first), second=turned(basis.second), label=turned(basis.label))


def _accuracy(setting: XorBasisSetting, data: Dataset, tables: dict[str, Any]) -> Float[np.ndarray, " seed"]:
    apply = jax.jit(jax.vmap(jax.vmap(_model(setting).apply, (None, 0)), (0, None)))
    answers = np.asarray(apply(tables, jnp.asarray(data.tokens))).argmax(axis=2)
    return (answers == data.targets).mean(axis=1)


def _model(setting: XorBasisSetting) -> TwoPosition:
    return TwoPosition(setting.width, init_scale=setting.init_scale)
