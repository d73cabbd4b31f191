"""The basis that training finds, named beforehand from the table alone: XOR, modular addition, a random table.

`python benchmarks/figures/xor_basis.py` finds the bases, trains a two-position model on each table and shows how many
of its units have one dominant index in all three matrices; about a minute on one core, `--size tiny` half of one.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from common import COLOURS, main
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxembed.studies.pairs.xor_basis import SPARSE, STUDY, Operation, XorBasis


def draw(result: XorBasis, figure: Figure) -> None:
    figure.set_size_inches(13, 8)
    axes = figure.subplots(2, 3)
    for column, operation in enumerate(result.operations):
        sparsity_panel(axes[0, column], operation)
        index_panel(axes[1, column], operation)


def sparsity_panel(axes: Axes, operation: Operation) -> None:
    """Largest share of a unit's spectrum, least of the three matrices: trained, untrained, random bases."""
    bins = np.linspace(0, 1, 41).tolist()
    groups = {"trained": operation.trained, "untrained": operation.untrained, "random bases": operation.random}
    for colour, (name, neurons) in zip(COLOURS, groups.items(), strict=False):
        least = neurons.sparsity.min(axis=1).ravel()
        axes.hist(least, bins, weights=np.full(least.size, 1 / least.size), color=colour, alpha=0.6, label=name)
    axes.axvline(SPARSE, color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlabel="largest share of the spectrum (least of U, V, W)", ylabel="share of units")
    axes.set_title(f"{operation.name}, {operation.size} symbols\n{operation.basis}".replace(":", "\n", 1), fontsize=8)
    axes.legend(fontsize=8)


def index_panel(axes: Axes, operation: Operation) -> None:
    """Dominant index in V and in W against that in U."""
    neurons = operation.trained
    for colour, sparse, name in ((COLOURS[4], False, "other units"), (COLOURS[0], True, f"sparsity > {SPARSE:g}")):
        chosen = neurons.sparse if sparse else ~neurons.sparse
        first, second, label = (neurons.index[:, k][chosen] for k in range(3))
        axes.plot(first, second, "o", color=colour, markersize=4, alpha=0.5, label=f"V, {name}: {chosen.sum()}")
        axes.plot(first, label, "x", color=colour, markersize=6, alpha=0.5, label=f"W, {name}")
    axes.set(xlabel="dominant index in U", ylabel="dominant index in V, W")
    axes.legend(fontsize=7)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(STUDY, draw)
