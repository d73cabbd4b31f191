"""Do decoders carry the topics of documents? Probes to LDA mixtures, their nulls, and the link to perplexity.

The published numbers are of pretrained models of 124 million parameters and more, which are not run here: what is asked
of decoders trained in minutes is the direction, at K = 20 (K = 100 is a flag of `jaxembed topics`). Autoregressive
models above BERTs (the same source) is not run: it needs pretrained weights of both kinds.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from ...analysis.topics.probes import METRICS
from ...analysis.topics.references import Arrays
from ...analysis.topics.result import BAG, WEAK_NULLS, TopicScores, collect_scores
from ...analysis.topics.scores import EMBEDDINGS, READ, score_network
from ...analysis.topics.task import TopicSizes, TopicTask, build_topic_task
from ...analysis.topics.texts import TopicTexts, draw_texts, read_newsgroups
from ...corpus import EncodedCorpus, byte_bpe, corpus_of
from ...keep import kept_arrays
from ...language import Pretraining, pretrain
from ...models import Decoder, qwen2
from ...tables import Table, interval
from ..data import data_path
from ..evidence import Bound, Evidence, Size
from ..study import DATA, Run, Study

ARCHIVE = ("newsgroups20", "20news_bydate.tar.gz")


@dataclass(frozen=True)
class NaturalTopicsSetting:
    """Texts, decoder, targets.

    Attributes:
        sizes: documents, topics, fits and places; the decoder is trained on what LDA is fitted on.
        vocab: of the byte-level BPE, trained on the training documents.
        model: the decoder.
        training: of the decoder.
        stand_in: documents of the made-up text; 0 takes 20 Newsgroups.
    """

    sizes: TopicSizes
    vocab: int
    model: Decoder
    training: Pretraining
    stand_in: int

    def texts(self) -> TopicTexts:
        """The documents.

        Raises:
            ValueError: where the posts are needed and JAXEMBED_DATA does not hold them.
        """
        return draw_texts(self.stand_in) if self.stand_in else read_newsgroups(data_path(*ARCHIVE))


SETTINGS: dict[Size, NaturalTopicsSetting] = {
    "tiny": NaturalTopicsSetting(
        TopicSizes((5,), fits=2, passes=8, least=8, length=63, documents=(256, 128), positions=4),
        320, qwen2(32, 2, 1, 1, 96),
        Pretraining(steps=200, batch=8, length=64, learning_rate=1e-2, warmup=10, final_ratio=0.1), 400,
    ),
    "quick": NaturalTopicsSetting(
        TopicSizes(), 2048, qwen2(128, 3, 4, 4, 352),
        Pretraining(steps=300, batch=8, length=256, learning_rate=3e-3, warmup=40, final_ratio=0.05), 0,
    ),
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


def run(setting: NaturalTopicsSetting, run: Run) -> NaturalTopics:
    """Train decoders on 20 Newsgroups, or on made-up text, and read LDA topic mixtures from their states.

    Seeds are of the decoders' start and data order.

    Source: zhang2024embed.
    """
    texts = setting.texts()
    tokenizer = byte_bpe((document.text for document in texts.train), setting.vocab)
    task = build_topic_task(texts, tokenizer, setting.sizes, keep=run.keep, progress=run.progress)
    networks = []
    for seed in range(run.seeds):
        networks.append(train_and_score(setting, task, seed, run))
        after, before = (_main_accuracy(scores, setting.sizes) for scores in networks[-1])
        run.progress(f"decoder {seed}: accuracy {after:.3f}, untrained {before:.3f}")
    return NaturalTopics(setting, collect_scores(task, networks))


def train_and_score(setting: NaturalTopicsSetting, task: TopicTask, seed: int, run: Run) -> tuple[Arrays, Arrays]:
    """Scores of one decoder after and before training."""
    settings = replace(setting.training, init_seed=seed, data_seed=seed, save_steps=(0, setting.training.steps))
    text = training_text(task)
    identity = (setting, settings, text.hash, task.train.hash, task.test.hash)
    out = None if run.keep is None else run.keep / f"decoder-{seed}"
    trained = pretrain(setting.model, text, settings, out=out, resume=out is not None, remember_every=60)
    run.progress(f"decoder {seed}: training loss {trained.losses[-20:].mean():.3f}")
    start, arrays = jax.tree.map(lambda leaf: leaf[0], trained.trajectory.ys), []
    for name, params in (("trained", trained.params), ("untrained", start)):
        shuffled = name == "trained"
        compute = partial(score_network, setting.model, params, task, shuffled=shuffled, progress=run.progress)
        arrays.append(kept_arrays(run.keep, f"{name}-{seed}", identity, compute))
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


def tables(result: NaturalTopics) -> tuple[Table, ...]:
    """Every score, accuracy by layer, what happens along the document, and the link to perplexity."""
    scores = result.scores
    closed = (f"K = {size}: {interval(scores.closed(size), '.3f')} of the way from the best null, "
              f"{scores.best_null(size)}, to 1" for size in result.setting.sizes.topics)  # fmt: skip
    note = f"{scores.caption} {'; '.join(closed)}."
    return tuple(replace(table, note=f"{table.title}. {note}") for table in scores.tables())


def evidence(result: NaturalTopics) -> tuple[Evidence, ...]:
    """What the source says of large pretrained models, asked of these decoders as a direction.

    In made-up text nothing but the counts of the words matters, and the average state of an untrained network is a
    random projection of them: there the tables show that network, and it is no null to beat.
    """
    scores, size = result.scores, result.setting.sizes.topics[0]
    average, guess = scores.over_seeds(size, "average"), scores.over_seeds(size, scores.best_null(size))
    nulls = {name: float(np.mean(scores.accuracy(size, name))) for name in WEAK_NULLS}
    weak = max(nulls, key=nulls.__getitem__)
    above = Bound("expectation", least=float(np.mean(guess)), source=scores.best_null(size), strict=True)
    controls = Bound("machinery", least=nulls[weak], source=f"{weak}: a control that must fail", strict=True)
    rows = [
        _row("weak-nulls",
             "LDA's top topic from the average token, over majority, last token and shuffled targets, in every decoder",
             average, controls, null=scores.over_seeds(size, weak), ceiling="1", every=True),
    ]  # fmt: skip
    if result.setting.stand_in:
        claim = "documents of a topic model in made-up words: LDA's top topic over all nulls"
        rows.append(_row("made-up-text", claim, average, above, null=guess, published="no number", ceiling="1"))
        last = "in made-up words the average token says more than the last (accuracy)"
        return *rows, _over(result, "made-up-last", last, "last", "")
    return *rows, *_newsgroups(result, average, guess, above)


def _newsgroups(result: NaturalTopics, average: np.ndarray, guess: np.ndarray, above: Bound) -> tuple[Evidence, ...]:
    """What is asked of natural text only."""
    scores, size = result.scores, result.setting.sizes.topics[0]
    gaps = [group["layers average"][:, -1, 0] - group["layers average"][:, 0, 0]
            for group in (scores.trained, scores.untrained)]  # fmt: skip
    best = max((f"untrained, {name}" for name in READ), key=lambda name: scores.over_seeds(size, name).mean())
    loss, permuted = (np.array(x) for x in zip(*((k.coefficient, k.null[0]) for k in scores.links), strict=True))
    below = Bound("paper", most=-float(np.abs(permuted).max()), source="falls, by more than permuted", strict=True)
    ends = min(link.low for link in scores.links), max(link.high for link in scores.links)
    return (
        _row("newsgroups", "20 Newsgroups, K = 20: LDA's top topic, average token of small decoders over all nulls",
             average, above, null=guess, published="0.629 of pretrained models (not run)", ceiling="1"),
        _over(result, "newsgroups-last", "K = 20: the average token says more than the last (accuracy)", "last",
              "0.107 (0.629 - 0.522)"),
        _over(result, "newsgroups-untrained", "K = 20: a trained decoder over an untrained one (accuracy)",
              "untrained, average", "0.356 (0.629 - 0.273)"),
        _over(result, "newsgroups-untrained-best", "K = 20: the average token over all of the untrained network", best),
        _over(result, "newsgroups-embeddings", "K = 20: the last layer's average over that of embeddings (accuracy)",
              EMBEDDINGS),
        _over(result, "newsgroups-bag", f"K = 20: the average token over {BAG}, which needs no network", BAG),
        _row("newsgroups-depth", "decodability grows with depth (accuracy, last layer less embedding)", gaps[0],
             Bound("paper", least=0.0, source="grows"), null=gaps[1], published="grows (Llama-2, not run)"),
        _row("newsgroups-perplexity", "loss falls where the topic can be read (nats, document effects taken out)", loss,
             below, null=permuted, published="falls, no number", interval=ends),
    )  # fmt: skip


def _over(result: NaturalTopics, name: str, claim: str, other: str, published: str = "") -> Evidence:
    """Accuracy from the average token less that of something else."""
    size = result.setting.sizes.topics[0]
    gap = result.scores.over_seeds(size, "average") - result.scores.over_seeds(size, other)
    kind = "paper" if published else "expectation"
    return _row(name, claim, gap, Bound(kind, least=0.0, source="the sign", strict=True), published=published,
                no_null="the null is taken off")  # fmt: skip


def _row(name: str, claim: str, values: np.ndarray, bound: Bound, *, ceiling: str = "none", **more: Any) -> Evidence:
    return Evidence(f"topics-{name}", claim, values, bound, ceiling=ceiling, varied="training seeds", **more)


def caption(result: NaturalTopics) -> str:
    """What was computed with what."""
    setting, training = result.setting, result.setting.training
    return (
        f"{result.scores.caption}\nDecoders of width {setting.model.width}, {setting.model.layers} layers, vocabulary "
        f"{setting.vocab}, {training.steps} steps of {training.batch} x {training.length} tokens, float32; bars and "
        "lines: means over training seeds and the fits; whiskers: smallest to largest."
    )


STUDY = Study(
    name="natural_topics",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("topics-weak-nulls", "topics-made-up-text", "topics-made-up-last", "topics-newsgroups",
         *(f"topics-newsgroups-{what}" for what in ("last", "untrained", "untrained-best", "embeddings", "bag", "depth",
                                                    "perplexity"))),
    takes={"tiny": "10 s", "quick": "5 min on one core"},
    smaller={
        "tiny": "400 made-up documents and width 32 for 20 Newsgroups and pretrained models",
        "quick": "width 128, 3 layers and 300 steps for pretrained models of 124 million parameters and more",
    },
    needs=(DATA, "text", "topics"),
    tiny_needs=("text", "topics"),
    ledger="tiny",
    beyond_tiny=("topics-newsgroups", "topics-newsgroups-last", "topics-newsgroups-untrained",
                 "topics-newsgroups-untrained-best", "topics-newsgroups-embeddings", "topics-newsgroups-bag",
                 "topics-newsgroups-depth", "topics-newsgroups-perplexity"),
)  # fmt: skip
