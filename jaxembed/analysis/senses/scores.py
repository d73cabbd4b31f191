"""Everything that is measured of one word in one network, as numbers that can be kept on disk."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ...keep import kept_json
from ...language import parameter_hash
from ...models import Decoder
from .attention import ablate_heads, attention_at_word, direct_effects, mixture_scores, patch_words, sense_direction
from .probes import SenseProbes, bag_of_words, mean_embedding, read_senses_from, separation
from .texts import SenseTask
from .tokens import ReadAt, Side, states_at

READING_POINTS: tuple[ReadAt, ...] = ("word", "end")
SIDES: tuple[Side, ...] = ("left", "both")


@dataclass(frozen=True)
class SenseSizes:
    """How much is measured.

    Attributes:
        decided: test sentences that attention is taken apart in, at most.
        donors: training sentences that patches are taken from, at most.
        ablated: test sentences that are decided without each head, at most.
        shuffles: of the senses, for the null of the probes.
        dissect: whether attention is taken apart, besides the probes.
        patch: whether heads are switched off and words replaced.
    """

    decided: int = 200
    donors: int = 120
    ablated: int = 120
    shuffles: int = 1
    dissect: bool = True
    patch: bool = True


@dataclass(frozen=True, eq=False)
class SenseScores:
    """One word in one network.

    Attributes:
        validation: by reading point `[layer]`, balanced accuracy on the validation part.
        right: by reading point `[layer, example]`, hits on the test sentences.
        shuffled: `[draw, example]`, hits at the word after a fit to shuffled senses, at the depth of the true fit.
        separation: by reading point `[layer]`, of the test sentences; see `probes.separation`.
        mean: by side `[example]`, hits of the mean of the static embeddings of the same words.
        attention: what `attention` measures, at `depth`; empty where it was not taken apart.
        depth: the best block at the word, by validation.
    """

    validation: dict[str, Float[np.ndarray, " layer"]]
    right: dict[str, Float[np.ndarray, "layer example"]]
    shuffled: Float[np.ndarray, "draw example"]
    separation: dict[str, Float[np.ndarray, " layer"]]
    mean: dict[str, Float[np.ndarray, " example"]]
    attention: dict[str, Any]
    depth: int

    def best(self, where: str = "word") -> int:
        """The depth with the highest accuracy on the validation part."""
        return int(np.argmax(self.validation[where]))


def score_senses(
    task: SenseTask, model: Decoder, params: Any, sizes: SenseSizes, key: int, keep: Path | None = None
) -> SenseScores:
    """Measure one word in one network, or take the numbers that are kept.

    Args:
        task: the word's sentences.
        model: the decoder.
        params: its parameters.
        sizes: how much is measured.
        key: of shuffles and patches, a whole number.
        keep: folder that remembers the numbers; None keeps nothing.
    """
    identity = f"{task.hash} {model} {parameter_hash(params)} {sizes} {key}"
    kept = kept_json(keep, f"senses_{task.word}", identity, lambda: _measure(task, model, params, sizes, key))
    by_name = {
        name: {key: np.array(rows, float) for key, rows in kept[name].items()}
        for name in ("validation", "right", "separation", "mean")
    }
    shuffled = np.array(kept["shuffled"], float)
    return SenseScores(**by_name, shuffled=shuffled, attention=kept["attention"], depth=kept["depth"])


def bag_hits(task: SenseTask, unknown: int | None) -> dict[str, Float[np.ndarray, " example"]]:
    """By side `[example]`, hits of a probe on the counts of the same words; no network is needed."""
    return {side: read_senses_from(bag_of_words(task, side, unknown)[None], task, whiten=False).right[0]
            for side in SIDES}  # fmt: skip


def merged_embedding(params: Any, ids: tuple[int, int]) -> Any:
    """Parameters in which the first of two tokens is embedded half way between the two."""
    embed = np.array(params["embed"])
    embed[ids[0]] = (embed[ids[0]] + embed[ids[1]]) / 2
    return params | {"embed": embed}


def _measure(task: SenseTask, model: Decoder, params: Any, sizes: SenseSizes, key: int) -> dict[str, Any]:
    places = np.stack([task.tokens.read_at(where) for where in READING_POINTS], axis=1)
    both = states_at(model, params, task.tokens.ids, places)
    states = {where: both[:, :, k] for k, where in enumerate(READING_POINTS)}
    probes = {where: read_senses_from(x, task) for where, x in states.items()}
    best, depth = probes["word"].best(), max(1, probes["word"].best(model.layers))
    at_best = states["word"][best : best + 1]
    shuffled = [read_senses_from(at_best, task, shuffled=100 * key + k).right[0] for k in range(sizes.shuffles)]
    embed, senses = np.asarray(params["embed"], np.float32), task.senses[task.test]
    means = {side: read_senses_from(mean_embedding(task, side, embed)[None], task).right[0] for side in SIDES}
    return {
        "validation": {where: read.validation for where, read in probes.items()},
        "right": {where: read.right.astype(int) for where, read in probes.items()},
        "shuffled": np.array(shuffled).astype(int),
        "separation": {where: separation(x[:, task.test], senses) for where, x in states.items()},
        "mean": {side: hits.astype(int) for side, hits in means.items()},
        "attention": _dissect(task, model, params, sizes, probes["word"], depth, key) if sizes.dissect else {},
        "depth": depth,
    }


def _dissect(
    task: SenseTask, model: Decoder, params: Any, sizes: SenseSizes, probes: SenseProbes, depth: int, key: int
) -> dict[str, Any]:
    """Attention at the word in sentences of its two most frequent senses, along the direction of a probe's decision."""
    task, probe = _two_first(task, probes.probes[depth])
    direction = sense_direction(probe)
    rows = {"donors": _some(task, task.fit, sizes.donors), "test": _some(task, task.test, sizes.decided)}
    parts = {
        name: attention_at_word(model, params, task.tokens.select(chosen), direction, depth)
        for name, chosen in rows.items()
    }
    measured: dict[str, Any] = {
        "mixture": mixture_scores(parts["test"], depth),
        "first layer": mixture_scores(parts["test"], 1),
        "effects": {
            name: direct_effects(parts[name], task.senses[chosen], direction, depth) for name, chosen in rows.items()
        },
    }
    if sizes.patch:
        measured["patching"] = patch_words(model, params, task, parts, rows, probe, depth, key)
        ablated = _some(task, task.test, sizes.ablated)
        measured["ablation"] = ablate_heads(model, params, task, ablated, probe, depth)
    return measured


def _two_first(task: SenseTask, probe: Any) -> tuple[SenseTask, Any]:
    """The task and the probe with the two most frequent senses in front, and only their sentences."""
    order = np.argsort(-np.bincount(task.senses[task.fit]), kind="stable")
    renamed = np.argsort(order)[task.senses]
    rows = {part: getattr(task, part)[renamed[getattr(task, part)] < 2] for part in ("fit", "validation", "test")}
    weight, bias = (np.asarray(part)[..., order[:2]] for part in probe.layers[0])
    names = tuple(task.names[k] for k in order[:2])
    return replace(task, senses=renamed, names=names, **rows), replace(probe, layers=((weight, bias),))


def _some(task: SenseTask, rows: Int[np.ndarray, " example"], most: int) -> Int[np.ndarray, " example"]:
    """So many rows at most, as even between the two senses as can be."""
    groups = sorted((rows[task.senses[rows] == sense] for sense in (0, 1)), key=len)
    few = groups[0][: most // 2]
    return np.sort(np.concatenate([few, groups[1][: most - len(few)]]))
