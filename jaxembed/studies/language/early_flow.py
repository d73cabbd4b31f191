"""The first steps of a language model beside the flow of its pair counts, on one clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from ...base import Trajectory
from ...compare import compare
from ...corpus import EncodedCorpus
from ...flow import integrate
from ...language import Pretraining, pretrain
from ...models import Decoder
from ...statistics import count_neighbours
from ...theory import next_token
from ...theory.next_token import NextToken
from ..check import Check, Size
from ..measured import mean_and_interval, silent, single_precision
from .alignment_texts import encoded
from .start_cells import QWEN2

Rule = Literal["sgd", "adamw"]
Tables = dict[str, Array]
SIDES = ("embed", "unembed")
OBSERVED = {
    "whole": "Gram of the motion",
    "unshared": "the same less the shared direction",
    "cosines": "cosines of the motion",
}
THEORIES: dict[Rule, tuple[str, ...]] = {"sgd": ("rung 0", "pair flow"), "adamw": ("sign flow",)}
CONTROLS = ("shuffled corpus", "permuted tokens")
HEADER = ("rule", "blocks", "table", "observable", "prediction", "skill at the first save", "middle", "at the end")
HORIZONS = ("blocks", "table", "observable", "prediction", "skill below 0.9 (flow time)", "below 0.5")
EFFECTIVE = ("rule", "blocks", "table", "tokens compared", "effective number at the first save", "at the end")
SOLVER: dict[str, Any] = {"solver": "bosh3", "rtol": 1e-3}


@dataclass(frozen=True)
class Setting:
    """Text, model and steps.

    Attributes:
        subset: see `alignment_texts.read`.
        characters: of it; None for all.
        vocab: of the byte-level BPE trained on it.
        frequent: tokens whose Gram matrices are compared, the most frequent ones.
        model: an untied decoder.
        batch: sequences of an update.
        length: tokens of a sequence.
        scales: factors on every initial matrix of the blocks, ascending: 0 is no blocks, where the model is the one of
            the theory; the last, 1, is the architecture's own start.
        rate: of plain gradient descent; its steps are `rate` apart in flow time.
        steps: at which it is saved.
        adam_rate: of AdamW without weight decay or clipping.
        adam_batch: sequences of its updates, many, since it takes the sign of whatever a batch shows.
        adam_scales: as `scales`.
        adam_steps: at which it is saved.
    """

    subset: str = "wikipedia_en"
    characters: int | None = None
    vocab: int = 4096
    frequent: int = 1000
    model: Decoder = QWEN2
    batch: int = 16
    length: int = 128
    scales: tuple[float, ...] = (0.0, 0.3, 1.0)
    rate: float = 0.01
    steps: tuple[int, ...] = (0, 20, 40, 60, 80, 100, 120, 140, 160)
    adam_rate: float = 1e-3
    adam_batch: int = 128
    adam_scales: tuple[float, ...] = (0.0, 1.0)
    adam_steps: tuple[int, ...] = (0, 1, 2, 4, 8, 16)


_TINY = Setting(
    "python",
    characters=300_000,
    vocab=300,
    frequent=100,
    model=Decoder(64, 1, 2, 64),
    batch=32,
    length=32,
    scales=(0.0, 0.3, 1.0),
    rate=0.02,
    steps=(0, 10, 20, 30),
    adam_batch=256,
    adam_scales=(0.0,),
    adam_steps=(0, 1, 2),
)
SETTINGS = {"tiny": _TINY, "normal": Setting()}


@dataclass(frozen=True)
class Line:
    """One prediction of one observable of one table of one run, over seeds.

    Attributes:
        rule: of training.
        scale: of the blocks at the start.
        side: "embed" or "unembed".
        observed: a key of `OBSERVED`.
        prediction: a theory or a control.
        skill: `[seed, time]`, 1 - error / displacement of the Gram matrix, at every save after the start.
        horizon: `[seed]`, first time of a skill below 0.9.
        half: `[seed]`, first time of a skill below 0.5.
    """

    rule: Rule
    scale: float
    side: str
    observed: str
    prediction: str
    skill: Float[np.ndarray, "seed time"]
    horizon: Float[np.ndarray, " seed"]
    half: Float[np.ndarray, " seed"]


@dataclass(frozen=True)
class EarlyFlow:
    """Skill of the flow of the pair counts, and of its controls, in the first steps.

    Attributes:
        size: of the study.
        setting: text, model, steps.
        tokens: of the text.
        times: `[time]` by rule: flow time for gradient descent, steps for AdamW; the start left out.
        lines: every combination.
        losses: `[seed, time]` by rule and scale: training loss at the same saves (mean of the last ten updates).
        effective: `[seed, time]` by rule, scale and table: how many tokens share the measured motion, as the
            participation ratio (sum g)^2 / sum g^2 of the diagonal g of its Gram matrix.
    """

    size: Size
    setting: Setting
    tokens: int
    times: dict[Rule, Float[np.ndarray, " time"]]
    lines: tuple[Line, ...]
    losses: dict[tuple[Rule, float], Float[np.ndarray, "seed time"]]
    effective: dict[tuple[Rule, float, str], Float[np.ndarray, "seed time"]]

    def line(self, rule: Rule, scale: float, side: str, observed: str, prediction: str) -> Line:
        """One of the lines."""
        wanted = (rule, scale, side, observed, prediction)
        return next(x for x in self.lines if (x.rule, x.scale, x.side, x.observed, x.prediction) == wanted)

    def rows(self) -> list[tuple[str, ...]]:
        """Every line's skill at three saves with its spread over seeds, in the order of `HEADER`."""
        return [
            (
                line.rule,
                f"{line.scale:g}",
                line.side,
                OBSERVED[line.observed],
                line.prediction,
                *(mean_and_interval(line.skill[:, i]) for i in (0, line.skill.shape[1] // 2, -1)),
            )
            for line in self.lines
        ]

    def horizons(self) -> list[tuple[str, ...]]:
        """Until when each theory and control keeps a skill of 0.9 and of 0.5, in the order of `HORIZONS`."""
        found = [x for x in self.lines if x.rule == "sgd" and x.observed != "unshared"]
        saves = self.times["sgd"]
        names = [(f"{x.scale:g}", x.side, OBSERVED[x.observed], x.prediction) for x in found]
        return [(*n, _times(x.horizon, saves), _times(x.half, saves)) for n, x in zip(names, found, strict=True)]

    def effective_rows(self) -> list[tuple[str, ...]]:
        """How many tokens the Gram of the measured motion is about, in the order of `EFFECTIVE`."""
        return [
            (
                rule,
                f"{scale:g}",
                side,
                f"{self.setting.frequent}",
                mean_and_interval(number[:, 0], 0),
                mean_and_interval(number[:, -1], 0),
            )
            for (rule, scale, side), number in self.effective.items()
        ]

    def checks(self) -> list[Check]:
        """Without blocks theory and model are one, which tests the code; with the usual ones the theory is at stake."""
        usual = [self._usual(name, side) for name in THEORIES["sgd"] for side in SIDES]
        return [*(self._self_test(side) for side in SIDES), *usual]

    def _self_test(self, side: str) -> Check:
        """What is left to fail are the steps, the minibatches, and our own code."""
        lines = [self.line("sgd", min(self.setting.scales), side, "whole", x).skill for x in ("pair flow", *CONTROLS)]
        skill, shuffled, permuted = (x[:, x.shape[1] // 2] for x in lines)
        least = 0.9 if self.size == "normal" else 0.7
        asked = f"skill of the pair flow >= {least:g} at the middle save, shuffled corpus's <= half, permuted below"
        own, other, moved = (mean_and_interval(x) for x in (skill, shuffled, permuted))
        got = f"{own}, shuffled corpus {other}, permuted {moved}"
        passed = skill.min() >= least and np.all(shuffled <= skill / 2) and np.all(permuted < skill)
        return Check(f"self-test (no blocks), {side}", asked, got, bool(passed))

    def _usual(self, prediction: str, side: str) -> Check:
        scale = max(self.setting.scales)
        line, control = (self.line("sgd", scale, side, "whole", x) for x in (prediction, "shuffled corpus"))
        skill, null = line.skill[:, 0], control.skill[:, 0]
        asked = "skill at the first save above 0 and above the shuffled corpus's, every seed"
        ahead, horizon = mean_and_interval(skill - null), _times(line.horizon, self.times["sgd"])
        got = f"{mean_and_interval(skill)}, ahead by {ahead}, horizon {horizon}"
        return Check(f"{prediction}, usual start, {side}", asked, got, bool(np.all((skill > 0) & (skill > null))))


def early_flow(size: Size, seeds: int = 2, progress: Callable[[str], None] = silent) -> EarlyFlow:
    """Train decoders from starts with ever larger blocks, and hold the flow of the pair counts against them.

    Minibatches are fresh pieces of the corpus, so that the sum of their gradients is that of the pair counts up to the
    sampling error of the tokens seen. The theory never sees blocks: one prediction per seed serves all of their scales.

    Args:
        size: "tiny" (Python's documentation, seconds) or "normal" (wikipedia_en; needs JAXEMBED_DATA).
        seeds: of initial parameters and data order together.
        progress: called with a line of text after each run.

    Source: jaxembed.
    """
    setting = SETTINGS[size]
    corpus, _ = encoded(setting.subset, setting.vocab, setting.characters)
    setting = replace(setting, vocab=corpus.vocab)
    statistics = [_statistics(text) for text in (corpus, corpus.shuffled(0))]
    tokens = corpus.frequent(setting.frequent)
    found: dict[tuple, list[dict[str, np.ndarray]]] = {}
    losses: dict[tuple[Rule, float], list[np.ndarray]] = {}
    effective: dict[tuple[Rule, float, str], list[np.ndarray]] = {}
    times: dict[Rule, np.ndarray] = {}
    for seed in range(seeds):
        params = single_precision(setting.model.init(jax.random.key(seed), setting.vocab, setting.length))
        start = {name: params[name] for name in SIDES}
        for rule in THEORIES:
            predicted = _predicted(rule, setting, start, statistics)
            for scale in setting.scales if rule == "sgd" else setting.adam_scales:
                trained, loss = _trained(rule, setting, corpus, _with_blocks(params, scale), seed)
                times[rule] = np.asarray(trained.ts)[1:]
                losses.setdefault((rule, scale), []).append(loss)
                for side in SIDES:
                    effective.setdefault((rule, scale, side), []).append(_effective(trained, start, tokens, side))
                for name, prediction in predicted.items():
                    for key, skills in _skills(trained, prediction, start, statistics[0], tokens, name).items():
                        found.setdefault((rule, scale, *key, name), []).append(skills)
                progress(f"seed {seed}, {rule}, blocks x {scale:g}: loss {loss[-1]:.2f}")
    lines = tuple(Line(*key, **{k: np.stack([x[k] for x in runs]) for k in runs[0]}) for key, runs in found.items())
    loss_of = {key: np.stack(runs) for key, runs in losses.items()}
    effective_of = {key: np.stack(runs) for key, runs in effective.items()}
    return EarlyFlow(size, setting, corpus.tokens, times, lines, loss_of, effective_of)


def _statistics(text: EncodedCorpus) -> NextToken:
    return next_token.next_token(count_neighbours(text.ids, text.ends, text.vocab), dtype=jnp.float32)


def _with_blocks(params: dict[str, Any], scale: float) -> dict[str, Any]:
    def shrunk(leaf: Array) -> Array:
        return leaf * jnp.asarray(scale if leaf.ndim == 2 else 1, leaf.dtype)

    return params | {"blocks": jax.tree.map(shrunk, params["blocks"])}


def _trained(
    rule: Rule, setting: Setting, corpus: EncodedCorpus, params: dict[str, Any], seed: int
) -> tuple[Trajectory, Float[np.ndarray, " time"]]:
    steps = setting.steps if rule == "sgd" else setting.adam_steps
    settings = Pretraining(
        steps=steps[-1],
        batch=setting.batch if rule == "sgd" else setting.adam_batch,
        length=setting.length,
        learning_rate=setting.rate if rule == "sgd" else setting.adam_rate,
        final_ratio=1.0,
        weight_decay=0.0,
        clip=0.0,
        data_seed=seed,
        optimizer=rule,
        save_steps=steps,
    )
    run = pretrain(setting.model, corpus, settings, params=params, save=lambda p: {name: p[name] for name in SIDES})
    return run.trajectory, np.asarray([run.losses[max(0, step - 10) : step].mean() for step in steps[1:]])


def _predicted(rule: Rule, setting: Setting, start: Tables, statistics: list[NextToken]) -> dict[str, Trajectory]:
    """What each theory and control says, at the saves of the training and on its clock."""
    corpus, shuffled = statistics
    if rule == "sgd":
        ts = np.asarray(setting.steps) * setting.rate
        fields = {"pair flow": (next_token.bigram, corpus), "rung 0": (next_token.rung0, corpus)}
        fields["shuffled corpus"] = (next_token.bigram, shuffled)
        predicted = {name: _flow(field, start, ts, sig) for name, (field, sig) in fields.items()}
    else:
        signs = {"sign flow": corpus, "shuffled corpus": shuffled}
        predicted = {name: _stepped(next_token.sign_flow, setting, start, sig) for name, sig in signs.items()}
    return predicted | {"permuted tokens": predicted[THEORIES[rule][-1]]}


@jax.jit(static_argnums=0)
def _integrated(field: Any, start: Tables, ts: Array, sig: NextToken) -> Trajectory:
    return integrate(field, start, ts, sig, **SOLVER)


def _flow(field: Any, start: Tables, ts: np.ndarray, sig: NextToken) -> Trajectory:
    return _integrated(field, start, jnp.asarray(ts, jnp.float32), sig)


def _stepped(field: Any, setting: Setting, start: Tables, sig: NextToken) -> Trajectory:
    """One Euler step of the learning rate per step of AdamW: the clock is the sum of its learning rates."""
    steps, state, saved = setting.adam_steps, start, []
    for step in range(steps[-1] + 1):
        if step in steps:
            saved.append(state)
        state = _euler(field, state, sig, setting.adam_rate)
    return Trajectory(jnp.asarray(steps, jnp.float32), jax.tree.map(lambda *x: jnp.stack(x), *saved), clock="step")


@jax.jit(static_argnums=0)
def _euler(field: Any, state: Tables, sig: NextToken, rate: Float[ArrayLike, ""]) -> Tables:
    step = jnp.asarray(rate, jnp.float32)
    return jax.tree.map(lambda leaf, d: leaf + step * d, state, field(0.0, state, sig))


def _skills(
    trained: Trajectory,
    predicted: Trajectory,
    start: Tables,
    sig: NextToken,
    tokens: Int[np.ndarray, " token"],
    name: str,
) -> dict[tuple[str, str], dict[str, np.ndarray]]:
    """By table and observable: skill at every save after the start, and when it falls below 0.9 and 0.5."""
    order = _within_bands(len(tokens)) if name == "permuted tokens" else np.arange(len(tokens))
    found = {}
    for side in SIDES:
        for observed in OBSERVED:
            truth = _grams(trained, start, sig, tokens, side, observed)
            numbers = _compared(truth, _grams(predicted, start, sig, tokens[order], side, observed))
            found[side, observed] = {key: np.asarray(value, np.float64) for key, value in numbers.items()}
    return found


def _within_bands(tokens: int) -> Int[np.ndarray, " token"]:
    """A permutation of tokens, most frequent first, among ranks of one doubling: 4 tokens, 4, 8, 16 and so on.

    A row moves like its token's frequency; permuted freely, lengths alone would set theory and control apart.
    """
    edges = [4 << doubling for doubling in range(tokens.bit_length()) if 4 << doubling < tokens]
    rng = np.random.default_rng(0)
    return np.concatenate([rng.permutation(band) for band in np.split(np.arange(tokens), edges)])


@jax.jit
def _compared(truth: Trajectory, guess: Trajectory) -> dict[str, Array]:
    high, low = (compare(truth, guess, threshold=threshold) for threshold in (0.9, 0.5))
    return {"skill": high.skill[1:], "horizon": high.horizon, "half": low.horizon}


@jax.jit(static_argnames=("side", "observed"))
def _grams(
    run: Trajectory, start: Tables, sig: NextToken, tokens: Int[ArrayLike, " token"], side: str, observed: str
) -> Trajectory:
    """Gram matrix of the motion of some tokens' rows at every save; of cosines, without the diagonal of ones."""

    def gram(state: Tables) -> Array:
        motion = jax.tree.map(jnp.subtract, state, start)
        rows = (next_token.unshared(motion, sig) if observed == "unshared" else motion)[side][tokens]
        return _cosines(rows) if observed == "cosines" else rows @ rows.T

    return Trajectory(run.ts.astype(jnp.float32), jax.lax.map(gram, run.ys), clock=run.clock)


def _cosines(rows: Float[Array, "token width"]) -> Float[Array, "token token"]:
    length = jnp.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / jnp.where(length > 0, length, 1)
    return (rows @ rows.T) * (1 - jnp.eye(len(rows), dtype=rows.dtype))


def _effective(
    run: Trajectory, start: Tables, tokens: Int[np.ndarray, " token"], side: str
) -> Float[np.ndarray, " time"]:
    motion = np.asarray(run.ys[side], np.float64)[1:, tokens] - np.asarray(start[side], np.float64)[tokens][None]
    trace = np.square(motion).sum(axis=2)
    return np.square(trace.sum(axis=1)) / np.square(trace).sum(axis=1)


def _times(values: Float[np.ndarray, " seed"], saves: Float[np.ndarray, " time"]) -> str:
    """Smallest and largest horizon; one at the first save may lie anywhere before it."""
    if np.isnan(values).any():
        return "undefined"
    first, end = saves[0], saves[-1]
    ends = [
        f"beyond {end:.2g}" if np.isinf(x) else f"by {x:.2g}" if x <= first else f"{x:.2g}"
        for x in (values.min(), values.max())
    ]
    return ends[0] if ends[0] == ends[1] else " .. ".join(ends)
