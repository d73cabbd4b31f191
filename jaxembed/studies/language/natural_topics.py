"""Do decoders carry the topics of documents? Probes to LDA mixtures, their nulls, and the link to perplexity."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from ...analysis.topics.probes import METRICS
from ...analysis.topics.references import Arrays
from ...analysis.topics.result import BAG, WEAK_NULLS, TopicScores, collect_scores
from ...analysis.topics.scores import EMBEDDINGS, READ, score_network
from ...analysis.topics.task import TopicSizes, TopicTask, build_topic_task
from ...analysis.topics.texts import TopicTexts, draw_texts, read_newsgroups
from ...base import Progress, silent
from ...corpus import EncodedCorpus, byte_bpe, corpus_of
from ...keep import kept_arrays
from ...language import Pretraining, pretrain
from ...models import Decoder, qwen2
from ...tables import interval
from ..check import Check
from ..data import data_path

NaturalSize = Literal["tiny", "quick"]
ARCHIVE = ("newsgroups20", "20news_bydate.tar.gz")
TRAINING = Pretraining(steps=300, batch=8, length=256, learning_rate=3e-3, warmup=40, final_ratio=0.05)


@dataclass(frozen=True)
class NaturalTopicsSetting:
    """Texts, decoder, targets.

    Attributes:
        sizes: documents, topics, fits and places; the decoder is trained on what LDA is fitted on.
        vocab: of the byte-level BPE, trained on the training documents.
        width: of the decoder.
        layers: of the decoder.
        training: of the decoder.
        stand_in: documents of the made-up text; 0 takes 20 Newsgroups.
    """

    sizes: TopicSizes = field(default_factory=TopicSizes)
    vocab: int = 2048
    width: int = 128
    layers: int = 3
    training: Pretraining = TRAINING
    stand_in: int = 0

    @property
    def model(self) -> Decoder:
        """The decoder: Qwen2's switches, one table for embedding and head."""
        sizes: dict[str, Any] = {"width": self.width, "layers": self.layers, "heads": max(1, self.width // 32)}
        return qwen2(**sizes, kv_heads=sizes["heads"], mlp_width=8 * self.width // 3 // 32 * 32 + 32, tied=True)

    def texts(self) -> TopicTexts:
        """The documents.

        Raises:
            ValueError: where the posts are needed and JAXEMBED_DATA does not hold them.
        """
        return draw_texts(self.stand_in) if self.stand_in else read_newsgroups(data_path(*ARCHIVE))


SETTINGS = {
    "tiny": NaturalTopicsSetting(
        TopicSizes((5,), fits=2, passes=8, least=8, length=63, documents=(256, 128), positions=4),
        vocab=320, width=32, layers=2, stand_in=400,
        training=Pretraining(steps=200, batch=8, length=64, learning_rate=1e-2, warmup=10, final_ratio=0.1),
    ),
    "quick": NaturalTopicsSetting(),
}  # fmt: skip


@dataclass(frozen=True)
class NaturalTopics:
    """Topics in decoders trained here; a "seed" is a decoder trained from its own start and data order.

    Attributes:
        setting: sizes.
        scores: of all decoders.
    """

    setting: NaturalTopicsSetting
    scores: TopicScores

    @property
    def natural(self) -> bool:
        """Whether the documents are text: what is claimed of language is not asked of made-up words."""
        return not self.setting.stand_in

    def checks(self) -> list[Check]:
        """What the source says of large pretrained models, asked of these decoders as a direction.

        In made-up text nothing but the counts of the words matters, and the average state of an untrained network is
        a random projection of them: there the tables show those numbers, and they are not asked.
        """
        found = [check for size in self.setting.sizes.topics for check in self._checks_of(size)]
        return [*found, self._link_check()] if self.natural else found

    def _link_check(self) -> Check:
        coefficients = np.array([link.coefficient for link in self.scores.links])
        highest = max(link.high for link in self.scores.links)
        got = f"{interval(coefficients, '.4f')}; highest end of an interval over documents {highest:.4f}"
        return Check("nats of loss per step to a right topic, within documents", "below 0", got, bool(highest < 0))

    def _checks_of(self, size: int) -> list[Check]:
        average = self.scores.over_seeds(size, "average")
        guesses = {name: float(np.mean(self.scores.accuracy(size, name))) for name in (*WEAK_NULLS, BAG)}
        said = ", ".join(f"{name} {value:.3f}" for name, value in guesses.items())
        best = self.scores.best_null(size)
        closed = f"share of the way from the best null ({best}) to 1: {interval(self.scores.closed(size), '.3f')}"
        got = f"{interval(average, '.3f')}; {said}; chance {1 / size:.2f}; {closed}"
        good = bool(average.min() > max(guesses[name] for name in WEAK_NULLS))
        rows = [Check(f"K = {size}: accuracy from the average token", f"above {', '.join(WEAK_NULLS)}", got, good)]
        rows.append(self._above(size, "average over last token", "last"))
        if not self.natural:
            return rows
        untrained = max(
            (f"untrained, {name}" for name in READ), key=lambda name: self.scores.over_seeds(size, name).mean()
        )
        return [
            *rows,
            self._above(size, f"average over the best of the untrained network ({untrained})", untrained),
            self._above(size, "last layer's average over average of embeddings", EMBEDDINGS),
            self._above(size, f"average over {BAG}, which needs no network", BAG),
        ]

    def _above(self, size: int, name: str, other: str) -> Check:
        """Accuracy from the average token less that of another row, asked to be above 0 for every decoder."""
        gap = self.scores.over_seeds(size, "average") - self.scores.over_seeds(size, other)
        return Check(f"K = {size}: {name}", "> 0", interval(gap, ".3f"), bool(gap.min() > 0))


def natural_topics(
    size: NaturalSize, seeds: int = 3, progress: Progress = silent, *, keep: Path | None = None
) -> NaturalTopics:
    """Train decoders on 20 Newsgroups and read LDA topic mixtures from their states.

    Args:
        size: "tiny" (made-up text, no data needed) or "quick".
        seeds: decoders, each from its own start and data order.
        progress: called with a line of text after each part.
        keep: folder that remembers finished parts, so that a stopped study carries on.

    Raises:
        ValueError: where the posts are needed and not there.

    Source: zhang2024embed.
    """
    setting = SETTINGS[size]
    texts = setting.texts()
    tokenizer = byte_bpe((document.text for document in texts.train), setting.vocab)
    task = build_topic_task(texts, tokenizer, setting.sizes, keep=keep, progress=progress)
    networks = []
    for seed in range(seeds):
        trained, untrained = train_and_score(setting, task, seed, keep, progress)
        after, before = (_main_accuracy(scores, setting.sizes) for scores in (trained, untrained))
        progress(f"decoder {seed}: accuracy {after:.3f}, untrained {before:.3f}")
        networks.append((trained, untrained))
    return NaturalTopics(setting, collect_scores(task, networks))


def train_and_score(
    setting: NaturalTopicsSetting, task: TopicTask, seed: int, keep: Path | None, progress: Progress
) -> tuple[Arrays, Arrays]:
    """Scores of one decoder after and before training."""
    settings = replace(setting.training, init_seed=seed, data_seed=seed, save_steps=(0, setting.training.steps))
    text = training_text(task)
    identity = (setting, settings, text.hash, task.train.hash, task.test.hash)
    out = None if keep is None else keep / f"decoder-{seed}"
    run = pretrain(setting.model, text, settings, out=out, resume=keep is not None, remember_every=60)
    progress(f"decoder {seed}: training loss {run.losses[-20:].mean():.3f}")
    start, arrays = jax.tree.map(lambda leaf: leaf[0], run.trajectory.ys), []
    for name, params in (("trained", run.params), ("untrained", start)):
        compute = partial(score_network, setting.model, params, task, shuffled=name == "trained", progress=progress)
        arrays.append(kept_arrays(keep, f"{name}-{seed}", identity, compute))
    return arrays[0], arrays[1]


def training_text(task: TopicTask) -> EncodedCorpus:
    """The documents that LDA is fitted on, for a decoder to train on, each with its end token."""
    tokenizer = task.tokenizer
    end = np.array([] if tokenizer.end_token is None else [tokenizer.end_token], np.int32)
    documents = [np.append(ids, end) for ids in task.fitted_on]
    ends = np.cumsum([len(document) for document in documents])
    return corpus_of(
        np.concatenate(documents), ends, tokenizer.vocab, tokenizer.end_token, tokenizer_hash=tokenizer.hash
    )


def _main_accuracy(scores: Arrays, sizes: TopicSizes) -> float:
    return float(scores[f"{sizes.topics[0]} average"][:, METRICS.index("accuracy")].mean())
