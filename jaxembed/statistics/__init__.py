"""Data -> Counts (additive) -> Signatures (normalised): all that theory may know of the data."""

from .counts import Counts as Counts
from .counts import count as count
from .next_token import context_rows as context_rows
from .next_token import next_rows as next_rows
from .next_token import previous_rows as previous_rows
from .positions import PositionSignatures as PositionSignatures
from .positions import position_signatures as position_signatures
from .resampling import Estimate as Estimate
from .resampling import PairParts as PairParts
from .resampling import count_in_parts as count_in_parts
from .resampling import standard_error as standard_error
from .same import Same as Same
from .same import same as same
from .sequences import SequenceSignatures as SequenceSignatures
from .sequences import sequence_signatures as sequence_signatures
from .signatures import Signatures as Signatures
from .signatures import signatures as signatures
from .token_pairs import TokenPairs as TokenPairs
from .token_pairs import count_neighbours as count_neighbours
from .token_pairs import counting_memory as counting_memory
from .token_pairs import merged as merged
