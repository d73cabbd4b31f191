"""Token memorisation: the first ten items read from the embedding of the tenth, beside what sufficiency allows.

`python benchmarks/figures/memorisation.py` trains on Gaussian items by likelihood and by squared error, fits a line
from the embedding after the tenth item to each of the ten (Figure 4 of zhang2024embed), writes table and figure, exits
non-zero where a figure falls short; about 8 minutes on one core for `--size normal`, a minute with the
`--keep FOLDER` of `sufficient_statistics.py` (they share networks), `--size tiny` seconds, `--size full` hours.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, band, plt, save
from _generated import notes_on, stamped_markdown, study_arguments
from common import finish, show

from jaxembed.runs.presets.catalogue import find_setting
from jaxembed.studies.sequences.memorisation import HEADER, ITEMS, NOISE_HEADER, NOISES, Memorisation, memorisation


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    seeds = {"tiny": 2, "quick": 3, "full": 5}[args.study]
    result = memorisation(args.study, seeds, args.keep, progress=lambda line: print(line, flush=True))
    show(f"R2 of items from the embedding of the tenth, {seeds} seeds", HEADER, result.rows())
    note = notes_on(args.study, seeds, {name: find_setting(name, args.study) for name in result.trained})
    stamped_markdown(args.out / f"memorisation{args.suffix}.md", HEADER, result.rows(), args.command, note)
    show("the mean over x_1 .. x_9 with noise on the embedding", NOISE_HEADER, result.noise_rows())
    path = args.out / f"memorisation_noise{args.suffix}.md"
    stamped_markdown(path, NOISE_HEADER, result.noise_rows(), args.command, note)
    draw(result, args.out / f"memorisation{args.suffix}.png")
    finish("token memorisation", result.checks())


def draw(result: Memorisation, path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    items = np.arange(1, ITEMS + 1)
    for name, colour in zip(result.trained, COLOURS, strict=False):
        band(left, items, result.items(name), name, colour, "o-")
        band(left, items, result.items(name, trained=False), f"{name}, untrained", colour, ":")
        for r2, label, style in ((result.trained, name, "o-"), (result.untrained, f"{name}, untrained", ":")):
            band(right, np.arange(len(NOISES)), r2[name][:, :, :-1].mean(axis=2), label, colour, style)
    for axes in (left, right):
        axes.axhline(result.sufficient[0], color="black", linestyle="--", label="exact: the mean of ten and x_10")
        axes.axhline(result.last_item[0], color="grey", linestyle="-.", label="exact: x_10 alone")
        axes.set(ylabel="R2 of a linear probe", ylim=(0, 1.05))
    left.set(xlabel="item", xticks=items, title="items in the embedding after the tenth")
    right.set_xticks(np.arange(len(NOISES)), [f"{noise:g}" for noise in NOISES])
    right.set(xlabel="noise on the embedding, standard deviations", title="mean over x_1 .. x_9")
    left.legend(fontsize=8, loc="lower center")
    seeds = len(next(iter(result.trained.values())))
    save(figure, path, f"size {result.size}, {seeds} seeds (line: mean; band: smallest to largest).")


if __name__ == "__main__":
    main()
