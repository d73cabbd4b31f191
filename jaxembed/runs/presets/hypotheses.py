"""Settings of discrete hypotheses: points in a rectangle, and the number game."""

from dataclasses import replace
from typing import Any

from ...models import Categorical, Head, SequenceTransformer, SquaredError
from ...processes import NumberGame, Rectangles
from ...decoding.probing import Probing
from ...decoding.setting import Setting
from ...decoding.training import Recipe

MAIN = ("hypothesis", "accuracy")
TARGETS = ("hypothesis", "centre", "extent")
"""Squared error forces the centre alone: the other two are what comes with it."""

FEW = Probing(TARGETS, train=600, validation=200, test=400, loss_draws=200)


def _published(reads: Any) -> SequenceTransformer:
    return SequenceTransformer(norm="post", dropout=0.1, reads=reads)


def _rectangles(axis: Any, size: str) -> Setting:
    head: Head = SquaredError()
    if size == "full":
        # One point more than published: the state that has read 50 still has something to predict.
        recipe = Recipe(_published("reals"), head, length=51, steps=30_000, warmup=500)
        expect = "agreement 0.873 after 20 points and 0.995 after 50 published; hours for each seed on a core"
        probing = Probing(TARGETS, (19, 49), train=18_000, validation=1000)
        return Setting(Rectangles(axis), recipe, probing, MAIN, expect)
    if size == "quick":
        # 5 x 5 edges, 100 rectangles: 784 take far longer than minutes to tell apart.
        steps = 3000 if axis == "easy" else 9000  # near-equal rectangles are told apart later
        recipe = Recipe(SequenceTransformer(64, 2, 4, 128, reads="reals"), head, 32, 51, steps, 3e-3, final_ratio=0.02)
        expect = "agreement with the posterior's argmax after 20 and 50 points; 3 minutes"
        return Setting(Rectangles(axis, 5), recipe, Probing(TARGETS, (19, 49), train=8000), MAIN, expect)
    recipe = Recipe(SequenceTransformer(32, 1, 4, 64, reads="reals"), head, 32, 13, steps=300, learning_rate=1e-2)
    return Setting(
        Rectangles(axis, 4), recipe, replace(FEW, targets=TARGETS, positions=(5, 11)), MAIN, "a path in seconds"
    )


def _number_game(size: str) -> Setting:
    targets = ("hypothesis", "generalisation")
    if size == "full":
        recipe = Recipe(_published("tokens"), Categorical(), length=17, steps=30_000, warmup=500)
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


def _judged(setting: Setting) -> Setting:
    """At the first place: later both posterior and nulls are nearly certain."""
    return replace(setting, judged=setting.probing.positions[0])


SIZES = ("tiny", "quick", "full")
HYPOTHESES: dict[str, dict[str, Setting]] = {
    "rectangles": {size: _judged(_rectangles("easy", size)) for size in SIZES},
    "rectangles-hard": {size: _judged(_rectangles("hard", size)) for size in SIZES},
    "number-game": {size: _judged(_number_game(size)) for size in SIZES},
}
"""By name and size."""
