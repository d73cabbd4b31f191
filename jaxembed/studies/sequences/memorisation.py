"""Does an embedding hold its items, or only what is sufficient? Items x_1 .. x_10 read from the embedding of the tenth.

Published as Figure 4 of "What Should Embeddings Embed?": the tenth item is there, the others are not. What that means
depends on exact nulls: the mean of ten items and the last of them already give the others to some extent. The untrained
network is the other null: attention at random weights adds its items up with unequal weights, and many such sums tell
items apart. Noise added to the embedding says how much of what is read hangs on its small directions.
"""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from ...decoding import DecodingSetting, Probing, Trained, predicted, read_states, train_models
from ...probes import gap_closed, scores
from ...processes import GaussianGamma
from ...runs.presets import find_setting
from ...tables import Table, interval, number
from .. import Bound, Evidence, Run, Size, Study
from ._shared import gain_evidence, score_evidence, training_notes
from .sufficient_statistics import GAUSS, SQUARED

ITEMS = 10
NOISES = (0.0, 0.1, 0.3, 1.0)
"""Added to every dimension of the embedding, in units of its standard deviation."""


@dataclass(frozen=True)
class MemorisationSetting:
    """Networks on Gaussian items, and what is expected of them.

    Attributes:
        settings: of the catalogue, by name.
        added: R2 beyond the untrained network's, mean over the first nine items, at most.
        earlier: largest R2 of the first nine, at most: just below what sufficiency allows; None asks for none.
    """

    settings: dict[str, DecodingSetting]
    added: float = 0.05
    earlier: float | None = 0.55


SETTINGS: dict[Size, MemorisationSetting] = {
    "tiny": MemorisationSetting({GAUSS: find_setting(GAUSS, "tiny")}, added=0.15, earlier=None),
    "quick": MemorisationSetting({name: find_setting(name, "quick") for name in (GAUSS, SQUARED)}),
    "published": MemorisationSetting({name: find_setting(name, "published") for name in (GAUSS, SQUARED)}),
}


@dataclass(frozen=True)
class Memorisation:
    """Coefficients of determination of every item, linear probes, held-out sequences.

    Attributes:
        setting: what ran.
        trained: by setting, `[seed, time, position]`, where time counts `NOISES`.
        untrained: the same before training.
        last_item: `[position]`, exact: what the tenth item alone says of each.
        sufficient: `[position]`, exact: what the mean of the ten and the tenth item say of each.
    """

    setting: MemorisationSetting
    trained: dict[str, Float[np.ndarray, "seed time position"]]
    untrained: dict[str, Float[np.ndarray, "seed time position"]]
    last_item: Float[np.ndarray, " position"]
    sufficient: Float[np.ndarray, " position"]

    def items(self, name: str, trained: bool = True) -> Float[np.ndarray, "seed position"]:
        """Without noise."""
        return (self.trained if trained else self.untrained)[name][:, 0]


def run(setting: MemorisationSetting, run: Run) -> Memorisation:
    """Read the first ten items from the embedding of the tenth, in networks trained on Gaussian items.

    The folder of `sufficient_statistics` will do: they share networks.
    """
    trained, untrained = {}, {}
    for name, one in setting.settings.items():
        keep = None if run.keep is None else run.keep / name / "training"
        networks = train_models(one.process, one.recipe, range(run.seeds), keep=keep, progress=run.progress)
        trained[name], untrained[name] = (
            np.stack([_read_items(one, networks, seed, time) for seed in range(run.seeds)]) for time in (-1, 0)
        )
        run.progress(f"{name}: done")
    process, last, mean = setting.settings[GAUSS].process, np.eye(ITEMS)[-1:], np.full((1, ITEMS), 1 / ITEMS)
    both = np.concatenate([mean, last])
    return Memorisation(setting, trained, untrained, linear_r2(process, last), linear_r2(process, both))


def tables(result: Memorisation) -> tuple[Table, ...]:
    """R2 by item, beside what is exact; and the mean over x_1 .. x_9 by noise."""
    header = (
        "item",
        "model, likelihood",
        "model, squared error",
        "untrained",
        "exact: from x_10",
        "exact: mean and x_10",
    )
    models = {name: result.items(name).T for name in result.trained}
    before, absent = result.items(GAUSS, trained=False).T, ["not run"] * ITEMS
    columns = [[interval(x, ".2f") for x in models[name]] if name in models else absent for name in (GAUSS, SQUARED)]
    columns.append([interval(x, ".2f") for x in before])
    columns += [[number(x, ".3f") for x in exact] for exact in (result.last_item, result.sufficient)]
    rows = [(f"x_{i + 1}", *row) for i, row in enumerate(zip(*columns, strict=True))]
    noises = [
        (name, label, *(interval(r2[:, i, :-1].mean(axis=1), ".2f") for i in range(len(NOISES))))
        for name in result.trained
        for label, r2 in (("trained", result.trained[name]), ("untrained", result.untrained[name]))
    ]
    note = training_notes(result.setting.settings)
    noise_header = ("setting", "network", *(f"noise {noise:g}" for noise in NOISES))
    return (
        Table("R2 of items from the embedding of the tenth", header, rows, note),
        Table("the mean over x_1 .. x_9 with noise on the embedding", noise_header, noises, note, "noise"),
    )


ENDINGS = {GAUSS: "", SQUARED: "-squared"}
"""Of ids: networks trained by likelihood have the plain ones."""


def evidence(result: Memorisation) -> tuple[Evidence, ...]:
    """The tenth item, the largest of the other nine, and what training adds to them."""
    return tuple(row for name in result.trained for row in _evidence(result, name, ENDINGS[name]))


def _evidence(result: Memorisation, name: str, ending: str) -> list[Evidence]:
    setting, by = result.setting, "by squared error: " if ending else ""
    expected = "expected at size tiny" if setting.earlier is None else "expected at sequences of 128"
    after, before = (result.items(name, trained) for trained in (True, False))
    last, nine = after[:, -1], after[:, :-1]
    share = gap_closed(last, before[:, -1], 1.0)
    added = nine.mean(axis=1) - before[:, :-1].mean(axis=1)
    means = f"0 (R2: trained {nine.mean():.4f}, untrained {before[:, :-1].mean():.4f})"
    least = None if setting.earlier is None else Bound("expectation", least=0.7, source=expected)
    rows = [
        gain_evidence(f"memorisation-last{ending}", f"{by}the tenth item from its own embedding (share of the gap "
                      "from the untrained network in R2)", share, "recovered", bound=least, ceiling="1"),
        gain_evidence(f"memorisation-added{ending}", f"{by}what training adds to that (mean over items 1 to 9, R2)",
                      added, "not published", bound=Bound("expectation", most=setting.added, source=expected),
                      ceiling=means, source="jaxembed"),
    ]  # fmt: skip
    if setting.earlier is not None:
        bound = Bound("expectation", most=setting.earlier, source="sufficiency allows 0.556")
        rows.append(
            score_evidence(f"memorisation-earlier{ending}", f"{by}items 1 to 9 from that embedding (largest R2)",
                           nine.max(axis=1), before[:, :-1].max(axis=1), bound, "not recovered",
                           ceiling="0.556 (mean and last item)")
        )  # fmt: skip
    return rows


IDS = tuple(f"memorisation-{kind}{ending}" for ending in ENDINGS.values() for kind in ("last", "added", "earlier"))
STUDY = Study(
    name="memorisation",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 2, "quick": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=lambda result: "line: mean over seeds, band: smallest to largest.",
    ids=IDS,
    takes={"tiny": "20 s", "quick": "8 min", "published": "hours"},
    smaller={
        "tiny": "sequences of 24 for 500, width 32 for 128; training by likelihood alone",
        "quick": "sequences of 128 for 500, width 64 for 128, 1200 steps for 20000",
    },
    needs=("float64",),
    beyond_tiny=tuple(name for name in IDS if name not in ("memorisation-last", "memorisation-added")),
)


def linear_r2(process: GaussianGamma, readings: Float[np.ndarray, "target position"]) -> Float[np.ndarray, " position"]:
    """How well a line reads each item from some averages of them, exactly.

    Equation: diag(C A^T (A C A^T)^{-1} A C) / diag(C), with C = E[1/tau] (I + 1 1^T / strength) the items' covariance.

    Args:
        process: the prior.
        readings: A, what is known: a row of weights each.

    >>> last, mean = np.eye(10)[-1:], np.full((1, 10), 0.1)
    >>> [round(float(linear_r2(GaussianGamma(), known)[0]), 3) for known in (last, mean)]
    [0.25, 0.55]
    """
    covariance = np.eye(readings.shape[1]) + 1 / process.strength
    along = readings @ covariance
    return np.diag(along.T @ np.linalg.solve(along @ readings.T, along)) / np.diag(covariance)


def _read_items(one: DecodingSetting, trained: Trained, seed: int, time: int) -> Float[np.ndarray, "time position"]:
    """R2 of every item by noise, by a line fitted to the state after the tenth."""
    probing = one.probing
    key = jax.random.fold_in(jax.random.key(trained.seeds[seed]), 4000)
    draw = one.process.sample(key, {}, probing.sequences, ITEMS)
    asked = Probing(probing.targets, (ITEMS - 1,))
    states = read_states(one.recipe.model, trained.at(seed, time), draw.items, asked)[1][0, :, 0]
    y = probing.parts(np.asarray(draw.items[..., 0]))
    blur = states.std(axis=0) * np.random.default_rng(trained.seeds[seed]).normal(size=states.shape)
    names, r2 = tuple(str(i) for i in range(ITEMS)), []
    for noise in NOISES:
        answers = predicted("real", "linear", key, probing.parts(states + noise * blur), y[:2])
        score = scores("real", answers, y[2], names)
        r2.append([score[f"R2 {name}"] for name in names])
    return np.array(r2)
