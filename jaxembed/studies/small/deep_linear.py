"""Deep linear networks on hierarchical data: modes in closed form, and levels learned one after the other.

Networks of one to five layers learn the features of a tree's leaves, by the exact flow in float64 and by gradient
descent. A seed is an initialisation; for the aligned start of the modes, a rotation of the hidden layers.

Source: saxe2014exact, saxe2019mathematical, fukumizu1998batch.
Modes are from the first, the tree is from the second, random starts are from the third.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...ensemble import ensemble
from ...flow import gradient_flow, integrate
from ...models import DeepLinear, SquaredLoss
from ...observables.crossing import crossing
from ...tables import Table, extremes
from ...tasks import Tree
from ...theory import deep_linear as theory
from ...train import train
from ..evidence import Bound, Evidence, Size
from ..rows import control, described, exact
from ..study import Run, Study

SHALLOW, DEEP, DEEPER, TRAINED, FLAT = "1 layer", "2 layers", "3 layers", "2 layers, descent", "2 layers, no tree"
STARTS = ("matrix closed form", "sigmoids, QR start", "sigmoids, one mean start")
EIGENVALUES, MULTIPLICITIES = (3.5078, 1.4106, 0.8208, 0.36), (1, 1, 2, 4)
"""Published, of three binary levels with flip 0.1."""


@dataclass(frozen=True)
class DeepLinearSetting:
    """Tree, networks and times, in float64; flow time."""

    branching: tuple[int, ...] = (2, 2, 2)
    flip: float = 0.1
    width: int = 16
    depths: tuple[int, ...] = (2, 3, 5)
    aligned_start: float = 1e-3
    init_scales: tuple[float, ...] = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
    init_scale: float = 1e-3
    deeper_scale: float = 5e-3
    networks: tuple[str, ...] = (SHALLOW, DEEP, DEEPER, TRAINED, FLAT)
    lr: float = 0.02
    saves: int = 300
    rtol: float = 1e-11

    @property
    def tree(self) -> Tree:
        return Tree(self.branching, self.flip)


SETTINGS: dict[Size, DeepLinearSetting] = {
    "tiny": DeepLinearSetting(depths=(2,), init_scales=(1e-3,), networks=(SHALLOW, DEEP, FLAT), saves=150, rtol=1e-10),
    "published": DeepLinearSetting(),
}


@dataclass(frozen=True)
class Levels:
    """How a network learns the levels of the tree.

    Attributes:
        times: `[time]`, flow time.
        shares: `[seed, time, mode]`, learned share of every level's part of the map, root first.
    """

    times: Float[np.ndarray, " time"]
    shares: Float[np.ndarray, "seed time mode"]

    def reaching(self, share: float) -> Float[np.ndarray, "seed mode"]:
        """First time at which a level is learned to this share; NaN where it never is."""
        return np.asarray(crossing(self.times, np.swapaxes(self.shares, 1, 2), share))

    def measures(self) -> dict[str, Float[np.ndarray, " seed"]]:
        """By name, `[seed]`.

        "ordered": smallest ratio of a level's half-time to that of the level above; above 1 the order is strict.
        "spacing": half-time of the finest level over that of the root. "overlap": largest share of the next level
        already learned when a level is half learned; 1/2 is no stages. "rise": time from 10 % to 90 % over the
        half-time, the largest of the levels.
        """
        half, pairs = self.reaching(0.5), range(self.shares.shape[2] - 1)
        ahead = [[np.interp(half[i, k], self.times, run[:, k + 1]) for k in pairs] for i, run in enumerate(self.shares)]
        return {
            "ordered": np.min(half[:, 1:] / half[:, :-1], axis=1),
            "spacing": half[:, -1] / half[:, 0],
            "overlap": np.max(ahead, axis=1),
            "rise": np.max((self.reaching(0.9) - self.reaching(0.1)) / half, axis=1),
        }


@dataclass(frozen=True)
class DeepLinearResult:
    """Errors of the closed forms, and how the levels are learned.

    Attributes:
        setting: sizes and times.
        modes: by depth, from an aligned start, `[seed]`: "error" of a mode's strength, largest over the rise;
            "crosstalk", the largest entry of the learned map between modes; "one layer less", the error of the formula
            for another depth.
        levels: by network.
        sigmoids: `[time, mode]`, learned shares by the closed form from the first seed's start, two layers.
        starts: by theory (`STARTS`) and init scale, `[seed]`: largest error of the map over its final size.
    """

    setting: DeepLinearSetting
    modes: dict[int, dict[str, Float[np.ndarray, " seed"]]]
    levels: dict[str, Levels]
    sigmoids: Float[np.ndarray, "time mode"]
    starts: dict[str, dict[float, Float[np.ndarray, " seed"]]]


def run(setting: DeepLinearSetting, run: Run) -> DeepLinearResult:
    """Integrate and train deep linear networks on a tree's features, and compare with theory."""
    modes = {depth: _modes(setting, depth, run.seeds) for depth in setting.depths}
    run.progress(f"modes of aligned starts: {len(modes)} depths")
    levels = {name: _levels(setting, name, run.seeds) for name in setting.networks}
    run.progress(f"levels of {len(levels)} networks: done")
    errors = {}
    for scale in setting.init_scales:
        errors[scale] = _start_errors(setting, scale, run.seeds)
        run.progress(f"random starts of scale {scale:g}: done")
    starts = {name: {scale: row[name] for scale, row in errors.items()} for name in STARTS}
    return DeepLinearResult(setting, modes, levels, _sigmoids(setting, levels[DEEP].times), starts)


def tables(result: DeepLinearResult) -> tuple[Table, ...]:
    """A line for each network, and one for each theory of a random start; smallest to largest seed."""
    header = ("network", "smallest half-time ratio of levels", "spacing", "overlap", "10-90 % rise / half-time")
    rows = [(name, *(extremes(x, ".2g") for x in found.measures().values())) for name, found in result.levels.items()]
    starts = ("random start, error of the map", *(f"init {scale:g}" for scale in result.setting.init_scales))
    errors = [(name, *(extremes(x, ".2g") for x in row.values())) for name, row in result.starts.items()]
    title = "theories of a random start of two layers"
    return Table("levels of a tree, random start", header, rows), Table(title, starts, errors, name="starts")


TREE, RANDOM, NO_NUMBER = "saxe2019mathematical", "fukumizu1998batch", "theory, no number"
DEPTHS = {2: ("two", "one layer's"), 3: ("three", "two layers'"), 5: ("five", "four layers'")}
IN_ORDER = Bound("paper", least=1.0, source="broad levels first", strict=True)
STAGES = Bound("expectation", most=0.2, source="expected at init scale 1e-3")
AT_ONCE = Bound("expectation", least=0.4, source="half of the next level is no stages")
LEVELS = (
    *((f"tree-levels-in-{kind}{end}", f"{words}: {claim}", network, quantity, bound, FLAT)
      for kind, quantity, bound, claim in (
          ("order", "ordered", IN_ORDER, "levels are learned from broad to fine (smallest half-time ratio)"),
          ("stages", "overlap", STAGES, "a level is learned before the next begins (overlap; null: no tree)"),
      )
      for network, end, words in (
          (DEEP, "", "two layers"), (DEEPER, "-3", "three layers"), (TRAINED, "-descent", "two layers by descent")
      )),
    ("shallow-no-stages", "a shallow network learns all levels at once (overlap; null: two layers)",
     SHALLOW, "overlap", AT_ONCE, DEEP),
    ("no-tree-no-stages", "without a tree two layers learn all at once (overlap; null: with it)",
     FLAT, "overlap", AT_ONCE, DEEP),
)  # fmt: skip
"""Id, claim, network, quantity, bound, and the network that is the null."""


def evidence(result: DeepLinearResult) -> tuple[Evidence, ...]:
    """Closed forms against the flow, the published spectrum, and the order of the levels; every seed has to agree."""
    rows = []
    for depth, found in result.modes.items():
        claim = "{} layers: modes follow the closed form (error; null: {} formula)".format(*DEPTHS[depth])
        rows.append(exact(f"deep-linear-modes-{depth}", claim, found["error"], 1e-8, null=found["one layer less"]))
    crosstalk, other = (np.array([x[key] for x in result.modes.values()]) for key in ("crosstalk", "one layer less"))
    for name, claim, network, quantity, bound, null in LEVELS:
        if network in result.levels:
            values, below = (result.levels[key].measures()[quantity] for key in (network, null))
            rows.append(Evidence(name, claim, values, bound, NO_NUMBER, below, every=True, source=TREE))
    right, _, wrong = result.starts.values()
    relative = np.max([errors / scale for scale, errors in right.items()], axis=0)
    return (
        *rows,
        exact("deep-linear-off-diagonal", "aligned modes never mix (largest entry between modes)",
              crosstalk.max(axis=0), 1e-8),
        control("deep-linear-depth", "the formula of one layer less fails (smallest error)", other.min(axis=0), 1e-2),
        *_spectrum(result.setting),
        exact("deep-linear-random-start",
              "two layers, init 1e-3: closed form of a random start (error; null: one sigmoid)", right[1e-3], 1e-3,
              published=NO_NUMBER, null=wrong[1e-3], source=RANDOM),
        exact("deep-linear-random-scales", "random start: error of the closed form over init scale, largest", relative,
              10.0, published=NO_NUMBER, source=RANDOM),
    )  # fmt: skip


def _spectrum(setting: DeepLinearSetting) -> tuple[Evidence, Evidence]:
    values, counts = theory.tree_spectrum(setting.branching, setting.flip)
    gap = np.abs([*(np.round(values, 4) - EIGENVALUES), *(counts - np.array(MULTIPLICITIES))]).max()
    covariance = np.repeat(values, counts) - np.linalg.eigvalsh(setting.tree.covariance())[::-1]
    return (
        Evidence("tree-spectrum", "tree of 3 binary levels, flip 0.1: eigenvalues and multiplicities (distance)",
                 np.array([gap]), Bound("paper", most=1e-9, source="four decimals"),
                 "3.5078, 1.4106, 0.8208, 0.36 x 1, 1, 2, 4", no_null="no training", ceiling="0", source=TREE),
        exact("tree-covariance", "the tree's formula is the spectrum of its covariance (error)",
              np.abs(covariance).max(), 1e-12, source=TREE),
    )  # fmt: skip


STUDY = Study(
    name="deep_linear",
    source="saxe2014exact",
    settings=SETTINGS,
    seeds={"tiny": 2, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=described(
        "tree {branching}, flip {flip:g}, features of the population, width {width}, init scale {init_scale:g}, exact "
        "flow in float64;\nbands: smallest to largest init seed."
    ),
    ids=(
        *(f"deep-linear-{part}" for part in ("modes-2", "modes-3", "modes-5", "off-diagonal", "depth")),
        *(row[0] for row in LEVELS),
        *("tree-spectrum", "tree-covariance", "deep-linear-random-start", "deep-linear-random-scales"),
    ),
    takes={"tiny": "30 s", "published": "2 min"},
    smaller={"tiny": "two layers only, one init scale for five"},
    needs=("float64",),
    ledger="published",
    beyond_tiny=("deep-linear-modes-3", "deep-linear-modes-5", "tree-levels-in-order-3", "tree-levels-in-order-descent",
                 "tree-levels-in-stages-3", "tree-levels-in-stages-descent"),
)  # fmt: skip


def _data(tree: Tree) -> tuple[SquaredLoss, theory.Correlations]:
    """Half the mean squared error of a tree's features, and the statistics of its items and features."""
    inputs, outputs = (jnp.asarray(part, float) for part in (tree.inputs(), tree.outputs()))
    sig = theory.Correlations(outputs.T @ inputs / tree.items, inputs.T @ inputs / tree.items)
    return SquaredLoss(inputs, outputs), sig


def _modes(setting: DeepLinearSetting, depth: int, seeds: int) -> dict[str, Float[np.ndarray, " seed"]]:
    """Errors of the modes, largest entries between modes, and errors of the formula for another depth."""
    sig, variance, start = _data(setting.tree)[1], 1 / setting.tree.items, setting.aligned_start
    output, s, across = theory.modes(sig)
    ts = jnp.linspace(0.0, 1.2 * theory.half_time(start, s[-1], depth, variance), setting.saves)

    def run(key: Array, ts: Array, sig: theory.Correlations) -> dict[str, Array]:
        draws = [jax.random.normal(k, (setting.width, len(s)), float) for k in jax.random.split(key, depth - 1)]
        turns = [across, *(jnp.linalg.qr(draw)[0] for draw in draws), output]
        state = {f"w{i + 1}": start ** (1 / depth) * turns[i + 1] @ turns[i].T for i in range(depth)}
        flow = integrate(theory.field, state, ts, sig, rtol=setting.rtol, atol=setting.rtol * start)
        found = jax.vmap(lambda y: output.T @ theory.product(y) @ across)(flow.ys)
        right, wrong = (theory.strength(ts[:, None], start, s[None, :], n, variance) for n in (depth, depth - 1))
        own, between = jnp.diagonal(found, axis1=1, axis2=2), found * (1 - jnp.eye(len(s)))[None]
        parts = {"error": own - right, "crosstalk": between, "one layer less": own - wrong}
        return {name: jnp.max(jnp.abs(part)) for name, part in parts.items()}

    found = ensemble(run, jax.random.split(jax.random.key(depth), seeds), ts, sig, mapping="loop")
    return {name: np.asarray(values) for name, values in found.items()}


def _levels(setting: DeepLinearSetting, name: str, seeds: int) -> Levels:
    """The learned shares of a network, from small random weights."""
    tree = Tree(setting.branching, 0.5 if name == FLAT else setting.flip)
    depth = {SHALLOW: 1, DEEPER: 3}.get(name, 2)
    scale = setting.deeper_scale if depth == 3 else setting.init_scale
    model, (loss, sig) = DeepLinear(setting.width, depth, scale), _data(tree)
    slowest = theory.modes(sig).strength[-1]
    begin = scale**depth * setting.width ** (depth / 2 - 0.5)
    end = (5.0 if depth == 1 else 2.0) * float(theory.half_time(begin, slowest, depth, 1 / tree.items))
    gap = max(1, round(end / setting.lr / setting.saves))
    ts = jnp.asarray(np.arange(setting.saves + 1) * gap * setting.lr)
    parts = jnp.asarray(tree.level_projections())

    def run(key: Array, ts: Array, loss: SquaredLoss, parts: Array) -> Array:
        state, save = model.init(key, tree.items, tree.items), lambda y: _shares(theory.product(y), loss.outputs, parts)
        if name == TRAINED:
            optimizer = optax.sgd(setting.lr)
            schedule: dict[str, Any] = {"steps_per_save": gap, "num_saves": setting.saves}
            return train(loss, state, optimizer, dt=setting.lr, save=save, **schedule).ys
        return integrate(gradient_flow(loss), state, ts, save=save, rtol=1e-7).ys

    found = ensemble(run, jax.random.split(jax.random.key(0), seeds), ts, loss, parts)
    return Levels(np.asarray(ts), np.asarray(found))


def _shares(product: Array, outputs: Array, parts: Array) -> Array:
    """Overlap of each level's part of the map with the data's, over the size of the latter: `[mode]`."""
    wanted = jnp.einsum("ti,lij->ltj", outputs.T, parts)
    return jnp.einsum("ti,lti->l", product, wanted) / jnp.einsum("lti,lti->l", wanted, wanted)


def _start_errors(setting: DeepLinearSetting, scale: float, seeds: int) -> dict[str, Float[np.ndarray, " seed"]]:
    """Largest error over times of each theory's map from random starts of two layers, over its final size."""
    tree, model = setting.tree, DeepLinear(setting.width, 2, scale)
    sig, variance = _data(tree)[1], 1 / tree.items
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


def _sigmoids(setting: DeepLinearSetting, times: np.ndarray) -> Float[np.ndarray, "time mode"]:
    """Learned shares by the closed form, from the start of the first seed of the two-layer network."""
    (loss, sig), seed = _data(setting.tree), jax.random.split(jax.random.key(0), 1)[0]
    state = DeepLinear(setting.width, 2, setting.init_scale).init(seed, setting.tree.items, setting.tree.items)
    parts = jnp.asarray(setting.tree.level_projections())
    solved = jax.vmap(lambda t: _shares(theory.product(theory.closed_form(t, state, sig)), loss.outputs, parts))
    return np.asarray(solved(times))
