"""From the state of a layer to the next word: the plain lens, a fitted one, and what each layer would answer."""

from .fit import LensFit as LensFit
from .fit import fit_lens as fit_lens
from .lens import Lens as Lens
from .lens import flat as flat
from .lens import last_norm as last_norm
from .lens import lens_logits as lens_logits
from .lens import lens_readings as lens_readings
from .lens import lens_states as lens_states
from .lens import lens_top as lens_top
from .lens import plain_lens as plain_lens
from .lens import read_lens as read_lens
from .lens import write_lens as write_lens
