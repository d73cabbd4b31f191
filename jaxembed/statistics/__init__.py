"""Data -> Counts (additive) -> Signatures (normalised): all that theory may know of the data."""

from .counts import Counts as Counts
from .counts import count as count
from .same import Same as Same
from .same import same as same
from .signatures import Signatures as Signatures
from .signatures import signatures as signatures
