"""The table of presets: each says what to expect; `jaxembed run NAME` runs it, flags change its settings."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...corpus import TextBigram
from ...models import Feedforward, Linear, TwoPosition
from ...tasks import Addition, BinaryTable, LabelNeutral, Memory, MixedAnchors, Modular
from ..closed_form import ClosedForm
from ..experiment import Experiment
from ..protocol import Runnable
from ..solved import AttentionFirstSteps, DeepLinearModes, SoftLabelSteps, WordPairModes
from .catalogue import SETTINGS


class Preset(NamedTuple):
    """An experiment with a sentence on what it shows, and its other sizes where it has some."""

    experiment: Any  # a Runnable
    expect: str
    sizes: Mapping[str, Runnable] = {}


def _pair(task, expect: str, expect_feedforward: str) -> tuple[Preset, Preset]:
    return Preset(Experiment(task, Linear()), expect), Preset(Experiment(task, Feedforward()), expect_feedforward)


_ADDITION = _pair(
    Addition(),
    "digits line up: cosine of anchors falls with distance; rung 1 holds to about t1",
    "the same through GELU; F1 + F2 + F3 follows the flow to about t1",
)
_NEUTRAL = _pair(
    LabelNeutral(),
    "label signatures of anchors are equal, so order comes later, from context signatures (rung 1, not rung 0)",
    "as the linear model, with joint signatures helping through GELU",
)
_MODULAR = _pair(
    Modular(),
    "label and context signatures of anchors are equal: the linear model cannot learn, accuracy stays near chance",
    "only the joint signature tells anchors apart, and only a feedforward model sees it",
)
_MEMORY = _pair(
    Memory(),
    "labels are random: no order among anchors",
    "no order among anchors, though part of the table is memorised",
)

PRESETS: dict[str, Preset] = {
    "addition": _ADDITION[0],
    "addition-feedforward": _ADDITION[1],
    "label-neutral": _NEUTRAL[0],
    "label-neutral-feedforward": _NEUTRAL[1],
    "modular": _MODULAR[0],
    "modular-feedforward": Preset(
        Experiment(
            Modular(), Feedforward(hidden=128), optimizer="adam", learning_rate=1e-3, steps=2000, dtype="float32"
        ),
        _MODULAR[1].expect + "; order about 0.97",
    ),
    "memory": _MEMORY[0],
    "memory-feedforward": _MEMORY[1],
    "anchors": Preset(
        Experiment(
            MixedAnchors(),
            Feedforward(width=200, hidden=400, gamma=0.8),
            seeds=2,
            optimizer="adamw",
            learning_rate=1e-3,
            batch=2000,
            steps=1500,
            dtype="float32",
        ),
        "reasoning anchors (11-20) line up, memory anchors (1-10) stay collinear",
    ),
    "xor": Preset(
        Experiment(
            BinaryTable(16, "xor"),
            Feedforward(hidden=128, init_scale=1e-2),
            optimizer="adam",
            learning_rate=1e-3,
            dtype="float32",
        ),
        "uniform label signatures: what is learnt comes from joint signatures",
    ),
    "text-bigram": Preset(
        Experiment(TextBigram(), Linear(), seeds=3, steps=1200, saves=30, plateaus=10),
        "embeddings follow the next-word signature, unembeddings the previous-word signature",
    ),
    "modular-pairs": Preset(
        Experiment(BinaryTable(7), TwoPosition(width=50), seeds=3, flow_time=40.0, rtol=1e-5, weight_decay=1e-4),
        "uniform label signatures, so F1 vanishes: F2, the joint signatures, leads",
    ),
    "deep-linear": Preset(
        ClosedForm(DeepLinearModes()), "items of a tree: broad splits are learned before fine ones, each as a sigmoid"
    ),
    "word-pairs": Preset(
        ClosedForm(WordPairModes()), "words of four attributes: one sigmoid an attribute, then analogies are exact"
    ),
    "attention-only": Preset(
        ClosedForm(AttentionFirstSteps(), seeds=1, steps=1000),
        "from zero weights the output matrix starts as t times the bigram statistics",
    ),
    "soft-label": Preset(
        ClosedForm(SoftLabelSteps()), "tokens of a tree of supports: steps at 1 / sigma_k, broad concepts first"
    ),
}


def _sized(sizes: Mapping[str, Any]) -> Preset:
    usual = sizes.get("quick") or next(iter(sizes.values()))
    return Preset(usual, usual.expect, sizes)


PRESETS |= {name: _sized(sizes) for name, sizes in SETTINGS.items()}
