"""Exact distributions over (tokens, label): to add one, write a file here and a line below."""

from .addition import Addition as Addition
from .anchors import MixedAnchors as MixedAnchors
from .attributes import Attributes as Attributes
from .binary_table import BinaryTable as BinaryTable
from .composite import Composite as Composite
from .contexts import Contexts as Contexts
from .controls import shuffled as shuffled
from .label_neutral import LabelNeutral as LabelNeutral
from .memory import Memory as Memory
from .modular import Modular as Modular
from .random_pairs import RandomPairs as RandomPairs
from .tree import Tree as Tree
