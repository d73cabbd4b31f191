"""Label noise and zero divisors: early slopes measured in training against those predicted from collision counts.

`python benchmarks/figures/label_noise.py` trains a two-position model on tables with 0.1 to 0.9 label noise and on
multiplication modulo 59, 60, 61, prints predicted and measured slopes, writes the figure, and exits non-zero where a
figure falls short; about 2 minutes on one core, `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.pairs.label_noise import HEADER, LabelNoise, label_noise


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = label_noise(args.size, seeds=3, progress=lambda line: print(line, flush=True))
    show_table(result)
    markdown(args.out / "label_noise.md", HEADER, result.rows())
    draw(result, args.out / "label_noise.png")
    finish("label noise and collisions", result.checks())


def show_table(result: LabelNoise) -> None:
    show(
        f"slope -dl/dt of the mean loss at the start, per flow time, {result.seeds} init seeds, float64",
        HEADER,
        result.rows(),
        width=140,
    )


def draw(result: LabelNoise, path: Path) -> None:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.09, 1, 0.91))
    scatter_panel(left, result)
    noise_panel(middle, result)
    course_panel(right, result)
    setting = result.setting
    caption = (
        f"two-position GELU model, width {setting.width}, init scale width^-1/2, gradient descent, float64, "
        f"{result.seeds} init seeds (bars and bands: smallest to largest); slopes from the first {setting.steps} steps "
        f"of {setting.step:g}, courses with steps of {setting.long_step:g};\nnull: parts dealt at random. "
    )
    save(figure, path, caption)


def scatter_panel(axes: plt.Axes, result: LabelNoise) -> None:
    for colour, part in zip(COLOURS, ("clean", "corrupted", "all"), strict=False):
        cells = result.pick(part)
        predicted = np.array([cell.predicted for cell in cells])
        bars(axes, predicted, np.array([cell.measured for cell in cells]), colour, "o", part)
    noisy = [cell for cell in result.cells if cell.part != "all"]
    null = np.array([cell.null for cell in noisy])
    bars(axes, null, np.array([cell.measured for cell in noisy]), "#bbbbbb", "x", "null: parts dealt at random")
    ends = [cell.predicted for cell in result.cells]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="slope predicted", ylabel="slope measured")
    r, null_r = result.correlation, result.null_correlation
    axes.set_title(
        f"Pearson {r.min():.4f} .. {r.max():.4f}; null, noisy parts {null_r.min():.2f} .. {null_r.max():.2f}"
    )
    axes.legend(fontsize=8)


def bars(axes: plt.Axes, x: np.ndarray, values: np.ndarray, colour: str, marker: str, label: str) -> None:
    """Mean over seeds `[cell, seed]` with a bar from the smallest to the largest."""
    mean = values.mean(axis=1)
    reach = np.abs(np.stack([values.min(axis=1), values.max(axis=1)]) - mean)
    axes.errorbar(x, mean, reach, fmt=marker, color=colour, markersize=5, linewidth=1, label=label)


def noise_panel(axes: plt.Axes, result: LabelNoise) -> None:
    for colour, part in zip(COLOURS, ("clean", "corrupted"), strict=False):
        cells = result.pick(part)
        noises = np.array([cell.noise for cell in cells])
        bars(axes, noises, np.array([cell.measured for cell in cells]), colour, "o", f"{part}, measured")
        axes.plot(noises, [cell.predicted for cell in cells], "--", color=colour, label=f"{part}, predicted")
    axes.set(xlabel="label noise", ylabel="slope -dl/dt at the start", ylim=(0, None))
    axes.set_title("corrupted examples fall faster")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def course_panel(axes: plt.Axes, result: LabelNoise) -> None:
    lines = [(course, part) for course in result.courses for part in course.losses]
    for number, (course, part) in enumerate(lines):
        losses = course.losses[part]
        label = course.table if part == "all" else f"{course.table}, {part}"
        band(axes, course.times, losses / losses[:, :1], label, COLOURS[number % len(COLOURS)])
    axes.set(xlabel="flow time", ylabel="mean loss / its start")
    axes.set_title("further on")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
