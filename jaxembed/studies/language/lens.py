"""From the embedding to the next token: how the distribution sharpens layer by layer and step by step."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...analysis.lens import LensFit, fit_lens
from ...corpus import EncodedCorpus
from ...decoding._folder import kept_json
from ...language import parameter_hash
from ...language.order import cut
from ...models import Decoder
from ...theory.lens import untrained_divergence
from ..check import Check, Size
from ..measured import mean_and_interval, silent
from .decoders import Decoders, decoders
from .lens_cells import REFERENCES, Bigrams, bigrams, count_spearman, layer_values, token_values
from .lens_early import GUESSES, SHUFFLED, THEORIES, directions

COLUMNS = ("entropy", "divergence", "swapped", "loss", "rank")
HEADER = (
    "model",
    "read at",
    "entropy",
    "KL(final || layer)",
    "the same, final of another position",
    "held-out loss",
    "median rank",
)
STEP_HEADER = (
    "updates",
    "words seen",
    "entropy",
    "held-out loss",
    "read at the embedding",
    "reading one token",
    "one token: KL(uniform || model)",
    "KL(unigram || model)",
    "KL(bigram || model)",
    "KL(shuffled bigram || model)",
    "in context: KL(bigram || model)",
    "R_cos with bigrams",
    "rank correlation with bigrams",
)
EVENT_HEADER = ("mark", "thousand words seen", "seeds that pass it")
MOTION_HEADER = ("updates", *(f"{name}{ending}" for name in (*THEORIES, *GUESSES) for ending in ("", SHUFFLED)))


@dataclass(frozen=True)
class Setting:
    """What is read.

    Attributes:
        sequences: of held-out text.
        length: tokens that a sequence predicts.
        tokens: frequent tokens that are read alone.
        targets: next tokens over which directions are compared.
        fit: of the learned lenses.
    """

    sequences: int
    length: int
    tokens: int
    targets: int
    fit: LensFit


SETTINGS: dict[str, Setting] = {
    "tiny": Setting(16, 32, 60, 120, LensFit(steps=25, batch=4, length=32, learning_rate=1e-2)),
    "normal": Setting(16, 128, 400, 1000, LensFit(steps=80, batch=2, length=128)),
}


@dataclass(frozen=True)
class LensResult:
    """Readings of every seed and saved step.

    Attributes:
        size: of the study.
        setting: what is read.
        model: the decoder.
        steps: `[time]`, updates.
        words: `[time]`, words predicted up to there.
        plain: by seed and step, see `layer_values`.
        learned: the same through a learned lens, by seed, at the first and at the last step.
        tokens: by seed and step, see `token_values`.
        floors: held-out loss of the distributions that counts of the training text give.
        divergences: KL(bigram || reference) by reference, weighted with the tokens' frequency.
        spearmans: rank correlation of a reference with the bigram counts, among the followers seen.
        r_cos: R_cos of the shuffled corpus's bigrams, and of the bigrams of two halves of the text, with themselves.
    """

    size: Size
    setting: Setting
    model: Decoder
    steps: Int[np.ndarray, " time"]
    words: Int[np.ndarray, " time"]
    plain: tuple[tuple[dict[str, Any], ...], ...]
    learned: tuple[tuple[dict[str, Any], ...], ...]
    tokens: tuple[tuple[dict[str, Any], ...], ...]
    floors: dict[str, float]
    divergences: dict[str, float]
    spearmans: dict[str, float]
    r_cos: dict[str, float]

    def layers(self, name: str) -> Float[np.ndarray, "seed time layer"]:
        """One reading of the plain lens at every depth; of a null, without the last axis."""
        return np.array([[values[name] for values in seed] for seed in self.plain], float)

    def fitted(self, name: str) -> Float[np.ndarray, "seed time layer"]:
        """The same through the learned lens, at the first and at the last step."""
        return np.array([[values[name] for values in seed] for seed in self.learned], float)

    def single(self, name: str, part: str | None = None) -> Float[np.ndarray, "seed time"]:
        """One measure of what the model says after single tokens, and of which reference."""
        return np.array([[v[name] if part is None else v[name][part] for v in seed] for seed in self.tokens], float)

    def fall(self, at: int, learned: bool = False) -> Float[np.ndarray, " seed"]:
        """KL to the final distribution at the embedding less that before the last block, in nats."""
        values = (self.fitted if learned else self.layers)("divergence")[:, at]
        return values[:, 0] - values[:, -2]

    def gained(self, at: int) -> Float[np.ndarray, " seed"]:
        """Held-out loss read at the embedding less that of the model: what depth adds of the text itself, in nats."""
        loss = self.layers("loss")[:, at]
        return loss[:, 0] - loss[:, -1]

    def rows(self) -> list[tuple[str, ...]]:
        """Every layer of the untrained and of the trained model, in the order of `HEADER`."""
        found = []
        for name, at, source in (
            ("untrained", 0, self.layers),
            ("trained", -1, self.layers),
            ("untrained, learned lens", 0, self.fitted),
            ("trained, learned lens", -1, self.fitted),
        ):
            values = {column: source(column)[:, at] for column in COLUMNS}
            for layer in range(values["divergence"].shape[1]):
                found.append((name, layer_name(layer), *(mean_and_interval(values[c][:, layer], 3) for c in COLUMNS)))
            for null in ("random", "unigram", "uniform"):
                if source == self.layers:
                    value = mean_and_interval(self.layers(null)[:, at], 3)
                    found.append((name, f"null: {null}", "", value, "", "", ""))
        return found  # fmt: skip

    def step_rows(self) -> list[tuple[str, ...]]:
        """Every saved step, in the order of `STEP_HEADER`."""
        entropy, loss = self.layers("entropy")[:, :, -1], self.layers("loss")
        series = [entropy, loss[:, :, -1], loss[:, :, 0], self.single("loss")]
        series += [self.single("alone", name) for name in REFERENCES]
        series += [self.single("context", "bigram"), self.single("r_cos", "bigram"), self.single("spearman", "bigram")]
        return [
            (f"{step:,}", f"{words:,}", *(mean_and_interval(values[:, at]) for values in series))
            for at, (step, words) in enumerate(zip(self.steps, self.words, strict=True))
        ]

    def motion_rows(self) -> list[tuple[str, ...]]:
        """Directions of the motion of single-token logits after every step, in the order of `MOTION_HEADER`."""
        names = [name + ending for name in (*THEORIES, *GUESSES) for ending in ("", SHUFFLED)]
        return [
            (f"{step:,}", *(mean_and_interval(self.single("motion", name)[:, at]) for name in names))
            for at, step in enumerate(self.steps)
            if step > 0
        ]

    def angle(self) -> Float[np.ndarray, "seed layer"]:
        """KL to the final distribution that the untrained models' angles give: (R5) of theory/lens.md."""
        cosine = self.layers("cosine")[:, 0]
        return np.asarray(untrained_divergence(cosine, self.model.width, self.model.init_scale), float)

    def checks(self) -> list[Check]:
        """The figures asked, and what else must hold for them to mean something."""
        return [*self._depth(), *self._start(), *(self._counts() if self.size == "normal" else [])]

    def _depth(self) -> list[Check]:
        plain, learned = self.layers("divergence"), self.fitted("divergence")
        ends = [" -> ".join(f"{x:.3g}" for x in plain[:, at].mean(axis=0)) for at in (-1, 0)]
        falls = [bool(self.fall(at).min() > 0) for at in (-1, 0)]
        steps = np.diff(learned[:, -1], axis=1)
        shown = " -> ".join(f"{x:.3g}" for x in learned[:, -1].mean(axis=0))
        gained = [self.gained(at) for at in (-1, 0)]
        return [
            Check("KL to the final distribution, trained, plain lens", "falls from the embedding to the last block but "
                  "one, every seed", f"by {mean_and_interval(self.fall(-1))} nats: {ends[0]}", falls[0]),
            Check("the same, trained, learned lens", "falls at every layer, every seed", shown, bool(steps.max() < 0)),
            *([Check("the same, untrained, plain lens", "does not fall",
                     f"by {mean_and_interval(self.fall(0), 4)} nats: {ends[1]}", not falls[1])]
              if self.size == "normal" else []),
            Check("held-out loss, embedding less last block", "above 0 for the trained, every seed; untrained within a "
                  "tenth of it", f"{mean_and_interval(gained[0])}; untrained {mean_and_interval(gained[1], 3)}",
                  bool(gained[0].min() > 0 and np.abs(gained[1]).max() < gained[0].min() / 10)),
        ]  # fmt: skip

    def _start(self) -> list[Check]:
        least = 0.05 if self.size == "normal" else 0.3  # few tokens are few draws of the head
        found, expected = self.layers("divergence")[:, 0, :-1], self.angle()[:, :-1]
        off = float(np.abs(found / expected - 1).max())
        signs, null = (self.single("motion", "sign flow" + ending)[:, 1] for ending in ("", SHUFFLED))
        return [
            Check("untrained KL is the angle's, (R5)", f"within {least:.0%}, every seed and layer",
                  f"largest difference {off:.1%}", off <= least),
            Check("single-word logits after the first save", "correlate with the sign flow more than with that of the "
                  "shuffled corpus, every seed", f"{mean_and_interval(signs)}, shuffled {mean_and_interval(null)}",
                  bool(np.all(signs > null))),
        ]  # fmt: skip

    def _counts(self) -> list[Check]:
        ends = {name: self.single("alone", name)[:, -1] for name in REFERENCES}
        others = np.min([ends[name] for name in REFERENCES if name != "bigram"], axis=0)
        loss, floor = self.layers("loss")[:, -1, -1], self.floors["bigram"]
        one, unigram = self.single("loss")[:, -1], self.floors["unigram"]
        return [
            Check("reading one word, at the end", "KL(bigram || model) below that to every other reference, every seed",
                  f"{mean_and_interval(ends['bigram'])}; others at least {mean_and_interval(others)}",
                  bool(np.all(ends["bigram"] < others))),
            Check("held-out loss reading one word", f"below the {unigram:.2f} of unigram counts, every seed",
                  mean_and_interval(one), bool(one.max() < unigram)),
            Check("held-out loss in context", f"below the {floor:.2f} of bigram counts, every seed",
                  mean_and_interval(loss), bool(loss.max() < floor)),
        ]  # fmt: skip

    def events(self) -> dict[str, Float[np.ndarray, " seed"]]:
        """Words seen when single-token predictions pass each mark, infinite where they never do."""
        alone = {name: self.single("alone", name) for name in REFERENCES}
        context, one = self.layers("loss")[:, :, -1], self.single("loss")
        marks = {
            "one word: held-out loss below unigram counts": one - self.floors["unigram"],
            "one word: closer to the bigrams than the unigrams are": alone["bigram"] - self.divergences["unigram"],
            "one word: KL from bigrams below that from unigrams": alone["bigram"] - alone["unigram"],
            "one word: KL from bigrams below that from shuffled ones": alone["bigram"] - alone["shuffled bigram"],
            "one word: held-out loss below bigram counts": one - self.floors["bigram"],
            "in context: held-out loss below bigram counts": context - self.floors["bigram"],
            "in context: held-out loss 0.1 below reading one word": context - one + 0.1,
        }
        return {name: np.array([crossing(self.words, row) for row in rows]) for name, rows in marks.items()}

    def event_rows(self) -> list[tuple[str, ...]]:
        """When each mark is passed, in the order of `EVENT_HEADER`."""
        found = []
        for name, words in self.events().items():
            reached = np.isfinite(words)
            when = mean_and_interval(words / 1e3, 0) if reached.all() else f"not by {self.words[-1] / 1e3:,.0f}"
            found.append((name, when, f"{reached.sum()} of {len(words)}"))
        return found


def lens_study(
    size: Size, seeds: int | None = None, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> LensResult:
    """Read trained decoders through lenses at every saved step, and hold single-token predictions against counts.

    Args:
        size: "tiny" or "normal" (needs JAXEMBED_DATA; once the decoders are trained, about ten minutes on one core).
        seeds: of init and data order together; None takes those of the decoders.
        keep: folder of the decoders' runs, which keeps what is measured too; a killed run goes on.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where the text is not there, naming what to set.

    Source: jaxembed.
    """
    setting, models = SETTINGS[size], decoders(size, seeds, keep, progress)
    found = bigrams(models.train, setting.tokens, setting.targets)
    sequences = held_sequences(models.held, setting)
    progress("pair counts: done")
    cells = None if keep is None else keep / "lens"
    runs = [_one_seed(seed, models, setting, found, sequences, cells, progress) for seed in models.seeds]
    plain, learned, tokens = zip(*runs, strict=True)
    words = np.array([models.words_seen(step) for step in models.steps])
    return LensResult(
        size, setting, models.model, np.array(models.steps), words, plain, learned, tokens,
        {name: found.held_loss(name, sequences) for name in REFERENCES},
        {name: found.divergence(name) for name in REFERENCES},
        {name: count_spearman(found, name) for name in REFERENCES[1:]},
        {"shuffled bigram": found.agreement("shuffled bigram"), "halves": found.half_r_cos},
    )  # fmt: skip


def held_sequences(held: EncodedCorpus, setting: Setting) -> Int[np.ndarray, "example position"]:
    """Sequences spread evenly over the held-out text, `length` + 1 tokens each."""
    starts = np.linspace(0, held.tokens - setting.length - 1, setting.sequences).astype(int)
    return cut(np.asarray(held.ids), starts, setting.length)


def crossing(words: Int[np.ndarray, " time"], above: Float[np.ndarray, " time"]) -> float:
    """Words at which a series first falls below zero, straight in log words between two saves; infinite if never."""
    below = np.flatnonzero(above < 0)
    if len(below) == 0 or below[0] == 0:
        return float("inf") if len(below) == 0 else float(words[0])
    at = int(below[0])
    share = above[at - 1] / (above[at - 1] - above[at])
    first, second = np.log1p(words[at - 1]), np.log1p(words[at])
    return float(np.expm1(first + share * (second - first)))


def layer_name(layer: int) -> str:
    """ "embedding", "block 1", .."""
    return "embedding" if layer == 0 else f"block {layer}"


def _one_seed(
    seed: int,
    models: Decoders,
    setting: Setting,
    found: Bigrams,
    sequences: Int[np.ndarray, "example position"],
    cells: Path | None,
    progress: Callable[[str], None],
) -> tuple[tuple[dict[str, Any], ...], ...]:
    """Plain lens, learned lens and single tokens of one run."""
    start = _params(models, seed, 0)
    predicted = cache(lambda: directions(models.model, start, found))

    def kept(kind: str, step: int, compute: Callable[[], Any]) -> dict[str, Any]:
        read = [parameter_hash(models.params(seed, at)) for at in (0, step)] + [parameter_hash(sequences)]
        identity = f"{kind} {setting} {models.setting} {models.train.hash} {seed} {step} {read} {REFERENCES}"
        values = kept_json(cells, f"{kind}_{seed}_{step}", identity, compute)
        progress(f"seed {seed}, step {step}: {kind}")
        return values

    def plain(step: int) -> dict[str, Any]:
        return layer_values(models.model, _params(models, seed, step), sequences, found)

    def tokens(step: int) -> dict[str, Any]:
        return token_values(models.model, _params(models, seed, step), start, sequences, found, predicted())

    def learned(step: int) -> dict[str, Any]:
        params = _params(models, seed, step)
        lens, _ = fit_lens(models.model, params, models.train, setting.fit, key=jax.random.key(seed))
        return layer_values(models.model, params, sequences, found, lens)

    steps = models.steps
    return (
        tuple(kept("plain", step, partial(plain, step)) for step in steps),
        tuple(kept("learned", step, partial(learned, step)) for step in (steps[0], steps[-1])),
        tuple(kept("tokens", step, partial(tokens, step)) for step in steps),
    )


def _params(models: Decoders, seed: int, step: int) -> Any:
    return jax.tree.map(jnp.asarray, models.params(seed, step))
