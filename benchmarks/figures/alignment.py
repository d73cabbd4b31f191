"""Alignment of embeddings and unembeddings with next- and previous-token signatures through training, beside nulls.

`python benchmarks/figures/alignment.py` trains small decoders on subsets of The Pile (JAXEMBED_DATA names the folder
that holds `pile/`), two tokenisers and two architectures, prints tables and evidence, and writes the figure; about 40
minutes on two cores, `--size tiny` (no data needed) half a minute. With `--keep FOLDER` decoders are kept as they
finish, and a second call carries on; a second process with the same folder and `--backwards` starts at the other end
and shares the work.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, band, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.language.alignment import NAMES, STUDY, DecoderAlignment
from jaxembed.studies.language.alignment_training import CROSS, OWN, TABLES, AlignedDecoder

BACKWARDS = {"action": "store_true", "default": None, "help": "train the decoders in the other order"}


def draw(result: DecoderAlignment, figure: Figure) -> None:
    subsets = list(dict.fromkeys(decoder.training.subset for decoder in result.main))
    figure.set_size_inches(17, 10)
    panels = figure.subplots(2, max(3, len(subsets)), squeeze=False)
    for axes, subset in zip(panels[0], subsets, strict=False):
        course_panel(axes, result, subset)
    strength_panel(panels[1, 0], result)
    excess_panel(panels[1, 1], result)
    layer_panel(panels[1, 2], result)
    for axes in (*panels[0, len(subsets) :], *panels[1, 3:]):
        axes.axis("off")


def course_panel(axes: Axes, result: DecoderAlignment, subset: str) -> None:
    decoders = [decoder for decoder in result.main if decoder.training.subset == subset]
    steps = decoders[0].values["steps"]
    for colour, table in zip(COLOURS, TABLES, strict=False):
        band(axes, steps, stacked(decoders, f"{table} {OWN[table]}"), NAMES[table], colour)
        band(axes, steps, stacked(decoders, f"{table} {CROSS[table]}"), f"{table}, the other signature", colour, ":")
        others = [result.on_shuffled(decoder) for decoder in decoders]
        axes.plot(steps, stacked(others, f"{table} {OWN[table]}").T, "--", color=colour, linewidth=0.8)
    axes.plot([], [], "--", color="grey", label="trained on shuffled text")
    low, high = null_range(decoders)
    axes.fill_between(
        steps, low, high, color="#555555", alpha=0.35, linewidth=0, label="untrained, shuffled signatures"
    )
    axes.set_xscale("symlog", linthresh=10)
    axes.set(xlabel="step", ylabel="R_cos", title=subset, ylim=(-0.1, 1))
    axes.set_xticks(steps, [f"{step:g}" for step in steps], fontsize=7)
    axes.minorticks_off()
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def null_range(decoders: list[AlignedDecoder]) -> tuple[np.ndarray, np.ndarray]:
    """1st and 99th percentile, save by save, the widest over decoders, tables and the two nulls."""
    draws = []
    for decoder in decoders:
        for table in TABLES:
            name = f"{table} {OWN[table]}"
            over_time = decoder.values[f"{name} shuffled"]
            draws += [over_time, np.repeat(decoder.values[f"{name} untrained"][:, None], over_time.shape[1], axis=1)]
    low, high = (np.array([np.quantile(part, level, axis=0) for part in draws]) for level in (0.01, 0.99))
    return low.min(axis=0), high.max(axis=0)


def strength_panel(axes: Axes, result: DecoderAlignment) -> None:
    labels, places = quantiles(result)
    for colour, table in zip(COLOURS, TABLES, strict=False):
        mean, excess = np.moveaxis(stacked(result.main, f"{table} tails")[:, :, :2], 2, 0)
        band(axes, places, mean, NAMES[table], colour, "o-")
        axes.plot(places, (mean - excess).mean(axis=0), ":", color=colour, label="what the straight line gives")
    axes.set_xticks(places, labels)
    axes.set(xlabel="pairs above this quantile of similarity", ylabel="mean signature cosine")
    axes.set_title("strong pairs, all decoders")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def excess_panel(axes: Axes, result: DecoderAlignment) -> None:
    """Of the strongest pairs over the straight line, decoder by decoder, with the intervals over tokens."""
    for colour, table in zip(COLOURS, TABLES, strict=False):
        excess, low, high = stacked(result.main, f"{table} tails")[:, -1, 1:].T
        places = np.arange(len(excess)) + 0.15 * (TABLES.index(table) - 0.5)
        axes.errorbar(
            places,
            excess,
            np.abs([low - excess, high - excess]),
            fmt="o",
            color=colour,
            markersize=4,
            label=NAMES[table],
        )
    names = [f"{c.training.subset}\n{c.training.tokenizer}, {c.training.architecture}" for c in result.main]
    axes.set_xticks(range(len(names)), names, rotation=60, fontsize=6)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(ylabel="signature cosine", title="excess of the strongest pairs, 95 % interval (tokens)")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def layer_panel(axes: Axes, result: DecoderAlignment) -> None:
    depths = np.arange(result.setting.shape.layers + 2)
    for colour, name in zip(COLOURS, ("next", "previous"), strict=False):
        contexts = stacked(result.main, f"context {name}")
        band(axes, depths, contexts[:, -1], f"{name}, mean state in context", colour)
        axes.plot(depths, contexts[:, 0].mean(axis=0), "--", color=colour, label=f"{name}, in context, untrained")
        alone = stacked(result.main, f"alone {name}")[:, -1]
        axes.plot(depths, alone.mean(axis=0), ":", color=colour, label=f"{name}, token by itself")
    axes.set_xticks(depths, ["embedding", *(f"block {k}" for k in depths[1:-1]), "last norm"], rotation=30, fontsize=7)
    axes.set(ylabel="R_cos", title="states at every depth, all decoders, end of training")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def stacked(decoders: list[AlignedDecoder], name: str) -> np.ndarray:
    return np.array([decoder.values[name] for decoder in decoders])


def quantiles(result: DecoderAlignment) -> tuple[list[str], np.ndarray]:
    found = result.setting.shape.quantiles
    return [f"{100 * quantile:g} %" for quantile in found], np.arange(len(found))


if __name__ == "__main__":
    main(STUDY, draw, backwards=BACKWARDS)
