"""Networks of several topic models, each read on the documents of all: only its own topics are there to be read.

`python benchmarks/figures/cross_probing.py` trains five networks on five topic models of 200 words, reads each on the
documents of all five, with its own probe and with a probe retrained there (about 4 minutes on one core), writes table
and figure, and exits non-zero where a figure falls short; `--size tiny` takes seconds, `--size full` the published
sizes (hours).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import plt, save
from _generated import note_on, stamped_markdown, study_arguments
from common import finish, show

from jaxembed.studies.sequences.cross_probing import READINGS, SHOWN, CrossProbingStudy, cross_probing


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    seeds = {"tiny": 3, "quick": 5, "full": 5}[args.study]
    result = cross_probing(args.study, seeds, args.keep, lambda line: print(line, flush=True))
    show("the mixture read from network i on documents of process j", result.header(), result.rows())
    note = note_on(args.study, seeds, result.setting)
    stamped = f"{note}; masked networks (`cross_probing(..., masked=True)`): not run"
    stamped_markdown(args.out / f"cross_probing{args.suffix}.md", result.header(), result.rows(), args.command, stamped)
    draw(result, args.out / f"cross_probing{args.suffix}.png", note)
    finish("cross-probing", result.checks())


def draw(result: CrossProbingStudy, path: Path, note: str) -> None:
    figure, axes = plt.subplots(len(SHOWN), len(READINGS), figsize=(14, 8.5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    for row, metric in zip(axes, SHOWN, strict=True):
        values = [result.scores[reading][metric] for reading in READINGS]
        low, high = min(x.min() for x in values), max(x.max() for x in values)
        for panel, reading, matrix in zip(row, READINGS, values, strict=True):
            image = panel.imshow(matrix, vmin=low, vmax=high, cmap="viridis" if metric == "accuracy" else "viridis_r")
            for i, cells in enumerate(matrix):
                for j, value in enumerate(cells):
                    shown = f"{value:.2f}" if metric == "accuracy" else f"{value:.3f}"
                    panel.text(j, i, shown, ha="center", va="center", color="white", fontsize=8)
            places = range(len(matrix))
            panel.set(
                xticks=places, yticks=places, xticklabels=[j + 1 for j in places], yticklabels=[i + 1 for i in places]
            )
            panel.set(xlabel="documents of process", ylabel="network", title=f"{reading}: {metric}")
            figure.colorbar(image, ax=panel, shrink=0.7)
    ceiling = ", ".join(f"{value:.3f}" for value in result.ceiling["accuracy"])
    save(figure, path, f"{note}; accuracy of exact inference by process: {ceiling}.")


if __name__ == "__main__":
    main()
