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
from ...tasks import BinaryTable
from ...theory.common_basis import CommonBasis, common_basis
from ...train import train
from ..check import Check, Size
from ..measured import silent, single_precision

TABLES = {"embed": "first", "second": "second", "unembed": "label"}
"""The model's tables and whose alphabet their rows are."""
SPARSE = 0.7
"""A neuron has a dominant index where one mode holds more than this share of its spectrum, in all three tables."""


@dataclass(frozen=True)
class Setting:
    """Full tables, float32, full-batch Adam on the cross-entropy with weight decay (lambda / 2 |theta|^2)."""

    xor: int = 64
    addition: int = 13
    width: int = 128
    init_scale: float = 0.05
    learning_rate: float = 3e-3
    weight_decay: float = 1e-5
    steps: int = 1500
    null_bases: int = 5


SETTINGS = {"tiny": Setting(xor=16, addition=7, width=48, steps=600), "normal": Setting()}


@dataclass(frozen=True)
class Neurons:
    """What the hidden units of one training look like in a basis.

    Attributes:
        sparsity: `[seed, 3, unit]`, largest share of the spectrum in U, V and W.
        index: `[seed, 3, unit]`, the mode that holds it.
    """

    sparsity: Float[np.ndarray, "seed state width"]
    index: Int[np.ndarray, "seed state width"]

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

    def row(self) -> tuple[str, ...]:
        """In the order of `HEADER`."""
        sparse = int(self.trained.sparse.sum())
        return (
            f"{self.name}, {self.size} symbols",
            str(self.basis),
            "undefined" if np.isnan(self.overlap) else f"{self.overlap:.6f}",
            _range(self.accuracy),
            f"{sparse} of {self.trained.sparse.size}",
            _range(self.trained.agreement),
            f"{1 / self.modes**2:.1e}",
            f"{_range(self.untrained.sparse_share)}, {_range(self.untrained.agreement_of_all)}",
            f"{_range(self.random.sparse_share)}, {_range(self.random.agreement_of_all)}",
        )


HEADER = (
    "operation",
    "basis from data",
    "worst overlap",
    "accuracy",
    "units over 0.7",
    "of these agree in U, V, W",
    "chance",
    "untrained: over 0.7, agree",
    "random bases: over 0.7, agree",
)


@dataclass(frozen=True)
class XorBasis:
    """XOR, modular addition, and a random table of the size of XOR looked at in the basis of XOR."""

    size: Size
    setting: Setting
    seeds: int
    xor: Operation
    addition: Operation
    random: Operation

    @property
    def operations(self) -> tuple[Operation, ...]:
        return self.xor, self.addition, self.random

    def rows(self) -> list[tuple[str, ...]]:
        return [operation.row() for operation in self.operations]

    def checks(self) -> list[Check]:
        known = (self.xor, self.addition)
        basis = [
            Check(
                f"{o.name}: overlap with {name}", ">= 0.999", f"{o.overlap:.6f}", o.basis.found and o.overlap >= 0.999
            )
            for o, name in zip(known, ("Walsh-Hadamard", "Fourier"), strict=True)
        ]
        none = self.random.basis
        basis.append(Check("random table: the answer", "none", str(none), not none.found))
        return [*basis, *(self._agreement(o) for o in known), self._null()]

    def _agreement(self, o: Operation) -> Check:
        neurons = o.trained
        got = f"{_range(neurons.agreement)} of {int(neurons.sparse.sum())} units, {self.seeds} seeds"
        enough = bool(neurons.sparse_share.min() > 0.2 and np.nanmin(neurons.agreement) >= 0.99)
        asked = ">= 0.99 in every seed, of at least a fifth of the units"
        return Check(f"{o.name}: units with sparsity > {SPARSE} agree in U, V, W", asked, got, enough)

    def _null(self) -> Check:
        # Few modes leave room for chance: what a dominant index would be worth there is in the table, not here.
        shares = [self.random.trained.sparse_share, self.xor.untrained.sparse_share, self.xor.random.sparse_share]
        worst = max(float(share.max()) for share in shares)
        asked = "< 0.1 of the units"
        return Check("XOR: over 0.7 on a random table, untrained, in random bases", asked, f"{worst:.3f}", worst < 0.1)


def xor_basis(size: Size, seeds: int = 3, progress: Callable[[str], None] = silent) -> XorBasis:
    """Find the bases from the data, train, and look at the trained units in them.

    Args:
        size: "tiny" (16 symbols and modulo 7) or "normal" (64 symbols and modulo 13).
        seeds: initialisations.
        progress: called with a line of text after each part.

    Source: wang2026modular.
    """
    setting = SETTINGS[size]
    xor = BinaryTable(setting.xor, "xor").dataset()
    addition = BinaryTable(setting.addition).dataset()
    random = BinaryTable(setting.xor, "xor", label_noise=1.0).dataset()
    named = (("XOR", xor, hadamard(setting.xor)), ("modular addition", addition, fourier(setting.addition)))
    found = [_operation(setting, name, data, reference, seeds, progress) for name, data, reference in named]
    null = _operation(setting, "random table", random, None, seeds, progress, found[0].basis)
    return XorBasis(size, setting, seeds, found[0], found[1], null)


def hadamard(size: int) -> Float[np.ndarray, "token token"]:
    """Walsh-Hadamard basis of 0..size-1 under XOR: the reference that `common_basis` is not given."""
    signs = [[(-1) ** (row & column).bit_count() for column in range(size)] for row in range(size)]
    return np.array(signs) / np.sqrt(size)


def fourier(size: int) -> np.ndarray:
    """Fourier basis of 0..size-1 under addition modulo `size`: the reference that `common_basis` is not given."""
    row, column = np.indices((size, size))
    return np.exp(2j * np.pi * row * column / size) / np.sqrt(size)


def worst_overlap(basis: CommonBasis, reference: np.ndarray) -> float:
    """Least |<b_i, h_pi(i)>| over columns and bases, pi the matching; 0 where the matches are not one to one."""
    worst = []
    for columns in (basis.first, basis.second, basis.label):
        table = np.abs(reference.conj().T @ np.asarray(columns))
        matched = len(set(table.argmax(axis=0))) == len(table)
        worst.append(table.max(axis=0).min() if matched else 0.0)
    return float(min(worst))


def _operation(
    setting: Setting,
    name: str,
    data: Dataset,
    reference: np.ndarray | None,
    seeds: int,
    progress: Callable[[str], None],
    look: CommonBasis | None = None,
) -> Operation:
    basis = common_basis(position_signatures(data))
    progress(f"{name}: {basis}")
    starts, ends = trained_tables(setting, data, seeds)
    view = basis if look is None else look
    modes = len(np.unique(np.minimum(np.asarray(view.partner), np.arange(data.vocab)))) - 1
    overlap = float("nan") if reference is None else worst_overlap(basis, reference)
    trained, untrained = (neurons(view, tables) for tables in (ends, starts))
    random = neurons(view, ends, np.random.default_rng(0), setting.null_bases)
    accuracy = _accuracy(setting, data, ends)
    progress(f"{name}: {int(trained.sparse.sum())} units over {SPARSE}, agreement {_range(trained.agreement)}")
    return Operation(name, data.vocab, basis, overlap, modes, accuracy, trained, untrained, random)


def trained_tables(setting: Setting, data: Dataset, seeds: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Tables before and after training, each `[seed, token, unit]`."""
    keys = jax.random.split(jax.random.key(0), seeds)
    loss = population_loss(_model(setting), data)
    loss = single_precision(decayed(loss, jnp.asarray(setting.weight_decay)))
    return ensemble(_run(setting, data.vocab), keys, loss, mapping="loop")


@cache
def _run(setting: Setting, vocab: int) -> Callable[[Array, Any], Any]:
    def run(key: Array, loss: Any) -> Any:
        start = single_precision(_model(setting).init(key, vocab, 2))
        line = train(loss, start, optax.adam(setting.learning_rate), save_steps=[0, setting.steps])
        return start, jax.tree.map(lambda leaf: leaf[-1], line.ys)

    return run


def neurons(
    basis: CommonBasis, tables: dict[str, Any], rng: np.random.Generator | None = None, draws: int = 1
) -> Neurons:
    """Sparsity and dominant index of every unit; with `rng` in random orthogonal bases instead, `draws` of them."""
    parts = []
    for _ in range(draws if rng is not None else 1):
        view = basis if rng is None else _random(basis, rng)
        shares = [np.stack([np.asarray(view.spectrum(r, w)) for w in np.asarray(tables[k])]) for k, r in TABLES.items()]
        parts.append(np.stack(shares, axis=1))
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


def _accuracy(setting: Setting, data: Dataset, tables: dict[str, Any]) -> Float[np.ndarray, " seed"]:
    apply = jax.jit(jax.vmap(_model(setting).apply, (None, 0)))
    answers = [
        np.asarray(apply({k: w[seed] for k, w in tables.items()}, jnp.asarray(data.tokens))).argmax(axis=1)
        for seed in range(len(tables["embed"]))
    ]
    return np.array([(answer == data.targets).mean() for answer in answers])


def _model(setting: Setting) -> TwoPosition:
    return TwoPosition(setting.width, init_scale=setting.init_scale)


def _range(values: Float[np.ndarray, " seed"]) -> str:
    if np.isnan(values).any():
        return "undefined"
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low}..{high}"
