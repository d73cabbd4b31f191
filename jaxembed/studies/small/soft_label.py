"""Next-token prediction with free contexts: concepts learned in steps, and contexts of one support collapsing.

The squared error of the centred support, whose flow is solved in closed form, beside cross-entropy with weight decay,
of which the theory does not speak; exact flows in float64. A seed is an initialisation; the aligned start has none.

Source: zhao2024implicit, zhao2025geometry.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...models import FreeContexts, LogitLoss, SoftLabelLoss
from ...observables.crossing import crossing
from ...tables import Table, extremes
from ...tasks import Contexts, Tree
from ...theory import soft_label as theory
from ..evidence import Evidence, Size
from ..rows import control, described, direction, exact, expected
from ..study import Run, Study

SQUARED, ENTROPY = ("squared error", "cross-entropy")
LOSSES = (SQUARED, ENTROPY)
STARTS = ("closed form", "closed form, other support")
BEYOND = (100.0, 1000.0)
"""Deltas of the closed form alone: from such a start zero entries of the state are rounding noise to the integrator."""


@dataclass(frozen=True)
class SoftLabelSetting:
    """Contexts, model and times, in float64."""

    branching: tuple[int, ...] = (2, 2, 2)
    repeats: int = 3
    concentration: float = 0.5
    width: int = 24
    deltas: tuple[float, ...] = (2.0, 4.0, 6.0, 8.0, 10.0)
    init_scales: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    init_scale: float = 1e-3
    decays: tuple[float, ...] = (1e-1, 1e-2, 1e-3)
    window: float = 400.0
    saves: int = 200
    rtol: float = 1e-12

    @property
    def times(self) -> Array:
        """Saves of the runs from random starts."""
        return jnp.concatenate([jnp.zeros(1), jnp.geomspace(0.5, self.window, self.saves)])


SETTINGS: dict[Size, SoftLabelSetting] = {
    "tiny": SoftLabelSetting(
        repeats=2, width=16, deltas=(2.0, 10.0), init_scales=(1e-3,), saves=100, decays=(1e-1, 1e-3)
    ),
    "quick": SoftLabelSetting(),
}


@dataclass(frozen=True)
class SoftLabel:
    """Errors of the closed forms, and how concepts and contexts are learned.

    Attributes:
        setting: sizes and times.
        strengths: `[mode]`, sigma of the concepts of each level, the broadest first.
        share_error: largest error of a_k against the integrated flow from the aligned start.
        steps: by delta, `[mode]`: half-times of the integrated flow over delta, times sigma; 1 in the limit.
        random: by theory (`STARTS`) and init scale, `[seed]`: largest error of the logits over their final size.
        levels: by loss (`LOSSES`), `[seed, time, mode]`: logits along each level's concepts, over sigma.
        same: by loss, `[seed, time]`: mean cosine of contexts that share a support of several tokens.
        other: by loss, `[seed, time]`: mean cosine of contexts of other supports.
        collapse: by weight decay, `[seed]`: `same` at the end of cross-entropy; the last decay's is the run above.
        label_cosine: mean cosine of the centred probabilities of contexts that share a support: what labels alone say.
    """

    setting: SoftLabelSetting
    strengths: Float[np.ndarray, " mode"]
    share_error: float
    steps: dict[float, Float[np.ndarray, " mode"]]
    random: dict[str, dict[float, Float[np.ndarray, " seed"]]]
    levels: dict[str, Float[np.ndarray, "seed time mode"]]
    same: dict[str, Float[np.ndarray, "seed time"]]
    other: dict[str, Float[np.ndarray, "seed time"]]
    collapse: dict[float, Float[np.ndarray, " seed"]]
    label_cosine: float

    @property
    def times(self) -> Float[np.ndarray, " time"]:
        return np.asarray(self.setting.times)

    def order(self, loss: str) -> Float[np.ndarray, " seed"]:
        """Smallest ratio of a level's half-time to that of the broader one; above 1 broad concepts come first."""
        half = np.asarray(crossing(self.times, np.swapaxes(self.levels[loss], 1, 2), 0.5))
        return np.min(half[:, 1:] / half[:, :-1], axis=1)

    def way(self, cosine: Float[np.ndarray, " seed"]) -> Float[np.ndarray, " seed"]:
        """How far a cosine has gone from that of labels alone (0) to one direction (1)."""
        return (cosine - self.label_cosine) / (1 - self.label_cosine)


def run(setting: SoftLabelSetting, run: Run) -> SoftLabel:
    """Integrate squared error and cross-entropy over free contexts, and compare with theory."""
    task = Contexts(setting.branching, setting.repeats, setting.concentration)
    sig = theory.centred_support(task.support())
    # S~ has no constant part: the root's mode is gone, and the others come level by level.
    first = np.cumprod((1, *setting.branching))[:-1] - 1
    share_error, steps = _aligned(setting, sig, first)
    run.progress("aligned start: done")
    errors = {}
    for scale in setting.init_scales:
        errors[scale] = _random_errors(setting, sig, scale, run.seeds)
        run.progress(f"random starts of scale {scale:g}: done")
    soft = [SoftLabelLoss(jnp.asarray(task.probabilities()), jnp.asarray(decay)) for decay in setting.decays]
    squared, *decayed = (_learned(setting, task, sig, loss, run.seeds) for loss in (LogitLoss(sig), *soft))
    run.progress("both losses: done")
    levels, same, other = ({SQUARED: a, ENTROPY: b} for a, b in zip(squared, decayed[-1], strict=True))
    centred = jnp.asarray((task.probabilities() - 1 / len(task.support())).T)
    return SoftLabel(
        setting,
        np.asarray(theory.modes(sig).strength)[first],
        share_error,
        steps,
        random={name: {scale: row[name] for scale, row in errors.items()} for name in STARTS},
        levels=levels,
        same=same,
        other=other,
        collapse={decay: cosines[:, -1] for decay, (_, cosines, _) in zip(setting.decays, decayed, strict=True)},
        label_cosine=float(_cosines(centred, *_pairs(task))[0]),
    )


def tables(result: SoftLabel) -> tuple[Table, ...]:
    """sigma x step time of every level by delta, measured and in closed form; the order of levels by loss."""
    header = ("delta", *(f"level {i + 1}: sigma = {s:.3f}" for i, s in enumerate(result.strengths)))
    rows = []
    for delta in (*result.setting.deltas, *BEYOND):
        texts = [f"({x:.6f})" for x in np.asarray(theory.step_time(result.strengths, delta)) * result.strengths]
        if delta in result.steps:
            texts = [f"{x:.6f} {text}" for x, text in zip(result.steps[delta], texts, strict=True)]
        rows.append((f"{delta:g}", *texts))
    # Of cross-entropy no theory speaks: its order is a number beside the other, and no claim.
    orders = [(loss, extremes(result.order(loss))) for loss in LOSSES]
    return (
        Table("sigma x step time / delta, by the flow (closed form); 1 in the limit", header, rows),
        Table("above 1 broad levels come first", ("loss", "smallest half-time ratio"), orders, name="order"),
    )


NO_NUMBER = "theory, no number"
PARTS = ("closed-form", "steps", "steps-fall", "broad-first", "random-start", "other-support", "collapse",
         "collapse-decay", "other-contexts")  # fmt: skip


def evidence(result: SoftLabel) -> tuple[Evidence, ...]:
    """Closed forms against the flow, the steps, and the collapse of contexts; every seed has to agree."""
    far = np.array([np.abs(found - 1).max() for found in result.steps.values()])
    right, wrong = result.random.values()
    relative = np.max([errors / scale for scale, errors in right.items()], axis=0)
    other, collapsed = result.other[ENTROPY][:, -1], np.array(list(result.collapse.values()))
    more: dict[str, Any] = {"published": NO_NUMBER, "source": "zhao2024implicit"}
    return (
        exact("soft-label-closed-form", "squared error on the centred support: a_k in closed form (error)",
              result.share_error, 1e-10),
        expected("soft-label-steps",
                 "step times go to 1 / sigma as the start vanishes (relative distance; null: large start)", far[-1],
                 most=0.1, published="1 / sigma", null=far[:1], ceiling="0"),
        direction("soft-label-steps-fall", "how much nearer step times are to 1 / sigma from the next smaller start",
                  np.min(far[:-1] - far[1:])),
        direction("soft-label-broad-first", "squared error: broad concepts come first (smallest half-time ratio)",
                  result.order(SQUARED), 1.0, published=NO_NUMBER),
        exact("soft-label-random-start", "random start: error of the closed form over init scale, largest", relative,
              10.0, published=NO_NUMBER),
        control("soft-label-other-support", "random start: smallest error of the closed form of other contexts",
                np.min(list(wrong.values()), axis=0), 0.3),
        expected("soft-label-collapse",
                 "cross-entropy: contexts of one support collapse (share of the way from labels alone)",
                 result.way(collapsed[-1]), least=0.5, null=result.way(other), ceiling="1", **more),
        direction("soft-label-collapse-decay", "cross-entropy: smallest rise of that cosine to the next smaller decay",
                  np.min(np.diff(collapsed, axis=0), axis=0), **more),
        expected("soft-label-other-contexts", "cross-entropy: cosine of contexts of other supports", other, most=0.5,
                 null=collapsed[-1], ceiling="-1", **more),
    )  # fmt: skip


STUDY = Study(
    name="soft_label",
    source="zhao2025geometry",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=described(
        "contexts on the nodes of tree {branching}, {repeats} each, Dirichlet {concentration:g}, width {width}, "
        "float64; panels 2 to 4: init scale {init_scale:g}, smallest weight decay of cross-entropy,\nbands: smallest "
        "to largest init seed."
    ),
    ids=tuple(f"soft-label-{part}" for part in PARTS),
    takes={"tiny": "30 s", "quick": "1 min"},
    smaller={"tiny": "28 contexts of a tree over 8 tokens", "quick": "42 contexts of a tree over 8 tokens, no text"},
    needs=("float64",),
    ledger="quick",
)


def _aligned(
    setting: SoftLabelSetting, sig: Array, first: np.ndarray
) -> tuple[float, dict[float, Float[np.ndarray, " mode"]]]:
    """The largest error of a_k, and half-times of one concept of each level from the integrated flow."""
    output, sigma, contexts = theory.modes(sig)
    kept = sigma > 1e-9
    output, sigma, contexts = output[:, kept], sigma[kept], contexts[:, kept]

    def learned(state: dict[str, Array]) -> Array:
        return jnp.diagonal(output.T @ _logits(state) @ contexts) / sigma

    def run(delta: Array, grid: Array, sig: Array) -> tuple[Array, Array]:
        start = theory.aligned_start(sig, delta, max(setting.width, min(sig.shape)))
        atol = setting.rtol * jnp.exp(-delta)
        flow = integrate(theory.field, start, delta * grid, sig, save=learned, rtol=setting.rtol, atol=atol).ys
        return flow, theory.share(delta * grid[:, None], sigma[None, :], delta)

    grid = jnp.linspace(0.0, 2.0 / sigma[-1], 4 * setting.saves)
    deltas = jnp.asarray(setting.deltas)
    flows, shares = (np.asarray(part) for part in ensemble(run, deltas, grid, sig, mapping="loop"))
    steps = {}
    for delta, flow in zip(setting.deltas, flows, strict=True):
        steps[delta] = np.array([_half(np.asarray(grid), flow[:, k]) * float(sigma[k]) for k in first])
    return float(np.abs(flows - shares).max()), steps


def _half(times: np.ndarray, series: np.ndarray) -> float:
    """When a sigmoid is at one half: linear in its log-odds between saves."""
    now = int(np.argmax(series >= 0.5))
    low, high = (np.log(x / (1 - x)) for x in series[now - 1 : now + 1])
    return float(times[now - 1] - low / (high - low) * (times[now] - times[now - 1]))


def _random_errors(
    setting: SoftLabelSetting, sig: Array, scale: float, seeds: int
) -> dict[str, Float[np.ndarray, " seed"]]:
    sigma = theory.modes(sig).strength
    slowest = float(jnp.min(jnp.where(sigma > 1e-9, sigma, jnp.inf)))
    ts = jnp.linspace(0.0, -2.0 * np.log(scale) / slowest + 5.0, 60)
    model = FreeContexts(setting.width, scale)
    # The control: the same sets of followers, given to other contexts.
    other = sig[:, np.random.default_rng(0).permutation(sig.shape[1])]

    def run(key: Array, ts: Array, sig: Array, other: Array) -> dict[str, Array]:
        start = model.init(key, *sig.shape)
        truth = integrate(theory.field, start, ts, sig, save=_logits, rtol=1e-10, atol=1e-10 * scale).ys
        found = {}
        for name, known in zip(STARTS, (sig, other), strict=True):
            closed = jax.vmap(lambda t, known=known: _logits(theory.closed_form(t, start, known)))(ts)
            found[name] = jnp.max(jnp.linalg.norm(closed - truth, axis=(1, 2))) / jnp.linalg.norm(sig)
        return found

    found = ensemble(run, jax.random.split(jax.random.key(1), seeds), ts, sig, other, mapping="loop")
    return {name: np.asarray(values) for name, values in found.items()}


def _learned(
    setting: SoftLabelSetting, task: Contexts, sig: Array, loss: LogitLoss | SoftLabelLoss, seeds: int
) -> tuple[np.ndarray, ...]:
    """Logits along the levels, cosines within and between supports, of runs from random starts."""
    model, pairs = FreeContexts(setting.width, setting.init_scale), _pairs(task)
    # The part of S~ that lies along each level's concepts.
    parts = jnp.asarray(Tree(task.branching).level_projections()[1:]) @ sig

    def run(key: Array, ts: Array, loss: LogitLoss | SoftLabelLoss, parts: Array) -> tuple[Array, Array, Array]:
        def save(state: dict[str, Array]) -> tuple[Array, Array, Array]:
            along = jnp.einsum("ti,lti->l", _logits(state), parts)
            return (along / jnp.einsum("lti,lti->l", parts, parts), *_cosines(state["embed"], *pairs))

        return integrate(gradient_flow(loss), model.init(key, *sig.shape), ts, save=save, rtol=1e-7).ys

    keys = jax.random.split(jax.random.key(0), seeds)
    return tuple(np.asarray(part) for part in ensemble(run, keys, setting.times, loss, parts, mapping="vmap"))


def _logits(state: dict[str, Array]) -> Float[Array, "token sequence"]:
    return state["unembed"] @ state["embed"].T


def _pairs(task: Contexts) -> tuple[Bool[np.ndarray, "sequence sequence"], Bool[np.ndarray, "sequence sequence"]]:
    """Which pairs of contexts share a support of several tokens, and which do not share one."""
    same = task.groups[:, None] == task.groups[None, :]
    # Contexts of one follower have equal probabilities: that they fall together says nothing.
    several = task.support().sum(axis=0) > 1
    return same & several[:, None] & ~np.eye(len(same), dtype=bool), ~same


def _cosines(rows: Array, same: np.ndarray, other: np.ndarray) -> tuple[Array, Array]:
    """Mean cosine over the pairs of each mask."""
    unit = rows / jnp.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    return jnp.mean(cosines[same]), jnp.mean(cosines[other])
