"""The map of rectangles: two principal components of a network's state, coloured by the likeliest rectangle.

`python benchmarks/figures/hypothesis_map.py` trains networks on easy rectangles (or reads those of `hypotheses.py` from
`--keep`), prints how much of position and extent a line reads from the two components, beside an untrained network, and
draws the first seed's; a few minutes on one core. `--size tiny` takes seconds, `--size full` the published sizes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from _drawing import plt, save
from _generated import stamped_markdown, study_arguments
from common import finish, show

from jaxembed.studies.sequences.hypothesis_map import HEADER, HypothesisMap, hypothesis_map

COLOURED = (
    ("mean coordinate of the centre", lambda box: box[:, :2].mean(axis=1)),
    ("centre, first axis", lambda box: box[:, 0]),
    ("centre, second axis", lambda box: box[:, 1]),
    ("extent, first axis", lambda box: box[:, 2]),
)
SEEDS = {"tiny": 1, "quick": 3, "full": 5}


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    result = hypothesis_map(args.study, SEEDS[args.study], args.keep, lambda line: print(line, flush=True))
    show("R2 from two components (95 % interval over seeds: network and draws)", HEADER, result.rows())
    named = "hypothesis_map_full" if args.study == "full" else "hypothesis_map"
    note = f"{args.study}, {SEEDS[args.study]} seeds; {result.note()}"
    stamped_markdown(args.out / f"{named}.md", HEADER, result.rows(), args.command, note)
    draw(result, args.out / f"{named}.png")
    finish("map of rectangles", result.checks())


def draw(result: HypothesisMap, path: Path) -> None:
    figure, panels = plt.subplots(2, len(COLOURED), figsize=(18, 9), layout="constrained", squeeze=False)
    figure.get_layout_engine().set(rect=(0, 0.04, 1, 0.96))
    for row, (name, two) in zip(panels, result.picture.items(), strict=True):
        for panel, (title, of) in zip(row, COLOURED, strict=True):
            points = panel.scatter(*two.T, c=of(result.boxes), s=4, cmap="viridis", linewidths=0)
            figure.colorbar(points, ax=panel)
            panel.set(title=title, xlabel="first component", ylabel="second component")
        row[0].set_ylabel(f"{name}\nsecond component")
    note = f"easy rectangles, states that have read {result.items} points, coloured by the likeliest rectangle"
    save(figure, path, f"{note}; first of {len(result.explained['model'])} seeds.")


if __name__ == "__main__":
    main()
