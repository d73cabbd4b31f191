"""Agreement over every pair of tokens of a whole vocabulary, in bounded memory."""

from ._unit_rows import unit_rows as unit_rows
from .alignment import Alignment as Alignment
from .alignment import alignment as alignment
from .blockwise import PairMoments as PairMoments
from .blockwise import blockwise_r_cos as blockwise_r_cos
from .blockwise import pair_moments as pair_moments
