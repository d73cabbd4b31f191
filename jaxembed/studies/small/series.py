"""Numbers over steps and seeds, and their values at a step that differs between seeds."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ...observables.crossing import crossing


@dataclass(frozen=True)
class Series:
    """What was seen of an ensemble during training.

    Attributes:
        steps: `[time]`, saved steps, from 0.
        cosines: `[seed, time, token, token]`, the anchors' cosine matrices.
        values: by name, `[seed, time]`.

    >>> run = Series(np.array([0, 10]), np.ones((1, 2, 1, 1)), {"loss": np.array([[4.0, 2.0]])})
    >>> run.crossing("loss", np.array([3.5])), run.at("loss", np.array([5.0]))
    (array([2.5]), array([3.]))
    """

    steps: Int[np.ndarray, " time"]
    cosines: Float[np.ndarray, "seed time token token"]
    values: dict[str, Float[np.ndarray, "seed time"]]

    def crossing(self, name: str, level: Float[np.ndarray, " seed"] | float) -> Float[np.ndarray, " seed"]:
        """The step at which each seed's value first falls to `level`, linear between saves; NaN where it never does."""
        return np.asarray(crossing(self.steps, self.values[name], level, rising=False))

    def at(self, name: str, steps: Float[np.ndarray, " seed"]) -> Float[np.ndarray, " seed"]:
        """Each seed's value at its own step, linear between saves; NaN where the step is NaN or past the end."""
        pairs = zip(self.values[name], steps, strict=True)
        return np.array([np.interp(step, self.steps, series, right=np.nan) for series, step in pairs])

    def cosines_at(self, steps: Float[np.ndarray, " seed"]) -> Float[np.ndarray, "token token"]:
        """The mean over seeds of the cosine matrices saved next to each seed's step; NaN where a step is NaN."""
        if np.isnan(steps).any():
            return np.full(self.cosines.shape[2:], np.nan)
        nearest = np.argmin(np.abs(self.steps[None, :] - steps[:, None]), axis=1)
        return self.cosines[np.arange(len(steps)), nearest].mean(axis=0)
