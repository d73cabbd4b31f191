"""What embeddings of generated sequences hold: networks trained on a process, probed beside its exact posterior."""

from .decode import decode as decode
from .decode import majority as majority
from .probing import Probing as Probing
from .probing import last_item as last_item
from .probing import predicted as predicted
from .reading import losses as losses
from .reading import read_states as read_states
from .result import BRIEF as BRIEF
from .result import HEADER as HEADER
from .result import SHARE as SHARE
from .result import DecodingResult as DecodingResult
from .scores import NULLS as NULLS
from .scores import SOURCES as SOURCES
from .scores import Decoded as Decoded
from .scores import DecodingScore as DecodingScore
from .scores import joined as joined
from .setting import DecodingSetting as DecodingSetting
from .setting import run as run
from .training import Trained as Trained
from .training import TrainingRecipe as TrainingRecipe
from .training import memory_estimate as memory_estimate
from .training import train_models as train_models
