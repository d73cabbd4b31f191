"""Documents of topics: the mixture read from networks that predict words, beside the exact posterior mean.

`python benchmarks/figures/topics.py` trains autoregressive networks at alpha 0.5, 0.8 and 1, and masked ones with as
many predictions, on 200 words (3 seeds; about 4 minutes on one core), writes table and figure, and exits non-zero where
a figure falls short; `--size tiny` takes seconds, `--size full` the published sizes (hours).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, plt, save
from _generated import note_on, stamped_markdown, study_arguments
from common import finish, show

from jaxembed.studies.sequences.topics import HEADER, TopicsStudy, topics

STYLES = {
    "ceiling": ("#000000", "ceiling: posterior mean, topics known"),
    "autoregressive": (COLOURS[0], "autoregressive, last word"),
    "masked": (COLOURS[1], "masked, average over words"),
    "word frequencies": (COLOURS[2], "softmax regression on word frequencies"),
    "masked, untrained": ("#f0b49a", "masked, untrained, average"),
    "untrained": (COLOURS[3], "autoregressive, untrained"),
    "last item": (COLOURS[4], "last word alone"),
    "shuffled targets": ("#999999", "shuffled targets"),
    "constant": ("#cccccc", "constant"),
}


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    seeds = {"tiny": 2, "quick": 3, "full": 5}[args.study]
    result = topics(args.study, seeds, args.keep, lambda line: print(line, flush=True))
    show("the mixture of a document, 95 % intervals over seeds (network, topics, documents)", HEADER, result.rows())
    note = note_on(args.study, seeds, result.setting)
    stamped_markdown(args.out / f"topics{args.suffix}.md", HEADER, result.rows(), args.command, note)
    draw(result, args.out / f"topics{args.suffix}.png", note)
    finish("topics", result.checks())


def draw(result: TopicsStudy, path: Path, note: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(14, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    for panel, metric in zip(axes, ("accuracy", "L2"), strict=True):
        for place, (source, (colour, label)) in enumerate(STYLES.items()):
            alphas = [alpha for alpha in result.plan.alphas if source in result.sources(alpha)]
            at = [result.plan.alphas.index(alpha) + (place - 4) * 0.09 for alpha in alphas]
            values = [result.values(alpha, source, metric) for alpha in alphas]
            panel.bar(at, [np.mean(one) for one in values], 0.085, color=colour, label=label)
            for x, one in zip(at, values, strict=True):
                panel.plot([x] * len(one), one, ".", color="black", markersize=3)
        panel.set(xticks=range(len(result.plan.alphas)), xticklabels=[f"{alpha:g}" for alpha in result.plan.alphas])
        panel.set(xlabel="alpha of the mixtures", title=f"{metric} against the generating mixture")
        panel.grid(alpha=0.3, axis="y")
    axes[1].legend(fontsize=8, loc="upper right")
    save(figure, path, f"{note}; bars: mean over seeds, points: seeds.")


if __name__ == "__main__":
    main()
