"""What can be run by name: small experiments, networks solved in closed form, and processes that are decoded."""

from .catalogue import find_setting as find_setting
from .catalogue import of_size as of_size
from .named import PRESETS as PRESETS
from .named import Preset as Preset
