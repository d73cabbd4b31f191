"""jaxembed: how embeddings form, theory and simulation on one clock."""

from . import corpus as corpus
from . import models as models
from . import observables as observables
from . import tasks as tasks
from . import theory as theory
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
from .sequence_loss import sequence_loss as sequence_loss
from .statistics import Counts as Counts
from .statistics import PositionSignatures as PositionSignatures
from .statistics import Signatures as Signatures
from .statistics import count as count
from .statistics import position_signatures as position_signatures
from .statistics import same as same
from .statistics import signatures as signatures
from .train import train as train
