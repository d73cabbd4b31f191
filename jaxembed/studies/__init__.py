"""Published settings in one shape (see `Study`), in groups. A leaf: nothing below the command line imports it."""

from importlib import import_module
from typing import Any

from .evidence import Bound as Bound
from .evidence import Evidence as Evidence
from .evidence import Size as Size
from .evidence import evidence_table as evidence_table
from .evidence import short as short
from .evidence import unmet as unmet
from .evidence import verdict as verdict
from .study import Run as Run
from .study import Study as Study

REGISTRY: tuple[str, ...] = (
    "small.ladder",
    "language.lens",
    "pairs.modular_table",
    "small.composite",
    "small.reasoning_bias",
    "pairs.xor_basis",
    "language.blank_slate",
    "words.word_models",
    "pairs.weight_decay",
    "small.deep_linear",
    "small.soft_label",
    "pairs.label_noise",
    "language.senses",
    "words.attributes",
    "words.word_pairs",
    "language.natural_topics",
    "words.analogy_emergence",
    "small.attention_only",
    "words.analogy_moment",
    "sequences.sufficient_statistics",
    "sequences.memorisation",
    "sequences.hypotheses",
    "sequences.hypothesis_map",
    "sequences.hidden_states",
    "sequences.kalman",
    "sequences.topics",
    "sequences.cross_probing",
    "sequences.semantic_share",
    "sequences.ceilings",
    "words.task_vectors",
    "language.alignment",
    "small.expansion_order",
    "small.horizon",
    "small.lazy_rich",
    "language.early_flow",
    "language.signature_start",
)
"""Every study, by group and module; the module's `STUDY` is the study. To add one, write the module and a line here."""


def study(name: str) -> Study[Any, Any]:
    """A study by the name of its module, with or without its group.

    Raises:
        ValueError: for an unknown name.

    >>> study("ladder").source
    'yao2025probability'
    """
    found = [place for place in REGISTRY if name in (place, place.rsplit(".", 1)[-1])]
    if not found:
        raise ValueError(f"study: unknown {name!r}; known: {', '.join(REGISTRY)}")
    return import_module(f".{found[0]}", __name__).STUDY
