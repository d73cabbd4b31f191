"""Weight decay and noisy labels: memorise, fit all and generalise, drop the noise, collapse.

`python benchmarks/figures/weight_decay.py` trains the two-position model on modular addition (P = 59, 80 % of the
table, a tenth of its labels redrawn) at five decays, prints and draws accuracies on clean, noisy and held-out pairs,
and exits non-zero where a regime is missing; about 15 minutes on one core, `--size tiny` seconds.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, markdown, plt, save
from common import arguments, finish, show

from jaxembed.studies.pairs.weight_decay import HEADER, PARTS, WeightDecay, weight_decay


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    result = weight_decay(args.size, progress=lambda line: print(line, flush=True))
    show_table(result)
    markdown(args.out / "weight_decay.md", HEADER, result.rows())
    draw(result, args.out / "weight_decay.png")
    finish("weight decay", result.checks())


def show_table(result: WeightDecay) -> None:
    seeds = len(result.lucky)
    show(f"final accuracies, {seeds} seeds; {notes(result)}", HEADER, result.rows())


def notes(result: WeightDecay) -> str:
    """Chance, the noise accuracy of a perfect model, and the decay above which the origin attracts."""
    return (
        f"chance {result.chance:.3f}; of the redrawn labels {result.lucky.mean():.3f} are right by chance; small "
        f"states leave the origin at rate c1 S1 = {result.escape.mean():.2g}"
    )


def draw(result: WeightDecay, path: Path) -> None:
    count = len(result.accuracies)
    figure, axes = plt.subplots(1, count, figsize=(3.2 * count, 3.9), sharey=True, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.12, 1, 0.88))
    for panel, (decay, found) in zip(np.atleast_1d(axes), result.accuracies.items(), strict=True):
        for colour, part in zip(COLOURS, PARTS, strict=False):
            band(panel, result.steps, found[part], part, colour)
        panel.axhline(result.chance, color="grey", linewidth=0.8, linestyle=":")
        panel.set(xlabel="step", ylim=(-0.02, 1.02))
        panel.set_title(f"decay {decay:g}\n{' / '.join(sorted(set(result.regimes(decay))))}", fontsize=9)
        panel.grid(alpha=0.3)
    np.atleast_1d(axes)[0].set_ylabel("accuracy")
    np.atleast_1d(axes)[0].legend(fontsize=8)
    setting = result.setting
    caption = (
        f"modular addition, P = {setting.size}, width {setting.width}, 80 % of the table in training, a tenth of its "
        f"labels redrawn; full-batch descent, step {setting.step:g}, momentum {setting.momentum:g}, float32; "
        f"{len(result.lucky)} seeds (split, noise, start; band: smallest to largest);\n{notes(result)}."
    )
    save(figure, path, caption)


if __name__ == "__main__":
    main()
