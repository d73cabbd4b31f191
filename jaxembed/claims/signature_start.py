"""Claims on theory at the start of a language model: the pair flow of its first steps, and signatures as its init."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _starts(full: bool) -> Any:
    from ..studies.signature_start import signature_start

    return signature_start("normal", seeds=5) if full else signature_start("tiny", seeds=3)


def _flow(full: bool) -> Any:
    from ..studies.early_flow import early_flow

    return early_flow("normal", seeds=3) if full else early_flow("tiny", seeds=2)


STUDIES: dict[str, Callable[[bool], Any]] = {"signature-start": _starts, "early-flow": _flow}


def _ahead(share: float) -> Callable[[Any], Evidence]:
    """Nats ahead of the usual start; the null is the same modes on rotated tokens."""

    def measure(result: Any) -> Evidence:
        curves = result.curves["whole text"]
        usual = curves.loss_at("standard", share)
        ours, null = (usual - curves.loss_at(start, share) for start in ("signatures", "rotation"))
        return Evidence(ours, null, "none known", least=0.0, varied="init and data seeds")

    return measure


def _skill(side: str, blocks: Callable[[tuple[float, ...]], float], least: float) -> Callable[[Any], Evidence]:
    """Skill of the Gram of the motion in the middle of the window; the null are the counts of a shuffled corpus."""

    def measure(result: Any) -> Evidence:
        scale = blocks(result.setting.scales)
        ours, null = (result.line("sgd", scale, side, "whole", x).skill for x in ("pair flow", "shuffled corpus"))
        middle = np.shape(ours)[1] // 2
        return Evidence(ours[:, middle], null[:, middle], "1", least=least, varied="init and data seeds")

    return measure


_SOURCE, _ASKED = "yao2025probability", "asked by a reviewer, no number"

CLAIMS = (
    Claim("pair-flow-embed", "first steps: pair counts foretell the embedding's motion (skill of its Gram, no blocks)",
          _SOURCE, "theory, no number", "early-flow", _skill("embed", min, 0.7)),
    Claim("pair-flow-unembed", "first steps: pair counts foretell the unembedding's motion (skill, no blocks)",
          _SOURCE, "theory, no number", "early-flow", _skill("unembed", min, 0.7)),
    Claim("pair-flow-usual-start", "the same at the architecture's usual start (skill, embedding)",
          _SOURCE, "theory, no number", "early-flow", _skill("embed", max, 0.5)),
    Claim("signature-start-early", "signatures as initialisation: ahead at a fifth of a schedule (nats per token)",
          _SOURCE, _ASKED, "signature-start", _ahead(0.2)),
    Claim("signature-start-end", "signatures as initialisation: ahead at the end of a schedule (nats per token)",
          _SOURCE, _ASKED, "signature-start", _ahead(1.0)),
)  # fmt: skip
