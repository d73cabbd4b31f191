"""The cells of the horizon study: ratios of predicted to observed, misses with their cause, controls, checks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ..check import Check, Size

FACTOR = 1.25
"""Asked of predicted / observed."""
SHARE = 0.8
SHARP = 1.05
HEADER = ("task", "model", "order", "next degree", "init scale", "observed / plateau", "predicted / observed", "cause")


@dataclass(frozen=True)
class Cell:
    """One theory of one task, model and initial scale.

    Attributes:
        task, model: names.
        order: of the theory.
        beyond: degree of its next non-zero term.
        lead: lowest degree of the flow.
        init_scale: standard deviation of embedding and unembedding at the start.
        plateau: `[seed]`, flow time by which the leading theory has grown by 1 / init_scale.
        efold: `[seed]`, flow time in which the leading theory grows e-fold at the plateau's end.
        predicted: `[seed]`, horizon from theory alone; infinite beyond the window, NaN undefined.
        observed: `[seed]`, horizon against the exact flow; the same conventions.
    """

    task: str
    model: str
    order: int
    beyond: int
    lead: int
    init_scale: float
    plateau: Float[np.ndarray, " seed"]
    efold: Float[np.ndarray, " seed"]
    predicted: Float[np.ndarray, " seed"]
    observed: Float[np.ndarray, " seed"]

    @property
    def ratios(self) -> Float[np.ndarray, " seed"]:
        """Predicted / observed; NaN where either is not a number inside the window."""
        both = np.isfinite(self.predicted) & np.isfinite(self.observed)
        return np.where(both, self.predicted, np.nan) / np.where(both, self.observed, 1.0)

    @property
    def hit(self) -> bool:
        """Every seed within the factor; what is undefined is a miss."""
        return bool(np.all(_within(self.ratios, FACTOR)))

    @property
    def defined(self) -> bool:
        return bool(np.all(np.isfinite(self.observed)))

    def cause(self) -> str:
        """Why the cell misses, as far as its own numbers tell."""
        if np.isnan(self.observed).any() or np.isnan(self.predicted).any():
            return "undefined: nothing moves"
        if np.isinf(self.observed).any():
            share = np.min(self.efold / self.plateau)
            return f"observed beyond the window; an e-fold is {share:.0e} of the plateau time"
        if np.isinf(self.predicted).any():
            return "predicted beyond the window: the next term stays small, a later one ends the theory"
        late = np.nanmax(self.ratios) > FACTOR
        return f"{'late' if late else 'early'}: terms beyond degree {self.beyond} {'add to' if late else 'cancel'} it"

    def row(self) -> tuple[str, ...]:
        """The cell in the order of `HEADER`."""
        where = _range(self.observed / self.plateau)
        cause = "" if self.hit else self.cause()
        numbers = (str(self.order), str(self.beyond), f"{self.init_scale:g}")
        return (self.task, self.model, *numbers, where, _range(self.ratios), cause)


@dataclass(frozen=True)
class Horizons:
    """All cells, and what was left out of the grid in words.

    Attributes:
        size: of the study.
        efolds: how far was looked beyond each cell's plateau, in e-folds of its leading theory.
        cells: of the grid.
        left_out: tasks and models without a window, with the reason.
    """

    size: Size
    efolds: float
    cells: tuple[Cell, ...]
    left_out: tuple[str, ...]

    @property
    def seeds(self) -> int:
        return len(self.cells[0].observed)

    @property
    def hits(self) -> Bool[np.ndarray, "..."]:
        """By cell, whether every seed's prediction is within the factor."""
        return np.array([cell.hit for cell in self.cells])

    def misses(self) -> list[Cell]:
        return [cell for cell in self.cells if not cell.hit]

    def share(self, factor: float = FACTOR) -> Float[np.ndarray, " seed"]:
        """By seed, the share of all cells, undefined ones included, that are predicted within `factor`."""
        return np.mean(_within(self.ratios(), factor), axis=0)

    def ratios(self) -> Float[np.ndarray, "... seed"]:
        return np.array([cell.ratios for cell in self.cells])

    def constant(self) -> Float[np.ndarray, "... seed"]:
        """Control: predicted / observed if every horizon were one and the same multiple of the plateau time.

        The multiple is fitted to the observed horizons (their geometric mean), which no theory could know.
        """
        return np.exp(np.nanmean(np.log(self._observed()))) / self._observed()

    def shuffled(self) -> Float[np.ndarray, "... seed"]:
        """Control: every cell gets the prediction of another one, in units of the plateau time."""
        predicted = np.array([cell.predicted / cell.plateau for cell in self.cells])
        dealt = np.random.default_rng(0).permutation(len(self.cells))
        return np.where(np.isfinite(predicted[dealt]), predicted[dealt], np.nan) / self._observed()

    def efold_errors(self) -> Float[np.ndarray, "... seed"]:
        """(predicted - observed) / time per e-fold of the leading theory: the error that a small init cannot hide."""
        return np.array([(cell.ratios - 1) * _finite(cell.observed) / cell.efold for cell in self.cells])

    def constant_efold_errors(self) -> Float[np.ndarray, "... seed"]:
        """The same for a control that knows the plateau's end: all horizons lie the median number of e-folds off."""
        offsets = np.array([(_finite(cell.observed) - cell.plateau) / cell.efold for cell in self.cells])
        return np.nanmedian(offsets) - offsets

    def rows(self) -> list[tuple[str, ...]]:
        """Every cell that misses, in the order of `HEADER`."""
        return [cell.row() for cell in self.misses()]

    def checks(self) -> list[Check]:
        ours, cells = self.share(), len(self.cells)
        undefined = sum(not cell.defined for cell in self.cells)
        asked = f"within a factor {FACTOR:g} in >= {SHARE:.0%} of the cells"
        got = f"{_percent(ours)} of {cells} cells ({undefined} undefined, counted as misses)"
        checks = [Check("predicted / observed horizon", asked, got, bool(np.all(ours >= SHARE)))]
        if self.size == "normal":
            checks.append(Check("size of the grid", ">= 100 cells", str(cells), cells >= 100))
        explained = all(cell.cause() for cell in self.misses())
        checks.append(Check("misses", "every one listed with its cause", f"{len(self.misses())} listed", explained))
        return [*checks, self._control_check()]

    def _control_check(self) -> Check:
        """Times alone are easy, since every horizon lies near the plateau's end: e-folds are the fair measure."""
        ours, control = (float(np.nanmedian(np.abs(x))) for x in (self.efold_errors(), self.constant_efold_errors()))
        got = f"{ours:.3f} against {control:.3f} e-folds"
        asked = "median error at most a third of that of a constant offset from the plateau's end"
        return Check("control: constant", asked, got, bool(3 * ours <= control))

    def _observed(self) -> Float[np.ndarray, "... seed"]:
        """In units of the plateau time; NaN outside the window."""
        return _finite(np.array([cell.observed / cell.plateau for cell in self.cells]))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def within(ratios: Float[np.ndarray, "... seed"], factor: float = FACTOR) -> Float[np.ndarray, " seed"]:
    """By seed, the share of cells within `factor`; undefined ones are not."""
    return np.mean(_within(ratios, factor), axis=0)


def _within(ratios: np.ndarray, factor: float) -> np.ndarray:
    return np.abs(np.log(np.where(np.isnan(ratios), np.inf, ratios))) <= np.log(factor)


def _percent(shares: np.ndarray) -> str:
    low, high = f"{shares.min():.0%}", f"{shares.max():.0%}"
    return low if low == high else f"{low} .. {high} over {len(shares)} seeds"


def _range(values: np.ndarray) -> str:
    if np.isnan(values).any():
        return "undefined"
    low, high = ("beyond" if np.isinf(x) else f"{x:.2f}" for x in (values.min(), values.max()))
    return low if low == high else f"{low} .. {high}"
