"""An ambiguous word in all networks: scores with nulls and intervals, layer by layer, and what attention does to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ...studies.measured import UNDEFINED, mean_and_interval
from .attention import PATCHES
from .probes import balanced_mean, bootstrap_interval
from .scores import READING_POINTS, SIDES, SenseScores
from .texts import SenseTask
from .tokens import ReadAt, Side

HEADER = (
    "word", "test sentences", "trained, at the word", "trained, at the end", "untrained, at the word",
    "untrained, at the end", "counts, left", "counts, both sides", "mean embedding, left", "mean, both", "static",
    "shuffled senses", "gain over static", "over untrained", "over left counts",
)  # fmt: skip
ATTENTION_HEADER = (
    "word", "network", "depth", "attention's change: own weights", "equal weights", "other sentence",
    "whole change: own weights", "equal weights", "other sentence", "heads' share of the decision", "largest head",
    "accuracy with it, without it, without any head", "flips: carrier", "other place", "other word",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class WordResult:
    """One word in all networks.

    Attributes:
        task: its sentences.
        bags: by side `[example]`, hits of counts of the same words.
        trained: by seed.
        untrained: by seed, of step 0.
    """

    task: SenseTask
    bags: dict[str, Float[np.ndarray, " example"]]
    trained: tuple[SenseScores, ...]
    untrained: tuple[SenseScores, ...]

    @property
    def senses(self) -> Int[np.ndarray, " example"]:
        """`[example]`, of the test sentences."""
        return self.task.senses[self.task.test]

    def networks(self, state: str) -> tuple[SenseScores, ...]:
        return self.trained if state == "trained" else self.untrained

    def accuracy(self, state: str, where: ReadAt = "word") -> Float[np.ndarray, "seed layer"]:
        """Balanced accuracy on the test sentences, by depth."""
        return np.array([balanced_mean(one.right[where], self.senses) for one in self.networks(state)])

    def hits(self, state: str, where: ReadAt = "word") -> Float[np.ndarray, "seed example"]:
        """Hits at the depth that the validation part chose, of every seed its own."""
        return np.array([one.right[where][one.best(where)] for one in self.networks(state)])

    def mean_hits(self, side: Side) -> Float[np.ndarray, "seed example"]:
        """Hits of the mean static embedding, of the trained networks."""
        return np.array([one.mean[side] for one in self.trained])

    def shuffled(self) -> Float[np.ndarray, "seed example"]:
        """Hits of probes of shuffled senses, averaged over shuffles."""
        return np.array([one.shuffled.mean(axis=0) for one in self.trained])

    def static(self) -> Float[np.ndarray, " seed"]:
        """Accuracy of the trained networks' embeddings at the word.

        It is 1 / senses where the word is embedded alike in all sentences, not where positions are learned or its
        spelling or pieces differ.
        """
        return self.accuracy("trained")[:, 0]

    def score(self, hits: Float[np.ndarray, "seed example"]) -> str:
        """Balanced accuracy (or gain) with its interval over test sentences, and the spread over seeds."""
        low, high = bootstrap_interval(hits, self.senses)
        by_seed = balanced_mean(hits, self.senses)
        spread = f" sd {by_seed.std(ddof=1):.2f}" if len(by_seed) > 1 else ""
        return f"{by_seed.mean():.2f} [{low:.2f}, {high:.2f}]{spread}"

    def gain(self, over: str = "static") -> Float[np.ndarray, "seed example"]:
        """Hits of the best depth at the word less those of a null, sentence by sentence: "static" (its accuracy, taken
        as given), "untrained" (its own best depth), "left counts"."""
        null = {"static": lambda: self.static()[:, None], "untrained": lambda: self.hits("untrained"),
                "left counts": lambda: self.bags["left"][None]}  # fmt: skip
        return self.hits("trained") - null[over]()

    def interval(self, over: str = "static") -> tuple[float, float]:
        """Of the gain, over sentences and seeds both drawn again."""
        return bootstrap_interval(self.gain(over), self.senses, resample_seeds=True)

    def flips(self) -> dict[str, Float[np.ndarray, " seed"]]:
        """By kind of patch `[seed]`, share of decisions that flip; NaN where none could be patched."""
        found = {}
        for name in self.trained[0].attention["patching"]:
            pairs = [one.attention["patching"][name] for one in self.trained]
            found[name] = np.array([flipped / tried if tried else np.nan for flipped, tried in pairs])
        return found

    def row(self) -> tuple[str, ...]:
        """In the order of `HEADER`."""
        gains = []
        for over in ("static", "untrained", "left counts"):
            (low, high), gain = self.interval(over), self.gain(over)
            seeds = mean_and_interval(balanced_mean(gain, self.senses))
            gains.append(f"{self.score(gain)}; seeds {seeds}; both [{low:.2f}, {high:.2f}]")
        return (
            self.task.word,
            self.task.counts(self.task.test),
            *(self.score(self.hits(state, where)) for state in ("trained", "untrained") for where in READING_POINTS),
            *(self.score(self.bags[side][None]) for side in SIDES),
            *(self.score(self.mean_hits(side)) for side in SIDES),
            f"{self.static().mean():.2f}",
            self.score(self.shuffled()),
            *gains,
        )

    def attention_rows(self) -> Iterator[tuple[str, ...]]:
        """In the order of `ATTENTION_HEADER`, trained and untrained; means over seeds."""
        for state in ("trained", "untrained"):
            found = [one.attention for one in self.networks(state) if one.attention]
            if found:
                depths = "/".join(str(one.depth) for one in self.networks(state))
                yield self.task.word, state, depths, *_mixtures(found), *_heads(found), *_patches(found)

    def layer_rows(self) -> Iterator[tuple[str, ...]]:
        """By reading point and network: accuracy and separation at every depth, means over seeds."""
        for state in ("trained", "untrained"):
            for where in READING_POINTS:
                accuracies = self.accuracy(state, where).mean(axis=0)
                apart = np.mean([one.separation[where] for one in self.networks(state)], axis=0)
                cells = [f"{a:.2f} ({UNDEFINED if np.isnan(s) else f'{s:.2f}'})"
                         for a, s in zip(accuracies, apart, strict=True)]  # fmt: skip
                yield self.task.word, state, where, *cells


def _mean(values: list[Any]) -> str:
    mean = float(np.mean(values))
    return UNDEFINED if np.isnan(mean) else f"{mean:.2f}"


def _mixtures(found: list[dict[str, Any]]) -> Iterator[str]:
    """Cosine and relative error, and both centred."""
    for target in ("by attention", "in all"):
        for kind in range(3):
            scores = np.mean([one["mixture"][target][kind] for one in found], axis=0)
            yield f"{scores[0]:.2f}, {scores[1]:.2f}; centred {scores[2]:.2f}, {scores[3]:.2f}"


def largest_head(found: dict[str, Any]) -> tuple[int, int]:
    """Layer and head of the largest direct effect in the training sentences, both from 0."""
    heads = np.array(found["effects"]["donors"]["heads"])
    layer, head = np.unravel_index(int(np.argmax(heads)), heads.shape)
    return int(layer), int(head)


def _heads(found: list[dict[str, Any]]) -> Iterator[str]:
    """The share of all heads and that of the head chosen in training sentences, over all seeds' decisions together, and
    what its ablation costs in test sentences."""
    shares, largest, totals, tops = [], [], [], []
    for one in found:
        effects, (layer, head) = one["effects"]["test"], largest_head(one)
        totals.append(effects["total"])
        shares.append(np.sum(effects["heads"]))
        largest.append(effects["heads"][layer][head])
        if "ablation" in one:
            tops.append((one["ablation"]["intact"], one["ablation"]["heads"][layer][head], one["ablation"]["none"]))
    yield _mean([np.sum(shares) / np.sum(totals)])
    yield _mean([np.sum(largest) / np.sum(totals)])
    yield " / ".join(_mean(list(part)) for part in zip(*tops, strict=True)) if tops else "not asked"


def _patches(found: list[dict[str, Any]]) -> Iterator[str]:
    for name in PATCHES:
        pairs = np.array([one["patching"][name] for one in found if "patching" in one])
        if len(pairs) and pairs[:, 1].all():
            yield f"{mean_and_interval(pairs[:, 0] / pairs[:, 1])} of {int(pairs[:, 1].mean())}"
        else:
            yield "not asked" if not len(pairs) else UNDEFINED
