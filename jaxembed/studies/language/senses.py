"""An ambiguous word in its sentences: does a decoder pull its senses apart, where, and by what?

Linear probes read the senses of a word from the states of decoders, trained and untrained, beside counts and mean
embeddings of the same words. A pseudo-word, two words under one spelling, is a word whose senses are known. At size
published its test sentences are mostly text that the networks were trained on, with both words in their own spelling;
its scores are no measure of unseen text. The six words' sentences are of another corpus (CoarseWSD-20).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ...analysis.senses.probes import balanced_mean
from ...analysis.senses.result import ATTENTION_HEADER, HEADER, WordResult
from ...analysis.senses.scores import SenseScores, SenseSizes, bag_hits, merged_embedding, score_senses
from ...analysis.senses.texts import SenseTask, build_sense_task, read_sense_parts
from ...corpus import Document, documents, encode, python_documentation, word_level
from ...corpus.pseudowords import merged_name, merged_texts, pseudoword_sentences
from ...language import Pretraining, pretrain
from ...models import qwen2
from ...tables import Table
from ..data import data_path, pile_files
from ..evidence import Bound, Evidence, Size
from ..study import DATA, Run, Study
from .decoders import AMBIGUOUS, PILE, SECTION, Decoders, DecodersSetting, decoders

GAINS = ("static", "untrained", "left counts")


@dataclass(frozen=True)
class SensesSetting:
    """What is read.

    Attributes:
        decoders: that are read; without words they are trained on the text in which the pair is merged.
        words: folders of `senses`.
        pair: words that are merged into one more, a control.
        length: tokens of a sentence.
        train: training sentences of a word at most.
        test: test sentences at most.
        sizes: of what attention is taken apart in.
    """

    decoders: DecodersSetting
    words: tuple[str, ...]
    pair: tuple[str, str]
    length: int
    train: int
    test: int
    sizes: SenseSizes

    def task(self, word: str, train: Any, test: Any, tokenizer: Any) -> SenseTask:
        """Sentences of a word, no more than the setting takes."""
        limits = {"most_train": self.train, "most_test": self.test, "length": self.length}
        return build_sense_task(word, train, test, tokenizer, **limits)


MERGED = DecodersSetting(
    400_000, 400, (), 0, qwen2(32, 2, 2, 2, 64, tied=False),
    Pretraining(steps=150, batch=16, length=24, learning_rate=1e-2, warmup=10, save_steps=(0, 150)),
)  # fmt: skip
SETTINGS: dict[Size, SensesSetting] = {
    "tiny": SensesSetting(
        MERGED, (), ("file", "should"), 24, 300, 150, SenseSizes(decided=80, donors=60, ablated=80, shuffles=4)
    ),
    "published": SensesSetting(PILE, AMBIGUOUS, ("church", "software"), 64, 600, 400, SenseSizes(shuffles=4)),
}


@dataclass(frozen=True, eq=False)
class SensesResult:
    """All words.

    Attributes:
        setting: what is read.
        words: one by one; the last is the pseudo-word.
    """

    setting: SensesSetting
    words: tuple[WordResult, ...]

    @property
    def words_seen(self) -> int:
        """By every trained network."""
        return self.setting.decoders.training.steps * self.setting.decoders.training.predicted

    def gains(self, over: str) -> Float[np.ndarray, "token seed"]:
        """Balanced accuracy of the best depth less that of a null, by word."""
        return np.array([balanced_mean(word.gain(over), word.senses) for word in self.words])

    def shuffled(self) -> Float[np.ndarray, "token seed"]:
        """Balanced accuracy of probes of shuffled senses less chance, by word."""
        return np.array([balanced_mean(word.shuffled(), word.senses) - word.task.chance for word in self.words])


Networks = Callable[[int], tuple[Any, Any]]
"""The trained and the untrained parameters of a seed."""


def run(setting: SensesSetting, run: Run) -> SensesResult:
    """Read the senses of ambiguous words from the states of decoders, trained and untrained.

    Seeds are of init and data order. `run.keep` is the folder of the decoders' runs, shared with `blank_slate` and
    `lens`, and, in its `senses`, of the numbers.

    Source: jaxembed.
    """
    words, folder = [], None if run.keep is None else run.keep / "senses"
    for task, networks, unknown in (_published if setting.words else _merged)(setting, run):
        scores: dict[str, list[SenseScores]] = {"trained": [], "untrained": []}
        for seed in range(run.seeds):
            for state, params in zip(scores, networks(seed), strict=True):
                sizes = setting.sizes if state == "trained" else replace(setting.sizes, patch=False)
                scores[state].append(score_senses(task, setting.decoders.model, params, sizes, seed, folder))
            run.progress(f"{task.word}, seed {seed}: read")
        words.append(WordResult(task, bag_hits(task, unknown), tuple(scores["trained"]), tuple(scores["untrained"])))
    return SensesResult(setting, tuple(words))


def _merged(setting: SensesSetting, run: Run) -> list[tuple[SenseTask, Networks, int | None]]:
    """Decoders trained here on text in which two words are one."""
    text, pair = python_documentation()[: setting.decoders.characters], setting.pair
    pieces = [text[at : at + SECTION] for at in range(0, len(text), SECTION)]
    pieces = [pieces[k] for k in np.random.default_rng(0).permutation(len(pieces))]
    cut = 2 * len(pieces) // 3
    merged = merged_texts(pieces[:cut], pair)
    tokenizer = word_level(merged, setting.decoders.vocab)
    corpus = encode([Document(piece, "") for piece in merged], tokenizer)
    train, test = (pseudoword_sentences(part, pair) for part in (pieces[:cut], pieces[cut:]))
    task = setting.task(merged_name(pair), train, test, tokenizer)

    def networks(seed: int) -> tuple[Any, Any]:
        settings = replace(setting.decoders.training, init_seed=seed, data_seed=seed)
        ys = pretrain(setting.decoders.model, corpus, settings).trajectory.ys
        return jax.tree.map(lambda leaf: leaf[-1], ys), jax.tree.map(lambda leaf: leaf[0], ys)

    return [(task, networks, tokenizer.unknown_token)]


def _published(setting: SensesSetting, run: Run) -> list[tuple[SenseTask, Networks, int | None]]:
    """Six words of CoarseWSD-20 and a pseudo-word, in the shared decoders.

    The pseudo-word is two words that the networks know, under the spelling of the first and an embedding half way
    between the two. Its test sentences are new to the probes but not to the networks.
    """
    folder, shared, pair = data_path("senses"), decoders(setting.decoders, run), setting.pair
    tokenizer, unknown = shared.tokenizer, shared.tokenizer.unknown_token
    tasks = [setting.task(word, *read_sense_parts(folder / word), tokenizer) for word in setting.words]
    texts = [document.text for document in documents(pile_files(("pile_cc", "openwebtext2", "wikipedia_en")))]
    texts = [texts[k] for k in np.random.default_rng(0).permutation(len(texts))]  # both parts are of all domains
    cut = 2 * len(texts) // 3
    train, test = (pseudoword_sentences(part, pair, name=pair[0]) for part in (texts[:cut], texts[cut:]))
    merged = replace(setting.task(pair[0], train, test, tokenizer), word="+".join(pair))
    first, second = (tokenizer.id(word) for word in pair)
    assert first is not None and second is not None
    both = _saved(shared, (first, second))
    return [*((task, _saved(shared), unknown) for task in tasks), (merged, both, unknown)]


def _saved(shared: Decoders, merged: tuple[int, int] | None = None) -> Networks:
    """What reads a seed's last and first parameters."""

    def networks(seed: int) -> tuple[Any, Any]:
        last, first = (shared.params(seed, step) for step in (shared.steps[-1], 0))
        return (last, first) if merged is None else (merged_embedding(last, merged), merged_embedding(first, merged))

    return networks


def tables(result: SensesResult) -> tuple[Table, ...]:
    """The scores with all nulls; accuracy and separation by depth; what attention does."""
    blocks = (f"block {k}" for k in range(1, result.setting.decoders.model.layers + 1))
    depths = ("word", "network", "read at", "embedding", *blocks, "last norm")
    note, words = _note(result), result.words
    layers, attention = ([row for word in words for row in rows(word)]
                         for rows in (WordResult.layer_rows, WordResult.attention_rows))  # fmt: skip
    return (
        Table("senses of a word, balanced accuracy", HEADER, [word.row() for word in words], note),
        Table("by depth: accuracy (separation)", depths, layers, note, "layers"),
        Table("what attention does", ATTENTION_HEADER, attention, note, "attention"),
    )


def _note(result: SensesResult) -> str:
    """What was read, and what the intervals are over."""
    unseen = "; the pseudo-word's test sentences are mostly text that the networks (not the probes) were trained on"
    return (
        f"trained and untrained networks (seeds: init and data order), {result.words_seen:,} words each; balanced "
        "accuracy of linear probes at the depth that validation sentences chose; [95 % interval over test sentences], "
        "sd over networks; a gain also with its interval over networks (Student) and over both (bootstrap); the "
        "decoder is causal: at the word it has read the left context alone; no ceiling is known but 1; by depth: "
        "accuracy (separation: squared distance of the means over the variance within); mixtures: cosine, relative "
        f"error{unseen if result.setting.words else ''}"
    )


def evidence(result: SensesResult) -> tuple[Evidence, ...]:
    """Gains over the nulls, the nulls themselves, and what must be exact."""
    rows = [
        _gain("senses-pseudoword", "a decoder's states tell which of two words a pseudo-word was, its static embedding "
              "cannot (gain in balanced accuracy; null: shuffled senses)", result.gains("static")[-1:],
              result.shuffled()[-1:]),
        *_attention(result),
        *_machinery(result),
    ]  # fmt: skip
    if not result.setting.words:
        return tuple(rows)
    means = {
        "senses-words": ("static", "senses of six ambiguous words and a pseudo-word can be told from the best layer, "
                         "not from the static embedding (gain in balanced accuracy, mean over words)"),
        "senses-training": ("untrained", "training tells senses apart beyond what an untrained decoder's mixture of "
                            "context gives (gain over the untrained, mean over words)"),
        "senses-counts": ("left counts", "the trained state tells more than counts of the same left words (gain, mean "
                          "over words)"),
    }  # fmt: skip
    rows += [_gain(name, claim, result.gains(over), result.shuffled()) for name, (over, claim) in means.items()]
    return (*rows, *(_least_sure(result, over) for over in GAINS[:2]))


NETWORKS = "networks (init, data order)"


def _gain(
    name: str, claim: str, gains: Float[np.ndarray, "token seed"], null: Float[np.ndarray, "token seed"]
) -> Evidence:
    """The mean over words, more than probes of shuffled senses ever have."""
    null = null.mean(axis=0)
    bound = Bound("expectation", least=max(1e-9, float(np.abs(null).max())), source="above shuffled senses",
                  strict=True)  # fmt: skip
    return Evidence(name, claim, gains.mean(axis=0), bound, "none", null, ceiling="1 - 1 / senses", varied=NETWORKS)


def _least_sure(result: SensesResult, over: str) -> Evidence:
    """The word whose gain has the lowest interval, which is over sentences and networks."""
    at = int(np.argmin([word.interval(over)[0] for word in result.words]))
    word = result.words[at]
    return Evidence(f"senses-every-{over}", f"every word gains over {over} (the least sure: {word.task.word})",
                    result.gains(over)[at], Bound("expectation", least=0.0, source="the sign", strict=True),
                    no_null="senses-shuffled", ceiling="1 - 1 / senses", varied=NETWORKS,
                    interval=word.interval(over))  # fmt: skip


def _attention(result: SensesResult) -> list[Evidence]:
    """What context embeddings explain of attention's change, and whether the word that carries most decides."""
    mixtures, patches = [], []
    for word in result.words:
        scores = np.array([part.attention["mixture"]["by attention"] for part in word.trained])[:, :, 2]
        own, equal, elsewhere = scores.mean(axis=0)
        mixtures.append(own - max(equal, elsewhere))
        flips = {name: share.mean() for name, share in word.flips().items()}
        patches.append(flips["carrier"] - max(flips["other place"], flips["other word"]))
    positive = Bound("expectation", least=0.0, source="the sign", strict=True)
    words: dict[str, Any] = {"varied": "words", "every": True, "no_null": "the larger null is taken off"}
    return [
        Evidence("senses-context", "the mixture of context embeddings is closer to attention's change than with equal "
                 "weights or another sentence's, for every word (centred cosine, difference)", np.array(mixtures),
                 positive, **words),
        Evidence("senses-carrier", "replacing the word that carries most flips more decisions than another place or "
                 "another word of the same sense, for every word (share, difference)", np.array(patches), positive,
                 **words),
    ]  # fmt: skip


def _machinery(result: SensesResult) -> list[Evidence]:
    """What is an identity, and a control that must fail."""
    first = np.array([one.attention["first layer"]["by attention"] for one in result.words[0].trained])
    states = [(word, word.accuracy(state)[:, 0]) for word in result.words for state in ("trained", "untrained")]
    static = np.array([np.abs(accuracy - word.task.chance).max() for word, accuracy in states])
    parts = [part.attention for word in result.words for part in (*word.trained, *word.untrained)]
    errors = np.array([max(map(_sum_error, found["effects"].values())) for found in parts])
    shuffled = np.abs(result.shuffled().mean(axis=1))
    exact: dict[str, Any] = {"no_null": "an identity", "ceiling": "0", "every": True}
    return [
        Evidence("senses-mixture", "what attention adds to a word in the first layer is the attention-weighted mixture "
                 "of its context's embeddings (relative error; null: equal weights)", first[:, 0, 1],
                 Bound("machinery", most=1e-3, source="identity, in float32"), "identity", first[:, 1, 1], ceiling="0",
                 varied=NETWORKS),
        Evidence("senses-static", "the static embedding has 1 / senses, as it is the same in every sentence (largest "
                 "difference)", static, Bound("machinery", most=1e-12, source="identity", strict=True),
                 varied="words and networks", **exact),
        Evidence("senses-sums", "heads and MLPs add up to the decision (relative error)", errors,
                 Bound("machinery", most=1e-4, source="identity, in float32"), varied="words and networks", **exact),
        Evidence("senses-shuffled", "probes of shuffled senses have 1 / senses (difference)", shuffled,
                 Bound("machinery", most=0.1, source="a control that must fail"), no_null="it is the null", ceiling="0",
                 varied="words", every=True),
    ]  # fmt: skip


def _sum_error(effects: dict[str, Any]) -> float:
    """Of a decision's parts, relative to the sum of their sizes."""
    parts = [np.asarray(effects[name]) for name in ("heads", "mlp")]
    size = sum(float(np.abs(part).sum()) for part in parts)
    return abs(sum(float(part.sum()) for part in parts) - effects["total"]) / size


def caption(result: SensesResult) -> str:
    """What was computed with what."""
    return (
        "Linear probes with equal weight on every sense; bands: smallest to largest of the networks; "
        f"{result.words_seen:,} words of training; counts and mean of static embeddings of the same left words.\n"
        "Right: best depth (chosen on validation sentences) less the null, 95 % over sentences and networks."
    )


STUDY = Study(
    name="senses",
    source="jaxembed",
    settings=SETTINGS,
    seeds={"tiny": 2, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("senses-pseudoword", "senses-context", "senses-carrier", "senses-mixture", "senses-static", "senses-sums",
         "senses-shuffled", "senses-words", "senses-training", "senses-counts", "senses-every-static",
         "senses-every-untrained"),
    takes={"tiny": "15 s", "published": "10 min on one core, and an hour and more where decoders have to be trained"},
    smaller={"tiny": "a pseudo-word in 400,000 characters of Python's documentation for six words and The Pile"},
    needs=(DATA,),
    tiny_needs=(),
    ledger="tiny",
    beyond_tiny=("senses-words", "senses-training", "senses-counts", "senses-every-static", "senses-every-untrained"),
)  # fmt: skip
