"""Settings of discrete hypotheses: points in a rectangle, and the number game."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ...decoding import DecodingSetting, Probing, TrainingRecipe
from ...models import Categorical, Head, SequenceTransformer, SquaredError
from ...processes import NumberGame, Rectangles

MAIN = ("hypothesis", "accuracy")
TARGETS = ("hypothesis", "centre", "extent")
"""Squared error forces the centre alone: the other two are what comes with it."""

FEW = Probing(TARGETS, train=600, validation=200, test=400, loss_draws=200)


def _published(reads: Any) -> SequenceTransformer:
    return SequenceTransformer(norm="post", dropout=0.1, reads=reads)


def _rectangles(axis: Any, size: str) -> DecodingSetting:
    head: Head = SquaredError()
    if size == "published":
        # One point more than published: the state that has read 50 still has something to predict.
        recipe = TrainingRecipe(_published("reals"), head, length=51, steps=30_000, warmup=500)
        expect = "agreement 0.873 after 20 points and 0.995 after 50 published; hours for each seed on a core"
        probing = Probing(TARGETS, (19, 49), train=18_000, validation=1000)
        return DecodingSetting(Rectangles(axis), recipe, probing, MAIN, expect)
    if size == "quick":
        # 5 x 5 edges, 100 rectangles: 784 take far longer than minutes to tell apart.
        steps = 3000 if axis == "easy" else 9000  # near-equal rectangles are told apart later
        recipe = TrainingRecipe(
            SequenceTransformer(64, 2, 4, 128, reads="reals"), head, 32, 51, steps, 3e-3, final_ratio=0.02
        )
        expect = "agreement with the posterior's argmax after 20 and 50 points; 3 minutes"
        return DecodingSetting(Rectangles(axis, 5), recipe, Probing(TARGETS, (19, 49), train=8000), MAIN, expect)
    recipe = TrainingRecipe(
        SequenceTransformer(32, 1, 4, 64, reads="reals"), head, 32, 13, steps=300, learning_rate=1e-2
    )
    return DecodingSetting(
        Rectangles(axis, 4), recipe, replace(FEW, targets=TARGETS, positions=(5, 11)), MAIN, "a path in seconds"
    )


def _number_game(size: str) -> DecodingSetting:
    targets = ("hypothesis", "generalisation")
    if size == "published":
        recipe = TrainingRecipe(_published("tokens"), Categorical(), length=17, steps=30_000, warmup=500)
        return DecodingSetting(
            NumberGame(), recipe, Probing(targets, (3, 15), train=18_000, validation=1000), MAIN, "nothing published"
        )
    if size == "quick":
        recipe = TrainingRecipe(
            SequenceTransformer(64, 2, 4, 128), Categorical(), length=17, steps=4000, learning_rate=3e-3
        )
        return DecodingSetting(
            NumberGame(), recipe, Probing(targets, (3, 15), train=8000), MAIN, "after 4 and 16 numbers; 3 minutes"
        )
    recipe = TrainingRecipe(SequenceTransformer(32, 1, 4, 64), Categorical(), 32, 9, steps=300, learning_rate=1e-2)
    return DecodingSetting(
        NumberGame(20), recipe, replace(FEW, targets=targets, positions=(3, 7)), MAIN, "a path in seconds"
    )


def _judged(build: Callable[..., DecodingSetting], *settings: str) -> DecodingSetting:
    """At the first place: later both posterior and nulls are nearly certain."""
    setting = build(*settings)
    return replace(setting, judged=setting.probing.positions[0])


HYPOTHESES = {
    "rectangles": partial(_judged, _rectangles, "easy"),
    "rectangles-hard": partial(_judged, _rectangles, "hard"),
    "number-game": partial(_judged, _number_game),
}
"""By name, what makes a setting of a size."""
