"""The parts of the topic study that take time: targets of some texts, decoders, and what is read from them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ...corpus import EncodedCorpus, Tokenizer, corpus_of
from ...language import Pretraining, pretrain
from ...models import Decoder, qwen2
from ...studies.measured import silent
from .scores import Arrays, ByTopics, network_scores, reference_scores
from .states import BUDGET, read_states
from .texts import Part, Targets, Texts, kept, part_of, topic_targets

Progress = Callable[[str], None]

TRAINING = Pretraining(steps=300, batch=8, length=256, learning_rate=3e-3, warmup=40, final_ratio=0.05)


@dataclass(frozen=True)
class Setting:
    """Texts, decoder, targets.

    Attributes:
        vocab: of the byte-level BPE, trained on the training documents.
        width: of the decoder.
        layers: of the decoder.
        training: of the decoder, on all training documents of up to `longest` tokens.
        least: tokens of the shortest document.
        length: tokens of the longest document that is probed.
        longest: tokens of the longest document that the decoder and LDA are trained on.
        documents: at most so many for probes to learn from, and to score them on.
        topics: numbers of topics K; the first is the main one.
        fits: LDA fits of each, with a probe seed of its own each.
        passes: of each LDA fit.
        positions: relative positions of the link to perplexity.
        stand_in: documents of the made-up text; 0 takes 20 Newsgroups.
    """

    vocab: int = 2048
    width: int = 128
    layers: int = 3
    training: Pretraining = TRAINING
    least: int = 16
    length: int = 256
    longest: int = 1024
    documents: tuple[int, int] = (3000, 1500)
    topics: tuple[int, ...] = (20,)
    fits: int = 3
    passes: int = 10
    positions: int = 10
    stand_in: int = 0

    @property
    def model(self) -> Decoder:
        """The decoder: Qwen2's switches, one table for embedding and head."""
        sizes: dict[str, Any] = {"width": self.width, "layers": self.layers, "heads": max(1, self.width // 32)}
        return qwen2(**sizes, kv_heads=sizes["heads"], mlp_width=8 * self.width // 3 // 32 * 32 + 32, tied=True)


SETTINGS = {
    "tiny": Setting(
        vocab=320, width=32, layers=2, least=8, length=63, documents=(256, 128), topics=(5,), fits=2, passes=8,
        training=Pretraining(steps=200, batch=8, length=64, learning_rate=1e-2, warmup=10, final_ratio=0.1),
        positions=4, stand_in=400,
    ),
    "quick": Setting(),
}  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """Texts in one tokenizer's tokens, with their targets.

    Attributes:
        name: of the texts.
        tokenizer: its end token goes before each document where it has one.
        text: training documents that are not too long, for decoders.
        train: documents that probes learn from.
        test: documents that score them.
        targets: by number of topics, one for each LDA fit.
        references: see `reference_scores`.
    """

    name: str
    tokenizer: Tokenizer
    text: EncodedCorpus
    train: Part
    test: Part
    targets: ByTopics
    references: Arrays


def training_text(ids: list[np.ndarray], tokenizer: Tokenizer, chosen: list[int]) -> EncodedCorpus:
    """Some documents for a decoder to train on, each with its end token."""
    end = [] if tokenizer.end_token is None else [tokenizer.end_token]
    documents = [np.append(ids[k], np.array(end, np.int32)) for k in chosen]
    ends = np.cumsum([len(document) for document in documents])
    return corpus_of(
        np.concatenate(documents), ends, tokenizer.vocab, tokenizer.end_token, tokenizer_hash=tokenizer.hash
    )


def corpus_with_targets(
    texts: Texts,
    tokenizer: Tokenizer,
    setting: Setting,
    keep: Path | None = None,
    progress: Progress = silent,
) -> Corpus:
    """Tokens, parts and LDA targets of some texts.

    Raises:
        ValueError: where no document is short enough.
    """
    ids = [tokenizer.encode([document.text for document in part]) for part in (texts.train, texts.test)]
    train, test = (
        part_of(documents, tokens, setting.least, setting.length, most)
        for documents, tokens, most in zip((texts.train, texts.test), ids, setting.documents, strict=True)
    )
    progress(f"{texts.name}: {len(train):,} documents to learn from, {len(test):,} to score")
    # In random order: posts come sorted by group.
    order = np.random.default_rng(0).permutation(len(texts.train))
    whole = [int(k) for k in order if setting.least <= len(ids[0][k]) <= setting.longest]
    fitted_on = [texts.train[k].text for k in whole]
    digest = sha256("\0".join(fitted_on).encode(errors="surrogatepass")).hexdigest()[:16]
    identity = (train.hash, test.hash, setting.fits, setting.passes, setting.positions, digest)
    targets, references = {}, {}
    for size in setting.topics:
        shares = setting.positions if size == setting.topics[0] else 0

        def compute(size: int = size, shares: int = shares) -> Arrays:
            fits = topic_targets(fitted_on, train, test, size, setting.fits, setting.passes)
            progress(f"LDA fits of {size} topics: done")
            found = {part: np.stack([getattr(fit, part) for fit in fits]) for part in ("train", "test")}
            found["words"] = np.array([" ".join(words) for words in fits[0].top_words])
            return found | reference_scores(train, test, fits, tokenizer, shares)

        arrays = kept(keep, f"targets-{size}", identity, compute)
        targets[size] = [Targets(*pair) for pair in zip(arrays.pop("train"), arrays.pop("test"), strict=True)]
        own = {name: arrays.pop(name) for name in ("words", "prefix") if name in arrays}
        references = own | references | {f"{size} {name}": values for name, values in arrays.items()}
        progress(f"targets and references of {size} topics: done")
    return Corpus(texts.name, tokenizer, training_text(ids[0], tokenizer, whole), train, test, targets, references)


def cells_of(
    model: Decoder, params: Any, corpus: Corpus, setting: Setting, progress: Progress = silent, *,
    shuffled: bool = True, budget: int = BUDGET,
) -> Arrays:  # fmt: skip
    """The scores of one network."""
    start, shares = corpus.tokenizer.end_token, setting.positions
    train, test = (read_states(model, params, part, start, shares, budget) for part in (corpus.train, corpus.test))
    progress(f"states: done, {test.loss:.3f} nats per token of the test documents")
    return network_scores(train, test, corpus.targets, shuffled=shuffled, progress=progress)


def trained_cell(
    setting: Setting, corpus: Corpus, seed: int, keep: Path | None, progress: Progress
) -> tuple[Arrays, Arrays]:
    """Scores of one decoder after and before training."""
    settings = replace(setting.training, init_seed=seed, data_seed=seed, save_steps=(0, setting.training.steps))
    identity = (setting, settings, corpus.text.hash, corpus.train.hash, corpus.test.hash)
    out = None if keep is None else keep / f"decoder-{seed}"
    run = pretrain(setting.model, corpus.text, settings, out=out, resume=keep is not None, remember_every=60)
    progress(f"decoder {seed}: training loss {run.losses[-20:].mean():.3f}")
    start = jax.tree.map(lambda leaf: leaf[0], run.trajectory.ys)
    found = []
    for name, params in (("trained", run.params), ("untrained", start)):
        compute = partial(cells_of, setting.model, params, corpus, setting, progress, shuffled=name == "trained")
        found.append(kept(keep, f"{name}-{seed}", identity, compute))
    return found[0], found[1]
