"""The moment at which analogies of made words become solvable, told by modes and start, against training.

`python benchmarks/figures/analogy_moment.py` trains 64 made words from five starts (quadratic and logistic loss, a
start 100 times smaller, shuffled pairs), writes figure and table, prints the checks and exits non-zero where a figure
falls short; about a minute on one core, `--size tiny` ten seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.words.analogy_moment import HEADER, KINDS, RUNS, AnalogyMoment, analogy_moment


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = analogy_moment(args.size, progress=lambda line: print(line, flush=True))
    show("the moment at which analogies become solvable", HEADER, result.rows())
    markdown(args.out / "analogy_moment.md", HEADER, result.rows())
    draw(result, args.out / "analogy_moment.png")
    finish("the moment of analogies", result.checks())


def draw(result: AnalogyMoment, path: Path) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.08, 1, 0.92))
    for axes, kind in zip(panels, KINDS, strict=True):
        for run, colour in zip(RUNS, COLOURS, strict=False):
            found = result.of(kind, run)
            band(axes, found.times, found.accuracy, f"trained, {run}", colour)
        told = result.of(kind)
        axes.plot(told.times, told.told.mean(axis=0), "--", color="black", linewidth=1, label="modes and start")
        axes.axvline(told.last.mean(), color="grey", linewidth=0.8, linestyle=":", label="half-rise of the last mode")
        axes.axhline(0.5, color="grey", linewidth=0.5)
        axes.set(xlabel="flow time", ylabel="analogies right", ylim=(0, 1.03), title=f"{kind} attributes")
        axes.set_xscale("symlog", linthresh=0.1)
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    setting = result.setting
    seeds = len(result.moments[0].last)
    caption = (
        f"strengths {setting.strengths}, init scale {setting.init_scale:g}, gradient descent rate "
        f"{setting.learning_rate:g}, float64, {seeds} init seeds (bands: smallest to largest);\nmodes alone, "
        "without what is left of the start, solve every question from the first moment. "
    )
    save(figure, path, caption)


if __name__ == "__main__":
    main()
