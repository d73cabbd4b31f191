"""Task vectors of analogy families: signal-to-noise against width, spectrum beside theory, and what orders accuracy.

`JAXEMBED_DATA=FOLDER python benchmarks/figures/task_vectors.py` counts the twelve domains of The Pile, factorises M*,
looks at Google's families, prints tables, writes the figure, and exits non-zero where a figure falls short; about five
minutes on one core, `--size tiny` (made words, no data needed) five seconds. With `--keep FOLDER` text and eigenvectors
are kept, and a second call takes seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax.numpy as jnp
import numpy as np
from _drawing import COLOURS, plt, save
from _generated import stamped_markdown, study_arguments
from common import finish, show

from jaxembed.studies.words.task_vectors import HEADER, ORDER_HEADER, Family, TaskVectorsResult, task_vectors_study
from jaxembed.theory import task_vectors as theory


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    if args.size == "full":
        raise SystemExit("task vectors: there is no full size; the published corpus is not at hand")
    try:
        result = task_vectors_study(args.size, args.keep, progress=lambda line: print(line, flush=True))
    except ValueError as error:
        raise SystemExit(f"task vectors: {error}") from None
    for ending, title, header, rows in (
        ("", "task vectors by family", HEADER, result.rows()),
        ("_order", "what orders families by accuracy", ORDER_HEADER, result.order_rows()),
    ):
        show(title, header, rows, width=220)
        stamped_markdown(args.out / f"task_vectors{ending}.md", header, rows, args.command, f"{title}; {note(result)}")
    draw(result, args.out / "task_vectors.png")
    finish("task vectors", result.checks())


def note(result: TaskVectorsResult) -> str:
    few = f"; too few pairs: {', '.join(result.left_out)}" if result.left_out else ""
    return (
        f"{result.described}; spectra and analogies at width {result.setting.scored}; analogies: {result.convention}; "
        f"brackets of the shuffles: 2.5 and 97.5 % of {result.setting.shuffles}; edge and spike: ratios to theory{few}"
    )


def draw(result: TaskVectorsResult, path: Path) -> None:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(17, 5.2), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.09, 1, 0.91))
    width_panel(left, result)
    spectrum_panel(middle, max(result.families, key=lambda family: np.nan_to_num(family.accuracy)))
    order_panel(right, result)
    for panel in (left, middle, right):
        panel.grid(alpha=0.3)
    scored = result.setting.scored
    caption = (
        f"{result.described}; offsets of raw vectors, columns by eigenvalue; spectrum and accuracy at d = {scored};\n"
        "bars: 95 % over resampled word pairs; grey: partners shuffled, mean over families. "
    )
    save(figure, path, caption)


def width_panel(axes: plt.Axes, result: TaskVectorsResult) -> None:
    best = sorted(result.families, key=lambda family: -np.nan_to_num(family.accuracy))
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.95, len(best)))
    for family, colour in zip(best, colours, strict=True):
        widths = result.setting.widths[: len(family.snr)]
        label = f"{family.name}, {family.accuracy:.0%}"
        axes.plot(widths, family.snr, color=colour, linewidth=1.3, label=label)
        axes.plot(widths[int(np.argmax(family.snr))], max(family.snr), "o", color=colour, markersize=4)
    shuffled = np.mean([family.snr_shuffled for family in best], axis=0)
    axes.plot(result.setting.widths[: len(shuffled)], shuffled, "--", color="grey", label="shuffled partners")
    axes.set(xscale="log", xlabel="width d of the vectors", ylabel="signal-to-noise of the task vector")
    axes.set_title("SNR against width (family, accuracy)")
    axes.legend(fontsize=6.5)


def spectrum_panel(axes: plt.Axes, family: Family) -> None:
    low, high = (float(edge) for edge in theory.bulk_edges(family.ratio))
    at = np.linspace(max(low, 1e-3), high, 400)
    bulk = np.array([value for value in family.bulk if value > 1e-9])  # more pairs than columns leave zeros
    axes.hist(bulk, bins=np.linspace(0, 1.15 * max(high, bulk[0]), 30), density=True, color=COLOURS[0], alpha=0.5,
              label="offsets less their mean")  # fmt: skip
    axes.plot(
        at,
        theory.bulk_density(jnp.asarray(at), family.ratio) * max(1, family.ratio),
        color="black",
        label="bulk of theory",
    )
    spike = float(theory.spike(family.strength, family.ratio))
    axes.axvline(spike, color="black", linestyle="--", label=f"spike of theory, {spike:.1f}")
    axes.plot(
        family.spectrum[0],
        0.05,
        "v",
        color=COLOURS[1],
        markersize=9,
        label=f"largest eigenvalue, {family.spectrum[0]:.1f}",
    )
    axes.set(xscale="symlog", xlabel="eigenvalue of the Gram matrix, in units of the noise", ylabel="density")
    axes.set_title(
        f"{family.name}: {family.covered} pairs, {family.covered / family.ratio:.0f} effective dimensions", fontsize=10
    )
    axes.legend(fontsize=7)


def order_panel(axes: plt.Axes, result: TaskVectorsResult) -> None:
    x, y = result.column("largest SNR"), result.column("accuracy")
    ends = np.array([family.interval for family in result.families])
    axes.errorbar(x, y, yerr=np.abs(ends.T - y[None, :]), fmt="o", color=COLOURS[0], markersize=4, linewidth=0.8)
    for family, across, up in zip(result.families, x, y, strict=True):
        axes.annotate(family.name, (across, up), fontsize=6.5, xytext=(4, 3), textcoords="offset points")
    label, *found = result.order_rows()[0]
    axes.set(xlabel="largest SNR over widths", ylabel="analogies right (of the covered ones)")
    axes.set_title(f"{label} orders accuracy: Spearman {' '.join(dict.fromkeys(found))}", fontsize=10)


if __name__ == "__main__":
    main()
