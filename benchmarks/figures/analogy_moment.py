"""The moment at which analogies of made words become solvable, by modes and start, against training.

`python benchmarks/figures/analogy_moment.py` trains 64 made words from five starts (quadratic and logistic loss, a
start 100 times smaller, shuffled pairs) and draws training beside theory; about a minute on one core, `--size tiny` ten
seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import COLOURS, band, main
from matplotlib.figure import Figure

from jaxembed.studies.words.analogy_moment import KINDS, RUNS, STUDY, AnalogyMoment


def draw(result: AnalogyMoment, figure: Figure) -> None:
    figure.set_size_inches(13, 5)
    for axes, kind in zip(figure.subplots(1, 2), KINDS, strict=True):
        for run, colour in zip(RUNS, COLOURS, strict=False):
            moments = result.moments[kind, run]
            band(axes, moments.times, moments.accuracy, f"trained, {run}", colour)
        plain = result.moments[kind, "quadratic"]
        axes.plot(plain.times, plain.theory.mean(axis=0), "--", color="black", linewidth=1, label="modes and start")
        axes.axvline(plain.last.mean(), color="grey", linewidth=0.8, linestyle=":", label="half-rise of the last mode")
        axes.axhline(0.5, color="grey", linewidth=0.5)
        axes.set(xlabel="flow time", ylabel="analogies right", ylim=(0, 1.03), title=f"{kind} attributes")
        axes.set_xscale("symlog", linthresh=0.1)
        axes.legend(fontsize=7)
        axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
