"""From the embedding to the next token: how the distribution sharpens layer by layer and step by step.

Decoders are read at every saved step through the plain lens, and at both ends through a learned one too, on held-out
text; and what they say after single tokens is held against the pair counts of their training text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from ...analysis.lens import LensFit, fit_lens
from ...keep import kept_json
from ...language import parameter_hash
from ...observables import crossing
from ...tables import Table, interval, number
from ...theory.lens import untrained_divergence
from ..evidence import Bound, Evidence, Kind, Size
from ..study import DATA, Run, Study
from .decoders import BUILT_IN, PILE, Decoders, DecodersSetting, decoders
from .lens_early import GUESSES, SHUFFLED, THEORIES, directions
from .lens_scores import REFERENCES, Bigrams, Values, bigrams, count_spearman, layer_values, token_values

COLUMNS = {"entropy": "entropy", "divergence": "KL(final || layer)", "swapped": "the same, final of another position",
           "loss": "held-out loss", "rank": "median rank"}  # fmt: skip
COUNTS = {"floors": "held-out loss of counts (Witten-Bell)", "divergences": "KL(bigram || reference)",
          "r_cos": "R_cos with the bigrams", "spearmans": "rank correlation with the bigram counts"}  # fmt: skip
DIRECTIONS = (*THEORIES, *GUESSES)


@dataclass(frozen=True)
class LensSetting:
    """What is read.

    Attributes:
        decoders: that are read.
        sequences: of held-out text.
        length: tokens that a sequence predicts.
        tokens: frequent tokens that are read alone.
        targets: next tokens over which directions are compared.
        fit: of the learned lenses.
        angle: how far the untrained KL may be from (R5), relative: few tokens are few draws of the head.
        long: whether the models see enough text to be held against its counts.
    """

    decoders: DecodersSetting
    sequences: int
    length: int
    tokens: int
    targets: int
    fit: LensFit
    angle: float
    long: bool


SETTINGS: dict[Size, LensSetting] = {
    "tiny": LensSetting(BUILT_IN, 16, 32, 60, 120, LensFit(25, 4, 32, 1e-2), 0.3, False),
    "quick": LensSetting(PILE, 16, 128, 400, 1000, LensFit(80, 2, 128), 0.05, True),
}


@dataclass(frozen=True)
class LensResult:
    """Scores of every seed and saved step.

    Attributes:
        setting: what is read.
        plain: by seed and step, see `layer_values`.
        learned: the same through a learned lens, by seed, at the first and at the last step.
        tokens: by seed and step, see `token_values`.
        counts: by `COUNTS` and reference, what the counts of the training text give by themselves.
    """

    setting: LensSetting
    plain: tuple[tuple[Values, ...], ...]
    learned: tuple[tuple[Values, ...], ...]
    tokens: tuple[tuple[Values, ...], ...]
    counts: dict[str, dict[str, float]]

    @property
    def steps(self) -> Int[np.ndarray, " time"]:
        """Saved updates."""
        return np.array(self.setting.decoders.training.saves)

    @property
    def words(self) -> Int[np.ndarray, " time"]:
        """Words predicted up to each."""
        return self.steps * self.setting.decoders.training.predicted

    def layers(self, name: str, learned: bool = False) -> Float[np.ndarray, "seed time layer"]:
        """One score of a lens at every depth, of the learned one at first and last step; of a null, without depths."""
        seeds = self.learned if learned else self.plain
        return np.array([[values[name] for values in seed] for seed in seeds], float)

    def single(self, name: str, part: str | None = None) -> Float[np.ndarray, "seed time"]:
        """One score of what the model says after single tokens, and of which reference."""
        return np.array([[v[name] if part is None else v[name][part] for v in seed] for seed in self.tokens], float)

    def fall(self, at: int, learned: bool = False) -> Float[np.ndarray, " seed"]:
        """KL to the final distribution at the embedding less that before the last block, in nats."""
        values = self.layers("divergence", learned)[:, at]
        return values[:, 0] - values[:, -2]

    def gained(self, at: int) -> Float[np.ndarray, " seed"]:
        """Held-out loss read at the embedding less that of the model: what depth adds of the text itself, in nats."""
        loss = self.layers("loss")[:, at]
        return loss[:, 0] - loss[:, -1]

    def angle(self) -> Float[np.ndarray, "seed layer"]:
        """KL to the final distribution that the untrained models' angles give: (R5) of theory/lens.md."""
        model = self.setting.decoders.model
        return np.asarray(untrained_divergence(self.layers("cosine")[:, 0], model.width, model.init_scale), float)

    def events(self) -> dict[str, Float[np.ndarray, " seed"]]:
        """Words seen when single-token predictions pass each mark, undefined where they never do."""
        alone = {name: self.single("alone", name) for name in REFERENCES}
        context, one, floors = self.layers("loss")[:, :, -1], self.single("loss"), self.counts["floors"]
        unigram = self.counts["divergences"]["unigram"]
        marks = {
            "one word: held-out loss below unigram counts": one - floors["unigram"],
            "one word: closer to the bigrams than the unigrams are": alone["bigram"] - unigram,
            "one word: KL from bigrams below that from unigrams": alone["bigram"] - alone["unigram"],
            "one word: KL from bigrams below that from shuffled ones": alone["bigram"] - alone["shuffled bigram"],
            "one word: held-out loss below bigram counts": one - floors["bigram"],
            "in context: held-out loss below bigram counts": context - floors["bigram"],
            "in context: held-out loss 0.1 below reading one word": context - one + 0.1,
        }
        logs = np.log1p(self.words)  # straight in log words between two saves
        return {name: np.expm1(crossing(logs, rows, 0.0, rising=False)) for name, rows in marks.items()}


def run(setting: LensSetting, run: Run) -> LensResult:
    """Read trained decoders through lenses at every saved step, and hold single-token predictions against counts.

    Seeds are of init and data order together. `run.keep` is the folder of the decoders' runs, shared with `senses` and
    `blank_slate`, and of the scores.

    Source: jaxembed.
    """
    models = decoders(setting.decoders, run)
    counts, sequences = (
        bigrams(models.train, setting.tokens, setting.targets),
        models.passages(setting.sequences, setting.length + 1),
    )
    run.progress("pair counts: done")
    plain, learned, tokens = zip(
        *(_scores(seed, models, setting, counts, sequences, run) for seed in models.seeds), strict=True
    )
    alone = {
        "floors": {name: counts.held_loss(name, sequences) for name in REFERENCES},
        "divergences": {name: counts.divergence(name) for name in REFERENCES},
        "r_cos": {"shuffled bigram": counts.agreement("shuffled bigram"), "halves": counts.half_r_cos},
        "spearmans": {name: count_spearman(counts, name) for name in REFERENCES[1:]},
    }
    return LensResult(setting, plain, learned, tokens, alone)


def _scores(
    seed: int,
    models: Decoders,
    setting: LensSetting,
    counts: Bigrams,
    sequences: Int[np.ndarray, "example position"],
    run: Run,
) -> tuple[tuple[Values, ...], ...]:
    """Plain lens, learned lens and single tokens of one seed."""
    model, start = models.model, jax.tree.map(jnp.asarray, models.params(seed, 0))
    predicted = cache(lambda: directions(model, start, counts))

    def plain(params: Any) -> Values:
        return layer_values(model, params, sequences, counts)

    def learned(params: Any) -> Values:
        lens, _ = fit_lens(model, params, models.train, setting.fit, key=jax.random.key(seed))
        return layer_values(model, params, sequences, counts, lens)

    def tokens(params: Any) -> Values:
        return token_values(model, params, start, sequences, counts, predicted())

    def kept(measure: Callable[[Any], Values], step: int) -> Values:
        params, name = models.params(seed, step), measure.__name__
        read = [parameter_hash(part) for part in (models.params(seed, 0), params, sequences)]
        identity = (name, setting, models.train.hash, seed, step, read, REFERENCES)
        folder = None if run.keep is None else run.keep / "lens"
        values = kept_json(folder, f"{name}_{seed}_{step}", identity, lambda: measure(params))
        run.progress(f"seed {seed}, step {step}: {name}")
        return values

    ends = (models.steps[0], models.steps[-1])
    parts = ((plain, models.steps), (learned, ends), (tokens, models.steps))
    return tuple(tuple(kept(measure, step) for step in steps) for measure, steps in parts)


def tables(result: LensResult) -> tuple[Table, ...]:
    """Every layer of the untrained and the trained model; every step; when marks are passed; where logits move."""
    loss, single, steps = result.layers("loss"), result.single, {"updates": result.steps}
    series = {
        "entropy": result.layers("entropy")[:, :, -1],
        "held-out loss": loss[:, :, -1],
        "read at the embedding": loss[:, :, 0],
        "reading one token": single("loss"),
        **{f"one token: KL({name} || model)": single("alone", name) for name in REFERENCES},
        "in context: KL(bigram || model)": single("context", "bigram"),
        "R_cos with bigrams": single("r_cos", "bigram"),
        "rank correlation with bigrams": single("spearman", "bigram"),
    }
    moved = {f"{name}{ending}": single("motion", name + ending) for name in DIRECTIONS for ending in ("", SHUFFLED)}
    header, note = ("mark", "thousand words seen", "seeds that pass it"), _note(result)
    motion = "single tokens: directions of their logits' motion, mean correlation"
    return (
        Table("read at every layer", ("model", "read at", *COLUMNS.values()), _layer_rows(result), note),
        Table("read at every step", *_over_steps(steps | {"words seen": result.words}, series), note, "steps"),
        Table("when single-word predictions pass each mark", header, _event_rows(result), note, "events"),
        Table(motion, *_over_steps(steps, moved, first=1), note, "motion"),
    )


def _layer_rows(result: LensResult) -> list[tuple[str, ...]]:
    rows = []
    for learned, (name, at) in product((False, True), (("untrained", 0), ("trained", -1))):
        values = [result.layers(column, learned)[:, at] for column in COLUMNS]
        named = f"{name}, learned lens" if learned else name
        depths = range(values[0].shape[1])
        rows += [(named, layer_name(k), *(interval(v[:, k], ".3f") for v in values)) for k in depths]
        for null in () if learned else ("random", "unigram", "uniform"):
            rows.append((name, f"null: {null}", "", interval(result.layers(null)[:, at], ".3f"), "", "", ""))
    return rows


def _over_steps(
    clocks: dict[str, Int[np.ndarray, " time"]], series: dict[str, Float[np.ndarray, "seed time"]], first: int = 0
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and a row for every save from the first on."""
    texts = [[f"{x:,}" for x in clock] for clock in clocks.values()]
    texts += [[interval(values[:, at], ".2f") for at in range(values.shape[1])] for values in series.values()]
    return (*clocks, *series), list(zip(*texts, strict=True))[first:]


def _event_rows(result: LensResult) -> list[tuple[str, ...]]:
    rows = []
    for name, words in result.events().items():
        reached = np.isfinite(words)
        when = interval(words / 1e3, ".0f") if reached.all() else f"not by {result.words[-1] / 1e3:,.0f}"
        rows.append((name, when, f"{reached.sum()} of {len(words)}"))
    return rows


def layer_name(layer: int) -> str:
    """ "embedding", "block 1", .."""
    return "embedding" if layer == 0 else f"block {layer}"


def _note(result: LensResult) -> str:
    """What was read, what the intervals are over, and what counts alone give."""
    setting = result.setting
    texts = [", ".join(f"{k} {number(v, '.2f')}" for k, v in result.counts[name].items()) for name in COUNTS]
    return (
        f"seeds of init and data order, 95 % intervals over them; {setting.sequences} held-out sequences of "
        f"{setting.length} words; {setting.tokens} most frequent words alone; "
        + "; ".join(f"{what}: {text}" for what, text in zip(COUNTS.values(), texts, strict=True))
    )


def evidence(result: LensResult) -> tuple[Evidence, ...]:
    """Depth in the trained model beside the untrained one, the start by theory, and single words beside counts."""
    gained, fall, learned = result.gained(0), result.fall(0), result.fall(0, learned=True)
    layers = -np.diff(result.layers("divergence", learned=True)[:, -1], axis=1).max(axis=1)
    off = np.abs(result.layers("divergence")[:, 0, :-1] / result.angle()[:, :-1] - 1).max(axis=1)
    signs, null = (result.single("motion", "sign flow" + ending)[:, 1] for ending in ("", SHUFFLED))
    paper: dict[str, Any] = {"published": "falls with depth", "source": "belrose2023tuned"}
    whole: dict[str, Any] = paper | {"ceiling": "KL at the embedding"}
    angle = Bound("machinery", most=result.setting.angle, source="(R5) of theory/lens.md")
    rows = (
        _row("lens-untrained", "KL to the final distribution falls with depth before training too, as the streams' "
             "angle says, in every seed (largest relative error)", off, angle, published="sigma^2 d (1 - cos)",
             ceiling="0", no_null="two routes to one number", every=True),
        _row("lens-loss", "what depth adds is held-out loss, in the trained model alone (nats)", result.gained(-1),
             _beyond(gained, 10, "expectation"), null=gained, ceiling="not known", **paper),
        _row("lens-fall", "KL to the final distribution falls from the embedding to the last block but one (nats)",
             result.fall(-1), _beyond(fall), null=fall, **whole),
        _row("lens-learned", "so it does through a learned lens (nats)", result.fall(-1, learned=True),
             _beyond(learned), null=learned, **whole),
        _row("lens-learned-layers", "it falls at every layer of the learned lens, in every seed (smallest fall, nats)",
             layers, Bound("paper", least=0.0, source="falls", strict=True), no_null="that of lens-learned",
             every=True, **paper),
        _row("lens-sign-flow", "single-word logits after the first save correlate with the sign flow more than with "
             "that of the shuffled corpus (difference)", signs - null, POSITIVE, no_null="the null is taken off"),
    )  # fmt: skip
    return (*rows, *_long_evidence(result)) if result.setting.long else rows


def _long_evidence(result: LensResult) -> tuple[Evidence, ...]:
    """What takes more text than size tiny has; the nulls are of the untrained models."""
    alone = {name: result.single("alone", name) for name in REFERENCES}
    closer = np.min([alone[name] for name in REFERENCES if name != "bigram"], axis=0) - alone["bigram"]
    single, context = result.single("loss"), result.layers("loss")[:, :, -1]
    unigram, bigram = (_below(result.counts["floors"][name], f"{name} counts") for name in ("unigram", "bigram"))
    flat = Bound("expectation", most=0.0, source="depth means nothing before training")
    return (
        _row("lens-untrained-fall", "KL to the final distribution does not fall before training (nats, smallest fall)",
             result.fall(0).min()[None], flat, no_null="it is the null of lens-fall"),
        _row("lens-bigrams", "reading one word, the model is closer to the bigrams than to any other reference (nats)",
             closer[:, -1], POSITIVE, null=closer[:, 0]),
        _row("lens-single-loss", "held-out loss reading one word is below that of unigram counts", single[:, -1],
             unigram, null=single[:, 0]),
        _row("lens-context-loss", "held-out loss in context is below that of bigram counts", context[:, -1], bigram,
             null=context[:, 0]),
    )  # fmt: skip


POSITIVE = Bound("expectation", least=0.0, source="the sign", strict=True)


def _row(name: str, claim: str, values: Float[np.ndarray, " seed"], bound: Bound, **more: Any) -> Evidence:
    return Evidence(name, claim, values, bound, varied="seeds of init and data order", **more)


def _beyond(null: Float[np.ndarray, " seed"], times: float = 1.0, kind: Kind = "paper") -> Bound:
    """More than in any untrained model, where KL falls too, by (R5); so many times more is our own expectation."""
    least = times * float(np.abs(null).max())
    than = "" if times == 1 else f"{times:g} times "
    return Bound(kind, least=least, source=f"falls, by more than {than}the untrained's", strict=True)


def _below(most: float, source: str) -> Bound:
    return Bound("expectation", most=most, source=source, strict=True)


def caption(result: LensResult) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"seeds of init and data order (bands: smallest to largest); {setting.sequences} held-out "
        f"sequences of {setting.length} words;\nsingle tokens: the {setting.tokens} most frequent words; learned lens: "
        f"{setting.fit.steps} updates of {setting.fit.batch} x {setting.fit.length} training words."
    )


STUDY = Study(
    name="lens",
    source="jaxembed",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=tuple(f"lens-{name}" for name in ("untrained", "loss", "fall", "learned", "learned-layers", "sign-flow",
                                          "untrained-fall", "bigrams", "single-loss", "context-loss")),
    takes={"tiny": "15 s", "quick": "10 min on one core, and an hour and more where decoders have to be trained"},
    smaller={
        "tiny": "width 16, 2 blocks and 60,000 characters of Python's documentation for models of 10^9 parameters",
        "quick": "width 128, 4 blocks and 3.7 million words of The Pile for models of 10^9 parameters",
    },
    needs=(DATA,),
    tiny_needs=(),
    ledger="tiny",
    beyond_tiny=("lens-untrained-fall", "lens-bigrams", "lens-single-loss", "lens-context-loss"),
)  # fmt: skip
