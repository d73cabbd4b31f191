"""Files: written whole or not at all, hashed, what identifies a folder, numbers computed once, undefined as one word.

Checkpoints of language models are orbax's; everything else that is written down and read back goes through here.
"""

from .files import PART as PART
from .files import Lock as Lock
from .files import sweep as sweep
from .files import whole as whole
from .files import whole_folder as whole_folder
from .files import write_bytes as write_bytes
from .files import write_text as write_text
from .pieces import Pieces as Pieces
from .pieces import claim as claim
from .pieces import kept_arrays as kept_arrays
from .pieces import kept_json as kept_json
from .pieces import leaves_of as leaves_of
from .pieces import tree_of as tree_of
from .sealed import Damaged as Damaged
from .sealed import check_sums as check_sums
from .sealed import intact as intact
from .sealed import notice as notice
from .sealed import read_arrays as read_arrays
from .sealed import read_json as read_json
from .sealed import read_record as read_record
from .sealed import write_arrays as write_arrays
from .sealed import write_json as write_json
from .sealed import write_record as write_record
from .sealed import write_sums as write_sums
from .values import UNDEFINED as UNDEFINED
from .values import changes as changes
from .values import check_made_alike as check_made_alike
from .values import check_same as check_same
from .values import difference as difference
from .values import digest as digest
from .values import from_json as from_json
from .values import made_by as made_by
from .values import plain as plain
from .values import to_json as to_json
