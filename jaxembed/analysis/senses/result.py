"""An ambiguous word in all networks: scores with nulls and intervals, layer by layer, and what attention does to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ...tables import interval
from ...text import UNDEFINED, number, with_span
from .attention import MIXTURES, PATCHES
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
        return np.array([balanced_mean(network.right[where], self.senses) for network in self.networks(state)])

    def hits(self, state: str, where: ReadAt = "word") -> Float[np.ndarray, "seed example"]:
        """Hits at the depth that the validation part chose, of every seed its own."""
        return np.array([network.right[where][network.best(where)] for network in self.networks(state)])

    def mean_hits(self, side: Side) -> Float[np.ndarray, "seed example"]:
        """Hits of the mean static embedding, of the trained networks."""
        return np.array([network.mean[side] for network in self.trained])

    def shuffled(self) -> Float[np.ndarray, "seed example"]:
        """Hits of probes of shuffled senses, averaged over shuffles."""
        return np.array([network.shuffled.mean(axis=0) for network in self.trained])

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
        spread = f" sd {number(by_seed.std(ddof=1), '.2f')}" if len(by_seed) > 1 else ""
        return f"{with_span(by_seed.mean(), low, high, '.2f')}{spread}"

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
            pairs = [network.attention["patching"][name] for network in self.trained]
            found[name] = np.array([flipped / tried if tried else np.nan for flipped, tried in pairs])
        return found

    def row(self) -> tuple[str, ...]:
        """In the order of `HEADER`."""
        gains = []
        for over in ("static", "untrained", "left counts"):
            (low, high), gain = self.interval(over), self.gain(over)
            seeds = interval(balanced_mean(gain, self.senses), ".2f")
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
            found = [network.attention for network in self.networks(state) if network.attention]
            if found:
                depths = "/".join(str(network.depth) for network in self.networks(state))
                yield self.task.word, state, depths, *_mixtures(found), *_heads(found), *_patches(found)

    def layer_rows(self) -> Iterator[tuple[str, ...]]:
        """By reading point and network: accuracy and separation at every depth, means over seeds."""
        for state in ("trained", "untrained"):
            for where in READING_POINTS:
                accuracies = self.accuracy(state, where).mean(axis=0)
                apart = np.mean([network.separation[where] for network in self.networks(state)], axis=0)
                pairs = zip(accuracies, apart, strict=True)
                yield self.task.word, state, where, *(f"{a:.2f} ({number(s, '.2f')})" for a, s in pairs)


def _mean(values: Any) -> str:
    return number(np.mean(values), ".2f")


def _mixtures(networks: list[dict[str, Any]]) -> Iterator[str]:
    """Cosine and relative error, and both centred."""
    for target in ("by attention", "in all"):
        for kind in range(len(MIXTURES)):
            scores = np.mean([attention["mixture"][target][kind] for attention in networks], axis=0)
            yield f"{scores[0]:.2f}, {scores[1]:.2f}; centred {scores[2]:.2f}, {scores[3]:.2f}"


def largest_head(attention: dict[str, Any]) -> tuple[int, int]:
    """Layer and head of the largest direct effect in the training sentences, both from 0."""
    heads = np.array(attention["effects"]["donors"]["heads"])
    layer, head = np.unravel_index(int(np.argmax(heads)), heads.shape)
    return int(layer), int(head)


def _heads(networks: list[dict[str, Any]]) -> Iterator[str]:
    """The share of all heads and that of the head chosen in training sentences, over all seeds' decisions together, and
    what its ablation costs in test sentences."""
    effects, heads = [attention["effects"]["test"] for attention in networks], [largest_head(a) for a in networks]
    ablated = []
    largest = [effect["heads"][layer][head] for effect, (layer, head) in zip(effects, heads, strict=True)]
    total = np.sum([effect["total"] for effect in effects])
    yield _mean(np.sum([np.sum(effect["heads"]) for effect in effects]) / total)
    yield _mean(np.sum(largest) / total)
    for attention, (layer, head) in zip(networks, heads, strict=True):
        if "ablation" in attention:
            ablation = attention["ablation"]
            ablated.append((ablation["intact"], ablation["heads"][layer][head], ablation["none"]))
    yield " / ".join(map(_mean, zip(*ablated, strict=True))) if ablated else "not asked"


def _patches(networks: list[dict[str, Any]]) -> Iterator[str]:
    for name in PATCHES:
        pairs = np.array([attention["patching"][name] for attention in networks if "patching" in attention])
        if len(pairs) and pairs[:, 1].all():
            yield f"{interval(pairs[:, 0] / pairs[:, 1], '.2f')} of {int(pairs[:, 1].mean())}"
        else:
            yield UNDEFINED if len(pairs) else "not asked"
