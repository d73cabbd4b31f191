"""Weight decay decides what becomes of noisy labels: modular addition with a tenth of the training labels redrawn."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float

from ...base import Dataset
from ...losses.population import decayed
from ...models import TwoPosition, activation
from ...statistics import position_signatures
from ...tables import Table, extremes
from ...tasks import BinaryTable
from ...theory import two_position
from ...train import single_precision, train
from ..evidence import Bound, Evidence, Size
from ..study import Run, Study

PARTS = ("clean", "noise", "test")
REGIMES = ("memorise", "fit all and generalise", "generalise and drop the noise", "collapse")
HEADER = ("weight decay", *PARTS, "regime")


@dataclass(frozen=True)
class WeightDecaySetting:
    """Sizes and optimiser: full-batch gradient descent with heavy-ball momentum, in float32.

    Attributes:
        size: number of symbols P.
        width: width D; weights start at D^(-1/2).
        decays: lambda.
        regimes: what must be among the outcomes, each with the decay at which its claims are judged, by growing decay.
        step: learning rate; with momentum m, one step is about step / (1 - m) of flow time.
        momentum: m; 0 is plain gradient descent.
        steps: number of steps.
        saves: how often accuracies are taken.
    """

    size: int = 59
    width: int = 512
    decays: tuple[float, ...] = (0.0, 1e-4, 5e-4, 1e-3, 2e-3)
    regimes: tuple[tuple[str, float], ...] = tuple(zip(REGIMES, (0.0, 1e-4, 1e-3, 2e-3), strict=True))
    step: float = 2.0
    momentum: float = 0.9
    steps: int = 4000
    saves: int = 80


_LARGE = (0.0, 1e-4, 5e-4, 1e-3)
SETTINGS: dict[Size, WeightDecaySetting] = {
    "tiny": WeightDecaySetting(13, 64, (0.0, 3e-2), (("memorise", 0.0), ("collapse", 3e-2)), steps=800, saves=8),
    "quick": WeightDecaySetting(),
    "published": WeightDecaySetting(113, 2000, _LARGE, tuple(zip(REGIMES, _LARGE, strict=True)), step=0.2, momentum=0.0,
                                    steps=1_000_000, saves=200),
}  # fmt: skip


@partial(register_dataclass, data_fields=["joint"], meta_fields=["activation"])
@dataclass(frozen=True)
class PairTableLoss:
    """Cross-entropy of the two-position model over a table of pairs, all of them at once, without lookups."""

    joint: Float[Array, "example target"]
    activation: str

    def __call__(self, params: dict[str, Array]) -> Float[Array, ""]:
        logits = self.logits(params)
        normaliser = jax.nn.logsumexp(logits, axis=1)
        return jnp.sum(jnp.sum(self.joint, axis=1) * normaliser) - jnp.sum(self.joint * logits)

    def logits(self, params: dict[str, Array]) -> Float[Array, "example target"]:
        """Of every pair a * P + b."""
        h = params["embed"][:, None, :] + params["second"][None, :, :]
        return activation(self.activation).apply(h.reshape(-1, h.shape[-1])) @ params["unembed"].T


@dataclass(frozen=True)
class WeightDecay:
    """Accuracies along training.

    Attributes:
        setting: sizes and optimiser.
        steps: `[time]`, when they were taken.
        accuracies: by lambda and part (`PARTS`), `[seed, time]`; a seed draws the split, the noise and the start.
        norms: by lambda, squared norm of all parameters, `[seed, time]`.
        lucky: `[seed]`, share of the redrawn labels that are right by chance: the noise accuracy of a perfect model.
        escape: `[seed]`, the rate c1 S1 at which a small state leaves the origin, which decay has to exceed to pull
            every small state back.
    """

    setting: WeightDecaySetting
    steps: Float[np.ndarray, " time"]
    accuracies: dict[float, dict[str, Float[np.ndarray, "seed time"]]]
    norms: dict[float, Float[np.ndarray, "seed time"]]
    lucky: Float[np.ndarray, " seed"]
    escape: Float[np.ndarray, " seed"]

    @property
    def chance(self) -> float:
        return 1 / self.setting.size

    def final(self, decay: float, part: str) -> Float[np.ndarray, " seed"]:
        return self.accuracies[decay][part][:, -1]

    def regimes(self, decay: float) -> tuple[str, ...]:
        """What became of each seed at the end."""
        left = self.norms[decay][:, -1] / self.norms[decay][:, 0]
        finals = (self.final(decay, part) for part in PARTS)
        return tuple(regime(*seed) for seed in zip(*finals, left, strict=True))

    def common(self, decay: float) -> str | None:
        """The regime of all seeds at a decay, or None where they differ."""
        names = set(self.regimes(decay))
        return names.pop() if len(names) == 1 else None


def regime(clean: float, noise: float, test: float, left: float) -> str:
    """The regime of final accuracies and the share `left` of the squared norm; "between" where they fit none."""
    if left < 0.01:
        return "collapse"
    if clean > 0.95 and noise > 0.95:
        return "memorise" if test < 0.1 else "fit all and generalise" if test > 0.5 else "between"
    return "generalise and drop the noise" if clean > 0.95 and noise < 0.5 and test > 0.5 else "between"


def run(setting: WeightDecaySetting, run: Run) -> WeightDecay:
    """Train at every decay from the same starts, and score clean, noisy and held-out pairs along the way.

    Seeds are draws of split, noise and start.

    Source: wang2026modular.
    """
    steps = np.unique(np.linspace(0, setting.steps, setting.saves + 1).astype(int))
    lines = {decay: [] for decay in setting.decays}
    tasks = [BinaryTable(setting.size, label_noise=0.1, train_share=0.8, seed=seed) for seed in range(run.seeds)]
    model = TwoPosition(setting.width)
    for seed, task in enumerate(tasks):
        start = single_precision(model.init(jax.random.key(seed), task.size, task.length))
        tables = {"train": task.dataset(), "clean": task.clean_dataset(), "noise": task.noisy_dataset()}
        tables = {name: _table(data) for name, data in (tables | {"test": task.held_out_dataset()}).items()}
        for decay in setting.decays:
            line = _line(setting, steps, start, PairTableLoss(tables["train"], model.activation), tables, decay)
            lines[decay].append(line)
            ends = ", ".join(f"{part} {line[part][-1]:.3f}" for part in PARTS)
            run.progress(f"seed {seed}, weight decay {decay:g}: {ends}")
    stacked = {decay: {name: np.stack([line[name] for line in of]) for name in of[0]} for decay, of in lines.items()}
    norms = {decay: curves.pop("norm") for decay, curves in stacked.items()}
    rates = [two_position.growth_rate(position_signatures(task.dataset()), TwoPosition().taylor) for task in tasks]
    return WeightDecay(
        setting, steps.astype(float), stacked, norms, np.array([_lucky(task) for task in tasks]), np.array(rates)
    )


def tables(result: WeightDecay) -> tuple[Table, ...]:
    """Final accuracies of every decay."""
    rows = [
        (f"{decay:g}", *(extremes(result.final(decay, part), ".3f") for part in PARTS),
         result.common(decay) or ", ".join(result.regimes(decay)))
        for decay in result.accuracies
    ]  # fmt: skip
    return (Table(f"final accuracies, {len(result.lucky)} seeds; {note(result)}", HEADER, rows),)


def note(result: WeightDecay) -> str:
    """Chance, the noise accuracy of a perfect model, and the decay above which the origin attracts."""
    return (
        f"chance {result.chance:.3f}; of the redrawn labels {result.lucky.mean():.3f} are right by chance; small "
        f"states leave the origin at rate c1 S1 = {result.escape.mean():.2g}"
    )


def evidence(result: WeightDecay) -> tuple[Evidence, ...]:
    """Each regime at its decay, all of them in their order, and the decay of collapse known from the data."""
    at, published, varied = dict(result.setting.regimes), "regime at P = 113", "draws of split, noise and start"
    chance = np.full(len(result.lucky), result.chance)
    memorised = result.final(at["memorise"], "noise")
    left = {decay: norms[:, -1].astype(float) / norms[:, 0] for decay, norms in result.norms.items()}
    claims = (
        ("decay-none-memorises", "memorise", "noise", {"least": 0.95}, chance,
         "no decay: every training label is fitted (accuracy on redrawn labels)"),
        ("decay-none-test", "memorise", "test", {"most": 0.1}, None,
         "no decay: nothing generalises (test accuracy)"),
        ("decay-small-fits", "fit all and generalise", "noise", {"least": 0.95}, chance,
         "decay {:g}: redrawn labels are fitted as well (accuracy on them)"),
        ("decay-small-generalises", "fit all and generalise", "test", {"least": 0.5}, chance,
         "decay {:g}: and it generalises (test accuracy)"),
        ("decay-drops-noise", "generalise and drop the noise", "noise", {"most": 0.5}, memorised,
         "decay {:g} (published 5e-4): redrawn labels are dropped (accuracy on them; null: no decay)"),
        ("decay-drops-noise-test", "generalise and drop the noise", "test", {"least": 0.5}, chance,
         "decay {:g} (published 5e-4): and it generalises (test accuracy)"),
        ("decay-large-collapses", "collapse", None, {"most": 0.01}, left[at["memorise"]],
         "decay {:g} (published 1e-3): collapse (share left of the norm; null: no decay)"),
    )  # fmt: skip
    rows = [
        Evidence(row, text.format(at[name]), left[at[name]] if part is None else result.final(at[name], part),
                 Bound("expectation", bounds.get("least"), bounds.get("most"), f"{published}; the share is ours"),
                 published=published, null=null,
                 no_null="that it stays at chance is the claim", ceiling="1" if "least" in bounds else "0",
                 varied=varied)
        for row, name, part, bounds, null, text in claims if name in at
    ]  # fmt: skip
    reached = [name for decay in sorted(left) if (name := result.common(decay)) in at]
    ordered = reached == sorted(reached, key=list(at).index)
    above = np.array(list(left))[:, None] > result.escape[None, :]
    collapsed = np.array([[name == "collapse" for name in result.regimes(decay)] for decay in left])
    return (
        *rows,
        Evidence("decay-regimes", "regimes that all seeds of some decay end in, by growing decay (share; 0: no order)",
                 np.array([ordered * len(set(reached)) / len(at)]), Bound("paper", least=1.0, source=published),
                 published=f"{published}, in this order", no_null="decays are compared with each other", ceiling="1"),
        Evidence("decay-collapse-foreseen",
                 "collapse where decay exceeds c1 S1, known from data (share of decays; null: no decay collapses)",
                 np.mean(above == collapsed, axis=0), Bound("expectation", least=1.0, source="every run"),
                 published="ours: 6.5e-4 at P = 113, where 5e-4 learns and 1e-3 collapses",
                 null=np.mean(~collapsed, axis=0), ceiling="1", varied=varied, every=True),
    )  # fmt: skip


def caption(result: WeightDecay) -> str:
    """What was computed with what."""
    setting = result.setting
    return (
        f"modular addition, P = {setting.size}, width {setting.width}, 80 % of the table in training, a tenth of its "
        f"labels redrawn; full-batch descent, step {setting.step:g}, momentum {setting.momentum:g}, float32; seeds: "
        f"split, noise, start (band: smallest to largest);\n{note(result)}."
    )


STUDY = Study(
    name="weight_decay",
    source="wang2026modular",
    settings=SETTINGS,
    seeds={"tiny": 3, "quick": 3, "published": 3},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("decay-none-memorises", "decay-none-test", "decay-small-fits", "decay-small-generalises", "decay-drops-noise",
         "decay-drops-noise-test", "decay-large-collapses", "decay-regimes", "decay-collapse-foreseen"),
    takes={"tiny": "10 s", "quick": "15 min", "published": "hours on a GPU"},
    smaller={"tiny": "13 symbols for 113, width 64 for 2,000, two decays, momentum",
             "quick": "59 symbols for 113, width 512 for 2,000, 4,000 steps with momentum, other decays"},
    beyond_tiny=("decay-small-fits", "decay-small-generalises", "decay-drops-noise", "decay-drops-noise-test"),
)  # fmt: skip


def _table(data: Dataset) -> Float[Array, "example target"]:
    """P(a, b, y) as `[a * P + b, y]`, in float32."""
    table = np.zeros((data.vocab**2, data.vocab), np.float32)
    rows = np.asarray(data.tokens) @ np.array([data.vocab, 1])
    np.add.at(table, (rows, np.asarray(data.targets)), np.asarray(data.weights))
    return jnp.asarray(table)


def _line(
    setting: WeightDecaySetting, steps: np.ndarray, start: dict, loss: PairTableLoss, tables: dict, decay: float
) -> dict[str, np.ndarray]:
    """Accuracies of every part and the squared norm, `[time]`."""
    optimizer = optax.sgd(setting.step, momentum=setting.momentum or None)

    @jax.jit
    def trained(start: dict, loss: PairTableLoss, tables: dict, decay: Array) -> dict[str, Array]:
        def score(params: dict[str, Array]) -> dict[str, Array]:
            best = jax.nn.one_hot(jnp.argmax(loss.logits(params), axis=1), setting.size, dtype=jnp.float32)
            norm = sum(jnp.sum(leaf**2) for leaf in params.values())
            return {part: jnp.sum(best * tables[part]) for part in PARTS} | {"norm": jnp.asarray(norm)}

        return train(decayed(loss, decay), start, optimizer, save_steps=steps, save=score).ys

    return jax.tree.map(np.asarray, trained(start, loss, tables, jnp.asarray(decay, jnp.float32)))


def _lucky(task: BinaryTable) -> float:
    data = task.noisy_dataset()
    return float(np.mean(np.asarray(data.tokens).sum(axis=1) % task.size == np.asarray(data.targets)))
