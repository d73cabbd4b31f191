"""What embeddings of generated sequences hold: networks trained on a process, probed beside its exact posterior."""

from .decode import decode as decode
from .probing import Probing as Probing
from .result import BRIEF as BRIEF
from .result import HEADER as HEADER
from .result import LatentResult as LatentResult
from .result import plain as plain
from .scores import NULLS as NULLS
from .scores import SOURCES as SOURCES
from .scores import Cell as Cell
from .scores import Decoded as Decoded
from .setting import Setting as Setting
from .setting import carried_out as carried_out
from .training import Recipe as Recipe
from .training import Trained as Trained
from .training import memory_estimate as memory_estimate
from .training import silent as silent
from .training import train_models as train_models
