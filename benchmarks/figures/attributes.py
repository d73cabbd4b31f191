"""Words made of attributes: analogies by eigendecomposition and along the training of word embeddings.

`python benchmarks/figures/attributes.py` prints the decompositions and the checks, writes the figure and the table,
and exits non-zero where a figure falls short; about half a minute on one core, `--size tiny` ten seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.words.attributes import HEADER, RUNS, AttributesResult, attributes_study


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = attributes_study(args.size, progress=lambda line: print(line, flush=True))
    show(f"analogies by eigendecomposition, {result.count} attributes, {2**result.count} words", HEADER, result.rows())
    markdown(args.out / "attributes.md", HEADER, result.rows())
    draw(result, args.out / "attributes.png")
    finish("words made of attributes", result.checks())


def draw(result: AttributesResult, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    accuracy_panel(left, result)
    modes_panel(right, result)
    setting = result.setting
    caption = (
        f"strengths {setting.strengths}, probabilities {setting.probabilities}; tied word embeddings of width "
        f"{result.count}, init scale {setting.init_scale:g},\ngradient descent rate {setting.learning_rate:g}, "
        f"{len(result.arrival)} init seeds (band: smallest to largest), float64; a tie is not won. "
    )
    save(figure, path, caption)


def accuracy_panel(axes: plt.Axes, result: AttributesResult) -> None:
    for run, colour in zip(RUNS, COLOURS, strict=False):
        band(axes, result.times, result.accuracy[run], run, colour)
    axes.axhline(result.ceiling, color="black", linewidth=0.8, linestyle="--", label="M*, d eigenvectors")
    axes.axhline(result.chance, color="grey", linewidth=0.8, linestyle=":", label="chance")
    for time in result.half_times:
        axes.axvline(time, color="grey", linewidth=0.6, alpha=0.6)
    axes.set(xlabel="flow time (lines: half-times of the modes)", ylabel="analogies right", ylim=(0, 1.03))
    axes.set_title("analogies along training")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def modes_panel(axes: plt.Axes, result: AttributesResult) -> None:
    for k in range(result.count):
        colour = COLOURS[k % len(COLOURS)]
        axes.plot(result.times, result.power[0, :, k], color=colour, label=f"mode {k + 1}")
        axes.plot(result.times, result.predicted[0, :, k], "--", color="black", linewidth=0.8)
    axes.set(xlabel="flow time", ylabel="s_k^2 (dashes: sigmoids)", title="modes along training, first seed")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
