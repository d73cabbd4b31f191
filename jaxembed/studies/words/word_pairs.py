"""Quadratic word embeddings: sigmoids from four starts and the exact solution against the integrated flow."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...base import Dataset
from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...models import PairLoss, WordPairs, pair_loss
from ...statistics import Signatures, count, signatures
from ...tasks import RandomPairs, shuffled
from ...theory import word_pairs
from ..check import Check, Size, need_float64
from ..measured import silent

NULLS = ("other pairs", "nothing moves")
CURVES = (*word_pairs.STARTS, "exact solution", *NULLS)
HEADER = ("start of the sigmoids", "init scale", "median", "smallest .. largest", "share of seeds <= 1e-4")
QR = "QR diagonal"


@dataclass(frozen=True)
class Setting:
    """Pairs, width and times; every seed draws its own pairs and its own start."""

    words: int = 200
    width: int = 8
    strength: float = 0.1
    decay: float = 0.7
    init_scales: tuple[float, ...] = (1e-2, 1e-5, 1e-10)
    asked_scale: float = 1e-5
    saves: int = 200
    window: float = 1.5
    decays: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)
    rtol: float = 1e-9


SETTINGS = {
    "tiny": Setting(words=40, width=4, strength=0.2, decay=0.6, saves=60, decays=(0.5, 0.9)),
    "normal": Setting(),
}


@dataclass(frozen=True)
class WordPairsResult:
    """Errors of the singular values (s_1, .., s_d) of W: root mean square over times and modes, over sqrt(lam_1).

    Attributes:
        size: of the study.
        setting: sizes and tolerances.
        identity: `[seed]`, difference of the quadratic loss and its form as a matrix factorisation at a random W.
        errors: by init scale and curve (`CURVES`), `[seed]`, against the integrated flow.
        by_decay: by decay of the spectrum, `[seed]`: error from the QR diagonal at the asked scale, against the exact
            solution.
        end: by init scale, `[seed]`: relative distance of W W^T from the rank-d truncation, at three half-times of the
            slowest kept mode.
        half_rise: by init scale, `[seed, width]`: half-rise times of the flow over those of the sigmoids.
        times: `[time]`, and
        flow: `[time, width]`, powers s_k^2 of the flow of the first seed at the asked scale, and
        predicted: by start, `[time, width]`, those of the sigmoids.
        strengths: `[width]`, eigenvalues of that seed's target.
    """

    size: Size
    setting: Setting
    identity: Float[np.ndarray, " seed"]
    errors: dict[float, dict[str, Float[np.ndarray, " seed"]]]
    by_decay: dict[float, Float[np.ndarray, " seed"]]
    end: dict[float, Float[np.ndarray, " seed"]]
    half_rise: dict[float, Float[np.ndarray, "seed width"]]
    times: Float[np.ndarray, " time"]
    flow: Float[np.ndarray, "time width"]
    predicted: dict[str, Float[np.ndarray, "time width"]]
    strengths: Float[np.ndarray, " width"]

    @property
    def seeds(self) -> int:
        return len(self.identity)

    @property
    def asked(self) -> dict[str, Float[np.ndarray, " seed"]]:
        """Errors at the scale the figure is asked at."""
        return self.errors[self.setting.asked_scale]

    def rows(self) -> list[tuple[str, ...]]:
        """Every curve at every scale, in the order of `HEADER`."""
        return [
            (curve, f"{scale:g}", f"{np.median(values):.1e}", _ends(values), f"{np.mean(values <= 1e-4):.2f}")
            for scale, found in self.errors.items()
            for curve in CURVES
            for values in (found[curve],)
        ]

    def checks(self) -> list[Check]:
        """The figures asked; a median over seeds where a start may be unlucky, with the spread beside it."""
        setting, asked = self.setting, self.asked
        identity, exact = self.identity.max(), asked["exact solution"].max()
        end, rise = self.end[setting.asked_scale], self.half_rise[setting.asked_scale]
        others = min(np.median(asked[name]) for name in word_pairs.STARTS if name != QR)
        nulls = min(asked[name].min() for name in NULLS)
        best = np.median(asked[QR])
        off = float(np.median(np.abs(rise - 1)))
        at = f"init scale {setting.asked_scale:g}"
        return [
            Check("loss identity", "<= 1e-10", f"{identity:.1e} over {self.seeds} seeds", bool(identity <= 1e-10)),
            Check(f"sigmoids from the QR diagonal, {at}", "median over seeds <= 1e-4",
                  f"{best:.1e} ({_ends(asked[QR])}; {np.mean(asked[QR] <= 1e-4):.0%} of {self.seeds} seeds <= 1e-4)",
                  bool(best <= 1e-4)),
            Check("the other three starts", "at least 10 times the QR diagonal's", f"{others:.1e}",
                  bool(others >= 10 * best)),
            Check("exact solution against the flow", "<= 1e-6", f"{exact:.1e}", bool(exact <= 1e-6)),
            Check(f"W W^T against rank-d truncation, {at}", "<= 1e-6", _ends(end), bool(end.max() <= 1e-6)),
            Check(f"half-rise times, flow / theory, {at}", "median |ratio - 1| <= 0.006",
                  f"{off:.1e} (ratios {_ends(rise)})", off <= 0.006),
            Check("controls: other pairs, nothing moves", "at least 0.1", f"{nulls:.2g}", bool(nulls >= 0.1)),
        ]  # fmt: skip


def word_pairs_study(size: Size, seeds: int = 10, progress: Callable[[str], None] = silent) -> WordPairsResult:
    """Integrate the flow of the quadratic pair loss and compare it with every closed form from the same start.

    Args:
        size: "tiny" (40 words, seconds) or "normal" (200 words, width 8).
        seeds: draws of pairs and start, together.
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32, which cannot show errors of 1e-10.

    Source: karkada2025closed.
    """
    need_float64("word_pairs")
    setting = SETTINGS[size]
    data = [_task(setting, seed).dataset() for seed in range(seeds)]
    statistics = _stacked([_moments(part) for part in data])
    others = _stacked([_moments(shuffled(part, 0)) for part in data])
    losses = _stacked([pair_loss(part) for part in data])
    identity = np.asarray(ensemble(_identity(setting), (_keys(seeds), losses, statistics)))
    errors, ends, rises, curves = {}, {}, {}, {}
    compared = _compared(setting)
    for scale in setting.init_scales:
        starts = jax.vmap(lambda key, scale=scale: WordPairs(setting.width, scale).init(key, setting.words))(
            _keys(seeds)
        )
        members = (starts, losses, statistics, others)
        found = ensemble(compared, members, jnp.asarray(scale), mapping="loop")
        found = jax.tree.map(np.asarray, found)
        errors[scale], ends[scale], rises[scale] = found["errors"], found["end"], found["half_rise"]
        curves[scale] = jax.tree.map(lambda leaf: leaf[0], found["curves"])
        progress(f"init scale {scale:g}: QR diagonal {np.median(errors[scale][QR]):.1e} (median of {seeds} seeds)")
    by_decay = {decay: _by_decay(setting, decay, seeds) for decay in setting.decays}
    shown = curves[setting.asked_scale]
    return WordPairsResult(
        size, setting, identity, errors, by_decay, ends, rises, shown["times"], shown["flow"], shown["predicted"],
        shown["strengths"],
    )  # fmt: skip


def _task(setting: Setting, seed: int, decay: float | None = None) -> RandomPairs:
    decay = setting.decay if decay is None else decay
    return RandomPairs(setting.words, setting.width, setting.strength, decay, seed)


def _keys(seeds: int) -> Array:
    return jax.random.split(jax.random.key(0), seeds)


def _moments(data: Dataset) -> dict[str, Array]:
    """What the theory reads, without the class, which refuses stacks of seeds."""
    sig = signatures(count(data, order=1))
    return {"token": sig.token, "target": sig.target, "m1": sig.m1}


def _signatures(moments: dict[str, Array]) -> Signatures:
    return Signatures(**moments, k=None, cells=None, samples=None)


def _stacked(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _identity(setting: Setting) -> Callable[[Any], Array]:
    """Largest difference between the two forms of the loss at a W with entries of order one over sqrt(width)."""

    def run(member: tuple[Array, PairLoss, dict[str, Array]]) -> Array:
        key, loss, moments = member
        sig = _signatures(moments)
        params = WordPairs(setting.width, setting.width**-0.5).init(key, setting.words)
        wanted = word_pairs.target(sig)
        gram = params["embed"] @ params["embed"].T
        return jnp.abs(loss.sum(params) - (jnp.sum((gram - wanted) ** 2) - jnp.sum(wanted**2)) / 4)

    return run


def _spectrum(state: dict[str, Array]) -> Float[Array, " width"]:
    return jnp.linalg.svd(state["embed"], compute_uv=False)


def _window(setting: Setting, strengths: Array, scale: Array | float) -> Float[Array, " time"]:
    """From 0 to `window` times the half-time of the slowest kept mode (of a start of power scale^2)."""
    slowest = jnp.log(strengths[-1] / scale**2) / strengths[-1]
    return jnp.linspace(0.0, 1.0, setting.saves) * setting.window * slowest


def _sigmoids(ts: Array, start: Array, strengths: Array) -> Float[Array, "time width"]:
    """Singular values of all modes on their own, sorted as singular values are."""
    powers = jax.vmap(lambda t: word_pairs.power(t, start, strengths))(ts)
    return jnp.sort(jnp.sqrt(powers), axis=1)[:, ::-1]


def _compared(setting: Setting) -> Callable[[Any, Array], dict[str, Any]]:
    """Flow and theories of one seed, from one start."""

    def run(member: Any, scale: Array) -> dict[str, Any]:
        start, loss, *moments = member
        sig, other = map(_signatures, moments)
        found = word_pairs.modes(word_pairs.target(sig), setting.width)
        ts = _window(setting, found.strengths, scale)
        end = 3 / setting.window * ts[-1:]
        flow = integrate(
            gradient_flow(loss), start, jnp.concatenate([ts, end]), save=lambda s: (_spectrum(s), _gap(s, sig)),
            solver="dopri8", rtol=setting.rtol, atol=setting.rtol * scale,
        ).ys  # fmt: skip
        truth, gaps = flow[0][:-1], flow[1]
        lone = {name: _sigmoids(ts, f(start["embed"], found), found.strengths) for name, f in word_pairs.STARTS.items()}
        wrong = word_pairs.modes(word_pairs.target(other), setting.width)
        curves = lone | {
            "exact solution": jax.lax.map(lambda t: _spectrum(word_pairs.exact(t, start, sig)), ts),
            "other pairs": _sigmoids(ts, word_pairs.qr_start(start["embed"], wrong), wrong.strengths),
            "nothing moves": jnp.broadcast_to(truth[:1], truth.shape),
        }
        errors = {name: jnp.sqrt(jnp.mean((x - truth) ** 2) / found.strengths[0]) for name, x in curves.items()}
        theory = jax.vmap(_half_rise, (None, 1, 0))(ts, lone[QR], found.strengths)
        ratio = jax.vmap(_half_rise, (None, 1, 0))(ts, truth, found.strengths) / theory
        shown = {"times": ts, "flow": truth**2, "predicted": {k: x**2 for k, x in lone.items()}}
        return {"errors": errors, "end": gaps[-1], "half_rise": ratio, "curves": shown | {"strengths": found.strengths}}

    return run


def _gap(state: dict[str, Array], sig: Signatures) -> Float[Array, ""]:
    wanted = word_pairs.final(sig, state["embed"].shape[1])
    return jnp.linalg.norm(state["embed"] @ state["embed"].T - wanted) / jnp.linalg.norm(wanted)


def _half_rise(ts: Array, height: Array, strength: Array) -> Float[Array, ""]:
    """First time s^2 passes half the eigenvalue, on a straight line of ln s^2 / (lam - s^2) between saves."""
    odds = jnp.log(height**2 / jnp.maximum(strength - height**2, 1e-12 * strength))
    after = jnp.maximum(jnp.argmax(odds > 0), 1)
    share = -odds[after - 1] / (odds[after] - odds[after - 1])
    return ts[after - 1] + share * (ts[after] - ts[after - 1])


@partial(jax.jit, static_argnums=(0, 1))
def _qr_error(setting: Setting, scale: float, key: Array, sig: Signatures) -> Array:
    start = WordPairs(setting.width, scale).init(key, setting.words)
    found = word_pairs.modes(word_pairs.target(sig), setting.width)
    ts = _window(setting, found.strengths, scale)[:: max(1, setting.saves // 50)]
    truth = jax.lax.map(lambda t: _spectrum(word_pairs.exact(t, start, sig)), ts)
    predicted = _sigmoids(ts, word_pairs.qr_start(start["embed"], found), found.strengths)
    return jnp.sqrt(jnp.mean((predicted - truth) ** 2) / found.strengths[0])


def _by_decay(setting: Setting, decay: float, seeds: int) -> Float[np.ndarray, " seed"]:
    """How the sigmoids fare as eigenvalues move together, at the asked scale."""
    parts = [signatures(count(_task(setting, seed, decay).dataset(), order=1)) for seed in range(seeds)]
    errors = [_qr_error(setting, setting.asked_scale, k, s) for k, s in zip(_keys(seeds), parts, strict=True)]
    return np.array(errors)


def _ends(values: np.ndarray) -> str:
    return f"{values.min():.2g} .. {values.max():.2g}"
