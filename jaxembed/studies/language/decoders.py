"""The small language models that several studies look into: the same runs, trained once and kept."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from ...corpus import Document, EncodedCorpus, documents, encode, python_documentation
from ...corpus.tokenizers import WordTokenizer, word_level
from ...corpus.words import words
from ...language import Pretraining, memory_estimate, pretrain, read_params, resumable
from ...language.order import cut
from ...machine import GIB
from ...models import Decoder, qwen2
from ..data import pile_files
from ..study import Run

AMBIGUOUS = ("bank", "apple", "java", "seal", "spring", "pitcher")
"""Words whose senses are studied; they are in the vocabulary however rare they are."""

SECTION = 2_000
"""Characters of a document of the built-in text."""


@dataclass(frozen=True)
class DecodersSetting:
    """Text, model and training.

    Attributes:
        characters: of the built-in text; None reads the domains of The Pile.
        vocab: most frequent words, besides those named in `also`.
        also: words that are in the vocabulary all the same.
        held_out: tokens of the held-out documents.
        model: the decoder.
        training: without its seeds.
    """

    characters: int | None
    vocab: int
    also: tuple[str, ...]
    held_out: int
    model: Decoder
    training: Pretraining


BUILT_IN = DecodersSetting(
    60_000, 300, (), 1_000, qwen2(16, 2, 2, 2, 32, tied=False),
    Pretraining(steps=60, batch=8, length=32, learning_rate=1e-2, warmup=5, save_steps=(0, 2, 5, 10, 20, 40, 60)),
)  # fmt: skip
"""Seconds on the built-in text."""

PILE = DecodersSetting(
    None, 10_000, AMBIGUOUS, 60_000, qwen2(128, 4, 4, 4, 344, tied=False),
    Pretraining(steps=1800, batch=16, length=128, learning_rate=2e-3, warmup=50, accumulate=4,
                save_steps=(0, 2, 5, 10, 20, 35, 60, 100, 160, 250, 400, 600, 900, 1300, 1800)),
)  # fmt: skip
"""3.7 million words of The Pile, one in seven rare and read as unknown; about ten minutes a seed on one core."""


@dataclass(frozen=True)
class Decoders:
    """Trained models of several seeds, of init and data order together, at every saved step.

    Attributes:
        setting: how they were trained.
        tokenizer: lower-cased words.
        train: the text trained on.
        held: whole documents never trained on, of all domains.
        runs: by seed, what gives the parameters saved at a step.
    """

    setting: DecodersSetting
    tokenizer: WordTokenizer
    train: EncodedCorpus
    held: EncodedCorpus
    runs: tuple[Callable[[int], Any], ...]

    @property
    def model(self) -> Decoder:
        return self.setting.model

    @property
    def steps(self) -> tuple[int, ...]:
        """Saved updates, 0 for the start."""
        return self.setting.training.saves

    @property
    def seeds(self) -> range:
        return range(len(self.runs))

    def params(self, seed: int, step: int) -> Any:
        """Parameters, float32: of the start at step 0, which is the untrained network of this seed."""
        return self.runs[seed](step)

    def passages(self, count: int, length: int) -> Int[np.ndarray, "example position"]:
        """Held-out text in pieces of equal length, spread evenly; fewer where they would overlap."""
        length = min(length, self.held.tokens)
        starts = np.linspace(0, self.held.tokens - length, min(count, self.held.tokens // length)).astype(np.int64)
        return cut(np.asarray(self.held.ids), starts, length - 1)

    def words_seen(self, step: int) -> int:
        """Words predicted up to a step."""
        return step * self.setting.training.predicted


def decoders(setting: DecodersSetting, run: Run) -> Decoders:
    """Train the models, or take those that are kept.

    In `run.keep` every model has a folder of its own: a killed run goes on, a finished one is read. Without it they are
    trained in memory.

    Raises:
        ValueError: where the text is not there, naming what to set.
    """
    tokenizer, train, held = _texts(setting)
    need = memory_estimate(setting.model, setting.training, train.vocab) / GIB
    runs = []
    for seed in range(run.seeds):
        runs.append(_saves(setting, train, held, seed, run))
        run.progress(f"decoder {seed}: {setting.training.steps} updates (about {need:.2g} GiB)")
    return Decoders(setting, tokenizer, train, held, tuple(runs))


def _texts(setting: DecodersSetting) -> tuple[WordTokenizer, EncodedCorpus, EncodedCorpus]:
    if setting.characters is None:
        parts = list(documents(pile_files()))
    else:
        text = python_documentation()[: setting.characters]
        parts = [Document(text[at : at + SECTION], "") for at in range(0, len(text), SECTION)]
    order = np.random.default_rng(0).permutation(len(parts))  # held-out text is of all domains
    parts = [parts[at] for at in order]
    tokenizer = _tokenizer([document.text for document in parts], setting)
    train, held = encode(parts, tokenizer).split(setting.held_out)
    return tokenizer, train, held


def _tokenizer(texts: list[str], setting: DecodersSetting) -> WordTokenizer:
    frequent = word_level(texts, setting.vocab)
    known = [frequent.token(id) for id in range(2, frequent.vocab)]
    there = {word for text in texts for word in words(text)} if setting.also else set()
    return WordTokenizer([*known, *(word for word in setting.also if word in there and word not in set(known))])


def _saves(
    setting: DecodersSetting, train: EncodedCorpus, held: EncodedCorpus, seed: int, run: Run
) -> Callable[[int], Any]:
    """What gives the parameters of one seed at a step."""
    settings = replace(setting.training, init_seed=seed, data_seed=seed)
    if run.keep is None:
        ys = pretrain(setting.model, train, settings, held=held).trajectory.ys
        return lambda step: jax.tree.map(lambda leaf: leaf[settings.saves.index(step)], ys)
    out = run.keep / f"seed-{seed}"  # it holds the parameters, so that the trajectory need not
    pretrain(setting.model, train, settings, held=held, out=out, resume=resumable(out), save=lambda params: {})
    return partial(read_params, out)
