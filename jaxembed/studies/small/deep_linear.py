"""Deep linear networks on hierarchical data: modes in closed form, and levels learned one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...models import DeepLinear, SquaredLoss
from ...tasks import Tree
from ...theory import deep_linear as theory
from ...train import train
from ..check import Check, Size, need_float64
from ..measured import silent

SHALLOW, DEEP, DEEPER, TRAINED, FLAT = "1 layer", "2 layers", "3 layers", "2 layers, descent", "2 layers, no tree"
NETWORKS = (SHALLOW, DEEP, DEEPER, TRAINED, FLAT)
STARTS = ("matrix closed form", "sigmoids, QR start", "sigmoids, one mean start")
PUBLISHED = {"eigenvalues": (3.5078, 1.4106, 0.8208, 0.36), "multiplicities": (1, 1, 2, 4)}


@dataclass(frozen=True)
class Setting:
    """Tree, networks and times, in float64; flow time."""

    branching: tuple[int, ...] = (2, 2, 2)
    flip: float = 0.1
    width: int = 16
    depths: tuple[int, ...] = (2, 3, 5)
    aligned_start: float = 1e-3
    init_scales: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    init_scale: float = 1e-3
    deeper_scale: float = 5e-3
    networks: tuple[str, ...] = NETWORKS
    lr: float = 0.02
    saves: int = 300
    rtol: float = 1e-11


SETTINGS = {
    "tiny": Setting(depths=(2,), init_scales=(1e-3,), networks=(SHALLOW, DEEP, FLAT), saves=150, rtol=1e-10),
    "normal": Setting(),
}


@dataclass(frozen=True)
class Levels:
    """How a network learns the levels of the tree.

    Attributes:
        times: `[time]`, flow time.
        shares: `[seed, time, layer]`, learned share of every level's part of the map, root first.
    """

    times: Float[np.ndarray, " time"]
    shares: Float[np.ndarray, "seed time layer"]

    def crossing(self, share: float) -> Float[np.ndarray, "seed layer"]:
        """First time at which a level is learned to this share; NaN where it never is."""
        return np.array([[first_rise(self.times, level, share) for level in run.T] for run in self.shares])

    @property
    def overlap(self) -> Float[np.ndarray, " seed"]:
        """Largest share of the next level already learned when a level is half learned; 1/2 is no stages."""
        half = self.crossing(0.5)
        pairs = range(self.shares.shape[2] - 1)
        ahead = [[np.interp(half[i, k], self.times, run[:, k + 1]) for k in pairs] for i, run in enumerate(self.shares)]
        return np.max(ahead, axis=1)

    @property
    def spacing(self) -> Float[np.ndarray, " seed"]:
        """Half-time of the finest level over that of the root."""
        half = self.crossing(0.5)
        return half[:, -1] / half[:, 0]

    @property
    def ordered(self) -> Float[np.ndarray, " seed"]:
        """Smallest ratio of a level's half-time to that of the level above; above 1 the order is strict."""
        half = self.crossing(0.5)
        return np.min(half[:, 1:] / half[:, :-1], axis=1)

    @property
    def rise(self) -> Float[np.ndarray, " seed"]:
        """Time from 10 % to 90 % over the half-time, the largest of the levels."""
        return np.max((self.crossing(0.9) - self.crossing(0.1)) / self.crossing(0.5), axis=1)


@dataclass(frozen=True)
class DeepLinearStudy:
    """What the study found.

    Attributes:
        size: of the study.
        setting: sizes and times.
        mode_errors: by depth, `[seed]`: largest error of a mode's strength over the rise, aligned start.
        crosstalk: by depth, `[seed]`: largest entry of the learned map between modes.
        control_errors: by depth, `[seed]`: `mode_errors` of the formula for one layer less.
        eigenvalues: `[layer]` of the tree in closed form.
        multiplicities: `[layer]`.
        spectrum_error: against the eigenvalues of the explicit covariance.
        levels: by network (of `NETWORKS`, those of the setting).
        sigmoids: `[time, layer]`, learned shares by the closed form from the first seed's start, two layers.
        starts: by theory (`STARTS`) and init scale, `[seed]`: largest error of the map over its final size.
    """

    size: Size
    setting: Setting
    mode_errors: dict[int, Float[np.ndarray, " seed"]]
    crosstalk: dict[int, Float[np.ndarray, " seed"]]
    control_errors: dict[int, Float[np.ndarray, " seed"]]
    eigenvalues: Float[np.ndarray, " layer"]
    multiplicities: Int[np.ndarray, " layer"]
    spectrum_error: float
    levels: dict[str, Levels]
    sigmoids: Float[np.ndarray, "time layer"]
    starts: dict[str, dict[float, Float[np.ndarray, " seed"]]]

    def rows(self) -> list[tuple[str, ...]]:
        """A line for each network, in the order of `HEADER`."""
        return [
            (name, *(_text(x) for x in (run.ordered, run.spacing, run.overlap, run.rise)))
            for name, run in self.levels.items()
        ]

    def start_rows(self) -> list[tuple[str, ...]]:
        """A line for each theory of a random start, by init scale."""
        return [(name, *(_text(found) for found in row.values())) for name, row in self.starts.items()]

    def checks(self) -> list[Check]:
        """The figures that are asked."""
        checks = [self._mode_check(depth) for depth in self.mode_errors]
        values, counts = np.round(self.eigenvalues, 4).tolist(), self.multiplicities.tolist()
        found, good = f"{values} x {counts}", (tuple(values), tuple(counts)) == tuple(PUBLISHED.values())
        checks.append(
            Check("tree spectrum", f"{PUBLISHED['eigenvalues']} x {PUBLISHED['multiplicities']}", found, good)
        )
        error = self.spectrum_error
        checks.append(Check("tree spectrum: formula against covariance", "<= 1e-12", f"{error:.1e}", error <= 1e-12))
        checks += [self._order_check(name) for name in self.levels if name not in (SHALLOW, FLAT)]
        checks += [self._overlap_check(name, name in (SHALLOW, FLAT)) for name in self.levels]
        return [*checks, self._start_check()]

    def _mode_check(self, depth: int) -> Check:
        error, cross = self.mode_errors[depth], self.crosstalk[depth]
        got = f"{_text(error)}; between modes {_text(cross)}; one layer less {_text(self.control_errors[depth])}"
        good = max(error.max(), cross.max()) <= 1e-8 < 1e-2 < self.control_errors[depth].min()
        return Check(f"{depth} layers: mode error", "<= 1e-8, and another depth's formula fails", got, bool(good))

    def _order_check(self, name: str) -> Check:
        got = self.levels[name].ordered
        asked = "every level after the one above it, every seed"
        return Check(
            f"{name}: half-time over that of the level above, smallest", asked, _text(got), bool(got.min() > 1)
        )

    def _overlap_check(self, name: str, flat: bool) -> Check:
        got = self.levels[name].overlap
        asked = ">= 0.4 (no stages)" if flat else "<= 0.2 (stages)"
        good = np.all(got >= 0.4) if flat else np.all(got <= 0.2)
        return Check(f"{name}: next level learned at a level's half-time", asked, _text(got), bool(good))

    def _start_check(self) -> Check:
        row = self.starts[STARTS[0]]
        worst = max(float(found.max()) / scale for scale, found in row.items())
        got = f"{worst:.2g} at most over {len(row)} scales"
        return Check("random start: error of the closed form over init scale", "<= 10", got, worst <= 10)


HEADER = ("network", "smallest half-time ratio of levels", "spacing", "overlap", "10-90 % rise / half-time")


def deep_linear(size: Size, seeds: int = 5, progress: Callable[[str], None] = silent) -> DeepLinearStudy:
    """Integrate and train deep linear networks on a tree's features, and compare with theory.

    Args:
        size: "tiny" (fewer depths, scales and saves) or "normal".
        seeds: initialisations (for aligned starts: rotations of the hidden layers).
        progress: called with a line of text after each part.

    Raises:
        ValueError: where JAX computes in float32, which cannot show errors of 1e-8.

    Source: saxe2014exact, saxe2019mathematical.
    """
    need_float64("deep_linear")
    setting = SETTINGS[size]
    tree = Tree(setting.branching, setting.flip)
    values, counts = theory.tree_spectrum(setting.branching, setting.flip)
    explicit = np.linalg.eigvalsh(tree.covariance())[::-1]
    aligned = {depth: _aligned(setting, tree, depth, seeds) for depth in setting.depths}
    progress(f"modes of aligned starts: {len(aligned)} depths")
    levels = {name: _levels(setting, name, seeds) for name in setting.networks}
    progress(f"levels of {len(levels)} networks: done")
    starts = {name: {} for name in STARTS}
    for scale in setting.init_scales:
        for name, found in _start_errors(setting, tree, scale, seeds).items():
            starts[name][scale] = found
        progress(f"random starts of scale {scale:g}: done")
    errors, crosstalk, controls = ({depth: part[i] for depth, part in aligned.items()} for i in range(3))
    return DeepLinearStudy(
        size,
        setting,
        mode_errors=errors,
        crosstalk=crosstalk,
        control_errors=controls,
        eigenvalues=values,
        multiplicities=counts,
        spectrum_error=float(np.abs(np.repeat(values, counts) - explicit).max()),
        levels=levels,
        sigmoids=_sigmoids(setting, tree, levels[DEEP].times),
        starts=starts,
    )


def correlations(tree: Tree) -> theory.Correlations:
    """The statistics of a tree's items and features."""
    inputs, outputs = (jnp.asarray(part, float) for part in (tree.inputs(), tree.outputs()))
    return theory.Correlations(outputs.T @ inputs / tree.items, inputs.T @ inputs / tree.items)


def loss_of(tree: Tree) -> SquaredLoss:
    """Half the mean squared error of a tree's features."""
    return SquaredLoss(jnp.asarray(tree.inputs(), float), jnp.asarray(tree.outputs(), float))


def _aligned(setting: Setting, tree: Tree, depth: int, seeds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors of the modes, largest entries between modes, and errors of the formula for another depth."""
    sig, variance, start = correlations(tree), 1 / tree.items, setting.aligned_start
    output, s, across = theory.modes(sig)
    ts = jnp.linspace(0.0, 1.2 * theory.half_time(start, s[-1], depth, variance), setting.saves)

    def run(key: Array, ts: Array, sig: theory.Correlations) -> tuple[Array, Array, Array]:
        shape = (setting.width, len(s))
        turns = [across, *(jnp.linalg.qr(jax.random.normal(k, shape, float))[0] for k in keys_of(key, depth)), output]
        state = {f"w{i + 1}": start ** (1 / depth) * turns[i + 1] @ turns[i].T for i in range(depth)}
        flow = integrate(theory.field, state, ts, sig, rtol=setting.rtol, atol=setting.rtol * start)
        found = jax.vmap(lambda y: output.T @ theory.product(y) @ across)(flow.ys)
        right, wrong = (theory.strength(ts[:, None], start, s[None, :], n, variance) for n in (depth, depth - 1))
        own = jnp.diagonal(found, axis1=1, axis2=2)
        between = jnp.abs(found * (1 - jnp.eye(len(s)))[None])
        return jnp.max(jnp.abs(own - right)), jnp.max(between), jnp.max(jnp.abs(own - wrong))

    found = ensemble(run, jax.random.split(jax.random.key(depth), seeds), ts, sig, mapping="loop")
    return tuple(np.asarray(part) for part in found)  # type: ignore[return-value]


def keys_of(key: Array, depth: int) -> list[Array]:
    """A key for each hidden layer."""
    return list(jax.random.split(key, depth - 1))


def _levels(setting: Setting, name: str, seeds: int) -> Levels:
    """The learned shares of a network of `NETWORKS`, from small random weights."""
    tree = Tree(setting.branching, 0.5 if name == FLAT else setting.flip)
    depth = {SHALLOW: 1, DEEPER: 3}.get(name, 2)
    scale = setting.deeper_scale if depth == 3 else setting.init_scale
    model, loss = DeepLinear(setting.width, depth, scale), loss_of(tree)
    slowest = theory.modes(correlations(tree)).strength[-1]
    begin = scale**depth * setting.width ** (depth / 2 - 0.5)
    end = (5.0 if depth == 1 else 2.0) * float(theory.half_time(begin, slowest, depth, 1 / tree.items))
    gap = max(1, round(end / setting.lr / setting.saves))
    ts = jnp.asarray(np.arange(setting.saves + 1) * gap * setting.lr)
    parts = jnp.asarray(tree.level_projections())

    def run(key: Array, ts: Array, loss: SquaredLoss, parts: Array) -> Array:
        state, save = model.init(key, tree.items, tree.items), lambda y: shares(theory.product(y), loss.outputs, parts)
        if name == TRAINED:
            optimizer = optax.sgd(setting.lr)
            schedule: dict[str, Any] = {"steps_per_save": gap, "num_saves": setting.saves}
            return train(loss, state, optimizer, dt=setting.lr, save=save, **schedule).ys
        return integrate(gradient_flow(loss), state, ts, save=save, rtol=1e-7).ys

    found = ensemble(run, jax.random.split(jax.random.key(0), seeds), ts, loss, parts)
    return Levels(np.asarray(ts), np.asarray(found))


def shares(product: Array, outputs: Array, parts: Array) -> Array:
    """Overlap of each level's part of the map with the data's, over the size of the latter: `[layer]`."""
    wanted = jnp.einsum("ti,lij->ltj", outputs.T, parts)
    return jnp.einsum("ti,lti->l", product, wanted) / jnp.einsum("lti,lti->l", wanted, wanted)


def _start_errors(setting: Setting, tree: Tree, scale: float, seeds: int) -> dict[str, Float[np.ndarray, " seed"]]:
    """Largest error over times of each theory's map from random starts of two layers, over its final size."""
    sig, variance, model = correlations(tree), 1 / tree.items, DeepLinear(setting.width, 2, scale)
    output, s, across = theory.modes(sig)
    mean = scale**2 * setting.width / 2
    ts = jnp.linspace(0.0, 2.0 * theory.half_time(min(mean, 0.1), s[-1], 2, variance), 100)

    def run(key: Array, ts: Array, sig: theory.Correlations) -> dict[str, Array]:
        state = model.init(key, tree.items, tree.items)
        flow = integrate(theory.field, state, ts, sig, save=theory.product, rtol=1e-10, atol=1e-10 * scale).ys
        maps = {STARTS[0]: jax.vmap(lambda t: theory.product(theory.closed_form(t, state, sig)))(ts)}
        for name, begin in ((STARTS[1], theory.mode_starts(state, sig)), (STARTS[2], jnp.full(len(s), mean))):
            u = theory.strength(ts[:, None], begin[None, :], s[None, :], 2, variance)
            maps[name] = jnp.einsum("ik,tk,jk->tij", output, u, across)
        final = jnp.linalg.norm(s) / variance
        return {name: jnp.max(jnp.linalg.norm(found - flow, axis=(1, 2))) / final for name, found in maps.items()}

    found = ensemble(run, jax.random.split(jax.random.key(1), seeds), ts, sig, mapping="loop")
    return {name: np.asarray(values) for name, values in found.items()}


def _sigmoids(setting: Setting, tree: Tree, times: np.ndarray) -> Float[np.ndarray, "time layer"]:
    """Learned shares by the closed form, from the start of the first seed of the two-layer network."""
    sig, seed = correlations(tree), jax.random.split(jax.random.key(0), 1)[0]
    state = DeepLinear(setting.width, 2, setting.init_scale).init(seed, tree.items, tree.items)
    outputs, parts = jnp.asarray(tree.outputs()), jnp.asarray(tree.level_projections())
    return np.asarray(
        jax.vmap(lambda t: shares(theory.product(theory.closed_form(t, state, sig)), outputs, parts))(times)
    )


def first_rise(times: np.ndarray, series: np.ndarray, share: float) -> float:
    """First time at which a curve reaches `share`, linear between saves; NaN where it never does."""
    above = np.flatnonzero(series >= share)
    if not len(above):
        return float("nan")
    now = above[0]
    if now == 0:
        return float(times[0])
    part = (share - series[now - 1]) / (series[now] - series[now - 1])
    return float(times[now - 1] + part * (times[now] - times[now - 1]))


def _text(values: Float[np.ndarray, " seed"]) -> str:
    if np.isnan(values).any():
        return "undefined"
    low, high = f"{values.min():.2g}", f"{values.max():.2g}"
    return low if low == high else f"{low} .. {high} over {len(values)} seeds"
