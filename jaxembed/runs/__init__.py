"""Experiments, start to end. The one place that knows everybody; it computes, and neither prints nor draws."""

from typing import Any

from .results import Result
from . import settings, closed_form as solved, task
from .settings import Experiment as Experiment
from .closed_form import Solved as Solved
from .stages import Stages as Stages
from .stages import no_stages as no_stages

AnyExperiment = Experiment | Solved


def run(experiment: AnyExperiment, stages: Stages = no_stages) -> Result:
    """Carry an experiment out.

    Args:
        experiment: on a task, or on a model whose flow is solved.
        stages: keeps finished stages so that a stopped run goes on where it was (see `record`).

    Raises:
        ValueError: where the settings do not fit together, naming the setting.
    """
    return solved.run(experiment, stages) if isinstance(experiment, Solved) else task.run(experiment, stages)


def stage_count(experiment: AnyExperiment) -> int:
    """Stages that `run` will compute or find kept."""
    return solved.stage_count(experiment) if isinstance(experiment, Solved) else task.stage_count(experiment)


def memory_estimate(experiment: AnyExperiment) -> float:
    """Bytes that the saved trajectories and the tables will take, roughly; said before a run starts."""
    if isinstance(experiment, Solved):
        return solved.memory_estimate(experiment)
    return settings.memory_estimate(experiment)


def data_of(experiment: AnyExperiment) -> Any:
    """The arrays that tell one experiment's data from another's: its population, or its loss's tables."""
    return experiment.setting.loss() if isinstance(experiment, Solved) else experiment.task.dataset()
