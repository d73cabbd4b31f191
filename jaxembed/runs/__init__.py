"""Experiments, start to end: whatever can be run, its folder, tables and figure. The one place that knows everybody."""

from .closed_form import ClosedForm as ClosedForm
from .experiment import Experiment as Experiment
from .folder import read as read
from .folder import read_trajectory as read_trajectory
from .folder import run as run
from .protocol import Result as Result
from .protocol import Runnable as Runnable
from .protocol import Stages as Stages
from .protocol import Unkept as Unkept
from .result import Agreement as Agreement
from .result import ExperimentResult as ExperimentResult
from .sweep import SweepResult as SweepResult
from .verify import record_of as record_of
from .verify import verdict as verdict
