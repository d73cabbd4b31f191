"""Topics amid grammar: from which share of semantic words on the mixture of a document can be read."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ...decoding import Decoded, Setting, carried_out
from ...decoding.result import SHARE
from ...decoding.scores import CEILING, MODEL, NULLS
from ...probes import gap_closed
from ...runs.presets.catalogue import find_setting
from ..check import Check
from ..measured import mean_and_interval, silent
from .topics import DIGITS, METRICS, TARGET, TopicSize

SHARES: dict[str, tuple[float, ...]] = {
    "tiny": (0.2, 1.0),
    "quick": (0.1, 0.4, 0.8),
    "full": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
}
PUBLISHED = 0.4
"""Share of semantic words from which on the mixture was found to be recoverable."""
HEADER = ("semantic share", "what is read", *METRICS, "share of the gap (L2)")


@dataclass(frozen=True)
class SemanticShareStudy:
    """What the study found.

    Attributes:
        size: of the study.
        setting: at the last share.
        found: by share of semantic words, all scores.
    """

    size: TopicSize
    setting: Setting
    found: dict[float, Decoded]

    def values(self, share: float, source: str, metric: str) -> Float[np.ndarray, " seed"]:
        """Scores of the model, a null or the ceiling."""
        return self.found[share].values(TARGET, metric, source)

    def closed(self, share: float, metric: str = "L2", source: str = MODEL) -> Float[np.ndarray, " seed"]:
        """The way from the best null to the ceiling that the model, or what else is read, closes."""
        null, ceiling = self.found[share].null(TARGET, metric)[0], self.values(share, CEILING, metric)
        return gap_closed(self.values(share, source, metric), null, ceiling)

    def rows(self) -> list[tuple[str, ...]]:
        """Scores by share and what is read, with their interval over seeds, under `HEADER`."""
        return [self._row(share, source) for share in self.found for source in (MODEL, *NULLS, CEILING)]

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        above = [share for share in self.found if share >= PUBLISHED]
        asked = 0.2 if self.size == "tiny" else SHARE
        return [*(self._share_check(share, asked) for share in above), self._rise_check()]

    def _row(self, share: float, source: str) -> tuple[str, ...]:
        cells = [mean_and_interval(self.values(share, source, metric), DIGITS[metric]) for metric in METRICS]
        closed = mean_and_interval(self.closed(share)) if source == MODEL else ""
        return (f"{share:g}", source, *cells, closed)

    def _share_check(self, share: float, asked: float) -> Check:
        closed = self.closed(share)
        model, ceiling = (self.values(share, source, "accuracy").mean() for source in (MODEL, CEILING))
        null, source = self.found[share].null(TARGET, "accuracy")
        beside = f"accuracy {model:.3f}, ceiling {ceiling:.3f}, best null {null.mean():.3f} ({source})"
        name = f"semantic share {share:g}: share of the gap in L2 between the best null and the ceiling"
        return Check(name, f">= {asked:.0%}", f"{mean_and_interval(closed)}; {beside}", bool(closed.mean() >= asked))

    def _rise_check(self) -> Check:
        """The curve, of the share of the gap: L2 itself falls with more semantic words for exact inference too."""
        shares = sorted(self.found)
        closed = [self.closed(share).mean() for share in shares]
        got = "; ".join(
            f"{share:g}: {value:.2f} (L2 {self._mean(share, MODEL):.4f}, ceiling {self._mean(share, CEILING):.4f}, "
            f"untrained {self._mean(share, 'untrained'):.4f})"
            for share, value in zip(shares, closed, strict=True)
        )
        asked = "rises from the smallest semantic share to the largest"
        return Check("share of the gap in L2 by semantic share", asked, got, bool(closed[-1] > closed[0]))

    def _mean(self, share: float, source: str) -> float:
        return float(self.values(share, source, "L2").mean())


def semantic_share(
    size: TopicSize, seeds: int = 3, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> SemanticShareStudy:
    """Train on documents with ever more semantic words, and read the mixture beside its posterior mean.

    Args:
        size: "tiny", "quick" or "full".
        seeds: networks, each with topics, classes and documents of its own.
        keep: a folder for networks and scores, so that a killed run goes on where it was.
        progress: takes lines on how far it is.

    Source: zhang2024embed.
    """
    setting, found = find_setting("hmm-topics", size), {}
    for share in SHARES[size]:
        setting = replace(setting, process=replace(setting.process, share=share))
        name = f"share {share:g}"
        folder = None if keep is None else keep / name.replace(" ", "_")

        def report(line: str, name: str = name) -> None:
            progress(f"{name}: {line}")

        found[share] = carried_out(setting, name, size, seeds, folder, report)[0].decoded
    return SemanticShareStudy(size, setting, found)
