"""Claims on the reach of truncated theories: the predicted horizon, and the lazy and the rich regime side by side."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _horizon(full: bool) -> Any:
    from ..studies.small.horizon import horizons

    return horizons("normal" if full else "tiny", seeds=2 if full else 3)


def _lazy_rich(full: bool) -> Any:
    from ..studies.small.lazy_rich import lazy_rich

    return lazy_rich("normal" if full else "tiny", seeds=5 if full else 3)


STUDIES: dict[str, Callable[[bool], Any]] = {"horizon": _horizon, "lazy_rich": _lazy_rich}


def _share(result: Any) -> Evidence:
    from ..studies.small.horizon_cells import SHARE, within

    return Evidence(result.share(), within(result.constant()), "1", least=SHARE)


def _efolds(result: Any) -> Evidence:
    ours, control = (np.nanmedian(np.abs(x), axis=0) for x in (result.efold_errors(), result.constant_efold_errors()))
    return Evidence(ours, control, "0", most=0.5)


def _lead(model: str, rich: bool) -> Callable[[Any], Evidence]:
    """ln of the better family's horizon over the other's, at the smallest or the largest scale."""

    def measure(result: Any) -> Evidence:
        from ..studies.small.lazy_rich import INIT, ORIGIN

        at, first, second = (0, ORIGIN, INIT) if rich else (-1, INIT, ORIGIN)
        lead = np.log(result.best(model, first)[at] / result.best(model, second)[at])
        return Evidence(lead, None, "unbounded", least=0.1)

    return measure


_REACH, _LAZY, _NO_NUMBER = "yao2025probability", "jacot2018ntk", "no number"

CLAIMS = (
    Claim("horizon-predicted", "a theory's next term predicts its horizon within a factor 1.25 (share of cells)",
          _REACH, _NO_NUMBER, "horizon", _share),
    Claim("horizon-efolds", "the same on the clock of growth (median error in e-folds; null: constant offset)", _REACH,
          _NO_NUMBER, "horizon", _efolds),
    Claim("rich-small-init", "small init: expansion around the origin outlasts that around the init (ln ratio)", _LAZY,
          _NO_NUMBER, "lazy_rich", _lead("linear", True)),
    Claim("lazy-large-init", "large init: expansion around the init outlasts that around the origin (ln ratio)", _LAZY,
          _NO_NUMBER, "lazy_rich", _lead("linear", False)),
)  # fmt: skip
