"""Weight decay and noisy labels: memorise, fit all and generalise, drop the noise, collapse.

`python benchmarks/figures/weight_decay.py` trains the two-position model on modular addition (P = 59, 80 % of the
table, a tenth of its labels redrawn) at five decays and draws accuracies on clean, noisy and held-out pairs; about 15
minutes on one core, `--size tiny` seconds; `--size published` (P = 113) needs a GPU.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import COLOURS, band, main
from matplotlib.figure import Figure

from jaxembed.studies.pairs.weight_decay import PARTS, STUDY, WeightDecay


def draw(result: WeightDecay, figure: Figure) -> None:
    count = len(result.accuracies)
    figure.set_size_inches(3.2 * count, 3.9)
    axes = figure.subplots(1, count, sharey=True, squeeze=False)[0]
    for panel, (decay, curves) in zip(axes, result.accuracies.items(), strict=True):
        for colour, part in zip(COLOURS, PARTS, strict=False):
            band(panel, result.steps, curves[part], part, colour)
        panel.axhline(result.chance, color="grey", linewidth=0.8, linestyle=":")
        panel.set(xlabel="step", ylim=(-0.02, 1.02))
        panel.set_title(f"decay {decay:g}\n{' / '.join(sorted(set(result.regimes(decay))))}", fontsize=9)
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy")
    axes[0].legend(fontsize=8)


if __name__ == "__main__":
    main(STUDY, draw)
