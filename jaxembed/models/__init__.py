"""Models: settings in frozen dataclasses, parameters in plain dicts."""

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import Activation as Activation
from .activations import activation as activation
from .attention_only import AttentionOnly as AttentionOnly
from .decoder import Decoder as Decoder
from .deep_linear import DeepLinear as DeepLinear
from .deep_linear import SquaredLoss as SquaredLoss
from .families import gpt2 as gpt2
from .families import llama as llama
from .families import qwen2 as qwen2
from .feedforward import Feedforward as Feedforward
from .free_contexts import FreeContexts as FreeContexts
from .free_contexts import LogitLoss as LogitLoss
from .free_contexts import SoftLabelLoss as SoftLabelLoss
from .linear import Linear as Linear
from .linearised import linearised as linearised
from .rotary import RotaryScaling as RotaryScaling
from .two_position import TwoPosition as TwoPosition
from .word_pairs import PairLoss as PairLoss
from .word_pairs import WordPairs as WordPairs
from .word_pairs import pair_loss as pair_loss
