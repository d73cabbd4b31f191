"""Linear-Gaussian states: the mean of the Kalman filter in embeddings trained by likelihood and squared error."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import CEILING, NULLS, Decoded, DecodingResult, DecodingSetting, Trained, decode
from ...models import Gaussian, SquaredError
from ...processes import LinearGaussian
from ...runs.presets import find_setting
from ...tables import Table, interval, number
from .. import Bound, Evidence, Run, Size, Study
from ._shared import WORLDS, on_shifted_data, part, result_of, score_evidence, share_evidence

LIKELIHOOD, SQUARED = "likelihood", "squared error"
HEADS = {LIKELIHOOD: Gaussian(), SQUARED: SquaredError()}
MEAN = "state_mean"
DATA: tuple[str, ...] = ("own data", "shifted data, probe fitted anew", "shifted data, probe of own data")


@dataclass(frozen=True)
class KalmanSetting:
    """Networks on noisy views of a hidden vector, and what is expected of them.

    Attributes:
        heads: by name, process, training and probing.
        mean: R2 of the Kalman mean, at least.
        share: of the gap between the best null and the ceiling, at least.
    """

    heads: dict[str, DecodingSetting]
    mean: float = 0.95
    share: float = 0.7


def setting_of(size: Size, heads: tuple[str, ...] = (LIKELIHOOD, SQUARED)) -> dict[str, DecodingSetting]:
    """The catalogue's setting "linear-gaussian" with every head."""
    base = find_setting("linear-gaussian", size)
    return {name: replace(base, recipe=replace(base.recipe, head=HEADS[name])) for name in heads}


SETTINGS: dict[Size, KalmanSetting] = {
    "tiny": KalmanSetting(setting_of("tiny", (LIKELIHOOD,)), 0.8, 0.3),
    "quick": KalmanSetting(setting_of("quick")),
    "published": KalmanSetting(setting_of("published")),
}


@dataclass(frozen=True)
class Kalman:
    """What was read, by head.

    Attributes:
        setting: what ran.
        results: networks and scores on own data.
        shifted: scores on data of the shifted process, the probe fitted anew and carried over.
        depths: the Kalman mean by layer and step.
        correlated: nats by which independent normals with exact means and variances miss the exact density, `[seed]`.
    """

    setting: KalmanSetting
    results: dict[str, DecodingResult]
    shifted: dict[str, tuple[Decoded, Decoded]]
    depths: dict[str, Decoded]
    correlated: Float[np.ndarray, " seed"]

    def on(self, head: str, data: str) -> Decoded:
        """The scores of one head on one kind of data (`DATA`)."""
        return dict(zip(DATA, (self.results[head].decoded, *self.shifted[head]), strict=True))[data]


def run(setting: KalmanSetting, run: Run) -> Kalman:
    """Train transformers on noisy views of a hidden vector, with both heads, and read the Kalman mean off them.

    A seed is a network with dynamics and views of its own.
    """
    results, shifted, depths, correlated = {}, {}, {}, np.zeros(0)
    for head, one in setting.heads.items():
        own = part(run, head)
        results[head], trained = result_of(one, own)
        shifted[head] = on_shifted_data(one, trained, own)
        everywhere = replace(one.probing, targets=(MEAN,), layers="all", times="all")
        depths[head] = decode(one.process, one.recipe, trained, everywhere, keep=own.keep)
        correlated = _beyond_independent(one.process, trained, one.recipe.length)
    return Kalman(setting, results, shifted, depths, correlated)


def tables(result: Kalman) -> tuple[Table, ...]:
    """R2 of every target beside nulls and ceiling; losses beside the exact floor: nats an item, or squared error."""
    rows, lost = [], []
    for head, own in result.results.items():
        for data in DATA:
            of = result.on(head, data)
            for target in of.targets:
                error = number(of.values(target, "relative error").mean(), ".3f")
                rows.append((head, data, target, *of.texts(target, "R2", spec=".3f", share=".2f"), error))
        losses = own.decoded.losses
        means = (number(np.mean(losses[name]), ".4f") for name in ("trained", "untrained", "floor"))
        beyond = interval(result.correlated, ".4f") if head == LIKELIHOOD else "none"
        lost.append((head, *means, interval(own.decoded.excess, ".4f"), beyond))
    header = ("head", "data", "target", "R2", *NULLS, CEILING, "share closed", "relative error")
    loss_header = ("head", "trained", "untrained", "exact", "excess", "of it beyond independent normals")
    note = training(result)
    return (
        Table("R2 of linear probes, 95 % intervals over seeds", header, rows, note),
        Table("losses", loss_header, lost, note, "losses"),
    )


def evidence(result: Kalman) -> tuple[Evidence, ...]:
    """R2 of the Kalman mean by head, and the share of the gap by likelihood."""
    setting, rows = result.setting, []
    mean = Bound("expectation", least=setting.mean, source="expected at this size")
    for head, own in result.results.items():
        name, by = ("kalman-mean", "") if head == LIKELIHOOD else ("kalman-mean-squared", ", by squared error")
        claim = f"linear-Gaussian states: R2 of the Kalman mean{by} (null: best of four)"
        values, null = own.decoded.values(MEAN, "R2"), own.decoded.null(MEAN, "R2")[0]
        rows.append(score_evidence(name, claim, values, null, mean, "none", varied=WORLDS))
    share = Bound("expectation", least=setting.share, source="expected at this size")
    claim = "linear-Gaussian states: share of the gap closed, R2 of the Kalman mean"
    own = result.results[LIKELIHOOD].decoded
    return (*rows, share_evidence("kalman-gap", claim, own, MEAN, "R2", share, "none", varied=WORLDS))


def training(result: Kalman) -> str:
    """Process and training."""
    one = result.setting.heads[LIKELIHOOD]
    steps = f"{one.recipe.steps} steps of {one.recipe.batch} sequences of {one.recipe.length}"
    return f"{one.process}, {steps}, {one.recipe.model}"


def caption(result: Kalman) -> str:
    return f"{training(result)}. Bars and bands: smallest to largest over seeds (network, world, draws)."


STUDY = Study(
    name="kalman",
    source="jaxembed",
    settings=SETTINGS,
    seeds={"tiny": 1, "quick": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("kalman-mean", "kalman-mean-squared", "kalman-gap"),
    takes={"tiny": "30 s", "quick": "4 min", "published": "hours on a GPU"},
    smaller={
        "tiny": "sequences of 20 for 500, width 16 for 128, 400 steps for 40000; training by likelihood alone",
        "quick": "sequences of 128 for 500, width 64 for 128, 5000 steps for 40000",
    },
    needs=("float64",),
    ledger="tiny",
    beyond_tiny=("kalman-mean-squared",),
)


def _beyond_independent(process: LinearGaussian, trained: Trained, length: int) -> Float[np.ndarray, " seed"]:
    """log of the volume of independent normals over that of the exact predictive density, in nats an item."""
    nats = []
    for i in range(len(trained.seeds)):
        covariance = process.covariances(trained.world(i), length)[1][1:]
        variances = jnp.diagonal(covariance, axis1=1, axis2=2)
        excess = 0.5 * (jnp.sum(jnp.log(variances), axis=1) - jnp.linalg.slogdet(covariance)[1])
        nats.append(float(jnp.mean(excess)))
    return np.array(nats)
