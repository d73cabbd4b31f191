"""Models: settings in frozen dataclasses, parameters in plain dicts."""

from typing import TYPE_CHECKING, Any

from .activations import ACTIVATIONS as ACTIVATIONS
from .activations import Activation as Activation
from .activations import activation as activation
from .attention_only import AttentionOnly as AttentionOnly
from .attention_parts import AttentionParts as AttentionParts
from .attention_parts import changed_states as changed_states
from .attention_parts import moved_from as moved_from
from .attention_parts import read_attention as read_attention
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
from .heads import Categorical as Categorical
from .heads import Gaussian as Gaussian
from .heads import Head as Head
from .heads import Lomax as Lomax
from .heads import Mixture as Mixture
from .heads import SquaredError as SquaredError
from .heads import StudentT as StudentT
from .linear import Linear as Linear
from .linearised import linearised as linearised
from .recurrent import Recurrent as Recurrent
from .rotary import RotaryScaling as RotaryScaling
from .sequence_transformer import SequenceTransformer as SequenceTransformer
from .two_position import TwoPosition as TwoPosition
from .word_pairs import PairLoss as PairLoss
from .word_pairs import WordPairs as WordPairs
from .word_pairs import pair_loss as pair_loss

if TYPE_CHECKING:
    from .hugging_face import CONFIG_FIELDS as CONFIG_FIELDS
    from .hugging_face import model_folder as model_folder
    from .hugging_face import read_model as read_model
    from .hugging_face import read_tensors as read_tensors
    from .hugging_face import tensor_files as tensor_files
    from .hugging_face import tied_of as tied_of
    from .hugging_face import write_model as write_model


_ON_FOLDERS = ("CONFIG_FIELDS", "model_folder", "read_model", "read_tensors", "tensor_files", "tied_of", "write_model")


def __getattr__(name: str) -> Any:
    """Folders of Hugging Face models are loaded in use only."""
    if name in _ON_FOLDERS:
        from . import hugging_face

        return getattr(hugging_face, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
