"""The map of rectangles in a network's state: what two principal components say of position and extent.

Nothing was published as a number but the order of the map. Of the extent nothing is asked: two components that mirror a
rectangle hide it from lines.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import DecodingSetting, read_states, train_models
from ...observables import pca
from ...tables import Table, interval
from .. import Bound, Evidence, Run, Size, Study
from ._shared import part, score_evidence
from .hypotheses import EASY, of_run
from .hypothesis_scores import MODEL, UNTRAINED

PARTS = ("x", "y", "width", "height", "width, curved", "height, curved")


@dataclass(frozen=True)
class MapSetting:
    """Networks on easy rectangles.

    Attributes:
        decoding: process and training; the first position of its probing is read.
        sequences: that are mapped, for each seed.
        position: R2 of the centre that is expected.
    """

    decoding: DecodingSetting
    sequences: int
    position: float = 0.9


SETTINGS: dict[Size, MapSetting] = {
    "tiny": MapSetting(of_run(EASY, "tiny"), 400, 0.75),
    "quick": MapSetting(of_run(EASY, "quick"), 4000),
    "published": MapSetting(of_run(EASY, "published"), 19_000),
}


@dataclass(frozen=True)
class HypothesisMap:
    """Two principal components of states.

    Attributes:
        setting: what ran.
        items: that the states have read.
        r2: by what is read, `[seed, target]`: R2 of the likeliest rectangle's centre and extent (`PARTS`) on a straight
            line from two components, fitted on one half of the sequences and scored on the other; of the extent also on
            a curve of second degree: mirroring a rectangle hides its extent from lines.
        picture: by what is read, of the first seed: `[sequence, 2]` components.
        boxes: centre and extent of the likeliest rectangles of the first seed, `[sequence, 4]`.
    """

    setting: MapSetting
    items: int
    r2: dict[str, Float[np.ndarray, "seed target"]]
    picture: dict[str, Float[np.ndarray, "sequence dimension"]]
    boxes: Float[np.ndarray, "sequence target"]

    def position(self, source: str) -> Float[np.ndarray, " seed"]:
        """Mean R2 of the two coordinates of the centre."""
        return self.r2[source][:, :2].mean(axis=1)

    def extent(self, source: str, curved: bool = False) -> Float[np.ndarray, " seed"]:
        """Mean R2 of width and height, on lines or on curves."""
        return self.r2[source][:, 4:6].mean(axis=1) if curved else self.r2[source][:, 2:4].mean(axis=1)

    def note(self) -> str:
        """Of the extent, on lines and on curves."""
        parts = [
            f"{way} {interval(self.extent(MODEL, curved))} (untrained {interval(self.extent(UNTRAINED, curved))})"
            for way, curved in (("on lines", False), ("on curves", True))
        ]
        return f"R2 of extent from two components: {', '.join(parts)}"


def run(setting: MapSetting, run: Run) -> HypothesisMap:
    """Two principal components of the states that have read the first asked number of points of easy rectangles.

    A seed is a network with draws of its own; the folder of `hypotheses` will do.
    """
    process, recipe, probing = setting.decoding.process, setting.decoding.recipe, setting.decoding.probing
    place, keep = probing.places(recipe.length)[0], part(run, EASY).keep
    trained = train_models(process, recipe, range(run.seeds), keep=keep, progress=run.progress)
    r2, boxes, picture = {MODEL: [], UNTRAINED: []}, [], {}
    for seed in range(run.seeds):
        key = jax.random.fold_in(jax.random.key(seed), 3000)
        items = process.sample(key, {}, setting.sequences, recipe.length).items
        boxes.append(np.asarray(process.exact({}, items, ("map",), (place,))["map"][:, 0]))
        for name, time in ((MODEL, -1), (UNTRAINED, 0)):
            states = read_states(recipe.model, trained.at(seed, time), jnp.asarray(items), probing)[1][0, :, 0]
            components = np.asarray(pca(states)[0])
            picture.setdefault(name, components)
            r2[name].append(read_off(components, boxes[-1]))
    return HypothesisMap(setting, place + 1, {name: np.array(rows) for name, rows in r2.items()}, picture, boxes[0])


def tables(result: HypothesisMap) -> tuple[Table, ...]:
    """R2 of every part, by what is read."""
    rows = [(name, *(interval(column) for column in r2.T)) for name, r2 in result.r2.items()]
    title = "R2 from two components (95 % interval over seeds: network and draws)"
    return (Table(title, ("read from", *PARTS), rows, result.note()),)


def evidence(result: HypothesisMap) -> tuple[Evidence, ...]:
    """Position, beside an untrained network's."""
    bound = Bound("expectation", least=result.setting.position, source="expected at this size")
    claim, ceiling = (
        "two principal components order rectangles by position (R2)",
        "1 (centre of the likeliest rectangle)",
    )
    after, before = result.position(MODEL), result.position(UNTRAINED)
    return (score_evidence("rectangles-map", claim, after, before, bound, "no number", ceiling=ceiling),)


def caption(result: HypothesisMap) -> str:
    read = f"states that have read {result.items} points, coloured by the likeliest rectangle"
    return f"easy rectangles, {read}; first seed."


STUDY = Study(
    name="hypothesis_map",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 1, "quick": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=("rectangles-map",),
    takes={"tiny": "15 s", "quick": "4 min", "published": "half an hour a network"},
    smaller={
        "tiny": "36 rectangles for 784, width 32 for 128, 300 steps for 30000",
        "quick": "100 rectangles for 784, width 64 for 128, 3000 steps for 30000",
    },
    needs=("float64",),
    ledger="tiny",
)


def read_off(two: Float[np.ndarray, "sequence dimension"], box: Float[np.ndarray, "sequence target"]) -> np.ndarray:
    """R2 of every part: all on lines, then the extent on curves of second degree."""
    curved = np.c_[two, two**2, two[:, 0] * two[:, 1]]
    return np.concatenate([on_line(two, box), on_line(curved, box[:, 2:])])


def on_line(
    x: Float[np.ndarray, "sequence dimension"], y: Float[np.ndarray, "sequence target"]
) -> Float[np.ndarray, " target"]:
    """R2 of a straight line, fitted on the first half of the sequences and scored on the second."""
    cut = len(x) // 2
    line = np.c_[x, np.ones(len(x))]
    weights = np.linalg.lstsq(line[:cut], y[:cut], rcond=None)[0]
    missed, spread = y[cut:] - line[cut:] @ weights, y[cut:] - y[cut:].mean(axis=0)
    return 1 - np.sum(missed**2, axis=0) / np.sum(spread**2, axis=0)
