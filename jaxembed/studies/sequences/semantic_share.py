"""Topics amid grammar: from which share of semantic words on the mixture of a document can be read."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from ...decoding import CEILING, MODEL, NULLS, SHARE, Decoded, DecodingSetting
from ...runs.presets import find_setting
from ...tables import Table, interval
from .. import Bound, Evidence, Run, Size, Study
from ._shared import gain_evidence, part, result_of, share_evidence, training_note
from .topics import DIGITS, METRICS, TARGET

PUBLISHED = 0.4
"""Share of semantic words from which on the mixture was found to be recoverable."""
VARIED = "seeds (network, world, documents)"


@dataclass(frozen=True)
class SemanticShareSetting:
    """Networks on documents with ever more semantic words.

    Attributes:
        decoding: process and training; the share of semantic words is set by `shares`.
        shares: of semantic words.
        closed: share of the gap between the best null and the ceiling, expected from the published share on.
    """

    decoding: DecodingSetting
    shares: tuple[float, ...]
    closed: float = SHARE

    def at(self, share: float) -> DecodingSetting:
        """The setting at a share of semantic words."""
        return replace(self.decoding, process=replace(self.decoding.process, share=share))


TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SETTINGS: dict[Size, SemanticShareSetting] = {
    "tiny": SemanticShareSetting(find_setting("hmm-topics", "tiny"), (0.2, 1.0), 0.2),
    "quick": SemanticShareSetting(find_setting("hmm-topics", "quick"), (0.1, 0.4, 0.8)),
    "published": SemanticShareSetting(find_setting("hmm-topics", "published"), TENTHS),
}


@dataclass(frozen=True)
class SemanticShare:
    """All scores, by share of semantic words."""

    setting: SemanticShareSetting
    decoded: dict[float, Decoded]

    def values(self, share: float, source: str, metric: str) -> Float[np.ndarray, " seed"]:
        """Scores of the model, a null or the ceiling."""
        return self.decoded[share].values(TARGET, metric, source)

    def closed(self, share: float) -> Float[np.ndarray, " seed"]:
        """The way from the best null to the ceiling that the model closes, in L2."""
        return self.decoded[share].share(TARGET, "L2")


def run(setting: SemanticShareSetting, run: Run) -> SemanticShare:
    """Train on documents with ever more semantic words, and read the mixture beside its posterior mean.

    A seed is a network with topics, classes and documents of its own.
    """
    decoded = {}
    for share in setting.shares:
        decoded[share] = result_of(setting.at(share), part(run, f"share {share:g}"))[0].decoded
    return SemanticShare(setting, decoded)


def tables(result: SemanticShare) -> tuple[Table, ...]:
    """Scores by share and what is read, with their interval over seeds."""
    rows = []
    for share in result.decoded:
        closed = interval(result.closed(share), ".2f")
        for source in (MODEL, *NULLS, CEILING):
            texts = [interval(result.values(share, source, metric), f".{DIGITS[metric]}f") for metric in METRICS]
            rows.append((f"{share:g}", source, *texts, closed if source == MODEL else ""))
    header = ("semantic share", "what is read", *METRICS, "share of the gap (L2)")
    title = "the mixture of a document, 95 % intervals over seeds (network, world, documents)"
    return (Table(title, header, rows, training_note(result.setting.decoding)),)


def evidence(result: SemanticShare) -> tuple[Evidence, ...]:
    """The share of the gap from the published share on, at the first one under the plain id; and that it rises."""
    setting, shares = result.setting, sorted(result.decoded)
    bound = Bound("expectation", least=setting.closed, source="expected at this size")
    above = [share for share in shares if share >= PUBLISHED]
    rows = []
    for share in above:
        name = "topics-semantic-share" if share == above[0] else f"topics-semantic-share-{share:g}"
        claim = "amid grammar, from a semantic share of 0.4 on (share of the gap in L2)"
        claim += "" if share == above[0] else f", at {share:g}"
        rows.append(share_evidence(name, claim, result.decoded[share], TARGET, "L2", bound, "about 0.4", varied=VARIED))
    rise = result.closed(shares[-1]) - result.closed(shares[0])
    # L2 itself falls with more semantic words for exact inference too.
    shown = "; ".join(f"{share:g}: {result.closed(share).mean():.2f}" for share in shares)
    return (
        *rows,
        gain_evidence("topics-semantic-rise", "share of the gap in L2 rises from the smallest semantic share to the "
                      "largest", rise, no_null="it compares two shares", ceiling=shown, varied=VARIED),
    )  # fmt: skip


LARGER = tuple(f"topics-semantic-share-{share:g}" for share in TENTHS if share > PUBLISHED)
STUDY = Study(
    name="semantic_share",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=lambda result: f"{training_note(result.setting.decoding)}; lines: mean, bands: smallest to largest seed.",
    ids=("topics-semantic-share", *LARGER, "topics-semantic-rise"),
    takes={"tiny": "20 s", "quick": "8 min", "published": "hours"},
    smaller={
        "tiny": "3 topics and 32 words for 5 and 1000, documents of 16 for 401, width 32 for 128",
        "quick": "200 words for 1000, documents of 128 for 401, width 64 for 128, 800 steps for 20000",
    },
    beyond_tiny=LARGER,
)
