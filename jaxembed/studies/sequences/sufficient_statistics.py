"""Exchangeable items: statistics and posterior moments in embeddings, under the own and a shifted prior, and parsimony.

Published as Figures 2, 8 and 9 and a table of "What Should Embeddings Embed?"; numbers there are few, and untrained
networks meet most of them, so what is asked is the share of the gap from the best null to exact inference that training
closes. The scores themselves stand beside the untrained network, the last item, shuffled targets and exact inference.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ...decoding import NULLS, Decoded, DecodingResult, DecodingSetting, Probing, Trained, predicted, read_states
from ...runs.presets import find_setting
from ...tables import Table, interval
from .. import Bound, Evidence, Run, Size, Study
from . import parsimony
from ._shared import gain_evidence, on_shifted_data, part, result_of, score_evidence, share_evidence, training_notes
from .parsimony import explained_variance

GAUSS, SQUARED, COIN, WAITING, TOKENS = EVERY = (
    "gaussian-gamma",
    "gaussian-gamma-squared",
    "beta-bernoulli",
    "gamma-exponential",
    "dirichlet-categorical",
)
TARGETS = {WAITING: ("log_statistics", "log_moments")}
"""Statistics and moments where they go by other names: those of exponential items have heavy tails."""
SHOWN = 200
"""Test sequences of the figure."""
OWN, REFITTED, KEPT = PLACES = ("own prior", "shifted prior, probe refitted", "shifted prior, probe kept")


@dataclass(frozen=True)
class StatisticsSetting:
    """Processes, and how their networks are trained and probed.

    Attributes:
        settings: of the catalogue, by name.
        probe_steps: of the MLP that predicts embeddings from statistics.
        numbers: whether the expected numbers are asked for; otherwise no more than to lie above every null.
    """

    settings: dict[str, DecodingSetting]
    probe_steps: int = 3000
    numbers: bool = True


SETTINGS: dict[Size, StatisticsSetting] = {
    "tiny": StatisticsSetting({GAUSS: find_setting(GAUSS, "tiny")}, probe_steps=1000, numbers=False),
    "quick": StatisticsSetting({name: find_setting(name, "quick") for name in EVERY}),
    "published": StatisticsSetting({name: find_setting(name, "published") for name in EVERY}),
}


@dataclass(frozen=True)
class ReadStatistics:
    """What a linear probe of the first seed's network says about test sequences, for the figure.

    Attributes:
        names: of the targets.
        truth: `[example, target]`.
        answers: `[example, target]`.
    """

    names: tuple[str, ...]
    truth: Float[np.ndarray, "example target"]
    answers: Float[np.ndarray, "example target"]


@dataclass(frozen=True)
class ProcessStatistics:
    """One process.

    Attributes:
        own: data of the prior that the networks were trained on.
        shifted: data of another prior, the probe fitted on such data.
        kept: the same data, the probe fitted on data of the own prior.
        explained: by source, `[seed]`: share of the embeddings' variance that an MLP predicts on held-out sequences.
        readings: statistics and moments by prior ("own", "shifted").
    """

    own: DecodingResult
    shifted: Decoded
    kept: Decoded
    explained: dict[str, Float[np.ndarray, " seed"]]
    readings: dict[str, ReadStatistics]

    def parts(self) -> dict[str, Decoded]:
        """Scores by data and probe."""
        return dict(zip(PLACES, (self.own.decoded, self.shifted, self.kept), strict=True))


@dataclass(frozen=True)
class SufficientStatistics:
    """All processes, by name."""

    setting: StatisticsSetting
    processes: dict[str, ProcessStatistics]


def run(setting: StatisticsSetting, run: Run) -> SufficientStatistics:
    """Train on every exchangeable process, and read statistics and moments from the embeddings.

    A seed is a network with draws of its own.
    """
    processes = {}
    for name, one in setting.settings.items():
        processes[name] = _of_process(one, name, setting, part(run, name))
    return SufficientStatistics(setting, processes)


def tables(result: SufficientStatistics) -> tuple[Table, ...]:
    """Model and nulls by process, prior and target; losses; the variance of embeddings that statistics explain."""
    note = training_notes(result.setting.settings)
    header = ("setting", "data, probe", "target", "metric", "model", *NULLS, "ceiling", "share closed")
    rows = [
        (name, place, target, metric, *decoded.texts(target, metric))
        for name, process in result.processes.items()
        for place, decoded in process.parts().items()
        for target in decoded.targets
        for metric in decoded.metrics(target)
        if metric in ("R2", "rank correlation", "KL", "L2") or metric.startswith("R2 ")
    ]
    losses = [(name, *process.own.loss_row()) for name, process in result.processes.items()]
    explained = [
        (name, *(interval(process.explained[source]) for source in parsimony.SOURCES))
        for name, process in result.processes.items()
    ]
    loss_header = ("setting", "loss", "untrained", "exact inference", "excess [95 % interval over seeds]")
    return (
        Table("statistics and moments read by a line", header, rows, note),
        Table("losses", loss_header, losses, note, "losses"),
        Table("embedding variance explained", ("setting", *parsimony.SOURCES), explained, note, "parsimony"),
    )


FIGURE, NOWHERE, SHARE, EXPECTED = "figure only", "not published", 0.7, "expected at sequences of 128"
CLAIMS = (
    ("statistics-mean", "Gaussian items of unknown mean and spread: sample mean by a line (share of the gap in R2)",
     FIGURE, GAUSS, OWN, "statistics", "R2 mean", None),
    ("statistics-mean-shifted", "the same under a shifted prior, probe refitted (R2)",
     FIGURE, GAUSS, REFITTED, "statistics", "R2 mean", 0.95),
    ("statistics-sd", "the sample sd where training is by likelihood (share of the gap in R2)",
     FIGURE, GAUSS, OWN, "statistics", "R2 sd", None),
    ("statistics-moments", "four posterior moments of Gaussian items (share of the gap in R2)",
     FIGURE, GAUSS, OWN, "moments", "R2", None),
    ("statistics-coin", "coin of unknown bias: share of ones (share of the gap in R2)",
     FIGURE, COIN, OWN, "statistics", "R2", None),
    ("statistics-exponential", "exponential items: sample mean (share of the gap in rank correlation)",
     FIGURE, WAITING, OWN, "log_statistics", "rank correlation", None),
    ("statistics-gap", "mean and sd of Gaussian items together (share of the gap in R2)",
     NOWHERE, GAUSS, OWN, "statistics", "R2", None),
    ("statistics-gap-squared", "Gaussian items, by squared error: sample mean (share of the gap in R2)",
     NOWHERE, SQUARED, OWN, "statistics", "R2 mean", None),
    ("statistics-gap-coin", "coin of unknown bias: the next flip's distribution (share of the gap in KL)",
     NOWHERE, COIN, OWN, "predictive", "KL", None),
    ("statistics-gap-exponential", "exponential items: sample mean (share of the gap in R2)",
     NOWHERE, WAITING, OWN, "log_statistics", "R2", None),
    ("statistics-gap-categorical", "tokens of unknown shares: the next one's distribution (share of the gap in KL)",
     NOWHERE, TOKENS, OWN, "predictive", "KL", None),
    ("statistics-coin-moments", "coin of unknown bias: posterior moments (R2)",
     FIGURE, COIN, OWN, "moments", "R2", 0.95),
    ("statistics-exponential-moments", "exponential items: posterior moments (rank correlation)",
     FIGURE, WAITING, OWN, "log_moments", "rank correlation", 0.95),
)  # fmt: skip
"""Id, claim, what is published, process, data and probe, target, metric, and the expected score: None asks for a share
of the gap."""
EXPLAINED = {name: f"statistics-explained-{name}" for name in EVERY}


def evidence(result: SufficientStatistics) -> tuple[Evidence, ...]:
    """Shares of gaps, scores, the loss of the coin, and the variance of embeddings that statistics explain."""
    rows = []
    for name, claim, published, process, data, target, metric, bar in CLAIMS:
        if process in result.processes and target in result.processes[process].own.decoded.targets:
            decoded = result.processes[process].parts()[data]
            least = Bound("expectation", least=bar or SHARE, source=EXPECTED) if result.setting.numbers else None
            source = "jaxembed" if published == NOWHERE else ""
            if bar is None:
                made = share_evidence(name, claim, decoded, target, metric, least, published, source=source)
            else:
                values, null = decoded.values(target, metric), decoded.null(target, metric)[0]
                made = score_evidence(name, claim, values, null, least, published)
            rows.append(made)
    if COIN in result.processes:
        own = result.processes[COIN].own.decoded
        untrained = np.asarray(own.losses["untrained"]) - np.asarray(own.losses["floor"])
        rows.append(
            score_evidence("statistics-coin-loss", "coin of unknown bias: loss above exact inference, nats", own.excess,
                           untrained, Bound("expectation", most=0.002, source=EXPECTED), published="no number",
                           ceiling="0")
        )  # fmt: skip
    return (*rows, *_explained(result))


def _explained(result: SufficientStatistics) -> list[Evidence]:
    """Variance of embeddings, of which more than half is explained before training already."""
    rows, published = [], "well over 50 % explained"
    bound = Bound("paper", least=0.5, source="well over 50 %") if result.setting.numbers else None
    for name, process in result.processes.items():
        null = np.maximum(process.explained[parsimony.COUNT], process.explained[parsimony.UNTRAINED])
        claim = f"{name}: statistics and n explain the embeddings (R2; null: n alone, or the untrained network)"
        values = process.explained[parsimony.STATISTICS]
        rows.append(score_evidence(EXPLAINED[name], claim, values, null, bound, published=published))
    explained = result.processes[GAUSS].explained
    after, before, count = (explained[of] for of in (parsimony.STATISTICS, parsimony.UNTRAINED, parsimony.COUNT))
    ceiling = f"{1 - before.mean():.3g} (R2: trained {after.mean():.4f}, untrained {before.mean():.4f}, n alone "
    rows.append(
        gain_evidence("statistics-parsimony", "statistics and n explain more of the trained embeddings than of "
                      "untrained ones (R2)", after - before, published, ceiling=f"{ceiling}{count.mean():.3f})")
    )  # fmt: skip
    return rows


CAPTION = (
    "points and lines are 200 held-out sequences of the first seed, linear probe of the last layer, refitted under the "
    "shifted prior; bars: mean, smallest and largest seed."
)
IDS = (*(row[0] for row in CLAIMS), "statistics-coin-loss", *EXPLAINED.values(), "statistics-parsimony")
AT_TINY = (
    "statistics-mean",
    "statistics-mean-shifted",
    "statistics-sd",
    "statistics-gap",
    "statistics-parsimony",
    EXPLAINED[GAUSS],
)
STUDY = Study(
    name="sufficient_statistics",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=lambda result: CAPTION,
    ids=IDS,
    takes={"tiny": "20 s", "quick": "15 min", "published": "hours"},
    smaller={
        "tiny": "one process for five, sequences of 24 for 500, width 32 for 128",
        "quick": "sequences of 128 for 500, width 64 for 128, 1200 steps for 20000",
    },
    needs=("float64",),
    ledger="tiny",
    beyond_tiny=tuple(name for name in IDS if name not in AT_TINY),
)


def targets(name: str) -> tuple[str, str]:
    """Statistics and moments of a process."""
    return TARGETS.get(name, ("statistics", "moments"))


def _of_process(one: DecodingSetting, name: str, setting: StatisticsSetting, run: Run) -> ProcessStatistics:
    own, trained = result_of(one, run)
    parts = [explained_variance(one, targets(name), trained, i, setting.probe_steps) for i in range(run.seeds)]
    explained = {source: np.array([seed[source] for seed in parts]) for source in parsimony.SOURCES}
    priors = {"own": one.process, "shifted": one.process.shifted()}
    readings = {label: _read(one, targets(name), trained, process) for label, process in priors.items()}
    return ProcessStatistics(own, *on_shifted_data(one, trained, run), explained, readings)


def _read(one: DecodingSetting, names: tuple[str, str], trained: Trained, process: Any) -> ReadStatistics:
    """Statistics and moments of the first seed's test sequences as a line reads them."""
    probing, length = one.probing, one.recipe.length
    key = jax.random.fold_in(jax.random.key(trained.seeds[0]), 3000)
    items = process.sample(key, {}, probing.sequences, length).items
    asked = Probing(probing.targets, (length - 2,))
    states = read_states(one.recipe.model, trained.at(0), items, asked)[1][0, :, 0]
    exact = process.exact({}, items, names, (length - 2,))
    truth = np.concatenate([np.asarray(exact[target])[:, 0] for target in names], axis=1)
    y = probing.parts(truth)
    answers = predicted("real", "linear", key, probing.parts(states), y[:2])
    columns = sum((process.targets[target].names for target in names), ())
    return ReadStatistics(columns, y[2][:SHOWN], answers[:SHOWN])
