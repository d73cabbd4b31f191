"""The map of rectangles in a network's state: what two principal components say of position and extent."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import train_models
from ...decoding.reading import read_states
from ...observables import pca
from ..check import Check, need_float64
from ..measured import silent
from .hypotheses import EASY, HypothesisSize, of_run, text
from .hypothesis_cells import MODEL, UNTRAINED, on_line

PARTS = ("x", "y", "width", "height", "width, curved", "height, curved")
HEADER = ("read from", *PARTS)
SEQUENCES = {"tiny": 400, "quick": 4000, "full": 19_000}


@dataclass(frozen=True)
class HypothesisMap:
    """What the study found.

    Attributes:
        size: of the study.
        items: that the states have read.
        r2: by what is read, `[seed, target]`: R2 of the likeliest rectangle's centre and extent (`PARTS`) on a straight
            line from two components, fitted on one half of the sequences and scored on the other; of the extent also on
            a curve of second degree: mirroring a rectangle hides its extent from lines.
        explained: by what is read, `[seed]`: the share of the states' variance along the two components.
        picture: by what is read, of the first seed: `[sequence, 2]` components.
        boxes: centre and extent of the likeliest rectangles of the first seed, `[sequence, 4]`.
    """

    size: HypothesisSize
    items: int
    r2: dict[str, Float[np.ndarray, "seed target"]]
    explained: dict[str, Float[np.ndarray, " seed"]]
    picture: dict[str, Float[np.ndarray, "sequence dimension"]]
    boxes: Float[np.ndarray, "sequence target"]

    def rows(self) -> list[tuple[str, ...]]:
        """R2 of every part, by what is read, under `HEADER`."""
        return [(name, *(text(column) for column in found.T)) for name, found in self.r2.items()]

    def position(self, source: str) -> Float[np.ndarray, " seed"]:
        """Mean R2 of the two coordinates of the centre."""
        return self.r2[source][:, :2].mean(axis=1)

    def extent(self, source: str, curved: bool = False) -> Float[np.ndarray, " seed"]:
        """Mean R2 of width and height, on lines or on curves."""
        return self.r2[source][:, 4:6].mean(axis=1) if curved else self.r2[source][:, 2:4].mean(axis=1)

    def checks(self) -> list[Check]:
        """The figures that are asked: nothing was published as a number but the order of the map."""
        found, null = self.position(MODEL), self.position(UNTRAINED)
        good = bool(np.all(found > null) and (self.size == "tiny" or found.mean() >= 0.9))
        asked = "above the untrained network's, every seed" + ("" if self.size == "tiny" else "; 0.9 at least")
        return [Check("R2 of position from two components", asked, f"{text(found)}; untrained {text(null)}", good)]

    def note(self) -> str:
        """Of the extent nothing is asked: two components that mirror a rectangle hide it from lines."""
        parts = [
            f"{way} {text(self.extent(MODEL, curved))} (untrained {text(self.extent(UNTRAINED, curved))})"
            for way, curved in (("on lines", False), ("on curves", True))
        ]
        return f"R2 of extent from two components: {', '.join(parts)}"


def hypothesis_map(
    size: HypothesisSize, seeds: int = 3, keep: Path | None = None, progress: Callable[[str], None] = silent
) -> HypothesisMap:
    """Two principal components of the states that have read the first asked number of points of easy rectangles.

    Args:
        size: of the setting "rectangles".
        seeds: networks, each with draws of its own.
        keep: a folder for the networks (that of `hypotheses` will do), so that a killed run goes on.
        progress: takes lines on how far it is.

    Raises:
        ValueError: where JAX computes in float32.

    Source: zhang2024embed.
    """
    need_float64("hypothesis_map")
    setting = of_run(EASY, size)
    process, recipe, probing = setting.process, setting.recipe, setting.probing
    place = probing.places(recipe.length)[0]
    trained = train_models(process, recipe, range(seeds), keep=None if keep is None else keep / EASY, progress=progress)
    found = {name: [] for name in (MODEL, UNTRAINED)}
    boxes = []
    for seed in range(seeds):
        key = jax.random.fold_in(jax.random.key(seed), 3000)
        items = process.sample(key, {}, SEQUENCES[size], recipe.length).items
        boxes.append(np.asarray(process.exact({}, items, ("map",), (place,))["map"][:, 0]))
        for name, time in ((MODEL, -1), (UNTRAINED, 0)):
            states = read_states(recipe.model, trained.at(seed, time), jnp.asarray(items), probing)[1][0, :, 0]
            scores, explained = pca(states)
            found[name].append((np.asarray(scores), float(explained.sum())))
    return HypothesisMap(
        size,
        place + 1,
        {
            name: np.array([_read_off(two, box) for (two, _), box in zip(all_, boxes, strict=True)])
            for name, all_ in found.items()
        },
        {name: np.array([share for _, share in all_]) for name, all_ in found.items()},
        {name: all_[0][0] for name, all_ in found.items()},
        boxes[0],
    )


def _read_off(two: Float[np.ndarray, "sequence dimension"], box: Float[np.ndarray, "sequence target"]) -> np.ndarray:
    """R2 of every part: all on lines, then the extent on curves of second degree."""
    curved = np.c_[two, two**2, two[:, 0] * two[:, 1]]
    return np.concatenate([on_line(two, box), on_line(curved, box[:, 2:])])
