"""Topics in the states of networks: scores beside their nulls, by layer, along the document, and beside perplexity."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ...base import Progress, silent
from ...observables import summary
from ...probes import gap_closed
from ...tables import Table, interval, span, with_span
from ..foreign import read_decoder
from .perplexity import PerplexityLink, perplexity_link
from .probes import METRICS
from .references import REFERENCES, Arrays
from .scores import DEEP, READ, score_network
from .states import BUDGET
from .task import TopicSizes, TopicTask, build_topic_task
from .texts import TopicTexts

WEAK_NULLS = ("majority", "last token only", "shuffled targets")
BAG = "bag of tokens"
"""The strongest answer that needs no network."""
NULLS = (*(f"untrained, {name}" for name in READ), *WEAK_NULLS, BAG)
ROWS = (*READ, *(f"untrained, {name}" for name in READ), *WEAK_NULLS, *REFERENCES[2:])
"""All that is scored for each number of topics."""
LAYER_HEADER = ("depth", *(f"{state}, {pooling}" for state in ("trained", "untrained") for pooling in DEEP))
PLACE_HEADER = (
    "read so far",
    "accuracy of the last state",
    "of LDA's own inference",
    "nats of the tokens up to the next place",
)
LINK_HEADER = ("seed", "line in position", "an effect for each position", "accuracies permuted", "between documents",
               "documents", "places")  # fmt: skip


@dataclass(frozen=True)
class TopicScores:
    """Topics in some networks, each beside its untrained start.

    Attributes:
        text: name of the texts.
        sizes: how many documents, topics, fits and places.
        counts: documents probes learn from, and are scored on.
        trained: by name, see `score_network`, with a leading `[seed]`, one for each network.
        untrained: the same of the networks before training.
        references: by name, see `score_references`.
        links: of every trained network.
        words: the most frequent words of the first fit's topics.
    """

    text: str
    sizes: TopicSizes
    counts: tuple[int, int]
    trained: Arrays
    untrained: Arrays
    references: Arrays
    links: tuple[PerplexityLink, ...]
    words: tuple[tuple[str, ...], ...]

    def scores(self, topics: int, name: str) -> Float[np.ndarray, "seed fit metric"]:
        """Scores of one of `ROWS`: "average", "untrained, average", "majority", "shuffled targets", ..."""
        if name.startswith("untrained, "):
            return self.untrained[f"{topics} {name.removeprefix('untrained, ')}"]
        values = (self.references | self.trained)[f"{topics} {name}"]
        return values if values.ndim == 3 else values[None]

    def accuracy(self, topics: int, name: str) -> Float[np.ndarray, "seed fit"]:
        """Top-topic accuracy of one row."""
        return self.scores(topics, name)[:, :, METRICS.index("accuracy")]

    def over_seeds(self, topics: int, name: str) -> Float[np.ndarray, " seed"]:
        """Top-topic accuracy of one row, a mean over LDA fits for each training seed."""
        return self.accuracy(topics, name).mean(axis=1)

    def best_null(self, topics: int) -> str:
        """The row of `NULLS` with the highest accuracy on average."""
        return max(NULLS, key=lambda null: float(np.mean(self.accuracy(topics, null))))

    def closed(self, topics: int, name: str = "average") -> Float[np.ndarray, " seed"]:
        """Share of the way from the best null's accuracy to 1, which LDA's own inference from the same tokens has.

        The best null may be the bag of tokens: a negative share is a network that says less than counts do.
        """
        best = float(np.mean(self.accuracy(topics, self.best_null(topics))))
        return gap_closed(self.over_seeds(topics, name), best, 1.0)

    @property
    def depths(self) -> tuple[str, ...]:
        """Names of the depths."""
        blocks = self.trained[f"layers {DEEP[0]}"].shape[1] - 2
        return "embedding", *(f"block {k + 1}" for k in range(blocks)), "last norm"

    def tables(self) -> tuple[Table, ...]:
        """Every score, accuracy by layer, what happens along the document, and the link to perplexity."""
        loss = interval(self.trained["loss"], ".3f")
        along = f"Along the document; {loss} nats per token of all"
        layers = f"Top-topic accuracy by layer, K = {self.sizes.topics[0]}, one LDA fit"
        link = "Nats of loss per step from a wrong to a right topic, document effects taken out"
        return (
            Table("Topic mixtures read by a linear probe, 95 % intervals", ("K", "what is read", *METRICS),
                  [self._row(size, name) for size in self.sizes.topics for name in ROWS]),
            Table(layers, LAYER_HEADER, self._layer_rows(), name="layers"),
            Table(along, PLACE_HEADER, self._place_rows(), name="places"),
            Table(link, LINK_HEADER, self._link_rows(), name="link"),
        )  # fmt: skip

    @property
    def caption(self) -> str:
        """What was computed with what."""
        return (
            f"{self.text}: {self.counts[0]:,} training documents, {self.counts[1]:,} test documents of "
            f"{self.sizes.least} to {self.sizes.length} tokens; {self.sizes.fits} LDA fits, each with its own "
            "probe seed. LDA's own inference from the same tokens is the target: accuracy 1, L2 0. Another LDA fit "
            "says how far the target is determined; chance is 1 / K."
        )

    def record(self) -> dict[str, Any]:
        """The numbers for a json file."""
        arrays = {"trained": self.trained, "untrained": self.untrained, "references": self.references}
        scores = {part: {name: a for name, a in group.items() if _is_score(name)} for part, group in arrays.items()}
        links = [asdict(link) for link in self.links]
        facts = {"text": self.text, "counts": self.counts, "metrics": METRICS}
        return {**facts, **scores, "links": links, "words": self.words}

    def _row(self, size: int, name: str) -> tuple[str, ...]:
        scores = self.scores(size, name)
        return f"{size}", name, *(_both(scores[:, :, place]) for place in range(len(METRICS)))

    def _layer_rows(self) -> list[tuple[str, ...]]:
        """Accuracy at every depth, of the main K and the first fit, trained and untrained."""
        curves = [group[f"layers {pooling}"][:, :, 0] for group in (self.trained, self.untrained) for pooling in DEEP]
        return [
            (name, *(interval(curve[:, depth], ".3f") for curve in curves)) for depth, name in enumerate(self.depths)
        ]

    def _place_rows(self) -> list[tuple[str, ...]]:
        """Along the document: accuracy of the probe there, of LDA's own inference so far, loss of what follows."""
        right, losses = self.trained["right"].mean(axis=2), _nanmean(self.trained["losses"])
        prefix, places = self.references["prefix"], right.shape[1]
        return [
            (f"{(k + 1) / places:.2f}", interval(right[:, k], ".3f"), f"{prefix[k]:.3f}", interval(losses[:, k], ".3f"))
            for k in range(places)
        ]

    def _link_rows(self) -> list[tuple[str, ...]]:
        """The regression of every network."""
        return [
            (f"{seed}", with_span(link.coefficient, link.low, link.high, ".4f"), with_span(*link.flexible, ".4f"),
             with_span(*link.null, ".4f"), f"{link.between:.3f}", f"{link.documents:,}", f"{link.rows:,}")
            for seed, link in enumerate(self.links)
        ]  # fmt: skip


def topics_of_model(
    place: str | Path, texts: TopicTexts, sizes: TopicSizes, *,
    keep: Path | None = None, budget: int = BUDGET, progress: Progress = silent,
) -> TopicScores:  # fmt: skip
    """Topics in a model that somebody trained, beside one of its shape that nobody did.

    Args:
        place: Hugging Face folder of a decoder, run folder of `jaxembed pretrain`, or `hub:owner/name`.
        texts: the documents.
        sizes: how many documents, topics, fits and places.
        keep: folder that remembers the targets.
        budget: bytes that the states of one batch may take.
        progress: takes a line after each part.

    Raises:
        ValueError: for a folder without a decoder or its tokenizer, and documents longer than its positions.
    """
    model, params, tokenizer = read_decoder(place)
    task = build_topic_task(texts, tokenizer, sizes, keep=keep, progress=progress)
    with jax.enable_x64(False):
        fresh = model.init(jax.random.key(0), params["embed"].shape[0], sizes.length + 1)
    trained = score_network(model, params, task, budget=budget, progress=progress)
    untrained = score_network(model, fresh, task, shuffled=False, budget=budget, progress=progress)
    return collect_scores(task, [(trained, untrained)])


def collect_scores(task: TopicTask, networks: list[tuple[Arrays, Arrays]]) -> TopicScores:
    """The scores of some networks, each beside those of its untrained start."""
    trained, untrained = (
        {name: np.stack([pair[part][name] for pair in networks]) for name in networks[0][part]} for part in (0, 1)
    )
    links = tuple(perplexity_link(trained["losses"], trained["right"]) for trained, _ in networks)
    words = tuple(tuple(line.split()) for line in task.references["words"].tolist())
    counts = len(task.train), len(task.test)
    return TopicScores(task.name, task.sizes, counts, trained, untrained, task.references, links, words)


def _both(values: Float[np.ndarray, "seed fit"]) -> str:
    """The mean with an interval over fits, and one over training seeds where there are several."""
    over_fits = interval(values.mean(axis=0), ".3f")
    if len(values) == 1:
        return over_fits
    found = summary(values.mean(axis=1))
    return f"{over_fits} fits, {span(found.low, found.high, '.3f')} seeds"


def _is_score(name: str) -> bool:
    """Whether an array is a score, and not one number for each document."""
    return name not in ("right", "losses", "words") and not name.startswith("targets")


def _nanmean(values: Float[np.ndarray, "seed position document"]) -> Float[np.ndarray, "seed position"]:
    """Means over documents; NaN where no document has a value."""
    known = ~np.isnan(values)
    counts = known.sum(axis=2)
    return np.where(counts > 0, np.where(known, values, 0.0).sum(axis=2) / np.maximum(counts, 1), np.nan)
