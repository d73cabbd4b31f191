"""Task by model: which signature orders the anchors, and what each model can learn.

`python benchmarks/figures/composite_table.py` prints the table, writes it as figure and as markdown, and exits non-zero
where a figure falls short; about 5 minutes on two cores, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import cosine_panel, markdown, plt, save
from common import arguments, finish
from rich.console import Console
from rich.table import Table

from jaxembed.studies.small.composite import HEADER, MODELS, TASKS, Cell, CompositeTable, composite_table
from jaxembed.studies.small.composite_checks import ACTING


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    table = composite_table(args.size, progress=lambda line: print(line, flush=True))
    show(table)
    errors = ("Gram error label signature", "Gram error context signature")
    rows = [(*cell.row(), str(cell.label.error), str(cell.context.error)) for cell in table.cells]
    markdown(args.out / "composite_table.md", (*HEADER, *errors), rows)
    draw(table, args.out / "composite_table.png")
    finish("composite tasks", table.checks())


def show(table: CompositeTable) -> None:
    title = f"mean ± sd over {table.seeds} seeds (null: the same training on shuffled labels); p: Mantel, over seeds"
    rich = Table(title=title, show_lines=True)
    for column in HEADER:
        rich.add_column(column, overflow="fold")
    for cell in table.cells:
        rich.add_row(*cell.row())
    Console(width=180).print(rich)


def draw(table: CompositeTable, path: Path) -> None:
    figure, panels = plt.subplots(len(MODELS), len(TASKS), figsize=(13, 8), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    for cell, axes in zip(table.cells, panels.T.ravel(), strict=True):
        image = cosine_panel(axes, cell.cosines, numbers(cell))
        axes.set_xlabel("anchor", fontsize=8)
        axes.set_ylabel("anchor", fontsize=8)
    figure.colorbar(image, ax=panels, label="cosine of embeddings, mean over seeds", shrink=0.7)
    setting = table.setting
    caption = (
        f"{setting.anchors} anchors, {setting.keys} keys, width {setting.width}, full-batch Adam "
        f"{setting.learning_rate:g}, {setting.steps} steps, float32; mean ± sd over {table.seeds} init seeds, "
        "null: shuffled labels.\n"
    )
    save(figure, path, caption)


def numbers(cell: Cell) -> str:
    lines = [f"{cell.task}, {cell.model}", f"accuracy {cell.accuracy}", f"order {cell.order}"]
    if cell.task not in ACTING:
        return "\n".join([*lines, "no acting signature of one token"])
    kind = ACTING[cell.task]
    return "\n".join([*lines, f"R_cos {kind} {getattr(cell, kind).r_cos}"])


if __name__ == "__main__":
    main()
