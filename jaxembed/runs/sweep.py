"""Every combination of some settings of an experiment, each a run of its own; one table with a row for each."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compare import Comparison
from ..tables import Table, margin
from .protocol import Stages
from .result import ExperimentResult, horizon_text

if TYPE_CHECKING:
    from .experiment import Experiment

SHORT = {"lr": "learning_rate"}
"""Names of settings as they are usually called."""


def points(experiment: "Experiment") -> "dict[str, Experiment]":
    """The experiments of a sweep by name.

    Raises:
        ValueError: for a setting that neither experiment nor model has, or that has no values.
    """
    experiments = {}
    for values in product(*experiment.sweep.values()):
        point = replace(experiment, sweep={})
        for name, value in zip(experiment.sweep, values, strict=True):
            point = _with(point, SHORT.get(name, name), value)
        named = zip(experiment.sweep, values, strict=True)
        experiments[", ".join(f"{name}={value}" for name, value in named).replace("/", "_")] = point
    if not experiments:
        raise ValueError(f"sweep: needs a value or more for each of {', '.join(experiment.sweep)}")
    return experiments


def _with(experiment: "Experiment", name: str, value: Any) -> "Experiment":
    model = experiment.model
    if name in {field.name for field in fields(experiment)}:
        return replace(experiment, **{name: value})
    if is_dataclass(model) and name in {field.name for field in fields(model)}:
        return replace(experiment, model=replace(model, **{name: value}))  # pyright: ignore[reportArgumentType]
    raise ValueError(f"sweep: neither the experiment nor {type(model).__name__} has a field {name!r}")


def run_points(experiment: "Experiment", experiments: "Mapping[str, Experiment]", stages: Stages) -> "SweepResult":
    """Run every point of a sweep, each in a folder of its own where anything is kept.

    Args:
        experiment: whose sweep it is.
        experiments: by name.
        stages: runs the points as its parts.
    """
    results: dict[str, Any] = {name: stages.part(name, point) for name, point in experiments.items()}
    first = next(iter(results.values()))
    return SweepResult(
        title=f"{first.title}, by {' and '.join(experiment.sweep)}",
        caption=f"{first.caption}; the first of {len(results)} points",
        facts={"seconds": sum(result.facts["seconds"] for result in results.values())},
        settings={name: list(map(str, values)) for name, values in experiment.sweep.items()},
        results=results,
    )


@dataclass(frozen=True)
class SweepResult:
    """The results of a sweep.

    Attributes:
        title: one line that says what ran.
        caption: of the first point.
        facts: seconds of all points.
        settings: what was swept, and the values as text.
        results: by point, the last setting fastest.
    """

    title: str
    caption: str
    facts: dict[str, Any]
    settings: dict[str, list[str]]
    results: dict[str, ExperimentResult]
    arrays_file: str = "trajectories.npz"

    def tables(self) -> tuple[Table, ...]:
        """One row for each point: how well its best theory holds, beside the control, and the first agreement."""
        first = next(iter(self.results.values()))
        header = (
            *self.settings,
            "best theory",
            "skill at end (weights)",
            "horizon",
            "control's skill",
            first.agreements[0].name,
            first.null,
            "accuracy",
        )
        every = zip(product(*self.settings.values()), self.results.values(), strict=True)
        return (Table(self.title, header, [(*values, *_row(result)) for values, result in every]),)

    def arrays(self) -> dict[str, np.ndarray]:
        """Those of every point, by its name."""
        every = self.results.items()
        return {f"{point}/{name}": array for point, result in every for name, array in result.arrays().items()}

    def record(self) -> dict[str, Any]:
        """What the points record, by their names."""
        own = {name: getattr(self, name) for name in ("title", "caption", "facts", "settings")}
        return own | {"results": {point: result.record() for point, result in self.results.items()}}

    @classmethod
    def read(cls, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "SweepResult":
        """The result that left this record and these arrays."""
        results = {}
        for point, numbers in record["results"].items():
            own = {name.removeprefix(f"{point}/"): a for name, a in arrays.items() if name.startswith(f"{point}/")}
            results[point] = ExperimentResult.read(numbers, own)
        return cls(**{**record, "results": results})

    def figure(self, path: Path, dpi: int = 130) -> None:
        """Skill of theory and control, and the first agreement beside its null, point by point, as a PNG."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(5 + 0.6 * len(self.results), 6.5), layout="constrained")
        FigureCanvasAgg(drawn)
        first = next(iter(self.results.values()))
        labels = ("skill of weights at end", first.agreements[0].name)
        panels = zip(drawn.subplots(2, 1, sharex=True), labels, (_skills, _agreements), strict=True)
        for axes, label, scores in panels:
            for x, result in enumerate(self.results.values()):
                for (name, values), colour in zip(scores(result).items(), ("#1b6ca8", "0.5"), strict=False):
                    axes.plot(np.full(len(values), x), values, "o", color=colour, ms=5, alpha=0.8, label=name)
            seen = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
            axes.legend(seen.values(), seen.keys(), fontsize=8)
            axes.set_ylabel(label)
            axes.grid(axis="y", color="0.92")
            axes.set_xticks(range(len(self.results)), list(self.results), rotation=30, ha="right", fontsize=8)
        drawn.suptitle(self.title)
        drawn.savefig(path, dpi=dpi)


def _row(result: ExperimentResult) -> tuple[str, ...]:
    of_weights, agreement = _compared(result), result.agreements[0]
    skills = [margin(values) for values in _skills(result).values()]
    theory, horizon = (result.theories[-1], horizon_text(of_weights[0], result.plateau)) if of_weights else ("none", "")
    skill, control = skills or ("", "")
    accuracy = margin(np.asarray(result.facts["accuracy by seed"]))
    return theory, skill, horizon, control, margin(agreement.values), margin(agreement.null), accuracy


def _compared(result: ExperimentResult) -> tuple[Comparison, Comparison] | None:
    """All weights by the best theory, and by its control; None where training has a clock of its own."""
    if not result.theories:
        return None
    best = result.theories[-1]
    control = next(name for name in (*result.controls,) if name.startswith(f"{best}, ") or name == "frozen")
    reference = "training" if best == "exact flow" else "exact flow"
    return result.comparisons[reference, best, "weights"], result.comparisons["exact flow", control, "weights"]


def _skills(result: ExperimentResult) -> dict[str, np.ndarray]:
    of_weights = _compared(result) or ()
    return {name: np.asarray(c.skill)[:, -1] for name, c in zip(("best theory", "control"), of_weights, strict=False)}


def _agreements(result: ExperimentResult) -> dict[str, np.ndarray]:
    return {"trained": result.agreements[0].values, result.null: result.agreements[0].null}
