"""Claims on language models: embeddings and unembeddings follow next- and previous-token signatures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _alignment(full: bool) -> Any:
    """Quick: the small cells on Python's documentation. Full: the first published cell, on it too without The Pile."""
    import os

    from ..studies.language.alignment_texts import BUILTIN
    from ..studies.language.alignment_through_training import SETTINGS, carried_out

    if not full:  # whole words: they need no library of tokenisers
        return carried_out("tiny", replace(SETTINGS["tiny"], cells=((BUILTIN, "words", "qwen2"),)), seeds=3)
    subset, tokenizer, architecture = SETTINGS["normal"].cells[0]
    subset = subset if "JAXEMBED_DATA" in os.environ else BUILTIN
    setting = replace(SETTINGS["normal"], cells=((subset, tokenizer, architecture),), tied=False)
    return carried_out("normal", setting, seeds=3)


VARIED = "init and data seeds"

STUDIES: dict[str, Callable[[bool], Any]] = {"alignment": _alignment}


def _own(table: str) -> Callable[[Any], Evidence]:
    """A table against its own signature, over seeds, beside the 99th percentiles of all its nulls."""

    def measure(result: Any) -> Evidence:
        name = f"{table} {'next' if table == 'embed' else 'previous'}"
        null = np.array([result.limit(result.seeds[0], table)])
        return Evidence(result.over_seeds(name), null, "1", least=dict(result.setting.asked)[table], varied=VARIED)

    return measure


def _over_cross(table: str) -> Callable[[Any], Evidence]:
    """Own signature over the other one's."""

    def measure(result: Any) -> Evidence:
        own, cross = ("next", "previous") if table == "embed" else ("previous", "next")
        ratio = result.over_seeds(f"{table} {own}") / result.over_seeds(f"{table} {cross}")
        return Evidence(ratio, None, "none", least=result.setting.times_cross, varied=VARIED)

    return measure


def _excess(table: str) -> Callable[[Any], Evidence]:
    """Signature cosine of the strongest pairs above the line through all pairs; 0 where one correlation says it all."""

    def measure(result: Any) -> Evidence:
        found = np.array([cell.strength(table).strongest_excess[0] for cell in result.seeds])
        return Evidence(found, None, "none", least=0.0, varied=VARIED)

    return measure


_SOURCE, _SHAPE = "yao2025probability", "figures, no number"

CLAIMS = (
    Claim("language-embed", "decoders: embeddings follow next-token signatures (R_cos, centred)", _SOURCE, _SHAPE,
          "alignment", _own("embed")),
    Claim("language-unembed", "decoders: unembeddings follow previous-token signatures (R_cos, centred)", _SOURCE,
          _SHAPE, "alignment", _own("unembed")),
    Claim("language-embed-cross", "embeddings follow next- far more than previous-token signatures (ratio of R_cos)",
          _SOURCE, _SHAPE, "alignment", _over_cross("embed")),
    Claim("language-unembed-cross", "unembeddings follow previous- far more than next-token signatures (ratio)",
          _SOURCE, _SHAPE, "alignment", _over_cross("unembed")),
    Claim("language-strong-pairs-embed", "the strongest pairs of embeddings agree more than one line says (excess)",
          _SOURCE, "strong pairs agree most", "alignment", _excess("embed")),
    Claim("language-strong-pairs-unembed", "the strongest pairs of unembeddings agree more than one line says (excess)",
          _SOURCE, "strong pairs agree most", "alignment", _excess("unembed")),
)  # fmt: skip
"""The bounds are those of the figure script."""
