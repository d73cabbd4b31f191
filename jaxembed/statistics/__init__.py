"""Data -> Counts (additive) -> Signatures (normalised): all that theory may know of the data."""

from .counts import Counts as Counts
from .counts import count as count
from .positions import PositionSignatures as PositionSignatures
from .positions import position_signatures as position_signatures
from .same import Same as Same
from .same import same as same
from .sequences import SequenceSignatures as SequenceSignatures
from .sequences import sequence_signatures as sequence_signatures
from .signatures import Signatures as Signatures
from .signatures import signatures as signatures
