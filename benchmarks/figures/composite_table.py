"""Task by model: which signature orders the anchors, and what each model can learn.

`python benchmarks/figures/composite_table.py` prints the table and writes it as figure and as markdown; about 5 minutes
on two cores, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import cosine_panel, main
from matplotlib.figure import Figure

from jaxembed.studies.small.composite import ACTING, MODELS, STUDY, TASKS, CompositeEntry, CompositeTable


def draw(result: CompositeTable, figure: Figure) -> None:
    figure.set_size_inches(13, 8)
    panels = figure.subplots(len(MODELS), len(TASKS))
    for entry, axes in zip(result.entries, panels.T.ravel(), strict=True):
        image = cosine_panel(axes, entry.cosines, numbers(entry))
        axes.set_xlabel("anchor", fontsize=8)
        axes.set_ylabel("anchor", fontsize=8)
    figure.colorbar(image, ax=panels, label="cosine of embeddings, mean over seeds", shrink=0.7)


def numbers(entry: CompositeEntry) -> str:
    kind = ACTING.get(entry.task)
    acting = f"R_cos {kind} {entry.text(f'{kind} r_cos')}" if kind else "no acting signature of one token"
    names = [f"{name} {entry.text(name)}" for name in ("accuracy", "order")]
    return "\n".join([f"{entry.task}, {entry.model}", *names, acting])


if __name__ == "__main__":
    main(STUDY, draw)
