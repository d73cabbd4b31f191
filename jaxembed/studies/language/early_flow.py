"""The first steps of a language model beside the flow of its pair counts, on one clock.

Decoders are trained from starts with ever larger blocks. Minibatches are fresh pieces of the corpus, so that the sum of
their gradients is that of the pair counts up to the sampling error of the tokens seen. The theory never sees blocks:
one prediction per seed serves all of their scales. Without blocks theory and model are one, which tests the code; with
the usual ones the theory is at stake (theory/next_token.md). Source: jaxembed.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

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
from ...tables import Table, interval, times
from ...theory import next_token
from ...theory.next_token import NextToken
from ...train import single_precision
from ..evidence import Bound, Evidence, Size
from ..rows import control, expected
from ..study import DATA, Run, Study
from .alignment_texts import encoded
from .start_training import QWEN2

Rule = Literal["sgd", "adamw"]
Tables = dict[str, Array]
Key = tuple[Rule, float, str, str, str]
"""Rule of training, scale of the blocks at the start, table, observable, prediction."""
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


def _constant(rule: Rule, rate: float, batch: int, length: int, steps: tuple[int, ...]) -> Pretraining:
    """The rule alone: a constant rate, no decay, no clipping."""
    return Pretraining(steps[-1], batch, length, rate, final_ratio=1.0, weight_decay=0.0, clip=0.0, optimizer=rule,
                       save_steps=steps)  # fmt: skip


@dataclass(frozen=True)
class EarlyFlowSetting:
    """Text, model and steps.

    Attributes:
        subset: see `alignment_texts.read`.
        characters: of it; None for all.
        vocab: of the byte-level BPE trained on it.
        frequent: tokens whose Gram matrices are compared, the most frequent ones.
        model: an untied decoder.
        sgd: plain gradient descent; a step is its learning rate in flow time.
        adamw: with large batches, since it takes the sign of whatever a batch shows.
        scales: by rule, factors on every initial matrix of the blocks, ascending: 0 is no blocks, where the model is
            the one of the theory; 1 is the architecture's own start.
        least: skill of the pair flow without blocks.
    """

    subset: str
    characters: int | None
    vocab: int
    frequent: int
    model: Decoder
    sgd: Pretraining
    adamw: Pretraining
    scales: tuple[tuple[float, ...], tuple[float, ...]]
    least: float = 0.9

    def training(self, rule: Rule) -> tuple[Pretraining, tuple[float, ...]]:
        return (self.sgd, self.scales[0]) if rule == "sgd" else (self.adamw, self.scales[1])


SETTINGS: dict[Size, EarlyFlowSetting] = {
    "tiny": EarlyFlowSetting(
        "python", 300_000, 300, 100, Decoder(64, 1, 2, 64), _constant("sgd", 0.02, 32, 32, (0, 10, 20, 30)),
        _constant("adamw", 1e-3, 256, 32, (0, 1, 2)), ((0.0, 0.3, 1.0), (0.0,)), least=0.7,
    ),
    "published": EarlyFlowSetting(
        "wikipedia_en", None, 4096, 1000, QWEN2, _constant("sgd", 0.01, 16, 128, tuple(range(0, 161, 20))),
        _constant("adamw", 1e-3, 128, 128, (0, 1, 2, 4, 8, 16)), ((0.0, 0.3, 1.0), (0.0, 1.0)),
    ),
}  # fmt: skip


class FlowSkill(NamedTuple):
    """How well one prediction meets one observable of one run.

    Attributes:
        skill: `[seed, time]`, 1 - error / displacement of the Gram matrix, at every save after the start.
        horizon: `[seed]`, first time of a skill below 0.9.
        half: `[seed]`, first time of a skill below 0.5.
    """

    skill: Any
    horizon: Any
    half: Any


@dataclass(frozen=True)
class EarlyFlow:
    """Skill of the flow of the pair counts, and of its controls, in the first steps.

    Attributes:
        setting: text, model, steps.
        tokens: of the text.
        times: `[time]` by rule: flow time for gradient descent, steps for AdamW; the start left out.
        skills: of every combination.
        effective: `[seed, time]` by rule, scale and table: how many tokens share the measured motion, as the
            participation ratio (sum g)^2 / sum g^2 of the diagonal g of its Gram matrix.
    """

    setting: EarlyFlowSetting
    tokens: int
    times: dict[Rule, Float[np.ndarray, " time"]]
    skills: dict[Key, FlowSkill]
    effective: dict[tuple[Rule, float, str], Float[np.ndarray, "seed time"]]

    def skill(self, scale: float, side: str, prediction: str, observed: str = "whole") -> np.ndarray:
        """`[seed, time]`, of gradient descent."""
        return self.skills["sgd", scale, side, observed, prediction].skill


def run(setting: EarlyFlowSetting, run: Run) -> EarlyFlow:
    """Train, and hold the flow of the pair counts against it; seeds are of initial parameters and data order."""
    corpus, _ = encoded(setting.subset, setting.vocab, setting.characters)
    setting = replace(setting, vocab=corpus.vocab)
    counts = [count_neighbours(text.ids, text.ends, text.vocab) for text in (corpus, corpus.shuffled(0))]
    statistics = [next_token.next_token(pairs, dtype=jnp.float32) for pairs in counts]
    seeds = [_seed(setting, corpus, statistics, seed, run) for seed in range(run.seeds)]
    skills = {
        key: FlowSkill(*map(np.stack, zip(*(found[key] for found, *_ in seeds), strict=True))) for key in seeds[0][0]
    }
    effective = {key: np.stack([numbers[key] for _, numbers, _ in seeds]) for key in seeds[0][1]}
    return EarlyFlow(setting, corpus.tokens, seeds[0][2], skills, effective)


def _seed(
    setting: EarlyFlowSetting, corpus: EncodedCorpus, statistics: list[NextToken], seed: int, run: Run
) -> tuple[dict[Key, FlowSkill], dict[tuple[Rule, float, str], np.ndarray], dict[Rule, np.ndarray]]:
    """Skills and effective numbers of every run of a seed, and the times of its saves."""
    params = single_precision(setting.model.init(jax.random.key(seed), setting.vocab, setting.sgd.length))
    start, tokens = {name: params[name] for name in SIDES}, corpus.frequent(setting.frequent)
    skills, effective, times = {}, {}, {}
    for rule in THEORIES:
        settings, scales = setting.training(rule)
        predicted = _predicted(settings, start, statistics)
        for scale in scales:
            trained, loss = _trained(setting.model, corpus, replace(settings, data_seed=seed), _scaled(params, scale))
            times[rule] = np.asarray(trained.ts)[1:]
            effective |= {(rule, scale, side): _effective(trained, start, tokens, side) for side in SIDES}
            for name, prediction in predicted.items():
                found = _skills(trained, prediction, start, statistics[0], tokens, name)
                skills |= {(rule, scale, *place, name): numbers for place, numbers in found.items()}
            run.progress(f"seed {seed}, {rule}, blocks x {scale:g}: loss {loss:.2f}")
    return skills, effective, times


def _scaled(params: dict[str, Any], scale: float) -> dict[str, Any]:
    """The parameters with every matrix of the blocks times a factor."""

    def shrunk(leaf: Array) -> Array:
        return leaf * jnp.asarray(scale if leaf.ndim == 2 else 1, leaf.dtype)

    return params | {"blocks": jax.tree.map(shrunk, params["blocks"])}


def _trained(
    model: Decoder, corpus: EncodedCorpus, settings: Pretraining, params: dict[str, Any]
) -> tuple[Trajectory, float]:
    """The run, and its training loss at the end (mean of the last ten updates)."""
    run = pretrain(model, corpus, settings, params0=params, save=lambda p: {name: p[name] for name in SIDES})
    return run.trajectory, float(run.losses[-10:].mean())


def _predicted(settings: Pretraining, start: Tables, statistics: list[NextToken]) -> dict[str, Trajectory]:
    """Every theory and control, at the saves of the training and on its clock."""
    corpus, shuffled = statistics
    if settings.optimizer == "sgd":
        ts = jnp.asarray(np.asarray(settings.save_steps) * settings.learning_rate, jnp.float32)
        fields = {"pair flow": (next_token.bigram, corpus), "rung 0": (next_token.rung0, corpus)}
        fields["shuffled corpus"] = (next_token.bigram, shuffled)
        predicted = {name: _integrated(field, start, ts, sig) for name, (field, sig) in fields.items()}
    else:
        signs = {"sign flow": corpus, "shuffled corpus": shuffled}
        predicted = {name: _stepped(next_token.sign_flow, settings, start, sig) for name, sig in signs.items()}
    return predicted | {"permuted tokens": predicted[THEORIES[settings.optimizer][-1]]}


@jax.jit(static_argnums=0)
def _integrated(field: Any, start: Tables, ts: Array, sig: NextToken) -> Trajectory:
    return integrate(field, start, ts, sig, **SOLVER)


def _stepped(field: Any, settings: Pretraining, start: Tables, sig: NextToken) -> Trajectory:
    """One Euler step of the learning rate per step of AdamW: the clock is the sum of its learning rates."""
    state, saved = start, []
    for step in range(settings.steps + 1):
        if step in settings.save_steps:
            saved.append(state)
        state = _euler(field, state, sig, settings.learning_rate)
    ts = jnp.asarray(settings.save_steps, jnp.float32)
    return Trajectory(ts, jax.tree.map(lambda *x: jnp.stack(x), *saved), clock="step")


@jax.jit(static_argnums=0)
def _euler(field: Any, state: Tables, sig: NextToken, rate: Float[ArrayLike, ""]) -> Tables:
    step = jnp.asarray(rate, jnp.float32)
    return jax.tree.map(lambda leaf, d: leaf + step * d, state, field(0.0, state, sig))


def _skills(
    trained: Trajectory, predicted: Trajectory, start: Tables, sig: NextToken, tokens: Int[np.ndarray, " token"],
    name: str,
) -> dict[tuple[str, str], FlowSkill]:  # fmt: skip
    """By table and observable: skill at every save after the start, and when it falls below 0.9 and 0.5."""
    order = _within_bands(len(tokens)) if name == "permuted tokens" else np.arange(len(tokens))
    found = {}
    for side in SIDES:
        for observed in OBSERVED:
            truth = _grams(trained, start, sig, tokens, side, observed)
            numbers = _compared(truth, _grams(predicted, start, sig, tokens[order], side, observed))
            found[side, observed] = jax.tree.map(lambda x: np.asarray(x, np.float64), numbers)
    return found


def _within_bands(tokens: int) -> Int[np.ndarray, " token"]:
    """A permutation of tokens, most frequent first, among ranks of one doubling: 4 tokens, 4, 8, 16 and so on.

    A row moves like its token's frequency; permuted freely, lengths alone would set theory and control apart.
    """
    edges = [4 << doubling for doubling in range(tokens.bit_length()) if 4 << doubling < tokens]
    rng = np.random.default_rng(0)
    return np.concatenate([rng.permutation(band) for band in np.split(np.arange(tokens), edges)])


@jax.jit
def _compared(truth: Trajectory, guess: Trajectory) -> FlowSkill:
    high, low = (compare(truth, guess, threshold=threshold) for threshold in (0.9, 0.5))
    return FlowSkill(high.skill[1:], high.horizon, low.horizon)


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


def tables(result: EarlyFlow) -> tuple[Table, ...]:
    """Skills at three saves; how long each prediction holds; how many tokens the Gram of the motion is about."""
    rows, horizons, saves = [], [], result.times["sgd"]
    for (rule, scale, side, observed, prediction), x in result.skills.items():
        name = (f"{scale:g}", side, OBSERVED[observed], prediction)
        rows.append((rule, *name, *(interval(x.skill[:, i], ".2f") for i in (0, x.skill.shape[1] // 2, -1))))
        if rule == "sgd" and observed != "unshared":
            horizons.append((*name, *(times(when, saves[0], saves[-1]) for when in (x.horizon, x.half))))
    effective = [
        (rule, f"{scale:g}", side, f"{result.setting.frequent}", *(interval(number[:, i], ".0f") for i in (0, -1)))
        for (rule, scale, side), number in result.effective.items()
    ]
    return (
        Table(f"skill of the Gram of the motion, {result.tokens:,} tokens", HEADER, rows),
        Table("until when each prediction holds", HORIZONS, horizons, name="horizon"),
        Table("tokens that the Gram of the motion is about", EFFECTIVE, effective, name="tokens"),
    )


VARIED = "init and data seeds"
DERIVED = "ours: theory/next_token.md (N4) to (N9), no number"


def evidence(result: EarlyFlow) -> tuple[Evidence, ...]:
    """Without blocks the code is tested: what is left to fail are steps and minibatches. With them, the theory."""
    places = [(name, side) for name in THEORIES["sgd"] for side in SIDES]
    scale = max(result.setting.scales[0])
    first = np.min([result.skill(scale, side, name)[:, 0] for name, side in places], axis=0)
    return (
        *(row for side in SIDES for row in _self_test(result, side)),
        *(_usual(result, *place) for place in places),
        expected("early-flow-usual-start", "first steps, usual start: smallest skill of both theories, every seed",
                 first, least=0.0, no_null="0 is that nothing moves", ceiling="1", varied=VARIED),
    )  # fmt: skip


def _self_test(result: EarlyFlow, side: str) -> tuple[Evidence, Evidence]:
    """The skill of the pair flow in the middle of the window, without blocks, and its distance from both controls."""
    scale = min(result.setting.scales[0])
    skills = (result.skill(scale, side, name) for name in ("pair flow", *CONTROLS))
    ours, shuffled, permuted = (skill[:, skill.shape[1] // 2] for skill in skills)
    return (
        Evidence(f"pair-flow-{side}",
                 f"self-test (no blocks): pair counts foretell the {side}ding's motion (skill, every seed)", ours,
                 Bound("machinery", least=result.setting.least, source="model and theory are one"), DERIVED,
                 null=shuffled, ceiling="1", varied=VARIED, every=True),
        control(f"pair-flow-{side}-controls",
                "self-test: skill less twice a shuffled corpus's, or less permuted tokens' (smaller, every seed)",
                np.minimum(ours - 2 * shuffled, ours - permuted), no_null="it is over the controls", varied=VARIED),
    )  # fmt: skip


def _usual(result: EarlyFlow, prediction: str, side: str) -> Evidence:
    """Skill ahead of a shuffled corpus's counts at the first save of the usual start; the null: permuted tokens."""
    scale = max(result.setting.scales[0])
    ours, shuffled, permuted = (result.skill(scale, side, name)[:, 0] for name in (prediction, *CONTROLS))
    name, flow = {"pair flow": ("pair-flow", "pair flow"), "rung 0": ("rung0", "linear flow")}[prediction]
    return expected(
        f"{name}-usual-start{'' if side == 'embed' else '-unembed'}",
        f"first steps, usual start: {flow} over a shuffled corpus's (skill, {side}ding, every seed)",
        ours - shuffled, least=0.0, published=DERIVED, null=permuted - shuffled,
        ceiling="1 - skill of the shuffled", varied=VARIED,
    )  # fmt: skip


def caption(result: EarlyFlow) -> str:
    """What was computed with what."""
    setting, model, sgd, adamw = result.setting, result.setting.model, result.setting.sgd, result.setting.adamw
    return (
        f"{setting.subset}, {result.tokens:,} tokens, byte-level BPE of {setting.vocab}; decoder of width "
        f"{model.width}, {model.layers} layers; the {setting.frequent} most frequent tokens; gradient descent at "
        f"{sgd.learning_rate:g}, {sgd.batch} x {sgd.length} tokens a step; AdamW at {adamw.learning_rate:g}, "
        f"{adamw.batch} x {adamw.length};\nband: smallest to largest seed (init and data order); solid: pair flow, "
        "dotted: rung 0; dashed black: the best control at the usual start; below -1: cut off."
    )


STUDY = Study(
    name="early_flow",
    source="jaxembed",
    settings=SETTINGS,
    seeds={"tiny": 2, "published": 2},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=(*(f"pair-flow-{side}{end}" for side in SIDES for end in ("", "-controls")),
         *(f"{name}-usual-start{end}" for name in ("pair-flow", "rung0") for end in ("", "-unembed")),
         "early-flow-usual-start"),
    takes={"tiny": "30 s", "published": "15 min on one core"},
    smaller={"tiny": "300,000 characters, a decoder of width 64"},
    needs=("text", DATA),
    tiny_needs=("text",),
    ledger="tiny",
)  # fmt: skip
