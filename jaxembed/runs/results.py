"""What a run found: the one object that `experiment` makes, `record` writes and `report` draws."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..base import Trajectory
from ..compare import Comparison


@dataclass(frozen=True)
class Against:
    """One comparison over all seeds.

    Attributes:
        reference: name of the trajectory that happened.
        prediction: name of what was predicted.
        observable: what was compared ("cosines" of the shown tokens' embeddings, or all "weights").
        comparison: the numbers, every array with a leading `[seed]` axis.
        control: whether the prediction is one that should fail.
    """

    reference: str
    prediction: str
    observable: str
    comparison: Comparison
    control: bool


@dataclass(frozen=True)
class Agreement:
    """One number about the trained weights, seed by seed, beside its null.

    Attributes:
        name: what was measured, for example "R_cos(embed, label - 1/v)".
        values: `[seed]`, at the end of training; NaN is undefined.
        null: `[seed]`, the same number of the control that `Result.null` names.
        p_values: `[seed]`, Mantel permutation p-values, or None where there is no such test.
        course: `[seed, time]`, along training.
    """

    name: str
    values: np.ndarray
    null: np.ndarray
    p_values: np.ndarray | None
    course: np.ndarray


@dataclass(frozen=True)
class Result:
    """Everything that a table, a figure and a run folder show.

    Attributes:
        title: one line that says what ran.
        caption: settings that belong to every figure: dtype, seeds, sizes, clock.
        tokens: names of the shown tokens.
        pairs: index pairs into `tokens` whose cosines are drawn as curves.
        trajectories: by name; `ys["embed"]` `[seed, time, token, width]` for the shown tokens.
        comparisons: theory, flow and training against each other, controls included.
        agreements: R_cos and order with nulls.
        signature: name and `[token, width]` rows of the signature that is drawn, for the shown tokens.
        plateau: t1, the time at which rung 0 leaves the plateau, or None.
        facts: scalars worth recording (accuracy, chance, coverage, memory, seconds by stage).
        settings: the experiment as plain data.
        null: what the null of an agreement is.
    """

    title: str
    caption: str
    tokens: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...]
    trajectories: dict[str, Trajectory]
    comparisons: tuple[Against, ...]
    agreements: tuple[Agreement, ...]
    signature: tuple[str, np.ndarray]
    plateau: float | None
    facts: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    null: str = "after shuffled labels"

    @property
    def controls(self) -> set[str]:
        """Names of trajectories that should fail."""
        return {row.prediction for row in self.comparisons if row.control}


@dataclass(frozen=True)
class Panel:
    """One score of one target, read from several sources.

    Attributes:
        target: what was read.
        metric: name of the score.
        sources: `[seed]` values by source: the model, its nulls, the ceiling.
        share: `[seed]`, of the gap between the best null and the ceiling.
    """

    target: str
    metric: str
    sources: dict[str, np.ndarray]
    share: np.ndarray


@dataclass(frozen=True)
class Decoding:
    """What was read from networks trained on generated sequences, ready to be printed and drawn.

    Attributes:
        title: one line that says what ran.
        caption: what varied, and the sizes.
        header: of the table.
        rows: of the table, as text.
        brief: of the table that fits a terminal: its header, then its rows.
        lines: figures worth a sentence.
        panels: what is drawn.
        curve: steps `[time]` and losses `[seed, time]` of training.
        floor: `[seed]`, the loss of exact inference; NaN is undefined.
    """

    title: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    brief: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]
    panels: tuple[Panel, ...]
    curve: tuple[np.ndarray, np.ndarray]
    floor: np.ndarray
