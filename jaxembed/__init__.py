"""jaxembed: how embeddings form, theory and simulation on one clock."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import analysis as analysis
    from . import base as base
    from . import corpus as corpus
    from . import decoding as decoding
    from . import keep as keep
    from . import language as language
    from . import ledger as ledger
    from . import losses as losses
    from . import models as models
    from . import observables as observables
    from . import probes as probes
    from . import processes as processes
    from . import runs as runs
    from . import statistics as statistics
    from . import studies as studies
    from . import tasks as tasks
    from . import theory as theory
    from . import words as words
    from .base import Dataset as Dataset
    from .base import Trajectory as Trajectory
    from .compare import Comparison as Comparison
    from .compare import compare as compare
    from .compare import frozen as frozen
    from .ensemble import ensemble as ensemble
    from .flow import gradient_flow as gradient_flow
    from .flow import integrate as integrate
    from .losses import accuracy as accuracy
    from .losses import decayed as decayed
    from .losses import minibatch_loss as minibatch_loss
    from .losses import population_loss as population_loss
    from .losses import sequence_loss as sequence_loss
    from .runs import Experiment as Experiment
    from .statistics import Counts as Counts
    from .statistics import PositionSignatures as PositionSignatures
    from .statistics import Signatures as Signatures
    from .statistics import count as count
    from .statistics import position_signatures as position_signatures
    from .statistics import same as same
    from .statistics import sequence_signatures as sequence_signatures
    from .statistics import signatures as signatures
    from .studies import Study as Study
    from .train import train as train

ROOMS = (
    "analysis",
    "base",
    "corpus",
    "decoding",
    "keep",
    "language",
    "ledger",
    "losses",
    "models",
    "observables",
    "probes",
    "processes",
    "runs",
    "statistics",
    "studies",
    "tasks",
    "theory",
    "words",
)
"""Loaded when first used, as are all names, so that `import jaxembed` and what only reads load no JAX."""
_PLACES = {
    "base": ("Dataset", "Trajectory"),
    "compare": ("Comparison", "compare", "frozen"),
    "ensemble": ("ensemble",),
    "flow": ("gradient_flow", "integrate"),
    "losses": ("accuracy", "decayed", "minibatch_loss", "population_loss", "sequence_loss"),
    "runs": ("Experiment",),
    "statistics": (
        "Counts",
        "PositionSignatures",
        "Signatures",
        "count",
        "position_signatures",
        "same",
        "sequence_signatures",
        "signatures",
    ),
    "studies": ("Study",),
    "train": ("train",),
}
_NAMES = {name: place for place, names in _PLACES.items() for name in names}


class _Package(ModuleType):
    """Importing `jaxembed.train` binds that module to its name here; the verb of that name stands in front of it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _NAMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return import_module(f".{name}", __name__)
    if name in _NAMES:
        return getattr(import_module(f".{_NAMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *ROOMS, *_NAMES})
