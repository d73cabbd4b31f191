"""Settings of discrete hypotheses: points in a rectangle, and the number game."""

from dataclasses import replace
from typing import Any

from ..models import Categorical, Head, SequenceTransformer, SquaredError
from ..processes import NumberGame, Rectangles
from .probing import Probing
from .setting import Setting
from .training import Recipe

MAIN = ("hypothesis", "accuracy")
TARGETS = ("hypothesis", "centre", "extent")
"""Squared error forces the centre alone: the other two are what comes with it."""

FEW = Probing(TARGETS, train=600, validation=200, test=400, loss_draws=200)


def _rectangles(axis: Any, size: str) -> Setting:
    head: Head = SquaredError()
    if size == "full":
        # One point more than published: the state that has read 20 still has something to predict.
        recipe = Recipe(SequenceTransformer(reads="reals"), head, length=21, steps=30_000, warmup=500)
        expect = "agreement 0.873 published; half an hour for each seed on a core"
        return Setting(Rectangles(axis), recipe, Probing(TARGETS, (19,), train=18_000, validation=1000), MAIN, expect)
    if size == "quick":
        # 5 x 5 edges, 100 rectangles: 784 take far longer than minutes to tell apart.
        recipe = Recipe(SequenceTransformer(64, 2, 4, 128, reads="reals"), head, 32, 51, 3000, 3e-3, final_ratio=0.02)
        expect = "agreement with the posterior's argmax after 20 and 50 points; 3 minutes"
        return Setting(Rectangles(axis, 5), recipe, Probing(TARGETS, (19, 49), train=8000), MAIN, expect)
    recipe = Recipe(SequenceTransformer(32, 1, 4, 64, reads="reals"), head, 32, 13, steps=300, learning_rate=1e-2)
    return Setting(
        Rectangles(axis, 4), recipe, replace(FEW, targets=TARGETS, positions=(5, 11)), MAIN, "a path in seconds"
    )


def _number_game(size: str) -> Setting:
    targets = ("hypothesis", "generalisation")
    if size == "full":
        recipe = Recipe(SequenceTransformer(), Categorical(), length=17, steps=30_000, warmup=500)
        return Setting(
            NumberGame(), recipe, Probing(targets, (3, 15), train=18_000, validation=1000), MAIN, "nothing published"
        )
    if size == "quick":
        recipe = Recipe(SequenceTransformer(64, 2, 4, 128), Categorical(), length=17, steps=4000, learning_rate=3e-3)
        return Setting(
            NumberGame(), recipe, Probing(targets, (3, 15), train=8000), MAIN, "after 4 and 16 numbers; 3 minutes"
        )
    recipe = Recipe(SequenceTransformer(32, 1, 4, 64), Categorical(), 32, 9, steps=300, learning_rate=1e-2)
    return Setting(NumberGame(20), recipe, replace(FEW, targets=targets, positions=(3, 7)), MAIN, "a path in seconds")


SIZES = ("tiny", "quick", "full")
HYPOTHESES: dict[str, dict[str, Setting]] = {
    "rectangles": {size: _rectangles("easy", size) for size in SIZES},
    "rectangles-hard": {size: _rectangles("hard", size) for size in SIZES},
    "number-game": {size: _number_game(size) for size in SIZES},
}
"""By name and size."""
