"""Five word models on twelve domains of The Pile, from half a million words to all: scores, and the published order.

`JAXEMBED_DATA=... python benchmarks/figures/word_models.py --keep FOLDER` prints the table, every relation of the
published order with its paired interval, and the checks, and exits non-zero where one falls short. About half an hour
on two cores; what is kept in FOLDER is not made again. `--seeds 1` trains once, `--words 500000 1000000` takes these
sizes only. `--size tiny` takes ten seconds. Rows called svd(..), as published, are eigenpairs of largest value;
negative eigenvalues are dropped.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, markdown, plt, save
from common import KEEP, arguments, finish, show

from jaxembed.studies.words.word_cells import FACTORISED, NULLS, TRAINED
from jaxembed.studies.words.word_models import EQUAL, ORDER, ORDER_HEADER, WordModels, word_models
from jaxembed.studies.words.word_scores import ANALOGIES

SVD = "svd(..): eigenpairs of largest value, negative ones dropped"
SUMMARY = ("words", "measure", "as published", "reversed", "open")
SHADES = {"as published": COLOURS[2], "open": "#dddddd", "reversed": COLOURS[1]}


def main() -> None:
    seeds = {"type": int, "help": "trainings of each trained model"}
    sizes = {"type": int, "nargs": "+", "help": "sizes of the text, instead of the setting's"}
    args = arguments(__doc__.splitlines()[0], keep=KEEP, seeds=seeds, words=sizes)
    words = tuple(args.words) if args.words else None
    result = word_models(args.size, seeds=args.seeds, words=words, keep=args.keep, progress=told)
    tables = [
        (f"word models on {result.text}, d = {result.setting.making.width}; {SVD}", result.header, result.rows()),
        ("relations of the published order", ORDER_HEADER, result.order_rows()),
        (f"how the {len(ORDER)} relations stand", SUMMARY, result.summary_rows()),
    ]
    for name, (title, header, rows) in zip(("", "_order", "_summary"), tables, strict=True):
        show(title, header, rows, width=220)
        markdown(args.out / f"word_models{name}.md", header, rows)
    draw(result, args.out / "word_models.png")
    finish("word models", result.checks())


def told(line: str) -> None:
    print(line, flush=True)


def draw(result: WordModels, path: Path) -> None:
    measures = [measure for measure in (ANALOGIES, "MEN", "WS-353", "SimLex") if measure in result.measures]
    measures += [measure for measure in result.measures if measure not in (*measures, "RW")]
    figure, axes = plt.subplots(1, len(measures) + 1, figsize=(5 * len(measures) + 6, 5.4), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.07, 1, 0.93))
    for panel, measure in zip(axes, measures, strict=False):
        score_panel(panel, result, measure)
    axes[0].legend(fontsize=8)
    order_panel(axes[-1], result)
    setting = result.setting
    trainings = len(result.found[-1].score(ANALOGIES, TRAINED[0]).seeds)
    caption = (
        f"{result.text}, lower-cased words seen 5 times or more, window {setting.making.window}, d = "
        f"{setting.making.width}; bars: 95 % over redraws of word pairs, the same for all models;\n"
        f"trained models: mean of {trainings} seeds. The order is that published at 2 G words; {SVD}. "
    )
    save(figure, path, caption)


def score_panel(axes: plt.Axes, result: WordModels, measure: str) -> None:
    """One measure by size of the text, every model beside the others so that bars do not cover each other."""
    names = (*TRAINED, *FACTORISED, *NULLS)
    for place, name in enumerate(names):
        found = [part.score(measure, name) for part in result.found]
        x = np.array([part.words for part in result.found]) * 1.02 ** (place - len(names) / 2)
        mean = np.array([score.mean for score in found])
        reach = np.abs(np.array([score.interval for score in found]).T - mean[None, :])
        colour = (*COLOURS, "#b8860b")[place] if name not in NULLS else "#bbbbbb"
        style = "-o" if name in TRAINED else "--s" if name not in NULLS else ":x"
        axes.errorbar(x, mean, reach, fmt=style, color=colour, label=name, markersize=4, linewidth=1.2, elinewidth=0.8)
    axes.set(xscale="log", xlabel="words of text", title=measure)
    axes.set_xticks([part.words for part in result.found], [f"{part.words / 1e6:.2g} M" for part in result.found])
    axes.minorticks_off()
    axes.set_ylabel("questions right" if measure == ANALOGIES else "Spearman")
    axes.grid(alpha=0.3)


def order_panel(axes: plt.Axes, result: WordModels) -> None:
    """Every relation of the published order on analogies, by size."""
    relations = [*ORDER, EQUAL]
    for column, part in enumerate(result.found):
        for row, relation in enumerate(relations):
            difference, low, high, stands = part.standing(ANALOGIES, *relation)
            shade = SHADES[stands] if relation != EQUAL else "white"
            axes.add_patch(plt.Rectangle((column, row), 1, 1, facecolor=shade, edgecolor="white"))
            text = f"{100 * difference:+.1f}\n[{100 * low:.1f}, {100 * high:.1f}]"
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5)
    labels = [f"{better} {'~' if (better, worse) == EQUAL else '>'} {worse}" for better, worse in relations]
    axes.set_yticks(
        np.arange(len(labels)) + 0.5, [label.replace(", smoothing 1e-25", "") for label in labels], fontsize=7
    )
    axes.set_xticks(np.arange(len(result.found)) + 0.5, [f"{part.words / 1e6:.2g} M" for part in result.found])
    axes.set(xlim=(0, len(result.found)), ylim=(len(labels), 0), xlabel="words of text")
    axes.set_title(
        "published order, analogies: points of difference\ngreen as published, orange reversed, grey open", fontsize=9
    )


if __name__ == "__main__":
    main()
