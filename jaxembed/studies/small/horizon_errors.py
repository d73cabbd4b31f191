"""Predicted and observed horizons of truncated theories: ratios, errors in e-folds, controls, and causes of misses."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ...tables import extremes

FACTOR, SHARP = 1.25, 1.05
"""Factors within which a prediction hits; the first is asked of it."""


@dataclass(frozen=True)
class TheoryHorizon:
    """One theory of one task, model and initial scale.

    Attributes:
        task: its name.
        model: its name.
        order: of the theory.
        beyond: degree of its next non-zero term.
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
    init_scale: float
    plateau: Float[np.ndarray, " seed"]
    efold: Float[np.ndarray, " seed"]
    predicted: Float[np.ndarray, " seed"]
    observed: Float[np.ndarray, " seed"]

    @property
    def ratios(self) -> Float[np.ndarray, " seed"]:
        """Predicted / observed; NaN where either is not a number inside the window."""
        return _finite(self.predicted) / _finite(self.observed)

    @property
    def hit(self) -> bool:
        """Every seed within the factor; what is undefined is a miss."""
        return bool(np.all(_close(self.ratios, FACTOR)))

    def cause(self) -> str:
        """Why it misses, as far as its own numbers tell."""
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
        """Task, model, order, next degree, init scale, observed / plateau, predicted / observed, cause of a miss."""
        ends = (extremes(x, ".2f").replace("infinite", "beyond") for x in (self.observed / self.plateau, self.ratios))
        numbers = (str(self.order), str(self.beyond), f"{self.init_scale:g}")
        return (self.task, self.model, *numbers, *ends, "" if self.hit else self.cause())


@dataclass(frozen=True)
class HorizonErrors:
    """How far predictions are off, `[theory, seed]`, beside controls that know what was observed."""

    theories: tuple[TheoryHorizon, ...]

    def stacked(self, name: str) -> Float[np.ndarray, "... seed"]:
        return np.array([getattr(theory, name) for theory in self.theories])

    @property
    def observed(self) -> Float[np.ndarray, "... seed"]:
        """In units of the plateau time; NaN outside the window."""
        return _finite(self.stacked("observed") / self.stacked("plateau"))

    def ratios(self) -> Float[np.ndarray, "... seed"]:
        return self.stacked("ratios")

    def constant(self) -> Float[np.ndarray, "... seed"]:
        """Control: predicted / observed if every horizon were one and the same multiple of the plateau time.

        The multiple is fitted to the observed horizons (their geometric mean), which no theory could know.
        """
        return np.exp(np.nanmean(np.log(self.observed))) / self.observed

    def shuffled(self) -> Float[np.ndarray, "... seed"]:
        """Control: every theory gets the prediction of another one, in units of the plateau time."""
        dealt = np.random.default_rng(0).permutation(len(self.theories))
        return _finite(self.stacked("predicted") / self.stacked("plateau"))[dealt] / self.observed

    def efolds(self) -> Float[np.ndarray, "... seed"]:
        """(predicted - observed) / time per e-fold of the leading theory: the error that a small init cannot hide."""
        return (self.ratios() - 1) * _finite(self.stacked("observed")) / self.stacked("efold")

    def constant_efolds(self) -> Float[np.ndarray, "... seed"]:
        """The same for a control that knows the plateau's end: all horizons lie the median number of e-folds off."""
        offsets = (_finite(self.stacked("observed")) - self.stacked("plateau")) / self.stacked("efold")
        return np.nanmedian(offsets) - offsets


def within(ratios: Float[np.ndarray, "... seed"], factor: float = FACTOR) -> Float[np.ndarray, " seed"]:
    """By seed, the share of theories within `factor`; undefined ones are not."""
    return np.mean(_close(ratios, factor), axis=0)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _close(ratios: np.ndarray, factor: float) -> np.ndarray:
    return np.abs(np.log(np.where(np.isnan(ratios), np.inf, ratios))) <= np.log(factor)
