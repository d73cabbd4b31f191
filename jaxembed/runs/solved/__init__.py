"""Settings whose training is known in closed form, shown by `jaxembed run`: to add one, write a file and a line."""

from .attention_only import AttentionFirstSteps as AttentionFirstSteps
from .deep_linear import DeepLinearModes as DeepLinearModes
from .soft_label import SoftLabelSteps as SoftLabelSteps
from .word_pair_modes import WordPairModes as WordPairModes
