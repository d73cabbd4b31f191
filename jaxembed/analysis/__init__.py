"""Questions to somebody's model: do its embeddings follow a text, what carries a token, its senses, topics, layers."""

from . import lens as lens
from . import senses as senses
from . import topics as topics
from .alignment import ModelAlignment as ModelAlignment
from .alignment import TableAlignment as TableAlignment
from .alignment import align_model as align_model
from .explain import Explanation as Explanation
from .explain import Neighbour as Neighbour
from .explain import explain_token as explain_token
from .foreign import TextSignatures as TextSignatures
from .foreign import TokenTables as TokenTables
from .foreign import count_signatures as count_signatures
from .foreign import read_decoder as read_decoder
from .foreign import read_tables as read_tables
from .foreign import read_text as read_text
from .lens import Lens as Lens
from .lens import LensFit as LensFit
from .lens import fit_lens as fit_lens
from .senses import SenseTask as SenseTask
from .senses import WordResult as WordResult
from .senses import senses_of_model as senses_of_model
from .topics import TopicScores as TopicScores
from .topics import TopicSizes as TopicSizes
from .topics import TopicTexts as TopicTexts
from .topics import topics_of_model as topics_of_model
