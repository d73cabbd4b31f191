"""First steps of an attention-only transformer from zero weights against their closed forms, matrix by matrix.

`python benchmarks/figures/attention_only.py` trains on Markov corpora and on the words of Python's documentation,
prints relative errors and cosines of every matrix side by side, writes the figure, and exits non-zero where a figure
falls short; some minutes on one core, most of them for the text; `--size tiny` half a minute.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.small.attention_only import HEADER, MATRICES, Course, FirstSteps, attention_only

NAMES = dict(zip(MATRICES, ("W_O", "V", "W", "P"), strict=True))


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = attention_only(args.size, progress=lambda line: print(line, flush=True))
    show_table(result)
    markdown(args.out / "attention_only.md", HEADER, result.rows())
    draw(result, args.out / "attention_only.png")
    finish("first steps from zero weights", result.checks())


def show_table(result: FirstSteps) -> None:
    show(
        "relative errors and cosines, worst layer and seed; losses are means over seeds; float64", HEADER, result.rows()
    )


def draw(result: FirstSteps, path: Path) -> None:
    figure, panels = plt.subplots(len(result.courses), 2, figsize=(12, 4.5 * len(result.courses)), squeeze=False,
                                  layout="constrained")  # fmt: skip
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    for (left, right), course in zip(panels, result.courses.values(), strict=True):
        error_panel(left, course)
        cosine_panel(right, course)
    save(figure, path, f"{result.setting.layers} layers, zero start, exact flow against (A10); mean over corpora, band "
         "smallest to largest, layer by layer the worst; dashed: statistics of shuffled sequences.")  # fmt: skip


def title(course: Course) -> str:
    corpus = course.corpus
    size = f"{corpus.vocab} tokens, {corpus.length} positions, {corpus.examples} sequences"
    return f"{corpus.kind}: {size}, {len(course.start)} corpora"


def error_panel(axes: plt.Axes, course: Course) -> None:
    for colour, matrix in zip(COLOURS, MATRICES, strict=False):
        band(axes, course.times, course.flow[matrix].max(axis=2), NAMES[matrix], colour, "o-")
        axes.plot(course.times, course.null[matrix].min(axis=(0, 2)), "--", color=colour, linewidth=0.8)
    axes.axhline(1e-3, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="flow time", ylabel="relative error", title=title(course))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def cosine_panel(axes: plt.Axes, course: Course) -> None:
    for colour, matrix in zip(COLOURS, MATRICES, strict=False):
        band(axes, course.times, course.cosine[matrix].min(axis=2), NAMES[matrix], colour, "o-")
        axes.plot(course.times, course.null_cosine[matrix].max(axis=(0, 2)), "--", color=colour, linewidth=0.8)
    axes.set(xscale="log", xlabel="flow time", ylabel="cosine", ylim=(None, 1.02))
    axes.set_title("the same, as a cosine: high long after sizes are wrong", fontsize=10)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
