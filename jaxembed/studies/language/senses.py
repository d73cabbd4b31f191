"""An ambiguous word in its sentences: does a decoder pull its senses apart, where, and by what?"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ...analysis.senses.probes import balanced_mean
from ...analysis.senses.result import ATTENTION_HEADER as ATTENTION_HEADER
from ...analysis.senses.result import HEADER as HEADER
from ...analysis.senses.result import WordResult
from ...analysis.senses.scores import SenseScores, SenseSizes, bag_hits, merged_embedding, score_senses
from ...analysis.senses.texts import SenseTask, build_sense_task, pseudoword_parts, read_sense_parts
from ...corpus import Document, documents, encode, python_documentation, word_level
from ...corpus.pseudowords import merged_name, merged_texts, pseudoword_sentences
from ...language import Pretraining, pretrain
from ...models import qwen2
from ..check import Check, Size
from ..data import data_path, pile_files
from ..measured import silent
from .decoders import Decoders, decoders


@dataclass(frozen=True)
class Setting:
    """What is read.

    Attributes:
        words: folders of `senses`; none at tiny.
        pair: words that are merged into one more, a control.
        length: tokens of a sentence.
        train: training sentences of a word at most.
        test: test sentences at most.
        looks: at attention.
        seeds: of the networks; None takes those of the decoders.
    """

    words: tuple[str, ...]
    pair: tuple[str, str]
    length: int
    train: int
    test: int
    looks: SenseSizes
    seeds: int | None


SETTINGS: dict[str, Setting] = {
    "tiny": Setting((), ("file", "should"), 24, 300, 150, SenseSizes(decided=80, donors=60, ablated=80, shuffles=4), 2),
    "normal": Setting(("bank", "apple", "java", "seal", "spring", "pitcher"), ("church", "software"), 64, 600, 400,
                      SenseSizes(shuffles=4), None),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class SensesResult:
    """All words.

    Attributes:
        size: of the study.
        words: one by one; the last is the pseudo-word.
        layers: blocks of the decoder.
        words_seen: by the trained networks.
    """

    size: Size
    words: tuple[WordResult, ...]
    layers: int
    words_seen: int

    def word(self, name: str) -> WordResult:
        """One word's result."""
        return next(one for one in self.words if one.task.word == name)

    def rows(self) -> list[tuple[str, ...]]:
        """The scores with all nulls, in the order of `HEADER`."""
        return [one.row() for one in self.words]

    @property
    def layer_header(self) -> tuple[str, ...]:
        depths = ("embedding", *(f"block {k}" for k in range(1, self.layers + 1)), "last norm")
        return ("word", "network", "read at", *depths)

    def layer_rows(self) -> list[tuple[str, ...]]:
        """Accuracy (and separation) by depth."""
        return [row for one in self.words for row in one.layer_rows()]

    def attention_rows(self) -> list[tuple[str, ...]]:
        """What attention does, in the order of `ATTENTION_HEADER`."""
        return [row for one in self.words for row in one.attention_rows()]

    def checks(self) -> list[Check]:
        """The figures asked; at size tiny only what does not take a trained network and many sentences."""
        gains = [
            self._gains("gain of the best layer over the static embedding", "static"),
            self._gains("gain of training: best layer over the untrained network's", "untrained"),
        ]
        rest = [self._static(), self._shuffled(), self._sums(), self._mixtures(), self._patches()]
        return rest if self.size == "tiny" else gains + rest

    def _gains(self, name: str, over: str) -> Check:
        ends = {
            one.task.word: (balanced_mean(one.gain(over), one.senses).mean(), *one.interval(over)) for one in self.words
        }
        got = "; ".join(f"{word} {mean:+.2f} [{low:.2f}, {high:.2f}]" for word, (mean, low, high) in ends.items())
        return Check(name, "95 % interval (seeds and sentences) above 0 for every word", got,
                     all(low > 0 for _, low, _ in ends.values()))  # fmt: skip

    def _static(self) -> Check:
        off = max(float(np.abs(one.accuracy(stage)[:, 0] - one.task.chance).max())
                  for one in self.words for stage in ("trained", "untrained"))  # fmt: skip
        return Check("static embedding", "1 / senses exactly, it is the same in every sentence",
                     f"largest difference {off:.1g}", off < 1e-12)  # fmt: skip

    def _shuffled(self) -> Check:
        inside = {}
        for one in self.words:
            inside[one.task.word] = balanced_mean(one.shuffled(), one.senses).mean() - one.task.chance
        got = "; ".join(f"{word} {mean:+.3f}" for word, mean in inside.items())
        largest = max(abs(mean) for mean in inside.values())
        return Check("shuffled senses", "within 0.1 of 1 / senses", got, largest <= 0.1)

    def _sums(self) -> Check:
        errors = []
        for one in self.words:
            for found in (part.attention for part in (*one.trained, *one.untrained)):
                for effects in found["effects"].values():
                    parts = float(np.sum(effects["heads"]) + np.sum(effects["mlp"]))
                    size = float(np.abs(effects["heads"]).sum() + np.abs(effects["mlp"]).sum())
                    errors.append(abs(parts - effects["total"]) / size)
        return Check("heads and MLPs add up to the decision", "relative error <= 1e-4 (float32)",
                     f"{max(errors):.1e}", max(errors) <= 1e-4)  # fmt: skip

    def _mixtures(self) -> Check:
        """Centred cosine with attention's own change."""
        ends = {}
        for one in self.words:
            scores = np.array([part.attention["mixture"]["by attention"] for part in one.trained])[:, :, 2]
            ends[one.task.word] = scores.mean(axis=0)
        got = "; ".join(f"{word} {own:.2f} ({equal:.2f}, {other:.2f})" for word, (own, equal, other) in ends.items())
        return Check("mixture of context embeddings against attention's change, centred cosine",
                     "above equal weights and another sentence, every word", got,
                     all(own > max(equal, other) for own, equal, other in ends.values()))  # fmt: skip

    def _patches(self) -> Check:
        ends = {one.task.word: {name: share.mean() for name, share in one.flips().items()} for one in self.words}
        got = "; ".join(f"{word} {' / '.join(f'{x:.2f}' for x in shares.values())}" for word, shares in ends.items())
        more = all(shares["carrier"] > max(shares["other place"], shares["other word"]) for shares in ends.values())
        return Check("decisions flipped by replacing the word that carries most", "above both nulls for every word "
                     "(other place, other word of the same sense)", got, more)  # fmt: skip


def senses(
    size: Size, seeds: int | None = None, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> SensesResult:
    """Read the senses of ambiguous words from the states of decoders, trained and untrained.

    Args:
        size: "tiny" (a pseudo-word in the built-in text, a decoder trained for seconds) or "normal" (six words and a
            pseudo-word, the decoders of `studies.decoders`; about ten minutes on one core besides their training).
        seeds: networks; None takes those of the setting.
        keep: folder in which networks and numbers are kept; a killed run goes on.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where the data folder is not there, naming what to set.

    At size normal the pseudo-word's test sentences are mostly text that the networks were trained on, with both words
    in their own spelling; its scores are no measure of unseen text. The six words' sentences are of another corpus.

    Source: jaxembed.
    """
    setting = SETTINGS[size]
    seeds = setting.seeds if seeds is None else seeds
    found = _tiny(setting, 2 if seeds is None else seeds) if size == "tiny" else _normal(setting, seeds, keep, progress)
    words = []
    for task, networks, unknown in found.tasks:
        folder = None if keep is None else keep / "cells"
        cells: dict[str, list[SenseScores]] = {"trained": [], "untrained": []}
        for seed, pair in enumerate(networks):
            for stage, params in zip(cells, pair(), strict=True):
                looks = setting.looks if stage == "trained" else replace(setting.looks, patch=False)
                cells[stage].append(score_senses(task, found.model, params, looks, seed, folder))
            progress(f"{task.word}, seed {seed}: read")
        words.append(WordResult(task, bag_hits(task, unknown), tuple(cells["trained"]), tuple(cells["untrained"])))
    return SensesResult(size, tuple(words), found.model.layers, found.words_seen)


@dataclass(frozen=True)
class _Networks:
    """Tasks with what gives the trained and the untrained parameters of every seed, and the unknown token's id."""

    model: Any
    words_seen: int
    tasks: tuple[tuple[SenseTask, list[Callable[[], tuple[Any, Any]]], int | None], ...]


TINY = {"characters": 400_000, "vocab": 400, "section": 2_000}
TRAINING = Pretraining(steps=150, batch=16, length=24, learning_rate=1e-2, warmup=10, save_steps=(0, 150))


def _tiny(setting: Setting, seeds: int) -> _Networks:
    """A decoder trained here on text in which two words are one."""
    text, model = python_documentation()[: TINY["characters"]], qwen2(32, 2, 2, 2, 64, tied=False)
    pieces = [text[at : at + TINY["section"]] for at in range(0, len(text), TINY["section"])]
    pieces = [pieces[k] for k in np.random.default_rng(0).permutation(len(pieces))]
    cut = 2 * len(pieces) // 3
    merged = merged_texts(pieces[:cut], setting.pair)
    tokenizer = word_level(merged, TINY["vocab"])
    corpus = encode([Document(piece, "") for piece in merged], tokenizer)
    word = merged_name(setting.pair)
    parts = pseudoword_parts(pieces[:cut], pieces[cut:], setting.pair)
    task = build_sense_task(
        word, *parts, tokenizer, most_train=setting.train, most_test=setting.test, length=setting.length
    )

    def trained(seed: int) -> tuple[Any, Any]:
        ys = pretrain(model, corpus, replace(TRAINING, init_seed=seed, data_seed=seed)).trajectory.ys
        return jax.tree.map(lambda leaf: leaf[-1], ys), jax.tree.map(lambda leaf: leaf[0], ys)

    networks = [lambda seed=seed: trained(seed) for seed in range(seeds)]
    return _Networks(model, TRAINING.steps * TRAINING.predicted, ((task, networks, tokenizer.unknown_token),))


def _normal(setting: Setting, seeds: int | None, keep: Path | None, progress: Callable[[str], None]) -> _Networks:
    folder, found = data_path("senses"), decoders("normal", seeds, keep, progress)
    sizes = {"most_train": setting.train, "most_test": setting.test, "length": setting.length}
    tasks: list[tuple[SenseTask, list[Callable[[], tuple[Any, Any]]], int | None]] = []
    for word in setting.words:
        task = build_sense_task(word, *read_sense_parts(folder / word), found.tokenizer, **sizes)
        tasks.append((task, _saved(found), found.tokenizer.unknown_token))
    task, networks = _pseudoword(setting, found, sizes)
    tasks.append((task, networks, found.tokenizer.unknown_token))
    return _Networks(found.model, found.words_seen(found.steps[-1]), tuple(tasks))


def _saved(found: Decoders, merged: tuple[int, int] | None = None) -> list[Callable[[], tuple[Any, Any]]]:
    """Of every seed, what reads its last and its first parameters."""

    def pair(seed: int) -> tuple[Any, Any]:
        params = [found.params(seed, step) for step in (found.steps[-1], 0)]
        one, other = params if merged is None else [merged_embedding(part, merged) for part in params]
        return one, other

    return [lambda seed=seed: pair(seed) for seed in found.seeds]


def _pseudoword(
    setting: Setting, found: Decoders, sizes: dict[str, int]
) -> tuple[SenseTask, list[Callable[[], tuple[Any, Any]]]]:
    """Two words that the networks know, under the spelling of the first and an embedding half way between the two.

    Its test sentences are new to the probes but not to the networks: most are of documents that these were trained on.
    """
    texts = [document.text for document in documents(pile_files(("pile_cc", "openwebtext2", "wikipedia_en")))]
    texts = [texts[k] for k in np.random.default_rng(0).permutation(len(texts))]  # both parts are of all domains
    cut, pair = 2 * len(texts) // 3, setting.pair
    train, test = (pseudoword_sentences(part, pair, name=pair[0]) for part in (texts[:cut], texts[cut:]))
    task = build_sense_task(pair[0], train, test, found.tokenizer, **sizes)
    one, other = (found.tokenizer.id(word) for word in pair)
    assert one is not None and other is not None
    return replace(task, word="+".join(pair)), _saved(found, (one, other))
