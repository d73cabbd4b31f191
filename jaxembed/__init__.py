"""jaxembed: how embeddings form, theory and simulation on one clock."""

from .base import Dataset as Dataset
from .base import Trajectory as Trajectory
from .statistics import Counts as Counts
from .statistics import Signatures as Signatures
from .statistics import count as count
from .statistics import same as same
from .statistics import signatures as signatures
from . import models as models
from .ensemble import ensemble as ensemble
from .flow import gradient_flow as gradient_flow
from .flow import integrate as integrate
from .losses import accuracy as accuracy
from .losses import minibatch_loss as minibatch_loss
from .losses import population_loss as population_loss
from .train import train as train
from . import corpus as corpus
from . import observables as observables
from . import tasks as tasks
from .compare import compare as compare
