"""JSON data, in which undefined and infinite numbers are words."""

import math
from typing import Any

import numpy as np


def worded(value: Any) -> Any:
    """JSON data: arrays as lists, NaN as "undefined", infinities as words."""
    if isinstance(value, dict):
        return {str(key): worded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [worded(item) for item in value]
    if isinstance(value, np.ndarray):
        return worded(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "undefined" if math.isnan(value) else "infinite" if value > 0 else "-infinite"
    return value


def unworded(value: Any) -> Any:
    """Back from `worded`."""
    words = {"undefined": math.nan, "infinite": math.inf, "-infinite": -math.inf}
    if isinstance(value, dict):
        return {key: unworded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unworded(item) for item in value]
    return words.get(value, value) if isinstance(value, str) else value
