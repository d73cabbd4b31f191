"""Claims on the step from embedding to next token: what a lens shows of a trained and of an untrained model."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _lens(full: bool) -> Any:
    from ..studies.language.lens import lens_study

    return lens_study("normal", seeds=3) if full else lens_study("tiny", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"lens": _lens}


def _fall(result: Any) -> Evidence:
    """The null is the untrained model's fall, which (R5) of theory/lens.md foretells."""
    return Evidence(result.fall(-1), result.fall(0), "KL at the embedding", least=0.0)


def _learned(result: Any) -> Evidence:
    return Evidence(result.fall(-1, learned=True), result.fall(0, learned=True), "KL at the embedding", least=0.0)


def _angle(result: Any) -> Evidence:
    off = result.layers("divergence")[:, 0, :-1] / result.angle()[:, :-1] - 1
    return Evidence(np.abs(off).max(axis=1), None, "0", most=0.05 if result.size == "normal" else 0.3)


def _loss(result: Any) -> Evidence:
    return Evidence(result.gained(-1), result.gained(0), "not known", least=0.0)


CLAIMS = (
    Claim("lens-untrained", "KL to the final distribution falls with depth before training too, as the streams' angle "
          "says (largest relative error)", "jaxembed", "sigma^2 d (1 - cos)", "lens", _angle),
    Claim("lens-loss", "what depth adds is held-out loss, in the trained model alone (nats)", "belrose2023tuned",
          "falls with depth", "lens", _loss),
    Claim("lens-fall", "KL to the final distribution falls from the embedding to the last block but one (nats)",
          "belrose2023tuned", "falls with depth", "lens", _fall),
    Claim("lens-learned", "so it does through a learned lens (nats)", "belrose2023tuned", "falls with depth", "lens",
          _learned),
)  # fmt: skip
