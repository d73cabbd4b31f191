"""Alignment of embeddings and unembeddings with next- and previous-token signatures through training, beside nulls.

`python benchmarks/figures/alignment.py` trains small decoders on subsets of The Pile (JAXEMBED_DATA names the folder
that holds `pile/`), two tokenisers and two architectures, prints tables, writes the figure, and exits non-zero where a
figure falls short; about 40 minutes on two cores, `--size tiny` (no data needed) half a minute. With `--cells FOLDER`
trained cells are kept as they finish, and a second call carries on; a second process with the same folder and
`--backwards` starts at the other end and shares the work.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import KEEP, arguments, finish, show

from jaxembed.studies.language.alignment_cells import CROSS, OWN, TABLES, Cell
from jaxembed.studies.language.alignment_through_training import (
    HEADER,
    LAYER_HEADER,
    NAMES,
    AlignmentThroughTraining,
    alignment_through_training,
)


def main() -> None:
    backwards = {"action": "store_true", "help": "train the cells in the other order"}
    args = arguments(__doc__.splitlines()[0], cells=KEEP, backwards=backwards)
    if args.size == "normal" and "JAXEMBED_DATA" not in os.environ:
        raise SystemExit("alignment: set JAXEMBED_DATA to the folder that holds pile/, or use --size tiny")
    result = alignment_through_training(
        args.size, progress=lambda line: print(line, flush=True), folder=args.cells, backwards=args.backwards
    )
    tables = {
        "alignment": (HEADER, result.rows()),
        "alignment_strength": (result.strength_header, result.strength_rows()),
        "alignment_layers": (LAYER_HEADER, result.layer_rows()),
    }
    for name, (header, rows) in tables.items():
        show(name, header, rows, width=200)
        markdown(args.out / f"{name}.md", header, rows)
    print("\n".join(result.early_lines()))
    draw(result, args.out / "alignment.png")
    finish("alignment through training", result.checks())


def draw(result: AlignmentThroughTraining, path: Path) -> None:
    subsets = list(dict.fromkeys(cell.training.subset for cell in result.main))
    figure, panels = plt.subplots(2, max(3, len(subsets)), figsize=(17, 10), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    for axes, subset in zip(panels[0], subsets, strict=False):
        course_panel(axes, result, subset)
    for axes in panels[0, len(subsets) :]:
        axes.axis("off")
    strength_panel(panels[1, 0], result)
    excess_panel(panels[1, 1], result)
    layer_panel(panels[1, 2], result)
    for axes in panels[1, 3:]:
        axes.axis("off")
    shape = result.setting.shape
    caption = (
        f"decoders of width {shape.width}, {shape.layers} layers, vocabulary {shape.vocab}, {shape.steps} steps of "
        f"{shape.batch} x {shape.length} tokens, AdamW {shape.learning_rate:g}, float32; the {shape.frequent} most "
        f"frequent tokens, signatures minus the unigram distribution. Bands: smallest to largest over tokenisers and "
        f"architectures;\ngrey: 1st to 99th percentile of {shape.draws} untrained networks and of signatures of "
        f"as many shuffled corpora; intervals: {shape.resamples} resamples of the tokens. "
    )
    save(figure, path, caption)


def course_panel(axes: plt.Axes, result: AlignmentThroughTraining, subset: str) -> None:
    cells = [cell for cell in result.main if cell.training.subset == subset]
    steps = cells[0].values["steps"]
    for colour, table in zip(COLOURS, TABLES, strict=False):
        band(axes, steps, stacked(cells, f"{table} {OWN[table]}"), NAMES[table], colour)
        band(axes, steps, stacked(cells, f"{table} {CROSS[table]}"), f"{table}, the other signature", colour, ":")
        others = [result.on_shuffled(cell) for cell in cells]
        axes.plot(steps, stacked(others, f"{table} {OWN[table]}").T, "--", color=colour, linewidth=0.8)
    axes.plot([], [], "--", color="grey", label="trained on shuffled text")
    low, high = null_range(cells)
    axes.fill_between(
        steps, low, high, color="#555555", alpha=0.35, linewidth=0, label="untrained, shuffled signatures"
    )
    axes.set_xscale("symlog", linthresh=10)
    axes.set(xlabel="step", ylabel="R_cos", title=subset, ylim=(-0.1, 1))
    axes.set_xticks(steps, [f"{step:g}" for step in steps], fontsize=7)
    axes.minorticks_off()
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def null_range(cells: list[Cell]) -> tuple[np.ndarray, np.ndarray]:
    """1st and 99th percentile, save by save, the widest over cells, tables and the two nulls."""
    draws = []
    for cell in cells:
        for table in TABLES:
            name = f"{table} {OWN[table]}"
            over_time = cell.values[f"{name} shuffled"]
            draws += [over_time, np.repeat(cell.values[f"{name} untrained"][:, None], over_time.shape[1], axis=1)]
    low, high = (np.array([np.quantile(part, level, axis=0) for part in draws]) for level in (0.01, 0.99))
    return low.min(axis=0), high.max(axis=0)


def strength_panel(axes: plt.Axes, result: AlignmentThroughTraining) -> None:
    labels, places = quantiles(result)
    for colour, table in zip(COLOURS, TABLES, strict=False):
        found = [cell.strength(table) for cell in result.main]
        band(axes, places, np.array([one.means[0] for one in found]), NAMES[table], colour, "o-")
        line = np.array([one.means[0] - one.excess[0] for one in found])
        axes.plot(places, line.mean(axis=0), ":", color=colour, label="what the straight line gives")
    axes.set_xticks(places, labels)
    axes.set(xlabel="pairs above this quantile of similarity", ylabel="mean signature cosine")
    axes.set_title("strong pairs, all cells")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def excess_panel(axes: plt.Axes, result: AlignmentThroughTraining) -> None:
    """Slope of the panel on its left, cell by cell, with the intervals over tokens."""
    for colour, table in zip(COLOURS, TABLES, strict=False):
        trends = np.array([cell.strength(table).trend for cell in result.main])
        places = np.arange(len(trends)) + 0.15 * (TABLES.index(table) - 0.5)
        reach = np.abs(trends[:, 1:].T - trends[:, 0][None, :])
        axes.errorbar(places, trends[:, 0], reach, fmt="o", color=colour, markersize=4, label=NAMES[table])
    names = [f"{c.training.subset}\n{c.training.tokenizer}, {c.training.architecture}" for c in result.main]
    axes.set_xticks(range(len(names)), names, rotation=60, fontsize=6)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(ylabel="rise of the mean per quantile", title="trend with its 95 % interval (tokens)")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def layer_panel(axes: plt.Axes, result: AlignmentThroughTraining) -> None:
    depths = np.arange(result.setting.shape.layers + 2)
    for colour, name in zip(COLOURS, ("next", "previous"), strict=False):
        contexts = np.array([cell.values[f"context {name}"] for cell in result.main])
        band(axes, depths, contexts[:, -1], f"{name}, mean state in context", colour)
        axes.plot(depths, contexts[:, 0].mean(axis=0), "--", color=colour, label=f"{name}, in context, untrained")
        alone = np.array([cell.values[f"alone {name}"][-1] for cell in result.main])
        axes.plot(depths, alone.mean(axis=0), ":", color=colour, label=f"{name}, token by itself")
    axes.set_xticks(depths, ["embedding", *(f"block {k}" for k in depths[1:-1]), "last norm"], rotation=30, fontsize=7)
    axes.set(ylabel="R_cos", title="states at every depth, all cells, end of training")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


def stacked(cells: list[Cell], name: str) -> np.ndarray:
    return np.array([cell.values[name] for cell in cells])


def quantiles(result: AlignmentThroughTraining) -> tuple[list[str], np.ndarray]:
    found = result.setting.shape.quantiles
    return [f"{100 * quantile:g} %" for quantile in found], np.arange(len(found))


if __name__ == "__main__":
    main()
