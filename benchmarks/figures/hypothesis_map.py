"""The map of rectangles: two principal components of a network's state, coloured by the likeliest rectangle.

`python benchmarks/figures/hypothesis_map.py` trains networks on easy rectangles (or reads those of `hypotheses.py` from
`--keep`), prints how much of position and extent a line reads from the two components, beside an untrained network, and
draws the first seed's; a few minutes on one core. `--size tiny` takes seconds, `--size published` the published sizes.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import main
from matplotlib.figure import Figure

from jaxembed.studies.sequences.hypothesis_map import STUDY, HypothesisMap

COLOURED = (
    ("mean coordinate of the centre", lambda box: box[:, :2].mean(axis=1)),
    ("centre, first axis", lambda box: box[:, 0]),
    ("centre, second axis", lambda box: box[:, 1]),
    ("extent, first axis", lambda box: box[:, 2]),
)


def draw(result: HypothesisMap, figure: Figure) -> None:
    figure.set_size_inches(18, 9)
    panels = figure.subplots(2, len(COLOURED), squeeze=False)
    for row, (name, two) in zip(panels, result.picture.items(), strict=True):
        for panel, (title, of) in zip(row, COLOURED, strict=True):
            points = panel.scatter(*two.T, c=of(result.boxes), s=4, cmap="viridis", linewidths=0)
            figure.colorbar(points, ax=panel)
            panel.set(title=title, xlabel="first component", ylabel="second component")
        row[0].set_ylabel(f"{name}\nsecond component")


if __name__ == "__main__":
    main(STUDY, draw)
