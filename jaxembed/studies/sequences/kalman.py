"""Linear-Gaussian states: the mean of the Kalman filter in embeddings trained by likelihood and squared error."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import Decoded, LatentResult, Probing, Trained, carried_out, decode
from ...decoding.scores import CEILING, MODEL, NULLS
from ...models import Gaussian, SquaredError
from ...processes import LinearGaussian
from ...runs.presets.catalogue import find_setting
from ..check import Check, need_float64
from ..measured import mean_and_interval, silent

KalmanSize = Literal["tiny", "quick", "full"]
HEADS = {"likelihood": Gaussian(), "squared error": SquaredError()}
MEAN, STATE = "state_mean", "state"
DATA: tuple[str, ...] = ("own data", "shifted data, probe fitted anew", "shifted data, probe of own data")
HEADER = ("head", "data", "target", "R2", *NULLS, "ceiling", "share closed", "relative error")
LOSS_HEADER = ("head", "trained", "untrained", "exact", "excess", "of it beyond independent normals")


@dataclass(frozen=True)
class Kalman:
    """What the study found.

    Attributes:
        size: of the study.
        least: R2 of the Kalman mean that is asked.
        results: by head, the setting carried out.
        shifted: by head, scores on data of the shifted process, the probe fitted anew and carried over.
        depths: by head, the Kalman mean by layer and step.
        correlated: nats by which independent normals with exact means and variances miss the exact density, `[seed]`.
    """

    size: KalmanSize
    least: float
    results: dict[str, LatentResult]
    shifted: dict[str, tuple[Decoded, Decoded]]
    depths: dict[str, Decoded]
    correlated: Float[np.ndarray, " seed"]

    def on(self, head: str, data: str) -> Decoded:
        """The scores of one head on one kind of data (`DATA`)."""
        return dict(zip(DATA, (self.results[head].decoded, *self.shifted[head]), strict=True))[data]

    def rows(self) -> list[tuple[str, ...]]:
        """R2 of every target beside nulls and ceiling, as text under `HEADER`."""
        found = []
        for head in self.results:
            for data in DATA:
                of = self.on(head, data)
                for target in of.targets:
                    values = [of.values(target, "R2", source) for source in (MODEL, *NULLS, CEILING)]
                    texts = [mean_and_interval(values[0], 3), *(f"{x.mean():.3f}" for x in values[1:])]
                    share = mean_and_interval(of.share(target, "R2"))
                    error = f"{of.values(target, 'relative error').mean():.3f}"
                    found.append((head, data, target, *texts, share, error))
        return found

    def loss_rows(self) -> list[tuple[str, ...]]:
        """Losses beside the exact floor: nats an item, or squared error."""
        found = []
        for head, result in self.results.items():
            of = result.decoded
            means = [f"{np.mean(of.losses[name]):.4f}" for name in ("trained", "untrained", "floor")]
            beyond = mean_and_interval(self.correlated, 4) if head == "likelihood" else "none"
            found.append((head, *means, mean_and_interval(of.excess, 4), beyond))
        return found

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        checks = []
        for head, result in self.results.items():
            found, (null, source) = result.decoded.values(MEAN, "R2"), result.decoded.null(MEAN, "R2")
            got = f"{mean_and_interval(found, 3)}; {source} {null.mean():.3f}"
            name = f"{head}: R2 of the Kalman mean"
            checks.append(Check(name, f">= {self.least:g} (mean)", got, bool(found.mean() >= self.least)))
        share = self.results["likelihood"].share
        least = 0.7 if self.size != "tiny" else 0.3
        name = "likelihood: share of the gap closed, R2 of the Kalman mean"
        return [*checks, Check(name, f">= {least:g} (mean)", mean_and_interval(share), bool(share.mean() >= least))]


def kalman(
    size: KalmanSize, seeds: int = 3, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> Kalman:
    """Train transformers on noisy views of a hidden vector, with both heads, and read the Kalman mean off them.

    Args:
        size: "tiny" (seconds; one head), "quick" (minutes) or "full" (the published network).
        seeds: networks of each head; each has dynamics and views of its own.
        keep: a folder for what is trained and found, so that a killed run goes on.
        progress: takes lines on how far it is.

    Raises:
        ValueError: where JAX computes in float32, which is too coarse for the exact posteriors.

    Source: jaxembed.
    """
    need_float64("kalman")
    base = find_setting("linear-gaussian", size)
    results, shifted, depths, correlated = {}, {}, {}, np.zeros(0)
    for head, of in list(HEADS.items())[: 1 if size == "tiny" else None]:
        setting = replace(base, recipe=replace(base.recipe, head=of))
        place = None if keep is None else keep / head.replace(" ", "_")
        results[head], trained = carried_out(setting, "linear-gaussian", size, seeds, place, progress)
        other = setting.process.shifted()
        shifted[head] = tuple(
            decode(
                setting.process,
                setting.recipe,
                trained,
                setting.probing,
                process_of_data=other,
                transfer=carried,
                keep=place,
            )
            for carried in (False, True)
        )
        depths[head] = decode(setting.process, setting.recipe, trained, _everywhere(setting.probing), keep=place)
        correlated = _beyond_independent(setting.process, trained, setting.recipe.length)
    return Kalman(size, 0.95 if size != "tiny" else 0.8, results, shifted, depths, correlated)


def _everywhere(probing: Probing) -> Probing:
    """The Kalman mean at every layer and saved step."""
    return replace(probing, targets=(MEAN,), layers="all", times="all")


def _beyond_independent(process: LinearGaussian, trained: Trained, length: int) -> Float[np.ndarray, " seed"]:
    """log of the volume of independent normals over that of the exact predictive density, in nats an item."""
    found = []
    for i in range(len(trained.seeds)):
        covariance = process.covariances(trained.world(i), length)[1][1:]
        variances = jnp.diagonal(covariance, axis1=1, axis2=2)
        excess = 0.5 * (jnp.sum(jnp.log(variances), axis=1) - jnp.linalg.slogdet(covariance)[1])
        found.append(float(jnp.mean(excess)))
    return np.array(found)
