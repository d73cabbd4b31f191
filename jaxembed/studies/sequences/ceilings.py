"""What can be known at all: exact inference of rectangles from points, and of a document's topics from its words."""

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from ...probes import scores
from ...processes import LatentDirichlet, Rectangles
from ...tables import Table, interval
from .. import Bound, Evidence, Run, Size, Study
from .hypothesis_scores import draw_hypotheses

POINTS = (1, 20, 50)
TARGET = "mixture"


@dataclass(frozen=True)
class CeilingSetting:
    """Published processes; sizes are those of the estimate.

    Attributes:
        sequences: of points, for each axis and seed.
        topic_models: each with documents of its own.
        documents: of a topic model, 100 words each.
        sweeps: of the sampler of topics.
    """

    sequences: int = 4000
    topic_models: int = 10
    documents: int = 500
    sweeps: int = 200


SETTINGS: dict[Size, CeilingSetting] = {
    "tiny": CeilingSetting(sequences=1000, documents=100, sweeps=100),
    "published": CeilingSetting(),
}


@dataclass(frozen=True)
class Ceilings:
    """What exact inference scores.

    Attributes:
        rectangles: by axis and points seen, `[seed]`: how often the likeliest rectangle is the generating one.
        topics: by metric, `[seed]` of topic models; "majority" is the accuracy of one guess.
    """

    rectangles: dict[tuple[str, int], Float[np.ndarray, " seed"]]
    topics: dict[str, Float[np.ndarray, " seed"]]


def run(setting: CeilingSetting, run: Run) -> Ceilings:
    """Draw from the published processes, and score their exact posteriors; seeds are of the rectangles' draws."""
    process = LatentDirichlet(sweeps=setting.sweeps)
    rectangles = recovered(run.seeds, setting.sequences)
    run.progress("rectangles: done")
    return Ceilings(rectangles, topic_ceiling(process, setting.topic_models, setting.documents))


def tables(result: Ceilings) -> tuple[Table, ...]:
    """Every score with its interval."""
    rows = [
        (f"rectangles, {axis}, after {points}", interval(share)) for (axis, points), share in result.rectangles.items()
    ]
    rows += [(f"topics, {metric}", interval(values)) for metric, values in result.topics.items()]
    return (Table("what exact inference scores (95 % interval over draws)", ("of", "score"), rows),)


def evidence(result: Ceilings) -> tuple[Evidence, ...]:
    """The bounds keep out other grids and other alphas, so that many draws and topic models are needed."""
    easy, hard = (result.rectangles[axis, 20] for axis in ("easy", "hard"))
    near = ("0.979, to 0.014", "0.844, to 0.036", "87.0 %, between 84 and 90 %")
    return (
        Evidence("rectangles-possible-easy", "20 points tell the rectangle of an even grid (exact posterior)", easy,
                 Bound("paper", 0.965, 0.993, near[0]), "0.979 by exact inference", result.rectangles["easy", 1],
                 ceiling="itself", varied="draws"),
        Evidence("rectangles-possible-hard", "20 points tell the rectangle of an uneven grid less often", hard,
                 Bound("paper", 0.81, 0.88, near[1]), "0.844 by exact inference", result.rectangles["hard", 1],
                 ceiling="itself", varied="draws"),
        Evidence("topics-possible", "what exact inference reads of 100 words of 1000, alpha 0.5 (accuracy of the top "
                 "topic)", result.topics["accuracy"], Bound("paper", 0.84, 0.9, near[2]), "87.0 % (topics fitted)",
                 result.topics["majority"], ceiling="itself", varied="seeds (topics, documents)",
                 source="zhang2023definetti"),
    )  # fmt: skip


STUDY = Study(
    name="ceilings",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    ids=("rectangles-possible-easy", "rectangles-possible-hard", "topics-possible"),
    takes={"tiny": "20 s", "published": "3 min"},
    smaller={"tiny": "1000 sequences for 4000, 100 documents for 500"},
    needs=("float64",),
    ledger="published",
)


def recovered(seeds: int, sequences: int) -> dict[tuple[str, int], Float[np.ndarray, " seed"]]:
    """How often the likeliest rectangle is the generating one, by axis and points seen."""
    shares, places = {}, tuple(points - 1 for points in POINTS)
    for axis in ("easy", "hard"):
        for seed in range(seeds):
            draw = draw_hypotheses(Rectangles(axis), jax.random.key(seed), sequences, max(POINTS), places)
            right = draw.exact["hypothesis"].argmax(axis=2) == draw.generating[:, None]
            for points, share in zip(POINTS, right.mean(axis=0), strict=True):
                shares.setdefault((axis, points), []).append(share)
    return {place: np.array(values) for place, values in shares.items()}


def topic_ceiling(
    process: LatentDirichlet, seeds: int = 3, documents: int = 300, length: int = 100
) -> dict[str, Float[np.ndarray, " seed"]]:
    """What the posterior mean scores on whole documents, its topics known, and "majority", the accuracy of one guess.

    >>> ceiling = topic_ceiling(LatentDirichlet(topics=2, vocab=8), seeds=2, documents=20, length=10)
    >>> sorted(ceiling), ceiling["L2"].shape
    (['KL', 'L2', 'accuracy', 'majority', 'max-abs'], (2,))
    """
    rows = []
    for seed in range(seeds):
        keys = jax.random.split(jax.random.key(seed))
        world = process.world(keys[0])
        draw = jax.jit(process.sample, static_argnums=(2, 3))(keys[1], world, documents, length)
        exact, truth = process.exact(world, draw.items, positions=(length - 1,)), np.asarray(draw.latents[TARGET])
        own = scores("distribution", np.asarray(exact["posterior_mean"])[:, 0], truth)
        rows.append(own | {"majority": np.bincount(truth.argmax(axis=1)).max() / documents})
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}
