"""Next-token prediction with free contexts: concepts learned in steps, and contexts of one support collapsing."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...models import FreeContexts, LogitLoss, SoftLabelLoss
from ...tasks import Contexts
from ...theory import soft_label as theory
from ..check import Check, Size, need_float64
from ..measured import silent
from .deep_linear import first_rise

LOSSES = ("squared error", "cross-entropy")
STARTS = ("closed form", "closed form, other support")
BEYOND = (100.0, 1000.0)
"""Deltas of the closed form alone: from such a start zero entries of the state are rounding noise to the integrator."""


@dataclass(frozen=True)
class Setting:
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


SETTINGS = {
    "tiny": Setting(repeats=2, width=16, deltas=(2.0, 10.0), init_scales=(1e-3,), saves=100, decays=(1e-1, 1e-3)),
    "normal": Setting(),
}


@dataclass(frozen=True)
class SoftLabelStudy:
    """What the study found.

    Attributes:
        size: of the study.
        setting: sizes and times.
        strengths: `[layer]`, sigma of the concepts of each level, the broadest first.
        share_error: largest error of a_k against the integrated flow from the aligned start.
        steps: by delta, `[layer]`: half-times of the integrated flow over delta, times sigma; 1 in the limit.
        random: by theory (`STARTS`) and init scale, `[seed]`: largest error of the logits over their final size.
        times: `[time]`, flow time of the runs from random starts.
        levels: by loss (`LOSSES`), `[seed, time, layer]`: logits along each level's concepts, over sigma.
        same: by loss, `[seed, time]`: mean cosine of contexts that share a support of several tokens.
        other: by loss, `[seed, time]`: mean cosine of contexts of other supports.
        collapse: by weight decay, `[seed]`: `same` at the end of cross-entropy; the last decay's is the run above.
        label_cosine: mean cosine of the centred probabilities of contexts that share a support: what labels alone say.
    """

    size: Size
    setting: Setting
    strengths: Float[np.ndarray, " layer"]
    share_error: float
    steps: dict[float, Float[np.ndarray, " layer"]]
    random: dict[str, dict[float, Float[np.ndarray, " seed"]]]
    times: Float[np.ndarray, " time"]
    levels: dict[str, Float[np.ndarray, "seed time layer"]]
    same: dict[str, Float[np.ndarray, "seed time"]]
    other: dict[str, Float[np.ndarray, "seed time"]]
    collapse: dict[float, Float[np.ndarray, " seed"]]
    label_cosine: float

    def half_times(self, loss: str) -> Float[np.ndarray, "seed layer"]:
        """First time at which the logits along a level reach half of sigma; NaN where they never do."""
        return np.array([[first_rise(self.times, level, 0.5) for level in run.T] for run in self.levels[loss]])

    def rows(self) -> list[tuple[str, ...]]:
        """sigma x step time of every level by delta, measured and in closed form."""
        rows = []
        for delta, found in self.steps.items():
            exact = np.asarray(theory.step_time(self.strengths, delta)) * self.strengths
            rows.append((f"{delta:g}", *(f"{a:.6f} ({b:.6f})" for a, b in zip(found, exact, strict=True))))
        for delta in BEYOND:
            exact = np.asarray(theory.step_time(self.strengths, delta)) * self.strengths
            rows.append((f"{delta:g}", *(f"({b:.6f})" for b in exact)))
        return rows

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        error = self.share_error
        checks = [Check("aligned start: a_k against the flow", "<= 1e-10", f"{error:.1e}", error <= 1e-10)]
        far = [float(np.abs(found - 1).max()) for found in self.steps.values()]
        falling = all(b < a for a, b in pairwise(far))
        got = ", ".join(f"{delta:g}: {x:.4f}" for delta, x in zip(self.steps, far, strict=True))
        checks.append(Check("|sigma x step time - 1| by delta", "falls towards 0", got, falling and far[-1] < 0.1))
        checks += [self._order_check(loss, asked) for loss, asked in zip(LOSSES, (True, False), strict=True)]
        right, wrong = self.random.values()
        worst = max(float(found.max()) / scale for scale, found in right.items())
        control = min(float(found.min()) for found in wrong.values())
        got = f"{worst:.2g}; other support: error {control:.2g} at least"
        good = worst <= 10 and control > 0.3
        checks.append(Check("random start: error of the closed form over init scale", "<= 10", got, good))
        return [*checks, self._collapse_check()]

    def order(self, loss: str) -> Float[np.ndarray, " seed"]:
        """Smallest ratio of a level's half-time to that of the broader one; above 1 broad concepts come first."""
        half = self.half_times(loss)
        return np.min(half[:, 1:] / half[:, :-1], axis=1)

    def _order_check(self, loss: str, asked: bool) -> Check:
        """Asked of the squared error; a number beside it for cross-entropy, of which the theory does not speak."""
        got, name = self.order(loss), f"{loss}: half-time over that of the broader level"
        good = bool(np.min(got) > 1) if asked else not np.isnan(got).any()
        return Check(name, "> 1" if asked else "a number", _text(got), good)

    def closed_gap(self, decay: float) -> Float[np.ndarray, " seed"]:
        """How far contexts of one support have gone from their labels' cosine (0) to one direction (1)."""
        return (self.collapse[decay] - self.label_cosine) / (1 - self.label_cosine)

    def _collapse_check(self) -> Check:
        found = [self.collapse[decay] for decay in self.setting.decays]
        rising, null = all(np.all(b > a) for a, b in pairwise(found)), self.other[LOSSES[1]][:, -1]
        parts = "; ".join(f"decay {decay:g}: {_text(values)}" for decay, values in self.collapse.items())
        got = f"{parts}; labels alone {self.label_cosine:.2f}; other supports {_text(null)}"
        asked = "rises as the decay falls, at last most of the way from labels alone to 1; other supports below 0.5"
        good = rising and self.closed_gap(self.setting.decays[-1]).min() > 0.5 and null.max() < 0.5
        return Check("cross-entropy: cosine of contexts of one support", asked, got, bool(good))


def soft_label(size: Size, seeds: int = 5, progress: Callable[[str], None] = silent) -> SoftLabelStudy:
    """Integrate squared error and cross-entropy over free contexts, and compare with theory.

    Args:
        size: "tiny" (fewer contexts and scales) or "normal".
        seeds: initialisations behind everything but the aligned start.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32, which cannot show errors of 1e-10.

    Source: zhao2024implicit, zhao2025geometry.
    """
    need_float64("soft_label")
    setting = SETTINGS[size]
    task = Contexts(setting.branching, setting.repeats, setting.concentration)
    sig = theory.centred_support(task.support())
    sigma = np.asarray(theory.modes(sig).strength)
    counts = np.cumprod((1, *setting.branching))
    first = counts[:-1] - 1  # S~ has no constant part: the root's mode is gone, and the others come level by level
    share_error, steps = _aligned(setting, sig, first)
    progress("aligned start: done")
    random = {name: {} for name in STARTS}
    for scale in setting.init_scales:
        for name, found in _random_errors(setting, sig, scale, seeds).items():
            random[name][scale] = found
        progress(f"random starts of scale {scale:g}: done")
    runs = _runs(setting, task, sig, seeds)
    progress("both losses: done")
    centred = task.probabilities() - 1 / len(task.support())
    last = {loss: runs[loss][-1] for loss in LOSSES}
    return SoftLabelStudy(
        size,
        setting,
        strengths=sigma[first],
        share_error=share_error,
        steps=steps,
        random=random,
        times=np.asarray(_times(setting)),
        levels={loss: run[0] for loss, run in last.items()},
        same={loss: run[1] for loss, run in last.items()},
        other={loss: run[2] for loss, run in last.items()},
        collapse={decay: run[1][:, -1] for decay, run in zip(setting.decays, runs[LOSSES[1]], strict=True)},
        label_cosine=float(_cosines(jnp.asarray(centred.T), *_pairs(task))[0]),
    )


def _aligned(setting: Setting, sig: Array, first: np.ndarray) -> tuple[float, dict[float, Float[np.ndarray, " layer"]]]:
    """The largest error of a_k, and half-times of one concept of each level from the integrated flow."""
    output, sigma, contexts = theory.modes(sig)
    kept = sigma > 1e-9
    output, sigma, contexts = output[:, kept], sigma[kept], contexts[:, kept]

    def learned(state: dict[str, Array]) -> Array:
        logits = state["unembed"] @ state["embed"].T
        return jnp.diagonal(output.T @ logits @ contexts) / sigma

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


def _random_errors(setting: Setting, sig: Array, scale: float, seeds: int) -> dict[str, Float[np.ndarray, " seed"]]:
    sigma = theory.modes(sig).strength
    slowest = float(jnp.min(jnp.where(sigma > 1e-9, sigma, jnp.inf)))
    ts = jnp.linspace(0.0, -2.0 * np.log(scale) / slowest + 5.0, 60)
    model = FreeContexts(setting.width, scale)
    # The control: the same sets of followers, given to other contexts.
    other = sig[:, np.random.default_rng(0).permutation(sig.shape[1])]

    def logits(state: dict[str, Array]) -> Array:
        return state["unembed"] @ state["embed"].T

    def run(key: Array, ts: Array, sig: Array, other: Array) -> dict[str, Array]:
        start = model.init(key, *sig.shape)
        truth = integrate(theory.field, start, ts, sig, save=logits, rtol=1e-10, atol=1e-10 * scale).ys
        found = {}
        for name, known in zip(STARTS, (sig, other), strict=True):
            closed = jax.vmap(lambda t, known=known: logits(theory.closed_form(t, start, known)))(ts)
            found[name] = jnp.max(jnp.linalg.norm(closed - truth, axis=(1, 2))) / jnp.linalg.norm(sig)
        return found

    found = ensemble(run, jax.random.split(jax.random.key(1), seeds), ts, sig, other, mapping="loop")
    return {name: np.asarray(values) for name, values in found.items()}


def _runs(setting: Setting, task: Contexts, sig: Array, seeds: int) -> dict[str, list[tuple[np.ndarray, ...]]]:
    """By loss, and for cross-entropy by decay: logits along the levels, cosines within and between supports."""
    model, pairs, parts = FreeContexts(setting.width, setting.init_scale), _pairs(task), _level_parts(task, sig)

    def run(key: Array, ts: Array, loss: LogitLoss | SoftLabelLoss, parts: Array) -> tuple[Array, Array, Array]:
        def save(state: dict[str, Array]) -> tuple[Array, Array, Array]:
            along = jnp.einsum("ti,lti->l", state["unembed"] @ state["embed"].T, parts)
            return (along / jnp.einsum("lti,lti->l", parts, parts), *_cosines(state["embed"], *pairs))

        return integrate(gradient_flow(loss), model.init(key, *sig.shape), ts, save=save, rtol=1e-7).ys

    def found(loss: LogitLoss | SoftLabelLoss) -> tuple[np.ndarray, ...]:
        keys = jax.random.split(jax.random.key(0), seeds)
        return tuple(np.asarray(part) for part in ensemble(run, keys, _times(setting), loss, parts, mapping="vmap"))

    soft = [SoftLabelLoss(jnp.asarray(task.probabilities()), jnp.asarray(decay)) for decay in setting.decays]
    return {LOSSES[0]: [found(LogitLoss(sig))], LOSSES[1]: [found(loss) for loss in soft]}


def _times(setting: Setting) -> Array:
    return jnp.concatenate([jnp.zeros(1), jnp.geomspace(0.5, setting.window, setting.saves)])


def _level_parts(task: Contexts, sig: Array) -> Array:
    """The part of S~ that lies along each level's concepts: `[layer, token, sequence]`."""
    from ...tasks import Tree

    return jnp.asarray(Tree(task.branching).level_projections()[1:]) @ sig


def _pairs(task: Contexts) -> tuple[np.ndarray, np.ndarray]:
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


def _text(values: Float[np.ndarray, " seed"]) -> str:
    if np.isnan(values).any():
        return "undefined"
    low, high = f"{values.min():.3g}", f"{values.max():.3g}"
    return low if low == high else f"{low} .. {high} over {len(values)} seeds"
