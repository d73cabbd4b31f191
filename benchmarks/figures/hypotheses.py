"""Discrete hypotheses: the posterior over rectangles and over number concepts, read from networks that predict items.

`python benchmarks/figures/hypotheses.py` trains networks on rectangles (easy and hard edges by squared error, easy ones
by a density too) and on the number game, 3 seeds each, scores a softmax probe beside its nulls and the exact posterior,
writes table and figure, and exits non-zero where a figure falls short; about a quarter of an hour on one core.
`--size tiny` takes half a minute, `--size full` the published sizes (half an hour for each network on a core). With
`--keep FOLDER` a killed run goes on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, plt, save
from _generated import stamped_markdown, study_arguments
from common import finish, show

from jaxembed.studies.sequences.hypotheses import HEADER, OWN, HypothesesStudy, hypotheses
from jaxembed.studies.sequences.hypothesis_cells import CEILING, MODEL, SOURCES, UNTRAINED

COLOUR_OF = dict(zip(SOURCES, (*COLOURS, "black"), strict=True))
SEEDS = {"tiny": 1, "quick": 3, "full": 5}


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    result = hypotheses(args.study, SEEDS[args.study], args.keep, lambda line: print(line, flush=True))
    show("which hypothesis, by a softmax probe (95 % interval over seeds: network and draws)", HEADER, result.rows())
    print(*result.notes(), sep="\n")
    named, note = "hypotheses_full" if args.study == "full" else "hypotheses", f"{args.study}, {result.seeds} seeds"
    stamped_markdown(args.out / f"{named}.md", HEADER, result.rows(), args.command, note)
    with (args.out / f"{named}.md").open("a", encoding="utf-8") as file:
        file.write("\n" + "".join(f"- {note}\n" for note in result.notes()))
    draw(result, args.out / f"{named}.png")
    finish("hypotheses", result.checks())


def draw(result: HypothesesStudy, path: Path) -> None:
    figure, panels = plt.subplot_mosaic(
        [["scores"] * len(result.curves), list(result.curves)], figsize=(18, 9), layout="constrained"
    )
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    score_panel(panels["scores"], result)
    for name, found in result.curves.items():
        panel, numbers = panels[name], np.arange(1, len(found["exact"]) + 1)
        panel.bar(numbers, found["exact"], width=1.0, color="#cccccc", label="exact posterior")
        for source, colour in ((MODEL, COLOURS[0]), (UNTRAINED, COLOURS[1])):
            panel.plot(
                numbers, found[source].mean(axis=0), color=colour, linewidth=1.2, label=f"read from the {source}"
            )
        panel.set(ylim=(-0.1, 1.1), xlabel="number", title=f"seen: {name}")
        panel.grid(alpha=0.3)
    first = panels[next(iter(result.curves))]
    first.set_ylabel("probability that it belongs")
    first.legend(fontsize=8)
    sizes = (f"{s.recipe.steps} steps of {s.recipe.batch} x {s.recipe.length}" for s in result.settings.values())
    trained = "; ".join(f"{run}: {size}" for run, size in zip(result.settings, sizes, strict=True))
    save(figure, path, f"{trained}; bars: mean over {result.seeds} seeds, points: seeds.\n")


def score_panel(axes: plt.Axes, result: HypothesesStudy) -> None:
    """Agreement with the posterior's argmax, filled, and with the generating hypothesis, its outline."""
    places = [(run, n) for run, members in result.scores.items() for n in members[0][OWN]]
    for offset, source in enumerate(SOURCES):
        at = np.arange(len(places)) + (offset - 2.5) * 0.14
        agreed = [result.values(run, n, source, "agreement") for run, n in places]
        right = [result.values(run, n, source, "generating").mean() for run, n in places]
        if source != CEILING:
            axes.bar(at, [values.mean() for values in agreed], 0.13, color=COLOUR_OF[source], label=source)
            for x, values in zip(at, agreed, strict=True):
                axes.plot([x] * len(values), values, ".", color="black", markersize=3)
        axes.bar(at, right, 0.13, fill=False, edgecolor="black", linewidth=0.8)
    axes.bar([0], [0], fill=False, edgecolor="black", label="outline: of the generating one; alone: exact posterior")
    axes.set_xticks(range(len(places)), [f"{run}\nafter {n + 1}" for run, n in places], fontsize=8)
    axes.set(ylim=(0, 1.05), title="share of sequences whose likeliest hypothesis is named")
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=8, ncols=6, loc="upper center", bbox_to_anchor=(0.5, -0.12))


if __name__ == "__main__":
    main()
