"""Do decoders carry the topics of documents? Probes to LDA mixtures, their nulls, and the link to perplexity."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float

from ...analysis.alignment import plain
from ...analysis.foreign import read_decoder
from ...analysis.topics.decoders import SETTINGS, Corpus, Setting, cells_of, corpus_with_targets, trained_cell
from ...analysis.topics.perplexity import Link, perplexity_link
from ...analysis.topics.probes import METRICS
from ...analysis.topics.scores import DEEP, EMBEDDINGS, READ, REFERENCES, Arrays
from ...analysis.topics.states import BUDGET
from ...analysis.topics.texts import Texts, newsgroup_texts, stand_in
from ...corpus import byte_bpe
from ...observables import summary
from ...probes import gap_closed
from ..check import Check
from ..measured import mean_and_interval, silent

NaturalSize = Literal["tiny", "quick"]
HEADER = ("K", "what is read", *METRICS)
OTHERS = ("majority", "last token only", "shuffled targets")
BAG = "bag of tokens"
"""The strongest answer that needs no network."""
NULLS = (*(f"untrained, {name}" for name in READ), *OTHERS, BAG)
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
class NaturalTopics:
    """What the study found; a "seed" is a decoder trained from its own start and data order.

    Attributes:
        size: of the study, or the name of the model that was given.
        text: name of the texts.
        setting: sizes.
        counts: documents probes learn from, and are scored on.
        trained: by name, see `network_scores`, with a leading `[seed]`.
        untrained: the same of the decoders before training.
        references: by name, see `reference_scores`.
        links: of every trained decoder.
        words: the most frequent words of the first fit's topics.
    """

    size: str
    text: str
    setting: Setting
    counts: tuple[int, int]
    trained: Arrays
    untrained: Arrays
    references: Arrays
    links: tuple[Link, ...]
    words: tuple[tuple[str, ...], ...]

    def cell(self, topics: int, name: str) -> Float[np.ndarray, "seed hypothesis dimension"]:
        """Scores of one row of the table: "average", "untrained, average", "majority", "shuffled targets", ..."""
        if name.startswith("untrained, "):
            return self.untrained[f"{topics} {name.removeprefix('untrained, ')}"]
        found = self.trained if f"{topics} {name}" in self.trained else self.references
        values = found[f"{topics} {name}"]
        return values if values.ndim == 3 else values[None]

    def accuracy(self, topics: int, name: str) -> Float[np.ndarray, "seed hypothesis"]:
        """Top-topic accuracy of one row."""
        return self.cell(topics, name)[:, :, METRICS.index("accuracy")]

    def closed(self, topics: int, name: str = "average") -> Float[np.ndarray, " seed"]:
        """Share of the way from the best null's accuracy to 1, which LDA's own inference from the same tokens has.

        The best null may be the bag of tokens: a negative share is a network that says less than counts do.
        """
        best = float(np.mean(self.accuracy(topics, self.best_null(topics))))
        return gap_closed(self.accuracy(topics, name).mean(axis=1), best, 1.0)

    def best_null(self, topics: int) -> str:
        """The row of `NULLS` with the highest accuracy on average."""
        return max(NULLS, key=lambda null: float(np.mean(self.accuracy(topics, null))))

    def over_seeds(self, topics: int, name: str) -> Float[np.ndarray, " seed"]:
        """Top-topic accuracy of one row, a mean over LDA fits for each training seed."""
        return self.accuracy(topics, name).mean(axis=1)

    def rows(self) -> list[tuple[str, ...]]:
        """Every score with its 95 % intervals: over (LDA fit, probe seed), and training seeds if there are several."""
        named = (*READ, *(f"untrained, {name}" for name in READ), *OTHERS, *REFERENCES[2:])
        return [self._row(size, name) for size in self.setting.topics for name in named]

    def _row(self, size: int, name: str) -> tuple[str, ...]:
        cell = self.cell(size, name)
        return f"{size}", name, *(_both(cell[:, :, place]) for place in range(len(METRICS)))

    def layer_rows(self) -> list[tuple[str, ...]]:
        """Accuracy at every depth, of the main K and the first fit, trained and untrained."""
        found = []
        for depth, name in enumerate(self.depths):
            cells = (
                group[f"layers {pooling}"][:, depth, 0] for group in (self.trained, self.untrained) for pooling in DEEP
            )
            found.append((name, *(mean_and_interval(cell, 3) for cell in cells)))
        return found

    @property
    def depths(self) -> tuple[str, ...]:
        """Names of the depths."""
        blocks = self.trained[f"layers {DEEP[0]}"].shape[1] - 2
        return "embedding", *(f"block {k + 1}" for k in range(blocks)), "last norm"

    def place_rows(self) -> list[tuple[str, ...]]:
        """Along the document: accuracy of the probe there, of LDA's own inference so far, loss of what follows."""
        right, losses = self.trained["right"].mean(axis=2), _nanmean(self.trained["losses"])
        shares = np.arange(1, right.shape[1] + 1) / right.shape[1]
        prefix = self.references["prefix"]
        return [
            (f"{share:.2f}", mean_and_interval(right[:, k], 3), f"{prefix[k]:.3f}", mean_and_interval(losses[:, k], 3))
            for k, share in enumerate(shares)
        ]

    def link_rows(self) -> list[tuple[str, ...]]:
        """The regression of every decoder."""
        return [
            (f"{seed}", _interval(link.coefficient, link.low, link.high), _interval(*link.flexible),
             _interval(*link.null), f"{link.between:.3f}", f"{link.documents:,}", f"{link.rows:,}")
            for seed, link in enumerate(self.links)
        ]  # fmt: skip

    def tables(self) -> list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
        """(title, header, rows) of everything that was found."""
        loss = mean_and_interval(self.trained["loss"], 3)
        return [
            ("Topic mixtures read by a linear probe, 95 % intervals", HEADER, self.rows()),
            (
                f"Top-topic accuracy by layer, K = {self.setting.topics[0]}, one LDA fit",
                LAYER_HEADER,
                self.layer_rows(),
            ),
            (f"Along the document; {loss} nats per token of all", PLACE_HEADER, self.place_rows()),
            (
                "Nats of loss per step from a wrong to a right topic, document effects taken out",
                LINK_HEADER,
                self.link_rows(),
            ),
        ]

    @property
    def caption(self) -> str:
        """What was computed with what."""
        return (
            f"{self.text}: {self.counts[0]:,} training documents, {self.counts[1]:,} test documents of "
            f"{self.setting.least} to {self.setting.length} tokens; {self.setting.fits} LDA fits, each with its own "
            "probe seed. LDA's own inference from the same tokens is the target: accuracy 1, L2 0. Another LDA fit "
            "says how far the target is determined; chance is 1 / K."
        )

    def record(self) -> dict[str, Any]:
        """The numbers for a json file."""
        arrays = {"trained": self.trained, "untrained": self.untrained, "references": self.references}
        kept = {part: {name: a for name, a in found.items() if _short(name)} for part, found in arrays.items()}
        links = [asdict(link) for link in self.links]
        return plain(
            {"text": self.text, "counts": self.counts, "metrics": METRICS, **kept, "links": links, "words": self.words}
        )

    @property
    def natural(self) -> bool:
        """Whether the documents are text: what is claimed of language is not asked of made-up words."""
        return not self.setting.stand_in

    def checks(self) -> list[Check]:
        """What the source says of large pretrained models, asked of these decoders as a direction.

        In made-up text nothing but the counts of the words matters, and the average state of an untrained network is
        a random projection of them: there the tables show those numbers, and they are not asked.
        """
        found = [check for size in self.setting.topics for check in self._checks_of(size)]
        return [*found, self._link_check()] if self.natural else found

    def _link_check(self) -> Check:
        coefficients = np.array([link.coefficient for link in self.links])
        highest = max(link.high for link in self.links)
        got = f"{mean_and_interval(coefficients, 4)}; highest end of an interval over documents {highest:.4f}"
        return Check("nats of loss per step to a right topic, within documents", "below 0", got, bool(highest < 0))

    def _checks_of(self, size: int) -> list[Check]:
        average = self.over_seeds(size, "average")
        guesses = {name: float(np.mean(self.accuracy(size, name))) for name in (*OTHERS, BAG)}
        said = ", ".join(f"{name} {value:.3f}" for name, value in guesses.items())
        best = self.best_null(size)
        closed = f"share of the way from the best null ({best}) to 1: {mean_and_interval(self.closed(size), 3)}"
        got = f"{mean_and_interval(average, 3)}; {said}; chance {1 / size:.2f}; {closed}"
        good = bool(average.min() > max(guesses[name] for name in OTHERS))
        rows = [Check(f"K = {size}: accuracy from the average token", f"above {', '.join(OTHERS)}", got, good)]
        rows.append(self._above(size, "average over last token", "last"))
        if not self.natural:
            return rows
        untrained = max((f"untrained, {name}" for name in READ), key=lambda name: self.over_seeds(size, name).mean())
        return [
            *rows,
            self._above(size, f"average over the best of the untrained network ({untrained})", untrained),
            self._above(size, "last layer's average over average of embeddings", EMBEDDINGS),
            self._above(size, f"average over {BAG}, which needs no network", BAG),
        ]

    def _above(self, size: int, name: str, other: str) -> Check:
        """Accuracy from the average token less that of another row, asked to be above 0 for every decoder."""
        gap = self.over_seeds(size, "average") - self.over_seeds(size, other)
        return Check(f"K = {size}: {name}", "> 0", mean_and_interval(gap, 3), bool(gap.min() > 0))


def natural_topics(
    size: NaturalSize, seeds: int = 3, progress: Callable[[str], None] = silent, *,
    keep: Path | None = None, archive: Path | None = None,
) -> NaturalTopics:  # fmt: skip
    """Train decoders on 20 Newsgroups and read LDA topic mixtures from their states.

    Args:
        size: "tiny" (made-up text, no data needed) or "quick".
        seeds: decoders, each from its own start and data order.
        progress: called with a line of text after each part.
        keep: folder that remembers finished parts, so that a stopped study carries on.
        archive: of the posts; None looks in JAXEMBED_DATA.

    Raises:
        ValueError: where the posts are needed and not there.

    Source: zhang2024embed.
    """
    setting = SETTINGS[size]
    texts = stand_in(setting.stand_in) if setting.stand_in else newsgroup_texts(archive)
    tokenizer = byte_bpe((document.text for document in texts.train), setting.vocab)
    corpus = corpus_with_targets(texts, tokenizer, setting, keep, progress)
    found = []
    for seed in range(seeds):
        found.append(trained_cell(setting, corpus, seed, keep, progress))
        progress(
            f"decoder {seed}: accuracy {_main(found[-1][0], setting):.3f}, untrained {_main(found[-1][1], setting):.3f}"
        )
    return result_of(size, setting, corpus, found)


def _main(cell: Arrays, setting: Setting) -> float:
    return float(cell[f"{setting.topics[0]} average"][:, METRICS.index("accuracy")].mean())


def topics_of_model(
    place: str | Path, texts: Texts, setting: Setting, *,
    keep: Path | None = None, budget: int = BUDGET, progress: Callable[[str], None] = silent,
) -> NaturalTopics:  # fmt: skip
    """The same of a model that somebody trained, beside one of its shape that nobody did.

    Args:
        place: Hugging Face folder of a decoder, run folder of `jaxembed pretrain`, or `hub:owner/name`.
        texts: the documents.
        setting: sizes; what it says of a decoder and its training is not used.
        keep: folder that remembers the targets.
        budget: bytes that the states of one batch may take.
        progress: called with a line of text after each part.

    Raises:
        ValueError: for a folder without a decoder or its tokenizer, and documents longer than its positions.
    """
    model, params, tokenizer = read_decoder(place)
    corpus = corpus_with_targets(texts, tokenizer, setting, keep, progress)
    with jax.enable_x64(False):
        fresh = model.init(jax.random.key(0), params["embed"].shape[0], setting.length + 1)
    trained = cells_of(model, params, corpus, setting, progress, budget=budget)
    untrained = cells_of(model, fresh, corpus, setting, progress, shuffled=False, budget=budget)
    return result_of(str(place), setting, corpus, [(trained, untrained)])


def result_of(size: str, setting: Setting, corpus: Corpus, cells: list[tuple[Arrays, Arrays]]) -> NaturalTopics:
    """The study's result from the scores of some networks, each with those of its untrained start."""
    trained, untrained = (
        {name: np.stack([cell[part][name] for cell in cells]) for name in cells[0][part]} for part in (0, 1)
    )
    links = tuple(perplexity_link(cell[0]["losses"], cell[0]["right"]) for cell in cells)
    words = tuple(tuple(line.split()) for line in corpus.references["words"].tolist())
    return NaturalTopics(
        size,
        corpus.name,
        setting,
        (len(corpus.train), len(corpus.test)),
        trained,
        untrained,
        corpus.references,
        links,
        words,
    )


def _both(values: Float[np.ndarray, "seed hypothesis"]) -> str:
    """The mean with an interval over fits, and one over training seeds where there are several."""
    over_fits = mean_and_interval(values.mean(axis=0), 3)
    if len(values) == 1:
        return over_fits
    found = summary(values.mean(axis=1))
    return f"{over_fits} fits, [{float(found.low):.3f}, {float(found.high):.3f}] seeds"


def _short(name: str) -> bool:
    """Whether an array is a score, and not one number for each document."""
    return name not in ("right", "losses", "words") and not name.startswith("targets")


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"


def _nanmean(values: Float[np.ndarray, "seed position document"]) -> Float[np.ndarray, "seed position"]:
    """Means over documents; NaN where no document has a value."""
    there = ~np.isnan(values)
    counts = there.sum(axis=2)
    return np.where(counts > 0, np.where(there, values, 0.0).sum(axis=2) / np.maximum(counts, 1), np.nan)
