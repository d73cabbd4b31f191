"""Claims on theory at the start of a language model: the pair flow of its first steps, and signatures as its init."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _starts(full: bool) -> Any:
    from ..studies.language.signature_start import signature_start

    return signature_start("normal", seeds=5) if full else signature_start("tiny", seeds=3)


def _flow(full: bool) -> Any:
    from ..studies.language.early_flow import early_flow

    return early_flow("normal") if full else early_flow("tiny", seeds=3)


STUDIES: dict[str, Callable[[bool], Any]] = {"signature-start": _starts, "early-flow": _flow}


def _ahead(share: float) -> Callable[[Any], Evidence]:
    """Nats ahead of the usual start or of the rotated modes, whichever is better; null: what the latter gain."""

    def measure(result: Any) -> Evidence:
        curves = result.curves["whole text"]
        usual, ours, rotation = (curves.loss_at(start, share) for start in ("standard", "signatures", "rotation"))
        ahead = np.minimum(usual, rotation) - ours
        return Evidence(ahead, usual - rotation, "none known", least=0.0, varied="init and data seeds")

    return measure


def _self_test(side: str) -> Callable[[Any], Evidence]:
    """Skill of the Gram of the motion in the middle of the window, without blocks; the null: a shuffled corpus."""

    def measure(result: Any) -> Evidence:
        scale = min(result.setting.scales)
        ours, null = (result.line("sgd", scale, side, "whole", x).skill for x in ("pair flow", "shuffled corpus"))
        middle = np.shape(ours)[1] // 2
        return Evidence(ours[:, middle], null[:, middle], "1", least=0.7, varied="init and data seeds")

    return measure


def _over_shuffled(prediction: str) -> Callable[[Any], Evidence]:
    """Skill ahead of a shuffled corpus's counts at the first save of the usual start; the null: permuted tokens."""

    def measure(result: Any) -> Evidence:
        def first(name: str) -> np.ndarray:
            return result.line("sgd", max(result.setting.scales), "embed", "whole", name).skill[:, 0]

        ours, null = (first(name) - first("shuffled corpus") for name in (prediction, "permuted tokens"))
        return Evidence(ours, null, "1 - skill of the shuffled", least=0.0, varied="init and data seeds")

    return measure


_SOURCE, _UNPUBLISHED = "yao2025probability", "nothing; the signatures are theirs, the start is ours"
_OWN, _DERIVED = "jaxembed", "ours: theory/next_token.md (N4) to (N9), no number"

CLAIMS = (
    Claim("pair-flow-embed", "self-test (no blocks): pair counts foretell the embedding's motion (skill of its Gram)",
          _OWN, _DERIVED, "early-flow", _self_test("embed")),
    Claim("pair-flow-unembed", "self-test (no blocks): pair counts foretell the unembedding's motion (skill)",
          _OWN, _DERIVED, "early-flow", _self_test("unembed")),
    Claim("pair-flow-usual-start", "first steps, usual start: pair flow over a shuffled corpus's (skill, embedding)",
          _OWN, _DERIVED, "early-flow", _over_shuffled("pair flow")),
    Claim("rung0-usual-start", "first steps, usual start: linear flow over a shuffled corpus's (skill, embedding)",
          _OWN, _DERIVED, "early-flow", _over_shuffled("rung 0")),
    Claim("signature-start-early", "start from signatures: ahead of usual and rotated at a fifth of a schedule (nats)",
          _SOURCE, _UNPUBLISHED, "signature-start", _ahead(0.2)),
    Claim("signature-start-end", "start from signatures: ahead of usual and rotated at the end of a schedule (nats)",
          _SOURCE, _UNPUBLISHED, "signature-start", _ahead(1.0)),
)  # fmt: skip
